"""The control behind problem 3's explanation of the tails: outputs/p3_control.csv.

    python tests/control_p3.py        (about a minute on two cores)

Trains network A twice, with Adam as in the script and with plain SGD, and measures how far the
living units' weights move from their initial values: those from rarely inked pixels, and the
others. Adam divides each gradient by its own usual size; SGD does not.
"""
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import p3_reg_histograms as p3  # noqa: E402

SGD_LEARNING_RATE = 0.1


def main():
    x, y = p3.load_images(p3.TRAIN_FILE, 60_000)
    x, x_validation = x[:p3.TRAIN_IMAGES], x[p3.TRAIN_IMAGES:]
    y, y_validation = y[:p3.TRAIN_IMAGES], y[p3.TRAIN_IMAGES:]
    rare = p3.rarely_inked(x)
    optimizers = {"Adam, 0.001": "adam",
                  f"SGD, {SGD_LEARNING_RATE}": p3.keras.optimizers.SGD(SGD_LEARNING_RATE)}
    rows = []
    for name, optimizer in optimizers.items():
        p3.OPTIMIZER = optimizer
        initial, model = p3.train("A", p3.SEEDS[0], x, y)
        weights = model.get_weights()
        living = ~p3.dead_units(weights, x)
        moved = (weights[0] - initial[0])[:, living]
        validation = p3.accuracy(model, x_validation, y_validation)
        rows.append([name, f"{p3.rms(moved[rare]):.3f}", f"{p3.rms(moved[~rare]):.3f}",
                     f"{100 * validation:.2f}"])
        print(*rows[-1])
    path = p3.FOLDER / "outputs" / "p3_control.csv"
    header = ["optimizer", "rms movement of weights from rarely inked pixels",
              "rms movement of weights from other pixels", "validation accuracy (%)"]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()

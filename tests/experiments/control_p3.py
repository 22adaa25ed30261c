"""Whose are the tails of problem 3's network A? The same network by other optimizers.

    python tests/experiments/control_p3.py      (about 3 minutes on two cores)

Trains A from two seeds: by Adam as in the script, by Adam stopped early, and by SGD without and
with momentum. How far do the weights of living units move from where they began, those from rarely
inked pixels and the others? How wide and how heavy-tailed do they become, and which pixels do the
tails come from? Adam divides each gradient by its own usual size; SGD does not. In 40 epochs plain
SGD moves the weights little; with momentum they become about as wide as Adam's.

Reads  data/fashion_mnist_traindata.hdf5; the test images are not needed
Writes outputs/p3_control.csv
"""
import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import p3_reg_histograms as p3  # first: it sets what TensorFlow reads when imported  # noqa: E402
from tensorflow import keras  # noqa: E402

from data.loader import load_images  # noqa: E402

# Name, epochs, optimizer: a function, as each training needs a new one.
TRAININGS = (
    ("Adam", 40, lambda: keras.optimizers.Adam(0.001)),
    ("Adam, stopped after 4 epochs", 4, lambda: keras.optimizers.Adam(0.001)),
    ("SGD 0.1", 40, lambda: keras.optimizers.SGD(0.1)),
    ("SGD 0.1, momentum 0.9", 40, lambda: keras.optimizers.SGD(0.1, momentum=0.9)),
)
SEEDS = (0, 1)


def measure(initial, trained, x):
    """Columns of the table about layer 1, living units alone. Weights as in p3.train(), x (N, 784)
    the training images."""
    rare = p3.rarely_inked(x)
    dead = p3.dead_units(trained, x)
    movement = (trained[0] - initial[0])[:, ~dead]
    described = p3.describe(trained, dead, rare)
    return {
        "rms movement of weights from rarely inked pixels": f"{p3.rms(movement[rare]):.3f}",
        "rms movement of weights from other pixels": f"{p3.rms(movement[~rare]):.3f}",
        "standard deviation": described["layer 1, living units: standard deviation"],
        "excess kurtosis": described["layer 1, living units: excess kurtosis"],
        "weights beyond 4 standard deviations":
            described["layer 1, living units: weights beyond 4 standard deviations"],
        "of these from rarely inked pixels (%)":
            described["of these from rarely inked pixels (%)"]}


def main():
    parser = argparse.ArgumentParser(description="Problem 3's network A by other optimizers.")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs", help="folder for the table")
    arguments = parser.parse_args()

    x, y = load_images(p3.TRAIN_FILE, p3.TRAIN_IMAGES + p3.VALIDATION_IMAGES)
    x, x_validation = x[:p3.TRAIN_IMAGES], x[p3.TRAIN_IMAGES:]
    y, y_validation = y[:p3.TRAIN_IMAGES], y[p3.TRAIN_IMAGES:]
    rows = []
    for name, epochs, optimizer in TRAININGS:
        for seed in SEEDS:
            p3.EPOCHS, p3.OPTIMIZER = epochs, optimizer()
            initial, model = p3.train("A", seed, x, y)
            training = p3.accuracy(model, x, y)
            validation = p3.accuracy(model, x_validation, y_validation)
            rows.append({"optimizer": name, "seed": seed,
                         **measure(initial, model.get_weights(), x),
                         "training accuracy (%)": f"{100 * training:.2f}",
                         "validation accuracy (%)": f"{100 * validation:.2f}"})
            print(*rows[-1].values(), sep=", ", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    p3.write_table(rows, arguments.out / "p3_control.csv")


if __name__ == "__main__":
    main()

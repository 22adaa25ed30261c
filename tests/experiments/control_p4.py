"""Problem 4's convolution: is it the shared weights that help, or the windows?

    python tests/experiments/control_p4.py                              (about 2 minutes)
    python tests/experiments/control_p4.py --data FILE --rows-per-person 25 --out DIR
    python tests/experiments/control_p4.py --quick                      (seconds, writes nothing)

The convolution looks at all windows of 6 presses with the same 20 filters and averages them over
the windows. Its control has 20 filters of its own for each window, so that the weights are not
shared. Both start from the same initializer: by default Keras would start the second twice as wide
(it counts the filter's outputs at all 6 places). Same folds, same training, nothing else differs.

Writes p4_control.csv.
"""
import argparse
import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import p4_human_machine as p4  # before tensorflow: it sets its environment  # noqa: E402
from tensorflow import keras  # noqa: E402

WINDOWS = p4.INPUTS - p4.FILTER_WIDTH + 1
# Glorot's limit for the convolution: the square root of 6 / (fan in + fan out).
LIMIT = (6 / (p4.FILTER_WIDTH + p4.FILTER_WIDTH * p4.FILTERS)) ** 0.5


def first_weights():
    return keras.initializers.RandomUniform(-LIMIT, LIMIT)


def build_shared(setting):
    """The convolution of p4_human_machine.py."""
    return keras.Sequential([
        keras.Input((p4.INPUTS,)),
        keras.layers.Reshape((p4.INPUTS, 1)),
        keras.layers.Conv1D(p4.FILTERS, p4.FILTER_WIDTH, activation="relu",
                            kernel_initializer=first_weights()),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(p4.HIDDEN, "relu"),
        keras.layers.Dense(1, "sigmoid")])


def build_unshared(setting):
    """The same, but each window has weights of its own."""
    row = keras.Input((p4.INPUTS,))
    windows = []
    for start in range(WINDOWS):
        window = row[:, start:start + p4.FILTER_WIDTH]
        filters = keras.layers.Dense(p4.FILTERS, "relu", kernel_initializer=first_weights())
        windows.append(filters(window))
    hidden = keras.layers.Dense(p4.HIDDEN, "relu")(keras.layers.Average()(windows))
    return keras.Model(row, keras.layers.Dense(1, "sigmoid")(hidden))


NETWORKS = {
    "20-20-1": p4.build,
    "windows, weights of their own": build_unshared,
    "windows, shared weights (the convolution)": build_shared,
}


def main():
    parser = argparse.ArgumentParser(description="The control of shared weights in problem 4.")
    parser.add_argument("--data", type=Path, default=p4.DATA_FILE, help="the file, as problem 4's")
    parser.add_argument("--rows-per-person", type=int, metavar="N", help="as problem 4's")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs", help="folder for the table")
    parser.add_argument("--quick", action="store_true", help="a smoke test, writes nothing")
    arguments = parser.parse_args()
    if arguments.quick:
        p4.EPOCHS, p4.FOLDS = 1, 2
    data = p4.load(arguments.data, arguments.rows_per_person)
    rows = p4.rows_of(data, arguments.rows_per_person)
    right, table = {}, []
    for name, build in NETWORKS.items():
        trained = p4.train_folds(name, p4.SETTINGS["Adam"], rows, build)
        right[name] = (p4.held_out(trained.log_odds, rows.fold) > 0) == rows.human
        training_accuracy, _ = p4.on_training_rows(trained.log_odds, rows)
        accuracy, half = p4.over_people(100 * right[name], rows.person)
        table.append([name, trained.models[0].count_params(), f"{100 * training_accuracy:.1f}",
                      f"{accuracy:.1f}", f"{half:.1f}"])
    _, own, shared = right.values()
    gain, half = p4.over_people(100 * (shared.astype(float) - own), rows.person)
    table.append(["gain by sharing (points)", "", "", f"{gain:.1f}", f"{half:.1f}"])
    print(f"gain by sharing: {gain:.1f} +- {half:.1f} points")
    if arguments.quick:
        return
    header = ["network, trained with Adam alone", "parameters", "training accuracy (%)",
              "accuracy (%)", "half of 95% interval"]
    with (arguments.out / "p4_control.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *table])


if __name__ == "__main__":
    main()

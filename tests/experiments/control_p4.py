"""The control behind problem 4's words on weight sharing: outputs/p4_control.csv.

    python tests/control_p4.py                     (about 2 minutes on two cores)
    python tests/control_p4.py FILE 25 outputs/course_fall2020    (rows per person, folder)

The script's convolution looks at all windows of 6 presses with the same 20 filters and averages
them over the windows. Here the same network is trained with 20 filters of its own for each window,
so that the weights are not shared and nothing else differs. Same folds, same training.
"""
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import p4_human_machine as p4  # noqa: E402

keras = p4.keras


def build_unshared(inputs, setting):
    """The convolution of p4_human_machine.py, but each window has weights of its own."""
    row = keras.Input((inputs,))
    windows = []
    for start in range(inputs - p4.FILTER_WIDTH + 1):
        window = row[:, start:start + p4.FILTER_WIDTH]
        windows.append(keras.layers.Dense(p4.FILTERS, "relu")(window))
    hidden = keras.layers.Dense(p4.HIDDEN, "relu")(keras.layers.Average()(windows))
    return keras.Model(row, keras.layers.Dense(1, "sigmoid")(hidden))


NETWORKS = {
    "20-20-1": p4.build,
    "windows, weights of their own": build_unshared,
    "windows, shared weights (the convolution)": p4.build_convolution,
}


def main():
    path, rows_per_person, out = p4.DATA_FILE, None, p4.FOLDER / "outputs"
    if sys.argv[1:]:
        path, rows_per_person, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    data = p4.load(path, rows_per_person)
    rows, human, person = p4.rows_and_people(data, rows_per_person)
    folds = p4.folds_of(person)
    results, table = {}, []
    for name, build in NETWORKS.items():
        result = p4.cross_validate(name, rows, human, folds, p4.SETTINGS["Adam"], build)
        results[name] = result
        training = sum(history["accuracy"][-1] for history in result.histories) / p4.FOLDS
        parameters = sum(weights.size for weights in result.weights[0])
        accuracy, half = p4.over_people(100 * result.right, person)
        table.append([name, parameters, f"{100 * training:.1f}", f"{accuracy:.1f}", f"{half:.1f}"])
    own, shared = list(results.values())[1:]
    gain, half = p4.over_people(100 * (shared.right.astype(float) - own.right), person)
    table.append(["gain by sharing (points)", "", "", f"{gain:.1f}", f"{half:.1f}"])
    header = ["network, trained with Adam alone", "parameters",
              "training accuracy in the last epoch (%)", "accuracy (%)", "half of 95% interval"]
    with (out / "p4_control.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *table])


if __name__ == "__main__":
    main()

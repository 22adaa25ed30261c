"""Problem 4: did a human or a machine write these 20 bits? A small MLP and better features.

    python p4_human_machine.py                          (about 2 minutes on two cores)
    python p4_human_machine.py --data FILE --out DIR    (another year's file: {0,1} or {-1,+1})
    python p4_human_machine.py --try 01101... 10011...  (20 bits of yours, judged by the network)

Trains the homework's network (20-20-1, ReLU, sigmoid, binary cross-entropy, batch size 16) with
several optimizers and regularizers on five 80/20 splits, and submits the best. Where the file says
who pressed what, all rows of a person are on one side: the network is judged on people whom it has
never seen. Then it is trained alike on features designed by hand: does what people do lie in the
presses or in the relation between presses? And how far do 20 bits carry?

Reads  data/binary_random.hdf5, or the file of --data
Writes outputs/p4_model.hdf5, p4_learning_curve.png, p4_weights.txt (as printed), p4_weights.csv,
       p4_weights.png, p4_settings.csv, p4_features.csv, p4_features.png, p4_patterns.csv,
       p4_lags.csv, p4_rows.csv (if the file tells people apart), p4_results.json
"""
import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

# Quiet, on the CPU, and without oneDNN, so that a second run gives the same numbers.
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import h5py
import matplotlib
import numpy as np
import tensorflow as tf
from tensorflow import keras

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network
matplotlib.use("Agg")  # draw into files, without a screen
from matplotlib import pyplot as plt

from data.loader import DataError, load_sequences

FOLDER = Path(__file__).resolve().parent
DATA_FILE = FOLDER / "data" / "binary_random.hdf5"

INPUTS, HIDDEN, BATCH_SIZE = 20, 20, 16  # fixed by the homework
FOLDS = 5  # of 20 % each: every row validates once, so that no lucky split decides
EPOCHS = 30  # for all: a best epoch picked on the validation rows would flatter the result
SEED = 0
SETTINGS = {  # the learning rate falls linearly from this one to 0 over the epochs
    "Adam": {"optimizer": "Adam", "learning_rate": 0.006},
    "Adam, L2 0.003": {"optimizer": "Adam", "learning_rate": 0.006, "l2": 3e-3},
    "Adam, L1 0.0003": {"optimizer": "Adam", "learning_rate": 0.006, "l1": 3e-4},
    "Adam, dropout 0.2": {"optimizer": "Adam", "learning_rate": 0.006, "dropout": 0.2},
    "SGD, L2 0.003": {"optimizer": "SGD", "learning_rate": 0.2, "l2": 3e-3},
    "RMSprop, L2 0.003": {"optimizer": "RMSprop", "learning_rate": 0.006, "l2": 3e-3},
}


def build(inputs, l1=0.0, l2=0.0, dropout=0.0):
    """The homework's network, with as many inputs as there are features."""
    penalty = keras.regularizers.L1L2(l1, l2)
    return keras.Sequential([
        keras.Input((inputs,)),
        keras.layers.Dense(HIDDEN, activation="relu", kernel_regularizer=penalty),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(1, activation="sigmoid", kernel_regularizer=penalty)])


def train(x, human, held_out, epochs, seed, optimizer, learning_rate, **regularizers):
    """Train one network on the rows that are not held out, and validate on those that are.

    x (N, inputs); human (N,), held_out (N,): booleans. Returns the model and Keras' history."""
    keras.utils.set_random_seed(seed)
    model = build(x.shape[1], **regularizers)
    x, y = x.astype(np.float32), human.astype(np.float32)[:, None]  # the label is 1 for human
    rows = tf.data.Dataset.from_tensor_slices((x[~held_out], y[~held_out]))
    batches = rows.shuffle(len(rows), seed=seed).batch(BATCH_SIZE, drop_remainder=True)
    schedule = keras.optimizers.schedules.PolynomialDecay(learning_rate, len(batches) * epochs, 0.0)
    # One call for all updates of an epoch: Keras loses most of its time between calls.
    model.compile(getattr(keras.optimizers, optimizer)(schedule), "binary_crossentropy",
                  metrics=["accuracy", "binary_crossentropy"], steps_per_execution=len(batches))
    history = model.fit(batches, epochs=epochs, shuffle=False, verbose=0,
                        validation_data=(x[held_out], y[held_out]), validation_batch_size=1000)
    return model, history.history


def cross_validate(name, x, human, folds, epochs, setting):
    """train() once for each fold. folds (N,): the fold in which a row is held out.

    Returns the models, Keras' histories, and for each row (N,) the log-odds that a human wrote it,
    ln p/(1-p), by the network that had not seen it, and whether these are right."""
    models, histories, log_odds = [], [], np.empty(len(x))
    for fold in range(folds.max() + 1):
        print(f"\r{name}: fold {fold + 1} of {folds.max() + 1}", end="", flush=True)
        held_out = folds == fold
        model, history = train(x, human, held_out, epochs, SEED + fold, **setting)
        p = np.clip(model(x[held_out]).numpy()[:, 0], 1e-6, 1 - 1e-6)
        log_odds[held_out] = np.log(p / (1 - p))
        models.append(model)
        histories.append(history)
    right = (log_odds > 0) == human
    print(f"\r{name}: {right.mean():.1%} of the held-out rows right")
    return {"models": models, "histories": histories, "log_odds": log_odds, "right": right}


def prepare(data):
    """All rows (N, 20), whether they are human (N,), the group of each (N,): rows of one group are
    never on both sides of a split; and what it is split by, "people" or, if none are known, "rows".

    As many machine rows as human ones go with each group, so that both sides are balanced."""
    groups, split = np.arange(len(data.human)), "rows"
    if data.person is not None and len(np.unique(data.person)) >= FOLDS:
        groups, split = data.person, "people"
    rows = np.concatenate([data.human, data.machine])
    groups = np.concatenate([groups, np.resize(groups, len(data.machine))])
    return rows, np.arange(len(rows)) < len(data.human), groups, split


def folds_of(groups, folds):
    """Fold numbers (N,) of rows whose groups (N,), such as people, are never separated."""
    names, of_row = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(SEED).permutation(len(names)) % folds)[of_row]


def with_interval(values, groups):
    """Mean of values (N,) and half of its 95 % interval, where rows of one group (N,), such as a
    person, are not independent: their residuals are summed (cluster-robust standard error: Liang
    and Zeger 1986, Biometrika 73:13)."""
    values, of_row = np.asarray(values, float), np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(of_row, values - values.mean())
    variance = len(sums) / (len(sums) - 1) * (sums ** 2).sum() / len(values) ** 2
    return values.mean(), 1.96 * variance ** 0.5


def bits_of(rows):
    return (rows > 0).astype(int)


def transitions(rows):
    """(n, 20) -> (n,): how many neighbours differ, 0..19."""
    return (rows[:, 1:] != rows[:, :-1]).sum(axis=1)


def lag_products(rows, lags=range(1, 11)):
    """(n, 20) -> (n, lags): mean product of the values `lag` places apart, as -1 and +1."""
    values = 2 * bits_of(rows) - 1
    return np.stack([(values[:, lag:] * values[:, :-lag]).mean(axis=1) for lag in lags], axis=1)


def four_grams(rows):
    """(n, 20) -> (n, 16): the share of each pattern of four neighbours, 0000 to 1111."""
    bits = bits_of(rows)
    codes = 8 * bits[:, :-3] + 4 * bits[:, 1:-2] + 2 * bits[:, 2:-1] + bits[:, 3:]
    return np.stack([(codes == code).mean(axis=1) for code in range(16)], axis=1)


def switch_rates(rows, longest=6):
    """(longest,): how often the next value differs after a run of 1, 2, ... equal values."""
    equal, run = rows[:, 1:] == rows[:, :-1], np.ones(len(rows), int)
    places, switches = np.zeros(INPUTS + 1), np.zeros(INPUTS + 1)
    for same in equal.T:
        places += np.bincount(run, minlength=INPUTS + 1)
        switches += np.bincount(run[~same], minlength=INPUTS + 1)
        run = np.where(same, run + 1, 1)
    return (switches / np.maximum(places, 1))[1:longest + 1]


FEATURES = {  # name: (n, 20) rows -> (n, inputs), centred and scaled by what coin flips have
    "raw values": lambda rows: rows,
    "number of transitions, one-hot": lambda rows: np.eye(INPUTS)[transitions(rows)],
    "products at lags 1 to 10": lambda rows: (
        lag_products(rows) * (INPUTS - np.arange(1, 11)) ** 0.5),
    "counts of 4-grams": lambda rows: (INPUTS - 3) * (four_grams(rows) - 1 / 16),
}


def add_rows(log_odds, human, person, number):
    """How often the sum of `number` rows' log-odds has the right sign. All (N,).

    Rows of one person, or of the machine rows that go with one, are added in their order, as if
    they were independent. Returns the share with its interval, as with_interval()."""
    right, people = [], []
    for one in np.unique(person):
        for label in (True, False):
            own = log_odds[(person == one) & (human == label)]
            sums = own[:len(own) // number * number].reshape(-1, number).sum(axis=1)
            right.extend((sums > 0) == label)
            people.extend([one] * len(sums))
    return with_interval(right, people)


def lag_profile(model, lags=range(1, 11)):
    """Mean of S[i, j] over j - i = lag, for S = W diag(v) W^T: a heuristic.

    W (20, hidden) and v (hidden,) are the weights into and out of the hidden layer. To second
    order, a ReLU network adds S[i, j] x[i] x[j] to its output, up to a positive factor. Above 0:
    equal values `lag` places apart speak for a human."""
    W, _, v, _ = model.get_weights()
    S = (W * v[:, 0]) @ W.T
    return [np.diag(S, lag).mean() for lag in lags]


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def plot_learning_curve(chosen, setting, split, folder):
    """The submitted network: probability of correct classification after each epoch."""
    figure, axes = plt.subplots(figsize=(8, 4.4))
    for key, name, style in (("accuracy", "training", {"color": "#0072B2"}),
                             ("val_accuracy", "validation", {"color": "#D55E00", "ls": "--"})):
        curve = 100 * np.array(chosen["histories"][0][key])
        axes.plot(range(1, len(curve) + 1), curve, label=f"{name}: {curve[-1]:.1f}% at the end",
                  **style)
    axes.set(xlabel="epoch", ylabel="probability of correct classification (%)")
    axes.set_title(f"Human or machine? 20-20-1, {setting}, batch size {BATCH_SIZE}, 80/20 split by "
                   f"{split}\none of {FOLDS} folds; {chosen['right'].mean():.1%} of all validation "
                   "rows are right", size=11)
    axes.legend()
    save(figure, folder / "p4_learning_curve.png")


def plot_weights(models, lags, folder):
    """The matrix, neurons sorted by their output weight, and what they all say about each lag."""
    W, _, v, _ = models[0].get_weights()
    order, limit, places = np.argsort(v[:, 0], kind="stable"), np.abs(W).max(), range(1, 11)
    figure = plt.figure(figsize=(10, 5.6))
    left, right = figure.subfigures(1, 2, width_ratios=[1.3, 1])
    output, matrix = left.subplots(2, 1, height_ratios=[1, 4])
    output.bar(range(HIDDEN), v[order, 0], color="0.5")
    output.set(xlim=(-0.5, HIDDEN - 0.5), xticks=[], ylabel="output\nweight")
    image = matrix.imshow(W[:, order], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    matrix.set_xticks(range(HIDDEN), order + 1, size=8)
    matrix.set_yticks(range(INPUTS), range(1, INPUTS + 1), size=8)
    matrix.set(xlabel="hidden neuron (left: for the machine, right: for a human)",
               ylabel="input position")
    matrix.grid(False)
    left.colorbar(image, ax=matrix, location="bottom", shrink=0.6, aspect=30,
                  label="weight from input to hidden neuron")
    networks, data = right.subplots(2, 1, sharex=True)
    submitted, *others = map(lag_profile, models)
    networks.bar(places, submitted, color="#009E73", label="submitted")
    networks.plot(places, np.transpose(others), ".", color="black",
                  label=["other folds", *["_"] * (len(others) - 1)])
    networks.set_title("networks: mean of W diag(v) W$^T$ at a lag", size=11)
    networks.legend(fontsize=9)
    data.bar(places, lags["human"] - lags["machine"], color="#56B4E9")
    data.set_title("data: mean product, human minus machine", size=11)
    data.set(xlabel="lag (places apart)", xticks=places)
    for axes in (networks, data):
        axes.axhline(0, color="black", linewidth=0.8)
    save(figure, folder / "p4_weights.png")


def plot_features(patterns, gains, split, folder):
    """How often people press each 4-gram beside the machine; what features gain."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 6), height_ratios=[1.2, 1])
    ratios = patterns["human"] / patterns["machine"]
    order = np.argsort(-ratios, kind="stable")
    top.bar(range(16), ratios[order] - 1, bottom=1, color="#56B4E9")
    top.set_yscale("log", base=2)  # twice as often and half as often are equally far from 1
    top.set_yticks([0.5, 1, 2], ["0.5", "1", "2"])
    top.axhline(1, color="black", linewidth=0.8)
    top.set_xticks(range(16), [f"{code:04b}" for code in order], size=10)
    top.set(ylabel="rate, human / machine")
    top.set_title("How often human rows have each pattern of four neighbours, relative to the "
                  "machine's", size=11)
    means, halves = 100 * np.transpose(list(gains.values()))
    bottom.errorbar(means, range(len(gains)), xerr=halves, fmt="o", color="#009E73", capsize=4)
    bottom.axvline(0, color="black", linewidth=0.8)
    bottom.set_yticks(range(len(gains)), gains)
    bottom.set_ylim(len(gains) - 0.5, -0.5)
    bottom.set(xlabel="gain over raw values (points), with its 95% interval")
    bottom.set_title(f"The same network on different features: gain on held-out {split}", size=11)
    save(figure, folder / "p4_features.png")


def matrix_text(W):
    """The weight matrix: a row for each input position, a column for each hidden neuron, in two
    blocks of ten neurons, so that it fits a screen."""
    lines = []
    for block in (range(10), range(10, HIDDEN)):
        lines += ["neuron" + "".join(f"{j + 1:7d}" for j in block)]
        for i, row in enumerate(W):
            lines.append(f"{i + 1:6d}" + "".join(f"{row[j]:7.2f}" for j in block))
    return "\n".join(lines)


def write_model(path, weights, optimizer, learning_rate, l1=0.0, l2=0.0, dropout=0.0):
    """An HDF5 model that loads, compiled, in TensorFlow 2.2 (2020), 2.15 (last Keras 2) and now.

    Keras 3 reads what Keras 2 saved, but not the reverse. So this writes what TensorFlow 2.2 would
    have saved: `batch_input_shape`, no key younger than 2020, and all text as bytes, on which that
    Keras calls decode(). Dropout does nothing outside training and is left out."""
    penalty = {"class_name": "L1L2", "config": {"l1": l1, "l2": l2}} if l1 or l2 else None

    def dense(name, units, activation):
        return {"class_name": "Dense", "config": {
            "name": name, "dtype": "float32", "units": units, "activation": activation,
            "kernel_regularizer": penalty}}
    model = {"class_name": "Sequential", "config": {"name": "human_machine", "layers": [
        {"class_name": "InputLayer", "config": {
            "batch_input_shape": [None, INPUTS], "dtype": "float32", "sparse": False,
            "ragged": False, "name": "bits"}},
        dense("hidden", HIDDEN, "relu"), dense("human", 1, "sigmoid")]}}
    training = {"loss": "binary_crossentropy", "metrics": ["accuracy"], "weighted_metrics": None,
                "loss_weights": None, "sample_weight_mode": None, "optimizer_config": {
                    "class_name": optimizer,
                    "config": {"name": optimizer, "learning_rate": learning_rate}}}
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for attributes in (file.attrs, group.attrs):
            attributes["keras_version"] = np.bytes_("2.3.0-tf")
            attributes["backend"] = np.bytes_("tensorflow")
        file.attrs["model_config"] = np.bytes_(json.dumps(model))
        file.attrs["training_config"] = np.bytes_(json.dumps(training))
        group.attrs["layer_names"] = np.array([b"bits", b"hidden", b"human"])
        group.create_group("bits").attrs["weight_names"] = np.array([], "S1")
        for name, arrays in (("hidden", weights[:2]), ("human", weights[2:])):
            names = [f"{name}/kernel:0", f"{name}/bias:0"]
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array([each.encode() for each in names])
            for each, array in zip(names, arrays):
                layer[each] = array


def try_bits(texts, out):
    """--try: the probability that a human wrote each row, and all of them together."""
    try:
        model = keras.models.load_model(out / "p4_model.hdf5", compile=False)
        low, high = json.loads((out / "p4_results.json").read_text(encoding="utf-8"))["coding"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{out}: found no model and results of a run ({error}); "
                        "run first: python p4_human_machine.py") from None
    if not texts:
        print("Rows of 20 zeros and ones, as random as you can; an empty line ends:")
        texts = iter(lambda: sys.stdin.readline().strip(), "")
    total = 0.0
    for number, text in enumerate(texts, start=1):
        if len(text) != INPUTS or set(text) - {"0", "1"}:
            raise DataError(f"--try: found {text[:40]!r}, {len(text)} characters; expected "
                            f"{INPUTS} zeros and ones; type for example 01101001011010010110")
        row = np.array([[high if bit == "1" else low for bit in text]], np.float32)
        p = np.clip(float(model(row)[0, 0]), 1e-6, 1 - 1e-6)
        total += np.log(p / (1 - p))
        print(f"{text}: {p:.0%} human. All {number} together: {1 / (1 + np.exp(-total)):.0%} human")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def percent(*values):
    return [f"{100 * value:.2f}" for value in values]


def write_tables(explored, on_features, gains, patterns, lags, human, groups, folder):
    """Settings and features, and what the data show of patterns and lags."""
    rows = []
    for name, result in explored.items():
        accuracy, cross_entropy = (np.mean([history[key][-1] for history in result["histories"]])
                                   for key in ("accuracy", "binary_crossentropy"))
        against_label = np.where(human, -1, 1) * result["log_odds"]
        validation = np.logaddexp(0, against_label).mean()  # mean of -ln p[label]
        rows.append([name, SETTINGS[name]["learning_rate"],
                     *percent(accuracy, result["right"].mean()),
                     f"{cross_entropy:.4f}", f"{validation:.4f}"])
    write_csv(folder / "p4_settings.csv",
              ["setting", "initial learning rate", "training accuracy (%)",
               "validation accuracy (%)", "training cross-entropy", "validation cross-entropy"],
              rows)
    write_csv(folder / "p4_features.csv",
              ["features", "accuracy (%)", "accuracy: half of 95% interval",
               "gain over raw values (points)", "gain: half of 95% interval"],
              [[name, *percent(*with_interval(result["right"], groups)),
                *(percent(*gains[name]) if name in gains else ["", ""])]
               for name, result in on_features.items()])
    write_csv(folder / "p4_patterns.csv", ["pattern", "human rate", "machine rate", "ratio"],
              [[f"{code:04b}", f"{of_human:.4f}", f"{of_machine:.4f}",
                f"{of_human / of_machine:.2f}"]
               for code, (of_human, of_machine) in enumerate(zip(*patterns.values()))])
    models = on_features["raw values"]["models"]
    write_csv(folder / "p4_lags.csv",
              ["lag", "human mean product", "machine mean product",
               *(f"W diag(v) W^T, network {k + 1}" for k in range(len(models)))],
              [[lag, *(f"{value:.4f}" for value in values)] for lag, values in enumerate(
                  zip(*lags.values(), *map(lag_profile, models)), start=1)])


def write_rows(raw, best, best_name, human, person, folder):
    """What more rows of one person tell; for numbers of rows that two people at least have."""
    rows_of_person = np.unique(person[human], return_counts=True)[1]
    write_csv(folder / "p4_rows.csv",
              ["rows added", *(f"{name}: {what}" for name in ("raw values", best_name)
                               for what in ("right (%)", "half of 95% interval"))],
              [[number, *percent(*add_rows(raw["log_odds"], human, person, number),
                                 *add_rows(best["log_odds"], human, person, number))]
               for number in (1, 2, 5, 10, 20) if (rows_of_person >= number).sum() > 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    parser.add_argument("--data", type=Path, default=DATA_FILE, help="another year's file")
    parser.add_argument("--try", dest="texts", nargs="*", metavar="BITS",
                        help="judge rows of 20 zeros and ones, given or typed; trains nothing")
    arguments = parser.parse_args()
    if arguments.texts is not None:
        return try_bits(arguments.texts, arguments.out or FOLDER / "outputs")
    out = arguments.out or (Path(tempfile.mkdtemp()) if arguments.quick else FOLDER / "outputs")
    if arguments.data.resolve() != DATA_FILE and out.resolve() == FOLDER / "outputs":
        raise DataError(f"{arguments.data}: its outputs need a folder of their own; add --out DIR")
    begin = time.perf_counter()
    settings, features, number_of_folds, epochs = SETTINGS, FEATURES, FOLDS, EPOCHS
    if arguments.quick:
        settings, number_of_folds, epochs = {"Adam": SETTINGS["Adam"]}, 2, 2
        features = {name: FEATURES[name] for name in ("raw values", "counts of 4-grams")}

    data = load_sequences(arguments.data)
    if min(len(data.human), len(data.machine)) < 100:
        raise DataError(f"{arguments.data}: found {len(data.human)} human and {len(data.machine)} "
                        "machine rows; expected 100 of each at least; use a larger file")
    out.mkdir(parents=True, exist_ok=True)

    rows, human, groups, split = prepare(data)
    folds = folds_of(groups, number_of_folds)
    explored = {name: cross_validate(name, rows, human, folds, epochs, setting)
                for name, setting in settings.items()}
    best = max(explored, key=lambda name: explored[name]["right"].mean())
    chosen = explored[best]
    on_features = {"raw values": chosen}
    for name in list(features)[1:]:
        on_features[name] = cross_validate(f"{best}, {name}", features[name](rows), human, folds,
                                           epochs, settings[best])
    gains = {name: with_interval(result["right"] * 1.0 - chosen["right"], groups)
             for name, result in on_features.items() if name != "raw values"}
    best_features = max(on_features, key=lambda name: on_features[name]["right"].mean())
    patterns = {"human": four_grams(data.human).mean(axis=0),
                "machine": four_grams(data.machine).mean(axis=0)}
    lags = {"human": lag_products(data.human).mean(axis=0),
            "machine": lag_products(data.machine).mean(axis=0)}

    weights = chosen["models"][0].get_weights()
    print(f"submitted: {best}\n\nweights from input (row) to hidden neuron (column)\n\n"
          f"{matrix_text(weights[0])}")
    results = {
        "quick": arguments.quick, "source": data.source, "human_rows": len(data.human),
        "machine_rows": len(data.machine), "coding": data.coding, "split_by": split,
        "groups": len(np.unique(groups)), "epochs": epochs, "submitted": best,
        "validation_accuracy": chosen["right"].mean(),
        "human_rows_right": chosen["right"][human].mean(),
        "machine_rows_right": chosen["right"][~human].mean(), "best_features": best_features,
        "neighbours_differ": transitions(data.human).mean() / (INPUTS - 1),
        "switch_after_runs_of_1_to_6": switch_rates(data.human).round(4).tolist(),
        "seconds": round(time.perf_counter() - begin)}
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all are written
        folder = Path(folder)
        (folder / "p4_weights.txt").write_text(matrix_text(weights[0]) + "\n", encoding="utf-8")
        np.savetxt(folder / "p4_weights.csv", weights[0], fmt="%.9g", delimiter=",")
        plot_learning_curve(chosen, best, split, folder)
        plot_weights(chosen["models"], lags, folder)
        plot_features(patterns, gains, split, folder)
        write_tables(explored, on_features, gains, patterns, lags, human, groups, folder)
        if split == "people":
            write_rows(chosen, on_features[best_features], best_features, human, groups, folder)
        write_model(folder / "p4_model.hdf5", weights, **settings[best])
        (folder / "p4_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        for path in folder.iterdir():
            path.replace(out / path.name)
    print(f"outputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; earlier outputs are as they were")

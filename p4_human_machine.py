"""Problem 4: did a human or a machine write these 20 bits? A small MLP and better features.

    python p4_human_machine.py                          (about 2 minutes on two cores)
    python p4_human_machine.py --data FILE --out DIR    (another year's file: {0,1} or {-1,+1})
    python p4_human_machine.py --try 01101...           (20 bits of yours, judged by the network)

Trains the homework's network (20-20-1, ReLU, sigmoid, binary cross-entropy, batch size 16) with
several optimizers and regularizers, ranks them over five random 80/20 splits, and submits the best.
Where the file says who pressed what, accuracy is also measured on rows of people whom the network
has never seen. Then the weight matrix is read, and what it suggests is put to the test: the same
network, trained alike, on features designed by hand.

Result: 64.3% of rows, their people held out; 68.2% with counts of 4-grams instead of raw values.

Reads  data/binary_random.hdf5, or the file of --data
Writes outputs/p4_report.md (start here), p4_model.hdf5, p4_learning_curve.png, p4_overfitting.png,
       p4_weights.txt, p4_weights.csv, p4_weights.png, p4_features.png, p4_results.json
"""
import argparse
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# Quiet, on the CPU, and without oneDNN, so that a second run gives the same numbers.
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import h5py
import matplotlib
import numpy as np
import tensorflow as tf
from tensorflow import keras

tf.config.experimental.enable_op_determinism()
tf.config.threading.set_intra_op_parallelism_threads(2)
tf.get_logger().setLevel("ERROR")
matplotlib.use("Agg")  # draw into files, without a screen
from matplotlib import pyplot as plt

from data.loader import DataError, load_sequences

FOLDER = Path(__file__).resolve().parent
DATA_FILE = FOLDER / "data" / "binary_random.hdf5"

INPUTS, HIDDEN, BATCH_SIZE = 20, 20, 16  # fixed by the homework
FOLDS = 5  # of 20 % each: every row is a validation row once, so that no lucky split decides
EPOCHS = 30  # for all: a best epoch picked on the validation rows would flatter the result
SEED = 0


class Setting(NamedTuple):
    """An optimizer and a regularizer. The learning rate falls linearly to 0 over the epochs."""
    name: str
    optimizer: str = "Adam"
    learning_rate: float = 0.006
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    new_flips: bool = False  # in each epoch the machine's training rows are new flips of a coin


SETTINGS = (  # over-fitting compares the best with the first, or the first with the second
    Setting("Adam"),
    Setting("Adam, L2 0.001", l2=1e-3),
    Setting("Adam, L1 0.0003", l1=3e-4),
    Setting("Adam, dropout 0.1", dropout=0.1),
    Setting("SGD", "SGD", learning_rate=0.2),
    Setting("RMSprop", "RMSprop"),
    Setting("Adam, new coin flips", new_flips=True),  # if the file says that its rows are flips
)


def build(setting, inputs):
    """The homework's network, with as many inputs as there are features."""
    penalty = keras.regularizers.L1L2(setting.l1, setting.l2)
    return keras.Sequential([
        keras.Input((inputs,)),
        keras.layers.Dense(HIDDEN, activation="relu", kernel_regularizer=penalty),
        keras.layers.Dropout(setting.dropout),
        keras.layers.Dense(1, activation="sigmoid", kernel_regularizer=penalty)])


def minibatches(rows, labels, features, setting, coding, epochs, rng):
    """All minibatches of a training, (epochs * steps, 16, inputs) and (epochs * steps, 16, 1).

    Each epoch shuffles the rows anew; fewer than 16 at its end are left out."""
    steps = len(rows) // BATCH_SIZE
    x, y = [], []
    for _ in range(epochs):
        chosen = rng.permutation(len(rows))[:steps * BATCH_SIZE]
        drawn = rows[chosen]
        if setting.new_flips:
            flips = rng.choice(np.array(coding, rows.dtype), drawn.shape)
            drawn = np.where(labels[chosen, None] == 1, drawn, flips)
        x.append(features(drawn))
        y.append(labels[chosen])
    x, y = np.concatenate(x, dtype=np.float32), np.concatenate(y)
    return x.reshape(-1, BATCH_SIZE, x.shape[1]), y.reshape(-1, BATCH_SIZE, 1)


def train(setting, features, rows, labels, validation, coding, epochs):
    """Train one network. rows (N, 20); labels (N,), 1 for human; validation (N,), True: held out.

    Returns its weights, the probability (N,) of each row to be human, and the curves: after each
    epoch accuracy and cross-entropy of the training and of the validation rows, dropout off; and at
    the end the accuracy on human rows alone."""
    keras.utils.set_random_seed(SEED)
    x, y = minibatches(rows[~validation], labels[~validation], features, setting, coding, epochs,
                       np.random.default_rng(SEED))
    inputs, steps = features(rows).astype(np.float32), len(x) // epochs
    model = build(setting, x.shape[-1])
    learning_rate = keras.optimizers.schedules.PolynomialDecay(setting.learning_rate, len(x), 0.0)
    optimizer = getattr(keras.optimizers, setting.optimizer)(learning_rate)
    # One call for all updates of an epoch: Keras loses most of its time between calls.
    model.compile(optimizer, "binary_crossentropy", steps_per_execution=steps)
    p = []  # of all rows, after each epoch
    model.fit(tf.data.Dataset.from_tensor_slices((x, y)), epochs=epochs, steps_per_epoch=steps,
              shuffle=False, verbose=0, callbacks=[keras.callbacks.LambdaCallback(
                  on_epoch_end=lambda *_: p.append(model(inputs, training=False).numpy()[:, 0]))])
    of_label = np.clip(np.where(labels == 1, p, 1 - np.array(p)), 1e-7, 1)  # (epochs, N)
    curves = {name: [[float((epoch > 0.5).mean()), float(-np.log(epoch).mean())]
                     for epoch in of_label[:, part]]
              for name, part in (("train", ~validation), ("validation", validation))}
    curves["human"] = [float((of_label[-1, part & (labels == 1)] > 0.5).mean())
                       for part in (~validation, validation)]
    return model.get_weights(), p[-1], curves


def folds_of(groups, folds):
    """Fold numbers (N,) of rows whose groups (N,), such as people, are never separated."""
    names = np.unique(groups)
    fold_of = np.random.default_rng(SEED).permutation(len(names)) % folds
    return fold_of[np.searchsorted(names, groups)]


def cross_validate(setting, name, rows, labels, folds, coding, epochs):
    """train() on the features `name` once for each fold. Returns the trainings and, for each row
    (N,), whether the network that had not seen it was right."""
    print(f"{setting.name}, {name}", flush=True)
    right, trained = np.zeros(len(rows), bool), []
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        trained.append(train(setting, FEATURES[name], rows, labels, held_out, coding, epochs))
        right[held_out] = (trained[-1][1][held_out] > 0.5) == (labels[held_out] == 1)
    return trained, right


def transitions(rows):
    """(n, 20) -> (n,): how many neighbours differ, 0..19."""
    return (rows[:, 1:] != rows[:, :-1]).sum(axis=1)


def longest_run(rows):
    """(n, 20) -> (n,): length of the longest run of equal values, 1..20."""
    run = np.ones(len(rows), int)
    longest = run
    for i in range(1, INPUTS):
        run = np.where(rows[:, i] == rows[:, i - 1], run + 1, 1)
        longest = np.maximum(longest, run)
    return longest


def lag_products(rows, lags=range(1, 11)):
    """(n, 20) -> (n, lags): sum of the products of values `lag` places apart, as -1/+1, over the
    square root of their number: mean 0 and variance 1 for coin flips."""
    values = np.where(rows > 0, 1, -1)
    return np.stack([(values[:, lag:] * values[:, :-lag]).sum(axis=1) / (INPUTS - lag) ** 0.5
                     for lag in lags], axis=1)


def four_grams(rows):
    """(n, 20) -> (n, 16): how often each pattern of four neighbours occurs, less the 17/16 that
    coin flips have on average."""
    bits = (rows > 0).astype(int)
    codes = 8 * bits[:, :-3] + 4 * bits[:, 1:-2] + 2 * bits[:, 2:-1] + bits[:, 3:]
    return np.stack([(codes == code).sum(axis=1) for code in range(16)], axis=1) - 17 / 16


FEATURES = {  # name: (n, 20) rows -> (n, inputs)
    "raw values": lambda rows: rows,
    "number of transitions, one-hot": lambda rows: np.eye(INPUTS)[transitions(rows)],
    "longest run, one-hot": lambda rows: np.eye(INPUTS)[longest_run(rows) - 1],
    "products at lags 1 to 10": lag_products,
    "counts of 4-grams": four_grams,
    "all together": lambda rows: np.concatenate(
        [of(rows) for name, of in FEATURES.items() if name != "all together"], axis=1),
}


def with_interval(values, units):
    """Mean and 95 % half-width of values (N,), where rows of the same unit (N,), such as a person,
    are not independent: each unit counts once, with its mean."""
    _, units = np.unique(units, return_inverse=True)
    of_units = np.bincount(units, values) / np.bincount(units)
    half = 1.96 * of_units.std(ddof=1) / len(of_units) ** 0.5
    return {"mean": float(of_units.mean()), "half": float(half), "units": len(of_units)}


def overfitting(setting, trained):
    """Mean curves of the trainings of a setting, and the numbers to judge over-fitting by."""
    curves = {part: np.mean([of[part] for _, _, of in trained], axis=0).tolist()
              for part in ("train", "validation", "human")}
    return {"setting": setting.name, "human_rows": curves.pop("human"), "curves": curves,
            "lowest_validation_loss": min(loss for _, loss in curves["validation"]),
            "end": {part: curve[-1] for part, curve in curves.items()}}


def lag_profile(W, v, lags=range(1, 11)):
    """Mean of S[i, j] over j - i = lag, for S = W diag(v) W^T; W (20, hidden), v (hidden,).

    A heuristic: to second order, a ReLU network adds S[i, j] x[i] x[j] to its output, up to a
    positive factor. Above 0: equal values `lag` places apart speak for a human."""
    S = (W * v) @ W.T
    return [float(np.diag(S, lag).mean()) for lag in lags]


def read_matrix(weights, human, machine):
    """What the weights of the submitted network and the data show of lags."""
    data = lag_products(human).mean(axis=0) - lag_products(machine).mean(axis=0)
    profile = lag_profile(weights[0], weights[2][:, 0])
    return {"profile": profile, "data": data.tolist(),
            "same_sign": int((weights[0][1:] * weights[0][:-1] > 0).sum()),  # of 380 neighbours
            "correlation": float(np.corrcoef(profile, data)[0, 1]),
            "without_lag_1": float(np.corrcoef(profile[1:], data[1:])[0, 1])}


def alternation(data, few=4, many=14):
    """How often neighbours differ: the mean, the shares of rows with at most `few` and at least
    `many` transitions, the lowest and the highest mean of a person, if people are known; and how
    often the best of all rules "human, if there are at least t transitions" is right."""
    right = {t: ((transitions(data.human) >= t).mean() + (transitions(data.machine) < t).mean()) / 2
             for t in range(INPUTS)}
    best = max(right, key=right.get)
    found = {"few": few, "many": many, "people": None,
             "threshold": {"at_least": best, "right": float(right[best])}}
    for name, rows in (("human", data.human), ("machine", data.machine)):
        counts = transitions(rows)
        found[name] = {"mean": float(counts.mean() / (INPUTS - 1)),
                       "few": float((counts <= few).mean()), "many": float((counts >= many).mean())}
    if data.person is not None:
        each = [float(transitions(data.human[data.person == one]).mean() / (INPUTS - 1))
                for one in np.unique(data.person)]
        found["people"] = [min(each), max(each)]
    return found


def compare_features(right, units):
    """A row for each set of features. right: {features: (N,)}, which rows were judged rightly by
    networks that had not seen their unit (N,)."""
    return [{"features": name, "inputs": FEATURES[name](np.ones((1, INPUTS))).shape[1],
             **with_interval(of, units),
             "gain": with_interval(of * 1.0 - right["raw values"], units)}
            for name, of in right.items()]


def compare_instructions(data, right, best_features):
    """A row for each instruction: how often neighbours differ, and the share of human rows that
    networks recognised that had not seen the person; right as in compare_features()."""
    rows, differ = [], transitions(data.human) / (INPUTS - 1)
    for name in np.unique(data.instruction):
        of_it = np.flatnonzero(data.instruction == name)
        rows.append({"instruction": str(name), **{
            key: with_interval(values[of_it], data.person[of_it])
            for key, values in (("differ", differ), ("raw", right["raw values"]),
                                ("best", right[best_features]))}})
    return rows


def study(data, settings, features, folds, epochs):
    """Explore the settings over random folds, then the features with the best of them over folds by
    people, if the file tells people apart. Returns the numbers of the report, and the weights and
    the setting of the submitted network: that of the first random fold."""
    rows = np.concatenate([data.human, data.machine])
    labels = np.repeat(np.float32([1, 0]), [len(data.human), len(data.machine)])  # 1: human
    random_folds = np.concatenate([folds_of(np.arange(len(of)), folds)
                                   for of in (data.human, data.machine)])
    by_people = data.person is not None and len(np.unique(data.person)) >= folds
    if by_people:  # as many machine rows as human ones go with a person, as far as there are any
        units = np.concatenate([data.person, np.resize(data.person, len(data.machine))])
        split, split_folds = "held-out people", folds_of(units, folds)
    else:
        units, split, split_folds = np.arange(len(rows)), "random rows", random_folds

    explored = {setting: cross_validate(setting, "raw values", rows, labels, random_folds,
                                        data.coding, epochs) for setting in settings}
    accuracy = {setting: with_interval(of, units) for setting, (_, of) in explored.items()}
    ranked = sorted(settings, key=lambda setting: -accuracy[setting]["mean"])
    best = ranked[0]
    other = settings[0] if best != settings[0] else settings[1]
    right = {name: cross_validate(best, name, rows, labels, split_folds, data.coding, epochs)[1]
             for name in features}
    weights, _, curves = explored[best][0][0]
    compared = compare_features(right, units)
    best_features = max(compared, key=lambda row: row["mean"])["features"]
    return {
        "split": split, "units": len(np.unique(units)), "unit_kind": split.split()[-1],
        "ranking": [{"setting": setting.name, "learning_rate": setting.learning_rate,
                     "validation": accuracy[setting],
                     "train": np.mean([of["train"][-1][0] for _, _, of in explored[setting][0]])}
                    for setting in ranked],
        "submitted": {"setting": best.name, "curves": curves, "train": curves["train"][-1][0],
                      "validation": curves["validation"][-1][0],
                      "validation_rows": int((random_folds == 0).sum())},
        "people": {name: with_interval(right["raw values"][of], units[of]) for name, of in (
            ("all", labels >= 0), ("human", labels == 1), ("machine", labels == 0))}
        if by_people else None,
        "overfitting": [overfitting(setting, explored[setting][0]) for setting in (best, other)],
        "matrix": read_matrix(weights, data.human, data.machine),
        "alternation": alternation(data), "features": compared, "best_features": best_features,
        "of_instructions": compare_instructions(data, right, best_features)
        if by_people and data.instruction is not None else []}, weights, best


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})
STYLES = {"train": {"color": "#0072B2"}, "validation": {"color": "#D55E00", "linestyle": "--"}}
NAMES = {"train": "training", "validation": "validation"}


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def plot_learning_curve(results, folder):
    """The submitted network: probability of correct classification after each epoch."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for part, style in STYLES.items():
        curve = 100 * np.array(results["submitted"]["curves"][part])[:, 0]
        label = f"{NAMES[part]}, {curve[-1]:.1f}% at the end"
        axes.plot(range(1, len(curve) + 1), curve, label=label, **style)
    axes.set(xlabel="epoch", ylabel="probability of correct classification (%)",
             title=f"Human or machine? 20-20-1, batch size {BATCH_SIZE}, random 80/20 split\n"
                   f"{results['submitted']['setting']}")
    axes.legend()
    save(figure, folder / "p4_learning_curve.png")


def plot_overfitting(results, folder):
    """Mean curves over the folds of the best setting and of one to compare it with."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2))
    for axes, k, scale, label in ((panels[0], 0, 100, "probability of correct classification (%)"),
                                  (panels[1], 1, 1, "binary cross-entropy (nats)")):
        looks = {"linewidth": 2.2}, {"linewidth": 1.2, "alpha": 0.6}
        for run, look in zip(results["overfitting"], looks):
            for part, style in STYLES.items():
                curve = scale * np.array(run["curves"][part])[:, k]
                axes.plot(range(1, len(curve) + 1), curve, **style, **look,
                          label=f"{run['setting']}: {NAMES[part]}")
        axes.set(xlabel="epoch", ylabel=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(f"Over-fitting? 20-20-1, batch size {BATCH_SIZE}, mean of the random folds")
    save(figure, folder / "p4_overfitting.png")


def plot_weights(W, matrix, folder):
    """The matrix as it is printed, and what all neurons together say about each lag."""
    figure, panels = plt.subplot_mosaic([["map", "profile"], ["map", "data"]], figsize=(10, 4.8),
                                        width_ratios=[1.35, 1])
    axes, limit = panels["map"], np.abs(W).max()
    image = axes.imshow(W, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_xticks([0, 4, 9, 14, 19], [1, 5, 10, 15, 20])
    axes.set_yticks([0, 4, 9, 14, 19], [1, 5, 10, 15, 20])
    axes.set(xlabel="hidden neuron", ylabel="input position",
             title="weights from inputs to hidden neurons")
    axes.grid(False)
    figure.colorbar(image, ax=axes, shrink=0.7)
    lags = range(1, 11)
    panels["profile"].bar(lags, matrix["profile"], color="#009E73")
    panels["profile"].set_title("network: W diag(v) W$^T$ by lag", size=11)
    panels["data"].bar(lags, matrix["data"], color="#56B4E9")
    panels["data"].set_xlabel("lag (places apart)")
    panels["profile"].set_ylabel("mean entry")
    panels["data"].set_ylabel("mean product")
    panels["data"].set_title("data: human minus machine, by lag", size=11)
    for name in ("profile", "data"):
        panels[name].set_xticks(lags)
        panels[name].axhline(0, color="black", linewidth=0.8)
    save(figure, folder / "p4_weights.png")


def plot_features(human, machine, results, folder):
    """Distributions of two features, and how far each set of features carries."""
    figure = plt.figure(figsize=(10, 5.4))
    top, bottom = figure.subfigures(2, 1)
    for axes, feature, label in zip(top.subplots(1, 2), (transitions, longest_run),
                                    ("number of transitions", "longest run")):
        for rows, colour, source, shift in ((human, "#0072B2", "human", -0.2),
                                            (machine, "#E69F00", "machine", 0.2)):
            share = 100 * np.bincount(feature(rows), minlength=INPUTS + 1) / len(rows)
            place = np.arange(INPUTS + 1) + shift
            axes.bar(place, share, 0.4, color=colour, label=source)
        axes.set(xlabel=f"{label} in a row of 20", ylabel="share of the rows (%)")
        axes.legend()
    axes, rows = bottom.subplots(), results["features"]
    axes.errorbar([100 * row["mean"] for row in rows], range(len(rows)), fmt="o", color="#009E73",
                  xerr=[100 * row["half"] for row in rows], capsize=4)
    axes.set_yticks(range(len(rows)), [row["features"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="probability of correct classification (%), 95% interval",
             title=f"The same network on different features, by {results['split']}")
    save(figure, folder / "p4_features.png")


def matrix_text(W):
    """The weight matrix: a row for each input position, a column for each hidden neuron, in two
    blocks of ten neurons, so that it fits a page."""
    lines = []
    for block in (range(10), range(10, HIDDEN)):
        lines += ["neuron" + "".join(f"{j + 1:8d}" for j in block), ""]
        for i, row in enumerate(W):
            lines.append(f"{i + 1:6d}" + "".join(f"{row[j]:8.3f}" for j in block))
        lines += [""]
    return "\n".join(lines[:-1])


def write_model(path, weights, setting):
    """An HDF5 model that loads, compiled, in TensorFlow 2.2 (2020), 2.15 (last Keras 2) and now.

    Keras 3 reads what Keras 2 saved, but not the reverse. So this writes what TensorFlow 2.2 would
    have saved: `batch_input_shape`, no key younger than 2020, and all text as bytes, on which that
    Keras calls decode()."""
    penalty = {"class_name": "L1L2", "config": {"l1": setting.l1, "l2": setting.l2}}

    def dense(name, units, activation):
        return {"class_name": "Dense", "config": {
            "name": name, "dtype": "float32", "units": units, "activation": activation,
            "kernel_regularizer": penalty if setting.l1 or setting.l2 else None}}
    model = {"class_name": "Sequential", "config": {"name": "human_machine", "layers": [
        {"class_name": "InputLayer", "config": {
            "batch_input_shape": [None, INPUTS], "dtype": "float32", "sparse": False,
            "ragged": False, "name": "bits"}},
        dense("hidden", HIDDEN, "relu"), dense("human", 1, "sigmoid")]}}
    training = {"loss": "binary_crossentropy", "metrics": ["accuracy"], "weighted_metrics": None,
                "loss_weights": None, "sample_weight_mode": None, "optimizer_config": {
                    "class_name": setting.optimizer,
                    "config": {"name": setting.optimizer, "learning_rate": setting.learning_rate}}}
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


def try_bits(text, out):
    """--try: what the network in `out` says of 20 bits, and how rare coins have such features."""
    model_file, results_file = out / "p4_model.hdf5", out / "p4_results.json"
    try:
        low, high = json.loads(results_file.read_text(encoding="utf-8"))["coding"]
        model = keras.models.load_model(model_file, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{model_file}: found no model and results of a run ({error}); "
                        "run: python p4_human_machine.py") from None
    if not text:
        print("20 zeros and ones, as random as you can:")
        text = sys.stdin.readline()
    bits = "".join(text.split())
    if len(bits) != INPUTS or set(bits) - {"0", "1"}:
        raise DataError(f"--try: found {bits[:40]!r}, {len(bits)} characters; "
                        f"expected {INPUTS} zeros and ones; type for example 01101001011010010110")
    row = np.array([[high if bit == "1" else low for bit in bits]], np.float32)
    p = float(model(row)[0, 0])
    print(f"The network says: {p:.0%} human, {1 - p:.0%} machine.")
    numbers = np.arange(2 ** INPUTS, dtype=">u4").view(np.uint8).reshape(-1, 4)
    every = np.unpackbits(numbers, axis=1)[:, -INPUTS:]  # all rows there are
    for name, feature in (("transitions", transitions), ("longest run", longest_run)):
        found, coins = feature(row)[0], feature(every)
        print(f"{name}: {found}. Coins have {coins.mean():.1f} on average, "
              f"as few or fewer in {(coins <= found).mean():.1%} of rows, "
              f"as many or more in {(coins >= found).mean():.1%}.")


REPORT = """# Problem 4: human or machine?

{insight}Data: {source}, {human} human and {machine} machine rows.{quick_note} ± is half of a 95%
interval over {units} {unit_kind}, taken as independent.

## The network
20-20-1: {hidden} hidden neurons with ReLU, one output with logistic sigmoid, binary cross-entropy,
batch size {batch_size}, {epochs} epochs. The label is 1 for human. Values are coded {coding[0]} and
{coding[1]}, as in the file. The split is 80/20, at random; over all folds every row validates once.

## Learning curves
![learning curve](p4_learning_curve.png)

The submitted network, of the first fold, ends at {submitted[train]:.1%} on its training rows and
{submitted[validation]:.1%} on its {submitted[validation_rows]} validation rows; the mean of all
folds is {ranking[0][validation][mean]:.1%}.

**Over-fitting?** {overfitting_text}

![over-fitting](p4_overfitting.png)

## Optimizers and regularizers
| setting | initial learning rate | validation, random folds | training |
|---|---|---|---|
{ranking_table}

Initial learning rates were set by hand, one for each optimizer; they fall linearly to 0. Submitted
is the best on validation: **{submitted[setting]}**; differences smaller than ± may be chance.
{people_text}

## The weight matrix
Rows are the 20 inputs, columns the 20 hidden neurons ([text](p4_weights.txt),
[CSV with all digits](p4_weights.csv)).

```
{matrix_text}
```

![weights](p4_weights.png)

W diag(v) W^T, with v the output weights, adds up what all neurons say about a pair of inputs (a
heuristic, to second order). Its lag profile correlates with that of the data by
{matrix[correlation]:.2f}, without lag 1 by {matrix[without_lag_1]:.2f}.

## Insight into feature design
{features_text}![features](p4_features.png)

| features | inputs | validation, by {split} | gain over raw values, in points |
|---|---|---|---|
{features_table}

{instructions}All with the submitted setting. Products at a lag are summed over the row; 4-grams are
the 16 patterns of four neighbours; one-hot: an input for each value of the number.

## Submitted
[p4_model.hdf5](p4_model.hdf5), a tf.keras model for TensorFlow 2.2 (2020) to the current one, and
[p4_learning_curve.png](p4_learning_curve.png). {course_text}All numbers:
[p4_results.json](p4_results.json). The run took {seconds} s.
"""
# Of the full run on the shipped file; tests/test_outputs.py holds each claim against the results.
INSIGHT = """\
People told to be random alternate too often: neighbours differ in
{of_instructions[2][differ][mean]:.0%} of places where a random sequence was asked for, in
{of_instructions[1][differ][mean]:.0%} where a mental coin toss was, in half with a fair coin. But
people differ from one another, from {alternation[people][0]:.0%} to {alternation[people][1]:.0%}.
The best threshold on this one number is right on {alternation[threshold][right]:.1%} of the rows,
the assigned network hardly more often: on **{people[all][mean]:.1%}** when their people are held
out. Given counts of 4-grams instead of raw values, the same network is right on
**{features[4][mean]:.1%}**.

"""
OVERFITTING = """\
Yes with Adam alone: the validation loss falls to {overfitting[1][lowest_validation_loss]:.3f} and
climbs back to {overfitting[1][end][validation][1]:.3f}, while accuracy on the training rows reaches
{overfitting[1][end][train][0]:.1%}. New coin flips stop that climb: in each epoch the machine's
training rows are drawn anew, since the machine is known to be a fair coin; validation rows never
change (and the curves count the file's own machine rows). With this alone added, the validation
loss ends at {overfitting[0][end][validation][1]:.3f}, within 0.01 of its lowest value. But human
rows still repeat from epoch to epoch, and there a gap remains: on average, the five networks
recognise {overfitting[0][human_rows][0]:.1%} of those they were trained on and
{overfitting[0][human_rows][1]:.1%} of the others."""
FEATURES_TEXT = """\
By eye, many neurons weigh neighbouring inputs alike ({matrix[same_sign]} of 380 pairs have the
same sign), so they add up stretches of the row. Together with the output weights the matrix says
more: its profile is most negative at lag 1, then at lag 3, and so is that of the data. (It has the
wrong sign at lag 2 and next to nothing at lag 4.) Equal neighbours speak for the machine, so what
counts is the product of two values. A layer of ReLU neurons adds its inputs, and can multiply them
only roughly. So give it the products:

- **Products** at ten lags raise the accuracy on held-out people from {features[0][mean]:.1%} to
  {features[3][mean]:.1%}, **counts of 4-grams** to {features[4][mean]:.1%}.
- **One number is as good as twenty raw values**, within the intervals, if it is coded one-hot: the
  number of transitions has {features[1][mean]:.1%}, the longest run {features[2][mean]:.1%}.
- **Very few transitions point to a human as well as very many.** At most {alternation[few]} occur
  in {alternation[human][few]:.1%} of the human and {alternation[machine][few]:.1%} of the machine
  rows, at least {alternation[many]} in {alternation[human][many]:.1%} and
  {alternation[machine][many]:.1%}. But most human rows lie between, like the machine's.
- All features together do no better than the 4-grams alone.

Those who chose freely alternate no more often than a coin, within the interval. Yet they are not
clearly harder to recognise than those who were told to be random: the intervals of the three
instructions overlap, with raw values and with 4-grams.

"""


COURSE_TEXT = """\
These are the people of a study, not of the course. For the course's auto-grader take
[the model trained on the course's Fall 2020 file](course_fall2020/p4_model.hdf5). """


def percent(found):
    return f"{found['mean']:.1%} ± {found['half']:.1%}"


def report(results, W):
    """p4_report.md. The discussion belongs to the full run on the shipped data."""
    discuss = not results["quick"] and "RANDECOD" in results["source"]
    ranking = [f"| {row['setting']} | {row['learning_rate']:g} | {percent(row['validation'])} "
               f"| {row['train']:.1%} |" for row in results["ranking"]]
    features = []
    for row in results["features"]:
        gain = f"{100 * row['gain']['mean']:+.1f} ± {100 * row['gain']['half']:.1f}"
        features.append(f"| {row['features']} | {row['inputs']} | {percent(row)} "
                        f"| {'' if row['features'] == 'raw values' else gain} |")
    gaps = ". ".join(f"{run['setting']}: {run['end']['train'][0]:.1%} on training rows, "
                     f"{run['end']['validation'][0]:.1%} on validation rows; validation loss "
                     f"{run['end']['validation'][1]:.3f}, its lowest "
                     f"{run['lowest_validation_loss']:.3f}"
                     for run in results["overfitting"])
    people = (f"With people held out it has {percent(results['people']['all'])}: "
              f"{results['people']['human']['mean']:.1%} of the human rows and "
              f"{results['people']['machine']['mean']:.1%} of the machine's."
              if results["people"] else
              "The file tells no people apart, or too few, so rows of one person may stand on both "
              "sides, and ± is a lower limit.")
    instructions = "".join(
        f"| {row['instruction']} | {row['raw']['units']} | {percent(row['differ'])} "
        f"| {percent(row['raw'])} | {percent(row['best'])} |\n"
        for row in results["of_instructions"])
    if instructions:
        instructions = (
            "| instruction | people | neighbours differ | rows recognised as human, raw values "
            f"| the same, {results['best_features']} |\n|---|---|---|---|---|\n{instructions}\n")
    text = {"insight": INSIGHT.format(**results) if discuss else "",
            "features_text": FEATURES_TEXT.format(**results) if discuss else "",
            "course_text": COURSE_TEXT if discuss else "",
            "overfitting_text": OVERFITTING.format(**results) if discuss else f"{gaps}."}
    return REPORT.format(
        **results, **text, hidden=HIDDEN, batch_size=BATCH_SIZE, matrix_text=matrix_text(W),
        ranking_table="\n".join(ranking), features_table="\n".join(features),
        instructions=instructions, people_text=people,
        quick_note=" Quick run: a smoke test, not a result." * results["quick"])


def parse_arguments(parser):
    """The options that all four scripts have, and a folder that can be written to."""
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp()) if arguments.quick else FOLDER / "outputs"
    arguments.out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=arguments.out).close()  # a read-only folder is told now
    page = arguments.out / "README.md"
    if page.exists() and not page.read_bytes().startswith(b"# Problem"):
        raise DataError(f"{page}: found another page; expected none, or one written by these "
                        "scripts; choose another folder with --out")
    return arguments


@contextmanager
def complete_outputs(out):
    """A folder to write to; when all is written, its files move to `out`, the reports last."""
    with tempfile.TemporaryDirectory(prefix=".p_", dir=out) as folder:
        yield Path(folder)
        reports = {path.name: path for place in (out, Path(folder))
                   for path in place.glob("p?_report.md")}
        page = "\n".join(reports[name].read_text(encoding="utf-8") for name in sorted(reports))
        (Path(folder) / "README.md").write_text(page, encoding="utf-8")
        for path in sorted(Path(folder).iterdir(), key=lambda path: path.suffix == ".md"):
            path.replace(out / path.name)
    print(f"outputs: {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA_FILE, help="another year's file")
    parser.add_argument("--try", dest="bits", nargs="?", const="", metavar="BITS",
                        help="judge 20 zeros and ones (asked for if not given), and train nothing")
    arguments = parse_arguments(parser)
    if arguments.bits is not None:
        return try_bits(arguments.bits, arguments.out)
    if arguments.data.resolve() != DATA_FILE and arguments.out.resolve() == FOLDER / "outputs":
        raise DataError(f"{arguments.data}: its outputs need a folder of their own; add --out DIR")
    begin = time.perf_counter()
    data, features, folds, epochs = load_sequences(arguments.data), FEATURES, FOLDS, EPOCHS
    if min(len(data.human), len(data.machine)) < 100:
        raise DataError(f"{arguments.data}: found {len(data.human)} human and {len(data.machine)} "
                        "machine rows; expected 100 of each at least; use a larger file")
    settings = [setting for setting in SETTINGS if data.coin_flips or not setting.new_flips]
    if arguments.quick:
        settings, folds, epochs = [settings[0], settings[-1]], 2, 2
        features = dict(list(FEATURES.items())[:2])

    found, weights, submitted = study(data, settings, features, folds, epochs)
    results = {
        "problem": 4, "quick": arguments.quick, "source": data.source, "human": len(data.human),
        "machine": len(data.machine), "coding": data.coding, "epochs": epochs, **found,
        "seconds": round(time.perf_counter() - begin)}
    with complete_outputs(arguments.out) as folder:
        plot_learning_curve(results, folder)
        plot_overfitting(results, folder)
        plot_weights(weights[0], results["matrix"], folder)
        plot_features(data.human, data.machine, results, folder)
        write_model(folder / "p4_model.hdf5", weights, submitted)
        (folder / "p4_weights.txt").write_text(matrix_text(weights[0]) + "\n", encoding="utf-8")
        np.savetxt(folder / "p4_weights.csv", weights[0], fmt="%.9g", delimiter=",")
        (folder / "p4_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        (folder / "p4_report.md").write_text(report(results, weights[0]), encoding="utf-8")
    print(matrix_text(weights[0]))


if __name__ == "__main__":
    interrupts = []

    def interrupt(*_):  # noted, since TensorFlow may turn KeyboardInterrupt into another error
        interrupts.append(True)
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, interrupt)
    try:
        main()
    except BaseException as error:
        if interrupts:
            print("\ninterrupted; earlier outputs are as they were", file=sys.stderr)
            sys.exit(130)
        if isinstance(error, (DataError, OSError, RuntimeError)):
            print(f"\nerror: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(2)
        raise

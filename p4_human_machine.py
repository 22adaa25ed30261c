"""Problem 4: did a human or a machine write these 20 bits? A small MLP, and what it looks at.

    python p4_human_machine.py                          (about 4 minutes on two cores)
    python p4_human_machine.py --data FILE --out DIR    (any file with 20 presses a row)
    python p4_human_machine.py --try 01101... 10011...  (20 bits of yours, judged by the network)

Trains the homework's network (20-20-1, ReLU, sigmoid, binary cross-entropy, batch size 16) with
several optimizers and regularizers on five 80/20 splits. Where the file says who pressed what, all
rows of a person are on one side of a split: the network is judged on people whom it has never seen.
Submitted is a network of the setting with the lowest validation cross-entropy. What features would
a person design? Logistic regressions on a few of them stand beside the networks.

Reads  data/binary_random.hdf5, or the file of --data
Writes outputs/p4_model.hdf5, p4_learning_curve.png, p4_overfitting.png, p4_networks.csv,
       p4_weights.txt (as printed), p4_weights.png, p4_regularity.png, p4_results.json
Prints a line for each setting, the weight matrix, and at the end

    submitted: 20-20-1 by Adam, cyclic shifts, of the first fold
    outputs: <folder>
"""
import argparse
import csv
import io
import json
import os
import platform
import sys
import tempfile
import time
from math import comb
from pathlib import Path
from typing import NamedTuple

# Read by the libraries when they are imported, so set first; they overrule the user's own.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",  # quiet
    CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0",  # so that equal runs give equal numbers
    KERAS_BACKEND="tensorflow", TF_USE_LEGACY_KERAS="0",
    KERAS_HOME=os.devnull,  # no keras.json is read or written
    PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="upb",  # TensorFlow ends where it is "cpp"
    MPLBACKEND="Agg",  # draw into files, without a screen
    HDF5_USE_FILE_LOCKING="FALSE")  # network folders may refuse locks

import h5py
import matplotlib
matplotlib.use("Agg")  # also where a notebook has imported matplotlib before
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

from data.loader import DataError, load_sequences, path_argument

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network
plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})

FOLDER = Path(__file__).resolve().parent
DATA_FILE = FOLDER / "data" / "binary_random.hdf5"


class Setting(NamedTuple):
    """How a network is trained; the learning rate falls linearly from this one to 0."""
    optimizer: str
    learning_rate: float
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    cyclic_shifts: bool = False
    epochs: int = 30  # fixed: a best epoch picked on the validation rows would flatter the result


INPUTS, HIDDEN = 20, 20  # fixed by the homework
FOLDS = 5  # an 80/20 split, five times: every row validates once, so that no lucky split decides
SPLIT_SEED = 0
BATCH_SIZE = 16  # fixed by the homework
SETTINGS = {  # others were tried on validation rows: tests/experiments/search_p4.py
    "Adam": Setting("Adam", 0.006),
    "Adam, L2 0.003": Setting("Adam", 0.006, l2=3e-3),
    "Adam, L1 0.0003": Setting("Adam", 0.006, l1=3e-4),
    "Adam, dropout 0.2": Setting("Adam", 0.006, dropout=0.2),
    "SGD, L2 0.003": Setting("SGD", 0.2, l2=3e-3),
    "RMSprop, L2 0.003": Setting("RMSprop", 0.006, l2=3e-3),
    # A row has twenty forms, so it takes more epochs to learn them, and it over-fits little.
    "Adam, cyclic shifts": Setting("Adam", 0.006, cyclic_shifts=True, epochs=200),
}
OVERFITTING = ("Adam", "Adam, L2 0.003", "Adam, cyclic shifts")  # shown side by side
CLOSE = 0.003  # cross-entropies (nats) that another machine may order otherwise
LAGS = range(1, 11)  # how many places two presses are apart
# How often a coin changes sides in a row, 0 to 19 times: exact probabilities.
COIN = np.array([comb(INPUTS - 1, k) for k in range(INPUTS)]) / 2 ** (INPUTS - 1)


class RandomCyclicShift(keras.layers.Layer):
    """In training, begins each row at a random place and reads it round; else, changes nothing.

    What tells a person from a coin does not hang on where in the row it stands. So the network is
    told that the place does not matter, as problem 1's is by images moved by a pixel."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator()  # seeded by set_random_seed()

    def call(self, rows, training=False):
        if not training:
            return rows
        number = keras.ops.shape(rows)[0]
        first = keras.random.randint((number, 1), 0, INPUTS, seed=self.seed_generator)
        places = (first + keras.ops.arange(INPUTS)) % INPUTS
        return keras.ops.take_along_axis(rows, places, axis=1)


def build(setting):
    """The homework's network."""
    penalty = keras.regularizers.L1L2(setting.l1, setting.l2)
    layers = [keras.Input((INPUTS,))]
    if setting.cyclic_shifts:
        layers.append(RandomCyclicShift())
    layers += [keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=penalty),
               keras.layers.Dropout(setting.dropout),
               keras.layers.Dense(1, "sigmoid", kernel_regularizer=penalty)]
    return keras.Sequential(layers)


def train(model, setting, seed, x, y, x_validation, y_validation):
    """Train a fresh model. x (N, 20), y (N, 1): 1 for human; the same for validation.

    Returns Keras' history: {name of a measure: its value in each epoch}. Training values are
    counted during the epoch, with dropout and of shifted rows; validation values after it,
    without."""
    # A trap for all who set Keras' seed: fit() on arrays then repeats one order of the samples in
    # every epoch. This pipeline draws a new order for each epoch.
    minibatches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed)
    minibatches = minibatches.batch(BATCH_SIZE)
    updates = len(minibatches)  # in an epoch
    schedule = keras.optimizers.schedules.PolynomialDecay(
        setting.learning_rate, updates * setting.epochs, end_learning_rate=0.0)
    optimizer = getattr(keras.optimizers, setting.optimizer)(schedule)
    # All updates of an epoch in one call take a quarter of the time.
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "binary_crossentropy"],
                  steps_per_execution=updates)
    history = model.fit(minibatches, epochs=setting.epochs, shuffle=False, verbose=0,
                        validation_data=(x_validation, y_validation), validation_batch_size=1000)
    return history.history


def log_odds(weights, x):
    """ln p/(1-p) that a human wrote the rows x (n, 20): what a 20-20-1 gives to its sigmoid, (n,).
    """
    W, b, v, c = weights
    return (np.maximum(x @ W + b, 0) @ v + c)[:, 0]


class Rows(NamedTuple):
    """All rows of a file."""
    x: np.ndarray       # (N, 20) float32, in the file's own coding
    human: np.ndarray   # (N,) booleans
    person: np.ndarray  # (N,) numbers from 0; machine rows are dealt out to the people
    people: int
    fold: np.ndarray    # (N,) the fold in which a row is held out, from 0


def load(path, rows_per_person):
    """The SequenceData of a file, and its Rows. Where nobody is known (rows_per_person is None, no
    `person` in the file), each human row is a person of its own.

    The machine rows are dealt out to the people in proportion, in the same order, so that both
    sides of a split have the same share of human rows; the people are dealt out to the folds at
    random. Raises DataError where the file is too small or rows_per_person does not fit it."""
    data = load_sequences(path)
    n, m = len(data.human), len(data.machine)
    if rows_per_person and (data.person is not None or n % rows_per_person):
        raise DataError(f"{path}: --rows-per-person {rows_per_person} does not fit: found {n} "
                        "human rows; expected whole blocks, and no key `person`; give another "
                        "number, or leave it out")
    if data.person is not None:
        person = np.unique(data.person, return_inverse=True)[1]
    elif rows_per_person:
        person = np.arange(n) // rows_per_person
    else:
        person = np.arange(n)
    people = int(person.max()) + 1
    if min(n, m) < 100 or people < FOLDS:
        raise DataError(f"{path}: found {n} human and {m} machine rows, of {people} people; "
                        f"expected 100 of each, of {FOLDS} people, at least; use a larger file")

    # Machine row i goes to the person of human row i n/m, rounded down.
    person_of_machine = person[np.arange(m) * n // m]
    person = np.concatenate([person, person_of_machine])
    human = np.arange(n + m) < n
    x = np.concatenate([data.human, data.machine]).astype(np.float32)
    fold_of_person = np.random.default_rng(SPLIT_SEED).permutation(people) % FOLDS
    return data, Rows(x, human, person, people, fold_of_person[person])


def split(rows, fold):
    """x, y to train on and x, y to validate with, when a fold is held out; y (n, 1): 1 for human.
    """
    held_out = rows.fold == fold
    y = rows.human.astype(np.float32)[:, None]
    return rows.x[~held_out], y[~held_out], rows.x[held_out], y[held_out]


class Trained(NamedTuple):
    """A setting's networks, one for each fold, trained on the rows of the others."""
    weights: list         # of each network: [W (20, 20), b (20,), v (20, 1), c (1,)]
    histories: list       # Keras' history of each
    log_odds: np.ndarray  # (FOLDS, N) of a human, what each says of every row, seen or held out


def train_folds(setting, rows):
    """Trained, in all folds."""
    weights, histories = [], []
    for fold in range(FOLDS):
        keras.utils.set_random_seed(fold)
        model = build(setting)
        histories.append(train(model, setting, fold, *split(rows, fold)))
        weights.append(model.get_weights())
    f = np.array([log_odds(network, rows.x) for network in weights])
    return Trained(weights, histories, f)


def features_of(x):
    """Features of rows x (n, 20), by name: the mean product of the presses, as -1 and +1, that are
    1, 2, ... 10 places apart, (n, 10); its square, which knows no sign, (n, 10); both, (n, 20)."""
    presses = np.where(x > 0, 1.0, -1.0)
    columns = []
    for lag in LAGS:
        products = presses[:, lag:] * presses[:, :-lag]
        columns.append(products.mean(axis=1))
    means = np.stack(columns, axis=1)
    squares = means ** 2
    return {"ten mean products": means,
            "their ten squares": squares,
            "ten mean products and their squares": np.hstack([means, squares])}


def fit_logistic(features, human):
    """Logistic regression by ten Newton steps. features (n, k), human (n,) booleans.

    Returns k coefficients and the constant, (k + 1,). A trace of L2 gives an answer, too, where
    the features separate the classes."""
    l2 = 1e-3
    X = np.column_stack([features, np.ones(len(features))])
    w = np.zeros(X.shape[1])
    for _ in range(10):
        p = (1 + np.tanh(X @ w / 2)) / 2  # the sigmoid, without overflow
        gradient = X.T @ (p - human) + l2 * w
        hessian = (X.T * (p * (1 - p))) @ X + l2 * np.eye(len(w))
        w -= np.linalg.solve(hessian, gradient)
    return w


def logistic_folds(features, rows):
    """Logistic regression on features (N, k), once for each fold. Returns log-odds as in Trained.
    """
    f = []
    for fold in range(FOLDS):
        seen = rows.fold != fold
        w = fit_logistic(features[seen], rows.human[seen])
        f.append(features @ w[:-1] + w[-1])
    return np.array(f)


def over_people(values, person):
    """Mean of the people's own means of values (n,), and half of its 95 % interval.

    The interval is 1.96 standard errors over people. It covers that other people are different;
    not that another seed trains another network."""
    rows_of_person = np.bincount(person)
    has_rows = rows_of_person > 0
    means = np.bincount(person, values)[has_rows] / rows_of_person[has_rows]
    return means.mean(), 1.96 * means.std(ddof=1) / len(means) ** 0.5


def held_out(values, fold):
    """Of values (FOLDS, N) those of the network that has not seen a row, (N,). fold (N,)."""
    return values[fold, np.arange(len(fold))]


def judge(f, first, rows):
    """How good log-odds f (FOLDS, N) are, beside those of the first network: columns of the table.

    Each row validates once, by the network that has not seen it. Training values are means of the
    folds. Accuracy (%) is always the mean over people of the accuracy on a person's rows and the
    machine rows dealt out to that person; cross-entropy is the mean over rows of
    -ln(probability of the label), in nats."""
    right = 100.0 * ((f > 0) == rows.human)
    first_right = 100.0 * ((first > 0) == rows.human)
    entropy = np.logaddexp(0, np.where(rows.human, -f, f))
    training_accuracies, training_entropies = [], []
    for fold in range(FOLDS):
        seen = rows.fold != fold
        training_accuracies.append(over_people(right[fold, seen], rows.person[seen])[0])
        training_entropies.append(entropy[fold, seen].mean())
    accuracy, half = over_people(held_out(right, rows.fold), rows.person)
    gain, half_of_gain = over_people(held_out(right - first_right, rows.fold), rows.person)
    return {"training accuracy (%)": np.mean(training_accuracies),
            "validation accuracy (%)": accuracy,
            "validation: half of 95% interval": half,
            "gain over the first row (points)": gain,
            "gain: half of 95% interval": half_of_gain,
            "training cross-entropy": np.mean(training_entropies),
            "validation cross-entropy": held_out(entropy, rows.fold).mean()}


def choose(judged):
    """The name of the setting to submit. judged: {name: as judge() returns it}.

    The lowest validation cross-entropy; those within CLOSE of it count as equal, and the first of
    them is taken, so that another machine takes the same."""
    key = "validation cross-entropy"
    lowest = min(numbers[key] for numbers in judged.values())
    for name, numbers in judged.items():
        if numbers[key] <= lowest + CLOSE:
            return name


def changes(x):
    """(n, 20) -> (n,): how often a row changes sides, how many neighbours differ, 0 to 19."""
    return (x[:, 1:] != x[:, :-1]).sum(axis=1)


def regularity(rows):
    """Shares (%) of rows that change sides seldom, and often: numbers for p4_results.json."""
    number, human = changes(rows.x), rows.human
    answers = {}
    for name, of_numbers in (("fewer_than_6", range(6)),
                             ("more_than_13", range(14, INPUTS))):
        percent = 100.0 * np.isin(number, of_numbers)
        share, half = over_people(percent[human], rows.person[human])
        answers[f"rows_with_{name}_changes"] = {
            "people": share, "people_half_of_interval": half,
            "machine": percent[~human].mean(),
            "coin": 100 * COIN[of_numbers].sum()}
    return answers


BLUE, ORANGE = "#0072B2", "#D55E00"  # training, validation


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_guess(axes, human_share, of_entropy=False):
    """A grey line: what a guess reaches that knows nothing but how many of the rows are human."""
    larger = max(human_share, 1 - human_share)
    level = 100 * larger
    if of_entropy:
        level = -(larger * np.log(larger) + (1 - larger) * np.log(1 - larger))
    axes.axhline(level, color="0.6", linewidth=0.8, label="a guess")


def plot_learning_curve(history, name, human_share, folder):
    """The network of p4_model.hdf5: probability of correct classification in each epoch.
    human_share: of the file's rows."""
    figure, axes = plt.subplots(figsize=(8.3, 4))
    epochs = range(1, len(history["accuracy"]) + 1)
    label = "training"
    if SETTINGS[name].cyclic_shifts:
        label = "training (shifted rows)"
    training = 100 * np.array(history["accuracy"])
    validation = 100 * np.array(history["val_accuracy"])
    axes.plot(epochs, training, color=BLUE, label=label)
    axes.plot(epochs, validation, "--", color=ORANGE, label="validation")
    draw_guess(axes, human_share)
    axes.set(xlabel="epoch", ylabel="probability of correct classification (%)")
    axes.set_title(f"Human or machine? 20-20-1 by {name}, first fold", size=10)
    axes.legend()
    save(figure, folder / "p4_learning_curve.png")


def plot_overfitting(trained, human_share, folder):
    """Accuracy and cross-entropy against epochs, means of the folds, for the settings OVERFITTING.
    trained: {name: Trained}; human_share: of the rows, for a guess."""
    figure, panels = plt.subplots(2, len(OVERFITTING), figsize=(8.3, 5.4), sharex="col",
                                  sharey="row")
    for name, (upper, lower) in zip(OVERFITTING, panels.T):
        for axes, key, scale in ((upper, "accuracy", 100),
                                 (lower, "binary_crossentropy", 1)):
            histories = trained[name].histories
            training = np.mean([history[key] for history in histories], axis=0)
            validation = np.mean([history[f"val_{key}"] for history in histories], axis=0)
            epochs = range(1, len(training) + 1)
            axes.plot(epochs, scale * training, color=BLUE, label="training")
            axes.plot(epochs, scale * validation, "--", color=ORANGE, label="validation")
        draw_guess(upper, human_share)
        draw_guess(lower, human_share, of_entropy=True)
        upper.set_title(name, size=10)
        lower.set_xlabel("epoch")
    panels[0, 0].set_ylabel("accuracy (%)")
    panels[1, 0].set_ylabel("cross-entropy (nats)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(f"Over-fitting: 20-20-1, means of {FOLDS} folds", size=10)
    save(figure, folder / "p4_overfitting.png")


def plot_regularity(rows, folder):
    """How often a row changes sides: people, the machine rows, and a coin, exactly."""
    number, places = changes(rows.x), np.arange(INPUTS)
    people = np.bincount(number[rows.human], minlength=INPUTS) / rows.human.sum()
    machine = np.bincount(number[~rows.human], minlength=INPUTS) / (~rows.human).sum()
    figure, axes = plt.subplots(figsize=(8.3, 3.6))
    axes.bar(places, 100 * people, color="#56B4E9", label="human rows")
    axes.plot(places, 100 * machine, "o", color="black", markersize=4, label="machine rows")
    axes.plot(places, 100 * COIN, color="#D55E00", label="a coin (exact)")
    top = 100 * COIN.max()
    for limit, side, text in ((5.5, "right", "fewer than 6 "),
                              (13.5, "left", " more than 13")):
        axes.axvline(limit, color="0.3", linestyle=":")
        axes.text(limit, top, text, ha=side, va="top")
    axes.set(xlabel="neighbours that differ, of 19", ylabel="rows (%)", xticks=places)
    axes.set_title("How often neighbours differ in a row of 20 presses", size=10)
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, folder / "p4_regularity.png")


def plot_weights(weights, folder):
    """The submitted network: output weights, biases and the matrix, neurons sorted by their output
    weight, under the model's own numbers."""
    W, b, v, _ = weights
    order = np.argsort(v[:, 0], kind="stable")
    negative = (v < 0).sum()
    limit = np.quantile(np.abs(W), 0.97)  # a few very large weights would make all others pale
    figure, (output, bias, matrix) = plt.subplots(3, 1, figsize=(8.3, 7), height_ratios=[1, 1, 4],
                                                  sharex=True)
    output.bar(range(HIDDEN), v[order, 0], color="0.5")
    output.set_ylabel("output weight")
    bias.bar(range(HIDDEN), b[order], color="0.5")
    bias.set_ylabel("bias")
    image = matrix.imshow(W[:, order], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    matrix.set_xticks(range(HIDDEN), order + 1)
    matrix.set_yticks(range(INPUTS), range(1, INPUTS + 1), size=9)
    matrix.set(xlabel="hidden neuron", ylabel="input position")
    for axes in (output, bias, matrix):
        axes.grid(False)
        axes.axvline(negative - 0.5, color="black", linewidth=1.5)
    for axes in (output, bias):
        axes.axhline(0, color="black", linewidth=0.8)
    output.set_title("speak for the machine", loc="left", size=10)
    output.set_title("speak for a human", loc="right", size=10)
    figure.colorbar(image, ax=(output, bias, matrix), aspect=40, extend="both",
                    label=f"weight from input to hidden neuron (beyond {limit:.1f}: no darker)")
    save(figure, folder / "p4_weights.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_networks(judged, folder):
    """judged: {name of a setting or of features: as judge() returns it}."""
    table = []
    for name, numbers in judged.items():
        row = ["logistic regression", name, "Newton's method", "", ""]
        if name in SETTINGS:
            setting = SETTINGS[name]
            row = ["20-20-1", "raw presses", name, setting.epochs, setting.learning_rate]
        for column, number in numbers.items():
            row.append(f"{number:.4f}" if "entropy" in column else f"{number:.1f}")
        table.append(row)
    write_csv(folder / "p4_networks.csv",
              ["network", "input", "trained with", "epochs", "initial learning rate",
               *judged["Adam"]], table)


def matrix_text(W):
    """The weight matrix: a row for each input position, a column for each hidden neuron, in two
    blocks of ten neurons, so that it fits a screen."""
    lines = []
    for block in (range(10), range(10, HIDDEN)):
        lines.append("neuron" + "".join(f"{j + 1:7d}" for j in block))
        for i, row in enumerate(W):
            lines.append(f"{i + 1:6d}" + "".join(f"{row[j]:7.2f}" for j in block))
    return "\n".join(lines)


def write_model(path, weights, setting, coding):
    """An HDF5 model that loads, compiled, in TensorFlow 2.2 (2020), 2.15 (last Keras 2) and now.

    Written by hand, for the auto-grader: Keras 3 reads what Keras 2 saved, but not the reverse. So
    this is what TensorFlow 2.2 would have saved: `batch_input_shape`, no key younger than 2020, and
    all text as bytes, on which that Keras calls decode(). Dropout does nothing outside training
    and is left out. The attribute `coding` is for --try."""
    penalty = None
    if setting.l1 or setting.l2:
        penalty = {"class_name": "L1L2", "config": {"l1": setting.l1, "l2": setting.l2}}

    def dense(name, units, activation):
        return {"class_name": "Dense", "config": {
            "name": name, "dtype": "float32", "units": units, "activation": activation,
            "kernel_regularizer": penalty}}
    model = {"class_name": "Sequential", "config": {"name": "human_machine", "layers": [
        {"class_name": "InputLayer", "config": {
            "batch_input_shape": [None, INPUTS], "dtype": "float32", "sparse": False,
            "ragged": False, "name": "bits"}},
        dense("hidden", HIDDEN, "relu"), dense("human", 1, "sigmoid")]}}
    optimizer = {"class_name": setting.optimizer, "config": {
        "name": setting.optimizer, "learning_rate": setting.learning_rate}}
    training = {"loss": "binary_crossentropy", "metrics": ["accuracy"], "weighted_metrics": None,
                "loss_weights": None, "sample_weight_mode": None, "optimizer_config": optimizer}
    W, b, v, c = weights
    buffer = io.BytesIO()  # HDF5 itself may crash on a full disk, Python says what is wrong
    with h5py.File(buffer, "w") as file:
        group = file.create_group("model_weights")
        for attributes in (file.attrs, group.attrs):
            attributes["keras_version"] = np.bytes_("2.3.0-tf")
            attributes["backend"] = np.bytes_("tensorflow")
        file.attrs["model_config"] = np.bytes_(json.dumps(model))
        file.attrs["training_config"] = np.bytes_(json.dumps(training))
        file.attrs["coding"] = coding
        group.attrs["layer_names"] = np.array([b"bits", b"hidden", b"human"])
        group.create_group("bits").attrs["weight_names"] = np.array([], "S1")
        for name, kernel, bias in (("hidden", W, b), ("human", v, c)):
            layer = group.create_group(name)
            layer[f"{name}/kernel:0"] = kernel
            layer[f"{name}/bias:0"] = bias
            layer.attrs["weight_names"] = np.array(
                [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()])
    path.write_bytes(buffer.getvalue())


def try_bits(texts, path):
    """--try: the probability that a human wrote each of the texts, by the model file of a run."""
    for text in texts:
        if len(text) != INPUTS or set(text) - {"0", "1"}:
            raise DataError(f"--try: found {text[:40]!r}, {len(text)} characters; expected "
                            f"{INPUTS} zeros and ones; type for example 01101001011010010110")
    try:
        with h5py.File(path, "r") as file:
            low, high = file.attrs["coding"]
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: found no model of a run ({error}); expected one; run first: "
                        "python p4_human_machine.py") from None
    for text in texts:
        bits = np.array(list(text)) == "1"
        row = np.where(bits, high, low).astype(np.float32)
        p = model(row[None])
        print(f"{text}: {float(p[0, 0]):.0%} human")


def read_arguments():
    parser = argparse.ArgumentParser(description="Problem 4: human or machine?")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of less than half a minute, into a temporary folder")
    parser.add_argument("--out", type=path_argument,
                        help="folder for the outputs (default: outputs/)")
    parser.add_argument("--data", type=path_argument,
                        help="any file with 20 presses a row; needs --out, too")
    parser.add_argument("--rows-per-person", type=int, metavar="N",
                        help="the file's human rows come in blocks of N, a block from one person "
                        "(Fall 2020: 25); without it, rows of a person may be on both sides of a "
                        "split")
    parser.add_argument("--try", dest="texts", nargs="+", metavar="BITS",
                        help="judge rows of 20 zeros and ones; trains nothing")
    arguments = parser.parse_args()
    if arguments.data and not (arguments.out or arguments.quick or arguments.texts):
        parser.error("--data: its outputs need a folder of their own; add --out DIR")
    if arguments.rows_per_person is not None and arguments.rows_per_person < 1:
        parser.error(f"--rows-per-person: found {arguments.rows_per_person}; expected 1 at least")
    return arguments


def main():
    global FOLDS, SETTINGS
    arguments = read_arguments()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a folder's name may have letters that it lacks
    out = arguments.out or FOLDER / "outputs"
    if arguments.texts:
        return try_bits(arguments.texts, out / "p4_model.hdf5")
    if arguments.quick:
        FOLDS = 2
        SETTINGS = {name: SETTINGS[name]._replace(epochs=2) for name in OVERFITTING}
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    data, rows = load(arguments.data or DATA_FILE, arguments.rows_per_person)
    human_share = rows.human.mean()
    guess = max(human_share, 1 - human_share)
    print(f"{len(data.human):,} human and {len(data.machine):,} machine rows: a guess is right in "
          f"{guess:.1%}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=out).close()  # would fail after the training

    trained, judged = {}, {}
    for name, setting in SETTINGS.items():
        trained[name] = train_folds(setting, rows)
        judged[name] = judge(trained[name].log_odds, trained["Adam"].log_odds, rows)
        print(f"{name}: validation accuracy {judged[name]['validation accuracy (%)']:.1f}%",
              flush=True)
    submitted = choose(judged)
    for name, features in features_of(rows.x).items():
        judged[name] = judge(logistic_folds(features, rows), trained["Adam"].log_odds, rows)

    weights = trained[submitted].weights[0]  # of the first fold, fixed beforehand
    print(f"\nweights from input (row) to hidden neuron (column)\n\n{matrix_text(weights[0])}\n")
    first_fold = rows.fold == 0
    right = (trained[submitted].log_odds[0] > 0) == rows.human
    of_first_fold, _ = over_people(100 * right[first_fold], rows.person[first_fold])

    # The earlier outputs stay as they are until all new ones are written.
    new = Path(tempfile.mkdtemp(prefix="new_", dir=out))
    write_model(new / "p4_model.hdf5", weights, SETTINGS[submitted], data.coding)
    plot_learning_curve(trained[submitted].histories[0], submitted, human_share, new)
    plot_overfitting(trained, human_share, new)
    write_networks(judged, new)
    (new / "p4_weights.txt").write_text(matrix_text(weights[0]) + "\n", encoding="utf-8")
    plot_weights(weights, new)
    plot_regularity(rows, new)
    results = {
        "quick": arguments.quick, "source": data.source,
        "human_rows": len(data.human), "machine_rows": len(data.machine),
        "coding": data.coding, "people": rows.people,
        "split_by": "people" if rows.people < len(data.human) else "rows",
        "guess": guess, "submitted": submitted,
        "validation_accuracy": judged[submitted]["validation accuracy (%)"],
        "validation_accuracy_half_of_interval":
            judged[submitted]["validation: half of 95% interval"],
        "validation_accuracy_of_the_first_fold": of_first_fold,
        **regularity(rows),
        "versions": {"Python": platform.python_version(), "numpy": np.__version__,
                     "h5py": h5py.__version__, "matplotlib": matplotlib.__version__,
                     "tensorflow": tf.__version__, "keras": keras.__version__},
        "seconds": round(time.perf_counter() - begin)}
    (new / "p4_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    for path in sorted(new.iterdir()):
        path.replace(out / path.name)
    new.rmdir()
    print(f"submitted: 20-20-1 by {submitted}, of the first fold\noutputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; earlier outputs are as they were")

"""Problem 4: did a human or a machine write these 20 bits? A small MLP, and what it looks at.

    python p4_human_machine.py                          (about 2 minutes on two cores)
    python p4_human_machine.py --data FILE --out DIR    (another year's file: {0,1} or {-1,+1})
    python p4_human_machine.py --try 01101... 10011...  (20 bits of yours, judged by the network)

Trains the homework's network (20-20-1, ReLU, sigmoid, binary cross-entropy, batch size 16) with
several optimizers and regularizers on five 80/20 splits, and submits the setting with the lowest
validation cross-entropy. Where the file says who pressed what, all rows of a person are on one side
of a split: the network is judged on people whom it has never seen. Then the network is asked what
it looks at: its output for all 2^20 rows is computed. Then the same is trained on features made by
hand, and a small convolution on the presses themselves.

Reads  data/binary_random.hdf5, or the file of --data
Writes outputs/p4_model.hdf5, p4_learning_curve.png, p4_overfitting.png, p4_settings.csv,
       p4_weights.txt (as printed), p4_weights.csv, p4_weights.png, p4_lags.csv, p4_lags.png,
       p4_patterns.csv, p4_features.csv, p4_features.png, p4_rows.csv (if the file tells people
       apart), p4_results.json
"""
import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# Read by the libraries when they are imported, so set first; they overrule the user's own.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",  # quiet
    CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0",  # so that equal runs give equal numbers
    KERAS_BACKEND="tensorflow", TF_USE_LEGACY_KERAS="0",
    KERAS_HOME=os.devnull,  # no keras.json is read or written
    MPLBACKEND="Agg",  # draw into files, without a screen
    HDF5_USE_FILE_LOCKING="FALSE")  # network folders may refuse locks

import h5py
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

from data.loader import DataError, load_sequences

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network

FOLDER = Path(__file__).resolve().parent
DATA_FILE = FOLDER / "data" / "binary_random.hdf5"


class Setting(NamedTuple):
    """How a network is trained; the learning rate falls linearly from this one to 0."""
    optimizer: str
    learning_rate: float
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0


INPUTS, HIDDEN = 20, 20  # fixed by the homework
FOLDS = 5  # an 80/20 split, five times: every row validates once, so that no lucky split decides
SPLIT_SEED = 0
BATCH_SIZE = 16  # fixed by the homework
EPOCHS = 30  # for all: a best epoch picked on the validation rows would flatter the result
SETTINGS = {
    "Adam": Setting("Adam", 0.006),
    "Adam, L2 0.003": Setting("Adam", 0.006, l2=3e-3),
    "Adam, L1 0.0003": Setting("Adam", 0.006, l1=3e-4),
    "Adam, dropout 0.2": Setting("Adam", 0.006, dropout=0.2),
    "SGD, L2 0.003": Setting("SGD", 0.2, l2=3e-3),
    "RMSprop, L2 0.003": Setting("RMSprop", 0.006, l2=3e-3),
}
FILTERS, FILTER_WIDTH = 20, 6  # of the convolution; the rest of it is the homework's network
LAGS = range(1, 11)  # how many places two presses are apart
SILENT = 0.01  # a neuron with a smaller output weight says next to nothing


def build(inputs, setting):
    """The homework's network, with as many inputs as there are features."""
    penalty = keras.regularizers.L1L2(setting.l1, setting.l2)
    return keras.Sequential([
        keras.Input((inputs,)),
        keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=penalty),
        keras.layers.Dropout(setting.dropout),
        keras.layers.Dense(1, "sigmoid", kernel_regularizer=penalty)])


def build_convolution(inputs, setting):
    """Another architecture: each filter uses the same weights at every place of the row, and its
    mean over the places goes into a network like the homework's. Without regularizers."""
    return keras.Sequential([
        keras.Input((inputs,)),
        keras.layers.Reshape((inputs, 1)),
        keras.layers.Conv1D(FILTERS, FILTER_WIDTH, activation="relu"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(HIDDEN, "relu"),
        keras.layers.Dense(1, "sigmoid")])


def train(model, setting, seed, x, y, x_validation, y_validation):
    """Train a fresh model. x (N, inputs), y (N, 1): 1 for human; the same for validation.

    Returns Keras' history: {name of a measure: its value in each epoch}. Training values are
    counted during the epoch, with dropout; validation values after it, without."""
    # A trap for all who set Keras' seed: fit() on arrays then repeats one order of the samples in
    # every epoch. This pipeline draws a new order for each epoch.
    minibatches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed)
    minibatches = minibatches.batch(BATCH_SIZE)
    updates = len(minibatches)  # in an epoch
    schedule = keras.optimizers.schedules.PolynomialDecay(setting.learning_rate, updates * EPOCHS,
                                                          end_learning_rate=0.0)
    optimizer = getattr(keras.optimizers, setting.optimizer)(schedule)
    # steps_per_execution: all updates of an epoch in one call take a quarter of the time.
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "binary_crossentropy"],
                  steps_per_execution=updates)
    history = model.fit(minibatches, epochs=EPOCHS, shuffle=False, verbose=0,
                        validation_data=(x_validation, y_validation), validation_batch_size=1000)
    return history.history


class Result(NamedTuple):
    """What cross_validate() returns."""
    weights: list         # of each fold's network
    histories: list       # Keras' history of each fold
    log_odds: np.ndarray  # (N,) ln p/(1-p) that a human wrote the row, by a network new to it
    right: np.ndarray     # (N,) booleans: whether log_odds has the sign of the label


def cross_validate(name, x, human, folds, setting, build_model=build):
    """Train once for each fold, and judge each row by the network that has not seen it.

    x (N, inputs), human (N,) booleans, folds (N,): the fold in which a row is held out. name is
    for the screen; build_model(inputs, setting) makes a fresh network."""
    x, y = x.astype(np.float32), human.astype(np.float32)[:, None]
    weights, histories, log_odds = [], [], np.empty(len(x))
    print(f"{name}: ", end="", flush=True)
    for fold in range(FOLDS):
        held_out = folds == fold
        keras.utils.set_random_seed(fold)
        model = build_model(x.shape[1], setting)
        history = train(model, setting, fold, x[~held_out], y[~held_out], x[held_out], y[held_out])
        p = np.clip(model(x[held_out]).numpy()[:, 0], 1e-6, 1 - 1e-6)  # no log of 0
        log_odds[held_out] = np.log(p / (1 - p))
        weights.append(model.get_weights())
        histories.append(history)
    right = (log_odds > 0) == human
    print(f"{right.mean():.1%} of the held-out rows right")
    return Result(weights, histories, log_odds, right)


def cross_entropy(log_odds, human):
    """Mean of -ln p[label] over the rows, in nats. Both (N,)."""
    against_label = np.where(human, -log_odds, log_odds)
    return np.logaddexp(0, against_label).mean()


def rows_and_people(data, rows_per_person):
    """All rows (N, 20), whether each is human (N,), and the number of its person (N,), from 0.

    The machine rows are dealt out to the people in the same order, so that both sides of a split
    are balanced where the file has as many of each. Where nobody is known, or fewer than FOLDS
    people, each row is a person of its own."""
    number = len(data.human)
    person = data.person
    if rows_per_person:
        person = np.arange(number) // rows_per_person
    if person is None or len(np.unique(person)) < FOLDS:
        person = np.arange(number)
    person = np.unique(person, return_inverse=True)[1]
    rows = np.concatenate([data.human, data.machine])
    human = np.arange(len(rows)) < number
    return rows, human, np.concatenate([person, np.resize(person, len(data.machine))])


def folds_of(person):
    """The fold of each row (N,): people (N,), numbered from 0, are dealt out at random."""
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(person.max() + 1)
    return shuffled[person] % FOLDS


def over_people(values, person):
    """Mean of the people's own means of values (N,), and half of its 95 % interval.

    The interval is 1.96 standard errors over people. It covers that other people are different;
    not that another seed trains another network."""
    means = np.bincount(person, values) / np.bincount(person)
    return means.mean(), 1.96 * means.std(ddof=1) / len(means) ** 0.5


def spread_of_people(values, person):
    """How much the people's means of values (N,) vary, over what chance allows: 1 when rows of a
    person are no more alike than rows of different people.

    The variance of the means times the rows of a person, over the variance of the rows."""
    rows_of_person = np.bincount(person)
    means = np.bincount(person, values) / rows_of_person
    return means.var(ddof=1) * rows_of_person.mean() / values.var(ddof=1)


def signs(rows):
    """Rows in either coding as -1 and +1."""
    return np.where(rows > 0, 1, -1)


def transitions(rows):
    """(n, 20) -> (n,): how many neighbours differ, 0..19."""
    return (rows[:, 1:] != rows[:, :-1]).sum(axis=1)


def lag_products(rows):
    """(n, 20) -> (n, 10): mean product of the presses, as -1 and +1, that are 1 to 10 apart."""
    x = signs(rows)
    return np.stack([(x[:, lag:] * x[:, :-lag]).mean(axis=1) for lag in LAGS], axis=1)


def four_grams(rows):
    """(n, 20) -> (n, 16): the share of each pattern of four neighbours, 0000 to 1111."""
    windows = np.lib.stride_tricks.sliding_window_view(rows > 0, 4, axis=1)
    codes = windows @ [8, 4, 2, 1]
    return np.stack([(codes == code).mean(axis=1) for code in range(16)], axis=1)


def imbalance_of_windows(rows, width=6):
    """(n, 20) -> (n,): mean square of the sum of `width` neighbours, as -1 and +1, over width.

    1 for a fair coin; below 1 where a stretch holds about as many of each."""
    windows = np.lib.stride_tricks.sliding_window_view(signs(rows), width, axis=1)
    return (windows.sum(axis=2) ** 2).mean(axis=1) / width


FEATURES = {  # name: a function from rows (n, 20) to features (n, inputs)
    # 0 to 19, one-hot
    "number of transitions": lambda rows: np.eye(INPUTS)[transitions(rows)],
    # mean 0 and standard deviation 1 for a coin
    "products at lags 1 to 10": lambda rows: lag_products(rows) * np.sqrt(INPUTS - np.array(LAGS)),
    # less what a coin has on average
    "counts of 4-grams": lambda rows: (INPUTS - 3) * (four_grams(rows) - 1 / 16),
}


def all_rows():
    """All 2^20 rows of -1 and +1, (2^20, 20)."""
    numbers = np.arange(2 ** INPUTS)
    bits = [(numbers >> place) & 1 for place in range(INPUTS)]
    return 2.0 * np.stack(bits, axis=1) - 1


def what_it_says(weights, x, coding):
    """What a network says of single presses and of pairs, exactly.

    weights [W (20, hidden), b, v (hidden, 1), c]; x: all_rows(); coding: the two values that the
    network takes. Let f be the network's log-odds. The products of presses are orthonormal over
    all rows (they are the Walsh functions), so the mean of f x[i] is what press i says alone, the
    mean of f x[i] x[j] is what the pair says, and their squares, over the variance of f, are shares
    that add up to 1 with the higher orders.

    Returns the pair coefficients (20, 20), above the diagonal, and the shares of singles and of
    pairs."""
    W, b, v, c = weights
    low, high = coding
    inputs = x * (high - low) / 2 + (high + low) / 2  # in the network's own coding
    f = (np.maximum(inputs @ W + b, 0) @ v + c)[:, 0]
    singles = x.T @ f / len(x)
    pairs = np.triu((x * f[:, None]).T @ x / len(x), k=1)
    return pairs, (singles ** 2).sum() / f.var(), (pairs ** 2).sum() / f.var()


def same_sign(weights, lag):
    """Of pairs of weights into a neuron, from inputs `lag` places apart, the share that have one
    sign: for the neurons that speak for the machine (output weight below 0), and for a human.
    None where there are no such neurons."""
    W, _, v, _ = weights
    same = (W[lag:] * W[:-lag] > 0).mean(axis=0)
    shares = []
    for kind in (v[:, 0] < -SILENT, v[:, 0] > SILENT):
        shares.append(float(same[kind].mean()) if kind.any() else None)
    return shares


def add_rows(log_odds, human, person, number):
    """How often the sum of `number` rows' log-odds has the right sign. All (N,).

    Rows of one person, or of the machine rows that go with one, are added in their order, as if
    they were independent. Returns the number of sums, and the share and half of its interval, as
    over_people()."""
    right, person_of_sum = [], []
    for someone in range(person.max() + 1):
        for label in (True, False):
            own = log_odds[(person == someone) & (human == label)]
            sums = own[:len(own) // number * number].reshape(-1, number).sum(axis=1)
            right.extend((sums > 0) == label)
            person_of_sum.extend([someone] * len(sums))
    people = np.unique(person_of_sum, return_inverse=True)[1]  # numbered anew, from 0
    share, half = over_people(right, people)
    return len(right), share, half


plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})
TRAINING = {"color": "#0072B2", "label": "training"}
VALIDATION = {"color": "#D55E00", "linestyle": "--", "label": "validation"}


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def plot_learning_curve(history, name, folder):
    """The network of p4_model.hdf5: probability of correct classification in each epoch."""
    figure, axes = plt.subplots(figsize=(8.3, 4))
    epochs = range(1, len(history["accuracy"]) + 1)
    axes.plot(epochs, 100 * np.array(history["accuracy"]), **TRAINING)
    axes.plot(epochs, 100 * np.array(history["val_accuracy"]), **VALIDATION)
    axes.axhline(50, color="0.7", linewidth=0.8)
    axes.set(xlabel="epoch", ylabel="probability of correct classification (%)")
    axes.set_title(f"Human or machine? 20-20-1, {name}, first split (grey: a guess)", size=10)
    axes.legend()
    save(figure, folder / "p4_learning_curve.png")


def plot_overfitting(adam, chosen, name, folder):
    """Accuracy and cross-entropy against epochs, means of the folds. adam, chosen: Results."""
    figure, panels = plt.subplots(2, 2, figsize=(8.3, 5.4), sharex=True, sharey="row")
    for column, result, title in ((0, adam, "Adam alone"), (1, chosen, f"chosen: {name}")):
        upper, lower = panels[:, column]
        for axes, key, scale in ((upper, "accuracy", 100), (lower, "binary_crossentropy", 1)):
            training = np.mean([history[key] for history in result.histories], axis=0)
            validation = np.mean([history[f"val_{key}"] for history in result.histories], axis=0)
            epochs = range(1, len(training) + 1)
            axes.plot(epochs, scale * training, **TRAINING)
            axes.plot(epochs, scale * validation, **VALIDATION)
        upper.axhline(50, color="0.7", linewidth=0.8)
        lower.axhline(np.log(2), color="0.7", linewidth=0.8)
        upper.set_title(title, size=10)
        lower.set_xlabel("epoch")
    panels[0, 0].set_ylabel("accuracy (%)")
    panels[1, 0].set_ylabel("cross-entropy (nats)")
    panels[0, 0].legend()
    figure.suptitle("Over-fitting: means of five folds (grey: a guess)", size=10)
    save(figure, folder / "p4_overfitting.png")


def plot_weights(weights, folder):
    """The matrix, neurons sorted by their output weight."""
    W, _, v, _ = weights
    order = np.argsort(v[:, 0], kind="stable")
    limit = np.abs(W).max()
    figure, (output, matrix) = plt.subplots(2, 1, figsize=(8.3, 6.4), height_ratios=[1, 4],
                                            sharex=True)
    output.bar(range(HIDDEN), v[order, 0], color="0.5")
    output.axhline(0, color="black", linewidth=0.8)
    output.set_ylabel("output weight")
    image = matrix.imshow(W[:, order], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    matrix.set_xticks(range(HIDDEN), order + 1)
    matrix.set_yticks(range(INPUTS), range(1, INPUTS + 1), size=9)
    matrix.set(xlabel="hidden neuron", ylabel="input position")
    for axes in (output, matrix):
        axes.grid(False)
    machine_end = (v < -SILENT).sum()
    silent_end = (v <= SILENT).sum()
    for axes in (output, matrix):
        axes.axvline(machine_end - 0.5, color="black", linewidth=1.5)
        axes.axvline(silent_end - 0.5, color="black", linewidth=1.5)
    sides = ((0, machine_end, "speak for the machine"), (machine_end, silent_end, "silent"),
             (silent_end, HIDDEN, "speak for a human"))
    for first, end, side in sides:
        if end > first:
            output.text((first + end - 1) / 2, 1.05, side, ha="center", va="bottom",
                        transform=output.get_xaxis_transform())
    figure.colorbar(image, ax=(output, matrix), aspect=40,
                    label="weight from input to hidden neuron")
    save(figure, folder / "p4_weights.png")


def plot_lags(coefficients, human_products, folder):
    """What pairs of presses say, by their lag: the networks' coefficients (networks, 10), and the
    mean products of human rows with half of their intervals (10, 2)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.3, 3.4))
    left.plot(LAGS, coefficients[0], "o", color="#009E73", label="network of p4_model.hdf5")
    left.plot(LAGS, coefficients[1], ".", color="black", label="other folds")
    left.plot(LAGS, coefficients[2:].T, ".", color="black")
    left.set(xlabel="lag (places apart)", ylabel="mean coefficient of a pair", xticks=LAGS)
    left.set_title("Networks: what equal presses say\n(above 0: a human)", size=10)
    left.legend()
    means, halves = np.transpose(human_products)
    right.errorbar(LAGS, means, yerr=halves, fmt="o", color="#56B4E9", capsize=4)
    right.set(xlabel="lag (places apart)", ylabel="mean product of two presses", xticks=LAGS)
    right.set_title("People: how often presses are equal\n(0: a coin; 95% interval over people)",
                    size=10)
    for axes in (left, right):
        axes.axhline(0, color="black", linewidth=0.8)
    save(figure, folder / "p4_lags.png")


def plot_features(table, folder):
    """What features gain over raw presses. table: {features: (accuracy, half of its interval, gain,
    half of its interval)}, in % and points; raw presses first."""
    names = list(table)[1:]
    gains = [table[name][2] for name in names]
    halves = [table[name][3] for name in names]
    figure, axes = plt.subplots(figsize=(8.3, 2.6))
    axes.errorbar(gains, range(len(names)), xerr=halves, fmt="o", color="#009E73", capsize=4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("gain over raw presses on held-out rows (points), with its 95% interval")
    save(figure, folder / "p4_features.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_settings(explored, human, folder):
    """explored: {name of a setting: Result}."""
    rows = []
    for name, result in explored.items():
        training = np.mean([history["accuracy"][-1] for history in result.histories])
        training_entropy = np.mean([history["binary_crossentropy"][-1]
                                    for history in result.histories])
        validation_entropy = cross_entropy(result.log_odds, human)
        rows.append([name, SETTINGS[name].learning_rate, f"{100 * training:.1f}",
                     f"{100 * result.right.mean():.1f}", f"{training_entropy:.4f}",
                     f"{validation_entropy:.4f}"])
    write_csv(folder / "p4_settings.csv",
              ["setting", "initial learning rate", "training accuracy in the last epoch (%)",
               "validation accuracy (%)", "training cross-entropy in the last epoch",
               "validation cross-entropy"],
              rows)


def matrix_text(W):
    """The weight matrix: a row for each input position, a column for each hidden neuron, in two
    blocks of ten neurons, so that it fits a screen."""
    lines = []
    for block in (range(10), range(10, HIDDEN)):
        lines.append("neuron" + "".join(f"{j + 1:7d}" for j in block))
        for i, row in enumerate(W):
            lines.append(f"{i + 1:6d}" + "".join(f"{row[j]:7.2f}" for j in block))
    return "\n".join(lines)


def write_weights(W, folder):
    (folder / "p4_weights.txt").write_text(matrix_text(W) + "\n", encoding="utf-8")
    write_csv(folder / "p4_weights.csv",
              ["input position", *(f"neuron {j + 1}" for j in range(HIDDEN))],
              [[i + 1, *(f"{weight:.9g}" for weight in row)] for i, row in enumerate(W)])


def write_lags(coefficients, human_products, machine_products, folder):
    """As plot_lags(), and the machine's mean products (10,)."""
    rows = []
    for k, lag in enumerate(LAGS):
        mean, half = human_products[k]
        rows.append([lag, f"{mean:.4f}", f"{half:.4f}", f"{machine_products[k]:.4f}",
                     *(f"{coefficient:.4f}" for coefficient in coefficients[:, k])])
    networks = [f"mean pair coefficient, network of fold {fold + 1}" for fold in range(FOLDS)]
    write_csv(folder / "p4_lags.csv",
              ["lag", "human mean product", "half of 95% interval", "machine mean product",
               *networks], rows)


def ask_networks(networks, data, person, folder):
    """What the folds' networks look at, beside what people do: writes p4_lags.csv and p4_lags.png.

    networks: weights of each; person (n,) of the human rows. Returns numbers for
    p4_results.json."""
    x = all_rows()
    coefficients, singles, pairs = [], [], []
    for weights in networks:
        of_pairs, share_of_singles, share_of_pairs = what_it_says(weights, x, data.coding)
        coefficients.append([np.diag(of_pairs, lag).mean() for lag in LAGS])
        singles.append(round(share_of_singles, 4))
        pairs.append(round(share_of_pairs, 4))
    coefficients = np.array(coefficients)
    human_products = [over_people(products, person) for products in lag_products(data.human).T]
    machine_products = lag_products(data.machine).mean(axis=0)
    write_lags(coefficients, human_products, machine_products, folder)
    plot_lags(coefficients, human_products, folder)

    one_apart = [same_sign(weights, 1) for weights in networks]
    two_apart = [same_sign(weights, 2) for weights in networks]
    imbalance, half = over_people(imbalance_of_windows(data.human), person)
    return {
        "share_of_single_presses_in_each_network": singles,
        "share_of_pairs_in_each_network": pairs,
        "silent_neurons_in_each_network": [int((np.abs(weights[2]) <= SILENT).sum())
                                           for weights in networks],
        "same_sign_1_apart_in_machine_neurons": [machine for machine, _ in one_apart],
        "same_sign_1_apart_in_human_neurons": [human for _, human in one_apart],
        "same_sign_2_apart_in_machine_neurons": [machine for machine, _ in two_apart],
        "same_sign_2_apart_in_human_neurons": [human for _, human in two_apart],
        "neighbours_differ": transitions(data.human).mean() / (INPUTS - 1),
        "transitions_of_people_vary_times_chance": spread_of_people(transitions(data.human),
                                                                    person),
        "imbalance_of_6_presses_human": imbalance,
        "imbalance_of_6_presses_half_of_interval": half,
        "imbalance_of_6_presses_machine": imbalance_of_windows(data.machine).mean()}


def write_patterns(rows, human, person, folder):
    """How often people press each 4-gram, and the machine."""
    shares = 100 * four_grams(rows)
    table = []
    for code in range(16):
        mean, half = over_people(shares[human, code], person[human])
        table.append([f"{code:04b}", f"{mean:.2f}", f"{half:.2f}",
                      f"{shares[~human, code].mean():.2f}"])
    write_csv(folder / "p4_patterns.csv",
              ["pattern", "human rate (%)", "half of 95% interval", "machine rate (%)"], table)


def compare_features(results, person, folder):
    """results: {features: Result}, raw presses first. Writes the table and its picture."""
    raw = results["raw presses"]
    table = {}
    for name, result in results.items():
        gain = result.right.astype(float) - raw.right
        accuracy, accuracy_half = over_people(100 * result.right, person)
        gain, gain_half = over_people(100 * gain, person)
        table[name] = accuracy, accuracy_half, gain, gain_half
    plot_features(table, folder)
    write_csv(folder / "p4_features.csv",
              ["features", "accuracy (%)", "accuracy: half of 95% interval",
               "gain over raw presses (points)", "gain: half of 95% interval"],
              [[name, *(f"{value:.1f}" for value in row)] for name, row in table.items()])


def write_added_rows(raw, products, human, person, folder):
    """What more rows of one person tell; for numbers of rows that two people at least have."""
    rows_of_person = np.bincount(person[human])
    table = []
    for number in (1, 2, 5, 10, 20):
        if (rows_of_person >= number).sum() < 2:
            break
        sums, share, half = add_rows(raw.log_odds, human, person, number)
        _, share_products, half_products = add_rows(products.log_odds, human, person, number)
        table.append([number, sums, f"{100 * share:.1f}", f"{100 * half:.1f}",
                      f"{100 * share_products:.1f}", f"{100 * half_products:.1f}"])
    write_csv(folder / "p4_rows.csv",
              ["rows added", "sums, half of them of machine rows", "raw presses: right (%)",
               "raw presses: half of 95% interval", "products: right (%)",
               "products: half of 95% interval"], table)


def write_model(path, weights, setting):
    """An HDF5 model that loads, compiled, in TensorFlow 2.2 (2020), 2.15 (last Keras 2) and now.

    Written by hand, for the auto-grader: Keras 3 reads what Keras 2 saved, but not the reverse. So
    this is what TensorFlow 2.2 would have saved: `batch_input_shape`, no key younger than 2020, and
    all text as bytes, on which that Keras calls decode(). Dropout does nothing outside training
    and is left out."""
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
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for attributes in (file.attrs, group.attrs):
            attributes["keras_version"] = np.bytes_("2.3.0-tf")
            attributes["backend"] = np.bytes_("tensorflow")
        file.attrs["model_config"] = np.bytes_(json.dumps(model))
        file.attrs["training_config"] = np.bytes_(json.dumps(training))
        group.attrs["layer_names"] = np.array([b"bits", b"hidden", b"human"])
        group.create_group("bits").attrs["weight_names"] = np.array([], "S1")
        for name, kernel, bias in (("hidden", W, b), ("human", v, c)):
            layer = group.create_group(name)
            layer[f"{name}/kernel:0"] = kernel
            layer[f"{name}/bias:0"] = bias
            layer.attrs["weight_names"] = np.array(
                [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()])


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


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    parser.add_argument("--data", type=Path, help="another year's file; needs --out, too")
    parser.add_argument("--rows-per-person", type=int, metavar="N",
                        help="the file's human rows come in blocks of N, a block from one person "
                        "(Fall 2020: 25); without it, rows of a person may be on both sides of a "
                        "split")
    parser.add_argument("--try", dest="texts", nargs="*", metavar="BITS",
                        help="judge rows of 20 zeros and ones, given or typed; trains nothing")
    arguments = parser.parse_args()
    if arguments.data and not arguments.out and not arguments.quick:
        parser.error("--data: its outputs need a folder of their own; add --out DIR")
    if arguments.rows_per_person is not None and arguments.rows_per_person < 1:
        parser.error(f"--rows-per-person: found {arguments.rows_per_person}; expected 1 at least")
    return arguments


def load(path, rows_per_person):
    """The data of a file, large enough, and such that `rows_per_person` (or None) fits it."""
    data = load_sequences(path)
    human, machine = len(data.human), len(data.machine)
    if min(human, machine) < 100:
        raise DataError(f"{path}: found {human} human and {machine} machine rows; expected 100 of "
                        "each at least; use a larger file")
    if rows_per_person and data.person is not None:
        raise DataError(f"{path}: found `person`, which says whose each row is; expected a file "
                        "without it; leave out --rows-per-person")
    if rows_per_person and human % rows_per_person:
        raise DataError(f"{path}: found {human} human rows; expected whole blocks of "
                        f"{rows_per_person}; give another --rows-per-person")
    if rows_per_person and human // rows_per_person < FOLDS:
        raise DataError(f"{path}: found {human // rows_per_person} blocks of {rows_per_person} "
                        f"rows; expected {FOLDS} people at least; give another --rows-per-person")
    return data


def main():
    global EPOCHS, FOLDS, SETTINGS
    arguments = read_arguments()
    out = arguments.out or FOLDER / "outputs"
    if arguments.texts is not None:
        return try_bits(arguments.texts, out)
    if arguments.quick:
        EPOCHS, FOLDS, SETTINGS = 2, 2, {"Adam": SETTINGS["Adam"]}
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    data = load(arguments.data or DATA_FILE, arguments.rows_per_person)
    rows, human, person = rows_and_people(data, arguments.rows_per_person)
    folds = folds_of(person)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all is written
        folder = Path(folder)

        explored = {name: cross_validate(name, rows, human, folds, setting)
                    for name, setting in SETTINGS.items()}
        chosen = min(explored, key=lambda name: cross_entropy(explored[name].log_odds, human))
        submitted = explored[chosen]
        weights = submitted.weights[0]  # of the first fold, fixed beforehand
        write_settings(explored, human, folder)
        write_model(folder / "p4_model.hdf5", weights, SETTINGS[chosen])
        plot_learning_curve(submitted.histories[0], chosen, folder)
        plot_overfitting(explored["Adam"], submitted, chosen, folder)

        print(f"submitted: {chosen}\n\nweights from input (row) to hidden neuron (column)\n\n"
              f"{matrix_text(weights[0])}\n")
        write_weights(weights[0], folder)
        plot_weights(weights, folder)

        answers = ask_networks(submitted.weights, data, person[human], folder)
        write_patterns(rows, human, person, folder)

        results = {"raw presses": submitted}
        for name, features_of in FEATURES.items():
            results[name] = cross_validate(name, features_of(rows), human, folds, SETTINGS[chosen])
        results["convolution on raw presses"] = cross_validate(
            "convolution on raw presses", rows, human, folds, SETTINGS["Adam"], build_convolution)
        compare_features(results, person, folder)
        split_by_people = person.max() + 1 < len(data.human)
        if split_by_people:
            write_added_rows(submitted, results["products at lags 1 to 10"], human, person, folder)

        numbers = {
            "quick": arguments.quick, "source": data.source, "human_rows": len(data.human),
            "machine_rows": len(data.machine), "coding": data.coding,
            "split_by": "people" if split_by_people else "rows", "people": int(person.max() + 1),
            "epochs": EPOCHS, "submitted": chosen,
            "validation_accuracy": submitted.right.mean(), **answers,
            "seconds": round(time.perf_counter() - begin)}
        (folder / "p4_results.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
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

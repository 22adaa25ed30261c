"""Problem 4: did a human or a machine write these 20 bits? A small MLP, and what it looks at.

    python p4_human_machine.py                          (about 4 minutes on two cores)
    python p4_human_machine.py --data FILE --out DIR    (another year's file: {0,1} or {-1,+1})
    python p4_human_machine.py --try 01101... 10011...  (20 bits of yours, judged by the network)

Trains the homework's network (20-20-1, ReLU, sigmoid, binary cross-entropy, batch size 16) with
several optimizers and regularizers on five 80/20 splits. Where the file says who pressed what, all
rows of a person are on one side of a split: the network is judged on people whom it has never seen.
Then a small convolution is trained on the same splits, and teaches the homework's network what it
says of all 2^20 rows. Submitted is the network with the lowest validation cross-entropy. At the end
each network is asked how many presses at a time its output depends on: an exact answer.

Reads  data/binary_random.hdf5, or the file of --data
Writes outputs/p4_model.hdf5, p4_learning_curve.png, p4_overfitting.png, p4_settings.csv,
       p4_weights.txt (as printed), p4_weights.csv, p4_weights.png, p4_weights_folds.png,
       p4_regularity.png, p4_networks.csv, p4_shares.csv, p4_results.json
Prints a line for each setting and network, the weight matrix, and at the end

    submitted: 20-20-1, taught, of the first fold
    outputs: outputs
"""
import argparse
import csv
import io
import json
import os
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
    MPLBACKEND="Agg",  # draw into files, without a screen
    HDF5_USE_FILE_LOCKING="FALSE")  # network folders may refuse locks

import h5py
import matplotlib
matplotlib.use("Agg")  # also where a notebook has imported matplotlib before
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

from data.loader import DataError, load_sequences

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
TEACHING = Setting("Adam", 0.006)
PARTS, UPDATES = 32, 2048  # of the pass over all rows; updates of a part: 32 * 2048 * 16 = 2^20
LARGEST_P = 0.98  # see teach()
CLOSE = 0.003  # cross-entropies (nats) that another machine may order otherwise
TAUGHT = "20-20-1, taught"  # its name in tables
LAGS = range(1, 11)  # how many places two presses are apart


def build(setting):
    """The homework's network."""
    penalty = keras.regularizers.L1L2(setting.l1, setting.l2)
    return keras.Sequential([
        keras.Input((INPUTS,)),
        keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=penalty),
        keras.layers.Dropout(setting.dropout),
        keras.layers.Dense(1, "sigmoid", kernel_regularizer=penalty)])


def build_convolution(setting):
    """Another architecture: each filter uses the same weights at every place of the row, and its
    mean over the places goes into a network like the homework's. Without regularizers."""
    return keras.Sequential([
        keras.Input((INPUTS,)),
        keras.layers.Reshape((INPUTS, 1)),
        keras.layers.Conv1D(FILTERS, FILTER_WIDTH, activation="relu"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(HIDDEN, "relu"),
        keras.layers.Dense(1, "sigmoid")])


def compile_model(model, setting, updates, updates_of_a_call):
    """Make a model ready for so many updates. Its learning rate falls linearly to 0."""
    schedule = keras.optimizers.schedules.PolynomialDecay(setting.learning_rate, updates,
                                                          end_learning_rate=0.0)
    optimizer = getattr(keras.optimizers, setting.optimizer)(schedule)
    # steps_per_execution: many updates in one call take a quarter of the time.
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "binary_crossentropy"],
                  steps_per_execution=updates_of_a_call)


def train(model, setting, seed, x, y, x_validation, y_validation):
    """Train a fresh model. x (N, 20), y (N, 1): 1 for human; the same for validation.

    Returns Keras' history: {name of a measure: its value in each epoch}. Training values are
    counted during the epoch, with dropout; validation values after it, without."""
    # A trap for all who set Keras' seed: fit() on arrays then repeats one order of the samples in
    # every epoch. This pipeline draws a new order for each epoch.
    minibatches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed)
    minibatches = minibatches.batch(BATCH_SIZE)
    updates = len(minibatches)  # in an epoch
    compile_model(model, setting, updates * EPOCHS, updates)
    history = model.fit(minibatches, epochs=EPOCHS, shuffle=False, verbose=0,
                        validation_data=(x_validation, y_validation), validation_batch_size=1000)
    return history.history


def teach(model, teacher, seed, x, y, x_validation, y_validation, every_row):
    """Train a fresh model on what a teacher says of every row, once through: knowledge distillation
    (Hinton, Vinyals and Dean 2015, arXiv 1503.02531). every_row (2^20, 20); the rest as in train().

    No label is learned from. Returns {"accuracy": and "val_accuracy": after each part of the
    pass}, of the real training rows x, y and of the validation rows."""
    p = sigmoid(log_odds(teacher, every_row))
    p = np.minimum(p, LARGEST_P)  # else a handful of rows would carry much of the weight
    # Rows drawn evenly are a coin's. Where half of the rows are human, a row is more frequent by
    # 1 + p/(1-p), and that is 1/(1-p).
    weights = 1 / (1 - p)
    compile_model(model, TEACHING, PARTS * UPDATES, UPDATES)
    order = np.random.default_rng(seed).permutation(len(every_row))
    history = {"accuracy": [], "val_accuracy": []}
    for part in order[:PARTS * UPDATES * BATCH_SIZE].reshape(PARTS, -1):
        # No row comes twice, so that arrays are as good as a pipeline.
        model.fit(every_row[part], p[part, None], sample_weight=weights[part], shuffle=False,
                  batch_size=BATCH_SIZE, verbose=0)
        history["accuracy"].append(accuracy(model, x, y))
        history["val_accuracy"].append(accuracy(model, x_validation, y_validation))
    return history


def log_odds(model, x):
    """ln p/(1-p) that a human wrote the rows x (n, 20): what the model gives to its sigmoid, (n,).

    Raises DataError where a training went wrong and they are not finite."""
    output = model.layers[-1]
    before_output = keras.Model(model.inputs[0], output.input)
    v, c = output.get_weights()
    parts = []
    for rows in np.array_split(x, len(x) // 2 ** 14 + 1):  # so that memory suffices
        parts.append(before_output(rows).numpy() @ v + c)
    f = np.concatenate(parts)[:, 0]
    if not np.isfinite(f).all():
        raise DataError("a training: found log-odds that are not finite; expected finite ones; "
                        "try lower learning rates in SETTINGS")
    return f


def sigmoid(f):
    """1 / (1 + exp(-f)), without overflow: the probability that belongs to log-odds f."""
    return (1 + np.tanh(f / 2)) / 2


def accuracy(model, x, y):
    """Share of the rows x (n, 20) that are right. y (n, 1): 1 for human."""
    return ((log_odds(model, x) > 0) == (y[:, 0] > 0)).mean()


class Rows(NamedTuple):
    """All rows of a file."""
    x: np.ndarray       # (N, 20) float32, in the file's own coding
    human: np.ndarray   # (N,) booleans
    person: np.ndarray  # (N,) numbers from 0; machine rows are dealt out to the people
    fold: np.ndarray    # (N,) the fold in which a row is held out, from 0


def rows_of(data, rows_per_person):
    """SequenceData as Rows. Where nobody is known, each human row is a person of its own.

    The machine rows are dealt out to the people in proportion, in the same order, so that both
    sides of a split have the same share of human rows."""
    n, m = len(data.human), len(data.machine)
    person = np.arange(n)
    if rows_per_person:
        person = np.arange(n) // rows_per_person
    if data.person is not None:
        person = np.unique(data.person, return_inverse=True)[1]
    person_of_machine = person[np.arange(m) * n // m]
    person = np.concatenate([person, person_of_machine])
    x = np.concatenate([data.human, data.machine]).astype(np.float32)
    return Rows(x, np.arange(n + m) < n, person, folds_of(person))


def folds_of(person):
    """The fold of each row (N,): people (N,), numbered from 0, are dealt out at random."""
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(person.max() + 1)
    return shuffled[person] % FOLDS


def split(rows, fold):
    """x, y to train on and x, y to validate with, when a fold is held out; y (n, 1): 1 for human.
    """
    held_out = rows.fold == fold
    y = rows.human.astype(np.float32)[:, None]
    return rows.x[~held_out], y[~held_out], rows.x[held_out], y[held_out]


class Trained(NamedTuple):
    """A kind of network, trained once for each fold."""
    models: list
    histories: list       # Keras' history of each
    log_odds: np.ndarray  # (FOLDS, N) of a human, what each says of every row, seen or held out


def judge_folds(name, models, histories, rows):
    """The models of all folds as Trained; prints how good they are."""
    f = np.array([log_odds(model, rows.x) for model in models])
    right = (held_out(f, rows.fold) > 0) == rows.human
    print(f"{name}: {right.mean():.1%} of the held-out rows right", flush=True)
    return Trained(models, histories, f)


def train_folds(name, setting, rows, build_model=build):
    """Train once for each fold, on the rows of the others."""
    models, histories = [], []
    for fold in range(FOLDS):
        keras.utils.set_random_seed(fold)
        model = build_model(setting)
        histories.append(train(model, setting, fold, *split(rows, fold)))
        models.append(model)
    return judge_folds(name, models, histories, rows)


def teach_folds(name, teachers, rows, every_row):
    """Teach the homework's network, once for each fold, by the teacher of the same fold, which has
    not seen the held-out labels either."""
    models, histories = [], []
    for fold, teacher in enumerate(teachers):
        keras.utils.set_random_seed(fold)
        model = build(TEACHING)
        histories.append(teach(model, teacher, fold, *split(rows, fold), every_row))
        models.append(model)
        print(f"{name}: fold {fold + 1} of {FOLDS}", flush=True)
    return judge_folds(name, models, histories, rows)


def mean_products(x):
    """(n, 20) -> (n, 10): mean product of the presses, as -1 and +1, that are 1 to 10 apart."""
    presses = np.where(x > 0, np.float32(1), np.float32(-1))
    columns = [(presses[:, lag:] * presses[:, :-lag]).mean(axis=1) for lag in LAGS]
    return np.stack(columns, axis=1)


def squares(x):
    """(n, 20) -> (n, 10): the squares of the mean products. They know no sign."""
    return mean_products(x) ** 2


def products_and_squares(x):
    """(n, 20) -> (n, 20)."""
    products = mean_products(x)
    return np.concatenate([products, products ** 2], axis=1)


FEATURES = {"ten mean products": mean_products, "their ten squares": squares,
            "ten mean products and their squares": products_and_squares}


def fit_logistic(features, human):
    """Logistic regression by ten Newton steps. features (n, k), human (n,) booleans.

    Returns k coefficients and the constant, (k + 1,). A trace of L2 gives an answer, too, where
    the features separate the classes."""
    l2 = 1e-3
    X = np.column_stack([features, np.ones(len(features))])
    w = np.zeros(X.shape[1])
    for _ in range(10):
        p = sigmoid(X @ w)
        gradient = X.T @ (human - p) - l2 * w
        hessian = (X.T * (p * (1 - p))) @ X + l2 * np.eye(len(w))
        w += np.linalg.solve(hessian, gradient)
    return w


def logistic_folds(features, features_of_every_row, rows):
    """Logistic regression, once for each fold. features (N, k), features_of_every_row (2^20, k).

    Returns the log-odds of the rows (FOLDS, N), and what shares_of() returns for every row."""
    f, shares = [], []
    for fold in range(FOLDS):
        seen = rows.fold != fold
        w = fit_logistic(features[seen], rows.human[seen])
        f.append(features @ w[:-1] + w[-1])
        shares.append(shares_of(features_of_every_row @ w[:-1] + w[-1]))
    return np.array(f), np.array(shares)


def all_rows(coding):
    """Every row of 20 presses, (2^20, 20) float32; row i has the binary digits of i."""
    low, high = coding
    numbers = np.arange(2 ** INPUTS)
    bits = [(numbers >> place) & 1 for place in reversed(range(INPUTS))]
    return np.where(np.stack(bits, axis=1), np.float32(high), np.float32(low))


def walsh(f):
    """The coefficients of f (2^n,) as a sum of products of presses (a Walsh transform): the mean
    over all rows of f times the product. f[i] belongs to the row with the binary digits of i, 0 for
    a press of -1; coefficient i to the product of the presses that have a 1 in i."""
    n = f.size.bit_length() - 1
    f = f.astype(np.float64).reshape(n * (2,))
    for axis in range(n):
        low, high = f.take(0, axis), f.take(1, axis)
        f = np.stack([(low + high) / 2, (high - low) / 2], axis)
    return f.ravel()


def shares_of(f):
    """Which share of the variance of f (2^n,) the products of 1, 2, ... n presses hold, (n,).

    Products of different presses are uncorrelated over all rows, each with variance 1. So the
    squares of their coefficients add up to the variance of f (Parseval)."""
    coefficients = walsh(f)
    n = f.size.bit_length() - 1
    numbers = np.arange(f.size)
    presses = sum((numbers >> place) & 1 for place in range(n))  # in each product
    power = np.bincount(presses, coefficients ** 2)
    return power[1:] / power[1:].sum()


def cross_entropy(f, human):
    """Mean of -ln p[label] over rows with log-odds f (n,), in nats. human (n,) booleans."""
    against_label = np.where(human, -f, f)
    return np.logaddexp(0, against_label).mean()


def held_out(f, fold):
    """What the network that has not seen a row says of it, (N,). f (FOLDS, N), fold (N,)."""
    return f[fold, np.arange(len(fold))]


def on_training_rows(f, rows):
    """Accuracy and cross-entropy of each fold's network on the rows that it has seen, means of the
    folds. f (FOLDS, N)."""
    accuracies, entropies = [], []
    for fold in range(FOLDS):
        seen = rows.fold != fold
        right = (f[fold] > 0) == rows.human
        accuracies.append(right[seen].mean())
        entropies.append(cross_entropy(f[fold, seen], rows.human[seen]))
    return np.mean(accuracies), np.mean(entropies)


def validation_entropy(f, rows):
    """Cross-entropy of all rows, each by the network that has not seen it. f (FOLDS, N)."""
    return cross_entropy(held_out(f, rows.fold), rows.human)


def choose(explored, rows):
    """The name of the network to submit. explored: {name: Trained}.

    The lowest validation cross-entropy; those within CLOSE of it count as equal, and the first of
    them is taken, so that another machine takes the same."""
    entropies = {}
    for name, trained in explored.items():
        entropies[name] = validation_entropy(trained.log_odds, rows)
    lowest = min(entropies.values())
    return next(name for name, entropy in entropies.items() if entropy <= lowest + CLOSE)


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


def transitions(x):
    """(n, 20) -> (n,): how many neighbours differ, 0 to 19."""
    return (x[:, 1:] != x[:, :-1]).sum(axis=1)


def regularity(rows):
    """How often neighbours differ in a row, and how much people differ in it: numbers for
    p4_results.json. The coin's share is exact."""
    number = transitions(rows.x)
    human = rows.human
    ways = np.array([comb(INPUTS - 1, k) for k in range(INPUTS)])
    coin = ways / ways.sum()
    answers = {
        "neighbours_differ": number[human].mean() / (INPUTS - 1),
        "transitions_of_people_vary_times_chance": spread_of_people(number[human],
                                                                    rows.person[human])}
    for name, few_or_many in (("fewer_than_6", np.arange(INPUTS) < 6),
                              ("more_than_13", np.arange(INPUTS) > 13)):
        of_row = few_or_many[number]
        share, half = over_people(of_row[human], rows.person[human])
        answers[f"rows_with_{name}_transitions"] = {
            "people": share, "people_half_of_interval": half,
            "machine": of_row[~human].mean(), "coin": coin[few_or_many].sum()}
    return answers


TRAINING = {"color": "#0072B2", "label": "training"}
VALIDATION = {"color": "#D55E00", "linestyle": "--", "label": "validation"}
COLOURED = 0.97  # share of the weights whose colours tell them apart: a few very large ones do not


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_guess(axes, human_share, of_entropy=False):
    """A grey line: what a guess reaches that always says how many of the rows are human."""
    larger = max(human_share, 1 - human_share)
    level = 100 * larger
    if of_entropy:
        level = -(larger * np.log(larger) + (1 - larger) * np.log(1 - larger))
    axes.axhline(level, color="0.7", linewidth=0.8)


def plot_learning_curve(history, name, human_share, folder):
    """The network of p4_model.hdf5: probability of correct classification in each epoch, or after
    each part of the pass over all rows. human_share: of the file's rows."""
    figure, axes = plt.subplots(figsize=(8.3, 4))
    epochs = range(1, len(history["accuracy"]) + 1)
    axes.plot(epochs, 100 * np.array(history["accuracy"]), **TRAINING)
    axes.plot(epochs, 100 * np.array(history["val_accuracy"]), **VALIDATION)
    draw_guess(axes, human_share)
    axes.set(xlabel="epoch", ylabel="probability of correct classification (%)")
    if name == TAUGHT:
        axes.set_xlabel(f"epoch (one of {PARTS} parts of the pass over all {2 ** INPUTS:,} rows)")
    axes.set_title(f"Human or machine? {name}, first fold (grey: a guess)", size=10)
    axes.legend()
    save(figure, folder / "p4_learning_curve.png")


def plot_overfitting(adam, untaught, name, human_share, folder):
    """Accuracy and cross-entropy against epochs, means of the folds: Adam alone, and the setting of
    that name. adam, untaught: Keras' histories; human_share: of the rows, for a guess."""
    figure, panels = plt.subplots(2, 2, figsize=(8.3, 5.4), sharex=True, sharey="row")
    columns = ((0, adam, "Adam alone"), (1, untaught, name))
    for column, histories, title in columns:
        upper, lower = panels[:, column]
        for axes, key, scale in ((upper, "accuracy", 100), (lower, "binary_crossentropy", 1)):
            training = np.mean([history[key] for history in histories], axis=0)
            validation = np.mean([history[f"val_{key}"] for history in histories], axis=0)
            epochs = range(1, len(training) + 1)
            axes.plot(epochs, scale * training, **TRAINING)
            axes.plot(epochs, scale * validation, **VALIDATION)
        draw_guess(upper, human_share)
        draw_guess(lower, human_share, of_entropy=True)
        upper.set_title(title, size=10)
        lower.set_xlabel("epoch")
    panels[0, 0].set_ylabel("accuracy (%)")
    panels[1, 0].set_ylabel("cross-entropy (nats)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(f"Over-fitting: 20-20-1, means of {FOLDS} folds (grey: a guess)", size=10)
    save(figure, folder / "p4_overfitting.png")


def plot_regularity(rows, folder):
    """How often neighbours differ in a row: people, the machine rows, and a coin, exactly."""
    number = transitions(rows.x)
    places = np.arange(INPUTS)
    ways = np.array([comb(INPUTS - 1, k) for k in places])
    people = np.bincount(number[rows.human], minlength=INPUTS) / rows.human.sum()
    machine = np.bincount(number[~rows.human], minlength=INPUTS) / (~rows.human).sum()
    figure, axes = plt.subplots(figsize=(8.3, 3.6))
    axes.bar(places, 100 * people, color="#56B4E9", label="human rows")
    axes.plot(places, 100 * machine, "o", color="black", markersize=4, label="machine rows")
    axes.plot(places, 100 * ways / ways.sum(), color="#D55E00", label="a coin (exact)")
    for limit in (5.5, 13.5):  # fewer than 6, more than 13
        axes.axvline(limit, color="0.3", linestyle=":")
    axes.set(xlabel="neighbours that differ, of 19", ylabel="rows (%)", xticks=places)
    axes.set_title("How often neighbours differ in a row of 20 presses", size=10)
    axes.legend()
    save(figure, folder / "p4_regularity.png")


def by_output_weight(weights):
    """The order of the hidden neurons by output weight, and how many of these are below 0."""
    v = weights[2][:, 0]
    return np.argsort(v, kind="stable"), (v < 0).sum()


def draw_matrix(axes, W, limit):
    """The weights W (20, 20) as colours: red above 0, blue below; beyond the limit no darker."""
    axes.grid(False)
    return axes.imshow(W, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")


def plot_weights(weights, folder):
    """The submitted network: output weights, biases and the matrix, neurons sorted by their output
    weight, under the model's own numbers."""
    W, b, v, _ = weights
    order, negative = by_output_weight(weights)
    limit = np.quantile(np.abs(W), COLOURED)
    figure, (output, bias, matrix) = plt.subplots(3, 1, figsize=(8.3, 7), height_ratios=[1, 1, 4],
                                                  sharex=True)
    output.bar(range(HIDDEN), v[order, 0], color="0.5")
    output.set_ylabel("output weight")
    bias.bar(range(HIDDEN), b[order], color="0.5")
    bias.set_ylabel("bias")
    image = draw_matrix(matrix, W[:, order], limit)
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
                    label="weight from input to hidden neuron")
    save(figure, folder / "p4_weights.png")


def plot_weights_folds(models, folder):
    """The matrices of all folds' networks on one scale, each sorted as in plot_weights()."""
    all_weights = [model.get_weights() for model in models]
    limit = np.quantile(np.abs([weights[0] for weights in all_weights]), COLOURED)
    figure, panels = plt.subplots(1, len(models), figsize=(8.3, 2.3), sharey=True)
    for fold, (axes, weights) in enumerate(zip(panels, all_weights)):
        order, negative = by_output_weight(weights)
        draw_matrix(axes, weights[0][:, order], limit)
        axes.axvline(negative - 0.5, color="black", linewidth=1.5)
        axes.set_xticks([])
        axes.set_yticks([0, 9, 19], [1, 10, 20])
        axes.set_title(f"fold {fold + 1}", size=10)
    panels[0].set_ylabel("input position")
    figure.supxlabel("hidden neurons by output weight, right of the line: for a human "
                     "(red: positive, blue: negative)", size=10)
    save(figure, folder / "p4_weights_folds.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_settings(explored, rows, folder):
    """The settings, and the taught network. explored: {name: Trained}."""
    table = []
    for name, trained in explored.items():
        setting = SETTINGS.get(name, TEACHING)
        training_accuracy, training_entropy = on_training_rows(trained.log_odds, rows)
        f = held_out(trained.log_odds, rows.fold)
        validation_accuracy = ((f > 0) == rows.human).mean()
        entropy = validation_entropy(trained.log_odds, rows)
        table.append([name, setting.learning_rate,
                      f"{100 * training_accuracy:.1f}", f"{100 * validation_accuracy:.1f}",
                      f"{training_entropy:.4f}", f"{entropy:.4f}"])
    write_csv(folder / "p4_settings.csv",
              ["20-20-1, trained with", "initial learning rate", "training accuracy (%)",
               "validation accuracy (%)", "training cross-entropy", "validation cross-entropy"],
              table)


def write_networks(log_odds_of, rows, folder):
    """Six networks on held-out rows, and what each gains over the untaught "20-20-1".
    log_odds_of: {name: log-odds (FOLDS, N)}."""
    untaught = held_out(log_odds_of["20-20-1"], rows.fold)
    untaught_right = (untaught > 0) == rows.human
    table = []
    for name, f in log_odds_of.items():
        right = (held_out(f, rows.fold) > 0) == rows.human
        accuracy_and_half = over_people(100 * right, rows.person)
        gain_and_half = over_people(100 * (right.astype(float) - untaught_right), rows.person)
        training_accuracy, training_entropy = on_training_rows(f, rows)
        network, fed = name, "raw presses"
        if name in FEATURES:
            network, fed = "logistic regression", name
        table.append([network, fed, *(f"{value:.1f}" for value in accuracy_and_half),
                      *(f"{value:.1f}" for value in gain_and_half),
                      f"{100 * training_accuracy:.1f}", f"{training_entropy:.4f}",
                      f"{validation_entropy(f, rows):.4f}",
                      f"{100 * right[rows.human].mean():.1f}",
                      f"{100 * right[~rows.human].mean():.1f}"])
    write_csv(folder / "p4_networks.csv",
              ["network", "input", "accuracy (%)", "accuracy: half of 95% interval",
               "gain over 20-20-1 (points)", "gain: half of 95% interval",
               "training accuracy (%)", "training cross-entropy", "validation cross-entropy",
               "human rows right (%)", "machine rows right (%)"], table)


def write_shares(shares, folder):
    """How many presses at a time. shares: {name: (FOLDS, 20), see shares_of()}."""
    header = ["network", "singles (%)", "pairs (%)", "threes (%)", "fours (%)"]
    for presses in ("singles", "pairs", "threes", "fours"):
        header += [f"{presses}: least (%)", f"{presses}: most (%)"]
    table = []
    for name, of_folds in shares.items():
        four = 100 * of_folds[:, :4]
        row = [name]
        row += [f"{mean:.1f}" for mean in four.mean(axis=0)]
        for least, most in zip(four.min(axis=0), four.max(axis=0)):
            row += [f"{least:.1f}", f"{most:.1f}"]
        table.append(row)
    write_csv(folder / "p4_shares.csv", header, table)


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
    header = ["input position", *(f"neuron {j + 1}" for j in range(HIDDEN))]
    table = []
    for i, row in enumerate(W):
        table.append([i + 1, *(f"{weight:.9g}" for weight in row)])
    write_csv(folder / "p4_weights.csv", header, table)


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


def check_bits(text):
    """Raise DataError where a text is not 20 zeros and ones."""
    if len(text) != INPUTS or set(text) - {"0", "1"}:
        raise DataError(f"--try: found {text[:40]!r}, {len(text)} characters; expected {INPUTS} "
                        "zeros and ones; type for example 01101001011010010110")


def try_bits(texts, path):
    """--try: the probability that a human wrote each of the texts, or of the rows that are typed,
    by the model file of a run."""
    try:
        with h5py.File(path, "r") as file:
            low, high = file.attrs["coding"]
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: found no model of a run ({error}); expected one; run first: "
                        "python p4_human_machine.py") from None

    def judge(text):
        row = np.array([[high if bit == "1" else low for bit in text]], np.float32)
        print(f"{text}: {float(model(row)[0, 0]):.0%} human")

    for text in texts:
        check_bits(text)
    for text in texts:
        judge(text)
    if not texts:
        print(f"Rows of {INPUTS} zeros and ones, as random as you can; an empty line ends:")
        while text := sys.stdin.readline().strip():
            try:
                check_bits(text)
                judge(text)
            except DataError as error:
                print(error)


def read_arguments():
    parser = argparse.ArgumentParser(description="Problem 4: human or machine?")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of less than half a minute, into a temporary folder")
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
    if data.person is not None and rows_per_person:
        raise DataError(f"{path}: found `person`, which says whose each row is; expected a file "
                        "without it; leave out --rows-per-person")
    if data.person is not None and len(np.unique(data.person)) < FOLDS:
        raise DataError(f"{path}: found {len(np.unique(data.person))} people in `person`; expected "
                        f"{FOLDS} at least; use a file of more people")
    if rows_per_person and human % rows_per_person:
        raise DataError(f"{path}: found {human} human rows; expected whole blocks of "
                        f"{rows_per_person}; give another --rows-per-person")
    if rows_per_person and human // rows_per_person < FOLDS:
        raise DataError(f"{path}: found {human // rows_per_person} blocks of {rows_per_person} "
                        f"rows; expected {FOLDS} people at least; give another --rows-per-person")
    return data


def ask_networks(networks, rows, every_row, folder):
    """How good each kind of network is, and how many presses at a time it looks at: writes
    p4_networks.csv and p4_shares.csv. networks: {name: Trained}, the untaught "20-20-1" first."""
    log_odds_of, shares = {}, {}
    for name, trained in networks.items():
        log_odds_of[name] = trained.log_odds
        shares[name] = np.array([shares_of(log_odds(model, every_row))
                                 for model in trained.models])
    for name, features_of in FEATURES.items():
        log_odds_of[name], shares[name] = logistic_folds(features_of(rows.x),
                                                         features_of(every_row), rows)
    untrained = []
    for fold in range(FOLDS):
        keras.utils.set_random_seed(fold)
        untrained.append(shares_of(log_odds(build(TEACHING), every_row)))
    shares["20-20-1, untrained"] = np.array(untrained)
    write_networks(log_odds_of, rows, folder)
    write_shares(shares, folder)


def move(folder, out):
    """Move the files of a finished run from folder to out. Where an earlier file cannot be replaced
    (a table open in Excel, say), the new ones stay in a folder of their own, and OSError names it.
    """
    for path in sorted(folder.iterdir()):
        try:
            path.replace(out / path.name)
        except OSError as error:
            kept = Path(tempfile.mkdtemp(prefix="new_", dir=out))
            for left in folder.iterdir():
                left.replace(kept / left.name)
            raise OSError(f"{out / path.name} cannot be replaced ({error.strerror}); "
                          f"the new files that are left are in {kept}") from None


def main():
    global EPOCHS, FOLDS, SETTINGS, PARTS, UPDATES
    arguments = read_arguments()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a folder's name may have letters that it lacks
    out = arguments.out or FOLDER / "outputs"
    if arguments.texts is not None:
        return try_bits(arguments.texts, out / "p4_model.hdf5")
    if arguments.quick:
        EPOCHS, FOLDS, SETTINGS, PARTS, UPDATES = 2, 2, {"Adam": SETTINGS["Adam"]}, 2, 256
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    data = load(arguments.data or DATA_FILE, arguments.rows_per_person)
    rows = rows_of(data, arguments.rows_per_person)
    every_row = all_rows(data.coding)
    human_share = rows.human.mean()
    guess = max(human_share, 1 - human_share)
    print(f"{len(data.human):,} human and {len(data.machine):,} machine rows: a guess is right in "
          f"{guess:.1%}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all is written
        folder = Path(folder)

        explored = {}
        for name, setting in SETTINGS.items():
            explored[name] = train_folds(name, setting, rows)
        untaught = choose(explored, rows)
        convolution = train_folds("convolution", TEACHING, rows, build_convolution)
        explored[TAUGHT] = teach_folds(TAUGHT, convolution.models, rows, every_row)
        submitted = choose(explored, rows)
        write_settings(explored, rows, folder)

        models, histories, _ = explored[submitted]
        weights = models[0].get_weights()  # of the first fold, fixed beforehand
        setting = SETTINGS.get(submitted, TEACHING)
        write_model(folder / "p4_model.hdf5", weights, setting, data.coding)
        plot_learning_curve(histories[0], submitted, human_share, folder)
        plot_overfitting(explored["Adam"].histories, explored[untaught].histories, untaught,
                         human_share, folder)
        print(f"\nweights from input (row) to hidden neuron (column)\n\n"
              f"{matrix_text(weights[0])}\n")
        write_weights(weights[0], folder)
        plot_weights(weights, folder)
        plot_weights_folds(models, folder)

        plot_regularity(rows, folder)
        ask_networks({"20-20-1": explored[untaught], "convolution": convolution,
                      TAUGHT: explored[TAUGHT]}, rows, every_row, folder)
        f = explored[submitted].log_odds
        right = (held_out(f, rows.fold) > 0) == rows.human
        right_in_first_fold = (f[0] > 0) == rows.human
        people = int(rows.person.max()) + 1
        results = {
            "quick": arguments.quick, "source": data.source,
            "human_rows": len(data.human), "machine_rows": len(data.machine),
            "coding": data.coding, "people": people,
            "split_by": "people" if people < len(data.human) else "rows",
            "epochs": EPOCHS, "untaught_setting": untaught, "submitted": submitted,
            "guess": guess, "validation_accuracy": right.mean(),
            "training_accuracy_of_the_first_fold": right_in_first_fold[rows.fold != 0].mean(),
            "validation_accuracy_of_the_first_fold": right_in_first_fold[rows.fold == 0].mean(),
            **regularity(rows), "seconds": round(time.perf_counter() - begin)}
        (folder / "p4_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        move(folder, out)
    print(f"submitted: {submitted}, of the first fold\noutputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; earlier outputs are as they were")

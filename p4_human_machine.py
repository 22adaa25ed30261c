"""Problem 4: did a human or a machine write these 20 bits? A small MLP, its weights, and better features.

    python p4_human_machine.py                  (about 3 minutes on two cores)
    python p4_human_machine.py --data FILE      (another year's file: {0,1} or {-1,+1}, any number of rows)

Trains the homework's network (20-20-1, ReLU, sigmoid, binary cross-entropy, minibatch 16) with ten combinations of
optimizer and regulariser, ranks them by their mean over several 80/20 splits, and submits the best. Accuracy is also
measured on people the network has never seen. Then the weight matrix is read, and what it suggests is put to the test:
the same network on features designed by hand.

Result: 61.3 % on random splits and 59.0 % on unseen people (20-20-1 on the raw values). Trained alike, a network with
this hidden layer gets 57.2 % on unseen people from the raw values and 64.2 % from features designed by hand.

Reads  data/binary_random.hdf5 (made by: python data/prepare.py)
Writes outputs/p4_report.md (start here), p4_model.hdf5, p4_learning_curve.png, p4_overfitting.png, p4_weights.txt,
       p4_weights.csv, p4_weights.png, p4_features.png, p4_results.json
"""

import signal

if __name__ == "__main__":  # until main() takes over, Ctrl-C just ends the program
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import csv
import json
import math
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import textwrap
import time
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from data.loader import DataError, load_sequences
from outputs.index import write_index

FOLDER = Path(__file__).resolve().parent
INPUTS, HIDDEN, BATCH_SIZE = 20, 20, 16  # fixed by the homework; so is the validation share, one fold of five
BLOCK = 25  # rows that one student typed, one after the other (Fall 2020 file)
SEED = 0

RAW, TRANSITIONS, RUN = "raw values", "transitions", "longest run"
LAGS, GRAMS, ALL = "lag correlations", "4-grams", "all of these"
RANDOM, PEOPLE, DUPLICATES = "random", "unseen people", "duplicates together"  # kinds of splits
FOLDS = (0, 1, 2, 3, 4)  # each row is a validation row in one of them, so that no lucky draw decides
MORE_FOLDS = (5, 6, 7, 8, 9)  # a second shuffle of the same rows, without part in the choice: was the first one luck?
EPOCHS = 30  # for all: picking each split's best epoch by its own validation rows would flatter the result
LONG_EPOCHS = 45  # to see what overfitting does


class Recipe(NamedTuple):
    """How to train one network. `rate` falls linearly to zero over the epochs, unless `decay` is False."""
    name: str
    optimizer: str = "Adam"
    rate: float = 0.006
    momentum: float = 0.0
    decay: bool = True
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    fresh: bool = False  # in each epoch the machine's rows are replaced by new coin flips
    features: str = RAW
    hidden: int = HIDDEN  # 0: no hidden layer, that is, logistic regression
    batch_size: int = BATCH_SIZE
    epochs: int = EPOCHS


NO_REMEDY = Recipe("Adam, constant rate", decay=False)
RECIPES = (
    NO_REMEDY,
    Recipe("SGD", "SGD", rate=0.2),
    Recipe("SGD, momentum 0.9", "SGD", rate=0.03, momentum=0.9),
    Recipe("RMSprop", "RMSprop"),
    Recipe("Adam"),
    Recipe("Adam, L2 0.001", l2=1e-3),
    Recipe("Adam, L1 0.0003", l1=3e-4),
    Recipe("Adam, dropout 0.1", dropout=0.1),
    Recipe("Adam, fresh machine rows", fresh=True),  # if the machine's rows pass for coin flips, see fair_coins()
    Recipe("Adam, fresh machine rows, L2 0.0003", l2=3e-4, fresh=True),
)
NETWORK, LOGISTIC = "network", "logistic regression"
FEATURE_RECIPE = Recipe("features", rate=0.01, l2=3e-3, batch_size=256, epochs=15)  # large minibatches: many small trainings


class Task(NamedTuple):
    """What a worker trains without a break: one recipe on several splits, each a pair (kind, number)."""
    recipe: Recipe
    splits: tuple


def transitions(bits):
    """(n, 20) booleans -> (n,): how many neighbours differ, 0..19."""
    return (bits[:, 1:] != bits[:, :-1]).sum(axis=1)


def longest_run(bits):
    """(n, 20) booleans -> (n,): the length of the longest run of equal values, 1..20."""
    run = np.ones(len(bits), int)
    longest = run
    for i in range(1, bits.shape[1]):
        run = np.where(bits[:, i] == bits[:, i - 1], run + 1, 1)
        longest = np.maximum(longest, run)
    return longest


def lag_correlations(bits, lags=range(1, 11)):
    """(n, 20) booleans -> (n, lags): mean product of the values, as -1/+1, that stand `lag` places apart."""
    values = np.where(bits, 1.0, -1.0)
    return np.stack([(values[:, lag:] * values[:, :-lag]).mean(axis=1) for lag in lags], axis=1)


def four_grams(bits):
    """(n, 20) booleans -> (n, 16): how often each pattern of four neighbours occurs among the 17 places."""
    codes = 8 * bits[:, :-3] + 4 * bits[:, 1:-2] + 2 * bits[:, 2:-1] + bits[:, 3:]
    return np.eye(16)[codes].sum(axis=1)


def features(name, rows):
    """(n, 20) rows in either coding -> (n, k) float32. Counts are one-hot, so that any dependence on them can be learned."""
    bits = rows > 0
    if name == RAW:
        return rows.astype(np.float32)  # as they are in the file: what the submitted network takes
    if name == ALL:
        return np.concatenate([features(each, np.where(bits, 1, -1)) for each in (RAW, TRANSITIONS, RUN, LAGS, GRAMS)], axis=1)
    return {TRANSITIONS: lambda: np.eye(INPUTS)[transitions(bits)], RUN: lambda: np.eye(INPUTS)[longest_run(bits) - 1],
            LAGS: lambda: lag_correlations(bits), GRAMS: lambda: four_grams(bits)}[name]().astype(np.float32)


def draw_validation(groups, number):
    """(n,) booleans, True for validation rows: fold `number` of five (5-9: of a second shuffle).

    `groups`, (n,) numbers: rows of one group are never separated."""
    names, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng([SEED, number // 5]).permutation(len(names))
    rows_before = np.cumsum(sizes[order]) - sizes[order]
    return np.isin(groups, names[order][5 * rows_before // len(groups) == number % 5])


def same_rows(rows):
    """(n,) numbers: equal for identical rows."""
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel()


def people(human):
    """(n,) numbers: the block of 25 of each row. Blocks that share more than half of their rows count as one person."""
    blocks = same_rows(human).reshape(-1, BLOCK)
    occurs = np.zeros((len(blocks), blocks.max() + 1), bool)  # (block, row number)
    occurs[np.arange(len(blocks))[:, None], blocks] = True
    person = np.arange(len(blocks))
    for one, other in np.argwhere(occurs[:, blocks].sum(axis=2) > BLOCK / 2):  # other's rows that occur in one
        person[person == person[other]] = person[one]
    return np.repeat(person, BLOCK)


def held_out(kind, human, machine, number):
    """Booleans, human rows first, then the machine's: the validation rows of split `number` of this kind."""
    if kind == PEOPLE:
        return np.concatenate([draw_validation(people(human), number), draw_validation(np.arange(len(machine)), number)])
    rows = np.concatenate([human, machine])
    return draw_validation(same_rows(rows) if kind == DUPLICATES else np.arange(len(rows)), number)


def block_evidence(human):
    """Are the human rows blocks of 25 by one person each? Transitions should then vary less within blocks than between.

    The ratio of the two variances is about 1 without blocks; it is compared with that of 99 random orders of the rows."""
    if len(human) % BLOCK or len(human) < 10 * BLOCK:
        return {"blocks": False, "why": f"{len(human):,} human rows are not at least ten whole blocks of {BLOCK}"}
    counts = transitions(human > 0).astype(float)

    def ratio(values):
        blocks = values.reshape(-1, BLOCK)
        return float(BLOCK * blocks.mean(axis=1).var(ddof=1) / max(blocks.var(axis=1, ddof=1).mean(), 1e-12))
    generator = np.random.default_rng(SEED)
    found, shuffled = ratio(counts), max(ratio(generator.permutation(counts)) for _ in range(99))
    return {"blocks": found > shuffled, "ratio": found, "largest_shuffled_ratio": shuffled,
            "why": f"the number of transitions varies {found:.1f} times as much between blocks of {BLOCK} human rows as "
                   f"within them ({shuffled:.2f} at most in 99 random orders of the rows)"}


def fair_coins(machine):
    """Do the machine's rows pass for coin flips? Chi-square of the 16 patterns in five places that do not overlap.

    Uniform patterns mean no bias and no memory within four values. 30.58: 15 degrees of freedom, 1 % point."""
    bits = machine > 0
    patterns = np.bincount((bits.reshape(-1, 4) @ [8, 4, 2, 1]), minlength=16)
    expected = patterns.sum() / 16
    chi_square = float(((patterns - expected) ** 2 / expected).sum())
    return {"chi_square": chi_square, "limit": 30.58, "fair": chi_square < 30.58}


def load_tensorflow():
    """TensorFlow: silent, on the CPU, with one thread and repeatable arithmetic.

    TensorFlow's start-up notes do not go through sys.stderr, so the file descriptor itself is led away meanwhile."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf
        tf.keras.Sequential  # imported lazily, with notes of its own
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    return tf


def build(keras, recipe, inputs):
    """The homework's network, untrained: `inputs`-20-1 (or `inputs`-1 for logistic regression)."""
    penalty = keras.regularizers.L1L2(recipe.l1, recipe.l2)
    layers = [keras.Input((inputs,))]
    if recipe.hidden:
        layers.append(keras.layers.Dense(recipe.hidden, activation="relu", kernel_regularizer=penalty))
    if recipe.dropout:
        layers.append(keras.layers.Dropout(recipe.dropout))
    return keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid", kernel_regularizer=penalty)])


def make_optimizer(keras, recipe, updates):
    """`updates`: how many in an epoch."""
    rate = recipe.rate
    if recipe.decay:
        rate = keras.optimizers.schedules.PolynomialDecay(recipe.rate, updates * recipe.epochs, end_learning_rate=0.0)
    momentum = {"momentum": recipe.momentum} if recipe.momentum else {}
    return getattr(keras.optimizers, recipe.optimizer)(rate, **momentum)


def minibatches(tf, x, y, recipe, values):
    """Endless shuffled minibatches. With `fresh`, each machine row becomes 20 flips of a fair coin, new every time."""
    def flip(x, y):
        heads = tf.random.uniform(tf.shape(x)) < 0.5
        return tf.where(y > 0, x, tf.where(heads, float(values[1]), float(values[0]))), y
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).repeat().batch(recipe.batch_size)
    return dataset.map(flip) if recipe.fresh else dataset


def measure(probabilities, y):
    """(probability of correct classification, mean binary cross-entropy in nats, without any penalty)."""
    of_label = np.where(y > 0.5, probabilities, 1 - probabilities)
    return float((of_label > 0.5).mean()), float(-np.log(np.maximum(of_label, 1e-7)).mean())


def train(task, human, machine, values, show):
    """Train task.recipe on each of task.splits; `values` is the file's coding.

    Returns {(recipe, kind, number): {"train": [(accuracy, loss), ...] after each epoch, "validation": the same,
    "weights": arrays}}.
    The model is compiled once, which takes longer than an epoch, and set back to fresh weights for the next split."""
    tf, recipe = load_tensorflow(), task.recipe
    rows = np.concatenate([human, machine])
    inputs = features(recipe.features, rows)
    labels = np.repeat(np.float32([1, 0]), (len(human), len(machine)))[:, None]  # 1: a human
    updates = math.ceil(0.8 * len(rows) / recipe.batch_size)
    model = build(tf.keras, recipe, inputs.shape[1])
    # Keras loses most of its time between calls of the compiled step, so one call makes all updates of an epoch.
    model.compile(make_optimizer(tf.keras, recipe, updates), "binary_crossentropy", steps_per_execution=updates)
    model.optimizer.build(model.trainable_variables)
    at_start = [variable.numpy() for variable in model.optimizer.variables]
    trained = {}
    for kind, number in task.splits:
        validation = held_out(kind, human, machine, number)
        x, y = inputs, labels
        if recipe.features != RAW:  # standardised by the training rows
            x = (x - x[~validation].mean(axis=0)) / np.maximum(x[~validation].std(axis=0), 1e-3)
        tf.keras.utils.set_random_seed(SEED + number)
        model.set_weights(build(tf.keras, recipe, x.shape[1]).get_weights())
        for variable, value in zip(model.optimizer.variables, at_start):
            variable.assign(value)
        curves = {"train": [], "validation": []}

        def after_epoch(epoch, logs):
            for name, part in (("train", ~validation), ("validation", validation)):
                curves[name].append(measure(model(x[part], training=False).numpy(), y[part]))
            show()
        model.fit(minibatches(tf, x[~validation], y[~validation], recipe, values), epochs=recipe.epochs,
                  steps_per_epoch=updates, shuffle=False, verbose=0,
                  callbacks=[tf.keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)])
        trained[recipe, kind, number] = curves | {"weights": model.get_weights()}
    return trained


def work(tasks, pipe, human, machine, values):
    """A worker process: train what is on the queue until a None comes; send epochs and results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    try:
        while (task := tasks.get()) is not None:
            pipe.send(train(task, human, machine, values, lambda: pipe.send(None)))
    except (BrokenPipeError, EOFError):  # the parent is gone
        pass


def train_all(todo, jobs, data):
    """What train() returns for all tasks, from `jobs` processes; raises RuntimeError when one dies."""
    context = multiprocessing.get_context("spawn")
    tasks = context.SimpleQueue()
    jobs = min(jobs, len(todo))
    for task in [*todo, *[None] * jobs]:
        tasks.put(task)
    show = progress(sum(task.recipe.epochs * len(task.splits) for task in todo))
    pipes, results = [], {}
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # on POSIX workers inherit this from their first instant
    for _ in range(jobs):
        receiver, sender = context.Pipe(duplex=False)
        context.Process(target=work, args=(tasks, sender, data.human, data.machine, data.coding), daemon=True).start()
        sender.close()
        pipes.append(receiver)
    signal.signal(signal.SIGINT, interrupt)
    while pipes:
        for pipe in wait(pipes):
            try:
                result = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            if result is None:
                show()
            else:
                results |= result
    if len(results) < sum(len(task.splits) for task in todo):
        raise RuntimeError("a training process ended without a result (out of memory?); try --jobs 1")
    return results


def progress(total):
    """A function to call after each epoch of `total`: on a terminal one line that rewrites itself, else a few lines."""
    done, begin = 0, time.perf_counter()

    def show():
        nonlocal done
        done += 1
        line = f"{done:5d} of {total} epochs, {time.perf_counter() - begin:4.0f} s"
        if sys.stdout.isatty():
            print(f"\r{line}", end="\n" if done == total else "", flush=True)
        elif done == total or done % math.ceil(total / 5) == 0:
            print(line, flush=True)
    return show


def runs(trained, recipe, kind, numbers):
    """The trainings of `recipe` on these splits, from what train_all() returns."""
    return [trained[recipe, kind, number] for number in numbers]


def final(trainings, part, number=0):
    """(splits,): accuracy (number 0) or loss (number 1) after the last epoch; `part`: train or validation."""
    return np.array([training[part][-1][number] for training in trainings])


def mean_curve(trainings, part, number):
    """(epochs,): the mean over the splits of accuracy (number 0) or loss (number 1)."""
    return np.mean([[epoch[number] for epoch in training[part]] for training in trainings], axis=0)


def mean_and_error(values):
    """The mean over splits and its standard error."""
    return {"mean": float(np.mean(values)), "standard_error": float(np.std(values, ddof=1) / math.sqrt(len(values))),
            "splits": len(values)}


def accuracy(trainings):
    return {part: mean_and_error(final(trainings, part)) for part in ("train", "validation")}


def rank(trained, plan):
    """[(recipe, its trainings on random splits), ...], best mean validation accuracy first."""
    every = [(recipe, runs(trained, recipe, RANDOM, plan.folds)) for recipe in plan.recipes]
    return sorted(every, key=lambda pair: -final(pair[1], "validation").mean())


def ranking_table(trained, plan):
    """A row for each recipe; "behind": how far behind the best, on the same splits."""
    ranked = rank(trained, plan)
    best = final(ranked[0][1], "validation")
    return [{"recipe": recipe.name, "rate": recipe.rate, **accuracy(trainings),
             "behind": mean_and_error(best - final(trainings, "validation")),
             "validation_loss": float(final(trainings, "validation", 1).mean())} for recipe, trainings in ranked]


def feature_table(trained, plan):
    """A row for each set of features, model and kind of split; "gain": over the network on raw values, same splits."""
    rows = []
    for kind in dict.fromkeys([plan.kinds[0], RANDOM]):
        every = {key: runs(trained, recipe, kind, plan.folds) for key, recipe in plan.feature_recipes.items()}
        raw = final(every[RAW, NETWORK], "validation")
        rows += [{"features": name, "inputs": features(name, np.zeros((1, INPUTS))).shape[1], "model": model, "kind": kind,
                  **accuracy(trainings), "gain": mean_and_error(final(trainings, "validation") - raw)}
                 for (name, model), trainings in every.items()]
    return rows


def course(trainings):
    """Where the mean curves end, and where the validation loss was lowest."""
    loss = mean_curve(trainings, "validation", 1)
    return {"epochs": len(loss), "train": float(final(trainings, "train").mean()),
            "validation": float(final(trainings, "validation").mean()), "validation_loss": float(loss[-1]),
            "lowest_validation_loss": float(loss.min()), "lowest_epoch": int(loss.argmin()) + 1}


def autocorrelation(vectors, lags=range(1, 11)):
    """(m, 20) weight vectors -> (m, lags): mean product of weights `lag` places apart, per mean squared weight.

    -1: weights alternate at this lag, +1: they agree, near 0: unrelated."""
    power = np.maximum((vectors ** 2).mean(axis=1), 1e-12)
    return np.stack([(vectors[:, lag:] * vectors[:, :-lag]).mean(axis=1) / power for lag in lags], axis=1)


def positions_used(vectors):
    """(m, 20) -> (m,): participation ratio (sum w^2)^2 / sum w^4: 1 for a single position, 20 for equal weights."""
    return (vectors ** 2).sum(axis=1) ** 2 / np.maximum((vectors ** 4).sum(axis=1), 1e-24)


def sign_changes(vectors):
    """(m, 20) -> (m,): the share of neighbouring pairs whose weights differ in sign, each pair weighted by |w w'|."""
    products = vectors[:, 1:] * vectors[:, :-1]
    return np.maximum(-products, 0).sum(axis=1) / np.maximum(np.abs(products).sum(axis=1), 1e-12)


def chance_limits(kernel):
    """What the same weights show when they stand in random places: limits from 500 such matrices, 10,000 neurons."""
    generator = np.random.default_rng(SEED)
    vectors = np.concatenate([generator.permutation(kernel.ravel()).reshape(-1, INPUTS) for _ in range(500)])
    lags = autocorrelation(vectors)
    low, high = np.quantile(lags[:, 0], [0.025, 0.975])
    return {"lag_1_low": float(low), "lag_1_high": float(high), "spread": lags.std(axis=0).tolist(),
            "lag": float(np.quantile(np.abs(lags / lags.std(axis=0)).max(axis=1), 0.95)),
            "positions": float(np.quantile(positions_used(vectors), 0.025))}


DIFFERENCES, RUNS, ONE_LAG, FEW, NONE, DEAD = (
    "differences of neighbours", "runs", "another lag", "few positions", "no pattern beyond chance", "dead")


def describe_neurons(weights, x):
    """[kernel (20, 20), bias, kernel (20, 1), bias] and input rows -> one dict for each hidden neuron."""
    kernel, bias, output, _ = weights
    vectors, limits = kernel.T.astype(float), chance_limits(kernel.astype(float))
    lags = autocorrelation(vectors)
    active = (x @ kernel + bias > 0).mean(axis=0)
    neurons = []
    for j, vector in enumerate(vectors):
        significance = np.abs(lags[j] / limits["spread"])
        used = float(positions_used(vectors)[j])
        what = (DEAD if active[j] == 0 or np.abs(vector).max() < 1e-3
                else DIFFERENCES if lags[j, 0] < limits["lag_1_low"] else RUNS if lags[j, 0] > limits["lag_1_high"]
                else ONE_LAG if significance.max() > limits["lag"] else FEW if used < limits["positions"] else NONE)
        neurons.append({"neuron": j + 1, "looks_at": what, "output_weight": float(output[j, 0]),
                        "norm": float(np.linalg.norm(vector)), "active": float(active[j]),
                        "sign_changes": float(sign_changes(vectors)[j]), "lag_1": float(lags[j, 0]),
                        "strongest_lag": int(significance.argmax()) + 1,
                        "at_strongest_lag": float(lags[j, significance.argmax()]), "positions_used": used})
    return neurons


def lag_weights(kernel, output):
    """All neurons together: (19,) for lags 1..19 the mean of S_ij, j - i = lag, where S = W diag(v) W^T.

    To second order a ReLU network adds S_ij x_i x_j to its output, up to a positive factor: positive means that equal
    values `lag` places apart speak for a human."""
    pairs = (kernel * output[:, 0]) @ kernel.T
    return np.array([np.diag(pairs, lag).mean() for lag in range(1, INPUTS)])


def read_matrix(trained, human, machine):
    """What the weights of the first network, and of all networks in `trained`, show."""
    rows = np.concatenate([human, machine]).astype(np.float32)
    kernel, _, output, _ = trained[0]["weights"]
    by_class = [lag_correlations(of_class > 0, range(1, INPUTS)).mean(axis=0) for of_class in (human, machine)]
    of_data = by_class[0] - by_class[1]
    generator = np.random.default_rng(SEED)
    chance = np.array([lag_weights(generator.permutation(kernel.ravel()).reshape(kernel.shape), output) for _ in range(1000)])

    def agreement(of_lags):  # correlation over lags 1..10, each a mean of ten pairs or more
        one, other = of_lags[:10] - of_lags[:10].mean(), of_data[:10] - of_data[:10].mean()
        return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12))
    networks = [[neuron["looks_at"] for neuron in describe_neurons(one["weights"], rows)] for one in trained]
    return {"neurons": describe_neurons(trained[0]["weights"], rows), "chance": chance_limits(kernel.astype(float)),
            "looks_at_in_all_networks": {what: sum(row.count(what) for row in networks)
                                         for what in (DIFFERENCES, RUNS, ONE_LAG, FEW, NONE, DEAD)},
            "lag_weights": lag_weights(kernel, output).tolist(),
            "lag_weights_chance": (1.96 * chance.std(axis=0)).tolist(),
            "lag_difference_of_data": of_data.tolist(),
            "agreement": agreement(lag_weights(kernel, output)),
            "agreement_by_chance": float(np.quantile([agreement(row) for row in chance], 0.95)),
            "agreement_of_all_networks": [agreement(lag_weights(one["weights"][0], one["weights"][2])) for one in trained]}


def write_model(path, weights, recipe):
    """An HDF5 model that loads, compiled, in TensorFlow 2.2 (2020), 2.15 (the last Keras 2) and the current Keras 3.

    What Keras 3 saves does not load in Keras 2 ("Unrecognized keyword arguments: batch_shape"), the Keras of the
    homework's time; Keras 3 still reads Keras 2 files. So this writes by hand what TensorFlow 2.2 would have saved:
    `batch_input_shape`, dtypes as plain strings, no key younger than 2020, and all text as bytes, since h5py 2 returns
    variable-length strings as `str`, on which Keras 2.2 fails in .decode()."""
    penalty = {"class_name": "L1L2", "config": {"l1": recipe.l1, "l2": recipe.l2}} if recipe.l1 or recipe.l2 else None

    def dense(name, units, activation):
        return {"class_name": "Dense", "config": {
            "name": name, "trainable": True, "dtype": "float32", "units": units, "activation": activation, "use_bias": True,
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
            "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": penalty,
            "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None}}
    model = {"class_name": "Sequential", "config": {"name": "human_machine", "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, INPUTS], "dtype": "float32", "sparse": False,
                                                "ragged": False, "name": "bits"}},
        dense("hidden", HIDDEN, "relu"), dense("human", 1, "sigmoid")]}}
    momentum = {"momentum": recipe.momentum} if recipe.optimizer == "SGD" else {}
    training = {"loss": "binary_crossentropy", "metrics": ["accuracy"], "weighted_metrics": None, "loss_weights": None,
                "sample_weight_mode": None, "optimizer_config": {
                    "class_name": recipe.optimizer,
                    "config": {"name": recipe.optimizer, "learning_rate": recipe.rate, **momentum}}}
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for where in (file.attrs, group.attrs):
            where["keras_version"], where["backend"] = np.bytes_("2.3.0-tf"), np.bytes_("tensorflow")
        file.attrs["model_config"] = np.bytes_(json.dumps(model))
        file.attrs["training_config"] = np.bytes_(json.dumps(training))
        group.attrs["layer_names"] = np.array([b"bits", b"hidden", b"human"])
        group.create_group("bits").attrs["weight_names"] = np.array([], "S1")
        for name, arrays in (("hidden", weights[:2]), ("human", weights[2:])):
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array([f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()])
            for weight_name, array in zip(layer.attrs["weight_names"], arrays):
                layer[weight_name.decode()] = array


def pyplot():
    """matplotlib, drawing into files only."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
                         "grid.alpha": 0.3, "savefig.dpi": 120, "figure.constrained_layout.use": True})
    return plt


def save(figure, path):
    figure.savefig(path, metadata={"Software": None})  # no version in the file: equal runs, equal bytes


STYLES = {"train": {"color": "#0072B2", "label": "training"},
          "validation": {"color": "#D55E00", "linestyle": "--", "label": "validation"}}
HUMAN, MACHINE = "#0072B2", "#E69F00"


def plot_learning_curve(run, heading, path):
    """The submitted network: probability of correct classification after each epoch."""
    figure, axes = pyplot().subplots(figsize=(8.5, 5.2))
    for part, style in STYLES.items():
        curve = [100 * epoch[0] for epoch in run[part]]
        axes.plot(range(1, len(curve) + 1), curve, linewidth=2, **style)
        axes.annotate(f"{curve[-1]:.1f}", (len(curve), curve[-1]), xytext=(5, 0), textcoords="offset points", va="center",
                      color=style["color"], annotation_clip=False)
    axes.set(xlabel="epoch", ylabel="probability of correct classification (%)", title=heading)
    axes.legend(loc="lower right")
    save(figure, path)


def plot_overfitting(without, chosen, names, heading, path):
    """Mean accuracy and loss over splits: the network without a remedy, for longer, behind the chosen recipe."""
    figure, panels = pyplot().subplots(1, 2, figsize=(12, 5.4))
    for axes, number, scale, label in ((panels[0], 0, 100, "probability of correct classification (%)"),
                                       (panels[1], 1, 1, "binary cross-entropy (nats)")):
        for runs, name, look in ((without, names[0], {"alpha": 0.4, "linewidth": 1.5}), (chosen, names[1], {"linewidth": 2.2})):
            for part, style in STYLES.items():
                curve = scale * mean_curve(runs, part, number)
                axes.plot(range(1, len(curve) + 1), curve, **style | look | {"label": f"{style['label']}, {name}"})
        axes.set(xlabel="epoch", ylabel=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(heading)
    save(figure, path)


def plot_weights(kernel, output, matrix, heading, path):
    """Heat map with the neurons ordered from alternating weights to runs; beside it what all neurons say together."""
    columns = [neuron["neuron"] - 1 for neuron in sorted(matrix["neurons"], key=lambda neuron: neuron["lag_1"])]
    figure, panels = pyplot().subplot_mosaic([["map", "network"], ["map", "data"]], figsize=(15, 8.6), width_ratios=[1.5, 1])
    axes, limit = panels["map"], np.abs(kernel).max()
    image = axes.imshow(kernel[:, columns].T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_yticks(range(HIDDEN), [f"{j + 1} ({'human' if output[j, 0] > 0 else 'machine'})" for j in columns])
    axes.set_xticks(range(INPUTS), range(1, INPUTS + 1))
    axes.set(xlabel="input position", ylabel="hidden neuron (and what it speaks for)",
             title="weights; neurons ordered: neighbouring weights differ (top) to agree (bottom)")
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="weight", shrink=0.6)
    lags, chance = np.arange(1, 11), np.array(matrix["lag_weights_chance"][:10])
    panels["network"].fill_between(lags, -chance, chance, color="0.85", label="95 % of random arrangements of its weights")
    panels["network"].bar(lags, matrix["lag_weights"][:10], color="#009E73", width=0.6, label="this network")
    panels["network"].set(ylabel=r"mean of $W\,\mathrm{diag}(v)\,W^T$ at this lag",
                          title="all neurons together: above 0 if equal\nvalues at this lag speak for a human")
    panels["network"].margins(y=0.45)
    panels["network"].legend(loc="upper right", fontsize=10)
    panels["data"].bar(lags, matrix["lag_difference_of_data"][:10], color="#56B4E9", width=0.6)
    panels["data"].set(xlabel="lag (positions apart)", ylabel="mean product, human minus machine",
                       title="the data: above 0 if values at this lag\nare equal more often in human rows")
    for name in ("network", "data"):
        panels[name].set_xticks(lags)
        panels[name].axhline(0, color="black", linewidth=0.8)
    figure.suptitle(heading)
    save(figure, path)


def plot_features(human, machine, table, kind, heading, path):
    """Distributions of two features, and how far each set of features carries."""
    figure, panels = pyplot().subplots(1, 3, figsize=(16, 5.2), width_ratios=[1, 1, 1.25])
    for axes, feature, name, least in ((panels[0], transitions, "number of transitions", 0),
                                       (panels[1], longest_run, "longest run", 1)):
        values = np.arange(least, INPUTS + least)
        for rows, colour, label, shift in ((human, HUMAN, "human", -0.2), (machine, MACHINE, "machine", 0.2)):
            share = np.bincount(feature(rows > 0), minlength=INPUTS + 1)[values] / len(rows)
            axes.bar(values + shift, 100 * share, 0.4, color=colour, label=label)
        axes.set(xlabel=name, ylabel="share of the rows (%)", title=name)
        axes.set_xticks(values[values % 2 == 0])
        axes.legend()
    axes = panels[2]
    for model, style, shift in ((NETWORK, {"color": "#009E73", "marker": "o"}, -0.12),
                                (LOGISTIC, {"color": "0.4", "marker": "s"}, 0.12)):
        rows = [row for row in table if row["model"] == model and row["kind"] == kind]
        axes.errorbar([100 * row["validation"]["mean"] for row in rows], np.arange(len(rows)) + shift, label=model,
                      xerr=[100 * row["validation"]["standard_error"] for row in rows], linestyle="none", capsize=4,
                      markersize=7, **style)
    axes.set_yticks(range(len(rows)), [row["features"] for row in rows])
    axes.invert_yaxis()
    axes.axvline(50, color="black", linewidth=0.8)
    axes.set(xlabel="probability of correct classification (%)", title=f"accuracy on {kind} splits: mean, standard error")
    axes.legend(loc="lower left", bbox_to_anchor=(0.07, 0))
    figure.suptitle(heading)
    save(figure, path)


def percent(stat):
    """'60.9 ± 0.2 %' of a mean_and_error() of shares."""
    return f"{100 * stat['mean']:.1f} ± {100 * stat['standard_error']:.1f} %"


def points(stat):
    """The same for differences: '+1.2 ± 0.3 points'."""
    return f"{100 * stat['mean']:+.1f} ± {100 * stat['standard_error']:.1f} points"


def wilson(share, n):
    """95 % interval of a proportion (Wilson 1927, JASA 22:209)."""
    spread = 1.96 ** 2 / n
    half = 1.96 * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return [(share + spread / 2 + sign * half) / (1 + spread) for sign in (-1, 1)]


def matrix_text(kernel):
    """The weight matrix as lines of text: a row for each input position, a column for each hidden neuron."""
    return "\n".join(["weights between input and hidden layer; rows: input positions 1-20, columns: hidden neurons 1-20", "",
                      " " * 5 + "".join(f"{j + 1:7d}" for j in range(kernel.shape[1])),
                      *(f"{i + 1:5d}" + "".join(f"{weight:7.3f}" for weight in row) for i, row in enumerate(kernel))])


def overfitting_sentence(kind, without, chosen):
    gap, gap_chosen = (100 * (each["train"] - each["validation"]) for each in (without, chosen))
    rises, rises_chosen = (each["validation_loss"] > each["lowest_validation_loss"] + 0.002 for each in (without, chosen))

    def verdict(gap, rises):
        return ("it overfits" if rises and gap > 2 else "the gap is there, but the validation loss does not rise" if gap > 2
                else "hardly any overfitting")
    return (f"Watched on {kind} splits. No remedy ({NO_REMEDY.name}), {without['epochs']} epochs: {100 * without['train']:.1f} % "
            f"on the training and {100 * without['validation']:.1f} % on the validation rows, {gap:.1f} points apart; the validation "
            f"loss is lowest after epoch {without['lowest_epoch']} ({without['lowest_validation_loss']:.4f}) and ends at "
            f"{without['validation_loss']:.4f}: {verdict(gap, rises)}. The chosen recipe, {chosen['epochs']} epochs: "
            f"{100 * chosen['train']:.1f} % and {100 * chosen['validation']:.1f} %, {gap_chosen:.1f} points apart; validation loss "
            f"{chosen['validation_loss']:.4f} at the end, {chosen['lowest_validation_loss']:.4f} at its lowest (epoch "
            f"{chosen['lowest_epoch']}): {verdict(gap_chosen, rises_chosen)}.")


def neuron_sentence(matrix):
    """What single neurons look at, against what the same weights in random places would show."""
    looks, pooled = [neuron["looks_at"] for neuron in matrix["neurons"]], matrix["looks_at_in_all_networks"]
    kinds = ", ".join(f"{looks.count(what)} {what}" for what in (DIFFERENCES, RUNS, ONE_LAG, FEW))
    neurons = sum(pooled.values())

    def versus(what):
        expected = (0.05 if what == ONE_LAG else 0.025) * neurons  # at most: a neuron is counted under the first that fits
        beyond = pooled[what] > expected + 2 * math.sqrt(expected)
        return f"{pooled[what]} look at {what} ({'more' if beyond else 'not clearly more'} than chance, at most {expected:g})"
    return (f"One neuron at a time, of {HIDDEN}: {kinds}, {looks.count(NONE)} without a pattern beyond chance, {looks.count(DEAD)} dead. "
            f"Of the {neurons} neurons of {neurons // HIDDEN} such networks, one for each random split, "
            f"{', '.join(map(versus, (DIFFERENCES, RUNS, ONE_LAG, FEW)))}.")


def together_sentence(matrix):
    """What all neurons say together."""
    weights, chance, others = matrix["lag_weights"], matrix["lag_weights_chance"], matrix["agreement_of_all_networks"]
    clear = [f"{lag + 1} ({'equal' if weights[lag] > 0 else 'different'} values speak for a human)"
             for lag in range(10) if abs(weights[lag]) > chance[lag]]
    follows = "follows" if matrix["agreement"] > matrix["agreement_by_chance"] else "does not follow"
    return (f"All neurons together (W diag(v) W^T, v the output weights, averaged by lag): outside the 95 % band of a single lag at lag "
            f"{', '.join(clear) or 'none'}. Over lags 1-10 it {follows} what distinguishes human from machine rows in the data: "
            f"correlation {matrix['agreement']:.2f} ({min(others):.2f} to {max(others):.2f} in the {len(others)} networks; 95 % of "
            f"random arrangements of the weights stay below {matrix['agreement_by_chance']:.2f}).")


def insight_sentence(results):
    """Yes, if the matrix shows the lags of the data, and features made by lag beat the raw values."""
    matrix, kind = results["matrix"], results["hard_kind"]
    rows = {(row["features"], row["model"]): row for row in results["features"] if row["kind"] == kind}
    raw, lags, counted = rows[RAW, NETWORK], rows[LAGS, NETWORK], rows[TRANSITIONS, LOGISTIC]
    best = max(rows.values(), key=lambda row: row["validation"]["mean"])
    seen = matrix["agreement"] > matrix["agreement_by_chance"]
    proved = lags["gain"]["mean"] > 2 * lags["gain"]["standard_error"]
    return (f"{'Yes' if seen and proved else 'In part' if seen or proved else 'No'}: the matrix {'shows' if seen else 'does not show'} "
            f"how far apart the values stand that should be compared, and features made that way {'do' if proved else 'do not'} help. "
            f"On {kind} splits the network on raw values has {percent(raw['validation'])} "
            f"({percent(results['accuracy'][kind]['validation'])} with the submitted recipe), on ten lag correlations "
            f"{percent(lags['validation'])} ({points(lags['gain'])}); logistic regression on the number of transitions alone has "
            f"{percent(counted['validation'])}; the best, {best['model']} on {best['features']}, {percent(best['validation'])} "
            f"({points(best['gain'])}).")


def answers(results):
    """The homework's questions in its order, each with its number and files."""
    submitted, best, coding = results["submitted"], results["ranking"][0], results["data"]["coding"]
    by_kind = ", ".join(f"{percent(each['validation'])} on {kind} splits" for kind, each in results["accuracy"].items())
    rows = [
        ("A single hidden layer with 20 neurons and ReLU, a single sigmoid output, binary cross-entropy, label 1 for human",
         f"20-20-1, 441 parameters. Input: rows of 20 values, coded {coding[0]}/{coding[1]} as in the file; output: the "
         "probability that a human generated the row.", ["p4_model.hdf5"]),
        ("80/20 training and validation split, batch size of 16",
         f"{submitted['train_rows']:,} training and {submitted['validation_rows']:,} validation rows, split at random; batch "
         f"size {BATCH_SIZE}, {submitted['epochs']} epochs.", []),
        ("Learning curves: probability of correct classification vs. number of epochs",
         f"The submitted network ends at {100 * submitted['train']:.1f} % on the training and "
         f"{100 * submitted['validation']:.1f} % on the validation rows (95 % interval {100 * submitted['interval'][0]:.1f} to "
         f"{100 * submitted['interval'][1]:.1f} %).", ["p4_learning_curve.png"]),
        ("Ensure that you are not over-fitting by monitoring these curves",
         overfitting_sentence(results["hard_kind"], **results["overfitting"]), ["p4_overfitting.png"]),
        ("Explore the use of various optimizers and regularizers",
         f"The best of {len(results['ranking'])} recipes by the mean over {best['validation']['splits']} random splits is "
         f"{best['recipe']}. It has {by_kind} (mean and standard error).", ["p4_report.md"]),
        ("Print out the (20 x 20) weight matrix for the junction between the input and hidden layers",
         f"Printed on the screen, in the report and in the files (rows: inputs, columns: hidden neurons). "
         f"{neuron_sentence(results['matrix'])} {together_sentence(results['matrix'])}",
         ["p4_weights.txt", "p4_weights.csv", "p4_weights.png"]),
        ("Does this give you any insight into feature design for this problem?",
         insight_sentence(results), ["p4_features.png"]),
        ("Submit a tf.keras model file in hdf5 format for the auto-grader, and a learning curve",
         "One file for TensorFlow 2.2 (2020), 2.15 (the last Keras 2) and the current one.",
         ["p4_model.hdf5", "p4_learning_curve.png"])]
    return [{"part": "4", "question": question, "answer": answer, "files": files} for question, answer, files in rows]


def report(results, weights):
    """p4_report.md: the homework's questions in its order, from the results alone; `weights`: the matrix as text."""
    data, chance = results["data"], results["matrix"]["chance"]
    network, split, curve, overfitting, explored, _, insight, file = (each["answer"] for each in results["answers"])
    best = results["ranking"][0]

    def table(rows):
        return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    ranking = table((row["recipe"], f"{row['rate']:g}", percent(row["validation"]), "" if row is best else points(row["behind"]),
                     percent(row["train"]), f"{row['validation_loss']:.4f}") for row in results["ranking"])
    kinds = table((kind, percent(each["validation"]), percent(each["train"])) for kind, each in results["accuracy"].items())
    neurons = table((n["neuron"], n["looks_at"], f"{n['output_weight']:+.2f}", f"{n['norm']:.2f}", f"{100 * n['active']:.0f} %",
                     f"{100 * n['sign_changes']:.0f} %", f"{n['lag_1']:+.2f}", f"{n['strongest_lag']} ({n['at_strongest_lag']:+.2f})",
                     f"{n['positions_used']:.1f}") for n in results["matrix"]["neurons"])
    of_features = table((row["features"], row["inputs"], row["model"], row["kind"], percent(row["validation"]),
                         "" if (row["features"], row["model"]) == (RAW, NETWORK) else points(row["gain"]), percent(row["train"]))
                        for row in results["features"])
    blocks = (f"whole blocks of {BLOCK} human rows, one person each, are held out; blocks that share more than half of their rows "
              "count as one person. The file consists of such blocks" if data["people"]["blocks"] else "not possible with this file")
    coins = (f"over the 16 patterns of four values chi-square is {data['coins']['chi_square']:.1f} (a fair coin exceeds "
             f"{data['coins']['limit']} in 1 of 100 files). {'So it was tried' if data['coins']['fair'] else 'So it was not tried'}")
    passes = "pass" if data["coins"]["fair"] else "do not pass"
    quick = " Quick run: a smoke test, not a result." if results["quick"] else ""
    confirmation = (f"On five other random splits of the same rows, which took no part in the choice, it has {percent(results['confirmation'])}."
                    if results["confirmation"] else "")
    return f"""# {'STAND-IN DATA: ' if data['stand_in'] else ''}Problem 4: MLP for the human/machine binary data

Data: {data['source']}, {data['human']:,} human and {data['machine']:,} machine rows.{quick}
± is the standard error of the mean over {best['validation']['splits']} splits: folds of one shuffle, so that no row is held out twice.
The folds share training rows, so it is rather too small. Intervals take the rows as independent.

## The network

{network}

## The split

{split} Such a split puts the same typist on both sides, and often the same row. So other kinds of splits are measured as well:

- {PEOPLE}: {blocks}: {data['people']['why']}.
- {DUPLICATES}: {data['repeated']:,} of the rows occur more than once in the file; here identical rows are always on one side.

## Learning curves

{curve}

![learning curve](p4_learning_curve.png)

## Over-fitting

{overfitting}

![overfitting](p4_overfitting.png)

## Optimizers and regularizers

All with batch size {BATCH_SIZE} and {results['settings']['epochs']} epochs; the learning rate falls linearly to zero, except where it
is constant. Accuracy is that after the last epoch, on the same {best['validation']['splits']} random splits.

| recipe | first learning rate | validation | behind the best | training | validation loss |
|---|---|---|---|---|---|
{ranking}

"Fresh machine rows": in each epoch the machine's training rows are replaced by new coin flips, endless training data of
that class. The file's machine rows {passes} for coin flips: {coins}. Training accuracy is measured on the file's own rows.

{explored} {confirmation}

| splits | validation | training |
|---|---|---|
{kinds}

## The weight matrix

```
{weights}
```

As files: [text](p4_weights.txt), [CSV with all digits](p4_weights.csv).

![weights](p4_weights.png)

{neuron_sentence(results['matrix'])}

{together_sentence(results['matrix'])}

| neuron | looks at | output weight | norm of weights | active on | sign changes | neighbours | strongest lag | positions used |
|---|---|---|---|---|---|---|---|---|
{neurons}

- Sign changes: the share of neighbouring weights that differ in sign, weighted by their size.
- Neighbours: mean product of neighbouring weights over the mean squared weight. "{DIFFERENCES}" is below
  {chance['lag_1_low']:.2f}, "{RUNS}" above {chance['lag_1_high']:.2f}; the same weights in random places get there in 2.5 % of neurons each.
- Strongest lag: the same for weights 1-10 apart; "{ONE_LAG}" is stronger than in 95 % of neurons with weights in random places.
- Positions used: (sum w^2)^2 / sum w^4, 1 for a single position, 20 for equal weights. "{FEW}" is below
  {chance['positions']:.1f} (chance: 2.5 %).

## Insight into feature design

**Does the matrix give any insight into feature design?** {insight}

![features](p4_features.png)

| features | inputs | model | splits | validation | against the network on raw values | training |
|---|---|---|---|---|---|---|
{of_features}

All with batch size {FEATURE_RECIPE.batch_size}, {results['settings']['feature_epochs']} epochs, Adam, L2 {FEATURE_RECIPE.l2:g}, the network with {HIDDEN} hidden neurons, inputs
other than raw values standardised: a cheaper training than above, the same for all, so compare raw values within this table.

## Submitted

- [p4_model.hdf5](p4_model.hdf5): {file} It expects values coded {data['coding'][0]}/{data['coding'][1]}.
- [p4_learning_curve.png](p4_learning_curve.png)

The whole run took {results['seconds']:.0f} s.
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description="Problem 4: an MLP that tells human from machine-made bits.")
    parser.add_argument("--quick", action="store_true", help="two epochs on a small subset: a smoke test")
    parser.add_argument("--data", type=Path, default=FOLDER / "data" / "binary_random.hdf5",
                        help="another year's file (default: data/binary_random.hdf5)")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/; with --quick a temporary one)")
    parser.add_argument("--jobs", type=int, default=min(8, os.cpu_count() or 1),
                        help="trainings at a time (default: %(default)s)")
    arguments = parser.parse_args()
    if not 1 <= arguments.jobs <= 8:
        parser.error(f"--jobs: found {arguments.jobs}; expected 1 to 8")
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp(prefix="p4_")) if arguments.quick else FOLDER / "outputs"
    return arguments


@contextmanager
def complete_outputs(out):
    """A folder beside the outputs; what is in it moves to `out` when the block ends well, and vanishes otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    for remains in out.glob(".p4_*"):  # of a killed run
        shutil.rmtree(remains, ignore_errors=True)
    staging = out / f".p4_{os.getpid()}"
    try:
        staging.mkdir()
        yield staging
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # all files move, or none
        written = [path.replace(out / path.name) for path in sorted(staging.iterdir())]
        signal.signal(signal.SIGINT, interrupt)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_index(out)
    print(*written, sep="\n")


def load(path, quick):
    """The file's SequenceData, with at least 50 rows of each class; with `quick` only the first 500."""
    data = load_sequences(path)
    for name, rows in (("human", data.human), ("machine", data.machine)):
        if len(rows) < 50:
            raise DataError(f"{path}: {name}: found {len(rows)} rows; expected at least 50, to train and validate on; use a larger file")
    return data._replace(human=data.human[:500], machine=data.machine[:500]) if quick else data


class Plan(NamedTuple):
    """What is trained, depending on the file and on --quick."""
    recipes: tuple
    feature_recipes: dict  # {(features, model): Recipe}
    unremedied: Recipe     # NO_REMEDY for more epochs
    kinds: tuple           # of splits; from the hardest to pass by memory to RANDOM
    folds: tuple
    more_folds: tuple


def make_plan(data, blocks, coins, quick):
    kinds = tuple(kind for kind in (PEOPLE, DUPLICATES, RANDOM) if kind != PEOPLE or blocks["blocks"])
    kinds = tuple(kind for kind in kinds if all(held_out(kind, data.human, data.machine, fold).any() for fold in FOLDS))
    recipes = [recipe for recipe in RECIPES if coins["fair"] or not recipe.fresh]
    if quick:
        recipes = [recipe._replace(epochs=2) for recipe in (recipes[0], recipes[-1])]
    names = (RAW, TRANSITIONS, LAGS) if quick else (RAW, TRANSITIONS, RUN, LAGS, GRAMS, ALL)
    feature_recipes = {(name, model): FEATURE_RECIPE._replace(name=f"{model} on {name}", features=name,
                                                              hidden=HIDDEN if model == NETWORK else 0,
                                                              epochs=2 if quick else FEATURE_RECIPE.epochs)
                       for name in names for model in (NETWORK, LOGISTIC)}
    return Plan(tuple(recipes), feature_recipes, NO_REMEDY._replace(epochs=4 if quick else LONG_EPOCHS), kinds,
                FOLDS[:2] if quick else FOLDS, () if quick else MORE_FOLDS)


def pairs(kinds, numbers):
    return tuple((kind, number) for kind in kinds for number in numbers)


def explore(plan):
    """The tasks before the choice, the longest first, so that all workers end at about the same time."""
    hardest_and_random = dict.fromkeys([plan.kinds[0], RANDOM])
    return [Task(plan.unremedied, pairs(plan.kinds[:1], plan.folds)),
            *(Task(recipe, pairs([RANDOM], plan.folds)) for recipe in plan.recipes),
            *(Task(recipe, pairs(hardest_and_random, plan.folds)) for recipe in plan.feature_recipes.values())]


def confirm(plan, chosen):
    """The tasks after the choice: the chosen recipe on splits that took no part in it."""
    tasks = [Task(chosen, pairs([kind], plan.folds)) for kind in plan.kinds if kind != RANDOM]
    return tasks + [Task(chosen, pairs([RANDOM], plan.more_folds))] * bool(plan.more_folds)


def summarise(data, plan, blocks, coins, trained, chosen):
    """All numbers of the report."""
    first = trained[chosen, RANDOM, plan.folds[0]]
    validation = held_out(RANDOM, data.human, data.machine, plan.folds[0])
    repeats = np.unique(same_rows(np.concatenate([data.human, data.machine])), return_counts=True)[1]
    return {
        "data": {"source": data.source, "stand_in": data.stand_in, "coding": data.coding, "human": len(data.human),
                 "machine": len(data.machine), "people": blocks, "coins": coins, "repeated": int(repeats[repeats > 1].sum())},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "tensorflow", "keras")}},
        "settings": {"batch_size": BATCH_SIZE, "epochs": chosen.epochs, "unremedied_epochs": plan.unremedied.epochs,
                     "folds": plan.folds, "more_folds": plan.more_folds, "feature_epochs": plan.feature_recipes[RAW, NETWORK].epochs},
        "ranking": ranking_table(trained, plan), "hard_kind": plan.kinds[0],
        "accuracy": {kind: accuracy(runs(trained, chosen, kind, plan.folds)) for kind in plan.kinds[::-1]},
        "confirmation": (mean_and_error(final(runs(trained, chosen, RANDOM, plan.more_folds), "validation"))
                         if plan.more_folds else None),
        "submitted": {"recipe": chosen.name, "epochs": chosen.epochs, "train_rows": int((~validation).sum()),
                      "validation_rows": int(validation.sum()), "train": first["train"][-1][0],
                      "validation": first["validation"][-1][0], "interval": wilson(first["validation"][-1][0], int(validation.sum())),
                      "curves": {part: first[part] for part in STYLES}},
        "overfitting": {"without": course(runs(trained, plan.unremedied, plan.kinds[0], plan.folds)),
                        "chosen": course(runs(trained, chosen, plan.kinds[0], plan.folds))},
        "matrix": read_matrix(runs(trained, chosen, RANDOM, plan.folds), data.human, data.machine),
        "features": feature_table(trained, plan)}


def write(folder, results, data, plan, trained, chosen):
    """Every output file, into `folder`. Returns the weight matrix as text."""
    mark = "STAND-IN DATA: " if data.stand_in else ""
    first = trained[chosen, RANDOM, plan.folds[0]]
    kernel, _, output, _ = first["weights"]
    text = mark + matrix_text(kernel)
    write_model(folder / "p4_model.hdf5", first["weights"], chosen)
    (folder / "p4_weights.txt").write_text(text + "\n", encoding="utf-8")
    with (folder / "p4_weights.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([[f"{mark}position", *(f"neuron {j + 1}" for j in range(HIDDEN))],
                                                         *([i + 1, *row] for i, row in enumerate(kernel.tolist()))])
    plot_learning_curve(first, f"{mark}human or machine? 20-20-1 (ReLU, sigmoid)\n{chosen.name}, batch size {BATCH_SIZE}, "
                               "random 80/20 split", folder / "p4_learning_curve.png")
    plot_overfitting(runs(trained, plan.unremedied, plan.kinds[0], plan.folds), runs(trained, chosen, plan.kinds[0], plan.folds),
                     (f"no remedy ({NO_REMEDY.name})", chosen.name),
                     f"{mark}20-20-1, {plan.kinds[0]} splits: mean of {len(plan.folds)}", folder / "p4_overfitting.png")
    plot_weights(kernel, output, results["matrix"], f"{mark}20-20-1 on raw values ({chosen.name}): weights between input and "
                                                    "hidden layer", folder / "p4_weights.png")
    plot_features(data.human, data.machine, results["features"], plan.kinds[0],
                  f"{mark}features of human and machine rows ({data.source})", folder / "p4_features.png")
    (folder / "p4_results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "p4_report.md").write_text(report(results, text), encoding="utf-8")
    return text


def summary(results):
    """Lines for the screen, in ASCII for any console."""
    lines = [f"{'recipe':38s}{'validation':16s}training   (mean of random splits)"]
    lines += [f"{row['recipe']:38s}{percent(row['validation']):16s}{percent(row['train'])}" for row in results["ranking"]]
    for answer in results["answers"][4:7]:  # the recipes, the matrix, the insight
        lines += ["", *textwrap.wrap(answer["answer"], 118)]
    lines += ["", f"{results['seconds']:.0f} s"]
    return "\n".join(lines).replace("±", "+-")


def main():
    arguments = parse_arguments()
    begin = time.perf_counter()
    with complete_outputs(arguments.out) as folder:
        data = load(arguments.data, arguments.quick)
        blocks, coins = block_evidence(data.human), fair_coins(data.machine)
        plan = make_plan(data, blocks, coins, arguments.quick)
        trained = train_all(explore(plan), arguments.jobs, data)
        chosen = rank(trained, plan)[0][0]
        trained |= train_all(confirm(plan, chosen), arguments.jobs, data)
        results = {"problem": 4, "quick": arguments.quick, "seed": SEED, **summarise(data, plan, blocks, coins, trained, chosen),
                   "seconds": round(time.perf_counter() - begin, 1)}
        results["answers"] = answers(results)
        text = write(folder, results, data, plan, trained, chosen)
    print(f"\n{text}\n\n{summary(results)}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.reconfigure(errors="backslashreplace")  # for consoles that lack a character
    try:
        main()
    except KeyboardInterrupt:
        print("\ninterrupted; earlier outputs are as they were", file=sys.stderr)
        sys.exit(130)
    except (DataError, OSError, RuntimeError) as error:
        print(f"\nerror: {' '.join(str(error).split())}", file=sys.stderr)  # HDF5 writes several lines
        sys.exit(2)

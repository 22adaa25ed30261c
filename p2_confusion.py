"""Problem 2: which clothes does a small network take for which? The confusion matrix for Fashion-MNIST.

    python p2_confusion.py      (about 2.5 minutes on two cores)

Trains the homework's network (784-100-10, ReLU, dropout 0.3, L2 0.0001) on the 60,000 training images from five
seeds. Each network sees the test images once, when its training is over. The matrix shown is that of the first
seed: one network, so that its entries count images, and chosen before any result was known. The other four tell
how far the answers can be trusted. A sixth, trained on 50,000 images, gives the learning curves.

Result: 89.3 % of the test images (mean of five seeds, standard deviation 0.08). T-shirt/top and Shirt are confused
most: 212 of the 2000 images of these two classes, by the network of the first seed.

Reads  data/fashion_mnist_traindata.hdf5, data/fashion_mnist_testdata.hdf5 (made by: python data/prepare.py)
Writes outputs/p2_report.md (start here), p2_results.json, p2_confusion.csv (rates), p2_confusion_counts.csv,
       p2_confusion.png, p2_mistakes.png, p2_curves.png
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
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from data.loader import DataError, load_images
from outputs.index import write_index

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "fashion_mnist_testdata.hdf5"

NODES, DROPOUT, L2 = 100, 0.3, 1e-4  # fixed by the homework

# Free, so chosen on 10,000 validation images: the best of SEARCH.
LEARNING_RATE = 0.001  # Adam's first; half a cosine takes it to 0 at the last update
BATCH_SIZE = 128
EPOCHS = 90
# Optimizer, first learning rate, schedule, minibatch, epochs; networks trained, and the mean and the standard
# deviation of their validation accuracy in %. Printed by tests/search_p2.py (the last 10,000 images validate).
SEARCH = (
    ("Adam", 0.001, "constant", 32, 40, 2, 87.36, 0.01),
    ("Adam", 0.001, "constant, averaged weights", 32, 40, 2, 88.97, 0.02),
    ("Adam", 0.0005, "cosine", 32, 40, 2, 89.18, 0.03),
    ("Adam", 0.001, "cosine", 32, 40, 2, 89.25, 0.04),
    ("Adam", 0.002, "cosine", 32, 40, 2, 89.0, 0.05),
    ("SGD, Nesterov momentum 0.9", 0.05, "cosine", 32, 40, 2, 88.6, 0.09),
    ("Nadam", 0.001, "cosine", 64, 60, 2, 89.39, 0.06),
    ("Adam", 0.001, "cosine", 64, 60, 2, 89.56, 0.02),
    ("Adam", 0.001, "cosine", 128, 90, 2, 89.65, 0.21),
    ("Adam", 0.002, "cosine", 128, 90, 2, 89.57, 0.11),
    ("Adam", 0.002, "cosine", 256, 120, 2, 89.42, 0.11),
)

TRAIN_IMAGES = 60_000
SEEDS = (0, 1, 2, 3, 4)  # the first one's matrix is shown
CURVES = "learning curves"  # the purpose of a training without the validation images
TEST = "test"  # the purpose of one on all images
NETWORK = f"784-{NODES} ReLU-10, dropout {DROPOUT}, L2 {L2:g}"

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
HEADINGS = ("T-shirt /top", "Trou- ser", "Pull- over", "Dress", "Coat", "San- dal", "Shirt", "Snea- ker", "Bag",
            "Ankle boot")  # in two lines, so that the table fits a terminal
UPPER_BODY = (0, 2, 4, 6)


def load_keras():
    """tf.keras: silent, on the CPU, with one thread and repeatable arithmetic.

    TensorFlow's start-up notes do not go through sys.stderr, so the file descriptor itself is led away meanwhile."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    return tf.keras


def build(keras):
    """The homework's network, untrained; L2 on kernels and biases, as in the lecture's script."""
    penalty = {"kernel_regularizer": keras.regularizers.L2(L2), "bias_regularizer": keras.regularizers.L2(L2)}
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(NODES, activation="relu", **penalty),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(10, activation="softmax", **penalty)])


def train(purpose, seed, images, labels, epochs, show=lambda epoch: None):
    """Train one network. TEST: on all images; returns its probabilities for the test images, (n, 10).

    CURVES: without the last sixth (10,000 of 60,000); returns, for each epoch, accuracy and cross-entropy on the
    first of the training images, as many as validate, then on the validation images."""
    keras = load_keras()
    keras.utils.set_random_seed(seed)
    held_out = len(images) // 6 if purpose == CURVES else 0
    fitted = len(images) - held_out
    updates = math.ceil(fitted / BATCH_SIZE)  # in an epoch
    model = build(keras)
    # Keras loses most of its time between calls of the compiled step, so one call makes all updates of an epoch.
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, updates * epochs)),
                  loss="sparse_categorical_crossentropy", steps_per_execution=updates)
    curves = []

    def after_epoch(epoch, logs):
        if purpose == CURVES:
            curves.append(measure(model, images[:held_out], labels[:held_out])
                          + measure(model, images[fitted:], labels[fitted:]))
        show(epoch + 1)

    model.fit(images[:fitted], labels[:fitted], batch_size=BATCH_SIZE, epochs=epochs, verbose=0,
              callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)])
    return curves if purpose == CURVES else model(load_images(TEST_FILE).images, training=False).numpy()


def measure(model, images, labels):
    """(accuracy, mean cross-entropy in nats) with dropout off, the penalty not included."""
    probabilities = model(images, training=False).numpy()
    of_label = probabilities[np.arange(len(labels)), labels]
    return float((probabilities.argmax(axis=1) == labels).mean()), float(-np.log(np.maximum(of_label, 1e-12)).mean())


def work(tasks, pipe, images, epochs):
    """A worker process: train what is on the queue until a None comes; send epochs and results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    try:
        data = load_images(TRAIN_FILE)
        while (task := tasks.get()) is not None:
            result = train(*task, data.images[:images], data.labels[:images], epochs,
                           lambda epoch: pipe.send((task, "epoch", epoch)))
            pipe.send((task, "result", result))
    except BrokenPipeError:  # the parent is gone
        pass


def train_all(trainings, jobs, images, epochs, show):
    """{(purpose, seed): what train() returns}, from `jobs` processes; raises RuntimeError when one dies."""
    context = multiprocessing.get_context("spawn")
    tasks = context.SimpleQueue()
    for task in [*trainings, *[None] * jobs]:
        tasks.put(task)
    pipes, results = [], {}
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # on POSIX workers inherit this from their first instant
    for _ in range(min(jobs, len(trainings))):
        receiver, sender = context.Pipe(duplex=False)
        context.Process(target=work, args=(tasks, sender, images, epochs), daemon=True).start()
        sender.close()
        pipes.append(receiver)
    signal.signal(signal.SIGINT, interrupt)
    while pipes:
        for pipe in wait(pipes):
            try:
                task, kind, content = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            if kind == "result":
                results[task] = content
            else:
                show(task, content)
    if len(results) < len(trainings):
        raise RuntimeError("a training process ended without a result (out of memory?); try --jobs 1")
    return results


def progress(trainings, epochs):
    """A function to call after each epoch: on a terminal one line that rewrites itself, else a line per network."""
    done, begin = dict.fromkeys(trainings, 0), time.perf_counter()

    def show(task, epoch):
        done[task] = epoch
        trained, total = sum(done.values()), epochs * len(done)
        line = (f"{trained:4d} of {total} epochs, {sum(n == epochs for n in done.values())} of {len(done)} networks, "
                f"{time.perf_counter() - begin:4.0f} s")
        if sys.stdout.isatty():
            print(f"\r{line}", end="\n" if trained == total else "", flush=True)
        elif epoch == epochs:
            print(line, flush=True)
    return show


def confusion_counts(labels, decisions):
    """(10, 10): element (i, j) counts the images of class i that are decided as class j."""
    counts = np.zeros((10, 10), np.int64)
    np.add.at(counts, (labels, decisions), 1)
    return counts


def to_rates(counts):
    """Each row divided by its sum: (i, j) is the rate of decision j given class i. NaN for a class without images."""
    images = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, images, out=np.full(counts.shape, np.nan), where=images > 0)


def most_confused(rates):
    """Part 2: for each row m the columns j != m with its largest rate: several on a tie, none if all are 0 or NaN."""
    wrong = np.nan_to_num(rates) * ~np.eye(len(rates), dtype=bool)
    return [np.flatnonzero((row > 0) & (row == row.max())).tolist() for row in wrong]


def directions(counts):
    """Part 3, one reading: the images of class i decided as j, of all images of class i."""
    return counts * ~np.eye(len(counts), dtype=bool), np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)


def pairs(counts):
    """Part 3, the other reading, i < j: the images of either class decided as the other, of all images of the two."""
    images = counts.sum(axis=1)
    return np.triu(counts + counts.T, 1), np.add.outer(images, images)


def largest(wrong, images):
    """The entries (i, j) with the largest rate wrong / images: several on a tie, none if nothing is wrong."""
    rates = wrong / np.maximum(images, 1)
    return [(int(i), int(j)) for i, j in np.argwhere((rates > 0) & (rates == rates.max()))]


def agreeing(answer, answers):
    """How many of `answers`, one from each network, hold the first entry of `answer` (or are as empty as it)."""
    return sum(answer[0] in other if answer else not other for other in answers)


def proportion(count, images):
    """count / images with its 95 % interval (Wilson 1927, JASA 22:209)."""
    if not images:
        return {"count": 0, "images": 0, "rate": None, "interval": None}
    share, spread = count / images, 1.96**2 / images
    half = 1.96 * math.sqrt(share * (1 - share) / images + spread / (4 * images))
    return {"count": int(count), "images": int(images), "rate": float(share),
            "interval": [float((share + spread / 2 + sign * half) / (1 + spread)) for sign in (-1, 1)]}


def overall(reading, matrices):
    """The answer to part 3 in one reading, `pairs` or `directions`: of the first network, and who agrees with it."""
    found = [largest(*reading(counts)) for counts in matrices]
    wrong, images = reading(matrices[0])
    others = wrong.copy()
    for entry in found[0]:
        others[entry] = 0
    first, second = ({"classes": entries, **(proportion(wrong[entries[0]], images[entries[0]]) if entries else proportion(0, 0))}
                     for entries in (found[0], largest(others, images)))
    return first | {"networks_agreeing": agreeing(found[0], found), "second": second,
                    "of_all_networks_together": largest(*reading(sum(matrices)))}


def analyse(labels, probabilities):
    """All answers, from the test images' labels (n,) and each network's probabilities {seed: (n, 10)}; the first leads."""
    matrices = [confusion_counts(labels, outputs.argmax(axis=1)) for outputs in probabilities.values()]
    accuracies = [float(np.trace(counts) / counts.sum()) for counts in matrices]
    counts, taken_for = matrices[0], [most_confused(to_rates(counts)) for counts in matrices]
    classes = [{"class": m, "taken_for": answer, **proportion(counts[m, answer[0]] if answer else 0, counts[m].sum()),
                "networks_agreeing": agreeing(answer, [other[m] for other in taken_for]),
                "mistaken_for_it": mistaken, "mistaken_for_it_count": int(counts[mistaken[0], m]) if mistaken else 0}
               for m, (answer, mistaken) in enumerate(zip(taken_for[0], most_confused(to_rates(counts).T)))]
    wrong = counts * ~np.eye(10, dtype=bool)
    return {"accuracy": {"mean": statistics.fmean(accuracies), "standard_deviation": statistics.stdev(accuracies),
                         "first": proportion(np.trace(counts), counts.sum())},
            "networks": [{"seed": seed, "accuracy": accuracy, "counts": matrix.tolist()}
                         for seed, accuracy, matrix in zip(probabilities, accuracies, matrices)],
            "rates": np.where(counts.sum(axis=1, keepdims=True), to_rates(counts), None).tolist(),
            "classes": classes, "pair": overall(pairs, matrices), "direction": overall(directions, matrices),
            "upper_body": proportion(wrong[np.ix_(UPPER_BODY, UPPER_BODY)].sum(), wrong.sum())}


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


def plot_confusion(rates, heading, path):
    """Heat map. Its colours measure the mistakes alone: on one scale with the diagonal they would all look white."""
    rates = np.nan_to_num(np.array(rates, float))
    wrong = np.ma.masked_array(rates, np.eye(10, dtype=bool))
    top = max(wrong.max(), 0.01)
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(10, 8.6))
    image = axes.imshow(wrong, cmap=plt.get_cmap("Blues").with_extremes(bad="0.88"), vmin=0, vmax=top)
    for (i, j), rate in np.ndenumerate(rates):
        colour = "white" if i != j and rate > 0.6 * top else "black" if rate else "0.6"
        axes.text(j, i, f"{rate:.3f}" if rate else "0", ha="center", va="center", color=colour,
                  fontweight="bold" if i == j else "normal")
    axes.set_xticks(range(10), CLASSES, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(10), CLASSES)
    axes.set(xlabel="decision", ylabel="true class", title=heading)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, shrink=0.8, label="rate of a wrong decision (the diagonal is grey, not on this scale)")
    save(figure, path)


def plot_mistakes(pair, images, labels, probabilities, heading, path, shown=8):
    """Images of the most confused pair, a row for each direction: mistakes from the surest to the least sure."""
    decisions, confidences = probabilities.argmax(axis=1), probabilities.max(axis=1)
    figure, axes = pyplot().subplots(2, shown, figsize=(12, 4.6))
    for row, (true, decided) in zip(axes, (pair, pair[::-1])):
        mistakes = np.flatnonzero((labels == true) & (decisions == decided))
        mistakes = mistakes[np.argsort(-confidences[mistakes], kind="stable")]
        chosen = mistakes[np.linspace(0, len(mistakes) - 1, min(shown, len(mistakes))).round().astype(int)]
        row[0].set_ylabel(f"true: {CLASSES[true]}\ndecision: {CLASSES[decided]}\n({len(mistakes)} images)")
        for panel in row:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        for panel, index in zip(row, chosen):
            panel.imshow(images[index].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            panel.set_title(f"{100 * confidences[index]:.0f} %", fontsize=11)
    figure.suptitle(heading)
    save(figure, path)


def plot_curves(curves, heading, path):
    """Accuracy and cross-entropy against epochs; curves (epochs, 4) as train() returns them."""
    train_accuracy, train_loss, validation_accuracy, validation_loss = np.array(curves).T
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(12, 4.8))
    for axes, training, validation, label in (
            (left, 100 * train_accuracy, 100 * validation_accuracy, "accuracy (%)"),
            (right, train_loss, validation_loss, "cross-entropy (nats)")):
        epochs = range(1, len(curves) + 1)
        axes.plot(epochs, training, color="#0072B2", label="training")
        axes.plot(epochs, validation, "--", color="#D55E00", label="validation")
        axes.set(xlabel="epoch", ylabel=label)
        axes.legend()
    figure.suptitle(heading)
    save(figure, path)


def names(classes):
    """'Coat', 'Coat and Shirt', 'Coat, Shirt and Bag' or 'none'."""
    *most, last = (CLASSES[m] for m in classes) if len(classes) else ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def direction_name(entry):
    return f"{CLASSES[entry[0]]} decided as {CLASSES[entry[1]]}"


def accuracy_words(accuracy, networks):
    return (f"{100 * accuracy['mean']:.2f} % (mean of {len(networks)} networks from {len(networks)} seeds, "
            f"standard deviation {100 * accuracy['standard_deviation']:.2f})")


def of_images(found):
    """'153 of 1000 (15.3 %, 95 % interval 13.2 to 17.7 %)' for a proportion()."""
    if not found["images"]:
        return "0 of 0"
    low, high = found["interval"]
    return (f"{found['count']} of {found['images']} ({100 * found['rate']:.1f} %, 95 % interval "
            f"{100 * low:.1f} to {100 * high:.1f} %)")


def table(rates):
    """The confusion matrix as text, 76 columns wide, for the screen and the report."""
    widths = [8, *[6] * 9]
    parts = [heading.split() + [""] * (1 - heading.count(" ")) for heading in HEADINGS]
    lines = [start + "".join(f"{part[row]:>{width}}" for part, width in zip(parts, widths))
             for row, start in ((0, f"{'decision:':<11}"), (1, f"{'true class':<11}"))]
    for name, row in zip(CLASSES, rates):
        shown = ["-" if rate is None else f"{rate:.3f}" if rate else "." for rate in row]
        lines.append(f"{name:<11}" + "".join(f"{rate:>{width}}" for rate, width in zip(shown, widths)))
    return "\n".join(lines)


def pair_sentence(pair):
    if not pair["classes"]:
        return "No two classes: no image is decided wrongly."
    tied = "".join(f", tied with {names(other)}" for other in pair["classes"][1:])
    return (f"**{names(pair['classes'][0])}**{tied}: of the images of these two classes, {of_images(pair)} "
            "are decided as the other one.")


def direction_sentence(direction):
    if not direction["classes"]:
        return "no image is decided wrongly."
    first, *ties = map(direction_name, direction["classes"])
    return f"**{first}**{''.join(f', tied with {tie}' for tie in ties)}: {of_images(direction)} of its images."


def second_sentence(found, name):
    """How far the first of a reading is ahead of the next."""
    second = found["second"]
    if not second["classes"]:
        return "No other is ever confused."
    ahead = found["rate"] - second["rate"]
    half = 1.96 * math.sqrt(sum(of["rate"] * (1 - of["rate"]) / of["images"] for of in (found, second)))
    return (f"Next comes {name(second['classes'][0])} with {of_images(second)}: {100 * ahead:.1f} points less (95 % interval "
            f"{100 * (ahead - half):.1f} to {100 * (ahead + half):.1f}), so with other test images the order "
            + ("would hardly change." if ahead > half else "might be the reverse."))


def readings_sentence(pair, direction):
    same = set(pair["classes"]) == {tuple(sorted(entry)) for entry in direction["classes"]}
    return "Both readings name the same two classes." if same else "The two readings name different classes."


def agreement_sentence(classes, networks):
    split = [CLASSES[answer["class"]] for answer in classes if answer["networks_agreeing"] < networks]
    if not split:
        return f"all {networks} networks give the same answer for each of the 10 classes."
    return (f"all {networks} networks give the same answer for {10 - len(split)} of the 10 classes, "
            f"and do not for {', '.join(split)}.")


def search_sentence():
    """Whether the recipe stands out among those tried."""
    best = max(SEARCH, key=lambda row: row[6])
    near = sum(row[6] >= best[6] - best[7] for row in SEARCH) - 1
    return (f"{near} of the others come within its standard deviation, so among these the choice is a matter of chance." if near else
            "No other comes within its standard deviation.")


def answers(results):
    """The homework's questions in order, each with its answer and files."""
    pair, direction = results["pair"], results["direction"]
    listed = "; ".join(f"{CLASSES[answer['class']]}: {names(answer['taken_for'])} ({answer['count']} of {answer['images']})"
                       for answer in results["classes"])
    found = (
        ("2", "Train an MLP: 100 ReLU nodes, dropout 30 %, L2 0.0001",
         f"Test accuracy {accuracy_words(results['accuracy'], results['networks'])}.", ["p2_curves.png"]),
        ("2.1", "Print a well-formatted table of the confusion matrix, and a heat map",
         f"Rates given the true class, for the network of seed {SEEDS[0]}, which decides "
         f"{of_images(results['accuracy']['first'])} correctly.",
         ["p2_report.md", "p2_confusion.csv", "p2_confusion_counts.csv", "p2_confusion.png"]),
        ("2.2", "What is the class most likely confused for class m, for m = 0..9?", f"{listed}.", ["p2_report.md"]),
        ("2.3", "Overall, what two classes are most likely to be confused?",
         f"{pair_sentence(pair)} As a direction: {direction_sentence(direction)}".replace("**", ""), ["p2_mistakes.png"]))
    return [dict(zip(("part", "question", "answer", "files"), entry)) for entry in found]


def report(results, mark):
    """The homework's questions in its order and wording, answered with this run's numbers; Markdown."""
    accuracy, networks, classes = results["accuracy"], results["networks"], results["classes"]
    pair, direction, settings = results["pair"], results["direction"], results["settings"]
    train_accuracy, _, validation_accuracy, _ = results["curves"][-1]
    each = ", ".join(f"{100 * network['accuracy']:.2f}" for network in networks)
    search = "\n".join(f"| {' | '.join(map(str, row[:6]))} | {row[6]:.2f} | {row[7]:.2f} |" for row in SEARCH)
    part_3 = (f"{pair['networks_agreeing']} of {len(networks)} networks name the same pair, {direction['networks_agreeing']} of "
              f"{len(networks)} the same direction.")
    rows = "\n".join(
        f"| {answer['class']} {CLASSES[answer['class']]} | **{names(answer['taken_for'])}** | {of_images(answer)} "
        f"| {answer['networks_agreeing']} of {len(networks)} | {names(answer['mistaken_for_it'])} "
        f"({answer['mistaken_for_it_count']}) |" for answer in classes)
    return f"""# {mark}Problem 2: confusion matrix for Fashion-MNIST

Data: {results['data']['source']}.{' Quick run: a smoke test, not a result.' if results['quick'] else ''} Network: {NETWORK} (on kernels and biases, as in the lecture's script), softmax output.
Test accuracy: **{accuracy_words(accuracy, networks)}**; each: {each} %.
Every network saw the test images once, when its training was over.

## 1. Confusion matrix

Element (i, j) is the rate of decision j given true class i, so every row sums to 1; a dot is exactly 0. It is the matrix
of one network, that of seed {networks[0]['seed']}, chosen beforehand; it decides {of_images(accuracy['first'])} correctly.

```
{table(results['rates'])}
```

![heat map](p2_confusion.png)

The colours of the heat map measure the mistakes alone, from 0 to the largest; the diagonal is grey, since on one scale
with it all mistakes would look white. As files: [rates](p2_confusion.csv), [counts](p2_confusion_counts.csv).
Of all wrong decisions, {of_images(results['upper_body'])} are among the clothes for the upper body: {names(UPPER_BODY)}.

## 2. The class most likely confused for class m

What images of class m are most often taken for (row m of the matrix: its rates are given the true class). The last
column turns the question round: whose images are most often taken for m (column m).

| class m | most likely taken for | images of m | networks that agree | most often taken for m (images) |
|---|---|---|---|---|
{rows}

## 3. Overall, the two classes most likely to be confused

{pair_sentence(pair)}
This reading, i as j plus j as i, is the headline: the question asks for two classes, not for a true class and a decision.
{second_sentence(pair, names)}

The other reading, the largest element off the diagonal: {direction_sentence(direction)}
{second_sentence(direction, direction_name)}
{readings_sentence(pair, direction)}

![mistakes of the most confused pair](p2_mistakes.png)

## How far these answers can be trusted

- Part 2: {agreement_sentence(classes, len(networks))}
- Part 3: {part_3} In the sum of their matrices the pair is
  {" or ".join(map(names, pair['of_all_networks_together'])) or "none"}.
- The intervals (Wilson) tell what other test images might change, the agreement what other seeds might.

## Training

Adam, learning rate from {LEARNING_RATE:g} to 0 along half a cosine, minibatch {BATCH_SIZE}, {settings['epochs']} epochs. The recipe is the best
in validation accuracy of those tried (`tests/search_p2.py`: the first 50,000 training images train, the last 10,000
validate). {search_sentence()}

| optimizer | first learning rate | schedule | minibatch | epochs | networks | validation accuracy (%) | standard deviation |
|---|---|---|---|---|---|---|---|
{search}

The learning curves are those of one more network, trained without the validation images. After the last epoch
it decides {100 * train_accuracy:.2f} % of the first 10,000 training images and {100 * validation_accuracy:.2f} % of the validation images correctly.

![learning curves](p2_curves.png)
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description="Problem 2: the confusion matrix of a small network for Fashion-MNIST.")
    parser.add_argument("--quick", action="store_true", help="two epochs on a small subset: a smoke test")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/; with --quick a temporary one)")
    parser.add_argument("--jobs", type=int, default=min(6, os.cpu_count() or 1),
                        help="trainings at a time (default: %(default)s)")
    arguments = parser.parse_args()
    if not 1 <= arguments.jobs <= 6:
        parser.error(f"--jobs: found {arguments.jobs}; expected 1 to 6")
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp(prefix="p2_")) if arguments.quick else FOLDER / "outputs"
    return arguments


@contextmanager
def complete_outputs(out):
    """A folder beside the outputs; what is in it moves to `out` when the block ends well, and vanishes otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    for remains in out.glob(".p2_*"):  # of a killed run
        shutil.rmtree(remains, ignore_errors=True)
    staging = out / f".p2_{os.getpid()}"
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


def check_data(images):
    """[(source, stand_in)] of both files; looked at before the training, so that bad data is told at once."""
    training, test = load_images(TRAIN_FILE), load_images(TEST_FILE)
    if len(training.images) < images:
        raise DataError(f"{TRAIN_FILE}: found {len(training.images)} images; expected {images}; run: python data/prepare.py")
    return [training[2:], test[2:]]


def write_csv(path, corner, matrix):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [[corner, *CLASSES], *([name, *row] for name, row in zip(CLASSES, matrix))])


def write(folder, results, test, probabilities):
    """Every output file, into `folder`."""
    mark = "STAND-IN DATA: " if results["data"]["stand_in"] else ""
    seed, pair = results["seed"], (results["pair"]["classes"] or [(0, 6)])[0]
    recipe = f"{NETWORK}; Adam, cosine decay from {LEARNING_RATE:g}, minibatch {BATCH_SIZE}, seed {seed}"
    correct = results["accuracy"]["first"]["rate"]
    write_csv(folder / "p2_confusion.csv", f"{mark}rates: true class \\ decision", results["rates"])
    write_csv(folder / "p2_confusion_counts.csv", f"{mark}counts: true class \\ decision", results["networks"][0]["counts"])
    plot_confusion(results["rates"], f"{mark}Fashion-MNIST, test images: rate of each decision given the true class\n"
                                     f"{NETWORK}, seed {seed}: {100 * correct:.2f} % correct", folder / "p2_confusion.png")
    plot_mistakes(pair, test.images, test.labels, probabilities,
                  f"{mark}{names(pair)}: mistakes, with the network's confidence in its decision,\nevenly spaced from the "
                  f"surest to the least sure ({NETWORK}, seed {seed}, test images)", folder / "p2_mistakes.png")
    plot_curves(results["curves"], f"{mark}Fashion-MNIST: {recipe}\nmeasured with dropout off, without the penalty; training: its first images, as many as validate",
                folder / "p2_curves.png")
    (folder / "p2_results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "p2_report.md").write_text(report(results, mark), encoding="utf-8")


def main():
    arguments = parse_arguments()
    begin = time.perf_counter()
    seeds, epochs, images = (SEEDS[:2], 2, 1200) if arguments.quick else (SEEDS, EPOCHS, TRAIN_IMAGES)
    with complete_outputs(arguments.out) as folder:
        sources = check_data(images)
        trainings = [(CURVES, SEEDS[0]), *((TEST, seed) for seed in seeds)]
        trained = train_all(trainings, arguments.jobs, images, epochs, progress(trainings, epochs))
        test, probabilities = load_images(TEST_FILE), {seed: trained[TEST, seed] for seed in seeds}
        results = {
            "problem": 2, "quick": arguments.quick, "seed": SEEDS[0],
            "data": {"source": " and ".join(dict.fromkeys(source for source, _ in sources)),
                     "stand_in": any(stand_in for _, stand_in in sources)},
            "versions": {"python": platform.python_version(), **{of: version(of) for of in ("numpy", "tensorflow", "keras")}},
            "settings": {"nodes": NODES, "dropout": DROPOUT, "l2": L2, "optimizer": "Adam, cosine decay",
                         "learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE, "epochs": epochs, "seeds": seeds},
            **analyse(test.labels, probabilities), "curves": trained[CURVES, SEEDS[0]],
            "search": SEARCH, "seconds": round(time.perf_counter() - begin, 1)}
        results["answers"] = answers(results)
        write(folder, results, test, probabilities[SEEDS[0]])
    print(f"\n{table(results['rates'])}\n")
    print(f"test accuracy {accuracy_words(results['accuracy'], results['networks'])}; {results['seconds']:.0f} s")


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

"""Problem 3: what do L2 and dropout do to a network's weights? Histograms of two networks for Fashion-MNIST.

    python p3_reg_histograms.py      (about 2 minutes on two cores)

Trains the homework's networks for 40 epochs: A, 128 ReLU nodes without regularisation, and B, 48 ReLU nodes with
L2 0.0001 and dropout 0.2. They differ in width and in regularisation at once, so two controls (C and D, beyond the
assignment) have one each. All start from the same seed, with the same recipe; a second seed tells what chance does.

Result: B's weights are narrower (standard deviation 0.10 against 0.26 in junction 1, 0.47 against 0.57 in junction 2),
with a sharp peak at zero (23 % against 5 %) and a smaller gap between training and validation accuracy (2.6 against
5.9 points). By the controls all this is mainly due to regularisation, not to width.

Reads  data/fashion_mnist_traindata.hdf5 (made by: python data/prepare.py); the test images are not needed
Writes outputs/p3_report.md (start here), p3_results.json, p3_hist_<network>_junction<1 or 2>.png, p3_histograms.png,
       p3_curves.png, p3_features.png
"""

import signal

if __name__ == "__main__":  # until main() takes over, Ctrl-C just ends the program
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import math
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.loader import DataError, load_images
from outputs.index import write_index

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"


class Network(NamedTuple):
    nodes: int
    dropout: float
    l2: float

    def __str__(self):
        return f"{self.nodes} nodes, " + (f"L2 {self.l2:g}, dropout {self.dropout:g}" if self.l2 else "no regularisation")


NETWORKS = {  # A and B are the homework's
    "A": Network(128, 0.0, 0.0),
    "B": Network(48, 0.2, 1e-4),
    "C": Network(128, 0.2, 1e-4),  # control: A's width, B's regularisation
    "D": Network(48, 0.0, 0.0),    # control: B's width, no regularisation
}
TRAIN_IMAGES = 60_000  # of which 50,000 train and 10,000 validate
EPOCHS = 40  # fixed by the homework
BATCH_SIZE = 64  # of the lecture's script is Adam at its default rate of 0.001; the minibatch is free
SEEDS = (0, 1)  # what is drawn is of the first
BINS = {1: 241, 2: 61}  # of a junction's histograms, with few weights in the second; odd: one is centred on 0
NEAR_ZERO = 0.01  # weights below this size count as near zero (initial standard deviations: 0.047 and more)
SETTLED = 5  # the last epochs, whose mean accuracies are compared: single epochs jump by half a point


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


def build(keras, network):
    """A network of NETWORKS, untrained; L2 on kernels and biases, as in the lecture's script."""
    penalty = {}
    if network.l2:
        penalty = {f"{part}_regularizer": keras.regularizers.L2(network.l2) for part in ("kernel", "bias")}
    hidden = [keras.layers.Dense(network.nodes, activation="relu", **penalty)]
    if network.dropout:
        hidden.append(keras.layers.Dropout(network.dropout))
    return keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10, activation="softmax", **penalty)])


def train(name, seed, images, labels, epochs, show=lambda epoch: None):
    """Train one network without the last sixth of the images (10,000 of 60,000), which validate.

    Returns the initial and the trained parameters [W1, b1, W2, b2], and for each epoch accuracy and cross-entropy
    on the training images, then on the validation images."""
    keras = load_keras()
    keras.utils.set_random_seed(seed)
    held_out = len(images) // 6
    fitted = len(images) - held_out
    model = build(keras, NETWORKS[name])
    # Keras loses most of its time between calls of the compiled step, so one call makes all updates of an epoch.
    model.compile("adam", loss="sparse_categorical_crossentropy", steps_per_execution=math.ceil(fitted / BATCH_SIZE))
    initial, curves = model.get_weights(), []

    def after_epoch(epoch, logs):
        curves.append(measure(model, images[:fitted], labels[:fitted])
                      + measure(model, images[fitted:], labels[fitted:]))
        show(epoch + 1)

    model.fit(images[:fitted], labels[:fitted], batch_size=BATCH_SIZE, epochs=epochs, verbose=0,
              callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)])
    return initial, model.get_weights(), curves


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
    """{(name, seed): what train() returns}, from `jobs` processes; raises RuntimeError when one dies."""
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


def describe(weights, biases, hidden_axis):
    """The statistics of one junction: `weights` with the hidden nodes along `hidden_axis`, and its `biases`.

    Skewness and excess kurtosis are 0 for a normal distribution (and, by convention here, for a constant)."""
    weights = weights.astype(np.float64)
    deviation = weights.std()
    standard = (weights - weights.mean()) / (deviation or 1)
    squares, bias_squares = float((weights**2).sum()), float((biases.astype(np.float64)**2).sum())
    sizes = np.abs(weights)
    return {"weights": weights.size, "mean": float(weights.mean()), "deviation": float(deviation),
            "skewness": float((standard**3).mean()),
            "excess_kurtosis": float((standard**4).mean() - 3) if deviation else 0.0,
            "near_zero": float((sizes < NEAR_ZERO).mean()), "largest": float(sizes.max()),
            "negative": float((weights < 0).mean()),
            "bias_share": bias_squares / (squares + bias_squares) if squares + bias_squares else 0.0,
            "vanished_nodes": int((sizes.max(axis=1 - hidden_axis) < NEAR_ZERO).sum())}


def frame_pixels():
    """(784,) True for the outermost two rows and columns of an image."""
    frame = np.ones((28, 28), bool)
    frame[2:-2, 2:-2] = False
    return frame.reshape(-1)


def frame_ratio(weights):
    """Standard deviation of the frame's incoming weights (of 784, nodes) over that of the other pixels'."""
    frame = frame_pixels()
    return float(weights[frame].std() / (weights[~frame].std() or 1))


def mean_of(descriptions):
    """The mean of each statistic over the seeds; of the largest weights, the largest."""
    return {key: float((np.max if key == "largest" else np.mean)([description[key] for description in descriptions]))
            for key in descriptions[0]}


def bin_edges(trained, junction):
    """Edges symmetric about 0 that hold the weights, initial and trained, that are drawn: so A's and B's histograms compare."""
    drawn = [parameters[2 * junction - 2] for name in "AB" for parameters in trained[name, SEEDS[0]][:2]]
    largest = max(float(np.abs(weights).max()) for weights in drawn)
    return np.linspace(-largest, largest, BINS[junction] + 1)


def analyse(trained):
    """Statistics, histograms and accuracies from {(name, seed): (initial, trained, curves)}."""
    edges = {j: bin_edges(trained, j) for j in (1, 2)}
    networks = {}
    for name in NETWORKS:
        runs = [run for (of, _), run in trained.items() if of == name]
        networks[name] = {"nodes": NETWORKS[name].nodes, "l2": NETWORKS[name].l2, "dropout": NETWORKS[name].dropout}
        for j in (1, 2):
            kernel, bias = 2 * j - 2, 2 * j - 1  # their places in the list of parameters
            each = [[describe(parameters[kernel], parameters[bias], 2 - j) for parameters in run[:2]] for run in runs]
            networks[name][f"junction_{j}"] = {
                "initial": mean_of([initial for initial, _ in each]), "trained": mean_of([after for _, after in each]),
                "initial_each_seed": [initial for initial, _ in each], "trained_each_seed": [after for _, after in each]}
            if name in "AB":  # what is drawn
                networks[name][f"junction_{j}"] |= {
                    f"{when}_counts": np.histogram(parameters[kernel], edges[j])[0].tolist()
                    for when, parameters in zip(("initial", "trained"), runs[0])}
        last = np.mean([run[2][-SETTLED:] for run in runs], axis=(0, 1))
        networks[name] |= {"train_accuracy": float(last[0]), "validation_accuracy": float(last[2]),
                           "gap": float(last[0] - last[2]),
                           "frame_ratio": float(np.mean([frame_ratio(run[1][0]) for run in runs])), "curves": runs[0][2]}
    return {"bin_edges": {f"junction_{j}": edges[j].tolist() for j in (1, 2)}, "networks": networks}


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


def title(name):
    return f"{name}: {NETWORKS[name]}"


def draw_histogram(linear, logarithmic, results, name, junction):
    """The weights of one junction: the middle with linear counts, the whole with logarithmic ones.

    Heights are shares of the junction's weights, so that networks of different width compare, and the limits come
    from A and B together: the same axes in every picture of the junction."""
    edges = np.array(results["bin_edges"][f"junction_{junction}"])
    shares = {(of, when): 100 * np.array(results["networks"][of][f"junction_{junction}"][f"{when}_counts"])
              / results["networks"][of][f"junction_{junction}"]["trained"]["weights"]
              for of in "AB" for when in ("trained", "initial")}
    widest = max(results["networks"][of][f"junction_{junction}"]["trained"]["deviation"] for of in "AB")
    highest, lowest = max(share.max() for share in shares.values()), min(share[share > 0].min() for share in shares.values())
    for axes in (linear, logarithmic):
        axes.stairs(shares[name, "trained"], edges, fill=True, color="#0072B2", alpha=0.75, label="trained")
        axes.stairs(shares[name, "initial"], edges, color="0.25", lw=1.2, label="initial")
        axes.set(xlabel="weight", ylabel="share of the weights per bin (%)")
    linear.set(xlim=(-3 * widest, 3 * widest), ylim=(0, 1.1 * highest))
    linear.legend(loc="upper right")
    logarithmic.set(yscale="log", xlim=edges[[0, -1]], ylim=(lowest / 2, 2 * highest))


def plot_histograms(results, mark, folder):
    """Four separate pictures, and one with all four."""
    plt = pyplot()
    together, panels = plt.subplots(2, 4, figsize=(17, 8))
    for junction, ends in ((1, "inputs to hidden nodes"), (2, "hidden nodes to outputs")):
        for column, name in enumerate("AB", start=2 * junction - 2):
            figure, axes = plt.subplots(1, 2, figsize=(12, 4.8))
            for pair in (axes, panels[:, column]):
                draw_histogram(*pair, results, name, junction)
            found = results["networks"][name][f"junction_{junction}"]
            axes[0].set_title("the middle, linear scale")
            axes[1].set_title("all weights, logarithmic scale")
            figure.suptitle(f"{mark}Network {title(name)}; weights of junction {junction} ({ends}), seed {SEEDS[0]}\n"
                            f"standard deviation {found['trained_each_seed'][0]['deviation']:.3f}, "
                            f"initially {found['initial_each_seed'][0]['deviation']:.3f}")
            save(figure, folder / f"p3_hist_{name}_junction{junction}.png")
            panels[0, column].set_title(f"{title(name)}\njunction {junction}, {ends}")
    together.suptitle(f"{mark}Trained and initial weights, seed {SEEDS[0]}: the middle on a linear scale (above), all on a "
                      "logarithmic one (below);\naxes and bins of a junction are the same for A and B")
    save(together, folder / "p3_histograms.png")


def plot_curves(results, mark, path):
    """Accuracy (above) and cross-entropy (below) of A and B, on shared axes."""
    figure, panels = pyplot().subplots(2, 2, figsize=(12, 8), sharex=True, sharey="row")
    for column, name in zip(panels.T, "AB"):
        curves = np.array(results["networks"][name]["curves"])
        for axes, values, label in zip(column, (100 * curves[:, ::2], curves[:, 1::2]), ("accuracy (%)", "cross-entropy (nats)")):
            epochs = range(1, len(curves) + 1)
            axes.plot(epochs, values[:, 0], color="#0072B2", label="training")
            axes.plot(epochs, values[:, 1], "--", color="#D55E00", label="validation")
            axes.set(xlabel="epoch", ylabel=label)
            axes.tick_params(labelleft=True, labelbottom=True)
        column[0].set_title(f"Network {title(name)}")
        column[0].legend()
    figure.suptitle(f"{mark}Adam 0.001, minibatch {BATCH_SIZE}, seed {SEEDS[0]} (dropout off, penalty not included)")
    save(figure, path)


def plot_features(trained, mark, path, shown=8):
    """Incoming weights of hidden nodes as 28x28 images, evenly spaced from the largest norm to the smallest."""
    weights = {name: trained[name, SEEDS[0]][1][0] for name in "AB"}
    limit = np.quantile(np.abs(weights["A"]), 0.995)
    figure, panels = pyplot().subplots(4, shown, figsize=(13, 7.6))
    for name, rows in (("A", panels[:2]), ("B", panels[2:])):
        norms = np.linalg.norm(weights[name], axis=0)
        nodes = np.argsort(-norms, kind="stable")[np.linspace(0, len(norms) - 1, 2 * shown).round().astype(int)]
        for axes, node in zip(rows.flat, nodes):
            image = axes.imshow(weights[name][:, node].reshape(28, 28), cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set_title(f"norm {norms[node]:.2f}", fontsize=10)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set(visible=True, color="0.7")
        rows[0, 0].set_ylabel(f"{name}: {NETWORKS[name].nodes} nodes", fontsize=12)
        rows[1, 0].set_ylabel(f"{name}", fontsize=12)
    figure.colorbar(image, ax=panels, shrink=0.7, label="weight", extend="both")
    figure.suptitle(f"{mark}Incoming weights of hidden nodes, from the largest norm to the smallest, seed {SEEDS[0]}\n"
                    + ";  ".join(map(title, "AB")))
    save(figure, path)


def wording(a, b, more, less, same):
    """How b compares with a: differences below 5 % count as none."""
    if abs(b - a) <= 0.05 * max(abs(a), abs(b)):
        return same
    return more if b > a else less


def in_both(kind_a, kind_b):
    return f"{kind_a} in both" if kind_a == kind_b else f"{kind_a} in A, {kind_b} in B"


def spread_sentence(a, b):
    (start_a, end_a), (start_b, end_b) = ([of[when]["deviation"] for when in ("initial", "trained")] for of in (a, b))
    word = wording(end_a, end_b, "wider than", "narrower than", "about as wide as")
    change_a, change_b = (wording(*ends, "widened", "narrowed", "kept") for ends in ((start_a, end_a), (start_b, end_b)))
    return (f"**Spread.** B's histogram is {word} A's: standard deviation {end_a:.3f} in A, {end_b:.3f} in B. Training "
            f"{change_a} A's from {start_a:.3f} (a factor of {end_a / start_a:.1f}) and {change_b} B's from {start_b:.3f} "
            f"({end_b / start_b:.1f}).")


def tails_sentence(a, b):
    a, b = a["trained"]["excess_kurtosis"], b["trained"]["excess_kurtosis"]
    kinds = ("heavier" if kurtosis > 0.1 else "lighter" if kurtosis < -0.1 else "as heavy" for kurtosis in (a, b))
    word = wording(a, b, "heavier than", "lighter than", "about as heavy as")
    return (f"**Tails.** Against those of a normal distribution they are {in_both(*kinds)}; relative to the spread, B's are "
            f"{word} A's (excess kurtosis {a:.1f} in A, {b:.1f} in B; normal: 0; uniform, as before training: -1.2).")


def near_zero_sentence(a, b):
    a, b = a["trained"]["near_zero"], b["trained"]["near_zero"]
    word = wording(a, b, "higher than", "lower than", "about as high as")
    return (f"**Near zero.** {100 * a:.1f} % of A's weights and {100 * b:.1f} % of B's are smaller than {NEAR_ZERO} in size: "
            f"B's peak at zero is {word} A's.")


def largest_sentence(a, b):
    a, b = a["trained"]["largest"], b["trained"]["largest"]
    word = wording(a, b, "farther than", "less far than", "about as far as")
    return f"**Largest weights.** The largest in size is {a:.2f} in A and {b:.2f} in B: B's histogram reaches {word} A's."


def asymmetry_sentence(a, b):
    a, b = a["trained"], b["trained"]
    kinds = ("neither tail is longer" if abs(of["skewness"]) < 0.1 else
             f"the {'negative' if of['skewness'] < 0 else 'positive'} tail is longer" for of in (a, b))
    return (f"**Asymmetry.** Of the two tails, {in_both(*kinds)} (skewness {a['skewness']:.2f} in A, {b['skewness']:.2f} in B; "
            f"{100 * a['negative']:.0f} % and {100 * b['negative']:.0f} % of the weights are negative).")


def bias_sentence(a, b):
    a, b = a["trained"]["bias_share"], b["trained"]["bias_share"]
    word = wording(a, b, "more than in A", "less than in A", "about the same")
    return (f"**Biases.** Of the sum of squares of all parameters of the junction they hold {100 * a:.1f} % in A and "
            f"{100 * b:.1f} % in B, {word}.")


def vanished_sentence(a, b):
    gone_a, gone_b = a["trained"]["vanished_nodes"], b["trained"]["vanished_nodes"]
    if gone_a == gone_b == 0:
        return f"**Vanished nodes.** No hidden node has all its weights here below {NEAR_ZERO}, in A or in B."
    word = wording(gone_a / a["nodes"], gone_b / b["nodes"], "a larger", "a smaller", "about the same")
    return (f"**Vanished nodes.** All weights here are below {NEAR_ZERO} for {gone_a:g} of {a['nodes']} hidden nodes in A and "
            f"{gone_b:g} of {b['nodes']} in B, {word} share in B.")


def junctions_sentence(name, first, second):
    start, end = ([junction[when]["deviation"] for junction in (first, second)] for when in ("initial", "trained"))
    word = wording(*end, "wider than", "narrower than", "about as wide as")
    return (f"In {name} junction 2 is {word} junction 1: standard deviation {end[1]:.3f} against {end[0]:.3f}, before training "
            f"{start[1]:.3f} against {start[0]:.3f}.")


def frame_sentence(a, b, lit):
    a, b = a["frame_ratio"], b["frame_ratio"]
    kinds = (wording(1, ratio, "a larger spread", "a smaller spread", "about the same spread") for ratio in (a, b))
    return (f"The frame of the image, its outermost two rows and columns, is lit in {100 * lit['frame']:.0f} % of its pixels, the "
            f"rest in {100 * lit['rest']:.0f} %. Compared with the rest, the frame's weights have {in_both(*kinds)}: "
            f"{a:.2f} times the standard deviation in A, {b:.2f} times in B.")


def gap_sentence(a, b):
    shown = [f"{100 * of['train_accuracy']:.1f} % and {100 * of['validation_accuracy']:.1f} %" for of in (a, b)]
    word = wording(a["gap"], b["gap"], "larger", "smaller", "about the same")
    wider = b["junction_1"]["trained"]["deviation"] - a["junction_1"]["trained"]["deviation"]
    together = "go" if (b["gap"] - a["gap"]) * wider > 0 else "do not go"
    return (f"Over the last {SETTLED} epochs A decides {shown[0]} of the training and validation images correctly, B {shown[1]}: "
            f"a gap of {100 * a['gap']:.1f} points in A and {100 * b['gap']:.1f} in B, {word} in B. Wider weights in junction 1 "
            f"{together} with the larger gap here.")


def control_sentence(what, a, b, c, d):
    """Is it regularisation (A to C, D to B) or width (A to D, C to B) that moves a number from A's to B's?"""
    values = f"**{what}** (A {a:.3f}, B {b:.3f}, C {c:.3f}, D {d:.3f})"
    if min(a, b, c, d) <= 0:
        return f"{values}: not all positive, so there are no factors to compare."
    regularisation, width = (c / a, b / d), (d / a, b / c)
    log_regularisation, log_width = math.log(math.prod(regularisation)), math.log(math.prod(width))
    main, other = "regularisation", "width"
    if abs(log_width) > abs(log_regularisation):
        main, other = other, main
    little = min(abs(log_regularisation), abs(log_width)) / 2 < math.log(1.05)  # the same 5 % as in wording()
    direction = ("makes hardly any" if little else
                 "works the same way" if log_regularisation * log_width > 0 else "works against it")
    return (f"{values}: regularisation multiplies it by {regularisation[0]:.2f} at A's width and {regularisation[1]:.2f} at B's, "
            f"B's width by {width[0]:.2f} without and {width[1]:.2f} with regularisation. The difference between A and B is "
            f"mainly one of {main}; {other} {direction}.")


def summary_sentence(a, b):
    """The differences in short."""
    one, two = ([of[junction]["trained"] for of in (a, b)] for junction in ("junction_1", "junction_2"))
    wide, zero, far = (wording(one[0][key], one[1][key], *words) for key, words in (
        ("deviation", ("wider", "narrower", "about as wide")), ("near_zero", ("more", "fewer", "about as many")),
        ("largest", ("larger", "smaller", "about as large"))))
    wide_two = wording(two[0]["deviation"], two[1]["deviation"], "wider", "narrower", "about as wide")
    gap = wording(a["gap"], b["gap"], "larger", "smaller", "about the same")
    return (f"In junction 1 B's histogram is {wide} (standard deviation {one[1]['deviation']:.2f}, A's {one[0]['deviation']:.2f}), "
            f"{zero} of its weights are near zero ({100 * one[1]['near_zero']:.0f} %, A's {100 * one[0]['near_zero']:.0f} %) and its "
            f"largest weight is {far} ({one[1]['largest']:.1f}, A's {one[0]['largest']:.1f}); in junction 2 it is {wide_two} "
            f"({two[1]['deviation']:.2f}, A's {two[0]['deviation']:.2f}). B's gap between training and validation accuracy is "
            f"{gap} ({100 * b['gap']:.1f} points, A's {100 * a['gap']:.1f}).")


def seeds_sentence(networks):
    each = [[run["deviation"] for run in networks[name][junction]["trained_each_seed"]]
            for name in "AB" for junction in ("junction_1", "junction_2")]
    if len(each[0]) == 1:
        return "All numbers are of one seed."
    apart = max(max(values) / min(values) - 1 for values in each)
    return (f"Numbers are means over {len(each[0])} seeds, the largest weight is that of all seeds; from one seed to the other the "
            f"standard deviations of A and B differ by at most {100 * apart:.1f} %.")


def table(networks):
    """Statistics of each network and junction, initial and trained; Markdown."""
    lines = ["| network | junction | | weights | mean | standard deviation | skewness | excess kurtosis | near zero (%) "
             "| largest | negative (%) | biases' share (%) | vanished nodes |", "|" + "---|" * 13]
    for name, network in networks.items():
        for j in (1, 2):
            for when, of in network[f"junction_{j}"].items():
                if when in ("initial", "trained"):
                    cells = (f"{name}{' (control)' if name in 'CD' else ''}", j, when, f"{of['weights']:.0f}", f"{of['mean']:.4f}",
                             f"{of['deviation']:.3f}", f"{of['skewness']:.2f}", f"{of['excess_kurtosis']:.2f}",
                             f"{100 * of['near_zero']:.1f}", f"{of['largest']:.2f}", f"{100 * of['negative']:.1f}",
                             f"{100 * of['bias_share']:.1f}", f"{of['vanished_nodes']:g}")
                    lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def answers(results):
    """The homework's requirements in order, each with its answer and files."""
    a, b = results["networks"]["A"], results["networks"]["B"]
    accuracies = "; ".join(f"{title(name)}: {100 * of['train_accuracy']:.1f} % of the training and "
                           f"{100 * of['validation_accuracy']:.1f} % of the validation images" for name, of in (("A", a), ("B", b)))
    spreads = " and ".join(f"{of['junction_1']['trained']['deviation']:.3f} and {of['junction_2']['trained']['deviation']:.3f} in {name}"
                           for name, of in (("A", a), ("B", b)))
    rows = [("Train two models for 40 epochs", f"{accuracies} are decided correctly.", ["p3_curves.png"]),
            ("A separate histogram for the two junctions for each case", f"Standard deviations of junctions 1 and 2: {spreads}.",
             ["p3_histograms.png", *(f"p3_hist_{name}_junction{j}.png" for name in "AB" for j in (1, 2))]),
            ("Describe the qualitative differences", summary_sentence(a, b), ["p3_report.md", "p3_features.png"])]
    return [{"part": "3", "question": question, "answer": answer, "files": files} for question, answer, files in rows]


def report(results, mark):
    """Markdown in the homework's order; every claim is a sentence made from this run's numbers."""
    networks, settings = results["networks"], results["settings"]
    a, b = networks["A"], networks["B"]
    of_junction = (spread_sentence, tails_sentence, near_zero_sentence, largest_sentence, asymmetry_sentence, bias_sentence,
                   vanished_sentence)
    one, two = ("\n".join(f"- {sentence(a | a[junction], b | b[junction])}" for sentence in of_junction)
                for junction in ("junction_1", "junction_2"))
    controls = "\n".join(f"- {control_sentence(what, *(number(of) for of in networks.values()))}" for what, number in (
        ("Standard deviation of junction 1", lambda of: of["junction_1"]["trained"]["deviation"]),
        ("Standard deviation of junction 2", lambda of: of["junction_2"]["trained"]["deviation"]),
        ("Share of weights near zero in junction 1", lambda of: of["junction_1"]["trained"]["near_zero"]),
        ("Gap between training and validation accuracy", lambda of: of["gap"])))
    pictures = "\n\n".join(f"![{name}, junction {j}](p3_hist_{name}_junction{j}.png)" for name in "AB" for j in (1, 2))
    return f"""# {mark}Problem 3: what regularisation does to the weights

Data: {results['data']['source']}; {settings['train_images']} images train, {settings['validation_images']} validate; the test images are not used.{' Quick run: a smoke test, not a result.' if results['quick'] else ''}
Networks: {title('A')}; {title('B')} (L2 on kernels and biases, as in the lecture's script).
The same recipe for both: Adam at 0.001, minibatch {BATCH_SIZE}, {settings['epochs']} epochs, the same seeds.
{seeds_sentence(networks)}

**In short:** {summary_sentence(a, b)}

## Histograms

One for each junction of each network (seed {SEEDS[0]}). Heights are shares of the junction's weights, since the networks differ
in size; bins and axes of a junction are the same for A and B. The logarithmic scale shows the tails that the linear one hides.

{pictures}

All four side by side:

![all histograms](p3_histograms.png)

## The qualitative differences

### Junction 1, inputs to hidden nodes

{one}

### Junction 2, hidden nodes to outputs

{two}

### The two junctions

{junctions_sentence("A", a["junction_1"], a["junction_2"])}
{junctions_sentence("B", b["junction_1"], b["junction_2"])}

### Training and validation accuracy

{gap_sentence(a, b)}

![learning curves](p3_curves.png)

### The weights as pictures

The incoming weights of hidden nodes, on one colour scale. {frame_sentence(a, b, results['lit'])}

![incoming weights](p3_features.png)

## Statistics

Near zero: smaller than {NEAR_ZERO} in size. A node has vanished when all its weights in the junction are near zero. The initial
weights are uniform (Glorot), narrower for a larger layer, so trained ones are to be compared with them.

{table(networks)}

## Beyond the assignment: which difference comes from which?

A and B differ in width and in regularisation at once. Two controls separate them, {title('C')}, and {title('D')}:

{controls}
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description="Problem 3: histograms of weights with and without regularisation.")
    parser.add_argument("--quick", action="store_true", help="two epochs on a small subset: a smoke test")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/; with --quick a temporary one)")
    parser.add_argument("--jobs", type=int, default=min(8, os.cpu_count() or 1),
                        help="trainings at a time (default: %(default)s)")
    arguments = parser.parse_args()
    if not 1 <= arguments.jobs <= 8:
        parser.error(f"--jobs: found {arguments.jobs}; expected 1 to 8")
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp(prefix="p3_")) if arguments.quick else FOLDER / "outputs"
    return arguments


@contextmanager
def complete_outputs(out):
    """A folder beside the outputs; what is in it moves to `out` when the block ends well, and vanishes otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    for remains in out.glob(".p3_*"):  # of a killed run
        shutil.rmtree(remains, ignore_errors=True)
    staging = out / f".p3_{os.getpid()}"
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


def main():
    arguments = parse_arguments()
    begin = time.perf_counter()
    seeds, epochs, images = (SEEDS[:1], 2, 1200) if arguments.quick else (SEEDS, EPOCHS, TRAIN_IMAGES)
    with complete_outputs(arguments.out) as folder:
        data = load_images(TRAIN_FILE)  # looked at before the training, so that bad data is told at once
        if len(data.images) < images:
            raise DataError(f"{TRAIN_FILE}: found {len(data.images)} images; expected {images}; run: python data/prepare.py")
        trainings = [(name, seed) for seed in seeds for name in NETWORKS]
        trained = train_all(trainings, arguments.jobs, images, epochs, progress(trainings, epochs))
        results = {
            "problem": 3, "quick": arguments.quick, "seed": SEEDS[0],
            "data": {"source": data.source, "stand_in": data.stand_in},
            "versions": {"python": platform.python_version(), **{of: version(of) for of in ("numpy", "tensorflow", "keras")}},
            "settings": {"optimizer": "Adam 0.001", "batch_size": BATCH_SIZE, "epochs": epochs, "seeds": seeds,
                         "near_zero": NEAR_ZERO, "train_images": images - images // 6, "validation_images": images // 6},
            "lit": {where: float((data.images[:images, pixels] > 0).mean())
                    for where, pixels in (("frame", frame_pixels()), ("rest", ~frame_pixels()))},
            **analyse(trained), "seconds": round(time.perf_counter() - begin, 1)}
        results["answers"] = answers(results)
        mark = "STAND-IN DATA: " if data.stand_in else ""
        plot_histograms(results, mark, folder)
        plot_curves(results, mark, folder / "p3_curves.png")
        plot_features(trained, mark, folder / "p3_features.png")
        (folder / "p3_results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (folder / "p3_report.md").write_text(report(results, mark), encoding="utf-8")
    print(f"\n{summary_sentence(*(results['networks'][name] for name in 'AB'))}\n{results['seconds']:.0f} s")


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

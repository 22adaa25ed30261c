"""Problem 3: what does regularization do to the weights of a network? Histograms of two networks.

    python p3_reg_histograms.py      (about 3 minutes on two cores)

Trains the homework's networks for Fashion-MNIST for 40 epochs: A, 128 ReLU units without
regularization, and B, 48 ReLU units with L2 0.0001 and dropout 0.2. They differ in width and in
regularization at once, so two controls, C and D, have one each. Pictures are of the first seed; a
second seed tells what chance does. The homework's junctions are called layers (of weights) here.

Reads  data/fashion_mnist_traindata.hdf5; the test images are not needed
Writes outputs/p3_histograms.png, p3_hist_<network>_layer<1 or 2>.png, p3_norms.png,
       p3_weights.csv, p3_results.json
"""
import argparse
import csv
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

# Quiet, on the CPU, and without oneDNN, so that a second run gives the same numbers.
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import matplotlib
import numpy as np
import tensorflow as tf
from tensorflow import keras

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network
matplotlib.use("Agg")  # draw into files, without a screen
from matplotlib import pyplot as plt

from data.loader import DataError, load_images

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"

NETWORKS = {  # units, dropout rate, L2 coefficient; A and B are the homework's
    "A": (128, 0.0, 0.0),
    "B": (48, 0.2, 1e-4),
    "C": (128, 0.2, 1e-4),  # control: A's width, B's regularization
    "D": (48, 0.0, 0.0),    # control: B's width, no regularization
}
EPOCHS = 40  # fixed by the homework
BATCH_SIZE = 128  # free; the optimizer is the lecture's, Adam at its default learning rate of 0.001
TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # the first and the last of the file
SEEDS = (0, 1)
DEAD = 1e-4  # a unit is dead when it is active on a smaller share of the training images
NEAR_ZERO = 0.01  # weights of a smaller size; initial standard deviations are 0.047 and more


def build(units, dropout, l2):
    """L2 on weights and biases, as in the lecture's script."""
    l2 = keras.regularizers.L2(l2) if l2 else None
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(units, "relu", kernel_regularizer=l2, bias_regularizer=l2),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(10, "softmax", kernel_regularizer=l2, bias_regularizer=l2)])


def title_of(name):
    units, dropout, l2 = NETWORKS[name]
    regularization = f"L2 {l2}, dropout {dropout}" if l2 else "no regularization"
    return f"{name}: {units} units, {regularization}"


def train(name, seed, images, labels, split, epochs):
    """Train a network of NETWORKS on the images (N, 784) before `split`; those from it on validate.

    labels (N,). Returns its initial weights, its trained weights and Keras' history."""
    keras.utils.set_random_seed(seed)
    model = build(*NETWORKS[name])
    initial = model.get_weights()
    # One call for all updates of an epoch: Keras loses most of its time between calls.
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"],
                  steps_per_execution=math.ceil(split / BATCH_SIZE))
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(
        f"\r{title_of(name)}, seed {seed}: epoch {epoch + 1} of {epochs}", end="", flush=True))
    history = model.fit(images[:split], labels[:split], batch_size=BATCH_SIZE, epochs=epochs,
                        validation_data=(images[split:], labels[split:]), verbose=0,
                        callbacks=[count])
    print()
    return initial, model.get_weights(), history.history


def dead_units(weights, images):
    """(units,) booleans. weights: [W1 (784, units), b1, W2 (units, 10), b2]; images (N, 784)."""
    return (images @ weights[0] + weights[1] > 0).mean(axis=0) < DEAD


def excess_kurtosis(weights):
    """Heaviness of the tails, whatever the width: 0 for a Gaussian."""
    deviations = weights - weights.mean()
    return (deviations ** 4).mean() / (deviations ** 2).mean() ** 2 - 3


def describe(weights, dead):
    """Numbers of the table: weights as in dead_units(), dead (units,)."""
    W1, _, W2, _ = weights
    row = {"units": len(dead), "dead units": int(dead.sum())}
    for layer, of in (("layer 1", W1), ("layer 1 living units", W1[:, ~dead]), ("layer 2", W2)):
        row[f"{layer}: standard deviation"] = f"{of.std():.4f}"
        row[f"{layer}: excess kurtosis"] = f"{excess_kurtosis(of):.2f}"
        if layer != "layer 2":
            near_zero = 100 * (np.abs(of) < NEAR_ZERO).mean()
            row[f"{layer}: below {NEAR_ZERO} in size (%)"] = f"{near_zero:.1f}"
    return row


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})
COLOURS = {"trained": "#0072B2", "dead": "#D55E00", "initial": "0.2"}
VIEWS = {  # title: layer, bins, half of the range (None: all weights), logarithmic
    "layer 1, tails (log scale)": (1, 241, None, True),
    "layer 1, middle": (1, 101, 0.25, False),
    "layer 2": (2, 45, None, False),
}


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_histograms(axes_of, view, networks):
    """Densities in the same bins and on the same axes. axes_of and networks have the same keys;
    networks: {name: (initial weights, trained weights, dead units)}."""
    layer, bins, limit, logarithmic = VIEWS[view]
    arrays = {name: [weights[2 * layer - 2] for weights in (initial, trained)]
              for name, (initial, trained, _) in networks.items()}
    limit = limit or 1.02 * max(np.abs(W).max() for pair in arrays.values() for W in pair)
    edges = np.linspace(-limit, limit, bins + 1)
    width, highest = edges[1] - edges[0], 0
    for name, axes in axes_of.items():
        initial, trained = arrays[name]
        dead = networks[name][2]
        parts = {"trained": trained, "initial": initial,
                 "dead": trained[:, dead] if layer == 1 else trained[dead]}  # in, out
        for part, label in (("trained", "trained"), ("dead", "of these: dead units"),
                            ("initial", "before training")):
            density = np.histogram(parts[part], edges)[0] / trained.size / width
            axes.stairs(density, edges, fill=part != "initial", color=COLOURS[part], label=label)
            highest = max(highest, density.max())
        axes.set(xlabel="weight", ylabel="density", xlim=(-limit, limit))
        axes.set_title(f"{title_of(name)}; {view}", size=10)
    one_weight = 1 / max(trained.size for _, trained in arrays.values()) / width
    for axes in axes_of.values():
        if logarithmic:
            axes.set(yscale="log", ylim=(0.7 * one_weight, 2 * highest))
        else:
            axes.set(ylim=(0, 1.05 * highest))


def plot_histograms(networks, folder):
    """Four separate pictures, and a page with all."""
    page, panels = plt.subplots(3, 2, figsize=(10, 9))
    for row, view in zip(panels, VIEWS):
        draw_histograms(dict(zip("AB", row)), view, networks)
    page.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save(page, folder / "p3_histograms.png")
    for layer in (1, 2):
        views = [view for view in VIEWS if VIEWS[view][0] == layer]
        figures = {name: plt.subplots(1, len(views), figsize=(10 if layer == 1 else 8, 4.2),
                                      squeeze=False) for name in "AB"}
        for k, view in enumerate(views):
            draw_histograms({name: axes[0, k] for name, (_, axes) in figures.items()}, view,
                            networks)
        for name, (figure, axes) in figures.items():
            axes[0, 0].legend(fontsize=9)
            save(figure, folder / f"p3_hist_{name}_layer{layer}.png")


def plot_norms(networks, folder):
    """The norm of each unit's incoming weights, before and after training."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    for axes, name in zip(panels, "AB"):
        initial, trained, dead = networks[name]
        before, after = (np.linalg.norm(weights[0], axis=0) for weights in (initial, trained))
        order = np.argsort(-after, kind="stable")
        place, dead = np.arange(len(order)), dead[order]
        axes.plot(place, before[order], ".", color=COLOURS["initial"], markersize=4,
                  label="before training")
        for part, of_part, label in (("trained", ~dead, "after training"),
                                     ("dead", dead, "after training, dead units")):
            axes.plot(place[of_part], after[order][of_part], "o", color=COLOURS[part],
                      markersize=4, label=label)
        axes.set(xlabel="hidden units, by norm after training")
        axes.set_ylim(bottom=-0.3)  # so that norms of 0 are seen
        axes.set_title(title_of(name), size=11)
    panels[0].set_ylabel("norm of incoming weights")
    panels[1].legend()
    save(figure, folder / "p3_norms.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    out = arguments.out or (Path(tempfile.mkdtemp()) if arguments.quick else FOLDER / "outputs")
    begin = time.perf_counter()
    seeds, split, used, epochs = SEEDS, TRAIN_IMAGES, TRAIN_IMAGES + VALIDATION_IMAGES, EPOCHS
    if arguments.quick:
        seeds, split, used, epochs = SEEDS[:1], 1000, 1200, 2
    images, labels, _ = load_images(TRAIN_FILE)
    if len(images) < used:
        raise DataError(f"{TRAIN_FILE}: found {len(images)} images; expected {used}; "
                        "use a larger file")
    images, labels = images[:used], labels[:used]
    out.mkdir(parents=True, exist_ok=True)

    rows, networks = [], {}
    for name in NETWORKS:
        for seed in seeds:
            initial, trained, history = train(name, seed, images, labels, split, epochs)
            dead = dead_units(trained, images[:split])
            rows.append({"network": name, "seed": seed, **describe(trained, dead),
                         "training accuracy (%)": f"{100 * history['accuracy'][-1]:.2f}",
                         "validation accuracy (%)": f"{100 * history['val_accuracy'][-1]:.2f}"})
            if seed == SEEDS[0]:
                networks[name] = initial, trained, dead

    results = {"quick": arguments.quick, "batch_size": BATCH_SIZE, "epochs": epochs,
               "train_images": split, "validation_images": used - split,
               "seconds": round(time.perf_counter() - begin)}
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all are written
        folder = Path(folder)
        plot_histograms({name: networks[name] for name in "AB"}, folder)
        plot_norms(networks, folder)
        with (folder / "p3_weights.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        (folder / "p3_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
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

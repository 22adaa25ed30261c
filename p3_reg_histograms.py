"""Problem 3: what does regularization do to the weights of a network? Histograms of two networks.

    python p3_reg_histograms.py      (about 3 minutes on two cores)

Trains the homework's networks for Fashion-MNIST for 40 epochs: A, 128 ReLU units without
regularization, and B, 48 ReLU units with L2 0.0001 and dropout 0.2. A and B differ in three things
at once, so three controls C, D and E lie between them: each step changes one thing. Pictures are of
the first seed; a second seed tells what chance does. The homework's junctions are called layers (of
weights) here.

Reads  data/fashion_mnist_traindata.hdf5; the test images are not needed
Writes outputs/p3_histograms.png, p3_hist_<network>_layer<1 or 2>.png, p3_norms.png, p3_pixels.png,
       p3_weights.csv, p3_results.json
Prints four lines for each training; the last five lines:

    B: 48 units, L2 0.0001, dropout 0.2, seed 1
      epoch 20: training accuracy 88.02%
      epoch 40: training accuracy 88.95%
      validation accuracy 87.98%, cross-entropy 0.3304
    outputs: <folder>
"""
import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

# Read by the libraries when they are imported, so set first; they overrule the user's own.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3",  # quiet
    CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0",  # so that equal runs give equal numbers
    KERAS_BACKEND="tensorflow", TF_USE_LEGACY_KERAS="0",
    KERAS_HOME=os.devnull,  # no keras.json is read or written
    MPLBACKEND="Agg",  # draw into files, without a screen
    HDF5_USE_FILE_LOCKING="FALSE")  # network folders may refuse locks

import matplotlib
matplotlib.use("Agg")  # also where a notebook has imported matplotlib before
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

from data.loader import DataError, load_images

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network
plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"

NETWORKS = {  # units, L2 coefficient, dropout rate; A and B are the homework's
    "A": (128, 0.0, 0.0),
    "C": (48, 0.0, 0.0),   # A with fewer units
    "D": (48, 1e-4, 0.0),  # C with L2
    "E": (48, 0.0, 0.2),   # C with dropout
    "B": (48, 1e-4, 0.2),  # C with both
}
EPOCHS = 40  # fixed by the homework
BATCH_SIZE = 128  # free
OPTIMIZER = "adam"  # the lecture's, at its default learning rate of 0.001
TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # the first and the last of the file
SEEDS = (0, 1)

DEAD = 1e-4  # a unit is dead when it is active on a smaller share of the training images
RARELY = 0.1  # a pixel is rarely inked when it is above 0 in a smaller share of them
NEAR_ZERO = 0.01  # weights of a smaller size; initial standard deviations are 0.047 and more

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.2"  # all units, dead units, before training
TITLES = {"A": "A: 128 units, no regularization", "B": "B: 48 units, L2 0.0001, dropout 0.2"}
# For each layer: how many bins its two histograms have, odd so that one has 0 in its middle.
BINS = {1: (121, 801), 2: (41, 81)}
MIDDLE = {1: 0.25, 2: 1.5}  # for each layer: the second histogram reaches from minus this to this


def build(units, l2, dropout):
    """L2 on weights and biases, as in the lecture's script."""
    penalty = keras.regularizers.L2(l2) if l2 else None
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(units, "relu", kernel_regularizer=penalty, bias_regularizer=penalty),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(10, "softmax", kernel_regularizer=penalty, bias_regularizer=penalty)])


def print_progress(epoch, measures):
    """A line every twenty epochs, for Keras, which counts epochs from 0 here. Its training accuracy
    is that of the minibatches as they were met, with dropout."""
    if (epoch + 1) % 20 == 0:
        print(f"  epoch {epoch + 1}: training accuracy {measures['accuracy']:.2%}", flush=True)


def train(name, seed, x, y):
    """Train a network of NETWORKS. x (N, 784), y (N,) classes.

    Returns its initial weights, [W1 (784, units), b1, W2 (units, 10), b2], and the trained
    model."""
    keras.utils.set_random_seed(seed)
    # A trap for all who set Keras' seed: fit() on arrays then repeats one order of the samples in
    # every epoch. This pipeline draws a new order for each epoch.
    minibatches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed)
    minibatches = minibatches.batch(BATCH_SIZE)
    model = build(*NETWORKS[name])
    initial = model.get_weights()
    # All updates of an epoch in one call: in problem 2 it took 0.6 s instead of 0.9 to 1.3.
    model.compile(OPTIMIZER, "sparse_categorical_crossentropy", metrics=["accuracy"],
                  steps_per_execution=len(minibatches))
    model.fit(minibatches, epochs=EPOCHS, shuffle=False, verbose=0,
              callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=print_progress)])
    return initial, model


def accuracy(model, x, y):
    """Share of the samples that the network has right, without dropout."""
    _, share = model.evaluate(x, y, batch_size=1000, verbose=0)
    return share


def cross_entropy(model, x, y):
    """Mean of -log(probability of the true class), in nats: the cost without the L2 penalty, and
    without dropout."""
    probabilities = model.predict(x, batch_size=1000, verbose=0)
    return np.mean(keras.losses.sparse_categorical_crossentropy(y, probabilities))


def dead_units(weights, x):
    """(units,) booleans. weights as train() returns them, x (N, 784)."""
    W1, b1 = weights[:2]
    return (x @ W1 + b1 > 0).mean(axis=0) < DEAD


def rarely_inked(x):
    """(784,) booleans. x (N, 784)."""
    return (x > 0).mean(axis=0) < RARELY


def rms(weights):
    """Root of the mean square: the usual size of a weight."""
    return np.sqrt((weights ** 2).mean())


def excess_kurtosis(weights):
    """Heaviness of the tails, whatever the width: 0 for a Gaussian."""
    deviations = weights - weights.mean()
    return (deviations ** 4).mean() / (deviations ** 2).mean() ** 2 - 3


def describe(weights, dead, rare):
    """The columns of the table. weights as in train(), dead (units,), rare (784,) booleans."""
    W1, _, W2, _ = weights
    living = W1[:, ~dead]
    beyond = np.abs(living) > 4 * living.std()
    from_rare = beyond[rare].sum() / max(beyond.sum(), 1)
    near_zero = np.abs(W1) < NEAR_ZERO
    return {
        "units": len(dead),
        "dead units": int(dead.sum()),
        "layer 1, living units: standard deviation": f"{living.std():.3f}",
        "layer 1, living units: excess kurtosis": f"{excess_kurtosis(living):.1f}",
        "layer 1, living units: rms of weights from rarely inked pixels":
            f"{rms(living[rare]):.3f}",
        "layer 1, living units: rms of weights from other pixels": f"{rms(living[~rare]):.3f}",
        "layer 1, living units: weights beyond 4 standard deviations": int(beyond.sum()),
        "of these from rarely inked pixels (%)": f"{100 * from_rare:.0f}",
        f"layer 1: weights below {NEAR_ZERO} in size (%)": f"{100 * near_zero.mean():.1f}",
        f"layer 1, living units: weights below {NEAR_ZERO} in size (%)":
            f"{100 * near_zero[:, ~dead].mean():.1f}",
        "layer 2: standard deviation": f"{W2.std():.2f}",
        "layer 2: excess kurtosis": f"{excess_kurtosis(W2):.1f}"}


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_histogram(axes, initial, trained, dead, edges, log=False):
    """Densities of the weights of a layer before and after training, dead units told apart.

    initial and trained (units, weights of the unit), dead (units,). On a log axis outlines: there
    the area of a bar is no number of weights."""
    axes.hist([trained[dead].ravel(), trained[~dead].ravel()], edges, density=True, stacked=True,
              histtype="step" if log else "stepfilled", log=log, color=[ORANGE, BLUE],
              label=["after training, dead units", "after training, all units"])
    axes.hist(initial.ravel(), edges, density=True, histtype="step", log=log, color=GREY,
              label="before training")
    axes.set(xlabel="weight", ylabel="density")


def layer_weights(network, layer):
    """A layer's weights before and after training, each (units, weights of the unit).

    network: (initial weights, trained weights, dead units), weights as in train()."""
    initial, trained, _ = network
    if layer == 1:
        return initial[0].T, trained[0].T
    return initial[2], trained[2]


def draw_layer(panels, name, network, layer, reach):
    """Two histograms of a layer in two panels: all weights, -reach to reach, and the middle."""
    whole, middle = panels
    initial, trained = layer_weights(network, layer)
    _, _, dead = network
    coarse_bins, fine_bins = BINS[layer]
    coarse = np.linspace(-reach, reach, coarse_bins + 1)
    fine = np.linspace(-reach, reach, fine_bins + 1)
    draw_histogram(whole, initial, trained, dead, coarse, log=True)
    draw_histogram(middle, initial, trained, dead, fine)
    middle.set_xlim(-MIDDLE[layer], MIDDLE[layer])
    whole.set_title(f"{name}, layer {layer}: all weights, log axis", size=10)
    middle.set_title(f"{name}, layer {layer}: middle", size=10)


def plot_histograms(networks, folder):
    """A page of all histograms, and a picture for each network and layer. A and B have the same
    bins everywhere, and on the page the same axes.

    networks: {"A" or "B": (initial weights, trained weights, dead units)}."""
    page, rows = plt.subplots(4, 2, figsize=(8.3, 10.5), sharex="row", sharey="row")
    pictures = {"p3_histograms.png": page}
    for layer, layer_rows in ((1, rows[:2]), (2, rows[2:])):
        reach = max(np.abs(layer_weights(networks[name], layer)).max() for name in "AB")
        for name, page_panels in zip("AB", layer_rows.T):
            picture, panels = plt.subplots(1, 2, figsize=(8.3, 3.8))
            draw_layer(page_panels, name, networks[name], layer, reach)
            draw_layer(panels, name, networks[name], layer, reach)
            picture.suptitle(TITLES[name])
            pictures[f"p3_hist_{name}_layer{layer}.png"] = picture
    for axes, name in zip(rows[0], "AB"):  # at the head of each column
        axes.set_title(f"{TITLES[name]}\n\n{axes.get_title()}", size=10)
    for file_name, picture in pictures.items():
        bars = picture.axes[-1].get_legend_handles_labels()
        picture.legend(*bars, loc="outside lower center", ncols=3)
        save(picture, folder / file_name)


def plot_norms(networks, folder):
    """The norm of each unit's incoming weights, before and after training."""
    figure, panels = plt.subplots(1, 2, figsize=(8.3, 3.4), sharey=True)
    for axes, name in zip(panels, "AB"):
        initial, trained, dead = networks[name]
        before = np.linalg.norm(initial[0], axis=0)
        after = np.linalg.norm(trained[0], axis=0)
        order = np.argsort(-after, kind="stable")
        before, after, dead = before[order], after[order], dead[order]
        place = np.arange(len(order))
        axes.plot(place, before, ".", color=GREY, markersize=4, label="before training",
                  zorder=3)  # above the dead units, which hardly move
        axes.plot(place[~dead], after[~dead], "o", color=BLUE, markersize=4,
                  label="after training")
        axes.plot(place[dead], after[dead], "o", color=ORANGE, markersize=5,
                  label="after training, dead units")
        axes.set_xlabel("hidden units, sorted by norm after training")
        axes.set_title(TITLES[name], size=10)
    panels[0].set_ylabel("norm of incoming weights")
    panels[0].set_ylim(bottom=-0.3)  # so that norms of 0 are seen
    panels[1].legend()
    save(figure, folder / "p3_norms.png")


def plot_pixels(networks, x, folder):
    """How large the living units' weights from each pixel are, beside how often it is inked."""
    figure, panels = plt.subplots(1, 3, figsize=(8.3, 3.3))
    inked = (x > 0).mean(axis=0).reshape(28, 28)
    sizes = {}
    for name in "AB":
        _, trained, dead = networks[name]
        living = trained[0][:, ~dead]
        sizes[name] = np.sqrt((living ** 2).mean(axis=1)).reshape(28, 28)
    largest = max(sizes["A"].max(), sizes["B"].max())
    for axes, name in zip(panels, "AB"):
        image = axes.imshow(sizes[name], cmap="inferno", vmin=0, vmax=largest)
        axes.set_title(TITLES[name].replace(": ", "\n"), size=10)
    figure.colorbar(image, ax=panels[:2], location="bottom", aspect=30, shrink=0.7,
                    label="rms of the weights from the pixel")
    share = panels[2].imshow(100 * inked, cmap="gray", vmin=0, vmax=100)
    panels[2].set_title("training images\nwith ink in the pixel", size=10)
    figure.colorbar(share, ax=panels[2], location="bottom", label="%")
    for axes in panels:
        axes.contour(inked < RARELY, [0.5], colors="#56B4E9", linewidths=1)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    save(figure, folder / "p3_pixels.png")


def write_table(rows, path):
    """rows: for each training {name of a column: its value}."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


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
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS
    parser = argparse.ArgumentParser(description="Problem 3: regularization and weights.")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a folder's name may have letters that it lacks
    out = arguments.out or FOLDER / "outputs"
    if arguments.quick:
        TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS = 1000, 200, 2, SEEDS[:1]
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    x, y = load_images(TRAIN_FILE, TRAIN_IMAGES + VALIDATION_IMAGES)
    x_train, x_validation = x[:TRAIN_IMAGES], x[TRAIN_IMAGES:]
    y_train, y_validation = y[:TRAIN_IMAGES], y[TRAIN_IMAGES:]
    rare = rarely_inked(x_train)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all is written
        folder = Path(folder)

        rows, shown = [], {}
        for name, (units, l2, dropout) in NETWORKS.items():
            for seed in SEEDS:
                print(f"{name}: {units} units, L2 {l2}, dropout {dropout}, seed {seed}", flush=True)
                initial, model = train(name, seed, x_train, y_train)
                weights = model.get_weights()
                dead = dead_units(weights, x_train)
                training = accuracy(model, x_train, y_train)
                validation = accuracy(model, x_validation, y_validation)
                cost = cross_entropy(model, x_validation, y_validation)
                print(f"  validation accuracy {validation:.2%}, cross-entropy {cost:.4f}")
                rows.append({"network": name, "L2": l2, "dropout": dropout, "seed": seed,
                             **describe(weights, dead, rare),
                             "training accuracy (%)": f"{100 * training:.2f}",
                             "validation accuracy (%)": f"{100 * validation:.2f}",
                             "validation cross-entropy (nats)": f"{cost:.4f}"})
                if name in TITLES and seed == SEEDS[0]:
                    shown[name] = initial, weights, dead

        plot_histograms(shown, folder)
        plot_norms(shown, folder)
        plot_pixels(shown, x_train, folder)
        write_table(rows, folder / "p3_weights.csv")
        results = {"quick": arguments.quick, "batch_size": BATCH_SIZE, "epochs": EPOCHS,
                   "train_images": len(x_train), "validation_images": len(x_validation),
                   "rarely_inked_pixels": int(rare.sum()),
                   "seconds": round(time.perf_counter() - begin)}
        (folder / "p3_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        move(folder, out)
    print(f"outputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; earlier outputs are as they were")

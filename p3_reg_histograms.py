"""Problem 3: what does regularization do to the weights of a network? Histograms of two networks.

    python p3_reg_histograms.py      (about 2 minutes on two cores)

Trains the homework's networks for Fashion-MNIST for 40 epochs: A, 128 ReLU units without
regularization, and B, 48 ReLU units with L2 0.0001 and dropout 0.2. The histograms are those of the
first seed; a second seed tells what chance does. The homework's junctions are called layers (of
weights) here.

Reads  data/fashion_mnist_traindata.hdf5; the test images are not needed
Writes outputs/p3_histograms.png, p3_weights.csv, p3_results.json
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
import platform
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

from data.loader import DataError, check_classes, load_images, path_argument

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network
plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"


class Network(NamedTuple):
    units: int
    l2: float = 0.0
    dropout: float = 0.0


NETWORKS = {"A": Network(128), "B": Network(48, l2=1e-4, dropout=0.2)}  # fixed by the homework
EPOCHS = 40  # fixed by the homework
BATCH_SIZE = 128  # free
OPTIMIZER = "adam"  # the lecture's, at its default learning rate of 0.001
TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # the first and the last of the file
SEEDS = (0, 1)

DEAD = 1e-4  # a unit is dead when it is active on a smaller share of the training images

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.2"  # all units, dead units, before training
TITLES = {"A": "A: 128 units, no regularization", "B": "B: 48 units, L2 0.0001, dropout 0.2"}
# For each layer: how many bins its two histograms have, odd so that one has 0 in its middle.
BINS = {1: (121, 801), 2: (41, 81)}
MIDDLE = {1: 0.25, 2: 1.5}  # for each layer: the second histogram reaches from minus this to this


def build(network):
    """L2 on weights and biases, as in the lecture's script."""
    penalty = keras.regularizers.L2(network.l2) if network.l2 else None
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(network.units, "relu", kernel_regularizer=penalty,
                           bias_regularizer=penalty),
        keras.layers.Dropout(network.dropout),
        keras.layers.Dense(10, "softmax", kernel_regularizer=penalty, bias_regularizer=penalty)])


def print_progress(epoch, measures):
    """A line every twenty epochs, for Keras, which counts epochs from 0 here. Its training accuracy
    is that of the minibatches as they were met, with dropout."""
    if (epoch + 1) % 20 == 0:
        print(f"  epoch {epoch + 1}: training accuracy {measures['accuracy']:.2%}", flush=True)


def train(network, seed, x, y):
    """Train a Network. x (N, 784), y (N,) classes.

    Returns its initial weights, [W1 (784, units), b1, W2 (units, 10), b2], and the trained
    model."""
    keras.utils.set_random_seed(seed)
    # A trap for all who set Keras' seed: fit() on arrays then repeats one order of the samples in
    # every epoch. This pipeline draws a new order for each epoch.
    minibatches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed)
    minibatches = minibatches.batch(BATCH_SIZE)
    model = build(network)
    initial = model.get_weights()
    # All updates of an epoch in one call: in problem 2 it took 0.6 s instead of 0.9 to 1.3.
    model.compile(OPTIMIZER, "sparse_categorical_crossentropy", metrics=["accuracy"],
                  steps_per_execution=len(minibatches))
    model.fit(minibatches, epochs=EPOCHS, shuffle=False, verbose=0,
              callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=print_progress)])
    return initial, model


def judge(model, x, y):
    """Accuracy, and cross-entropy: the mean of -ln(probability of the true class), in nats. Both
    without dropout and without the L2 penalty."""
    p = model.predict(x, batch_size=1000, verbose=0)
    accuracy = (p.argmax(axis=1) == y).mean()
    return accuracy, np.mean(keras.losses.sparse_categorical_crossentropy(y, p))


def dead_units(trained, x):
    """(units,) booleans. trained [W1, b1, W2, b2], x (N, 784)."""
    W1, b1, _, _ = trained
    return (x @ W1 + b1 > 0).mean(axis=0) < DEAD


def excess_kurtosis(weights):
    """Heaviness of the tails, whatever the width: 0 for a Gaussian."""
    deviations = weights - weights.mean()
    return (deviations ** 4).mean() / (deviations ** 2).mean() ** 2 - 3


class Weights(NamedTuple):
    """Those of a network, as lists [W1 (784, units), b1, W2 (units, 10), b2]."""
    initial: list
    trained: list
    dead: np.ndarray  # (units,) booleans

    def of_layer(self, number):
        """Of layer 1 or 2 before and after training, each (units, weights of a unit)."""
        if number == 1:
            return self.initial[0].T, self.trained[0].T
        return self.initial[2], self.trained[2]


def describe(weights):
    """Spread and tails of the trained Weights, for the table; in layer 1 of the living units alone.
    """
    W1, _, W2, _ = weights.trained
    living = W1[:, ~weights.dead]
    return {"dead units": weights.dead.sum(),
            "layer 1 sd": f"{living.std():.3f}",
            "layer 1 excess kurtosis": f"{excess_kurtosis(living):.1f}",
            "layer 2 sd": f"{W2.std():.2f}",
            "layer 2 excess kurtosis": f"{excess_kurtosis(W2):.1f}"}


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_histogram(axes, initial, trained, dead, edges, log=False):
    """Densities of the weights of a layer before and after training, dead units told apart.

    initial and trained (units, weights of the unit), dead (units,). The dead units' weights are the
    lower part of each bar. On a log axis outlines: there the area of a bar is no number of
    weights."""
    axes.hist([trained[dead].ravel(), trained[~dead].ravel()], edges, density=True, stacked=True,
              histtype="step" if log else "stepfilled", log=log, color=[ORANGE, BLUE],
              label=["after training, dead units", "after training, all units"])
    axes.hist(initial.ravel(), edges, density=True, histtype="step", log=log, color=GREY,
              label="before training")
    axes.set(xlabel="weight", ylabel="density")


def plot_histograms(networks, folder):
    """Two histograms of each layer, all weights and the middle. A and B have the same bins and
    axes. networks: {"A": Weights, "B": Weights}."""
    figure, panels = plt.subplots(4, 2, figsize=(8.3, 10.5), sharex="row", sharey="row")
    for layer, upper, lower in ((1, panels[0], panels[1]),
                                (2, panels[2], panels[3])):
        reach = max(np.abs(weights.of_layer(layer)).max() for weights in networks.values())
        coarse_bins, fine_bins = BINS[layer]
        coarse = np.linspace(-reach, reach, coarse_bins + 1)
        fine = np.linspace(-reach, reach, fine_bins + 1)
        for column, (name, weights) in enumerate(networks.items()):
            whole, middle = upper[column], lower[column]
            initial, trained = weights.of_layer(layer)
            draw_histogram(whole, initial, trained, weights.dead, coarse, log=True)
            whole.yaxis.set_major_formatter("{x:g}")  # no tiny exponents
            draw_histogram(middle, initial, trained, weights.dead, fine)
            middle.set_xlim(-MIDDLE[layer], MIDDLE[layer])
            title = f"{name}, layer {layer}: all weights, vertical axis logarithmic"
            if layer == 1:  # at the head of the column
                title = f"{TITLES[name]}\n\n{title}"
            whole.set_title(title, size=10)
            middle.set_title(f"{name}, layer {layer}: the middle, enlarged", size=10)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save(figure, folder / "p3_histograms.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main():
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS
    parser = argparse.ArgumentParser(description="Problem 3: regularization and weights.")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=path_argument,
                        help="folder for the outputs (default: outputs/)")
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
    # What would end the run after minutes of training ends it now.
    check_classes(TRAIN_FILE, y_train, y_validation)
    out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=out).close()

    rows, shown = [], {}
    for name, network in NETWORKS.items():
        for seed in SEEDS:
            print(f"{name}: {network.units} units, L2 {network.l2}, dropout {network.dropout}, "
                  f"seed {seed}", flush=True)
            initial, model = train(network, seed, x_train, y_train)
            trained = model.get_weights()
            weights = Weights(initial, trained, dead_units(trained, x_train))
            training, _ = judge(model, x_train, y_train)
            validation, cross_entropy = judge(model, x_validation, y_validation)
            print(f"  validation accuracy {validation:.2%}, cross-entropy {cross_entropy:.4f}")
            rows.append({"network": name, "seed": seed, **describe(weights),
                         "training accuracy (%)": f"{100 * training:.2f}",
                         "validation accuracy (%)": f"{100 * validation:.2f}",
                         "gap (points)": f"{100 * (training - validation):.1f}",
                         "validation cross-entropy (nats)": f"{cross_entropy:.4f}"})
            if seed == SEEDS[0]:
                shown[name] = weights

    # The earlier outputs stay as they are until all new ones are written.
    new = Path(tempfile.mkdtemp(prefix="new_", dir=out))
    plot_histograms(shown, new)
    write_csv(new / "p3_weights.csv", rows[0].keys(), [row.values() for row in rows])
    results = {
        "quick": arguments.quick, "batch_size": BATCH_SIZE, "epochs": EPOCHS,
        "train_images": len(x_train), "validation_images": len(x_validation),
        "versions": {"Python": platform.python_version(), "numpy": np.__version__,
                     "h5py": h5py.__version__, "matplotlib": matplotlib.__version__,
                     "tensorflow": tf.__version__, "keras": keras.__version__},
        "seconds": round(time.perf_counter() - begin)}
    (new / "p3_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    for path in sorted(new.iterdir()):
        path.replace(out / path.name)
    new.rmdir()
    print(f"outputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; earlier outputs are as they were")

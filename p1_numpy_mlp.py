"""Problem 1: a multilayer perceptron for MNIST, trained by backpropagation written out in numpy.

    python p1_numpy_mlp.py      (about 10 minutes on two cores)

Trains six configurations (two activations, three initial learning rates) for 50 epochs on 50,000
images, chooses the one with the best accuracy on 10,000 validation images, trains it afresh on all
60,000, and only then reads the test set. Each training learns by stochastic gradient descent, from
images that are moved by a pixel and made adversarial, part (g). The network itself is in mlp.py:
read that first.

Reads  data/mnist_traindata.hdf5, data/mnist_testdata.hdf5
Writes outputs/p1_curves.png, p1_configurations.csv, p1_accuracy.csv, p1_network_params.hdf5,
       p1_results.json
Prints a line for each training every ten epochs, and at the end

    chosen: ReLU, 0.4; trained afresh on all 60,000 images:
    ReLU, 0.4: epoch 50 of 50, training 99.70%, 0 s left
    test accuracy 99.40% (9,940 of 10,000 images)
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
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise, product
from pathlib import Path

# Read by the libraries when they are imported, so set first; they overrule the user's own.
os.environ.update(
    OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1",
    VECLIB_MAXIMUM_THREADS="1",  # trainings share the cores, so each gets one thread of BLAS
    MPLBACKEND="Agg",  # draw into files, without a screen
    HDF5_USE_FILE_LOCKING="FALSE")  # network folders may refuse locks

import h5py
import matplotlib
matplotlib.use("Agg")  # also where a notebook has imported matplotlib before
import matplotlib.pyplot as plt
import numpy as np

from data.loader import DataError, check_classes, check_images, load_images, path_argument
from mlp import MLP

plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "mnist_testdata.hdf5"

TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # part (a): the first and the last of the file
SIZES = (784, 400, 300, 10)  # part (b); others: tests/experiments/search_p1.py
ACTIVATIONS = ("ReLU", "tanh")  # part (c)
LEARNING_RATES = (0.4, 0.2, 0.1)  # part (e), initial ones
BATCH_SIZE = 100  # part (f): 500 updates in an epoch
SHIFT = 1  # part (g): in each epoch each image is moved by up to so many pixels, at random
EPSILON = 0.8  # part (g): adversarial training, see mlp.py; pixels are from 0 to 1
SEED = 0  # of the initial weights, part (h), the order of the images and their shifts
EPOCHS = 50  # part (j)
HALVE_AFTER = (20, 40)  # part (k): epochs
CONFIGURATIONS = tuple(product(ACTIVATIONS, LEARNING_RATES))  # part (l)

STOP = threading.Event()  # set by Ctrl-C or an error: each training ends after its epoch


def learning_rate_of(initial, epoch):
    """Part (k): the learning rate of an epoch, counted from 1."""
    halvings = sum(epoch > last for last in HALVE_AFTER)
    return initial / 2 ** halvings


def usable_cores():
    """How many cores this process may use: a cluster may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shifted(x, reach, rng):
    """Part (g): each image of x (N, 784) moved by -reach ... +reach pixels down and to the right,
    at random. Ink that leaves the frame is lost, the gap is empty. Returns a new array."""
    images = x.reshape(-1, 28, 28)
    moved = np.empty_like(images)
    down, right = rng.integers(-reach, reach + 1, (2, len(x)))
    for i, j in product(range(-reach, reach + 1), repeat=2):
        chosen = (down == i) & (right == j)
        framed = np.pad(images[chosen], ((0, 0), (reach, reach), (reach, reach)))  # with zeros
        top, left = reach - i, reach - j
        moved[chosen] = framed[:, top:top + 28, left:left + 28]
    return moved.reshape(x.shape)


def train(activation, initial_learning_rate, x, y, x_validation=None, y_validation=None):
    """Train a fresh network. x (N, 784), y (N,) classes; the same for validation, if wanted.

    Returns the network and two lists, the training and the validation accuracy of each epoch.
    Training images count as right or wrong as they are met during the epoch: moved, before the
    step to the adversarial example. Validation images are looked at after the epoch, as they are.
    """
    rng = np.random.default_rng(SEED)
    network = MLP(SIZES, activation, rng, epsilon=EPSILON)
    training, validation = [], []
    begin = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        if STOP.is_set():
            break
        learning_rate = learning_rate_of(initial_learning_rate, epoch)
        training.append(network.train_epoch(shifted(x, SHIFT, rng), y, BATCH_SIZE, learning_rate))
        if x_validation is not None:
            validation.append(network.accuracy(x_validation, y_validation))

        if epoch % 10 == 0 or epoch == EPOCHS:
            line = f"{activation}, {initial_learning_rate:g}: epoch {epoch:2} of {EPOCHS}"
            line += f", training {training[-1]:.2%}"
            if validation:
                line += f", validation {validation[-1]:.2%}"
            seconds_left = (time.perf_counter() - begin) / epoch * (EPOCHS - epoch)
            print(f"{line}, {seconds_left:.0f} s left", flush=True)
    return network, training, validation


def train_all(x, y, x_validation, y_validation, threads):
    """Part (l): train() for each of CONFIGURATIONS, some at a time.

    Returns the networks, and the training and the validation accuracies, (configurations, epochs)
    each. Threads are enough: numpy lets other threads run during a matrix product. The results are
    those of a plain loop, bit for bit."""
    print(f"{len(CONFIGURATIONS)} trainings, {threads} at a time; "
          "the seconds left are those of one training", flush=True)
    STOP.clear()
    with ThreadPoolExecutor(threads) as pool:
        try:
            futures = [pool.submit(train, *configuration, x, y, x_validation, y_validation)
                       for configuration in CONFIGURATIONS]
            running = futures
            while running:  # Windows hears Ctrl-C between two waits
                ended, running = wait(running, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()  # raises what the training raised
        except BaseException:
            STOP.set()
            raise
    networks, training, validation = zip(*[future.result() for future in futures])
    return networks, np.array(training), np.array(validation)


def choose(validation):
    """Part (m): index of the configuration with the best accuracy after the last epoch; the first
    of equals. validation (configurations, epochs).

    The last epoch, since the retraining has no validation images to stop by."""
    return int(validation[:, -1].argmax())


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def plot_curves(training, validation, best, folder):
    """Part (l): a plot for each configuration. training, validation (6, epochs): shares; best: the
    number of the chosen one."""
    figure, panels = plt.subplots(3, 2, figsize=(8.3, 10))
    epochs = range(1, EPOCHS + 1)
    low, high = 95, 100.1  # %
    ends = [0, *HALVE_AFTER, EPOCHS]
    by_activation = panels.T.flat  # a column of panels for each
    for number, (axes, (activation, initial)) in enumerate(zip(by_activation, CONFIGURATIONS)):
        axes.plot(epochs, 100 * training[number], color="#0072B2", label="training (moved images)")
        axes.plot(epochs, 100 * validation[number], "--", color="#D55E00", label="validation")
        halvings = np.array(HALVE_AFTER) + 0.5  # between two epochs
        axes.vlines(halvings, low, high, color="0.3", linestyle=":",
                    label="learning rate (below) halved")
        for begin, end in pairwise(ends):
            rate = learning_rate_of(initial, end)
            axes.text((begin + end + 1) / 2, low + 0.15, f"{rate:g}", ha="center", size=9,
                      clip_on=True)
        axes.set_title(f"{activation}, initial learning rate {initial:g}", size=10,
                       fontweight="bold" if number == best else "normal")
        axes.set(xlabel="epoch", ylabel="accuracy (%)", xlim=(0, EPOCHS + 1), ylim=(low, high))
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.suptitle("Accuracy by activation and initial learning rate (bold: chosen)", size=10)
    save(figure, folder / "p1_curves.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_configurations(training, unmoved, validation, folder):
    """Accuracies (%) of the six configurations. training, validation (6, epochs): shares; unmoved
    (6,): shares of the training images as they are, after the last epoch."""
    rows = []
    for number, (activation, initial) in enumerate(CONFIGURATIONS):
        shares = [training[number, -1], unmoved[number], validation[number, -1],
                  validation[number, -10:].mean()]
        rows.append([activation, initial, *(f"{100 * share:.2f}" for share in shares)])
    write_csv(folder / "p1_configurations.csv",
              ["activation", "initial learning rate", "training accuracy, moved images (%)",
               "training accuracy, images as they are (%)", "validation accuracy (%)",
               "validation accuracy, mean of last ten epochs (%)"], rows)


def write_accuracies(training, validation, retraining, folder):
    """All accuracies (%), epoch by epoch; the shares of the retraining are (epochs,)."""
    header, curves = ["epoch"], []
    for number, (activation, initial) in enumerate(CONFIGURATIONS):
        header.append(f"{activation} {initial:g}, training (%)")
        header.append(f"{activation} {initial:g}, validation (%)")
        curves.append(training[number])
        curves.append(validation[number])
    header.append("retraining, training (%)")
    curves.append(retraining)
    rows = []
    for epoch, shares in enumerate(np.transpose(curves), start=1):
        rows.append([epoch, *(f"{100 * share:.2f}" for share in shares)])
    write_csv(folder / "p1_accuracy.csv", header, rows)


def write_network(network, activation, path):
    """Weights W1, W2 ... and biases b1, b2 ..., the form of the course's files."""
    buffer = io.BytesIO()  # HDF5 itself may crash on a full disk, Python says what is wrong
    with h5py.File(buffer, "w") as file:
        file.attrs["activation"] = activation
        for l in range(1, network.L + 1):
            file[f"W{l}"] = network.W[l]
            file[f"b{l}"] = network.b[l]
    path.write_bytes(buffer.getvalue())


def main():
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS
    parser = argparse.ArgumentParser(description="Problem 1: an MLP for MNIST in numpy.")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=path_argument,
                        help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a folder's name may have letters that it lacks
    out = arguments.out or FOLDER / "outputs"
    if arguments.quick:
        TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS = 2000, 500, 2
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    # Part (a).
    x, y = load_images(TRAIN_FILE, TRAIN_IMAGES + VALIDATION_IMAGES)
    x_train, x_validation = x[:TRAIN_IMAGES], x[TRAIN_IMAGES:]
    y_train, y_validation = y[:TRAIN_IMAGES], y[TRAIN_IMAGES:]
    # What would end the run after minutes of training ends it now.
    check_classes(TRAIN_FILE, y_train, y_validation)
    check_images(TEST_FILE)  # without its values
    out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=out).close()

    # Parts (b) to (l).
    threads = min(len(CONFIGURATIONS), usable_cores())
    networks, training, validation = train_all(x_train, y_train, x_validation, y_validation,
                                               threads)
    unmoved = [network.accuracy(x_train, y_train) for network in networks]

    # Part (m).
    best = choose(validation)
    activation, initial_learning_rate = CONFIGURATIONS[best]
    print(f"chosen: {activation}, {initial_learning_rate:g}; "
          f"trained afresh on all {len(x):,} images:")
    network, retraining, _ = train(activation, initial_learning_rate, x, y)
    if arguments.quick:
        x_test, y_test = x_validation, y_validation  # a smoke test leaves the test set unread
    else:
        x_test, y_test = load_images(TEST_FILE)  # read here for the first time
    right = int((network.probabilities(x_test).argmax(axis=1) == y_test).sum())
    test_accuracy = right / len(y_test)
    print(f"test accuracy {test_accuracy:.2%} ({right:,} of {len(y_test):,} images)")

    # The earlier outputs stay as they are until all new ones are written.
    new = Path(tempfile.mkdtemp(prefix="new_", dir=out))
    plot_curves(training, validation, best, new)
    write_configurations(training, unmoved, validation, new)
    write_accuracies(training, validation, retraining, new)
    write_network(network, activation, new / "p1_network_params.hdf5")
    results = {
        "quick": arguments.quick, "sizes": SIZES, "shift": SHIFT, "epsilon": EPSILON,
        "batch_size": BATCH_SIZE,
        "activation": activation, "initial_learning_rate": initial_learning_rate,
        "validation_accuracy": validation[best, -1],
        "test_images": len(y_test), "test_right": right, "test_accuracy": test_accuracy,
        "versions": {"Python": platform.python_version(), "numpy": np.__version__,
                     "h5py": h5py.__version__, "matplotlib": matplotlib.__version__},
        "seconds": round(time.perf_counter() - begin)}
    (new / "p1_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
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

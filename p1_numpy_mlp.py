"""Problem 1: a multilayer perceptron for MNIST, trained by backpropagation written out in numpy.

    python p1_numpy_mlp.py      (about 5 minutes on two cores)

Trains six configurations (two activations, three initial learning rates) for 50 epochs on 50,000
images, chooses the one with the best accuracy on 10,000 validation images, trains it afresh on all
60,000, and only then opens the test set. Each training learns from adversarial examples, part (g),
by stochastic gradient descent. The network itself is in mlp.py: read that first.

Reads  data/mnist_traindata.hdf5, data/mnist_testdata.hdf5
Writes outputs/p1_curves.png, p1_curve_<activation>_lr<rate>.png, p1_configurations.csv,
       p1_accuracy.csv, p1_adversarial.png, p1_test_errors.png, p1_network_params.hdf5,
       p1_results.json
"""
import argparse
import csv
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from pathlib import Path

# Read by the libraries when they are imported, so set first; they overrule the user's own.
os.environ.update(
    OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1",
    VECLIB_MAXIMUM_THREADS="1",  # trainings share the cores, so each gets one thread of BLAS
    MPLBACKEND="Agg",  # draw into files, without a screen
    HDF5_USE_FILE_LOCKING="FALSE")  # network folders may refuse locks

import h5py
import matplotlib.pyplot as plt
import numpy as np

from data.loader import DataError, check_exists, load_images
from mlp import MLP

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "mnist_testdata.hdf5"

TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # part (a): the first and the last of the file
SIZES = (784, 300, 300, 10)  # part (b); for others, and other EPSILON, see outputs/p1_search.csv
ACTIVATIONS = ("ReLU", "tanh")  # part (c)
LEARNING_RATES = (0.4, 0.2, 0.1)  # part (e), initial ones
BATCH_SIZE = 100  # part (f): 500 updates in an epoch
EPSILON = 1.0  # part (g): adversarial training, see mlp.py; pixels are from 0 to 1
SEED = 0  # of the initial weights, part (h), and of the order of the images
EPOCHS = 50  # part (j)
HALVE_AFTER = (20, 40)  # part (k): epochs
CONFIGURATIONS = tuple(product(ACTIVATIONS, LEARNING_RATES))  # part (l)


def learning_rate_of(initial, epoch):
    """Part (k): the learning rate of an epoch, counted from 1."""
    halvings = sum(epoch > last for last in HALVE_AFTER)
    return initial / 2 ** halvings


def train(activation, initial_learning_rate, x, y, x_validation=None, y_validation=None):
    """Train a fresh network. x (N, 784), y (N,) classes; the same for validation, if wanted.

    Returns the network and two lists, the training and the validation accuracy of each epoch.
    Training images count as right or wrong when they are met during the epoch, as they are, before
    the step to the adversarial example; validation images are looked at after the epoch."""
    network = MLP(SIZES, activation, np.random.default_rng(SEED), epsilon=EPSILON)
    training, validation = [], []
    begin = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        learning_rate = learning_rate_of(initial_learning_rate, epoch)
        training.append(network.train_epoch(x, y, BATCH_SIZE, learning_rate))
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
    """Part (l): train() for each of CONFIGURATIONS, some at a time. Returns what they return.

    Threads are enough: numpy lets other threads run during a matrix product. The results are
    those of a plain loop, bit for bit."""
    print(f"{len(CONFIGURATIONS)} trainings, {threads} at a time; "
          "the seconds left are those of one training", flush=True)
    pool = ThreadPoolExecutor(threads)
    futures = []
    for activation, initial_learning_rate in CONFIGURATIONS:
        futures.append(pool.submit(train, activation, initial_learning_rate,
                                   x, y, x_validation, y_validation))
    while not all(future.done() for future in futures):
        time.sleep(0.2)  # Windows hears Ctrl-C between two sleeps, but not in result()
    return [future.result() for future in futures]


def choose(validation):
    """Part (m): index of the configuration with the best accuracy after the last epoch; the first
    of equals. validation (configurations, epochs).

    The last epoch, since the retraining has no validation images to stop by."""
    return int(validation[:, -1].argmax())


def p_of_true_class(network, x, y):
    """The probability that the network gives to each image's true class y, (N,)."""
    return network.forward(x)[np.arange(len(y)), y]


def adversarial_statistics(network, x, y):
    """What the step to the adversarial examples does to images x (N, 784) of classes y (N,).

    Returns numbers for p1_results.json: the median length of an image, the mean rise of the cost
    (nats), and the same to first order: epsilon times the length of dC/dx."""
    network.forward(x)
    dx = network.errors(y, lowest=0)[0]  # dC/dx
    examples = network.adversarial(y)
    rise = network.cost(examples, y) - network.cost(x, y)
    first_order = EPSILON * np.linalg.norm(dx, axis=1).mean()
    length = np.median(np.linalg.norm(x, axis=1))
    return {"median_length_of_an_image": float(length),
            "adversarial_cost_rise": float(rise),
            "first_order_cost_rise": float(first_order)}


plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_curves(axes, training, validation):
    """Part (l): accuracy against epochs, the halvings of the learning rate marked.

    training, validation (epochs,): shares."""
    epochs = range(1, len(training) + 1)
    axes.plot(epochs, 100 * training, color="#0072B2", label="training")
    axes.plot(epochs, 100 * validation, "--", color="#D55E00", label="validation")
    halvings = np.array(HALVE_AFTER) + 0.5  # between two epochs
    axes.vlines(halvings, 0, 1, transform=axes.get_xaxis_transform(), color="0.3",
                linestyle=":", label="learning rate halved")


def write_learning_rates(axes, initial):
    """The learning rates in force, above the axes: each between its halvings."""
    borders = [0, *HALVE_AFTER, EPOCHS]
    for last_before, last in pairwise(borders):
        rate = learning_rate_of(initial, last)
        middle = (last_before + last + 1) / 2
        axes.text(middle, 1.02, f"learning rate {rate:g}", transform=axes.get_xaxis_transform(),
                  ha="center", size=9)


def plot_configuration(activation, initial, training, validation, folder):
    """Part (l): one plot of one configuration, from 95 to 100%, and below it from 0 to 100%."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8.3, 5), sharex=True,
                                          height_ratios=(4, 1))
    draw_curves(upper, training, validation)
    draw_curves(lower, training, validation)
    write_learning_rates(upper, initial)
    upper.set_title(f"{activation}, initial learning rate {initial:g}", size=10, pad=20)
    upper.set_ylim(95, 100.1)
    lower.set(xlabel="epoch", ylim=(0, 102), yticks=(0, 50, 100))
    figure.supylabel("accuracy (%)", size=10)
    handles, labels = upper.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save(figure, folder / f"p1_curve_{activation.lower()}_lr{initial:g}.png")


def plot_all_configurations(training, validation, best, folder):
    """Part (l): all on one page. training, validation (6, epochs): shares."""
    page, panels = plt.subplots(2, 3, figsize=(8.3, 5.4), sharex=True, sharey=True)
    for number, (activation, initial) in enumerate(CONFIGURATIONS):
        panel = panels.flat[number]
        draw_curves(panel, training[number], validation[number])
        weight = "bold" if number == best else "normal"
        panel.set_title(f"{activation}, {initial:g}", size=10, fontweight=weight)
        panel.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(95, 100.1))
        panel.label_outer()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    page.legend(handles, labels, loc="outside lower center", ncols=3)
    page.suptitle("Accuracy by activation and initial learning rate (bold: chosen)", size=10)
    save(page, folder / "p1_curves.png")


def show(panel, image, title="", cmap="gray_r", low=0, high=1):
    """An image (784,) with its title."""
    panel.imshow(image.reshape(28, 28), cmap=cmap, vmin=low, vmax=high)
    panel.set_title(title, size=9)
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set_visible(False)


def plot_adversarial(network, x, y, folder):
    """Part (g): five typical images of x and the five worst, by how far the probability of the
    true class falls; typical is a fall near the median."""
    network.forward(x)
    examples = network.adversarial(y)
    change = examples - x
    before, after = p_of_true_class(network, x, y), p_of_true_class(network, examples, y)
    fall = before - after
    typical = np.argsort(np.abs(fall - np.median(fall)), kind="stable")[:5]
    worst = np.argsort(-fall, kind="stable")[:5]
    shown = np.concatenate([typical, worst])
    limit = np.abs(change[shown]).max()

    figure = plt.figure(figsize=(8.3, 3.3))
    figure.suptitle("Adversarial training (above each image: true class and its probability)",
                    size=10)
    # The left half is a little wider, for the labels of the rows.
    left, right = figure.subfigures(1, 2, width_ratios=(1.06, 1), wspace=0.03)
    left.suptitle("five typical images", size=10)
    right.suptitle("the five whose probability falls most", size=10)
    images, changes, adversarial = np.hstack([left.subplots(3, 5), right.subplots(3, 5)])
    for column, index in enumerate(shown):
        show(images[column], x[index], f"{y[index]}: {before[index]:.3f}")
        show(changes[column], change[index], "", "RdBu_r", -limit, limit)
        show(adversarial[column], examples[index], f"{y[index]}: {after[index]:.3f}")
    images[0].set_ylabel("image")
    changes[0].set_ylabel("change")
    adversarial[0].set_ylabel("adversarial")
    save(figure, folder / "p1_adversarial.png")


def plot_test_errors(x, y, p, folder):
    """The 20 most confident mistakes. x (N, 784) images, y (N,) true classes, p (N, 10)."""
    predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    wrong = np.flatnonzero(predicted != y)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    figure, panels = plt.subplots(2, 10, figsize=(8.3, 2.7))
    for panel in panels.flat:
        panel.axis("off")
    for panel, index in zip(panels.flat, wrong):
        show(panel, x[index], f"{y[index]} as {predicted[index]}\n{confidence[index]:.1%}")
    figure.suptitle("The most confident mistakes: true class as predicted class, and the "
                    "probability of the latter", size=10)
    save(figure, folder / "p1_test_errors.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_configurations(training, validation, folder):
    """Accuracies (%) of the six configurations. training, validation (6, epochs): shares."""
    rows = []
    for number, (activation, initial) in enumerate(CONFIGURATIONS):
        last_training = f"{100 * training[number, -1]:.2f}"
        last_validation = f"{100 * validation[number, -1]:.2f}"
        last_ten = f"{100 * validation[number, -10:].mean():.2f}"
        rows.append([activation, initial, last_training, last_validation, last_ten])
    write_csv(folder / "p1_configurations.csv",
              ["activation", "initial learning rate", "training accuracy (%)",
               "validation accuracy (%)", "validation accuracy, mean of last ten epochs (%)"],
              rows)


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
    with h5py.File(path, "w") as file:
        file.attrs["activation"] = activation
        for l in range(1, network.L + 1):
            file[f"W{l}"] = network.W[l]
            file[f"b{l}"] = network.b[l]


def main():
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, TEST_FILE
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    out = arguments.out or FOLDER / "outputs"
    if arguments.quick:
        TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS = 2000, 500, 2
        TEST_FILE = TRAIN_FILE  # a smoke test leaves the test set closed
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    x, y = load_images(TRAIN_FILE, TRAIN_IMAGES + VALIDATION_IMAGES)
    x_train, x_validation = x[:TRAIN_IMAGES], x[TRAIN_IMAGES:]
    y_train, y_validation = y[:TRAIN_IMAGES], y[TRAIN_IMAGES:]
    check_exists(TEST_FILE)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all is written
        folder = Path(folder)

        trained = train_all(x_train, y_train, x_validation, y_validation, os.cpu_count())
        training = np.array([result[1] for result in trained])  # (6, epochs)
        validation = np.array([result[2] for result in trained])
        best = choose(validation)
        activation, initial_learning_rate = CONFIGURATIONS[best]
        print(f"chosen: {activation}, {initial_learning_rate:g}; "
              f"trained afresh on all {len(x):,} images:")
        network, retraining, _ = train(activation, initial_learning_rate, x, y)

        x_test, y_test = load_images(TEST_FILE)  # opened here for the first time
        p = network.probabilities(x_test)
        right = int((p.argmax(axis=1) == y_test).sum())
        print(f"{TEST_FILE.name}: {right / len(p):.2%} right ({right:,} of {len(p):,})")

        plot_all_configurations(training, validation, best, folder)
        for number, configuration in enumerate(CONFIGURATIONS):
            plot_configuration(*configuration, training[number], validation[number], folder)
        plot_adversarial(network, x[:1000], y[:1000], folder)
        plot_test_errors(x_test, y_test, p, folder)
        write_configurations(training, validation, folder)
        write_accuracies(training, validation, retraining, folder)
        write_network(network, activation, folder / "p1_network_params.hdf5")
        results = {
            "quick": arguments.quick, "sizes": SIZES, "epsilon": EPSILON, "batch_size": BATCH_SIZE,
            "activation": activation, "initial_learning_rate": initial_learning_rate,
            "validation_accuracy": validation[best, -1],
            "test_images": len(p), "test_right": right, "test_accuracy": right / len(p),
            **adversarial_statistics(network, x[:1000], y[:1000]),
            "seconds": round(time.perf_counter() - begin)}
        (folder / "p1_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        for path in folder.iterdir():
            path.replace(out / path.name)
    print(f"outputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\ninterrupted; earlier outputs are as they were", file=sys.stderr, flush=True)
        os._exit(1)  # sys.exit() would wait for the other trainings

"""Problem 1: a multilayer perceptron for MNIST, trained by backpropagation written out in numpy.

    python p1_numpy_mlp.py      (about 8 minutes on two cores)

Trains six configurations (two activations, three initial learning rates) for 50 epochs on 50,000
images, chooses the one with the best accuracy on 10,000 validation images, trains it afresh on all
60,000, and only then opens the test set. Each training learns by stochastic gradient descent, from
images that are moved by a pixel and made adversarial, part (g). The network itself is in mlp.py:
read that first.

Reads  data/mnist_traindata.hdf5, data/mnist_testdata.hdf5
Writes outputs/p1_curves.png, p1_curve_<activation>_lr<rate>.png, p1_configurations.csv,
       p1_accuracy.csv, p1_adversarial.png, p1_test_errors.png, p1_network_params.hdf5,
       p1_results.json
Prints a line for each training every ten epochs, and at the end

    chosen: ReLU, 0.4; trained afresh on all 60,000 images:
    ReLU, 0.4: epoch 50 of 50, training 99.70%, 0 s left
    mnist_testdata.hdf5: 99.40% right (9,940 of 10,000)
    outputs: outputs
"""
import argparse
import csv
import io
import json
import os
import sys
import tempfile
import threading
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
import matplotlib
matplotlib.use("Agg")  # also where a notebook has imported matplotlib before
import matplotlib.pyplot as plt
import numpy as np

from data.loader import DataError, check_exists, load_images
from mlp import MLP

plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "mnist_testdata.hdf5"

TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # part (a): the first and the last of the file
SIZES = (784, 400, 300, 10)  # part (b); for others, and other EPSILON, see outputs/p1_search.csv
ACTIVATIONS = ("ReLU", "tanh")  # part (c)
LEARNING_RATES = (0.4, 0.2, 0.1)  # part (e), initial ones
BATCH_SIZE = 100  # part (f): 500 updates in an epoch
SHIFT = 1  # part (g): in each epoch each image is moved by up to so many pixels, at random
EPSILON = 0.8  # part (g): adversarial training, see mlp.py; pixels are from 0 to 1
SEED = 0  # of the initial weights, part (h), and of the order of the images
EPOCHS = 50  # part (j)
HALVE_AFTER = (20, 40)  # part (k): epochs
CONFIGURATIONS = tuple(product(ACTIVATIONS, LEARNING_RATES))  # part (l)

INTERRUPTED = threading.Event()  # set by Ctrl-C: each training ends after the epoch that runs


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
        if INTERRUPTED.is_set():
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

    Returns the training and the validation accuracies, (configurations, epochs) each. Threads are
    enough: numpy lets other threads run during a matrix product. The results are those of a plain
    loop, bit for bit."""
    print(f"{len(CONFIGURATIONS)} trainings, {threads} at a time; "
          "the seconds left are those of one training", flush=True)
    INTERRUPTED.clear()
    with ThreadPoolExecutor(threads) as pool:
        futures = []
        try:
            for activation, initial_learning_rate in CONFIGURATIONS:
                futures.append(pool.submit(train, activation, initial_learning_rate,
                                           x, y, x_validation, y_validation))
            while not all(future.done() for future in futures):
                time.sleep(0.2)  # Windows hears Ctrl-C between two sleeps, but not in result()
        except KeyboardInterrupt:
            INTERRUPTED.set()
            raise
    training, validation = [], []
    for future in futures:
        _, training_accuracies, validation_accuracies = future.result()
        training.append(training_accuracies)
        validation.append(validation_accuracies)
    return np.array(training), np.array(validation)


def choose(validation):
    """Part (m): index of the configuration with the best accuracy after the last epoch; the first
    of equals. validation (configurations, epochs).

    The last epoch, since the retraining has no validation images to stop by."""
    return int(validation[:, -1].argmax())


def p_of_true_class(p, y):
    """The probability of each image's true class y, (N,). p (N, 10)."""
    return p[np.arange(len(y)), y]


def costs(p, y):
    """The cross entropy of each image, -ln p[y], (N,), in nats. p (N, 10), y (N,) classes."""
    return -np.log(np.maximum(p_of_true_class(p, y), np.finfo(p.dtype).tiny))  # no log of 0


def adversarial_statistics(network, x, y):
    """What the step to the adversarial examples does to images x (N, 784) of classes y (N,).

    Returns numbers for p1_results.json: how many images, the median length of an image, accuracies,
    the mean rise of the cost (nats), the same to first order, which is epsilon times the length of
    dC/dx, and how much of the rise comes from the 20 images whose cost rises most."""
    before = network.forward(x)
    dx = network.errors(y, lowest=0)[0]  # dC/dx
    after = network.forward(network.adversarial(y))
    rises = costs(after, y) - costs(before, y)
    return {"images": len(x),
            "median_length_of_an_image": float(np.median(np.linalg.norm(x, axis=1))),
            "accuracy": float((before.argmax(axis=1) == y).mean()),
            "accuracy_on_adversarial_examples": float((after.argmax(axis=1) == y).mean()),
            "cost_rise": float(rises.mean()),
            "first_order_cost_rise": float(network.epsilon * np.linalg.norm(dx, axis=1).mean()),
            "share_of_the_rise_from_20_images": float(np.sort(rises)[-20:].sum() / rises.sum())}


def typical_and_worst(fall, y):
    """Indices of ten images: of each class 0 to 4 the one with the median fall of the probability
    of the true class, and the five with the largest fall of all. fall (N,), y (N,) classes."""
    typical = []
    for m in range(5):
        of_class = np.flatnonzero(y == m)
        by_fall = of_class[np.argsort(fall[of_class], kind="stable")]
        typical.append(by_fall[len(by_fall) // 2])
    worst = np.argsort(-fall, kind="stable")[:5]
    return np.concatenate([typical, worst])


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def halvings_reached():
    """The epochs of HALVE_AFTER that are followed by another one: all, but for --quick."""
    return [epoch for epoch in HALVE_AFTER if epoch < EPOCHS]


def draw_curves(axes, training, validation):
    """Part (l): accuracy against epochs, the halvings of the learning rate marked.

    training, validation (epochs,): shares."""
    epochs = range(1, len(training) + 1)
    axes.plot(epochs, 100 * training, color="#0072B2", label="training (moved images)")
    axes.plot(epochs, 100 * validation, "--", color="#D55E00", label="validation")
    halvings = np.array(halvings_reached()) + 0.5  # between two epochs
    axes.vlines(halvings, 0, 1, transform=axes.get_xaxis_transform(), color="0.3",
                linestyle=":", label="learning rate halved")


def write_learning_rates(axes, initial):
    """The learning rates in force, above the axes: each between its halvings."""
    borders = [0, *halvings_reached(), EPOCHS]
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
    """Part (g): what the network learns from. Images x (N, 784), moved, and their adversarial
    examples, with the probability of the true class: five typical ones and the five worst."""
    moved = shifted(x, SHIFT, np.random.default_rng(SEED))
    before = p_of_true_class(network.forward(moved), y)
    examples = network.adversarial(y)
    after = p_of_true_class(network.forward(examples), y)
    steps = examples - moved
    shown = typical_and_worst(before - after, y)
    limit = np.abs(steps[shown]).max()

    figure = plt.figure(figsize=(8.3, 4.3))
    figure.suptitle("What the network learns from (above: true class and its probability)",
                    size=10)
    # The left half is a little wider, for the labels of the rows.
    left, right = figure.subfigures(1, 2, width_ratios=(1.06, 1), wspace=0.03)
    left.suptitle("five typical images", size=10)
    right.suptitle("the five whose probability falls most", size=10)
    rows = np.hstack([left.subplots(4, 5), right.subplots(4, 5)])
    for column, index in enumerate(shown):
        show(rows[0, column], x[index], f"{y[index]}")
        show(rows[1, column], moved[index], f"{y[index]}: {before[index]:.3f}")
        show(rows[2, column], steps[index], "", "RdBu_r", -limit, limit)
        show(rows[3, column], examples[index], f"{y[index]}: {after[index]:.3f}")
    for row, label in enumerate(("image", "moved", f"step of {EPSILON}", "adversarial")):
        rows[row, 0].set_ylabel(label)
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
              ["activation", "initial learning rate", "training accuracy, moved images (%)",
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
    buffer = io.BytesIO()  # HDF5 itself may crash on a full disk, Python says what is wrong
    with h5py.File(buffer, "w") as file:
        file.attrs["activation"] = activation
        for l in range(1, network.L + 1):
            file[f"W{l}"] = network.W[l]
            file[f"b{l}"] = network.b[l]
    path.write_bytes(buffer.getvalue())


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
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, TEST_FILE
    parser = argparse.ArgumentParser(description="Problem 1: an MLP for MNIST in numpy.")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a folder's name may have letters that it lacks
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

        threads = min(len(CONFIGURATIONS), usable_cores())
        training, validation = train_all(x_train, y_train, x_validation, y_validation, threads)
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
            "quick": arguments.quick, "sizes": SIZES, "shift": SHIFT, "epsilon": EPSILON,
            "batch_size": BATCH_SIZE,
            "activation": activation, "initial_learning_rate": initial_learning_rate,
            "validation_accuracy": validation[best, -1],
            "test_images": len(p), "test_right": right, "test_accuracy": right / len(p),
            "adversarial_first_training_images": adversarial_statistics(network, x[:1000],
                                                                        y[:1000]),
            "adversarial_test_images": adversarial_statistics(network, x_test, y_test),
            "seconds": round(time.perf_counter() - begin)}
        (folder / "p1_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        move(folder, out)
    print(f"outputs: {out}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; earlier outputs are as they were")

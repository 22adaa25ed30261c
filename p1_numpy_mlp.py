"""Problem 1: a multilayer perceptron for MNIST, trained by backpropagation written out in numpy.

    python p1_numpy_mlp.py      (about 8 minutes on two cores)

Trains six configurations (two activations, three initial learning rates) for 50 epochs on 50,000
images, chooses the one with the best accuracy on 10,000 validation images, trains it afresh on all
60,000, and only then opens the test set. The network itself is in mlp.py: read that first.

Result: 98.95% of the test images (ReLU, initial learning rate 0.3).

Reads  data/mnist_traindata.hdf5, data/mnist_testdata.hdf5
Writes outputs/p1_report.md (start here), p1_results.json, p1_curves.png,
       p1_curve_<activation>_lr<rate>.png, p1_moved.png, p1_test_errors.png, p1_filters.png,
       p1_network_params.hdf5
"""
import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
if __name__ == "__main__":
    # BLAS reads these once, when numpy is imported. Two threads, not one for each core: the last
    # digits of a sum depend on it. train_all() sets 1 for its workers.
    os.environ.update(dict.fromkeys(BLAS, "2"))
elif __name__ == "__mp_main__":  # a worker: Ctrl-C is for the parent, which ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)

import h5py
import matplotlib
import numpy as np

matplotlib.use("Agg")  # draw into files, without a screen
from matplotlib import pyplot as plt

from data.loader import DataError, load_images
from mlp import MLP

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "mnist_testdata.hdf5"

TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # part (a): the first and the last of the file
SIZES = (784, 512, 10)  # part (b)
NETWORK = "-".join(map(str, SIZES))
ACTIVATIONS = ("ReLU", "tanh")  # part (c)
LEARNING_RATES = (0.5, 0.3, 0.1)  # part (e), initial ones
BATCH_SIZE = 100  # part (f): 500 updates in an epoch
EPSILON = 0.7  # part (g): the regularizer; length by which a training image is moved, see mlp.py
EPOCHS = 50  # part (j)
HALVE_AFTER = (20, 40)  # part (k)
SEED = 0
SHOWN = 10_000  # training accuracy is measured on the first 10,000 training images


def learning_rate_of(initial, epoch):
    """Part (k): the learning rate of an epoch, counted from 1."""
    return initial / 2 ** sum(epoch > halving for halving in HALVE_AFTER)


def train(activation, initial_learning_rate, images, labels, split, epochs):
    """Train a fresh network on the images before `split`; those behind it, if any, validate.

    images (N, 784), labels (N,). Returns the network and its accuracies after each epoch."""
    network = MLP(SIZES, activation, np.random.default_rng(SEED), epsilon=EPSILON)
    train_accuracy, validation_accuracy = [], []
    begin = time.perf_counter()
    for epoch in range(1, epochs + 1):
        learning_rate = learning_rate_of(initial_learning_rate, epoch)
        network.train_epoch(images[:split], labels[:split], BATCH_SIZE, learning_rate)
        shown = min(split, SHOWN)
        train_accuracy.append(network.accuracy(images[:shown], labels[:shown]))
        line = f"training {train_accuracy[-1]:7.2%}"
        if split < len(images):
            validation_accuracy.append(network.accuracy(images[split:], labels[split:]))
            line += f", validation {validation_accuracy[-1]:7.2%}"
        left = (time.perf_counter() - begin) / epoch * (epochs - epoch)
        print(f"{activation} {initial_learning_rate:g}, {split:,} images, epoch {epoch}/{epochs} "
              f"{line}, {left:.0f} s left", flush=True)
    return network, {"train_accuracy": train_accuracy, "validation_accuracy": validation_accuracy}


def train_from_file(activation, initial_learning_rate, split, used, epochs):
    """What a worker does: train() on the first `used` images of the training file.

    Returns the accuracies, and which validation images (n,) are right. The network stays here: a
    worker killed while it sends megabytes would leave the parent waiting for the rest."""
    images, labels, _ = load_images(TRAIN_FILE)
    images, labels = images[:used], labels[:used]
    network, history = train(activation, initial_learning_rate, images, labels, split, epochs)
    return history, network.probabilities(images[split:]).argmax(axis=1) == labels[split:]


def end_with_parent():
    """First thing in a worker: a thread that ends it when the parent has ended, however it did."""
    def follow():
        multiprocessing.parent_process().join()
        os._exit(1)
    threading.Thread(target=follow, daemon=True).start()


def train_all(trainings, jobs):
    """[train_from_file(*training) for training in trainings], from `jobs` processes.

    Each has one BLAS thread, however many there are: sums in another order would change the last
    digits. Raises RuntimeError within half a second when a worker has raised or died."""
    os.environ.update(dict.fromkeys(BLAS, "1"))
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), end_with_parent)
    try:
        # Ctrl-C is blocked meanwhile, which workers inherit: they are deaf from the start. A thread
        # of BLAS may hear it all the same: it is noted, and obeyed when the workers have started.
        held, posix = [], hasattr(signal, "pthread_sigmask")  # Windows has none
        obey = signal.signal(signal.SIGINT, lambda *_: held.append(True))
        if posix:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            futures = [pool.submit(train_from_file, *training) for training in trainings]
        finally:
            if posix:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            signal.signal(signal.SIGINT, obey)
        if held:
            obey(signal.SIGINT, None)
        unfinished = futures
        while unfinished:
            done, unfinished = wait(unfinished, 0.5)  # Windows hears Ctrl-C only in between
            for future in done:
                future.result()  # raises at once what its worker raised
        return [future.result() for future in futures]
    except Exception as error:  # whatever a worker raised, or BrokenProcessPool
        raise RuntimeError(f"a training process failed ({type(error).__name__}: {error}); "
                           "if memory is short, try --jobs 1") from None
    finally:
        for process in multiprocessing.active_children():
            process.kill()  # idle after success, busy after a failure or Ctrl-C
        pool.shutdown(cancel_futures=True)


def gradient_check(step=1e-5):
    """Backpropagation against central differences, (C(w + step) - C(w - step)) / (2 step), in
    float64, for every parameter and input of a small network with each activation. Returns the
    number of derivatives and the largest ||gradient - differences|| / ||their sum|| of an array."""
    count, largest = 0, 0.0
    for activation in ACTIVATIONS:
        rng = np.random.default_rng(SEED)
        network = MLP((12, 9, 7, 5), activation, rng, l2=0.1, dtype=np.float64)
        x, labels = rng.random((8, 12)), rng.integers(0, 5, 8)
        for b in network.b[1:]:
            b[:] = rng.normal(0, 0.5, b.shape)  # zero biases would sit on the kink of ReLU
        network.forward(x)
        network.backward(labels)
        arrays = [*network.W[1:], *network.b[1:], x]
        dx = network.errors(labels, lowest=0)[0] / len(x)
        for array, gradient in zip(arrays, [*network.dW[1:], *network.db[1:], dx]):
            differences = np.empty_like(array)
            for i in np.ndindex(array.shape):
                kept, costs = array[i], []
                for moved in (kept + step, kept - step):
                    array[i] = moved
                    costs.append(network.cost(x, labels))
                array[i] = kept
                differences[i] = (costs[0] - costs[1]) / (2 * step)
            error = np.linalg.norm(gradient - differences) / np.linalg.norm(gradient + differences)
            count, largest = count + array.size, max(largest, float(error))
    return {"derivatives": count, "largest_relative_error": largest}


def choose(configurations):
    """Part (m): index of the best validation accuracy after the last epoch (the last, since the
    retraining has no validation images to stop by); the first of equals."""
    return int(np.argmax([c["validation_accuracy"][-1] for c in configurations]))


def mcnemar(right, other_right):
    """Do two networks differ by more than chance on the same images? (n,) booleans: who is right.

    Of the images on which just one of them is right, equally good ones would share evenly: exact
    two-sided binomial test (McNemar 1947, Psychometrika 12:153)."""
    only, other_only = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    n, fewer = only + other_only, min(only, other_only)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2 ** n
    return {"only_chosen_right": only, "only_this_right": other_only, "p_value": min(1.0, 2 * tail)}


def wilson_interval(right, total, z=1.96):
    """95 % interval of a proportion (Wilson 1927, JASA 22:209): (low, high)."""
    share, z2_n = right / total, z * z / total
    half = z * math.sqrt(share * (1 - share) / total + z2_n / (4 * total))
    return [(share + z2_n / 2 + sign * half) / (1 + z2_n) for sign in (-1, 1)]


def name_of(configuration):
    return f"{configuration['activation']} {configuration['initial_learning_rate']:g}"


def curve_file(configuration):
    rate = configuration["initial_learning_rate"]
    return f"p1_curve_{configuration['activation'].lower()}_lr{rate:g}.png"


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_curves(axes, configuration, lowest, title):
    """Part (l): accuracy against epochs, the halvings of the learning rate marked."""
    epochs = range(1, len(configuration["train_accuracy"]) + 1)
    for key, name, style in (
            ("train_accuracy", "training", {"color": "#0072B2"}),
            ("validation_accuracy", "validation", {"color": "#D55E00", "linestyle": "--"})):
        curve = 100 * np.array(configuration[key])
        axes.plot(epochs, curve, label=f"{name}, {curve[-1]:.2f}% at the end", **style)
    for halving in HALVE_AFTER:
        if halving < len(epochs):
            axes.axvline(halving + 0.5, color="0.3", linestyle=":", linewidth=1.2,
                         label="learning rate halved" * (halving == HALVE_AFTER[0]))
    axes.set_title(title, size=10)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(lowest, 100.1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower right", fontsize=9)


def plot_curves(configurations, best, folder):
    """Six separate plots, and all six on one page with the same axes."""
    lowest = min(95, *(math.floor(100 * c["validation_accuracy"][-1]) for c in configurations))
    page, panels = plt.subplots(2, 3, figsize=(10, 6), sharex=True, sharey=True)
    for i, (panel, configuration) in enumerate(zip(panels.flat, configurations)):
        rate = configuration["initial_learning_rate"]
        name = f"{configuration['activation']}, initial learning rate {rate:g}"
        draw_curves(panel, configuration, lowest, name + " (chosen)" * (i == best))
        panel.label_outer()
        figure, axes = plt.subplots(figsize=(8, 5))
        draw_curves(axes, configuration, lowest, f"MNIST, {NETWORK}, {name}")
        save(figure, folder / curve_file(configuration))
    page.suptitle(f"MNIST, {NETWORK}, batch size {BATCH_SIZE}: accuracy after each epoch")
    save(page, folder / "p1_curves.png")


def plot_moved(network, images, labels, folder, shown=10):
    """What the regularizer does to those of the first 1,000 training images that suffer most."""
    x, y = images[:1000], labels[:1000]
    moved = network.moved(x, y)
    before, after = (network.forward(of)[np.arange(len(y)), y] for of in (x, moved))
    most = np.argsort(after - before, kind="stable")[:shown]
    x, y, moved = x[most], y[most], moved[most]
    figure, panels = plt.subplots(3, shown, figsize=(10, 4.1))
    limit = np.abs(moved - x).max()
    ink = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
    step = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    for row, pictures, label, style in zip(panels, (x, moved - x, moved),
                                           ("image", "change", "moved image"), (ink, step, ink)):
        row[0].set_ylabel(label)
        for panel, picture in zip(row, pictures):
            panel.imshow(picture.reshape(28, 28), **style)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
    for row, pictures in ((panels[0], x), (panels[2], moved)):
        for panel, digit, p in zip(row, y, network.forward(pictures)):
            panel.set_title(f"p({digit})={p[digit]:.3f}", size=9)
    figure.suptitle(f"MNIST, {NETWORK}, retrained: the {shown} of the first 1,000 training images "
                    f"that suffer most,\nmoved by {EPSILON:g} to where their cost is higher (red: "
                    "more ink); p: probability of the true class", size=11)
    save(figure, folder / "p1_moved.png")


def plot_test_errors(images, labels, p, folder, shown=20):
    """The misclassified test images, the most confident mistakes first."""
    predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    figure, panels = plt.subplots(2, shown // 2, figsize=(10, 3.4))
    for panel in panels.flat:
        panel.axis("off")
    for panel, i in zip(panels.flat, wrong):
        panel.imshow(images[i].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(f"{labels[i]} as {predicted[i]}\n{confidence[i]:.1%}", size=11)
    figure.suptitle(f"MNIST, {NETWORK}: the most confident of {len(wrong)} mistakes on the test "
                    "set;\ntrue class as predicted class, and the latter's probability", size=11)
    save(figure, folder / "p1_test_errors.png")


def plot_filters(weights, folder, shown=64):
    """Incoming weights (hidden, 784) of the neurons with the largest norms, on one colour scale."""
    largest = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:shown]
    limit = np.quantile(np.abs(weights[largest]), 0.998)
    figure, panels = plt.subplots(4, shown // 4, figsize=(10, 2.9))
    for panel, neuron in zip(panels.flat, largest):
        picture = weights[neuron].reshape(28, 28)
        image = panel.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.axis("off")
    figure.colorbar(image, ax=panels, label="weight", extend="both", aspect=30)
    figure.suptitle(f"MNIST, {NETWORK}: incoming weights of the {shown} hidden neurons with the "
                    "largest norms", size=11)
    save(figure, folder / "p1_filters.png")


REPORT = """# Problem 1: backpropagation in numpy

{insight}Training data: {source}.{quick_note}

## What the homework asks to report
1. **Network configuration.** Three layers: 784 input neurons, {sizes[1]} hidden neurons, 10 output
   neurons with softmax.
2. **Batch size.** {batch_size}, so {updates} updates per epoch. (a) The first {train_images:,}
   images train, the last {validation_images:,} validate.
3. **Initial learning rates.** {rates}, divided by 2 after epochs {halvings}. Stochastic gradient
   descent without momentum, {epochs} epochs.
4. **Parameter initialization.** Normal with mean 0: variance 2 / inputs for ReLU (He), and
   2 / (inputs + outputs) for tanh (Glorot). Biases 0.
5. **Six curves.** One by one: {curve_links}. Training accuracy is that on the first {shown:,}
   training images.

![six configurations](p1_curves.png)

{lessons}## How it learns
(c) ReLU is h(z) = max(z, 0), with h'(z) = 1 for z > 0 and 0 otherwise, also at z = 0. For tanh,
h' = 1 - h². (d) The cost is the cross entropy -ln p[label]. With p the softmax output and y the
one-hot label, backpropagation is four lines, the same as in [mlp.py](../mlp.py):

```
delta[2] = p - y
delta[1] = (W[2]^T delta[2]) * h'(z[1])
dC/dW[l] = mean over the minibatch of delta[l] a[l-1]^T,   dC/db[l] = mean of delta[l]
dC/dx    = W[1]^T delta[1]
```

This run checked them against central differences, on a small network in float64 with each
activation: {gradient_check[derivatives]} derivatives, and the largest relative error of any array
of weights, biases or inputs is {gradient_check[largest_relative_error]:.0e}.

(g) **The regularizer** is the fourth line: the fast gradient method with Euclidean length (after
Goodfellow et al. 2015; Miyato et al. 2017). Each training image is first moved by epsilon =
{epsilon:g} (pixels are from 0 to 1) along the gradient of its own cost, to where the network finds
it harder. Then the network learns from the moved image. (i) There is no preprocessing and no batch
normalization: pixels are k/256, as in the course's files, and validation and test images never
move.

![training images, their gradients, the moved images](p1_moved.png)

The network, the learning rates, epsilon and its alternatives, L2 among them, were
[tried beforehand](p1_search.csv) on the validation images. The trials used ReLU, so ReLU had a head
start.

## The six configurations
| activation | initial learning rate | training | validation | validation, mean of last ten | only it right | only the chosen right | p |
|---|---|---|---|---|---|---|---|
{table}

The last three columns compare a network with the chosen one on the same {validation_images:,}
validation images. p is the probability of so uneven a count if both were equally good (McNemar's
exact test). Because five are compared, a difference counts only if p is below 0.01 (Bonferroni).
The chosen one was picked on these images, so p is somewhat too small; what another seed would
change is not in it.

## Choice and test
(m) The best validation accuracy after the last epoch has **{chosen[activation]}, initial learning
rate {chosen[initial_learning_rate]:g}**. Trained afresh on all {all_images:,} images, this
configuration met the test set, opened for the first time: **test accuracy {test[accuracy]:.2%}**
({test[right]:,} of {test[images]:,} right; 95% interval {test[interval][0]:.2%} to
{test[interval][1]:.2%}).

Its most confident mistakes; judge for yourself:

![mistakes](p1_test_errors.png)

What its hidden neurons look for:

![incoming weights](p1_filters.png)

The trained network: [p1_network_params.hdf5](p1_network_params.hdf5). All numbers:
[p1_results.json](p1_results.json). The run took {seconds} s.
"""
# Of the full run on the shipped files; tests/test_outputs.py holds each claim against the results.
INSIGHT = """\
The same backpropagation, carried one layer further down, tells each training image which way to
move to be harder. Trained on images moved that way, a plain network with one hidden layer reads
**{test[accuracy]:.2%}** of the test digits right; in the [trials](p1_search.csv) the moving
images gained more than half a point of validation accuracy over plain gradient descent, the
textbook L2 penalty, at the best of five strengths, less than a tenth.

"""
LESSONS = """\
What the curves teach (the axis starts at 95%, some first epochs lie below):

- The first halving of the learning rate pays at once: in all six, the mean validation accuracy of
  epochs 21 to 25 is more than 0.1 points above that of 16 to 20. The second changes little.
- 0.1 is too small for 50 epochs: both activations end with a lower training accuracy than at 0.3
  and 0.5. For ReLU, 0.3 and 0.5 cannot be told apart (last column of the table below).
- With ReLU and 0.5 all {shown:,} of these training images end right, and yet the validation
  accuracy stays within 0.1 points of its best: longer training does no harm, though a gap of more
  than a point remains.

"""


def report(results):
    """p1_report.md. The discussion belongs to the full run on the shipped data."""
    discuss = not results["quick"] and results["source"].startswith("MNIST")
    rows = []
    for c in results["configurations"]:
        last_ten = np.mean(c["validation_accuracy"][-10:])
        compared = (f"{c['only_this_right']} | {c['only_chosen_right']} | {c['p_value']:.2g}"
                    if name_of(c) != name_of(results["chosen"]) else "chosen | | ")
        rows.append(f"| {c['activation']} | {c['initial_learning_rate']:g} "
                    f"| {c['train_accuracy'][-1]:.2%} | {c['validation_accuracy'][-1]:.2%} "
                    f"| {last_ten:.2%} | {compared} |")
    links = ", ".join(f"[{name_of(c)}]({curve_file(c)})" for c in results["configurations"])
    return REPORT.format(
        **results, table="\n".join(rows), curve_links=links, shown=SHOWN,
        insight=INSIGHT.format(**results) * discuss,
        lessons=LESSONS.format(**results, shown=SHOWN) * discuss,
        quick_note=" Quick run: a smoke test on training images, not a result." * results["quick"],
        rates=", ".join(map(str, LEARNING_RATES)), halvings=" and ".join(map(str, HALVE_AFTER)))


def parse_arguments(parser):
    """The options that all four scripts have, and a folder that can be written to."""
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp()) if arguments.quick else FOLDER / "outputs"
    arguments.out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=arguments.out).close()  # a read-only folder is told now
    page = arguments.out / "README.md"
    if page.exists() and not page.read_bytes().startswith(b"# Problem"):
        raise DataError(f"{page}: found another page; expected none, or one written by these "
                        "scripts; choose another folder with --out")
    return arguments


@contextmanager
def complete_outputs(out):
    """A folder to write to; when all is written, its files move to `out`, the reports last."""
    with tempfile.TemporaryDirectory(prefix=".p_", dir=out) as folder:
        yield Path(folder)
        reports = {path.name: path for place in (out, Path(folder))
                   for path in place.glob("p?_report.md")}
        page = "\n".join(reports[name].read_text(encoding="utf-8") for name in sorted(reports))
        (Path(folder) / "README.md").write_text(page, encoding="utf-8")
        for path in sorted(Path(folder).iterdir(), key=lambda path: path.suffix == ".md"):
            path.replace(out / path.name)
    print(f"outputs: {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cores = min(6, os.cpu_count() or 1)
    parser.add_argument("--jobs", type=int, choices=range(1, 7), default=cores,
                        help="trainings at a time (default: %(default)s); the results are the same")
    arguments = parse_arguments(parser)
    begin = time.perf_counter()
    split, used, epochs = TRAIN_IMAGES, TRAIN_IMAGES + VALIDATION_IMAGES, EPOCHS
    if arguments.quick:
        split, used, epochs = 2000, 2500, 2
    images, labels, source = load_images(TRAIN_FILE)
    if len(images) < used:
        raise DataError(f"{TRAIN_FILE}: found {len(images)} images; expected {used}; "
                        "use a larger file")
    if not h5py.is_hdf5(TEST_FILE):  # told now, not after the training; no image is read
        raise DataError(f"{TEST_FILE}: found no HDF5 file; bring it back: git checkout -- data")
    images, labels = images[:used], labels[:used]
    check = gradient_check()

    settings = [(activation, rate) for activation in ACTIVATIONS for rate in LEARNING_RATES]
    trained = train_all([(activation, rate, split, used, epochs) for activation, rate in settings],
                        arguments.jobs)
    configurations = [{"activation": activation, "initial_learning_rate": rate, **history}
                      for (activation, rate), (history, _) in zip(settings, trained)]  # part (l)
    best = choose(configurations)
    for configuration, (_, right) in zip(configurations, trained):
        configuration |= mcnemar(trained[best][1], right)
    network, retraining = train(*settings[best], images, labels, used, epochs)  # part (m)

    # Opened here for the first time; a smoke test leaves the test set alone.
    test_images, test_labels, _ = load_images(TRAIN_FILE if arguments.quick else TEST_FILE)
    p = network.probabilities(test_images)
    correct = int((p.argmax(axis=1) == test_labels).sum())
    results = {
        "problem": 1, "quick": arguments.quick, "source": source, "seed": SEED, "sizes": SIZES,
        "epsilon": EPSILON, "batch_size": BATCH_SIZE, "updates": split // BATCH_SIZE,
        "epochs": epochs, "train_images": split, "validation_images": used - split,
        "all_images": used, "gradient_check": check, "configurations": configurations,
        "chosen": configurations[best], "retraining": retraining,
        "test": {"images": len(p), "right": correct, "accuracy": correct / len(p),
                 "interval": wilson_interval(correct, len(p))},
        "seconds": round(time.perf_counter() - begin)}
    with complete_outputs(arguments.out) as folder:
        plot_curves(configurations, best, folder)
        plot_moved(network, images, labels, folder)
        plot_test_errors(test_images, test_labels, p, folder)
        plot_filters(network.W[1], folder)
        with h5py.File(folder / "p1_network_params.hdf5", "w") as file:  # the course's form: W1, b1
            file.attrs["activation"] = settings[best][0]
            for l in range(1, network.L + 1):
                file[f"W{l}"], file[f"b{l}"] = network.W[l], network.b[l]
        (folder / "p1_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        (folder / "p1_report.md").write_text(report(results), encoding="utf-8")
    print(f"test accuracy {correct / len(p):.2%} ({name_of(configurations[best])})")


if __name__ == "__main__":
    interrupts = []

    def interrupt(*_):  # noted, since TensorFlow may turn KeyboardInterrupt into another error
        interrupts.append(True)
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, interrupt)
    try:
        main()
    except BaseException as error:
        if interrupts:
            print("\ninterrupted; earlier outputs are as they were", file=sys.stderr)
            sys.exit(130)
        if isinstance(error, (DataError, OSError, RuntimeError)):
            print(f"\nerror: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(2)
        raise

"""Problem 1: a multilayer perceptron for MNIST, trained by backpropagation written out in numpy.

    python p1_numpy_mlp.py      (about 7 minutes on two cores)

Trains six configurations (two activations, three initial learning rates) for 50 epochs on 50,000
images, chooses the one with the best accuracy on 10,000 validation images, trains it afresh on all
60,000, and only then opens the test set. The network itself is in mlp.py: read that first.

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
from pathlib import Path

# Trainings share the cores, so each gets one thread of BLAS, which reads these when numpy starts.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                 "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"

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
SIZES = (784, 300, 300, 10)  # part (b); for others, and other EPSILON, see outputs/p1_search.csv
ACTIVATIONS = ("ReLU", "tanh")  # part (c)
LEARNING_RATES = (0.4, 0.2, 0.1)  # part (e), initial ones
BATCH_SIZE = 100  # part (f): 500 updates in an epoch
EPSILON = 1.0  # part (g): adversarial training, see mlp.py; pixels are from 0 to 1
EPOCHS = 50  # part (j)
HALVE_AFTER = (20, 40)  # part (k)
SEED = 0
MEASURED = 10_000  # training accuracy is that on the first 10,000 images: all would take longer


def learning_rate_of(initial, epoch):
    """Part (k): the learning rate of an epoch, counted from 1."""
    return initial / 2 ** sum(epoch > halving for halving in HALVE_AFTER)


def train(activation, initial_learning_rate, images, labels, split, epochs, tell):
    """Train a fresh network on the images before `split`; those from it on, if any, validate.

    images (N, 784), labels (N,); tell(accuracies) is called after each epoch. Returns the network
    and {"training": accuracies, "validation": accuracies}, one of each after each epoch."""
    network = MLP(SIZES, activation, np.random.default_rng(SEED), epsilon=EPSILON)
    measured = {"training": slice(min(split, MEASURED))}
    if split < len(images):
        measured["validation"] = slice(split, None)
    accuracies = {part: [] for part in measured}
    for epoch in range(1, epochs + 1):
        network.train_epoch(images[:split], labels[:split], BATCH_SIZE,
                            learning_rate_of(initial_learning_rate, epoch))
        for part, chosen in measured.items():
            accuracies[part].append(network.accuracy(images[chosen], labels[chosen]))
        tell(accuracies)
    end = ", ".join(f"{part} accuracy {curve[-1]:.2%}" for part, curve in accuracies.items())
    print(f"\r{activation}, initial learning rate {initial_learning_rate:g}: {end:60}", flush=True)
    return network, accuracies


def progress(total):
    """A function for train() to call: one line for all trainings, written over itself."""
    begin, done = time.perf_counter(), []

    def tell(accuracies):
        part, curve = list(accuracies.items())[-1]
        done.append(curve[-1])
        left = (time.perf_counter() - begin) / len(done) * (total - len(done))
        print(f"\r{len(done)} of {total} epochs, best {part} accuracy {max(done):.2%}, "
              f"{left:.0f} s left ", end="", flush=True)
    return tell


def train_all(settings, images, labels, split, epochs, threads):
    """Part (l): train() for each (activation, initial learning rate), some at a time. numpy works
    in parallel within its matrix products; the result is that of a plain loop, bit for bit."""
    pool, tell = ThreadPoolExecutor(threads), progress(len(settings) * epochs)
    futures = [pool.submit(train, *setting, images, labels, split, epochs, tell)
               for setting in settings]
    while not all(future.done() for future in futures):
        time.sleep(0.2)  # Windows hears Ctrl-C between two sleeps, but not in result()
    return [future.result() for future in futures]


def choose(accuracies):
    """Part (m): index of the best validation accuracy after the last epoch (the last, since the
    retraining has no validation images to stop by); the first of equals."""
    return int(np.argmax([curves["validation"][-1] for curves in accuracies]))


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})
NETWORK = "MNIST, " + "-".join(map(str, SIZES))


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def draw_curves(axes, accuracies, lowest, title):
    """Part (l): accuracy against epochs, the halvings of the learning rate marked."""
    for part, name, style in (("training", "training (first 10,000 images)", {"color": "#0072B2"}),
                              ("validation", "validation", {"color": "#D55E00", "ls": "--"})):
        curve = 100 * np.array(accuracies[part])
        axes.plot(range(1, len(curve) + 1), curve, label=name, **style)
        title += f"{part} {curve[-1]:.2f}%" + ", " * (part == "training")
    for halving in HALVE_AFTER:
        if halving < len(curve):
            axes.axvline(halving + 0.5, color="0.3", linestyle=":", linewidth=1.2,
                         label="learning rate halved" * (halving == HALVE_AFTER[0]))
    axes.set_title(title, size=10)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(lowest, 100.1))
    axes.xaxis.get_major_locator().set_params(integer=True)


def plot_curves(settings, accuracies, best, folder):
    """Six separate plots, and all six on one page with the same axes."""
    lowest = min(95, *(int(100 * curves["validation"][-1]) for curves in accuracies))
    page, panels = plt.subplots(2, 3, figsize=(10, 6.4), sharex=True, sharey=True)
    for i, (activation, rate) in enumerate(settings):
        panel, name = panels.flat[i], f"{activation}, initial learning rate {rate:g}"
        draw_curves(panel, accuracies[i], lowest, name + ", chosen" * (i == best) + "\n")
        panel.label_outer()
        figure, axes = plt.subplots(figsize=(8, 5))
        draw_curves(axes, accuracies[i], lowest, f"{NETWORK}, batch size {BATCH_SIZE}, {name}\n"
                    "after the last epoch: ")
        axes.legend(loc="lower right")
        save(figure, folder / f"p1_curve_{activation.lower()}_lr{rate:g}.png")
    panels.flat[best].title.set_fontweight("bold")
    page.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    page.suptitle(f"{NETWORK}, batch size {BATCH_SIZE}: accuracy after each epoch, and after the "
                  "last", size=11)
    save(page, folder / "p1_curves.png")


def plot_adversarial(network, images, labels, folder, shown=10):
    """What adversarial training trains on: the ten of the first 1,000 training images whose
    probability of the true class falls most."""
    x, y = images[:1000], labels[:1000]
    examples = network.adversarial(x, y)
    before, after = (network.forward(of)[np.arange(len(y)), y] for of in (x, examples))
    most = np.argsort(after - before, kind="stable")[:shown]
    change = examples - x
    limit = np.abs(change[most]).max()
    grey, red_blue = {"cmap": "gray_r", "vmin": 0, "vmax": 1}, {"cmap": "RdBu_r", "vmin": -limit,
                                                                "vmax": limit}
    figure, panels = plt.subplots(3, shown, figsize=(10, 4.1))
    for row, pictures, label, style, p in zip(
            panels, (x, change, examples), ("image", "change", "adversarial\nexample"),
            (grey, red_blue, grey), (before, None, after)):
        row[0].set_ylabel(label)
        for panel, i in zip(row, most):
            panel.imshow(pictures[i].reshape(28, 28), **style)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            if p is not None:
                panel.set_title(f"p({y[i]})={p[i]:.3f}", size=9)
    figure.suptitle(
        f"{NETWORK}, retrained. A step of length {EPSILON:g} (red: more ink) lowers the "
        f"probability p of the true class\nby {np.median(before - after):.3f} in the median of "
        f"the first 1,000 training images; these are the {shown} worst", size=11)
    save(figure, folder / "p1_adversarial.png")


def plot_test_errors(images, labels, p, folder, shown=20):
    """The misclassified test images, the most confident mistakes first."""
    predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    figure, panels = plt.subplots(2, shown // 2, figsize=(10, 3.4))
    for panel in panels.flat:
        panel.axis("off")
    for panel, i in zip(panels.flat, wrong[np.argsort(-confidence[wrong], kind="stable")]):
        panel.imshow(images[i].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(f"{labels[i]} as {predicted[i]}\n{confidence[i]:.1%}", size=11)
    figure.suptitle(f"{NETWORK}: the most confident of {len(wrong)} mistakes on the test set;\n"
                    "true class as predicted class, and the probability of the latter", size=11)
    save(figure, folder / "p1_test_errors.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_tables(settings, accuracies, retraining, folder):
    """The six configurations, and all accuracies (%) epoch by epoch."""
    write_csv(folder / "p1_configurations.csv",
              ["activation", "initial learning rate", "training accuracy (%)",
               "validation accuracy (%)", "validation accuracy, mean of last ten epochs (%)"],
              [[activation, rate, *(f"{100 * value:.2f}" for value in (
                  of["training"][-1], of["validation"][-1], np.mean(of["validation"][-10:])))]
               for (activation, rate), of in zip(settings, accuracies)])
    curves = {f"{activation} {rate:g}, {part} (%)": of[part]
              for (activation, rate), of in zip(settings, accuracies) for part in of}
    curves["retraining, training (%)"] = retraining["training"]
    write_csv(folder / "p1_accuracy.csv", ["epoch", *curves],
              [[epoch, *(f"{100 * value:.2f}" for value in row)]
               for epoch, row in enumerate(zip(*curves.values()), start=1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    out = arguments.out or (Path(tempfile.mkdtemp()) if arguments.quick else FOLDER / "outputs")
    begin = time.perf_counter()
    split, used, epochs = TRAIN_IMAGES, TRAIN_IMAGES + VALIDATION_IMAGES, EPOCHS
    if arguments.quick:
        split, used, epochs = 2000, 2500, 2
    images, labels, _ = load_images(TRAIN_FILE)
    if len(images) < used:
        raise DataError(f"{TRAIN_FILE}: found {len(images)} images; expected {used}; "
                        "use a larger file")
    images, labels = images[:used], labels[:used]
    out.mkdir(parents=True, exist_ok=True)

    settings = [(activation, rate) for activation in ACTIVATIONS for rate in LEARNING_RATES]
    trained = train_all(settings, images, labels, split, epochs, os.cpu_count())
    accuracies = [curves for _, curves in trained]
    best = choose(accuracies)
    print(f"chosen: {settings[best][0]}, initial learning rate {settings[best][1]:g}; "
          f"trained afresh on all {used:,} images:")
    network, retraining = train(*settings[best], images, labels, used, epochs, progress(epochs))

    # Opened here for the first time; a smoke test leaves the test set alone.
    test_images, test_labels, _ = load_images(TRAIN_FILE if arguments.quick else TEST_FILE)
    p = network.probabilities(test_images)
    right = int((p.argmax(axis=1) == test_labels).sum())
    print(f"{'training' if arguments.quick else 'test'} accuracy {right / len(p):.2%} "
          f"({right:,} of {len(p):,})")

    results = {
        "quick": arguments.quick, "sizes": SIZES, "epsilon": EPSILON, "batch_size": BATCH_SIZE,
        "activation": settings[best][0], "initial_learning_rate": settings[best][1],
        "validation_accuracy": accuracies[best]["validation"][-1],
        "test_images": len(p), "test_right": right, "test_accuracy": right / len(p),
        "seconds": round(time.perf_counter() - begin)}
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all are written
        folder = Path(folder)
        plot_curves(settings, accuracies, best, folder)
        plot_adversarial(network, images, labels, folder)
        plot_test_errors(test_images, test_labels, p, folder)
        write_tables(settings, accuracies, retraining, folder)
        with h5py.File(folder / "p1_network_params.hdf5", "w") as file:  # the course's form: W1, b1
            file.attrs["activation"] = settings[best][0]
            for l in range(1, network.L + 1):
                file[f"W{l}"], file[f"b{l}"] = network.W[l], network.b[l]
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

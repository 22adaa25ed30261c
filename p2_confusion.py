"""Problem 2: which clothes does a small network take for which? A confusion matrix.

    python p2_confusion.py      (about 5 minutes on two cores)

Trains the homework's network for Fashion-MNIST (784-100-10, ReLU, dropout 0.3, L2 0.0001) on the
60,000 training images from five seeds. Each network sees the test images once, when its training is
over. The matrix shown is that of the first seed: one network, so that its entries count images. The
other four tell how far the answers can be trusted. A sixth network, trained on 50,000 images, gives
the learning curves.

Result: 89.29% of the test images (mean of the seeds); T-shirt/top and Shirt are confused most.

Reads  data/fashion_mnist_traindata.hdf5, data/fashion_mnist_testdata.hdf5
Writes outputs/p2_report.md (start here), p2_results.json, p2_confusion.csv (rates),
       p2_confusion_counts.csv, p2_confusion.png, p2_mistakes.png, p2_curves.png
"""
import argparse
import csv
import json
import math
import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

# Quiet, on the CPU, and without oneDNN, so that a second run gives the same numbers.
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import matplotlib
import numpy as np
import tensorflow as tf
from tensorflow import keras

tf.config.experimental.enable_op_determinism()
tf.config.threading.set_intra_op_parallelism_threads(2)
tf.get_logger().setLevel("ERROR")
matplotlib.use("Agg")  # draw into files, without a screen
from matplotlib import pyplot as plt

from data.loader import DataError, load_images

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "fashion_mnist_testdata.hdf5"

HIDDEN, DROPOUT, L2 = 100, 0.3, 1e-4  # fixed by the homework
# Free, so chosen on 10,000 validation images: see outputs/p2_search.csv, by tests/search_p2.py.
LEARNING_RATE = 0.001  # Adam's initial one; half a cosine takes it to 0 at the last update
BATCH_SIZE = 128
EPOCHS = 80
SEEDS = (0, 1, 2, 3, 4)  # the matrix shown is that of the first

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot")
UPPER_BODY = (0, 2, 4, 6)  # T-shirt/top, Pullover, Coat, Shirt


def build():
    """The homework's network; L2 on weights and biases, as in the lecture's script."""
    l2 = keras.regularizers.L2(L2)
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=l2, bias_regularizer=l2),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(10, "softmax", kernel_regularizer=l2, bias_regularizer=l2)])


def train(seed, images, labels, epochs, validation_data=None):
    """Train one network on images (N, 784), labels (N,). Returns the model and Keras' History."""
    keras.utils.set_random_seed(seed)
    model = build()
    updates = math.ceil(len(images) / BATCH_SIZE)  # in an epoch
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, updates * epochs)
    # One call for all updates of an epoch: Keras loses most of its time between calls.
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy",
                  metrics=["accuracy"], steps_per_execution=updates)
    history = model.fit(images, labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0,
                        validation_data=validation_data)
    return model, history.history


def rates_of(counts):
    """counts (10, 10), each row over its sum: rate of predicted class j given true class i."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # without images: rates 0


def analyse(matrices):
    """The answers to parts 2 and 3. matrices (seeds, 10, 10): counts, the first are those shown."""
    wrong = matrices * ~np.eye(10, dtype=bool)
    classes = []
    for m in range(10):
        others = np.where(np.arange(10) == m, -1, wrong[:, m])
        most = [np.flatnonzero(row == row.max()).tolist() for row in others]  # two in a tie
        rest = np.where(np.isin(range(10), most[0]), -1, others[0])
        classes.append({"class": m, "most": most[0], "images": int(others[0].max()),
                        "second": int(rest.argmax()), "second_images": int(rest.max()),
                        "seeds_agreeing": most.count(most[0])})
    answers = {"classes": classes}
    for reading, counts in (("pair", np.triu(wrong + wrong.transpose(0, 2, 1))),
                            ("direction", wrong)):
        counts = counts.reshape(-1, 100)  # entry 10 i + j of a seed: i and j, or i as j
        ranked = np.argsort(-counts, axis=1, kind="stable")
        answers[reading] = {rank: {
            "classes": divmod(int(ranked[0, k]), 10),
            "images_of_each_seed": counts[:, ranked[0, k]].tolist(),
            "first_in_seeds": int((ranked[:, 0] == ranked[0, k]).sum())}
            for k, rank in enumerate(("first", "second"))}
    upper = wrong[0][np.ix_(UPPER_BODY, UPPER_BODY)].sum()
    return answers | {"mistakes": int(wrong[0].sum()), "upper_body_mistakes": int(upper)}


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def plot_confusion(counts, folder):
    """Heat map. Its colours measure the mistakes alone: on one scale with the diagonal they would
    all look white."""
    rates = rates_of(counts)
    wrong = np.ma.masked_array(rates, np.eye(10, dtype=bool))
    figure, axes = plt.subplots(figsize=(8.4, 6.8))
    colours = plt.get_cmap("Blues").with_extremes(bad="0.88")
    image = axes.imshow(wrong, cmap=colours, vmin=0, vmax=wrong.max())
    for (i, j), rate in np.ndenumerate(rates):
        colour = "white" if i != j and rate > 0.6 * wrong.max() else "black" if rate else "0.6"
        axes.text(j, i, f"{rate:.3f}" if rate else "0", ha="center", va="center", color=colour,
                  fontsize=10, fontweight="bold" if i == j else "normal")
    axes.set_xticks(range(10), CLASSES, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(10), CLASSES)
    heading = ("Fashion-MNIST, test images: rate of each predicted class given the true class\n"
               f"784-{HIDDEN}-10, dropout {DROPOUT}, L2 {L2}, seed {SEEDS[0]}: "
               f"{np.trace(counts) / counts.sum():.2%} right")
    axes.set(xlabel="predicted class", ylabel="true class", title=heading)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, shrink=0.8, label="rate of a wrong prediction (the diagonal is grey)")
    save(figure, folder / "p2_confusion.png")


def plot_mistakes(pair, images, labels, p, folder, shown=8):
    """Images of the most confused pair: mistakes from the surest to the least sure."""
    predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    figure, panels = plt.subplots(2, shown, figsize=(10, 3.4))
    for row, (i, j) in zip(panels, (pair, pair[::-1])):
        found = np.flatnonzero((labels == i) & (predicted == j))
        found = found[np.argsort(-confidence[found], kind="stable")]
        evenly = np.linspace(0, len(found) - 1, min(shown, len(found))).round().astype(int)
        row[0].set_ylabel(f"true: {CLASSES[i]}\npredicted: {CLASSES[j]}\n({len(found)} images)")
        for panel in row:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        for panel, index in zip(row, found[evenly]):
            panel.imshow(images[index].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            panel.set_title(f"{confidence[index]:.0%}", size=11)
    figure.suptitle("Test images and the probability of the predicted class, from the surest "
                    f"mistake to the least sure; seed {SEEDS[0]}", size=11)
    save(figure, folder / "p2_mistakes.png")


def plot_curves(history, folder):
    """Accuracy and loss against epochs, as Keras measures them."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.7))
    for axes, key, scale, label in ((panels[0], "accuracy", 100, "accuracy (%)"),
                                    (panels[1], "loss", 1, "cross entropy + L2 penalty (nats)")):
        for name, style in ((key, {"color": "#0072B2", "label": "training, with dropout"}),
                            (f"val_{key}", {"color": "#D55E00", "linestyle": "--",
                                            "label": "validation, without dropout"})):
            axes.plot(range(1, len(history[name]) + 1), scale * np.array(history[name]), **style)
        axes.set(xlabel="epoch", ylabel=label)
        axes.legend()
    figure.suptitle(f"Fashion-MNIST, 784-{HIDDEN}-10, dropout {DROPOUT}, L2 {L2}; Adam, cosine "
                    f"from {LEARNING_RATE}, batch size {BATCH_SIZE}", size=10)
    save(figure, folder / "p2_curves.png")


def table_text(counts):
    """Part 1: the rates as text, 76 columns wide, for the screen and the report."""
    heads = ("T-shirt /top", "Trou- ser", "Pull- over", "Dress", "Coat", "San- dal", "Shirt",
             "Snea- ker", "Bag", "Ankle boot")  # the classes in two lines
    rows = [("predicted:", *(head.split()[0] for head in heads)),
            ("true class", *(" ".join(head.split()[1:]) for head in heads))]
    for name, row in zip(CLASSES, rates_of(counts)):
        rows.append((name, *(f"{rate:.3f}" if rate else "." for rate in row)))
    return "\n".join(f"{row[0]:<11}{row[1]:>8}" + "".join(f"{cell:>6}" for cell in row[2:])
                     for row in rows)


def write_csv(path, matrix):
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = ([name, *row] for name, row in zip(CLASSES, matrix.tolist()))
        corner = "true class \\ predicted class"
        csv.writer(file, lineterminator="\n").writerows([[corner, *CLASSES], *rows])


REPORT = """# Problem 2: confusion matrix for Fashion-MNIST

{insight}Training data: {source}.{quick_note}
Network: 784-100-10, ReLU, softmax, dropout 0.3, L2 0.0001 on weights and biases. **Test accuracy
{accuracy[mean]:.2%}**, the mean of {seeds} seeds (standard deviation
{accuracy[standard_deviation]:.2%}). Every network saw the test images once, when its
training was over.

## 1. Confusion matrix
Element (i, j) is the rate of predicted class j given true class i; a dot is exactly 0. It is the
matrix of one network, that of the first seed, fixed beforehand ({accuracy[first]:.2%} right).

```
{table}
```

![heat map](p2_confusion.png)

As files: [rates](p2_confusion.csv), [counts](p2_confusion_counts.csv).

## 2. The class most likely confused for class m
| class m | most likely confused with | images of {images_per_class:,} | runner-up | images | seeds that agree, of {seeds} |
|---|---|---|---|---|---|
{rows}

## 3. Overall, the two classes most likely to be confused
As a pair, i taken for j or j for i: **{pair_name}**. As true class and predicted class:
**{direction_name}**.

| reading | classes | images, seed by seed | first in |
|---|---|---|---|
{readings}

{overall}![mistakes of the most confused pair](p2_mistakes.png)

## Training
Adam, learning rate from {learning_rate} to 0 along half a cosine, batch size {batch_size}, {epochs}
epochs: the best of [those tried](p2_search.csv) on validation images. The curves are those of one
more network, trained on the first {train_images:,} training images; the last {validation_images:,}
validate.

![learning curves](p2_curves.png)

All numbers: [p2_results.json](p2_results.json). The run took {seconds} s.
"""
# Of the full run on the shipped files; tests/test_outputs.py holds each claim against the results.
INSIGHT = """\
{upper_body_mistakes} of the first network's {mistakes} mistakes happen among four garments for the
upper body, whose outlines are alike: T-shirt/top, Pullover, Coat and Shirt. Trousers, shoes and
bags look different and are hardly ever taken for one of these four; dresses sometimes are.

"""
OVERALL = """\
Both readings name the same two classes, and all {seeds} seeds agree. In each of them a shirt is
taken for a T-shirt more often than the reverse, and Shirt is the class least often right, by more
than ten points. The picture shows such mistakes of the first network, from the surest to the least
sure.

"""


def report(results, counts):
    """p2_report.md. The discussion belongs to the full run on the shipped data."""
    discuss = not results["quick"] and results["source"].startswith("Fashion-MNIST")
    rows = []
    for c in results["classes"]:
        most = " and ".join(CLASSES[m] for m in c["most"])
        rows.append(f"| {c['class']} {CLASSES[c['class']]} | **{most}** | {c['images']} "
                    f"| {CLASSES[c['second']]} | {c['second_images']} | {c['seeds_agreeing']} |")
    readings, names = [], {}
    for reading, joint in (("pair", " and "), ("direction", " as ")):
        found = results[reading]
        for rank in ("first", "second"):
            names[reading, rank] = joint.join(CLASSES[m] for m in found[rank]["classes"])
            each = ", ".join(map(str, found[rank]["images_of_each_seed"]))
            readings.append(f"| {reading}, {rank} | {names[reading, rank]} | {each} "
                            f"| {found[rank]['first_in_seeds']} of {results['seeds']} |")
    return REPORT.format(
        **results, rows="\n".join(rows), readings="\n".join(readings), table=table_text(counts),
        pair_name=names["pair", "first"], direction_name=names["direction", "first"],
        insight=INSIGHT.format(**results) * discuss, overall=OVERALL.format(**results) * discuss,
        quick_note=" Quick run: a smoke test, not a result." * results["quick"])


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
    arguments = parse_arguments(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    begin = time.perf_counter()
    seeds, split, used, epochs = SEEDS, 50_000, 60_000, EPOCHS
    if arguments.quick:
        seeds, split, used, epochs = SEEDS[:2], 1000, 1200, 2
    images, labels, source = load_images(TRAIN_FILE)
    test_images, test_labels, _ = load_images(TEST_FILE)  # for the end; loaded now to be checked
    if len(images) < used:
        raise DataError(f"{TRAIN_FILE}: found {len(images)} images; expected {used}; "
                        "use a larger file")
    images, labels = images[:used], labels[:used]

    p = []  # probabilities (images, 10) of the test images, by each seed's network
    for seed in seeds:
        print(f"seed {seed} of {seeds}: {epochs} epochs, {used:,} images", flush=True)
        model, _ = train(seed, images, labels, epochs)
        p.append(model.predict(test_images, batch_size=1000, verbose=0))
    print(f"learning curves: {epochs} epochs, {split:,} images", flush=True)
    _, history = train(seeds[0], images[:split], labels[:split], epochs,
                       (images[split:], labels[split:]))
    matrices = np.array([tf.math.confusion_matrix(test_labels, of_seed.argmax(axis=1), 10)
                         for of_seed in p])
    accuracies = [float(np.trace(counts) / counts.sum()) for counts in matrices]

    results = {
        "problem": 2, "quick": arguments.quick, "source": source, "seeds": len(seeds),
        "learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE, "epochs": epochs,
        "train_images": split, "validation_images": used - split,
        "images_per_class": int(matrices[0].sum(axis=1).max()),
        "accuracy": {"mean": np.mean(accuracies), "standard_deviation": np.std(accuracies, ddof=1),
                     "first": accuracies[0], "of_each_seed": accuracies},
        "counts_of_each_seed": matrices.tolist(), **analyse(matrices), "curves": history,
        "seconds": round(time.perf_counter() - begin)}
    with complete_outputs(arguments.out) as folder:
        write_csv(folder / "p2_confusion.csv", rates_of(matrices[0]))
        write_csv(folder / "p2_confusion_counts.csv", matrices[0])
        plot_confusion(matrices[0], folder)
        plot_mistakes(results["pair"]["first"]["classes"], test_images, test_labels, p[0], folder)
        plot_curves(history, folder)
        (folder / "p2_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        (folder / "p2_report.md").write_text(report(results, matrices[0]), encoding="utf-8")
    print(f"{table_text(matrices[0])}\ntest accuracy {results['accuracy']['mean']:.2%}")


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

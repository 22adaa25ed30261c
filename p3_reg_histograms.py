"""Problem 3: what does regularization do to the weights of a network? Histograms of two networks.

    python p3_reg_histograms.py      (about 3 minutes on two cores)

Trains the homework's networks for Fashion-MNIST for 40 epochs: A, 128 ReLU units without
regularization, and B, 48 ReLU units with L2 0.0001 and dropout 0.2. They differ in width and in
regularization at once, so two controls, C and D, have one each. Pictures are of seed 0; a second
seed tells what chance does. A unit counts as dead when it is active on fewer than 1 in
10,000 training images.

Result: the weights of living units have standard deviation 0.21 in A and 0.10 in B; dead units
stay near their initial weights in A and go to zero in B.

Reads  data/fashion_mnist_traindata.hdf5; the test images are not needed
Writes outputs/p3_report.md (start here), p3_results.json, p3_histograms.png,
       p3_hist_<network>_junction<1 or 2>.png, p3_norms.png, p3_features.png, p3_curves.png
"""
import argparse
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

NETWORKS = {  # units, dropout rate, L2 coefficient; A and B are the homework's
    "A": (128, 0.0, 0.0),
    "B": (48, 0.2, 1e-4),
    "C": (128, 0.2, 1e-4),  # control: A's width, B's regularization
    "D": (48, 0.0, 0.0),    # control: B's width, no regularization
}
EPOCHS = 40  # fixed by the homework
BATCH_SIZE = 128  # free; the optimizer is the lecture's, Adam at its default learning rate of 0.001
SEEDS = (0, 1)
DEAD = 1e-4  # active on a smaller share of the training images
NEAR_ZERO = 0.01  # weights of a smaller size; initial standard deviations are 0.047 and more


def build(units, dropout, l2):
    """L2 on weights and biases, as in the lecture's script."""
    l2 = keras.regularizers.L2(l2) if l2 else None
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(units, "relu", kernel_regularizer=l2, bias_regularizer=l2),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(10, "softmax", kernel_regularizer=l2, bias_regularizer=l2)])


def train(name, seed, images, labels, split, epochs):
    """Train a network of NETWORKS on the images before `split`; those from it on validate.

    Returns its initial weights, its trained weights and Keras' History."""
    keras.utils.set_random_seed(seed)
    model = build(*NETWORKS[name])
    initial = model.get_weights()
    # One call for all updates of an epoch: Keras loses most of its time between calls.
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"],
                  steps_per_execution=math.ceil(split / BATCH_SIZE))
    history = model.fit(images[:split], labels[:split], batch_size=BATCH_SIZE, epochs=epochs,
                        verbose=0, validation_data=(images[split:], labels[split:]))
    return initial, model.get_weights(), history.history


def analyse(name, seed, initial, weights, history, images):
    """One row of the report's table, and the norm of each unit's incoming weights.

    initial, weights: [W1 (784, units), b1, W2 (units, 10), b2]; images: those trained on."""
    W1, b1, W2, _ = weights
    dead = (images @ W1 + b1 > 0).mean(axis=0) < DEAD
    living = W1[:, ~dead]
    return {
        "network": name, "seed": seed, "units": len(dead), "dead": int(dead.sum()),
        "dead_units": np.flatnonzero(dead).tolist(), "standard_deviation_1": float(W1.std()),
        "standard_deviation_1_living": float(living.std()), "standard_deviation_2": float(W2.std()),
        "initial_standard_deviation_1": float(initial[0].std()),
        "near_zero_1": float((np.abs(W1) < NEAR_ZERO).mean()),
        "near_zero_1_living": float((np.abs(living) < NEAR_ZERO).mean()),
        "largest": [float(np.abs(W).max()) for W in (W1, W2)],
        "norms": np.linalg.norm(W1, axis=0).tolist(),
        "initial_norms": np.linalg.norm(initial[0], axis=0).tolist(),
        "train_accuracy": history["accuracy"][-1],
        "validation_accuracy": history["val_accuracy"][-1]}


def border(W1, images, largest=100):
    """Where A's largest weights sit: the border is the outermost two rows and columns."""
    of_border = np.ones((28, 28), bool)
    of_border[2:-2, 2:-2] = False
    of_border = of_border.reshape(-1)
    pixels = np.argsort(-np.abs(W1), axis=None, kind="stable")[:largest] // W1.shape[1]
    lit = (images > 0).mean(axis=0)
    return {"pixels": float(of_border.mean()),
            "of_largest_weights": float(of_border[pixels].mean()),
            "lit": float(lit[of_border].mean()), "lit_inside": float(lit[~of_border].mean())}


def histograms(networks):
    """Shares of the weights in bins that A and B have in common, trained and initial.

    networks: {"A": (initial, trained, dead units), "B": ...}. Returns {view: {"edges": ...,
    network: {"trained": shares, "dead": shares, "initial": shares}}} for the views "layer 1",
    "layer 1, middle" and "layer 2"; shares are of all weights of the layer."""
    views = {}
    for view, k, bins in (("layer 1", 0, 241), ("layer 1, middle", 0, 101), ("layer 2", 2, 61)):
        limit = max(np.abs(weights[k]).max() for initial, trained, _ in networks.values()
                    for weights in (initial, trained))
        edges = np.linspace(-1, 1, bins + 1) * (0.25 if "middle" in view else 1.02 * limit)
        views[view] = {"edges": edges.tolist()}
        for name, (initial, trained, dead) in networks.items():
            parts = {"trained": trained[k], "initial": initial[k]}
            parts["dead"] = trained[k][:, dead] if k == 0 else trained[k][dead]  # in, out
            views[view][name] = {part: (np.histogram(weights, edges)[0] / trained[k].size).tolist()
                                 for part, weights in parts.items()}
    return views


plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 11})
COLOURS = {"trained": "#0072B2", "dead": "#D55E00", "initial": "0.2"}


def save(figure, path):
    figure.savefig(path, dpi=100, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def title_of(name):
    units, dropout, l2 = NETWORKS[name]
    regularization = f"L2 {l2}, dropout {dropout}" if l2 else "no regularization"
    return f"{name}: {units} units, {regularization}"


def draw_histogram(axes, views, view, name):
    """Shares on a logarithmic scale, so that tails show; the middle of layer 1 on a linear one."""
    parts, edges = views[view][name], views[view]["edges"]
    shares = [100 * np.array(views[view][of][part]) for of in "AB" for part in views[view][of]]
    for part, label in (("trained", "trained"), ("dead", "of these, of dead units"),
                        ("initial", "initial")):
        if part in parts:
            axes.stairs(100 * np.array(parts[part]), edges, fill=part != "initial",
                        color=COLOURS[part], label=label)
    highest = max(share.max() for share in shares)
    if "middle" in view:
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.3 * highest))
    else:
        lowest = min(share[share > 0].min() for share in shares)
        axes.set(xlim=(edges[0], edges[-1]), yscale="log", ylim=(lowest / 2, 100))
    axes.set(xlabel="weight", ylabel="share per bin (%)")
    axes.set_title(f"{title_of(name)}; {view}", size=10)


def plot_histograms(views, folder):
    """Four separate pictures, and a page with all four."""
    page, panels = plt.subplots(3, 2, figsize=(10, 7.4))
    for row, view in zip(panels, views):
        for panel, name in zip(row, "AB"):
            draw_histogram(panel, views, view, name)
    page.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save(page, folder / "p3_histograms.png")
    for name in "AB":
        figure, panels = plt.subplots(1, 2, figsize=(10, 4.4))
        for panel, view in zip(panels, ("layer 1", "layer 1, middle")):
            draw_histogram(panel, views, view, name)
        panels[0].legend(fontsize=9, loc="upper right")
        save(figure, folder / f"p3_hist_{name}_junction1.png")
        figure, axes = plt.subplots(figsize=(8, 4.4))
        draw_histogram(axes, views, "layer 2", name)
        axes.legend()
        save(figure, folder / f"p3_hist_{name}_junction2.png")


def plot_norms(rows, folder):
    """The norm of each unit's incoming weights, before and after training."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
    for axes, name in zip(panels, "AB"):
        row, = (row for row in rows if (row["network"], row["seed"]) == (name, SEEDS[0]))
        norms, dead = np.array(row["norms"]), np.isin(range(row["units"]), row["dead_units"])
        order = np.argsort(-norms, kind="stable")
        place = np.arange(len(order))
        axes.plot(place, np.array(row["initial_norms"])[order], ".", color=COLOURS["initial"],
                  markersize=4, label="before training")
        for part, of_part, label in (("trained", ~dead, "living units"),
                                     ("dead", dead, "dead units")):
            axes.plot(place[of_part[order]], norms[order][of_part[order]], "o", color=COLOURS[part],
                      markersize=4, label=label)
        axes.set(xlabel="hidden units, by norm after training", title=title_of(name))
    panels[0].set_ylabel("norm of incoming weights")
    panels[1].legend()
    save(figure, folder / "p3_norms.png")


def plot_features(networks, folder, shown=12):
    """Incoming weights of hidden units as images, from the largest norm to the smallest."""
    limit = np.quantile(np.abs(networks["A"][1][0]), 0.995)
    figure, panels = plt.subplots(2, shown, figsize=(10, 2.6))
    for (name, (_, weights, dead)), row in zip(networks.items(), panels):
        norms = np.linalg.norm(weights[0], axis=0)
        evenly = np.linspace(0, len(norms) - 1, shown).round().astype(int)
        for axes, unit in zip(row, np.argsort(-norms, kind="stable")[evenly]):
            image = axes.imshow(weights[0][:, unit].reshape(28, 28), cmap="RdBu_r", vmin=-limit,
                                vmax=limit)
            axes.set_title(f"{norms[unit]:.1f}" + ", dead" * (unit in dead), fontsize=10)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, fontsize=14)
    figure.colorbar(image, ax=panels, label="weight", extend="both")
    figure.suptitle("Incoming weights of hidden units, with their norms", size=12)
    save(figure, folder / "p3_features.png")


def plot_curves(histories, folder):
    """Accuracy against epochs of A and B, as Keras measures it."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.7), sharey=True)
    for axes, (name, history) in zip(panels, histories.items()):
        epochs = range(1, len(history["accuracy"]) + 1)
        label = "training" + ", with dropout" * (NETWORKS[name][1] > 0)
        axes.plot(epochs, 100 * np.array(history["accuracy"]), color="#0072B2", label=label)
        axes.plot(epochs, 100 * np.array(history["val_accuracy"]), "--", color="#D55E00",
                  label="validation")
        axes.set(xlabel="epoch", title=title_of(name))
        axes.legend(loc="lower right")
    panels[0].set_ylabel("accuracy (%)")
    save(figure, folder / "p3_curves.png")


REPORT = """# Problem 3: regularization and weights on Fashion-MNIST

{insight}Training data: {source}.{quick_note}
{train_images:,} images train, {validation_images:,} validate.
A: {A}. B: {B}. Adam, batch size {batch_size}, {epochs} epochs. The homework's junctions are the
layers of weights here. Pictures are of seed 0.

## Histograms
![histograms](p3_histograms.png)

Height: share of the layer's weights in that bin, on a logarithmic scale but for the middle row,
which zooms in on zero. Bins and axes are the same for A and B. One by one:
[A, layer 1](p3_hist_A_junction1.png), [A, layer 2](p3_hist_A_junction2.png),
[B, layer 1](p3_hist_B_junction1.png), [B, layer 2](p3_hist_B_junction2.png).

{differences}![norms of the units](p3_norms.png)

![incoming weights](p3_features.png)

## Is it regularization or width?
A and B differ in both. C has A's width and B's regularization, D has B's width and none.

| network | dead | sd 1 | living sd 1 | near 0 | living near 0 | sd 2 | training | validation |
|---|---|---|---|---|---|---|---|---|
{table}

sd 1, sd 2: standard deviation of the weights of layers 1 and 2. near 0: share of the weights of
layer 1 that are below {near_zero} in size. living: without dead units. Accuracies are
those of the last epoch ([curves](p3_curves.png) of A and B, seed 0): training accuracy is taken
during the epoch, with dropout where there is any, validation accuracy after it, without.

{controls}All numbers: [p3_results.json](p3_results.json). The run took {seconds} s.
"""
# Of the full run on the shipped files; tests/test_outputs.py holds each claim against the results.
INSIGHT = """\
Some ReLU units die: they fire on fewer than 1 in 10,000 training images, and hardly any gradient
reaches them. Without L2 their weights stay near where they were drawn; with L2 they decay to zero,
and that is the spike in B's histogram. What regularization does to the living weights is simpler:
at equal width it more than halves their standard deviation, which is
{A[standard_deviation_1_living]:.2f} in A and {B[standard_deviation_1_living]:.2f} in B.

"""
DIFFERENCES = """\
The qualitative differences:

- **Shelf.** In A, {A[dead]} of {A[units]} units are dead ({A1[dead]} with the other seed). Almost
  nothing pulls at their weights, so these stay near the range in which they were drawn: the orange
  shelf.
- **Spike.** In B, {B[dead]} of {B[units]} are dead ({B1[dead]} with the other seed), and L2 has
  taken their weights to zero: the spike. Of all layer-1 weights of B {B[near_zero_1]:.1%} are
  below {near_zero} in size, of those of living units only {B[near_zero_1_living]:.1%}.
- **Spread.** Training widens the living weights from {A[initial_standard_deviation_1]:.3f} to
  {A[standard_deviation_1_living]:.3f} in A, from {B[initial_standard_deviation_1]:.3f} to
  {B[standard_deviation_1_living]:.3f} in B. The largest is {A[largest][0]:.1f} in size in A and
  {B[largest][0]:.1f} in B.
- **Border.** Of A's 100 largest weights {border[of_largest_weights]:.0%} sit in the outermost two
  rows and columns of the image, {border[pixels]:.0%} of its pixels. These are lit in
  {border[lit]:.0%} of the images, the others in {border[lit_inside]:.0%}. A likely reason: Adam
  divides a weight's steps by the size of its own gradients, so seldom used weights move as far as
  others, and in A nothing pulls them back.
- **Layer 2.** A's weights have one peak near zero and long tails. B's peak is near +0.3, with a
  broad second hump near -0.6. The standard deviations are nearly the same,
  {A[standard_deviation_2]:.2f} and {B[standard_deviation_2]:.2f}: two effects cancel.
  Regularization narrows (A to C {C[standard_deviation_2]:.2f}), fewer units widen (A to D
  {D[standard_deviation_2]:.2f}).

"""
CONTROLS = """\
In layer 1 it is regularization. At either width it divides the standard deviation of the living
weights by more than two (A to C, D to B), in both seeds; width changes it by less than 40% (A to D,
C to B). Units die in all four networks; only under L2 do their weights go to zero. The validation
accuracies of all eight lie within 1.5 points. (L2 and dropout come together here: which of them
does more stays open.)

"""


def report(results):
    """p3_report.md. The discussion belongs to the full run on the shipped data."""
    discuss = not results["quick"] and results["source"].startswith("Fashion-MNIST")
    rows = results["rows"]
    table = [f"| {row['network']}, seed {row['seed']} | {row['dead']}/{row['units']} "
             f"| {row['standard_deviation_1']:.3f} | {row['standard_deviation_1_living']:.3f} "
             f"| {row['near_zero_1']:.1%} | {row['near_zero_1_living']:.1%} "
             f"| {row['standard_deviation_2']:.3f} | {row['train_accuracy']:.1%} "
             f"| {row['validation_accuracy']:.1%} |" for row in rows]
    named = {row["network"] + "1" * row["seed"]: row for row in rows}  # A, A1, ...
    texts = {name: text.format(**results, **named) if discuss else "" for name, text in (
        ("insight", INSIGHT), ("differences", DIFFERENCES), ("controls", CONTROLS))}
    return REPORT.format(
        **results, **texts, table="\n".join(table), A=title_of("A")[3:], B=title_of("B")[3:],
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
        seeds, split, used, epochs = SEEDS[:1], 1000, 1200, 2
    images, labels, source = load_images(TRAIN_FILE)
    if len(images) < used:
        raise DataError(f"{TRAIN_FILE}: found {len(images)} images; expected {used}; "
                        "use a larger file")
    images, labels = images[:used], labels[:used]

    rows, shown, histories = [], {}, {}
    for name in NETWORKS:
        for seed in seeds:
            print(f"{title_of(name)}, seed {seed}: {epochs} epochs", flush=True)
            initial, weights, history = train(name, seed, images, labels, split, epochs)
            rows.append(analyse(name, seed, initial, weights, history, images[:split]))
            if name in "AB" and seed == SEEDS[0]:  # the homework's, for the pictures
                shown[name] = initial, weights, rows[-1]["dead_units"]
                histories[name] = history

    results = {
        "problem": 3, "quick": arguments.quick, "source": source, "train_images": split,
        "validation_images": used - split, "batch_size": BATCH_SIZE, "epochs": epochs,
        "near_zero": NEAR_ZERO, "rows": rows, "border": border(shown["A"][1][0], images[:split]),
        "histograms": histograms(shown), "curves": histories,
        "seconds": round(time.perf_counter() - begin)}
    with complete_outputs(arguments.out) as folder:
        plot_histograms(results["histograms"], folder)
        plot_norms(rows, folder)
        plot_features(shown, folder)
        plot_curves(histories, folder)
        (folder / "p3_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        (folder / "p3_report.md").write_text(report(results), encoding="utf-8")


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

"""Problem 2: which clothes does a small network take for which? A confusion matrix.

    python p2_confusion.py      (about 4 minutes on two cores)

Trains the homework's network for Fashion-MNIST (784-100-10, ReLU, dropout 0.3, L2 0.0001) from five
seeds on 50,000 images, with 10,000 to validate. The test file is opened when all five are trained.
The matrix, the curves and the pictures are those of the first seed: one network, so that its
entries count images. The answers are decided by all five together.

Reads  data/fashion_mnist_traindata.hdf5, data/fashion_mnist_testdata.hdf5
Writes outputs/p2_confusion.txt (rates, as printed), p2_confusion.csv (rates),
       p2_confusion_counts.csv, p2_confusion.png, p2_most_confused.csv, p2_pairs.csv,
       p2_mistakes.png, p2_curves.png, p2_results.json
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

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow import keras

from data.loader import DataError, check_exists, load_images

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "fashion_mnist_testdata.hdf5"

HIDDEN, DROPOUT, L2 = 100, 0.3, 1e-4  # fixed by the homework
TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # the first and the last of the file
# Free, so chosen on the validation images: see outputs/p2_search.csv, by tests/search_p2.py.
LEARNING_RATE = 0.001  # Adam's initial one; half a cosine takes it to 0 at the last update
BATCH_SIZE = 128
EPOCHS = 80
SEEDS = (0, 1, 2, 3, 4)  # the matrix shown is that of the first

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot")
UPPER_BODY = (0, 2, 3, 4, 6)  # T-shirt/top, Pullover, Dress, Coat, Shirt
FOOTWEAR = (5, 7, 9)  # Sandal, Sneaker, Ankle boot


def build():
    """The homework's network; L2 on weights and biases, as in the lecture's script."""
    l2 = keras.regularizers.L2(L2)
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=l2, bias_regularizer=l2),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(10, "softmax", kernel_regularizer=l2, bias_regularizer=l2)])


def train(seed, x, y, x_validation, y_validation):
    """Train one network. x (N, 784), y (N,) classes; the same for validation.

    Returns the model and Keras' history: {name of a measure: its value in each epoch}. Training
    values are counted during the epoch, with dropout; validation values after it, without."""
    keras.utils.set_random_seed(seed)
    # A trap for all who set Keras' seed: fit() on arrays then repeats one order of the samples in
    # every epoch. This pipeline draws a new order for each epoch.
    minibatches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed)
    minibatches = minibatches.batch(BATCH_SIZE)
    updates = len(minibatches)  # in an epoch
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, updates * EPOCHS)
    model = build()
    # All updates of an epoch in one call: an epoch took 0.6 s instead of 0.9 to 1.3.
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy",
                  metrics=["accuracy"], steps_per_execution=updates)
    history = model.fit(minibatches, epochs=EPOCHS, shuffle=False, verbose=0,
                        validation_data=(x_validation, y_validation), validation_batch_size=1000)
    return model, history.history


def rates_of(counts):
    """counts (10, 10) over the sums of their rows: the rate of each predicted class given the true
    class. Rates of a class without images are 0."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def mistakes_of(counts):
    """counts (..., 10, 10) with 0 on the diagonal, where true and predicted class are the same."""
    return counts * ~np.eye(10, dtype=bool)


def confused_by_row(counts):
    """Part 2, by row: what class m is most often taken for. (10, 10) -> (10,), for all m; the first
    of equals."""
    return mistakes_of(counts).argmax(axis=1)


def confused_by_column(counts):
    """Part 2, by column: what is most often taken for class m. (10, 10) -> (10,), for all m; the
    first of equals."""
    return mistakes_of(counts).argmax(axis=0)


def pairs_by_frequency(counts):
    """Part 3: all pairs of classes i < j, those confused most often first. (10, 10) -> (45, 2)."""
    mistakes = mistakes_of(counts)
    i, j = np.triu_indices(10, k=1)
    either_way = mistakes[i, j] + mistakes[j, i]
    order = np.argsort(-either_way, kind="stable")
    return np.column_stack([i, j])[order]


def mistakes_within(counts, classes):
    """How many mistakes have their true and their predicted class among these classes."""
    return int(mistakes_of(counts)[np.ix_(classes, classes)].sum())


plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})
NETWORK = f"784-{HIDDEN}-10, dropout {DROPOUT}, L2 {L2}, seed {SEEDS[0]}"


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def plot_confusion(counts, folder):
    """Heat map. Its colours measure the mistakes alone: on one scale with the diagonal they would
    all look white."""
    rates = rates_of(counts)
    wrong = np.ma.masked_array(rates, np.eye(10, dtype=bool))
    figure, axes = plt.subplots(figsize=(8.3, 6.6))
    colours = plt.get_cmap("Blues").with_extremes(bad="0.88")
    image = axes.imshow(wrong, cmap=colours, vmin=0, vmax=wrong.max())
    for (i, j), rate in np.ndenumerate(rates):
        text = f"{rate:.3f}" if rate else "0"
        dark = i != j and rate > 0.6 * wrong.max()
        weight = "bold" if i == j else "normal"
        axes.text(j, i, text, ha="center", va="center", color="white" if dark else "black",
                  fontsize=9, fontweight=weight)
    names = [f"{m} {name}" for m, name in enumerate(CLASSES)]
    axes.set_xticks(range(10), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(10), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title("Fashion-MNIST, test images: rate of each predicted class given the true class\n"
                   f"({NETWORK})", size=10)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, shrink=0.8, label="rate of a wrong prediction (the diagonal is grey)")
    save(figure, folder / "p2_confusion.png")


def show_mistakes(panels, i, j, x, y, p):
    """Fill a row of panels with images of class i taken for j, from the surest to the least sure.

    x (N, 784) images, y (N,) true classes, p (N, 10) class probabilities."""
    predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    wrong = np.flatnonzero((y == i) & (predicted == j))
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    number = min(len(panels), len(wrong))
    evenly_spaced = np.linspace(0, len(wrong) - 1, number).round().astype(int)
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for panel, index in zip(panels, wrong[evenly_spaced]):
        panel.imshow(x[index].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(f"{confidence[index]:.0%}", size=10)
    panels[0].set_ylabel(f"true: {CLASSES[i]}\npredicted: {CLASSES[j]}\n({len(wrong)} images)",
                         size=9)


def plot_mistakes(i, j, x, y, p, folder):
    """Test images of class i taken for j, and of j taken for i."""
    figure, (upper, lower) = plt.subplots(2, 8, figsize=(8.3, 3.8))
    show_mistakes(upper, i, j, x, y, p)
    show_mistakes(lower, j, i, x, y, p)
    figure.suptitle("Test images and the probability of the predicted class, from the surest "
                    "mistake to the least sure", size=10)
    save(figure, folder / "p2_mistakes.png")


def plot_curves(history, folder):
    """Accuracy and loss against epochs, as Keras measures them."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.3, 3.4))
    epochs = range(1, len(history["loss"]) + 1)
    for axes, key, scale in ((left, "accuracy", 100), (right, "loss", 1)):
        training = scale * np.array(history[key])
        validation = scale * np.array(history[f"val_{key}"])
        axes.plot(epochs, training, color="#0072B2", label="training, with dropout")
        axes.plot(epochs, validation, "--", color="#D55E00", label="validation, without dropout")
        axes.set_xlabel("epoch")
        axes.legend()
    left.set_ylabel("accuracy (%)")
    right.set_ylabel("cross entropy + L2 penalty (nats)")
    figure.suptitle(f"Learning curves ({NETWORK})", size=10)
    save(figure, folder / "p2_curves.png")


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def matrix_text(counts):
    """Part 1: the rates as text, 75 columns wide; a dot is exactly 0."""
    lines = ["true class     predicted class",
             " " * 15 + "".join(f"{j:6}" for j in range(10))]
    for m, row in enumerate(rates_of(counts)):
        cells = [f"{rate:6.3f}" if rate else "     ." for rate in row]
        lines.append(f"{m} {CLASSES[m]:13}" + "".join(cells))
    return "\n".join(lines)


def write_matrix(counts, folder):
    """Part 1: rates as text and as CSV, and the counts."""
    (folder / "p2_confusion.txt").write_text(matrix_text(counts) + "\n", encoding="utf-8")
    header = ["true class \\ predicted class", *CLASSES]
    rates = rates_of(counts)
    write_csv(folder / "p2_confusion.csv", header,
              [[CLASSES[m], *rates[m]] for m in range(10)])
    write_csv(folder / "p2_confusion_counts.csv", header,
              [[CLASSES[m], *counts[m]] for m in range(10)])


def answer_part_2(matrices, folder):
    """Print and write both readings of "confused for class m". matrices (seeds, 10, 10): counts.

    The counts of all networks together decide; rates are given the true class. The networks met
    the same images, so the rate of their summed counts is the mean of their rates."""
    total = matrices.sum(axis=0)
    first_rates, mean_rates = rates_of(matrices[0]), rates_of(total)
    by_row, by_column = confused_by_row(total), confused_by_column(total)
    rows = []
    print("\n2. Class m, what it is most often taken for, and what is most often taken for it\n"
          f"   (with the rate, given the true class, in the network of seed {SEEDS[0]})")
    for m in range(10):
        j, k = by_row[m], by_column[m]
        agree_j = sum(confused_by_row(counts)[m] == j for counts in matrices)
        agree_k = sum(confused_by_column(counts)[m] == k for counts in matrices)
        print(f"   {m} {CLASSES[m]:12} taken for {CLASSES[j]:12} {first_rates[m, j]:.3f}   "
              f"{CLASSES[k]:12} taken for it {first_rates[k, m]:.3f}")
        rows.append([m, CLASSES[m],
                     CLASSES[j], f"{first_rates[m, j]:.3f}", f"{mean_rates[m, j]:.4f}", agree_j,
                     CLASSES[k], f"{first_rates[k, m]:.3f}", f"{mean_rates[k, m]:.4f}", agree_k])
    write_csv(folder / "p2_most_confused.csv",
              ["m", "class m",
               "m is most often taken for", f"row: rate, seed {SEEDS[0]}",
               "row: mean rate of all seeds", "row: first in how many seeds",
               "most often taken for m", f"column: rate, seed {SEEDS[0]}",
               "column: mean rate of all seeds", "column: first in how many seeds"], rows)


def answer_part_3(matrices, folder):
    """Print and write the pairs that are confused most. matrices as in answer_part_2().

    Returns the classes i, j of the first pair."""
    pairs = pairs_by_frequency(matrices.sum(axis=0))
    rows = []
    for i, j in pairs[:5]:
        i_as_j, j_as_i = matrices[:, i, j], matrices[:, j, i]
        rows.append([CLASSES[i], CLASSES[j], *i_as_j, *j_as_i])
    write_csv(folder / "p2_pairs.csv",
              ["class i", "class j", *(f"i taken for j, seed {seed}" for seed in SEEDS),
               *(f"j taken for i, seed {seed}" for seed in SEEDS)], rows)
    i, j = pairs[0]
    images = matrices[0, i, j] + matrices[0, j, i]
    print(f"\n3. Most likely confused overall: {CLASSES[i]} and {CLASSES[j]} ({images} images)")
    return i, j


def main():
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    out = arguments.out or FOLDER / "outputs"
    if arguments.quick:
        TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS = 1000, 200, 2, SEEDS[:2]
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    x, y = load_images(TRAIN_FILE, TRAIN_IMAGES + VALIDATION_IMAGES)
    x_train, x_validation = x[:TRAIN_IMAGES], x[TRAIN_IMAGES:]
    y_train, y_validation = y[:TRAIN_IMAGES], y[TRAIN_IMAGES:]
    check_exists(TEST_FILE)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:  # moved only when all is written
        folder = Path(folder)

        models, histories = [], []
        for number, seed in enumerate(SEEDS, start=1):
            print(f"network {number} of {len(SEEDS)}: ", end="", flush=True)
            model, history = train(seed, x_train, y_train, x_validation, y_validation)
            print(f"validation accuracy {history['val_accuracy'][-1]:.2%}")
            models.append(model)
            histories.append(history)

        x_test, y_test = load_images(TEST_FILE)  # opened here for the first time
        probabilities = [model.predict(x_test, batch_size=1000, verbose=0) for model in models]
        matrices = np.array([tf.math.confusion_matrix(y_test, p.argmax(axis=1), 10)
                             for p in probabilities])
        accuracies = np.trace(matrices, axis1=1, axis2=2) / len(y_test)

        print(f"\n1. Rates given the true class\n\n{matrix_text(matrices[0])}")
        write_matrix(matrices[0], folder)
        answer_part_2(matrices, folder)
        i, j = answer_part_3(matrices, folder)
        print(f"\ntest accuracy {accuracies.mean():.2%} (mean of {len(SEEDS)} networks)")
        plot_confusion(matrices[0], folder)
        plot_mistakes(i, j, x_test, y_test, probabilities[0], folder)
        plot_curves(histories[0], folder)
        results = {
            "quick": arguments.quick, "learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE,
            "epochs": EPOCHS, "test_accuracy_of_each_seed": accuracies.tolist(),
            "validation_accuracy_of_each_seed": [
                history["val_accuracy"][-1] for history in histories],
            "test_accuracy_mean": accuracies.mean(),
            "test_accuracy_standard_deviation": accuracies.std(ddof=1),
            "mistakes": int(mistakes_of(matrices[0]).sum()),
            "mistakes_within_upper_body": mistakes_within(matrices[0], UPPER_BODY),
            "mistakes_within_footwear": mistakes_within(matrices[0], FOOTWEAR),
            "seconds": round(time.perf_counter() - begin)}
        (folder / "p2_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
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

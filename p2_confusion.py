"""Problem 2: which clothes does a small network take for which? A confusion matrix.

    python p2_confusion.py      (about 4 minutes on two cores)

Trains the homework's network for Fashion-MNIST (784-100-10, ReLU, dropout 0.3, L2 0.0001) from five
seeds on 50,000 images, with 10,000 to validate. The test set is read when all five are trained.
The matrix, the curves and the pictures are those of the first seed: one network, so that its
entries count images. The answers are decided by all five together.

Reads  data/fashion_mnist_traindata.hdf5, data/fashion_mnist_testdata.hdf5
Writes outputs/p2_confusion.txt (rates, as printed), p2_confusion.csv (rates),
       p2_confusion_counts.csv, p2_confusion.png, p2_most_confused.csv, p2_pairs.csv,
       p2_mistakes.png, p2_curves.png, p2_results.json

Prints the matrix, what each class is confused with, and at the end:

    3. Most likely confused overall: T-shirt/top and Shirt (212 images in the network shown)

    test accuracy 89.04% (the network shown), 88.89% (mean of 5 networks)
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

from data.loader import DataError, check_classes, check_images, load_images, path_argument

tf.get_logger().setLevel("ERROR")  # no notes about the tracing of each new network
plt.rcdefaults()  # whatever the user's matplotlibrc says
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3,
                     "axes.spines.top": False, "axes.spines.right": False, "font.size": 10})

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "fashion_mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "fashion_mnist_testdata.hdf5"

HIDDEN, DROPOUT, L2_COEFFICIENT = 100, 0.3, 1e-4  # fixed by the homework
TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # the first and the last of the file
# Free, so chosen on validation images by tests/experiments/search_p2.py.
LEARNING_RATE = 0.001  # Adam's initial one; half a cosine takes it to 0 at the last update
BATCH_SIZE = 128
EPOCHS = 80
SEEDS = (0, 1, 2, 3, 4)  # the network shown is that of the first
NETWORK = f"784-{HIDDEN}-10, dropout {DROPOUT}, L2 {L2_COEFFICIENT}, seed {SEEDS[0]}"

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot")


def build():
    """The homework's network; L2 on weights and biases, as in the lecture's script."""
    penalty = keras.regularizers.L2(L2_COEFFICIENT)
    return keras.Sequential([
        keras.Input((784,)),
        keras.layers.Dense(HIDDEN, "relu", kernel_regularizer=penalty, bias_regularizer=penalty),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(10, "softmax", kernel_regularizer=penalty, bias_regularizer=penalty)])


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

    def print_progress(epoch, measures):
        done = epoch + 1  # Keras counts from 0
        if done % 20 == 0:
            print(f"seed {seed}, epoch {done} of {EPOCHS}: "
                  f"validation accuracy {measures['val_accuracy']:.2%}", flush=True)
    history = model.fit(minibatches, epochs=EPOCHS, shuffle=False, verbose=0,
                        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=print_progress)],
                        validation_data=(x_validation, y_validation), validation_batch_size=1000)
    return model, history.history


def confusion_matrix(y, p):
    """Element (i, j): how many images of class i are predicted as j. y (N,) classes, p (N, 10)
    probabilities."""
    return tf.math.confusion_matrix(y, p.argmax(axis=1), 10).numpy()


def accuracy_of(counts):
    """The share on the diagonal. counts (..., 10, 10) -> (...)."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def rates_of(counts):
    """counts (..., 10, 10) over the sums of their rows: the rate of each predicted class given the
    true class. Rates of a class without images are 0."""
    return counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)


def mistakes_of(counts):
    """counts (..., 10, 10) with 0 on the diagonal, where true and predicted class are the same."""
    return counts * (1 - np.eye(10, dtype=int))


def most_confused(mistakes, rates):
    """Part 2, for one class: which other class is most confused with it, by the mistakes of all
    networks together, the first of equals.

    mistakes, rates (networks, 10): a row or a column of each network's matrix. Returns four texts:
    the other class ("none" where there is no mistake), its rate in the first network, its mean
    rate, and the near ties. Those are classes within a standard error of the first: counts n1 and
    n2 differ by chance by about the square root of n1 + n2."""
    mean = mistakes.mean(axis=0)
    if not mean.any():
        return ["none", "", "", ""]
    first = mean.argmax()
    near = mean[first] - mean <= np.sqrt(mean[first] + mean)
    near[first] = False
    near_ties = [CLASSES[k] for k in np.argsort(-mean, kind="stable") if near[k] and mean[k]]
    return [CLASSES[first], f"{rates[0, first]:.3f}", f"{rates[:, first].mean():.4f}",
            ", ".join(near_ties)]


def answer_part_2(matrices):
    """Part 2: prints a line for each class, and returns the rows of the table. Both readings:
    along row m, what is class m taken for? Down column m, what is taken for class m?

    matrices (networks, 10, 10)."""
    mistakes, rates = mistakes_of(matrices), rates_of(matrices)
    print("\n2. Class m, what it is most often taken for, and what is most often taken for it\n"
          f"   (with the rate, given the true class, in the network of seed {SEEDS[0]})")
    table = []
    for m in range(10):
        row = most_confused(mistakes[:, m, :], rates[:, m, :])
        column = most_confused(mistakes[:, :, m], rates[:, :, m])
        print(f"   {m} {CLASSES[m]:12} taken for {row[0]:12} {row[1]:5}   "
              f"{column[0]:12} taken for it {column[1]:5}")
        table.append([m, CLASSES[m], *row, *column])
    return table


def pairs_by_frequency(counts):
    """Part 3: all pairs of classes i < j, those confused most often first. (10, 10) -> (45, 2)."""
    mistakes = mistakes_of(counts)
    i, j = np.triu_indices(10, k=1)
    either_way = mistakes[i, j] + mistakes[j, i]
    order = np.argsort(-either_way, kind="stable")
    return np.column_stack([i, j])[order]


def images_taken_for(i, j, y, p):
    """Where in y (N,) and p (N, 10) are the images of class i that are predicted as j, the surest
    mistake first."""
    found = np.flatnonzero((y == i) & (p.argmax(axis=1) == j))
    return found[np.argsort(-p[found, j], kind="stable")]


def evenly_spaced(values, number):
    """So many of the values, from the first to the last; all of them, if they are fewer."""
    number = min(number, len(values))
    return values[np.linspace(0, len(values) - 1, number).round().astype(int)]


def save(figure, path):
    figure.savefig(path, dpi=150, metadata={"Software": None})  # equal runs, equal files
    plt.close(figure)


def rate_text(rate):
    """Three decimals, but a plain 0 where no image at all was predicted so."""
    return f"{rate:.3f}" if rate else "0"


def show_rates(axes, rates, dark):
    """Write each rate into its cell. rates (10, 10), dark (10, 10) booleans: white letters."""
    for (i, j), rate in np.ndenumerate(rates):
        colour = "white" if dark[i, j] else "black"
        weight = "bold" if i == j else "normal"
        axes.text(j, i, rate_text(rate), ha="center", va="center", color=colour, fontsize=9,
                  fontweight=weight)


def plot_confusion(counts, folder):
    """Heat map. Its colours measure the mistakes alone: on one scale with the diagonal they would
    all look white."""
    rates = rates_of(counts)
    wrong = np.ma.masked_array(rates, np.eye(10, dtype=bool))
    figure, axes = plt.subplots(figsize=(8.3, 6.6))
    colours = plt.get_cmap("Blues").with_extremes(bad="0.88")
    image = axes.imshow(wrong, cmap=colours, vmin=0, vmax=wrong.max())
    show_rates(axes, rates, dark=(wrong > 0.6 * wrong.max()).filled(False))
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


def show_images(panels, images, probabilities):
    """An image (784,) into each panel, its probability above; panels left over stay empty."""
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for panel, image, probability in zip(panels, images, probabilities):
        panel.imshow(image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(f"{probability:.0%}", size=10)


def plot_mistakes(pair, x, y, p, folder):
    """Images of one class of the pair taken for the other, and the other way round.

    x (N, 784) images, y (N,) true classes, p (N, 10) class probabilities."""
    i, j = pair
    figure, rows = plt.subplots(2, 8, figsize=(8.3, 2.7))
    for panels, true, predicted in ((rows[0], i, j), (rows[1], j, i)):
        mistakes = images_taken_for(true, predicted, y, p)
        shown = evenly_spaced(mistakes, len(panels))
        show_images(panels, x[shown], p[shown, predicted])
        panels[0].set_ylabel(f"true: {CLASSES[true]}\npredicted:\n{CLASSES[predicted]}\n"
                             f"({len(mistakes)} images)",
                             size=9, rotation=0, ha="right", va="center")
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
    """Part 1: the rates as text, 75 columns wide."""
    lines = ["true class     predicted class",
             " " * 15 + "".join(f"{j:6}" for j in range(10))]
    for m, row in enumerate(rates_of(counts)):
        cells = "".join(f"{rate_text(rate):>6}" for rate in row)
        lines.append(f"{m} {CLASSES[m]:13}{cells}")
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


def write_most_confused(table, folder):
    """Part 2: the rows of answer_part_2()."""
    header = ["m", "class m",
              "m is most often taken for", f"row: rate, seed {SEEDS[0]}",
              "row: mean rate of all seeds", "row: near ties",
              "most often taken for m", f"column: rate, seed {SEEDS[0]}",
              "column: mean rate of all seeds", "column: near ties"]
    write_csv(folder / "p2_most_confused.csv", header, table)


def write_pairs(pairs, matrices, folder):
    """Part 3: in each network the counts of these pairs, both ways. matrices (seeds, 10, 10)."""
    header = ["class i", "class j"]
    header += [f"i taken for j, seed {seed}" for seed in SEEDS]
    header += [f"j taken for i, seed {seed}" for seed in SEEDS]
    table = []
    for i, j in pairs:
        table.append([CLASSES[i], CLASSES[j], *matrices[:, i, j], *matrices[:, j, i]])
    write_csv(folder / "p2_pairs.csv", header, table)


def results_of(matrices, histories):
    """The numbers of p2_results.json. matrices (seeds, 10, 10): counts; histories as by train()."""
    accuracies = accuracy_of(matrices)
    return {
        "learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE, "epochs": EPOCHS,
        "test_accuracy_of_each_seed": accuracies.tolist(),
        "validation_accuracy_of_each_seed": [
            history["val_accuracy"][-1] for history in histories],
        "test_accuracy_mean": accuracies.mean(),
        "test_accuracy_standard_deviation": accuracies.std(ddof=1),
        "test_accuracy_of_the_network_shown": accuracies[0]}


def main():
    global TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS
    parser = argparse.ArgumentParser(description="Problem 2: a confusion matrix.")
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=path_argument,
                        help="folder for the outputs (default: outputs/)")
    arguments = parser.parse_args()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a folder's name may have letters that it lacks
    out = arguments.out or FOLDER / "outputs"
    if arguments.quick:
        TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS, SEEDS = 1000, 200, 2, SEEDS[:2]
        out = arguments.out or Path(tempfile.mkdtemp())
    begin = time.perf_counter()

    x, y = load_images(TRAIN_FILE, TRAIN_IMAGES + VALIDATION_IMAGES)
    x_train, x_validation = x[:TRAIN_IMAGES], x[TRAIN_IMAGES:]
    y_train, y_validation = y[:TRAIN_IMAGES], y[TRAIN_IMAGES:]
    # What would end the run after minutes of training ends it now.
    check_classes(TRAIN_FILE, y_train, y_validation)
    check_images(TEST_FILE)  # without its values
    out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=out).close()

    models, histories = [], []
    for number, seed in enumerate(SEEDS, start=1):
        print(f"network {number} of {len(SEEDS)}", flush=True)
        model, history = train(seed, x_train, y_train, x_validation, y_validation)
        models.append(model)
        histories.append(history)

    if arguments.quick:
        x_test, y_test = x_validation, y_validation  # a smoke test leaves the test set unread
    else:
        x_test, y_test = load_images(TEST_FILE)  # read here for the first time
    probabilities = [model.predict(x_test, batch_size=1000, verbose=0) for model in models]
    matrices = np.array([confusion_matrix(y_test, p) for p in probabilities])
    accuracies = accuracy_of(matrices)

    print(f"\n1. Rates given the true class\n\n{matrix_text(matrices[0])}")
    table_of_part_2 = answer_part_2(matrices)
    pairs = pairs_by_frequency(matrices.sum(axis=0))
    i, j = pairs[0]
    images = matrices[0, i, j] + matrices[0, j, i]
    print(f"\n3. Most likely confused overall: {CLASSES[i]} and {CLASSES[j]} "
          f"({images} images in the network shown)")
    print(f"\ntest accuracy {accuracies[0]:.2%} (the network shown), "
          f"{accuracies.mean():.2%} (mean of {len(SEEDS)} networks)")

    # The earlier outputs stay as they are until all new ones are written.
    new = Path(tempfile.mkdtemp(prefix="new_", dir=out))
    plot_curves(histories[0], new)
    write_matrix(matrices[0], new)
    plot_confusion(matrices[0], new)
    write_most_confused(table_of_part_2, new)
    write_pairs(pairs[:5], matrices, new)
    plot_mistakes(pairs[0], x_test, y_test, probabilities[0], new)
    results = {
        "quick": arguments.quick, **results_of(matrices, histories),
        "versions": {"Python": platform.python_version(), "numpy": np.__version__,
                     "h5py": h5py.__version__, "matplotlib": matplotlib.__version__,
                     "tensorflow": tf.__version__, "keras": keras.__version__},
        "seconds": round(time.perf_counter() - begin)}
    (new / "p2_results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
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

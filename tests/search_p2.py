"""The trials behind problem 2's settings, on validation images alone: outputs/p2_search.csv.

    python tests/search_p2.py        (about 25 minutes on two cores)

The network is the homework's; only its training differs. Each row of TRIALS trains on the first
50,000 images from three seeds that p2_confusion.py does not use, and is judged on the last 10,000;
those within 0.2 points of the best mean then train from four more seeds. The test file is not
opened.
"""
import csv
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow import keras  # noqa: E402

import p2_confusion as p2  # noqa: E402
from data.loader import load_images  # noqa: E402

SEEDS, MORE_SEEDS = (10, 11, 12), (13, 14, 15, 16)
COLUMNS = ("optimizer", "initial_learning_rate", "schedule", "batch_size", "epochs")
TRIALS = (
    ("Adam", 0.001, "constant", 128, 45),
    ("Adam", 0.0005, "cosine", 128, 45),
    ("Adam", 0.001, "cosine", 128, 45),
    ("Adam", 0.002, "cosine", 128, 45),
    ("Adam", 0.001, "cosine", 64, 28),
    ("Adam", 0.001, "cosine", 256, 65),
    ("Adam", 0.002, "cosine", 256, 65),
    ("Adam", 0.003, "cosine", 256, 65),
    ("SGD, Nesterov momentum 0.9", 0.1, "cosine", 128, 45),
    ("Adam", 0.001, "cosine", 128, 80),
    ("Adam", 0.002, "cosine", 128, 80),
    ("Adam", 0.001, "cosine", 256, 110),
    ("Adam", 0.002, "cosine", 256, 110),
)


def validation_accuracy(trial, seed):
    """In %, after the last epoch."""
    name, learning_rate, schedule, batch_size, epochs = trial
    images, labels, _ = load_images(p2.TRAIN_FILE)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed)
    updates = math.ceil(p2.TRAIN_IMAGES / batch_size)
    if schedule == "cosine":
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, updates * epochs)
    optimizer = (keras.optimizers.Adam(learning_rate) if name == "Adam" else
                 keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True))
    model = p2.build()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"],
                  steps_per_execution=updates)
    split = p2.TRAIN_IMAGES
    model.fit(images[:split], labels[:split], batch_size=batch_size, epochs=epochs, verbose=0)
    predicted = model.predict(images[split:], batch_size=1000, verbose=0).argmax(axis=1)
    return 100 * float((predicted == labels[split:]).mean())


def main():
    with ProcessPoolExecutor(2, get_context("spawn"), max_tasks_per_child=1) as pool:
        def tried(trials, seeds):
            tasks = [(trial, seed) for trial in trials for seed in seeds]
            return np.reshape(list(pool.map(validation_accuracy, *zip(*tasks))), (len(trials), -1))
        rows = {trial: list(row) for trial, row in zip(TRIALS, tried(TRIALS, SEEDS))}
        best = max(np.mean(row) for row in rows.values())
        finalists = [trial for trial in TRIALS if np.mean(rows[trial]) >= best - 0.2]
        for trial, more in zip(finalists, tried(finalists, MORE_SEEDS)):
            rows[trial].extend(more)
    with (p2.FOLDER / "outputs" / "p2_search.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *(f"validation_seed_{seed}" for seed in SEEDS + MORE_SEEDS)])
        for trial, row in rows.items():
            row = [f"{accuracy:.2f}" for accuracy in row]
            writer.writerow([*trial, *row, *[""] * (len(SEEDS + MORE_SEEDS) - len(row))])


if __name__ == "__main__":
    main()

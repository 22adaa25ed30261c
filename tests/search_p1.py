"""The trials behind problem 1's settings, on validation images alone: outputs/p1_search.csv.

    python tests/search_p1.py        (about 30 minutes on two cores)

Each row of TRIALS trains on the first 50,000 images from two seeds that p1_numpy_mlp.py does not
use, and is judged on the last 10,000 by its mean accuracy over the last ten of 50 epochs. The test
file is not opened.
"""
import csv
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}  # for numpy's import
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

import p1_numpy_mlp as p1  # noqa: E402
from data.loader import load_images  # noqa: E402
from mlp import MLP  # noqa: E402

SEEDS = (1, 2)
COLUMNS = ("activation", "hidden", "initial_learning_rate", "epsilon", "l2")
TRIALS = (
    ("ReLU", 1024, 0.5, 0.7, 0.0),
    ("ReLU", 512, 0.5, 0.5, 0.0),
    ("ReLU", 512, 0.5, 0.7, 0.0),
    ("ReLU", 512, 0.5, 1.0, 0.0),
    ("ReLU", 512, 0.3, 0.7, 0.0),
    ("ReLU", 512, 0.1, 0.7, 0.0),
    ("ReLU", 512, 0.5, 0.7, 1e-5),
    ("ReLU", 512, 0.5, 0.0, 0.0),
    ("ReLU", 512, 0.1, 0.0, 0.0),
    ("ReLU", 512, 0.5, 0.0, 3e-5),
    ("ReLU", 512, 0.5, 0.0, 1e-4),
    ("ReLU", 512, 0.5, 0.0, 2e-4),  # the homework's 0.0001 in Keras, whose L2 has no 1/2
    ("ReLU", 512, 0.5, 0.0, 5e-4),
    ("ReLU", 512, 0.5, 0.0, 1e-3),
    ("ReLU", 256, 0.5, 0.7, 0.0),
)


def validation_accuracy(trial, seed):
    """Mean accuracy in % over the last ten epochs."""
    activation, hidden, initial, epsilon, l2 = trial
    images, labels, _ = load_images(p1.TRAIN_FILE)
    network = MLP((784, hidden, 10), activation, np.random.default_rng(seed),
                  epsilon=epsilon, l2=l2)
    reached = []
    for epoch in range(1, p1.EPOCHS + 1):
        network.train_epoch(images[:p1.TRAIN_IMAGES], labels[:p1.TRAIN_IMAGES], p1.BATCH_SIZE,
                            p1.learning_rate_of(initial, epoch))
        if epoch > p1.EPOCHS - 10:
            reached.append(network.accuracy(images[-p1.VALIDATION_IMAGES:],
                                            labels[-p1.VALIDATION_IMAGES:]))
    return 100 * np.mean(reached)


def main():
    tasks = [(trial, seed) for trial in TRIALS for seed in SEEDS]
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(validation_accuracy, *zip(*tasks)))
    with (p1.FOLDER / "outputs" / "p1_search.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *(f"validation_seed_{seed}" for seed in SEEDS)])
        for i, trial in enumerate(TRIALS):
            of_seeds = results[i * len(SEEDS):][:len(SEEDS)]
            writer.writerow([*trial, *(f"{accuracy:.2f}" for accuracy in of_seeds)])


if __name__ == "__main__":
    main()

"""The trials behind problem 1's settings, on validation images alone: outputs/p1_search.csv.

    python tests/search_p1.py        (about 35 minutes on two cores)

Each row of TRIALS trains on the first 50,000 images from two seeds that p1_numpy_mlp.py does not
use, and is judged on the last 10,000 by its mean accuracy (%) over the last ten of 50 epochs. The
test file is not opened.
"""
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import p1_numpy_mlp as p1  # before numpy: it holds BLAS to one thread  # noqa: E402
import numpy as np  # noqa: E402

from data.loader import load_images  # noqa: E402
from mlp import MLP  # noqa: E402

SEEDS = (1, 2)
TRIALS = (  # activation, hidden layers, initial learning rate, epsilon, L2
    ("ReLU", (300, 300), 0.4, 1.0, 0),
    ("ReLU", (300, 300), 0.4, 0.7, 0),
    ("ReLU", (300, 300), 0.4, 1.4, 0),
    ("ReLU", (300, 300), 0.2, 1.0, 0),
    ("ReLU", (300, 300), 0.1, 1.0, 0),
    ("tanh", (300, 300), 0.4, 1.0, 0),
    ("tanh", (300, 300), 0.4, 0.7, 0),
    ("tanh", (300, 300), 0.2, 1.0, 0),
    ("ReLU", (350, 250), 0.4, 1.0, 0),
    ("ReLU", (400, 300), 0.4, 1.0, 0),
    ("ReLU", (300, 300, 300), 0.4, 1.0, 0),
    ("ReLU", (512,), 0.4, 0.7, 0),
    ("ReLU", (512,), 0.4, 1.0, 0),
    ("ReLU", (300, 300), 0.4, 0, 0),      # plain SGD
    ("ReLU", (300, 300), 0.1, 0, 0),
    ("ReLU", (300, 300), 0.4, 0, 3e-5),   # the textbook L2, l2 / 2 times the squares
    ("ReLU", (300, 300), 0.4, 0, 1e-4),
    ("ReLU", (300, 300), 0.4, 0, 3e-4),
    ("ReLU", (300, 300), 0.4, 0, 1e-3),
)


def main():
    images, labels, _ = load_images(p1.TRAIN_FILE)
    training, validation = slice(p1.TRAIN_IMAGES), slice(p1.TRAIN_IMAGES, None)

    def validation_accuracy(trial, seed):
        activation, hidden, initial, epsilon, l2 = trial
        network = MLP((784, *hidden, 10), activation, np.random.default_rng(seed),
                      epsilon=epsilon, l2=l2)
        accuracies = []
        for epoch in range(1, p1.EPOCHS + 1):
            network.train_epoch(images[training], labels[training], p1.BATCH_SIZE,
                                p1.learning_rate_of(initial, epoch))
            accuracies.append(network.accuracy(images[validation], labels[validation]))
        mean = 100 * np.mean(accuracies[-10:])
        print(*trial, seed, f"{mean:.2f}", flush=True)
        return mean

    tasks = [(trial, seed) for trial in TRIALS for seed in SEEDS]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(validation_accuracy, *zip(*tasks)))
    with (p1.FOLDER / "outputs" / "p1_search.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["activation", "hidden_layers", "initial_learning_rate", "epsilon", "l2",
                         *(f"validation_seed_{seed}" for seed in SEEDS)])
        for (activation, hidden, *numbers), *of_seeds in zip(TRIALS, results[::2], results[1::2]):
            writer.writerow([activation, "-".join(map(str, hidden)), *numbers,
                             *(f"{accuracy:.2f}" for accuracy in of_seeds)])


if __name__ == "__main__":
    main()

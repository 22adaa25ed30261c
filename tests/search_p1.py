"""The trials behind problem 1's settings, on validation images alone: outputs/p1_search.csv.

    python tests/search_p1.py          (about 35 minutes on two cores)
    python tests/search_p1.py 4 15     (rows 4 and 15 alone: prints, writes nothing)
    python tests/search_p1.py --quick    (seconds, little data, prints and writes nothing)

The halvings of the learning rate, the minibatches and the epochs are those of p1_numpy_mlp.py. Each
row of TRIALS trains on the first 50,000 images from two seeds that the script does not use, and is
judged on the last 10,000 by its mean accuracy (%) over the last ten of 50 epochs. The rule for the
size of the network: the cheapest within 0.1 points of the best. The test file is not opened.
"""
import argparse
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import p1_numpy_mlp as p1  # before numpy: it holds BLAS to one thread  # noqa: E402
import numpy as np  # noqa: E402

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
    ("ReLU", (300, 300), 0.4, 0, 0),      # plain SGD, these three
    ("ReLU", (300, 300), 0.2, 0, 0),
    ("ReLU", (300, 300), 0.1, 0, 0),
    ("ReLU", (300, 300), 0.4, 0, 3e-5),   # the textbook L2, l2 / 2 times the squares
    ("ReLU", (300, 300), 0.4, 0, 1e-4),
    ("ReLU", (300, 300), 0.4, 0, 3e-4),
    ("ReLU", (300, 300), 0.4, 0, 1e-3),
)


def try_setting(trial, seed, x, y):
    """Train once; the last sixth of the images x (N, 784) of classes y (N,) are for validation.

    Returns the mean validation accuracy (%) of the last ten epochs."""
    activation, hidden, initial_learning_rate, epsilon, l2 = trial
    split = len(x) - len(x) // 6
    network = p1.MLP((784, *hidden, 10), activation, np.random.default_rng(seed),
                     epsilon=epsilon, l2=l2)
    accuracies = []
    for epoch in range(1, p1.EPOCHS + 1):
        learning_rate = p1.learning_rate_of(initial_learning_rate, epoch)
        network.train_epoch(x[:split], y[:split], p1.BATCH_SIZE, learning_rate)
        accuracies.append(network.accuracy(x[split:], y[split:]))
    return 100 * np.mean(accuracies[-10:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", type=int, metavar="row",
                        help="number of a row, from 1; default: all, and the table is written")
    parser.add_argument("--quick", action="store_true", help="a smoke test, writes nothing")
    arguments = parser.parse_args()
    trials, images = TRIALS, 60_000
    if any(row not in range(1, len(TRIALS) + 1) for row in arguments.rows):
        parser.error(f"rows are 1 to {len(TRIALS)}")
    if arguments.rows:
        trials = [TRIALS[row - 1] for row in arguments.rows]
    if arguments.quick:
        trials, images, p1.EPOCHS = trials[:2], 600, 1
    x, y = p1.load_images(p1.TRAIN_FILE, images)
    pool = ThreadPoolExecutor(os.cpu_count())
    running, rows = [], []
    for trial in trials:
        running.append([pool.submit(try_setting, trial, seed, x, y) for seed in SEEDS])
    for trial, futures in zip(trials, running):
        activation, hidden, rate, epsilon, l2 = trial
        layers = "-".join(map(str, hidden))
        accuracies = [f"{future.result():.2f}" for future in futures]
        rows.append([activation, layers, rate, epsilon, l2, *accuracies])
        print(*rows[-1], flush=True)
    if arguments.rows or arguments.quick:
        return
    path = p1.FOLDER / "outputs" / "p1_search.csv"
    header = ["activation", "hidden_layers", "initial_learning_rate", "epsilon", "l2",
              *(f"validation_seed_{seed}" for seed in SEEDS)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()

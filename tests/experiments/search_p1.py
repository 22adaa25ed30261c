"""Which settings for problem 1? Trials on validation images alone.

    python tests/experiments/search_p1.py      (about 40 minutes on two cores)

Each trial trains on the first 50,000 images and is judged on the last 10,000 by its mean accuracy
(%) over the last ten of 50 epochs. The seeds are not those of the script: two for each trial, three
for those that decide. The halvings of the learning rate, the minibatches and the epochs are those
of p1_numpy_mlp.py. The rule for the size of the network: the fewest weights within 0.05 points of
the best. The test file is not opened.

Writes p1_search.csv
"""
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import program

import p1_numpy_mlp as p1  # before numpy: it holds BLAS to one thread
import numpy as np

from data.loader import load_images
from mlp import MLP


class Trial(NamedTuple):
    activation: str
    hidden: tuple         # neurons of the hidden layers
    learning_rate: float  # the initial one
    step: float = 0.0     # length of the step to an adversarial example; 0: none
    shift: int = 0        # images are moved by at most so many pixels
    l2: float = 0.0


DECIDING = (  # three seeds; the first three: initial learning rates
    Trial("ReLU", (300, 300), 0.4, 0.8, 1),
    Trial("ReLU", (300, 300), 0.2, 0.8, 1),
    Trial("ReLU", (300, 300), 0.8, 0.8, 1),
    Trial("ReLU", (300, 300), 0.4, 0.7, 1),  # steps
    Trial("ReLU", (300, 300), 0.4, 1.0, 1),
    Trial("ReLU", (300, 200), 0.4, 0.8, 1),  # sizes
    Trial("ReLU", (400, 300), 0.4, 0.8, 1),
    Trial("ReLU", (512, 256), 0.4, 0.8, 1),
    Trial("ReLU", (600, 400), 0.4, 0.8, 1),
)
OTHERS = (  # two seeds
    Trial("ReLU", (300, 300), 0.1, 0.8, 1),
    Trial("tanh", (300, 300), 0.4, 0.8, 1),
    Trial("tanh", (300, 300), 0.2, 0.8, 1),
    Trial("tanh", (300, 300), 0.1, 0.8, 1),
    Trial("ReLU", (300, 300), 0.4, 0.8, 2),       # moved by up to two pixels
    Trial("ReLU", (300, 300), 0.4),               # plain SGD
    Trial("ReLU", (300, 300), 0.4, shift=1),      # moved alone
    Trial("ReLU", (300, 300), 0.4, 0.8),          # adversarial alone
    Trial("ReLU", (300, 300), 0.4, 1.0),
    Trial("ReLU", (300, 300), 0.4, l2=3e-4),      # L2 alone: l2 / 2 times the squares
    Trial("ReLU", (300, 300), 0.4, l2=1e-3),
)
SEEDS = (1, 2, 3)


def validation_accuracies(trial, seed, x, y, network_class=MLP):
    """Train once; the last sixth of the images x (N, 784) of classes y (N,) are for validation.

    Returns the validation accuracy (%) after each epoch."""
    split = len(x) - len(x) // 6
    rng = np.random.default_rng(seed)
    network = network_class((784, *trial.hidden, 10), trial.activation, rng, epsilon=trial.step,
                            l2=trial.l2)
    accuracies = []
    for epoch in range(1, p1.EPOCHS + 1):
        moved = p1.shifted(x[:split], trial.shift, rng)
        learning_rate = p1.learning_rate_of(trial.learning_rate, epoch)
        network.train_epoch(moved, y[:split], p1.BATCH_SIZE, learning_rate)
        accuracies.append(100 * network.accuracy(x[split:], y[split:]))
    return accuracies


def number_of_weights(hidden):
    sizes = [784, *hidden, 10]
    return sum(n_in * n_out for n_in, n_out in zip(sizes, sizes[1:]))


def run(trials, seeds, x, y):
    """Train all trials, as many at a time as there are cores. Returns the rows of the table."""
    pool = ThreadPoolExecutor(p1.usable_cores())
    running = {}
    for trial in trials:
        number_of_seeds = 3 if trial in DECIDING else 2
        for seed in seeds[:number_of_seeds]:
            running[trial, seed] = pool.submit(validation_accuracies, trial, seed, x, y)
    rows = []
    for trial in trials:
        means = [np.mean(running[trial, seed].result()[-10:])
                 for seed in seeds if (trial, seed) in running]
        cells = [f"{mean:.2f}" for mean in means] + [""] * (len(seeds) - len(means))
        rows.append([trial.activation, "-".join(map(str, trial.hidden)),
                     number_of_weights(trial.hidden), trial.learning_rate, trial.step, trial.shift,
                     trial.l2, *cells, f"{np.mean(means):.2f}"])
        print(*rows[-1], sep=", ", flush=True)
    return rows


def main():
    arguments = program.read(program.make_parser("Settings for problem 1, on validation images."))
    trials, seeds, images = [*DECIDING, *OTHERS], SEEDS, 60_000
    if arguments.quick:
        trials, seeds, images, p1.EPOCHS = trials[-2:], SEEDS[:1], 600, 1
    x, y = load_images(p1.TRAIN_FILE, images)
    rows = run(trials, seeds, x, y)
    header = ["activation", "hidden layers", "weights", "initial learning rate", "step",
              "moved by (pixels)", "L2", *(f"validation, seed {seed} (%)" for seed in seeds),
              "mean (%)"]
    p1.write_csv(arguments.out / "p1_search.csv", header, rows)


if __name__ == "__main__":
    program.run(main)

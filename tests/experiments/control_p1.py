"""Adversarial training in problem 1: is it the direction of the step, or any noise of its length?

    python tests/experiments/control_p1.py      (about 9 minutes on two cores)

Five ways to train, two seeds each: 784-300-300-10, ReLU, initial learning rate 0.2, epochs and
halvings as in problem 1. On images as they are: plain, with a step of length 1 in a
random direction, and with the adversarial step of length 1. On images moved by a pixel: without and
with the adversarial step. Each is judged on validation images after every epoch; the test file is
not opened.

Writes p1_control.csv: means of the last ten epochs
"""
from concurrent.futures import ThreadPoolExecutor

import program
from search_p1 import Trial, p1, validation_accuracies
import numpy as np

from data.loader import load_images
from mlp import MLP

SEEDS = (1, 2)
LEARNING_RATE = 0.2
STEP = 1.0


class RandomDirection(MLP):
    """Steps of the same length, but in a random direction, drawn anew for each image."""

    def adversarial(self, labels):
        direction = self.rng.normal(size=self.a[0].shape).astype(self.a[0].dtype)
        length = np.linalg.norm(direction, axis=1, keepdims=True)
        return self.a[0] + direction * (self.epsilon / length)


HIDDEN = (300, 300)
WAYS = {  # name: network, trial
    "as they are, plain": (MLP, Trial("ReLU", HIDDEN, LEARNING_RATE)),
    "as they are, random step": (RandomDirection, Trial("ReLU", HIDDEN, LEARNING_RATE, STEP)),
    "as they are, adversarial step": (MLP, Trial("ReLU", HIDDEN, LEARNING_RATE, STEP)),
    "moved, plain": (MLP, Trial("ReLU", HIDDEN, LEARNING_RATE, shift=1)),
    "moved, adversarial step": (MLP, Trial("ReLU", HIDDEN, LEARNING_RATE, STEP, shift=1)),
}


def train_all(x, y):
    """The validation accuracies (%) of all ways: {name: (seeds, epochs)}."""
    pool = ThreadPoolExecutor(p1.usable_cores())
    running = {}
    for name, (network_class, trial) in WAYS.items():
        for seed in SEEDS:
            running[name, seed] = pool.submit(validation_accuracies, trial, seed, x, y,
                                              network_class)
    accuracies = {}
    for name in WAYS:
        accuracies[name] = np.array([running[name, seed].result() for seed in SEEDS])
        print(f"{name}: {accuracies[name][:, -10:].mean(axis=1).round(2)}", flush=True)
    return accuracies


def main():
    arguments = program.read(program.make_parser("The control of adversarial training."))
    images = 60_000
    if arguments.quick:
        images, p1.EPOCHS = 600, 1
    accuracies = train_all(*load_images(p1.TRAIN_FILE, images))
    rows = []
    for name, curves in accuracies.items():
        images_are, step = name.split(", ")
        means = curves[:, -10:].mean(axis=1)
        rows.append([images_are, step, *(f"{mean:.2f}" for mean in means), f"{means.mean():.2f}"])
    header = ["training images", "step of length 1",
              *(f"validation, mean of last ten epochs, seed {seed} (%)" for seed in SEEDS),
              "mean (%)"]
    p1.write_csv(arguments.out / "p1_control.csv", header, rows)


if __name__ == "__main__":
    program.run(main)

"""Which settings for problem 2? Trials on validation images alone.

    python tests/experiments/search_p2.py      (about 12 minutes on two cores)

The network and its training are those of p2_confusion.py; only the constants differ. Each row of
TRIALS trains on the first 50,000 images, from three seeds that the script does not use, and is
judged by its mean accuracy on the last 10,000. The rule: the cheapest in seconds whose mean is
within 0.1 points of the best. The test file is not opened.

Writes p2_search.csv
"""
import signal
import time
from multiprocessing import get_context
from typing import NamedTuple

import program

import p2_confusion as p2  # before TensorFlow: it sets the environment
import tensorflow as tf

from data.loader import load_images


class Trial(NamedTuple):
    learning_rate: float  # the initial one
    batch_size: int
    epochs: int


TRIALS = (
    Trial(0.001, 128, 45),
    Trial(0.002, 128, 45),
    Trial(0.001, 128, 80),
    Trial(0.002, 128, 80),
    Trial(0.002, 256, 65),
    Trial(0.001, 256, 110),
    Trial(0.002, 256, 110),
)
SEEDS = (10, 11, 12)
REPEATS = 6  # of each training that is timed: the best counts


def validation_accuracy(trial, seed, images):
    """Train once on five sixths of so many images. Returns the accuracy (%) on the last sixth."""
    p2.LEARNING_RATE, p2.BATCH_SIZE, p2.EPOCHS = trial
    x, y = load_images(p2.TRAIN_FILE, images)
    split = images - images // 6
    _, history = p2.train(seed, x[:split], y[:split], x[split:], y[split:])
    return 100 * history["val_accuracy"][-1]


def start_process():
    """One core for each process. Ctrl-C is left to the main program, which ends them all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def seconds_of(trial, images):
    """Of a training on all cores, as the script trains."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        validation_accuracy(trial, 0, images)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def seconds_of_an_epoch(batch_size, images):
    """What four more epochs cost, over four."""
    one, five = Trial(0.001, batch_size, 1), Trial(0.001, batch_size, 5)
    return (seconds_of(five, images) - seconds_of(one, images)) / 4


def time_epochs(trials, images):
    """{minibatch: seconds of an epoch} for the minibatches of the trials."""
    validation_accuracy(Trial(0.001, 128, 1), 0, images)  # a process's first training is slower
    seconds = {}
    for trial in trials:
        if trial.batch_size not in seconds:
            seconds[trial.batch_size] = seconds_of_an_epoch(trial.batch_size, images)
    return seconds


def run(trials, seeds, images):
    """Time the trials, then train all of them. Returns the rows of the table."""
    seconds = time_epochs(trials, images)
    rows = []
    # A fresh process for each training: TensorFlow's threads are set once in a process.
    with get_context("spawn").Pool(2, start_process, maxtasksperchild=1) as pool:
        running = {}
        for trial in trials:
            for seed in seeds:
                task = (trial, seed, images)
                running[trial, seed] = pool.apply_async(validation_accuracy, task)
        for trial in trials:
            accuracies = [running[trial, seed].get() for seed in seeds]
            mean = sum(accuracies) / len(accuracies)
            rows.append([*trial, *(f"{accuracy:.2f}" for accuracy in accuracies), f"{mean:.2f}",
                         f"{seconds[trial.batch_size] * trial.epochs:.0f}"])
            print(*rows[-1], sep=", ", flush=True)
    return rows


def main():
    global REPEATS
    arguments = program.read(program.make_parser("Settings for problem 2, on validation images."))
    trials, seeds, images = TRIALS, SEEDS, 60_000
    if arguments.quick:
        trials, seeds, images, REPEATS = [Trial(0.001, 128, 1)], SEEDS[:1], 600, 1
    rows = run(trials, seeds, images)
    header = ["initial learning rate", "minibatch", "epochs",
              *(f"validation accuracy, seed {seed} (%)" for seed in seeds),
              "mean (%)", "seconds of a training"]
    p2.write_csv(arguments.out / "p2_search.csv", header, rows)


if __name__ == "__main__":
    program.run(main)

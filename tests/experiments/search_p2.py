"""The trials behind problem 2's settings, on validation images alone: outputs/p2_search.csv.

    python tests/search_p2.py            (about 12 minutes on two cores)
    python tests/search_p2.py --quick    (seconds, little data, writes nothing)

The network and its training are those of p2_confusion.py; only the constants differ. Each row of
TRIALS trains from three seeds that the script does not use and is judged by its mean accuracy on
the validation images. The rule: the cheapest in seconds whose mean is within 0.1 points of the
best. The test file is not opened.
"""
import argparse
import csv
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import p2_confusion as p2  # noqa: E402

SEEDS = (10, 11, 12)
TRIALS = (  # initial learning rate, minibatch, epochs
    (0.001, 128, 45),
    (0.002, 128, 45),
    (0.001, 128, 80),
    (0.002, 128, 80),
    (0.002, 256, 65),
    (0.001, 256, 110),
    (0.002, 256, 110),
)


def train(learning_rate, batch_size, epochs, seed, images):
    """Train once on five sixths of the images. Returns the validation accuracy (%) at the end."""
    p2.LEARNING_RATE, p2.BATCH_SIZE, p2.EPOCHS = learning_rate, batch_size, epochs
    x, y = p2.load_images(p2.TRAIN_FILE, images)
    split = images - images // 6
    _, history = p2.train(seed, x[:split], y[:split], x[split:], y[split:])
    return 100 * history["val_accuracy"][-1]


def train_on_one_core(*arguments):
    p2.tf.config.threading.set_intra_op_parallelism_threads(1)
    return train(*arguments)


def seconds_of(batch_size, epochs, images):
    """Of a training on all cores, as the script trains: the best of six."""
    seconds = []
    for _ in range(6):
        begin = time.perf_counter()
        train(0.001, batch_size, epochs, 0, images)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def seconds_of_an_epoch(batch_size, images):
    """What four more epochs cost, over four."""
    return (seconds_of(batch_size, 5, images) - seconds_of(batch_size, 1, images)) / 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, writes nothing")
    quick = parser.parse_args().quick
    trials, seeds, images = TRIALS, SEEDS, 60_000
    if quick:
        trials, seeds, images = [(0.001, 128, 1)], SEEDS[:1], 600

    train(0.001, 128, 1, 0, images)  # the first training of a process is slower
    seconds = {batch_size: seconds_of_an_epoch(batch_size, images)
               for batch_size in sorted({batch_size for _, batch_size, _ in trials})}
    rows = []
    # A fresh process for each training: TensorFlow's threads are set once in a process.
    with ProcessPoolExecutor(2, get_context("spawn"), max_tasks_per_child=1) as pool:
        running = [[pool.submit(train_on_one_core, *trial, seed, images) for seed in seeds]
                   for trial in trials]
        for trial, futures in zip(trials, running):
            _, batch_size, epochs = trial
            accuracies = [future.result() for future in futures]
            mean = sum(accuracies) / len(accuracies)
            rows.append([*trial, *(f"{accuracy:.2f}" for accuracy in accuracies), f"{mean:.2f}",
                         f"{seconds[batch_size] * epochs:.0f}"])
            print(*rows[-1], flush=True)
    if quick:
        return
    path = p2.FOLDER / "outputs" / "p2_search.csv"
    header = ["initial learning rate", "minibatch", "epochs",
              *(f"validation accuracy, seed {seed} (%)" for seed in seeds),
              "mean (%)", "seconds of a training"]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()

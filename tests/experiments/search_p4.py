"""Which settings for problem 4, and is it the cyclic shift that helps, or any noise?

    python tests/experiments/search_p4.py --out DIR         (about 20 minutes on two cores)
    python tests/experiments/search_p4.py --course FILE     (about 40; the students' file as well)

Each trial trains 20-20-1 in five folds, as p4_human_machine.py does it, and is judged on held-out
people. Some try another rate, penalty or number of epochs. Others do something else to the training
rows, anew in each epoch: press some keys otherwise, or shuffle the presses of a row.

With cyclic shifts 200 epochs were taken: the fewest of 100, 200 and 300 whose cross-entropy is
within 0.003 of the lowest, in both files.

Reads  data/binary_random.hdf5, and the file of --course (blocks of 25 rows are a student's)
Writes p4_search.csv
"""
import signal
from multiprocessing import get_context

import program

import p4_human_machine as p4  # before tensorflow: it sets its environment
import numpy as np
import tensorflow as tf
from all_rows_p4 import train_models
from tensorflow import keras


class RandomFlip(keras.layers.Layer):
    """In training, each press is another one with a probability p."""

    def __init__(self, p):
        super().__init__()
        self.p, self.seed_generator = p, keras.random.SeedGenerator()

    def call(self, rows, training=False):
        if not training:
            return rows
        flipped = keras.random.uniform(keras.ops.shape(rows), seed=self.seed_generator) < self.p
        return keras.ops.where(flipped, -rows, rows)  # of -1 and +1


class RandomOrder(keras.layers.Layer):
    """In training, the presses of each row come in a random order."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, rows, training=False):
        if not training:
            return rows
        keys = keras.random.uniform(keras.ops.shape(rows), seed=self.seed_generator)
        return keras.ops.take_along_axis(rows, keras.ops.argsort(keys, axis=1), axis=1)


NOISE = {  # what is done to the training rows: a layer for the network
    "presses flipped, probability 0.05": lambda: RandomFlip(0.05),
    "presses flipped, probability 0.1": lambda: RandomFlip(0.1),
    "presses flipped, probability 0.2": lambda: RandomFlip(0.2),
    "random order": RandomOrder,
}

ADAM = p4.SETTINGS["Adam"]
SGD, RMSPROP = p4.SETTINGS["SGD, L2 0.003"], p4.SETTINGS["RMSprop, L2 0.003"]
SHIFTS = p4.SETTINGS["Adam, cyclic shifts"]
LONG = ADAM._replace(epochs=SHIFTS.epochs)
TRIALS = [  # what is done to the training rows, and the setting
    ("nothing", ADAM._replace(learning_rate=0.002)),
    ("nothing", ADAM),
    ("nothing", ADAM._replace(learning_rate=0.02)),
    ("nothing", ADAM._replace(epochs=15)),
    ("nothing", ADAM._replace(epochs=60)),
    ("nothing", ADAM._replace(l2=0.001)),
    ("nothing", ADAM._replace(l2=0.003)),
    ("nothing", ADAM._replace(l2=0.01)),
    ("nothing", ADAM._replace(l1=0.0001)),
    ("nothing", ADAM._replace(l1=0.0003)),
    ("nothing", ADAM._replace(l1=0.001)),
    ("nothing", ADAM._replace(dropout=0.1)),
    ("nothing", ADAM._replace(dropout=0.2)),
    ("nothing", ADAM._replace(dropout=0.4)),
    ("nothing", SGD._replace(learning_rate=0.1)),
    ("nothing", SGD),
    ("nothing", SGD._replace(learning_rate=0.4)),
    ("nothing", RMSPROP._replace(learning_rate=0.003)),
    ("nothing", RMSPROP),
    ("nothing", RMSPROP._replace(learning_rate=0.012)),
    ("cyclic shifts", SHIFTS._replace(epochs=30)),
    ("cyclic shifts", SHIFTS._replace(epochs=100)),
    ("cyclic shifts", SHIFTS._replace(epochs=300)),
    ("cyclic shifts", SHIFTS._replace(epochs=100, learning_rate=0.003)),
    ("cyclic shifts", SHIFTS._replace(epochs=100, learning_rate=0.012)),
    ("cyclic shifts", SHIFTS._replace(epochs=100, l2=0.0003)),
    ("cyclic shifts", SHIFTS._replace(epochs=100, l1=0.00003)),
    ("cyclic shifts", SHIFTS._replace(epochs=100, dropout=0.1)),
    # Shift, or any noise? All as long as the shifts.
    ("cyclic shifts", SHIFTS),
    ("nothing", LONG),
    ("presses flipped, probability 0.05", LONG),
    ("presses flipped, probability 0.1", LONG),
    ("presses flipped, probability 0.2", LONG),
    ("random order", LONG),
]


def build(noise, setting):
    model = p4.build(setting)
    if noise in NOISE:
        model = keras.Sequential([keras.Input((p4.INPUTS,)), NOISE[noise](), *model.layers])
    return model


def try_out(path, rows_per_person, noise, setting, folds):
    """The columns of a trial."""
    p4.FOLDS = folds
    _, rows = p4.load(path, rows_per_person)
    models = train_models(lambda setting: build(noise, setting), setting, rows)
    f = np.array([p4.log_odds(model.get_weights(), rows.x) for model in models])
    numbers = p4.judge(f, f, rows)
    return {column: f"{number:.4f}" if "entropy" in column else f"{number:.1f}"
            for column, number in numbers.items() if "gain" not in column}


def start_process():
    """One core for each process. Ctrl-C is left to the main program, which ends them all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def main():
    parser = program.make_parser("Settings for problem 4, and the control: shift or any noise?")
    parser.add_argument("--course", type=program.path, help="the students' file")
    arguments = program.read(parser)
    trials, folds = TRIALS, p4.FOLDS
    if arguments.quick:
        folds = 2
        trials = [(noise, setting._replace(epochs=1)) for noise, setting in TRIALS[-3:]]
    files = {"study": (p4.DATA_FILE, None)}
    if arguments.course:
        files["students"] = (arguments.course, 25)
    for path, rows_per_person in files.values():
        data, _ = p4.load(path, rows_per_person)  # a bad file ends the program here
        if data.coding != (-1, 1):
            raise p4.DataError(f"{path}: found values 0 and 1; expected -1 and 1; code them so")
    table = []
    with get_context("spawn").Pool(2, start_process) as pool:
        running = []
        for file, (path, rows_per_person) in files.items():
            for noise, setting in trials:
                task = (path, rows_per_person, noise, setting, folds)
                running.append((file, noise, setting, pool.apply_async(try_out, task)))
        for file, noise, setting, result in running:
            row = {"file": file, "training rows": noise, "optimizer": setting.optimizer,
                   "initial learning rate": setting.learning_rate, "L1": setting.l1,
                   "L2": setting.l2, "dropout": setting.dropout, "epochs": setting.epochs,
                   **result.get()}
            table.append(row)
            print(*row.values(), sep=", ", flush=True)
    p4.write_csv(arguments.out / "p4_search.csv", table[0], [row.values() for row in table])


if __name__ == "__main__":
    program.run(main)

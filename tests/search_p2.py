"""Search for problem 2's training recipe, on validation images: prints the rows of SEARCH in p2_confusion.py.

    python tests/search_p2.py        (about 20 minutes, one thread)

The network is the homework's; only the training differs. Each recipe trains on the first 50,000 images from two
seeds that p2_confusion.py does not use, and is judged on the last 10,000; epochs are chosen so that all recipes
take about the same time. The test file is not opened.
"""

import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import p2_confusion as p2  # noqa: E402
from data.loader import load_images  # noqa: E402

TRAIN_IMAGES, SEEDS = 50_000, (10, 11)
RECIPES = (  # optimizer, first learning rate, schedule, minibatch, epochs
    ("Adam", 0.001, "constant", 32, 40),  # the lecture's script
    ("Adam", 0.001, "constant, averaged weights", 32, 40),
    ("Adam", 0.0005, "cosine", 32, 40),
    ("Adam", 0.001, "cosine", 32, 40),
    ("Adam", 0.002, "cosine", 32, 40),
    ("SGD, Nesterov momentum 0.9", 0.05, "cosine", 32, 40),
    ("Nadam", 0.001, "cosine", 64, 60),
    ("Adam", 0.001, "cosine", 64, 60),
    ("Adam", 0.001, "cosine", 128, 90),
    ("Adam", 0.002, "cosine", 128, 90),
    ("Adam", 0.002, "cosine", 256, 120),
)


def optimizer(keras, name, rate, schedule, updates):
    """The Keras optimizer of a recipe that makes `updates` updates in all."""
    if schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, updates)
    if name.startswith("SGD"):
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    # The running mean of the weights remembers about 5,000 updates, three epochs.
    averaged = {"use_ema": True, "ema_momentum": 0.9998} if "averaged" in schedule else {}
    return getattr(keras.optimizers, name)(rate, **averaged)


def validation_accuracy(keras, data, recipe, seed):
    name, rate, schedule, batch_size, epochs = recipe
    keras.utils.set_random_seed(seed)
    updates = math.ceil(TRAIN_IMAGES / batch_size)
    model = p2.build(keras)
    model.compile(optimizer(keras, name, rate, schedule, updates * epochs),
                  loss="sparse_categorical_crossentropy", steps_per_execution=updates)
    model.fit(data.images[:TRAIN_IMAGES], data.labels[:TRAIN_IMAGES], batch_size=batch_size, epochs=epochs, verbose=0)
    return 100 * p2.measure(model, data.images[TRAIN_IMAGES:], data.labels[TRAIN_IMAGES:])[0]


if __name__ == "__main__":
    keras, data = p2.load_keras(), load_images(p2.TRAIN_FILE)
    for recipe in RECIPES:
        reached = [validation_accuracy(keras, data, recipe, seed) for seed in SEEDS]
        row = (*recipe, len(reached), round(statistics.fmean(reached), 2), round(statistics.stdev(reached), 2))
        print(f"    {row},".replace("'", '"'), flush=True)

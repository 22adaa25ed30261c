"""Does Keras draw a new order of the samples for each epoch? Not always, once its seed is set.

    python tests/experiments/frozen_order.py      (a quarter of a minute)

Trains a model of one weight on eight samples for three epochs, one sample at a time, and prints the
order in which each epoch met them: once by fit() on arrays, once by fit() on a tf.data pipeline.

Writes frozen_order.txt
"""
import os

import program

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import numpy as np
import tensorflow as tf
from tensorflow import keras

EPOCHS = 3
SAMPLES = np.arange(8.0).reshape(8, 1)  # each sample's input is its number; its target, too


def model_that_notes(met):
    """A compiled model that appends the number of each sample it trains on to the list `met`."""
    def squared_error(target, output):
        met.append(int(target[0, 0]))
        return (target - output) ** 2

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", squared_error, run_eagerly=True)  # eagerly: Python runs in each update
    return model


def lines_of(title, met):
    """A title, and a line for each epoch: the samples in the order in which it met them."""
    lines = title + "\n"
    for epoch, order in enumerate(np.reshape(met, (EPOCHS, 8)), start=1):
        lines += f"  epoch {epoch}: {order}\n"
    return lines


def main():
    arguments = program.read(program.make_parser("The order of the samples in each epoch."))

    met = []
    keras.utils.set_random_seed(0)
    model = model_that_notes(met)
    model.fit(SAMPLES, SAMPLES, batch_size=1, shuffle=True, epochs=EPOCHS, verbose=0)
    text = lines_of("set_random_seed(0), then fit() on arrays, which it shuffles:", met)

    met = []
    keras.utils.set_random_seed(0)
    model = model_that_notes(met)
    pipeline = tf.data.Dataset.from_tensor_slices((SAMPLES, SAMPLES)).shuffle(8, seed=0).batch(1)
    model.fit(pipeline, shuffle=False, epochs=EPOCHS, verbose=0)  # the pipeline shuffles, not fit()
    text += lines_of("set_random_seed(0), then fit() on a tf.data pipeline that shuffles:", met)

    print(text, end="")
    (arguments.out / "frozen_order.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    program.run(main)

"""Does Keras draw a new order of the samples for each epoch? Not always, once its seed is set.

    python tests/experiments/frozen_order.py      (a quarter of a minute)

Trains a model of one weight on eight samples for three epochs, one sample at a time, and prints the
order in which each epoch met them: once by fit() on arrays, once by fit() on a tf.data pipeline.

Writes outputs/frozen_order.txt
"""
import argparse
import os
from pathlib import Path

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import numpy as np
import tensorflow as tf
from tensorflow import keras

OUTPUTS = Path(__file__).resolve().parents[2] / "outputs"
EPOCHS = 3
SAMPLES = np.arange(8.0).reshape(8, 1)  # each sample's input is its number; its target, too


def orders_met(x, y=None, batch_size=None):
    """Train by fit(x, y, batch_size). Returns the samples' numbers in the order of each epoch,
    (epochs, 8)."""
    met = []

    def squared_error(target, output):
        met.append(int(target[0, 0]))
        return (target - output) ** 2

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", squared_error, run_eagerly=True)  # eagerly: Python runs in each update
    model.fit(x, y, batch_size, epochs=EPOCHS, verbose=0)
    return np.reshape(met, (EPOCHS, 8))


def described(title, orders):
    lines = [title]
    for epoch, order in enumerate(orders, start=1):
        lines.append(f"  epoch {epoch}: {order}")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="The order of the samples in each epoch.")
    parser.add_argument("--out", type=Path, default=OUTPUTS, help="folder for frozen_order.txt")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    orders = orders_met(SAMPLES, SAMPLES, batch_size=1)
    text = described("set_random_seed(0), then fit() on arrays, which it shuffles:", orders)

    keras.utils.set_random_seed(0)
    pipeline = tf.data.Dataset.from_tensor_slices((SAMPLES, SAMPLES)).shuffle(8, seed=0).batch(1)
    orders = orders_met(pipeline)
    text += described("set_random_seed(0), then fit() on a tf.data pipeline that shuffles:", orders)

    print(text, end="")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "frozen_order.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

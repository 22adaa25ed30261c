"""How fast is a training step? One table, everything measured in one run, one thread each.

    python tests/experiments/benchmark_mlp.py      (about a minute)

The network is problem 1's, with ReLU, minibatches of 100, float32. The yardstick is the bare matrix
products of the same step, on arrays of the same shapes, and nothing else. Every program takes its
turn in each round, so that a slow moment of the machine strikes all; the best round counts. Prints
the table and writes nothing.
"""
import os
import time

import program

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow",
                  TF_USE_LEGACY_KERAS="0", KERAS_HOME=os.devnull)
from p1_numpy_mlp import BATCH_SIZE, EPSILON, SIZES  # holds BLAS to one thread
import numpy as np
import tensorflow as tf

from mlp import MLP

STEPS, ROUNDS = 500, 5
LAST = len(SIZES) - 1  # the index of the last layer


def random_arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.random(shape, dtype=np.float32) for shape in shapes]


def bare_products(adversarial):
    """An epoch of the matrix products of a step: forward, errors of the hidden layers, gradients of
    the weights; with adversarial training, forward and errors down to the input besides."""
    layer_shapes = [(BATCH_SIZE, size) for size in SIZES]
    weight_shapes = [(1, 1), *zip(SIZES[1:], SIZES)]  # W[0] is not used
    a, delta = random_arrays(*layer_shapes), random_arrays(*layer_shapes)
    W, dW = random_arrays(*weight_shapes), random_arrays(*weight_shapes)

    def forward_and_errors(lowest):
        for l in range(1, LAST + 1):
            np.matmul(a[l - 1], W[l].T, out=a[l])
        for l in range(LAST - 1, lowest - 1, -1):
            np.matmul(delta[l + 1], W[l + 1], out=delta[l])

    def epoch():
        for _ in range(STEPS):
            if adversarial:
                forward_and_errors(lowest=0)
            forward_and_errors(lowest=1)
            for l in range(1, LAST + 1):
                np.matmul(delta[l].T, a[l - 1], out=dW[l])
    return epoch


def this_mlp(x, y, epsilon):
    network = MLP(SIZES, "ReLU", np.random.default_rng(0), epsilon=epsilon)
    return lambda: network.train_epoch(x, y, BATCH_SIZE, 0.01)


def keras_fit(x, y):
    """With plain SGD, and all updates of an epoch in one call: the fastest form."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    hidden = [tf.keras.layers.Dense(size, "relu") for size in SIZES[1:-1]]
    output = tf.keras.layers.Dense(SIZES[-1], "softmax")
    model = tf.keras.Sequential([tf.keras.Input((SIZES[0],)), *hidden, output])
    model.compile(tf.keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy",
                  steps_per_execution=STEPS)
    return lambda: model.fit(x, y, batch_size=BATCH_SIZE, epochs=1, verbose=0)


def main():
    global STEPS, ROUNDS
    arguments = program.read(program.make_parser("The seconds of a training step, a table."))
    if arguments.quick:
        STEPS, ROUNDS = 5, 1
    rng = np.random.default_rng(0)
    x = rng.random((STEPS * BATCH_SIZE, SIZES[0]), dtype=np.float32)
    y = rng.integers(0, SIZES[-1], len(x))
    epochs = {"bare products": bare_products(adversarial=False),
              "this MLP": this_mlp(x, y, epsilon=0),
              "Keras fit": keras_fit(x, y),
              "bare products, adversarial": bare_products(adversarial=True),
              "this MLP, adversarial": this_mlp(x, y, EPSILON)}
    best = dict.fromkeys(epochs, np.inf)
    for round_number in range(ROUNDS + 1):
        for name, epoch in epochs.items():
            begin = time.perf_counter()
            epoch()
            seconds = time.perf_counter() - begin
            if round_number > 0:  # the first round warms up
                best[name] = min(best[name], seconds)

    print(f"{'-'.join(map(str, SIZES))}, minibatch {BATCH_SIZE}, float32, one thread")
    print(f"{'':30}{'ms/step':>10}{'ratio':>8}")
    for name, seconds in best.items():
        bare = "bare products, adversarial" if "adversarial" in name else "bare products"
        print(f"{name:30}{1000 * seconds / STEPS:10.2f}{seconds / best[bare]:8.2f}")


if __name__ == "__main__":
    program.run(main)

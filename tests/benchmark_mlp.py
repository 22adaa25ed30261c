"""How fast is a training step? One table, everything measured in one run, one thread each.

    python tests/benchmark_mlp.py

The network is problem 1's, with ReLU, minibatches of 100, float32. The yardstick is the bare matrix
products of the same step, on arrays of the same shapes, and nothing else. Every program takes its
turn in each round, so that a slow moment of the machine strikes all; the best round counts. PyTorch
and scikit-learn are measured where they are installed; the project does not need them.
"""
import os
import sys
import time
import warnings
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from p1_numpy_mlp import BATCH_SIZE, EPSILON, MLP, SIZES  # holds BLAS to one thread  # noqa: E402
import numpy as np  # noqa: E402

SAMPLES, ROUNDS, L = 50_000, 5, len(SIZES) - 1
STEPS = SAMPLES // BATCH_SIZE
BARE, BARE_ADVERSARIAL = "bare matrix products", "bare matrix products, adversarial"


def bare_products(x, labels, adversarial=False):
    """The matrix products of a step: forward, errors of the hidden layers, gradients of the
    weights; with adversarial training, forward and errors down to the input besides."""
    rng = np.random.default_rng(0)
    a, delta = ([rng.random((BATCH_SIZE, n), dtype=np.float32) for n in SIZES] for _ in range(2))
    W, dW = ([None, *(rng.random((m, n), dtype=np.float32) for n, m in zip(SIZES, SIZES[1:]))]
             for _ in range(2))

    def forward_and_errors(lowest):
        for l in range(1, L + 1):
            np.matmul(a[l - 1], W[l].T, out=a[l])
        for l in range(L - 1, lowest - 1, -1):
            np.matmul(delta[l + 1], W[l + 1], out=delta[l])

    def epoch():
        for _ in range(STEPS):
            if adversarial:
                forward_and_errors(lowest=0)
            forward_and_errors(lowest=1)
            for l in range(1, L + 1):
                np.matmul(delta[l].T, a[l - 1], out=dW[l])
    return epoch


def this_mlp(x, labels, epsilon=0.0):
    network = MLP(SIZES, "ReLU", np.random.default_rng(0), epsilon=epsilon)
    return lambda: network.train_epoch(x, labels, BATCH_SIZE, 0.01)


def keras_fit(x, labels, steps_per_execution=1):
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layers = [tf.keras.layers.Dense(n, "relu") for n in SIZES[1:-1]]
    model = tf.keras.Sequential([tf.keras.Input((SIZES[0],)), *layers,
                                 tf.keras.layers.Dense(SIZES[-1], "softmax")])
    model.compile(tf.keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy",
                  steps_per_execution=steps_per_execution)
    return lambda: model.fit(x, labels, batch_size=BATCH_SIZE, epochs=1, verbose=0)


def pytorch(x, labels):
    import torch
    torch.set_num_threads(1)
    images, classes = torch.from_numpy(x), torch.from_numpy(labels)
    layers = [layer for n, m in zip(SIZES, SIZES[1:]) for layer in (torch.nn.Linear(n, m),
                                                                    torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer, cost = torch.optim.SGD(model.parameters(), 0.01), torch.nn.CrossEntropyLoss()

    def epoch():
        for chosen in torch.randperm(SAMPLES).split(BATCH_SIZE):
            optimizer.zero_grad()
            cost(model(images[chosen]), classes[chosen]).backward()
            optimizer.step()
    return epoch


def scikit_learn(x, labels):
    from sklearn.neural_network import MLPClassifier
    network = MLPClassifier(SIZES[1:-1], solver="sgd", alpha=0, batch_size=BATCH_SIZE,
                            learning_rate_init=0.01, momentum=0)
    warnings.filterwarnings("ignore", module="sklearn")
    return lambda: network.partial_fit(x, labels, classes=np.arange(SIZES[-1]))


PROGRAMS = {
    BARE: bare_products,
    "this MLP, plain SGD": this_mlp,
    "Keras fit": keras_fit,
    "Keras fit, an epoch per call": lambda *data: keras_fit(*data, steps_per_execution=STEPS),
    "PyTorch eager": pytorch,
    "scikit-learn MLPClassifier": scikit_learn,
    BARE_ADVERSARIAL: lambda *data: bare_products(*data, adversarial=True),
    "this MLP, adversarial": lambda *data: this_mlp(*data, epsilon=EPSILON),
}


def main():
    rng = np.random.default_rng(0)
    x = rng.random((SAMPLES, SIZES[0]), dtype=np.float32)
    labels = rng.integers(0, SIZES[-1], SAMPLES)
    epochs, best = {}, {}
    for name, build in PROGRAMS.items():
        try:
            epochs[name] = build(x, labels)
            epochs[name]()  # warm up
        except ImportError:
            print(f"{name}: not installed")
    for _ in range(ROUNDS):
        for name, epoch in epochs.items():
            begin = time.perf_counter()
            epoch()
            best[name] = min(best.get(name, np.inf), time.perf_counter() - begin)
    print(f"{'-'.join(map(str, SIZES))}, minibatch {BATCH_SIZE}, float32, one thread")
    print(f"{'':40}{'ms/step':>10}{'ratio':>8}")
    for name, seconds in best.items():
        bare = best[BARE_ADVERSARIAL if "adversarial" in name else BARE]
        print(f"{name:40}{1e3 * seconds / STEPS:10.2f}{seconds / bare:8.2f}")


if __name__ == "__main__":
    main()

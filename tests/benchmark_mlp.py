"""How fast is a training step? One table, everything measured in one run, one thread each.

    python tests/benchmark_mlp.py

The network is 784-512-10 with ReLU, the minibatch 100, float32. The yardstick is the bare matrix
products of the same step, on arrays of the same shapes, and nothing else. Every program takes its
turn in each round, so that a slow moment of the machine strikes all; the best round counts. PyTorch
and scikit-learn are measured where they are installed; the project does not need them.
"""

import os
import sys
import time
import warnings
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                 "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mlp import MLP

SIZES, BATCH, SAMPLES, ROUNDS = (784, 512, 10), 100, 10_000, 9
STEPS = SAMPLES // BATCH
BARE, BARE_MOVED = "bare matrix products", "bare matrix products, moved samples"


def bare_products(x, labels, moved=False):
    """The matrix products of a step: forward, error of the hidden layer, gradients of the weights.
    For moved samples, forward and errors down to the input besides. The samples are not looked at.
    a[0] meets W[0] here, which is W[1] in mlp.py."""
    rng = np.random.default_rng(0)
    a, delta = ([rng.random((BATCH, n), dtype=np.float32) for n in SIZES] for _ in range(2))
    W, dW = ([rng.random((m, n), dtype=np.float32) for n, m in zip(SIZES, SIZES[1:])]
             for _ in range(2))

    def forward_and_errors():
        np.matmul(a[0], W[0].T, out=a[1])
        np.matmul(a[1], W[1].T, out=a[2])
        np.matmul(delta[2], W[1], out=delta[1])

    def epoch():
        for _ in range(STEPS):
            if moved:
                forward_and_errors()
                np.matmul(delta[1], W[0], out=delta[0])
            forward_and_errors()
            np.matmul(delta[2].T, a[1], out=dW[1])
            np.matmul(delta[1].T, a[0], out=dW[0])
    return epoch


def bare_products_moved(x, labels):
    return bare_products(x, labels, moved=True)


def this_mlp(x, labels, epsilon=0.0):
    network = MLP(SIZES, "ReLU", np.random.default_rng(0), epsilon=epsilon)
    return lambda: network.train_epoch(x, labels, BATCH, 0.01)


def this_mlp_moved(x, labels):
    return this_mlp(x, labels, epsilon=0.7)


def keras_fit(x, labels, steps_per_execution=1):
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf.keras.Sequential([tf.keras.Input((SIZES[0],)),
                                 tf.keras.layers.Dense(SIZES[1], "relu"),
                                 tf.keras.layers.Dense(SIZES[2], "softmax")])
    model.compile(tf.keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy",
                  steps_per_execution=steps_per_execution)
    return lambda: model.fit(x, labels, batch_size=BATCH, epochs=1, verbose=0)


def keras_whole_epoch(x, labels):
    return keras_fit(x, labels, steps_per_execution=STEPS)


def pytorch(x, labels):
    import torch
    torch.set_num_threads(1)
    images, classes = torch.from_numpy(x), torch.from_numpy(labels)
    model = torch.nn.Sequential(torch.nn.Linear(*SIZES[:2]), torch.nn.ReLU(),
                                torch.nn.Linear(*SIZES[1:]))
    optimizer, cost = torch.optim.SGD(model.parameters(), 0.01), torch.nn.CrossEntropyLoss()

    def epoch():
        for chosen in torch.randperm(SAMPLES).split(BATCH):
            optimizer.zero_grad()
            cost(model(images[chosen]), classes[chosen]).backward()
            optimizer.step()
    return epoch


def scikit_learn(x, labels):
    from sklearn.neural_network import MLPClassifier
    network = MLPClassifier(SIZES[1:-1], solver="sgd", alpha=0, batch_size=BATCH,
                            learning_rate_init=0.01, momentum=0)
    warnings.filterwarnings("ignore", module="sklearn")
    return lambda: network.partial_fit(x, labels, classes=np.arange(SIZES[-1]))


def main():
    rng = np.random.default_rng(0)
    x = rng.random((SAMPLES, SIZES[0]), dtype=np.float32)
    labels = rng.integers(0, SIZES[-1], SAMPLES)
    programs = {BARE: bare_products, "this MLP, plain SGD": this_mlp, "Keras fit": keras_fit,
                "Keras fit, an epoch per call": keras_whole_epoch, "PyTorch eager": pytorch,
                "scikit-learn MLPClassifier": scikit_learn, BARE_MOVED: bare_products_moved,
                "this MLP, moved samples": this_mlp_moved}
    epochs, best = {}, {}
    for name, build in programs.items():
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
    print(f"{'-'.join(map(str, SIZES))}, minibatch {BATCH}, float32, one thread")
    print(f"{'':40}{'ms/step':>10}{'s/epoch':>10}{'ratio':>8}")
    for name, seconds in best.items():
        print(f"{name:40}{1e3 * seconds / STEPS:10.2f}{seconds * 50_000 / SAMPLES:10.2f}"
              f"{seconds / best[BARE_MOVED if 'moved' in name else BARE]:8.2f}")


if __name__ == "__main__":
    main()

"""How exact is the backpropagation? The largest relative errors of its gradients.

    python tests/experiments/check_gradients.py      (seconds)

Gradients of the cost by all weights, biases and inputs, in float64, with L2 and random biases, are
compared with central differences (a network 6-5-7-3, every entry) and with TensorFlow's automatic
differentiation (784-300-300-10). tests/test_mlp.py holds the same functions to fixed limits.

Writes p1_gradients.csv
"""
import os

import program

import p1_numpy_mlp as p1  # first: it sets what numpy reads when imported
import numpy as np

from mlp import MLP


def network(sizes, activation="ReLU", seed=0, dtype=np.float64, **options):
    """A float64 network with random biases: zero biases would sit on the kink of ReLU."""
    net = MLP(sizes, activation, np.random.default_rng(seed), dtype=dtype, **options)
    for b in net.b[1:]:
        b[:] = net.rng.normal(0, 0.5, b.shape)
    return net


def samples(n, inputs, classes, seed=1, dtype=np.float64):
    """Random x (n, inputs) and labels (n,)."""
    rng = np.random.default_rng(seed)
    return rng.random((n, inputs)).astype(dtype), rng.integers(0, classes, n)


def backpropagation(net, x, labels):
    """The gradients of net.cost(x, labels) by [*W, *b, x]."""
    net.forward(x)
    net.backward(labels)
    dx = net.errors(labels)[1] @ net.W[1] / len(x)  # dC/dx = W[1]^T delta[1]; the cost is a mean
    return [*net.dW[1:], *net.db[1:], dx]


def central_differences(f, array, step=1e-6):
    """Of f() over every entry of an array."""
    differences = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = f()
        array[index] = kept - step
        differences[index] = (above - f()) / (2 * step)
        array[index] = kept
    return differences


def tensorflow_cost_and_gradients(net, activation, x, labels):
    """The cost, and its gradients by [*W, *b, x], from TensorFlow, of a net with its L2."""
    import tensorflow as tf
    W = [tf.Variable(array) for array in net.W[1:]]
    b = [tf.Variable(array) for array in net.b[1:]]
    inputs = tf.Variable(x)
    h = {"ReLU": tf.nn.relu, "tanh": tf.nn.tanh}[activation]
    with tf.GradientTape() as tape:
        a = inputs
        for l in range(net.L):
            a = tf.matmul(a, W[l], transpose_b=True) + b[l]
            if l < net.L - 1:
                a = h(a)
        cost = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, a))
        cost += net.l2 / 2 * sum(tf.reduce_sum(weights ** 2) for weights in W)
    gradients = tape.gradient(cost, [*W, *b, inputs])
    return float(cost), [gradient.numpy() for gradient in gradients]


def error_against_differences(activation):
    """Norm of the difference over norm of the sum, the largest of all arrays."""
    net = network((6, 5, 7, 3), activation, l2=0.3)
    x, labels = samples(8, 6, 3)
    errors = []
    arrays = [*net.W[1:], *net.b[1:], x]
    for array, gradient in zip(arrays, backpropagation(net, x, labels)):
        expected = central_differences(lambda: net.cost(x, labels), array)
        errors.append(np.linalg.norm(gradient - expected) / np.linalg.norm(gradient + expected))
    return max(errors)


def error_against_tensorflow(activation):
    """Largest difference over largest entry, the largest of all arrays."""
    net = network((784, 300, 300, 10), activation, l2=1e-3)
    x, labels = samples(100, 784, 10)
    _, expected = tensorflow_cost_and_gradients(net, activation, x, labels)
    errors = []
    for gradient, of_tensorflow in zip(backpropagation(net, x, labels), expected):
        errors.append(np.abs(gradient - of_tensorflow).max() / np.abs(of_tensorflow).max())
    return max(errors)


def main():
    arguments = program.read(program.make_parser("The largest relative errors of the gradients."))
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
    rows = []
    for check, error in (("central differences", error_against_differences),
                         ("TensorFlow", error_against_tensorflow)):
        for activation in ("ReLU", "tanh"):
            rows.append([check, activation, f"{error(activation):.0e}"])
            print(*rows[-1], sep=", ")
    header = ["check", "activation", "largest relative error"]
    p1.write_csv(arguments.out / "p1_gradients.csv", header, rows)


if __name__ == "__main__":
    program.run(main)

"""What has problem 1's network learned from? Adversarial examples, before its eyes and in numbers.

    python tests/experiments/adversarial_p1.py      (seconds)

The network of outputs/p1_network_params.hdf5 was trained on images moved by a pixel and changed by
a step of length EPSILON along the gradient of their cost. What does such a step do to the trained
network? And which test images does it miss most confidently?

Reads  outputs/p1_network_params.hdf5, data/mnist_traindata.hdf5, data/mnist_testdata.hdf5
Writes p1_adversarial.png, p1_adversarial.csv, p1_test_errors.png
"""
import program

import p1_numpy_mlp as p1  # first: it sets what numpy reads when imported
import h5py
import matplotlib.pyplot as plt
import numpy as np

from data.loader import DataError, load_images
from mlp import MLP


def read_network(path):
    """The network of problem 1's file. Raises DataError where it is missing or holds no network."""
    try:
        with h5py.File(path, "r") as file:
            W = [file[f"W{l}"][()] for l in range(1, len(file) // 2 + 1)]
            b = [file[f"b{l}"][()] for l in range(1, len(file) // 2 + 1)]
            activation = file.attrs["activation"]
        sizes = [W[0].shape[1], *(len(b_of_layer) for b_of_layer in b)]
    except (OSError, KeyError, IndexError) as error:
        raise DataError(f"{path}: found no network of problem 1 ({error}); expected one; run "
                        "first: python p1_numpy_mlp.py") from None
    network = MLP(sizes, activation, np.random.default_rng(0), epsilon=p1.EPSILON)
    network.W[1:], network.b[1:] = W, b
    return network


def p_of_true_class(p, y):
    """The probability of each image's true class y, (N,). p (N, 10)."""
    return p[np.arange(len(y)), y]


def costs(p, y):
    """The cross entropy of each image, -ln p[y], (N,), in nats. p (N, 10), y (N,) classes."""
    return -np.log(np.maximum(p_of_true_class(p, y), np.finfo(p.dtype).tiny))  # no log of 0


def statistics(network, x, y):
    """What the step to the adversarial examples does to images x (N, 784) of classes y (N,)."""
    before = network.forward(x)
    dx = network.errors(y)[1] @ network.W[1]  # dC/dx = W[1]^T delta[1]
    after = network.forward(network.adversarial(y))
    rises = costs(after, y) - costs(before, y)
    first_order = network.epsilon * np.linalg.norm(dx, axis=1)
    return {"number": len(x), "length of the step": network.epsilon,
            "median length of an image": f"{np.median(np.linalg.norm(x, axis=1)):.1f}",
            "accuracy (%)": f"{100 * (before.argmax(axis=1) == y).mean():.2f}",
            "accuracy on adversarial examples (%)":
                f"{100 * (after.argmax(axis=1) == y).mean():.2f}",
            "rise of the cost (nats)": f"{rises.mean():.3f}",
            "rise to first order (nats)": f"{first_order.mean():.3f}",
            "share of the rise from 20 images (%)":
                f"{100 * np.sort(rises)[-20:].sum() / rises.sum():.0f}"}


def typical_and_worst(fall, y):
    """Indices of up to ten images: of each of five classes the one with the median fall of the
    probability of the true class, and the five with the largest fall of all. fall, y (N,)."""
    typical = []
    for m in np.unique(y)[:5]:
        of_class = np.flatnonzero(y == m)
        by_fall = of_class[np.argsort(fall[of_class], kind="stable")]
        typical.append(by_fall[len(by_fall) // 2])
    return typical, np.argsort(-fall, kind="stable")[:5]


def show(panel, image, title="", cmap="gray_r", low=0, high=1):
    """An image (784,) with its title."""
    panel.set_axis_on()
    panel.imshow(image.reshape(28, 28), cmap=cmap, vmin=low, vmax=high)
    panel.set_title(title, size=9)
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set_visible(False)


def plot_adversarial(network, x, y, folder):
    """Images x (N, 784), moved, and their adversarial examples, with the probability of the true
    class y (N,): typical ones and the worst."""
    moved = p1.shifted(x, p1.SHIFT, np.random.default_rng(p1.SEED))
    before = p_of_true_class(network.forward(moved), y)
    examples = network.adversarial(y)
    after = p_of_true_class(network.forward(examples), y)
    steps = examples - moved
    typical, worst = typical_and_worst(before - after, y)
    limit = np.abs(steps[[*typical, *worst]]).max()

    figure = plt.figure(figsize=(8.3, 4.5))
    figure.suptitle("What the network learns from. Above each image: true class, its probability."
                    f"\nStep of length {p1.EPSILON}: red adds ink, blue takes it away, at most "
                    f"{limit:.2f} in a pixel (paper 0, ink 1)", size=10)
    # The left half is a little wider, for the labels of the rows.
    halves = figure.subfigures(1, 2, width_ratios=(1.06, 1), wspace=0.03)
    for half, shown, title in ((halves[0], typical, "typical images"),
                               (halves[1], worst, "those whose probability falls most")):
        half.suptitle(title, size=10)
        panels = half.subplots(4, 5)
        for panel in panels.flat:
            panel.axis("off")  # where there are fewer images
        for index, column in zip(shown, panels.T):
            show(column[0], x[index], f"{y[index]}")
            show(column[1], moved[index], f"{y[index]}: {before[index]:.3f}")
            show(column[2], steps[index], "", "RdBu_r", -limit, limit)
            show(column[3], examples[index], f"{y[index]}: {after[index]:.3f}")
        if half is halves[0]:
            for panel, row in zip(panels[:, 0], ("image", "moved", "step", "adversarial")):
                panel.set_ylabel(row)
    p1.save(figure, folder / "p1_adversarial.png")


def plot_test_errors(x, y, p, folder):
    """The 20 most confident mistakes. x (N, 784) images, y (N,) true classes, p (N, 10)."""
    predicted, confidence = p.argmax(axis=1), p.max(axis=1)
    wrong = np.flatnonzero(predicted != y)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    figure, panels = plt.subplots(2, 10, figsize=(8.3, 2.7))
    for panel in panels.flat:
        panel.axis("off")
    for panel, index in zip(panels.flat, wrong):
        show(panel, x[index], f"{y[index]} as {predicted[index]}\n{confidence[index]:.1%}")
    figure.suptitle("The most confident mistakes: true class as predicted class, and the "
                    "probability of the latter", size=10)
    p1.save(figure, folder / "p1_test_errors.png")


def main():
    arguments = program.read(program.make_parser("Adversarial examples of problem 1's network."))
    network = read_network(program.ROOT / "outputs" / "p1_network_params.hdf5")
    x, y = load_images(p1.TRAIN_FILE, 1000)
    name, x_test, y_test = "the same again", x, y  # a smoke test leaves the test set unread
    if not arguments.quick:
        name = "test images"
        x_test, y_test = load_images(p1.TEST_FILE)
    rows = [{"images": "first 1,000 training images", **statistics(network, x, y)},
            {"images": name, **statistics(network, x_test, y_test)}]
    plot_adversarial(network, x, y, arguments.out)
    plot_test_errors(x_test, y_test, network.probabilities(x_test), arguments.out)
    p1.write_csv(arguments.out / "p1_adversarial.csv", rows[0], [row.values() for row in rows])


if __name__ == "__main__":
    program.run(main)

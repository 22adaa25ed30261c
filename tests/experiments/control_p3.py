"""Which ingredient of problem 3 does what to the weights, and is it Adam that makes the tails?

    python tests/experiments/control_p3.py      (about 4 minutes on two cores)

A and B differ in three things at once: units, L2, dropout. So C, D and E lie between them, and each
step changes one thing. A is trained by other optimizers, too: Adam divides each gradient by its own
usual size, SGD does not. In 40 epochs plain SGD moves the weights little; with momentum they become
about as wide as Adam's. How far do weights move from where they began, how wide and how
heavy-tailed do they become, and from which pixels are the tails? Layer 1, unless said otherwise.

Reads  data/fashion_mnist_traindata.hdf5; the test images are not needed
Writes p3_ingredients.csv, p3_optimizers.csv, p3_norms.png, p3_pixels.png
"""
import program

import p3_reg_histograms as p3  # first: it sets what TensorFlow reads when imported
import matplotlib.pyplot as plt
import numpy as np
from tensorflow import keras

from data.loader import load_images

NETWORKS = {
    "A": p3.NETWORKS["A"],
    "C": p3.Network(48),               # A with fewer units
    "D": p3.Network(48, l2=1e-4),      # C with L2
    "E": p3.Network(48, dropout=0.2),  # C with dropout
    "B": p3.NETWORKS["B"],             # C with both
}
# Name, epochs, optimizer: a function, as each training needs a new one. The first is A's in the
# script.
OPTIMIZERS = (
    ("Adam", 40, lambda: keras.optimizers.Adam(0.001)),
    ("Adam, stopped after 4 epochs", 4, lambda: keras.optimizers.Adam(0.001)),
    ("SGD 0.1", 40, lambda: keras.optimizers.SGD(0.1)),
    ("SGD 0.1, momentum 0.9", 40, lambda: keras.optimizers.SGD(0.1, momentum=0.9)),
)

RARELY = 0.1  # a pixel is rarely inked when it is above 0 in a smaller share of the training images
NEAR_ZERO = 0.01  # weights of a smaller size; initial standard deviations are 0.047 and more


def rarely_inked(x):
    """(784,) booleans. x (N, 784)."""
    return (x > 0).mean(axis=0) < RARELY


def rms(weights):
    """Root of the mean square: the usual size of a weight."""
    return np.sqrt((weights ** 2).mean())


def tails(living, rare):
    """How many weights of living units (784, units) are in the tails, and whence. rare (784,)."""
    beyond = np.abs(living) > 4 * living.std()
    from_rare = beyond[rare].sum() / max(beyond.sum(), 1)
    return {"weights beyond 4 sd": beyond.sum(),
            "of these from rarely inked pixels (%)": f"{100 * from_rare:.0f}"}


def ingredients_row(weights, rare):
    """Columns about p3.Weights; rare (784,) booleans."""
    W1, living = weights.trained[0], weights.trained[0][:, ~weights.dead]
    near_zero, living_near_zero = np.abs(W1) < NEAR_ZERO, np.abs(living) < NEAR_ZERO
    return {**p3.describe(weights), **tails(living, rare),
            "rarely inked pixels": rare.sum(), "of all pixels (%)": f"{100 * rare.mean():.0f}",
            "rms of weights from rarely inked pixels": f"{rms(living[rare]):.3f}",
            "rms of weights from other pixels": f"{rms(living[~rare]):.3f}",
            f"weights below {NEAR_ZERO} in size (%)": f"{100 * near_zero.mean():.1f}",
            f"living units: weights below {NEAR_ZERO} in size (%)":
                f"{100 * living_near_zero.mean():.1f}"}


def optimizers_row(weights, rare):
    """Columns about p3.Weights; rare (784,) booleans."""
    living = weights.trained[0][:, ~weights.dead]
    movement = (weights.trained[0] - weights.initial[0])[:, ~weights.dead]
    return {"rms movement of weights from rarely inked pixels": f"{rms(movement[rare]):.3f}",
            "rms movement of weights from other pixels": f"{rms(movement[~rare]):.3f}",
            "sd": f"{living.std():.3f}", "excess kurtosis": f"{p3.excess_kurtosis(living):.1f}",
            **tails(living, rare)}


def plot_norms(networks, folder):
    """The norm of each unit's incoming weights, before and after training. networks: {"A" or "B":
    p3.Weights}."""
    figure, panels = plt.subplots(1, 2, figsize=(8.3, 3.4), sharey=True)
    for axes, (name, weights) in zip(panels, networks.items()):
        before = np.linalg.norm(weights.initial[0], axis=0)
        after = np.linalg.norm(weights.trained[0], axis=0)
        order = np.argsort(-after, kind="stable")
        before, after, dead = before[order], after[order], weights.dead[order]
        place = np.arange(len(order))
        axes.plot(place, before, ".", color=p3.GREY, markersize=4, label="before training",
                  zorder=3)  # above the dead units, which hardly move
        axes.plot(place[~dead], after[~dead], "o", color=p3.BLUE, markersize=4,
                  label="after training")
        axes.plot(place[dead], after[dead], "o", color=p3.ORANGE, markersize=5,
                  label="after training, dead units")
        axes.set_xlabel("hidden units, sorted by norm after training")
        axes.set_title(p3.TITLES[name], size=10)
    panels[0].set_ylabel("norm of incoming weights")
    panels[0].set_ylim(bottom=-0.3)  # so that norms of 0 are seen
    panels[1].legend()
    p3.save(figure, folder / "p3_norms.png")


def plot_pixels(networks, x, folder):
    """How large the living units' weights from each pixel are, beside how often it is inked."""
    figure, panels = plt.subplots(1, 3, figsize=(8.3, 3.3))
    inked = (x > 0).mean(axis=0).reshape(28, 28)
    sizes = {}
    for name, weights in networks.items():
        living = weights.trained[0][:, ~weights.dead]
        sizes[name] = np.sqrt((living ** 2).mean(axis=1)).reshape(28, 28)
    largest = max(size.max() for size in sizes.values())
    for axes, (name, size) in zip(panels, sizes.items()):
        image = axes.imshow(size, cmap="inferno", vmin=0, vmax=largest)
        axes.set_title(p3.TITLES[name].replace(": ", "\n"), size=10)
    figure.colorbar(image, ax=panels[:2], location="bottom", aspect=30, shrink=0.7,
                    label="rms of the weights from the pixel")
    share = panels[2].imshow(100 * inked, cmap="gray", vmin=0, vmax=100)
    panels[2].set_title("training images\nwith ink in the pixel", size=10)
    figure.colorbar(share, ax=panels[2], location="bottom", label="%")
    for axes in panels:
        axes.contour(inked < RARELY, [0.5], colors="#56B4E9", linewidths=1)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    p3.save(figure, folder / "p3_pixels.png")


def main():
    arguments = program.read(program.make_parser("Problem 3's ingredients and optimizers."))
    epochs_at_most = 40
    if arguments.quick:
        p3.TRAIN_IMAGES, p3.VALIDATION_IMAGES, p3.SEEDS, epochs_at_most = 1000, 200, (0,), 2
    x, y = load_images(p3.TRAIN_FILE, p3.TRAIN_IMAGES + p3.VALIDATION_IMAGES)
    x, x_validation = x[:p3.TRAIN_IMAGES], x[p3.TRAIN_IMAGES:]
    y, y_validation = y[:p3.TRAIN_IMAGES], y[p3.TRAIN_IMAGES:]
    rare = rarely_inked(x)

    def train(network, seed, epochs, optimizer):
        """p3.Weights, and columns about accuracy and cross-entropy."""
        p3.EPOCHS, p3.OPTIMIZER = min(epochs, epochs_at_most), optimizer()
        initial, model = p3.train(network, seed, x, y)
        trained = model.get_weights()
        training, _ = p3.judge(model, x, y)
        validation, cross_entropy = p3.judge(model, x_validation, y_validation)
        costs = {"training accuracy (%)": f"{100 * training:.2f}",
                 "validation accuracy (%)": f"{100 * validation:.2f}",
                 "validation cross-entropy (nats)": f"{cross_entropy:.4f}"}
        return p3.Weights(initial, trained, p3.dead_units(trained, x)), costs

    ingredients, optimizers, shown = [], [], {}
    for name, network in NETWORKS.items():
        for seed in p3.SEEDS:
            print(f"{name}, seed {seed}", flush=True)
            weights, costs = train(network, seed, *OPTIMIZERS[0][1:])
            ingredients.append({"network": name, "seed": seed, "units": network.units,
                                "L2": network.l2, "dropout": network.dropout,
                                **ingredients_row(weights, rare), **costs})
            if name == "A":
                optimizers.append({"optimizer": OPTIMIZERS[0][0], "seed": seed,
                                   **optimizers_row(weights, rare), **costs})
            if name in p3.TITLES and seed == p3.SEEDS[0]:
                shown[name] = weights
    for name, epochs, optimizer in OPTIMIZERS[1:]:
        for seed in p3.SEEDS:
            print(f"A, {name}, seed {seed}", flush=True)
            weights, costs = train(NETWORKS["A"], seed, epochs, optimizer)
            optimizers.append({"optimizer": name, "seed": seed, **optimizers_row(weights, rare),
                               **costs})

    plot_norms(shown, arguments.out)
    plot_pixels(shown, x, arguments.out)
    for name, rows in (("p3_ingredients.csv", ingredients), ("p3_optimizers.csv", optimizers)):
        p3.write_csv(arguments.out / name, rows[0], [row.values() for row in rows])


if __name__ == "__main__":
    program.run(main)

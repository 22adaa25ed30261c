"""Problem 3: the networks, dead units, and the histograms' arithmetic."""
import numpy as np
import pytest
from conftest import write_images

import p3_reg_histograms as p3


@pytest.mark.parametrize("name, units, rate, l2", [("A", 128, 0, 0), ("B", 48, 0.2, 1e-4),
                                                   ("C", 128, 0.2, 1e-4), ("D", 48, 0, 0)])
def test_networks_are_the_homeworks_and_the_controls(name, units, rate, l2):
    hidden, dropout, output = p3.build(*p3.NETWORKS[name]).layers
    assert (hidden.units, dropout.rate, output.units) == (units, rate, 10)
    assert hidden.activation.__name__ == "relu" and p3.EPOCHS == 40
    assert p3.title_of(name) == f"{name}: {units} units, " + (
        "L2 0.0001, dropout 0.2" if l2 else "no regularization")
    for layer in (hidden, output):
        for regularizer in (layer.kernel_regularizer, layer.bias_regularizer):
            assert regularizer is None if not l2 else regularizer.l2 == pytest.approx(l2)


def test_training_repeats_and_measures_the_validation_images(tmp_path):
    images, labels, _ = p3.load_images(write_images(tmp_path / "f.hdf5", 400))
    initial, weights, history = p3.train("B", 0, images, labels, 300, 2)
    again = p3.train("B", 0, images, labels, 300, 2)
    for one, other in zip(initial + weights, again[0] + again[1]):
        assert np.array_equal(one, other)
    W1, b1, W2, b2 = weights
    predicted = (np.maximum(images[300:] @ W1 + b1, 0) @ W2 + b2).argmax(axis=1)
    right = (predicted == labels[300:]).mean()
    assert history["val_accuracy"][-1] == pytest.approx(right, abs=0.011)


def test_dead_units_are_active_on_hardly_any_image_and_told_from_living_ones():
    rng = np.random.default_rng(0)
    images, W1, b1 = rng.random((500, 784)), rng.normal(size=(784, 6)), np.ones(6)
    W1[:, [1, 5]], b1[[1, 5]] = 0.005, -100  # never active on pixels of 0 to 1
    dead = p3.dead_units([W1, b1], images)
    assert np.flatnonzero(dead).tolist() == [1, 5]
    W2 = rng.normal(size=(6, 10))
    row, living = p3.describe([W1, b1, W2, None], dead), np.delete(W1, [1, 5], axis=1)
    assert row["units"] == 6 and row["dead units"] == 2
    for name, weights in (("layer 1", W1), ("layer 1 living units", living), ("layer 2", W2)):
        assert float(row[f"{name}: standard deviation"]) == pytest.approx(weights.std(), abs=1e-4)
    near_zero = 100 * (np.abs(W1) < 0.01).mean()
    assert float(row["layer 1: below 0.01 in size (%)"]) == pytest.approx(near_zero, abs=0.1)
    assert near_zero > 33 > 2 > float(row["layer 1 living units: below 0.01 in size (%)"])


def test_excess_kurtosis_is_that_of_known_distributions():
    rng = np.random.default_rng(0)
    for weights, known in ((rng.normal(3, 2, 10 ** 6), 0), (rng.uniform(-1, 5, 10 ** 6), -1.2),
                           (rng.laplace(1, 3, 10 ** 6), 3)):
        assert p3.excess_kurtosis(weights) == pytest.approx(known, abs=0.1)


def random_networks():
    rng = np.random.default_rng(0)
    networks = {}
    for name, units in (("A", 6), ("B", 4)):
        initial, trained = ([rng.normal(size=(784, units)) * scale, None,
                             rng.normal(size=(units, 10)), None] for scale in (1, units))
        dead = np.arange(units) < 2
        trained[0][:, dead], trained[2][dead] = 0.001, 0.9  # told by their values
        networks[name] = initial, trained, dead
    return networks


def area(patch, low=-np.inf, high=np.inf):
    density, edges, _ = patch.get_data()
    middle = (edges[1:] + edges[:-1]) / 2
    return (density * np.diff(edges))[(middle > low) & (middle < high)].sum()


@pytest.mark.parametrize("view", p3.VIEWS)
def test_histograms_are_densities_in_shared_bins_on_shared_axes(view):
    figure, panels = p3.plt.subplots(1, 2)
    p3.draw_histograms(dict(zip("AB", panels)), view, random_networks())
    assert panels[0].get_xlim() == panels[1].get_xlim()
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert (panels[0].get_yscale() == "log") == ("log scale" in view)
    for axes, dead_share in zip(panels, (2 / 6, 2 / 4)):
        trained, dead, initial = axes.patches
        assert [patch.get_label() for patch in axes.patches] == [
            "trained", "of these: dead units", "before training"]
        assert np.array_equal(trained.get_data()[1], panels[0].patches[0].get_data()[1])
        assert area(dead) == pytest.approx(dead_share)
        if "middle" not in view:  # which leaves out what is beyond its range
            assert area(trained) == pytest.approx(1) == area(initial)
        value = 0.001 if "layer 1" in view else 0.9
        assert area(dead, value - 0.2, value + 0.2) == pytest.approx(dead_share)
    p3.plt.close(figure)

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
    for layer in (hidden, output):
        for regularizer in (layer.kernel_regularizer, layer.bias_regularizer):
            assert regularizer is None if not l2 else regularizer.l2 == pytest.approx(l2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = write_images(tmp_path_factory.mktemp("p3") / "f.hdf5", 400)
    images, labels, _ = p3.load_images(path)
    return images, labels, *p3.train("B", 0, images, labels, 300, 2)


def test_training_repeats_and_measures_the_validation_images(trained):
    images, labels, initial, weights, history = trained
    again = p3.train("B", 0, images, labels, 300, 2)
    for one, other in zip(initial + weights, again[0] + again[1]):
        assert np.array_equal(one, other)
    W1, b1, W2, b2 = weights
    predicted = (np.maximum(images[300:] @ W1 + b1, 0) @ W2 + b2).argmax(axis=1)
    right = (predicted == labels[300:]).mean()
    assert history["val_accuracy"][-1] == pytest.approx(right, abs=0.011)


def test_analysis_tells_dead_units_from_living_ones(trained):
    images, _, initial, weights, history = trained
    W1, b1, W2, b2 = [array.copy() for array in weights]
    W1[:, [1, 5]], b1[:] = 0.005, 1
    b1[[1, 5]] = -100  # never active on pixels of 0 to 1
    row = p3.analyse("B", 0, initial, [W1, b1, W2, b2], history, images)
    living = np.delete(W1, [1, 5], axis=1)
    assert row["dead_units"] == [1, 5] and row["dead"] == 2 and row["units"] == 48
    assert row["standard_deviation_1"] == pytest.approx(W1.std(), rel=1e-5)
    assert row["standard_deviation_1_living"] == pytest.approx(living.std(), rel=1e-5)
    assert row["near_zero_1"] > row["near_zero_1_living"] == (np.abs(living) < 0.01).mean()
    assert row["norms"] == pytest.approx(np.linalg.norm(W1, axis=0).tolist())
    assert row["largest"] == pytest.approx([np.abs(W1).max(), np.abs(W2).max()])
    assert row["train_accuracy"] == history["accuracy"][-1]
    assert row["validation_accuracy"] == history["val_accuracy"][-1]


def random_networks():
    rng = np.random.default_rng(0)
    networks = {name: (*([rng.normal(size=(784, n)) * scale, None, rng.normal(size=(n, 10)), None]
                     for scale in (1, n)), [1, 2]) for name, n in (("A", 6), ("B", 4))}
    for _, trained, dead in networks.values():
        trained[0][:, dead] = 0.001  # told by their values
    return networks


def test_histograms_share_bins_and_count_every_weight():
    views = p3.histograms(random_networks())
    for view in ("layer 1", "layer 2"):
        for name in "AB":
            for part in ("trained", "initial"):
                assert sum(views[view][name][part]) == pytest.approx(1)
        edges = np.array(views[view]["edges"])
        assert edges == pytest.approx(-edges[::-1])
    assert sum(views["layer 1"]["A"]["dead"]) == pytest.approx(2 / 6)
    assert sum(views["layer 1"]["B"]["dead"]) == pytest.approx(2 / 4)
    zero = np.searchsorted(views["layer 1"]["edges"], 0.001) - 1
    assert views["layer 1"]["A"]["dead"][zero] == pytest.approx(2 / 6)
    assert sum(views["layer 2"]["B"]["dead"]) == pytest.approx(2 / 4)
    assert views["layer 1, middle"]["edges"][-1] == 0.25


def test_histogram_axes_are_the_same_for_a_and_b():
    views = p3.histograms(random_networks())
    for view in views:
        figure, panels = p3.plt.subplots(1, 2)
        for axes, name in zip(panels, "AB"):
            p3.draw_histogram(axes, views, view, name)
        assert panels[0].get_xlim() == panels[1].get_xlim()
        assert panels[0].get_ylim() == panels[1].get_ylim()
        p3.plt.close(figure)


def test_border_is_the_outermost_two_rows_and_columns():
    W1, images = np.full((784, 3), 0.1), np.zeros((5, 784))
    W1[[0, 27, 56, 783], 1] = 2
    W1[28 * 14 + 14, 0] = -3
    images[:, 28 * 14] = 0.5
    found = p3.border(W1, images, largest=5)
    assert found["pixels"] == pytest.approx(1 - 24 * 24 / 784)
    assert found["of_largest_weights"] == pytest.approx(4 / 5)
    assert found["lit"] == pytest.approx(1 / (784 - 576)) and found["lit_inside"] == 0

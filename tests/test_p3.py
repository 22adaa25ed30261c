"""Problem 3: the networks, their training, the numbers of the table, and the histograms."""
import csv

import h5py
import numpy as np
import pytest
from conftest import assert_each_epoch_has_its_own_order, recording, run_main
from matplotlib.axes import Axes

import p3_reg_histograms as p3


@pytest.mark.parametrize("name, units, dropout, l2", [
    ("A", 128, 0, 0), ("C", 48, 0, 0), ("D", 48, 0, 1e-4), ("E", 48, 0.2, 0), ("B", 48, 0.2, 1e-4)])
def test_networks_are_the_homeworks_and_the_controls(name, units, dropout, l2):
    hidden, dropped, output = p3.build(*p3.NETWORKS[name]).layers
    assert (hidden.units, dropped.rate, output.units) == (units, dropout, 10)
    assert hidden.activation.__name__ == "relu" and p3.EPOCHS == 40
    for layer in (hidden, output):
        for regularizer in (layer.kernel_regularizer, layer.bias_regularizer):
            if l2:
                assert regularizer.l2 == pytest.approx(l2)
            else:
                assert regularizer is None


# Training

@pytest.fixture
def small(monkeypatch):
    """x (600, 784), y; the first pixel numbers the image."""
    monkeypatch.setattr(p3, "EPOCHS", 2)
    rng = np.random.default_rng(0)
    x = rng.random((600, 784), dtype=np.float32)
    x[:, 0] = np.arange(600) / 600
    return x, rng.integers(0, 10, 600)


def test_each_epoch_trains_on_all_training_images_in_a_new_order(small, monkeypatch):
    seen, build = [], p3.build
    monkeypatch.setattr(p3, "build", lambda *network: recording(p3.tf, build(*network), seen))
    p3.train("B", 0, *small)
    assert_each_epoch_has_its_own_order(seen, small[0], epochs=2)


def test_training_repeats_from_its_seed_and_begins_where_it_says(small, monkeypatch):
    initial, model = p3.train("B", 0, *small)
    _, same = p3.train("B", 0, *small)
    for weights, equal in zip(model.get_weights(), same.get_weights()):
        assert np.array_equal(weights, equal)
    p3.keras.utils.set_random_seed(0)
    for weights, equal in zip(initial, p3.build(*p3.NETWORKS["B"]).get_weights()):
        assert np.array_equal(weights, equal)
    W1, b1, W2, b2 = model.get_weights()
    x, y = small
    predicted = (np.maximum(x @ W1 + b1, 0) @ W2 + b2).argmax(axis=1)
    assert p3.accuracy(model, x, y) == pytest.approx((predicted == y).mean(), abs=0.004)


class Untrained:
    def __init__(self, weights):
        self.get_weights = lambda: weights


def test_networks_train_on_the_first_images_and_validate_on_the_others(
        project, monkeypatch, tmp_path):
    path = project / "data" / p3.TRAIN_FILE.name
    with h5py.File(path) as file:
        x, y = file["xdata"][:1200], file["ydata"][:1200].argmax(axis=1)
    trained = []

    def train(name, seed, x_train, y_train):
        assert np.array_equal(x_train, x[:1000]) and np.array_equal(y_train, y[:1000])
        trained.append(name)
        weights = p3.build(*p3.NETWORKS[name]).get_weights()
        return weights, Untrained(weights)

    def accuracy(model, images, classes):
        if len(images) == 1000:
            assert np.array_equal(images, x[:1000]) and np.array_equal(classes, y[:1000])
            return 0.75
        assert np.array_equal(images, x[1000:]) and np.array_equal(classes, y[1000:])
        return 0.5
    monkeypatch.setattr(p3, "TRAIN_FILE", path)
    monkeypatch.setattr(p3, "train", train)
    monkeypatch.setattr(p3, "accuracy", accuracy)
    run_main(monkeypatch, p3, "--quick", "--out", tmp_path)
    assert trained == ["A", "C", "D", "E", "B"]
    with (tmp_path / "p3_weights.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == trained
    for row in rows:
        assert float(row["training accuracy (%)"]) == 75
        assert float(row["validation accuracy (%)"]) == 50


# The table

def test_dead_units_are_active_on_hardly_any_image():
    x = np.random.default_rng(0).random((500, 784))
    W1, b1 = np.full((784, 4), 0.01), np.array([0, -100, 0, -100])
    assert p3.dead_units([W1, b1], x).tolist() == [False, True, False, True]


def test_rarely_inked_pixels_are_above_0_in_few_images():
    x = np.zeros((100, 3))
    x[:9, 0], x[:11, 1], x[:, 2] = 1, 0.01, 1
    assert p3.rarely_inked(x).tolist() == [True, False, False]


def test_excess_kurtosis_is_that_of_known_distributions():
    rng = np.random.default_rng(0)
    for weights, known in ((rng.normal(3, 2, 10 ** 6), 0), (rng.uniform(-1, 5, 10 ** 6), -1.2),
                           (rng.laplace(1, 3, 10 ** 6), 3)):
        assert p3.excess_kurtosis(weights) == pytest.approx(known, abs=0.1)


def test_numbers_of_the_table():
    """Three living units with weights of 0.1 and four large ones, and a dead unit."""
    W1 = np.full((784, 4), 0.1)
    W1[::2] *= -1
    W1[:, 1] = 0.001
    W1[[0, 1, 2, 700], [0, 2, 3, 0]] = 1
    dead, rare = np.arange(4) == 1, np.arange(784) < 100
    W2 = np.array([[1.0] * 10, [-1.0] * 10])
    living = W1[:, [0, 2, 3]]
    row = {name: float(value) for name, value in p3.describe([W1, None, W2, None], dead,
                                                             rare).items()}
    (units, number_of_dead, sd, kurtosis, from_rare, from_others, beyond, share_of_rare,
     near_zero, living_near_zero, sd_2, kurtosis_2) = row.values()
    assert (units, number_of_dead) == (4, 1)
    assert sd == pytest.approx(living.std(), abs=5e-4)
    assert kurtosis == pytest.approx(p3.excess_kurtosis(living), abs=0.05)
    assert from_rare == pytest.approx(((297 * 0.01 + 3) / 300) ** 0.5, abs=5e-4)
    assert from_others == pytest.approx(((2051 * 0.01 + 1) / 2052) ** 0.5, abs=5e-4)
    assert (beyond, share_of_rare) == (4, 75)
    assert (near_zero, living_near_zero) == (25, 0)
    assert (sd_2, kurtosis_2) == (1, -2)  # two values, equally often


# The pictures

@pytest.fixture
def networks():
    """A with 6 units, B with 4, of which two are dead: their weights are 0.001 and 0.9."""
    rng = np.random.default_rng(0)
    made = {}
    for name, units in (("A", 6), ("B", 4)):
        dead = np.arange(units) < 2
        initial = [rng.normal(size=(784, units)), None, rng.normal(size=(units, 10)), None]
        trained = [units / 4 * initial[0], None, units / 4 * initial[2], None]
        trained[0][:, dead], trained[2][dead] = 0.001, 0.9
        made[name] = initial, trained, dead
    return made


@pytest.fixture
def figures(monkeypatch):
    """{name of the file: figure} of what a function would have saved."""
    kept = {}
    monkeypatch.setattr(p3, "save", lambda figure, path: kept.update({path.name: figure}))
    yield kept
    p3.plt.close("all")


def area(density, edges, low=-np.inf, high=np.inf):
    middle = (edges[1:] + edges[:-1]) / 2
    return (density * np.diff(edges))[(middle > low) & (middle < high)].sum()


def test_histograms_are_densities_with_the_share_of_dead_units(
        networks, figures, monkeypatch, tmp_path):
    drawn, hist = [], Axes.hist

    def recorded(axes, *arguments, **options):
        densities, edges, patches = hist(axes, *arguments, **options)
        drawn.append((axes, densities, edges))
        return densities, edges, patches
    monkeypatch.setattr(Axes, "hist", recorded)
    p3.plot_histograms(networks, tmp_path)
    assert len(drawn) == 32  # in 16 panels: after training, and before
    for (axes, (dead, all_units), edges), (same, initial, _) in zip(drawn[::2], drawn[1::2]):
        assert same is axes
        assert area(all_units, edges) == pytest.approx(1) == area(initial, edges)
        share = area(dead, edges)
        assert share == pytest.approx(2 / 6) or share == pytest.approx(2 / 4)
        weights_of_dead = area(dead, edges, -0.2, 0.2) + area(dead, edges, 0.7, 1.1)
        assert weights_of_dead == pytest.approx(share)


def test_histograms_of_both_networks_have_the_same_bins_and_axes(networks, figures, tmp_path):
    p3.plot_histograms(networks, tmp_path)
    pairs = [row for row in np.reshape(figures["p3_histograms.png"].axes, (4, 2))]
    for layer in (1, 2):
        pairs += zip(figures[f"p3_hist_A_layer{layer}.png"].axes,
                     figures[f"p3_hist_B_layer{layer}.png"].axes)
    assert len(pairs) == 8
    for of_A, of_B in pairs:
        assert of_A.get_xlim() == of_B.get_xlim() and of_A.get_ylim() == of_B.get_ylim()
        assert of_A.get_yscale() == of_B.get_yscale()
        borders_A, borders_B = ({*patch.get_xy()[:, 0].round(9)} for axes in (of_A, of_B)
                                for patch in axes.patches[-1:])
        assert borders_A == borders_B


def test_norms_are_those_of_incoming_weights_with_dead_units_apart(networks, figures, tmp_path):
    p3.plot_norms(networks, tmp_path)
    for axes, name in zip(figures["p3_norms.png"].axes, "AB"):
        initial, trained, dead = networks[name]
        before, after, after_dead = (line.get_ydata() for line in axes.get_lines())
        for drawn, weights in ((before, initial[0]), (after, trained[0][:, ~dead]),
                               (after_dead, trained[0][:, dead])):
            norms = np.sqrt((weights ** 2).sum(axis=0))
            np.testing.assert_allclose(np.sort(drawn), np.sort(norms))


def test_pixels_show_living_weights_on_one_scale(networks, figures, tmp_path):
    x = np.zeros((10, 784))
    x[:7, 30] = 0.5
    p3.plot_pixels(networks, x, tmp_path)
    of_A, of_B, inked = (axes.images[0] for axes in figures["p3_pixels.png"].axes[:3])
    assert of_A.get_clim() == of_B.get_clim()
    for image, name in ((of_A, "A"), (of_B, "B")):
        _, trained, dead = networks[name]
        sizes = np.sqrt((trained[0][:, ~dead] ** 2).mean(axis=1))
        np.testing.assert_allclose(image.get_array().ravel(), sizes)
    assert inked.get_array()[1, 2] == 70 and inked.get_array().sum() == 70

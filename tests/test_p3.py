"""Problem 3: the networks and their training, the numbers of the table, and what a run draws and
writes of networks that are known."""
from types import SimpleNamespace

import control_p3
import numpy as np
import pytest
from conftest import (assert_each_epoch_has_its_own_order, assert_legend, images_in, known_run,
                      on_small_data, recording, table)

import p3_reg_histograms as p3


@pytest.mark.parametrize("name, units, dropout, l2", [
    ("A", 128, 0, 0), ("C", 48, 0, 0), ("D", 48, 0, 1e-4), ("E", 48, 0.2, 0), ("B", 48, 0.2, 1e-4)])
def test_networks_are_the_homeworks_and_the_controls(name, units, dropout, l2):
    assert p3.NETWORKS == {name: control_p3.NETWORKS[name] for name in "AB"}
    hidden, dropped, output = p3.build(control_p3.NETWORKS[name]).layers
    assert (hidden.units, dropped.rate, output.units) == (units, dropout, 10)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "softmax"
    for layer in (hidden, output):
        for regularizer in (layer.kernel_regularizer, layer.bias_regularizer):
            assert regularizer is None if not l2 else regularizer.l2 == pytest.approx(l2)


def test_training_meets_all_images_in_a_new_order_in_each_epoch(monkeypatch, capsys):
    """B, for 20 epochs, on images whose first pixel numbers them."""
    rng = np.random.default_rng(0)
    x, y = rng.random((600, 784), dtype=np.float32), rng.integers(0, 10, 600)
    x[:, 0] = np.arange(600) / 600
    seen, build, network = [], p3.build, p3.NETWORKS["B"]
    monkeypatch.setattr(p3, "build", lambda network: recording(p3.tf, build(network), seen))
    monkeypatch.setattr(p3, "EPOCHS", 20)
    initial, model = p3.train(network, 0, x, y)
    assert_each_epoch_has_its_own_order(seen, x, epochs=20)
    assert [len(minibatch) for minibatch in seen] == 20 * [128, 128, 128, 128, 88]
    assert isinstance(model.optimizer, p3.keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    _, hidden, dropped, _ = model.layers
    assert (hidden.units, dropped.rate) == (48, 0.2)
    assert hidden.kernel_regularizer.l2 == pytest.approx(1e-4)
    line, = capsys.readouterr().out.splitlines()  # one every twenty epochs
    assert "20" in line and "accuracy" in line

    p3.keras.utils.set_random_seed(0)
    for weights, same in zip(initial, build(network).get_weights()):
        assert np.array_equal(weights, same)
    _, again = p3.train(network, 0, x, y)
    for weights, same in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_allclose(weights, same, atol=1e-5)

    # Judged without dropout and penalty.
    W1, b1, W2, b2 = model.get_weights()
    exponentials = np.exp(np.maximum(x @ W1 + b1, 0) @ W2 + b2)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    labels = p.argmax(axis=1)
    labels[:100] = (labels[:100] + 1) % 10
    accuracy, cross_entropy = p3.judge(model, x, labels)
    assert accuracy == pytest.approx(5 / 6, abs=0.004)
    assert cross_entropy == pytest.approx(-np.log(p[np.arange(600), labels]).mean(), rel=1e-4)


# The numbers of the table

def test_dead_units_are_active_on_less_than_one_image_of_10_000():
    """Units that are active on all images, on one, on none; the last is at 0 on all."""
    x = np.zeros((10_000, 1))
    x[7] = 1
    W1, b1 = np.array([[0, 2, 0.5, 0]]), np.array([1, -1, -1, 0])
    assert p3.dead_units([W1, b1, None, None], x).tolist() == [False, False, True, True]


def test_excess_kurtosis_is_that_of_known_distributions():
    rng = np.random.default_rng(0)
    for weights, known in ((rng.normal(3, 2, 10 ** 6), 0), (rng.uniform(-1, 5, 10 ** 6), -1.2),
                           (rng.laplace(1, 3, 10 ** 6), 3)):
        assert p3.excess_kurtosis(weights) == pytest.approx(known, abs=0.1)


def test_numbers_of_the_table_are_of_living_units_in_layer_1():
    W1 = np.random.default_rng(0).normal(0, 0.1, (784, 4))
    W1[:, 1] = 7
    living, W2 = W1[:, [0, 2, 3]], np.array([[2.0] * 10, [-1.0] * 10])
    row = p3.describe(p3.Weights([], [W1, None, W2, None], np.arange(4) == 1))
    assert {name: float(value) for name, value in row.items()} == {
        "dead units": 1, "layer 1 sd": round(living.std(), 3),
        "layer 1 excess kurtosis": round(p3.excess_kurtosis(living), 1),
        "layer 2 sd": 1.5, "layer 2 excess kurtosis": -2}  # two values, equally often


# A run with trainings that are known

FIRST = p3.SEEDS[0]


def known_training(name, seed):
    """Results of a training that differ by network and seed. Dead units, which are the first, say
    nothing of the training images, but wake on pixel 720."""
    number = 2 * "AB".index(name) + seed
    units = p3.NETWORKS[name].units
    rng = np.random.default_rng(number)
    width = 1 if seed == FIRST else 3  # the first are drawn
    initial = [rng.normal(0, 0.5, (784, units)), np.zeros(units),
               rng.normal(0, 0.5, (units, 10)), np.zeros(10)]
    trained = [rng.normal(0, width, (784, units)), np.full(units, 100.0),
               rng.normal(0, width, (units, 10)), np.zeros(10)]
    dead = np.arange(units) < 2 + number
    trained[0][:, dead] *= 0.01
    trained[0][:720, dead] = 0
    trained[0][720, dead], trained[1][dead] = 1, -0.5
    judged = {2000: (0.95 - number / 1000, 0.1), 500: (0.85 - number / 500, 0.3 + number / 500)}
    return SimpleNamespace(initial=initial, trained=trained, dead=dead, judged=judged,
                           get_weights=lambda: trained)


def prepare(monkeypatch, project):
    """Small files and known trainings; judged by how many images there are."""
    _, events = on_small_data(monkeypatch, 3, project)

    def train(network, seed, x, y):
        name, = (name for name in "AB" if p3.NETWORKS[name] == network)
        events.append((name, seed, x, y))
        training = known_training(name, seed)
        return training.initial, training

    def judge(model, x, y):
        events.append((x, y))
        return model.judged.get(len(x), (0, 0))
    monkeypatch.setattr(p3, "train", train)
    monkeypatch.setattr(p3, "judge", judge)
    return p3, events


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    return known_run(3, prepare, project, tmp_path_factory.mktemp("run"))


def test_each_training_and_its_row_of_the_table(run, project):
    x, y = images_in(project, "fashion_mnist_train")
    _, *events = run.events
    rows = iter(table(run.out / "p3_weights.csv"))
    for name in "AB":
        for seed in (0, 1):
            trained, judged_first, judged_second = events[:3]
            del events[:3]
            assert trained[:2] == (name, seed)
            for found, images, classes in ((trained[2:], x[:2000], y[:2000]),
                                           (judged_first, x[:2000], y[:2000]),
                                           (judged_second, x[2000:], y[2000:])):
                assert np.array_equal(found[0], images) and np.array_equal(found[1], classes)
            training = known_training(name, seed)
            numbers = p3.describe(p3.Weights(training.initial, training.trained, training.dead))
            accuracy, _ = training.judged[2000]
            validation, cross_entropy = training.judged[500]
            assert next(rows) == {
                "network": name, "seed": str(seed),
                **{column: str(value) for column, value in numbers.items()},
                "training accuracy (%)": f"{100 * accuracy:.2f}",
                "validation accuracy (%)": f"{100 * validation:.2f}",
                "gap (points)": f"{100 * (accuracy - validation):.1f}",
                "validation cross-entropy (nats)": f"{cross_entropy:.4f}"}
    assert events == list(rows) == []
    assert run.results == {"quick": False, "batch_size": 128, "epochs": 40, "train_images": 2000,
                           "validation_images": 500}


# Its picture: A and B, first seed

def outline(axes, label):
    """Borders of the bins and heights of the histogram with this label."""
    polygon, = (patch for patch in axes.patches if patch.get_label() == label)
    x, y = polygon.get_xy().T
    borders = np.unique(x)
    return borders, y[1:2 * len(borders) - 2:2]


def matrices(name, layer):
    """A layer's weights before and after training, units first, and which units are dead."""
    training = known_training(name, FIRST)
    if layer == 1:
        return training.initial[0].T, training.trained[0].T, training.dead
    return training.initial[2], training.trained[2], training.dead


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("name", "AB")
def test_histograms_are_densities_before_and_after_training_with_dead_units_apart(
        run, name, layer):
    before, after, dead = matrices(name, layer)
    reach = max(np.abs(weights).max() for other in "AB" for weights in matrices(other, layer)[:2])
    figure = run.figures["p3_histograms.png"]
    panels = np.reshape(figure.axes, (4, 2))[2 * layer - 2:2 * layer]
    for pair, bins, scale in zip(panels, p3.BINS[layer], ("log", "linear"), strict=True):
        axes = pair["AB".index(name)]
        edges = np.linspace(-reach, reach, bins + 1)
        of_all, _ = np.histogram(after, edges, density=True)
        of_dead, _ = np.histogram(after[dead], edges, density=True)
        initial, _ = np.histogram(before, edges, density=True)
        for label, heights in (("after training, all units", of_all),
                               ("after training, dead units", of_dead * dead.mean()),
                               ("before training", initial)):
            borders, drawn = outline(axes, label)
            np.testing.assert_allclose(borders, edges, atol=1e-12)
            np.testing.assert_allclose(drawn, heights, atol=1e-12)
        assert pair[0].get_xlim() == pair[1].get_xlim() and axes.get_yscale() == scale
        assert pair[0].get_ylim() == pair[1].get_ylim()
        assert f"{name}, layer {layer}" in axes.get_title()
        if scale == "linear":
            assert axes.get_xlim() == (-p3.MIDDLE[layer], p3.MIDDLE[layer])
    assert panels[0, "AB".index(name)].get_title().startswith(p3.TITLES[name]) == (layer == 1)
    assert_legend(figure, axes)

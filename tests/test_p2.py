"""Problem 2: the network, its training, and all that a run makes of five networks' predictions."""
import re
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import (assert_curve, assert_each_epoch_has_its_own_order, assert_legend, images_in,
                      known_run, on_small_data, recording, table)

import p2_confusion as p2


def test_network_is_the_homeworks():
    model = p2.build()
    hidden, dropout, output = model.layers
    assert model.input_shape == (None, 784) and hidden.units == 100 and output.units == 10
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "softmax"
    assert dropout.rate == 0.3
    for layer in (hidden, output):
        for regularizer in (layer.kernel_regularizer, layer.bias_regularizer):
            assert regularizer.l2 == pytest.approx(1e-4)


def test_training_draws_new_minibatches_in_each_epoch_and_ends_at_learning_rate_zero(
        monkeypatch, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.random((700, 784), dtype=np.float32), rng.integers(0, 10, 700)
    x[:, 0] = np.arange(700) / 700  # numbers the image
    seen, initial, build = [], [], p2.build

    def recording_build():
        model = build()
        initial.extend(model.get_weights())
        return recording(p2.tf, model, seen)
    monkeypatch.setattr(p2, "build", recording_build)
    monkeypatch.setattr(p2, "EPOCHS", 39)
    model, history = p2.train(3, x[:600], y[:600], x[600:], y[600:])

    p2.keras.utils.set_random_seed(3)
    assert np.array_equal(initial[0], build().get_weights()[0])
    assert_each_epoch_has_its_own_order(seen, x[:600], epochs=39)
    assert [len(batch) for batch in seen] == 39 * [128, 128, 128, 128, 88]

    schedule = model.optimizer.get_config()["learning_rate"]["config"]
    assert schedule["initial_learning_rate"] == 0.001 and schedule["decay_steps"] == len(seen)
    assert isinstance(model.optimizer, p2.keras.optimizers.Adam)
    assert model.optimizer.learning_rate < 1e-9

    assert {"accuracy", "loss", "val_loss"} < history.keys()
    right = model.predict(x[600:], verbose=0).argmax(axis=1) == y[600:]
    assert history["val_accuracy"][-1] == pytest.approx(right.mean())
    line, = capsys.readouterr().out.splitlines()  # one every twenty epochs
    accuracy = f"{100 * history['val_accuracy'][19]:.2f}"
    assert re.findall(r"[\d.]+", line) == ["3", "20", "39", accuracy]


# A run, with networks whose predictions are known and differ by seed

class Known:
    """A network that has its own habits of taking one class for another."""
    def __init__(self, seed):
        self.seed = seed

    def predict(self, x, batch_size=None, verbose=0):
        rng = np.random.default_rng((self.seed, 2))
        habits = rng.dirichlet(np.full(10, 0.3), 10)
        blocks = x[:, :700].reshape(-1, 10, 70)  # of write_images(): the lightest is the class
        predicted = [rng.choice(10, p=habits[m]) for m in blocks.mean(axis=2).argmax(axis=1)]
        p = rng.random((len(x), 10))
        p[np.arange(len(x)), predicted] += 1
        return p / p.sum(axis=1, keepdims=True)


def history_of(seed):
    rng = np.random.default_rng(seed)
    return {key: rng.random(3).tolist() for key in ("accuracy", "loss", "val_accuracy", "val_loss")}


def prepare(monkeypatch, project):
    """Small files and known trainings."""
    _, events = on_small_data(monkeypatch, 2, project)

    def train(seed, *arrays):
        events.append((seed, *arrays))
        return Known(seed), history_of(seed)
    monkeypatch.setattr(p2, "train", train)
    return p2, events


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    run = known_run(2, prepare, project, tmp_path_factory.mktemp("run"))
    run.x, run.y = images_in(project, "fashion_mnist_test")
    run.p = [Known(seed).predict(run.x) for seed in p2.SEEDS]
    run.matrices = np.zeros((5, 10, 10), int)  # images by true and predicted class
    for counts, p in zip(run.matrices, run.p, strict=True):
        np.add.at(counts, (run.y, p.argmax(axis=1)), 1)
    run.rates = run.matrices[0] / np.bincount(run.y)[:, None]
    return run


def test_all_train_on_the_first_images_then_the_test_file_is_read_once(run, project):
    first, second, *trainings, last = run.events
    assert (first, second) == ("load fashion_mnist_traindata.hdf5",
                               "check fashion_mnist_testdata.hdf5")
    assert last == "load fashion_mnist_testdata.hdf5"
    assert [seed for seed, *_ in trainings] == [0, 1, 2, 3, 4]
    x, y = images_in(project, "fashion_mnist_train")
    for _, *arrays in trainings:
        for found, expected in zip(arrays, (x[:2000], y[:2000], x[2000:], y[2000:]), strict=True):
            assert np.array_equal(found, expected)


def cells(path):
    """The numbers of a matrix in a file."""
    rows = [list(row.values()) for row in table(path)]
    assert [row[0] for row in rows] == list(p2.CLASSES) == list(table(path)[0])[1:]
    return np.array([row[1:] for row in rows], float)


def test_the_matrix_is_that_of_the_first_network_with_true_classes_as_rows(run):
    assert np.array_equal(cells(run.out / "p2_confusion_counts.csv"), run.matrices[0])
    np.testing.assert_allclose(cells(run.out / "p2_confusion.csv"), run.rates)
    text = (run.out / "p2_confusion.txt").read_text(encoding="utf-8")
    assert text in run.printed
    lines = text.splitlines()
    assert lines[1].split() == list("0123456789")
    assert {len(line) for line in lines[1:]} == {75}  # aligned, in any terminal
    for m, line in enumerate(lines[2:]):
        shown = [f"{rate:.3f}" if rate else "0" for rate in run.rates[m]]
        assert line.split() == [str(m), *p2.CLASSES[m].split(), *shown]


def test_heat_map_shows_the_first_network_on_the_scale_of_its_mistakes(run):
    axes = run.figures["p2_confusion.png"].axes[0]
    assert "predicted" in axes.get_xlabel() and "true" in axes.get_ylabel()
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == [
            f"{m} {name}" for m, name in enumerate(p2.CLASSES)]
    image, diagonal = axes.images[0], np.eye(10, dtype=bool)
    assert np.array_equal(image.get_array().mask, diagonal)
    np.testing.assert_allclose(image.get_array().data, run.rates)
    largest = run.rates[~diagonal].max()
    assert image.get_clim() == (0, pytest.approx(largest))
    for text in axes.texts:
        j, i = text.get_position()
        assert text.get_text() == ("0" if run.rates[i, j] == 0 else f"{run.rates[i, j]:.3f}")
        assert (text.get_fontweight() == "bold") == (i == j)
    assert len(axes.texts) == 100


def largest(images, m):
    """The class of the largest of ten counts, the first of equals, that of class m aside."""
    return max((n for n in range(10) if n != m), key=lambda n: images[n])


def near(images, m):
    """Classes whose mean number of images is within a standard error of the largest, in order."""
    first = largest(images, m)
    found = [n for n in range(10) if n not in (m, first) and images[n]
             and images[first] - images[n] <= (images[first] + images[n]) ** 0.5]
    return sorted(found, key=lambda n: -images[n])


def test_all_networks_together_decide_both_readings_of_part_2(run):
    mean, images = run.matrices.mean(axis=0), np.bincount(run.y)
    otherwise = ties = 0
    for m, row in enumerate(table(run.out / "p2_most_confused.csv")):
        j, k = largest(mean[m], m), largest(mean[:, m], m)
        near_j, near_k = near(mean[m], m), near(mean[:, m], m)
        first = run.matrices[0]
        otherwise += (largest(first[m], m) != j) + (largest(first[:, m], m) != k) + (j != k)
        ties += len(near_j) + len(near_k)
        assert list(row.values()) == [
            str(m), p2.CLASSES[m],
            p2.CLASSES[j], f"{run.rates[m, j]:.3f}", f"{mean[m, j] / images[m]:.4f}",
            ", ".join(p2.CLASSES[n] for n in near_j),
            p2.CLASSES[k], f"{run.rates[k, m]:.3f}", f"{mean[k, m] / images[k]:.4f}",
            ", ".join(p2.CLASSES[n] for n in near_k)]
        printed = [m, p2.CLASSES[m], p2.CLASSES[j], f"{run.rates[m, j]:.3f}",
                   p2.CLASSES[k], f"{run.rates[k, m]:.3f}"]
        assert re.search(r"\b.*\b".join(map(str, printed)), run.printed)
    assert otherwise > 10 and ties > 3  # one network, or one reading, would answer otherwise
    header = list(row)
    assert "taken for" in header[2] and "row" in header[5] and "column" in header[9]


def test_edges_of_part_2():
    """The first of equals; a class that is never mistaken; one without images."""
    counts = np.diag(np.full(10, 90))
    counts[6, [3, 0, 8]] = 5
    counts[7, [5, 9]] = 6, 3  # one standard error apart
    counts[2, 2] = 0
    mistakes, rates = p2.mistakes_of(counts)[None], p2.rates_of(counts)[None]
    assert p2.most_confused(mistakes[:, 6], rates[:, 6]) == [
        "T-shirt/top", "0.048", "0.0476", "Dress, Bag"]
    assert p2.most_confused(mistakes[:, 7], rates[:, 7]) == [
        "Sandal", "0.061", "0.0606", "Ankle boot"]
    for m in (0, 2):
        assert p2.most_confused(mistakes[:, m], rates[:, m]) == ["none", "", "", ""]


def pair_order(counts):
    """Pairs i < j, those confused most often first, equal ones by their classes."""
    pairs = [(i, j) for i in range(10) for j in range(i + 1, 10)]
    return sorted(pairs, key=lambda pair: -counts[pair] - counts[pair[::-1]])


def test_all_networks_together_decide_part_3(run):
    (i, j), *_ = pairs = pair_order(run.matrices.sum(axis=0))
    assert (i, j) != pair_order(run.matrices[0])[0]
    rows = table(run.out / "p2_pairs.csv")
    for row, (a, b) in zip(rows, pairs[:5], strict=True):
        assert list(row.values()) == [
            p2.CLASSES[a], p2.CLASSES[b],
            *map(str, run.matrices[:, a, b]), *map(str, run.matrices[:, b, a])]
    assert list(rows[0])[2:] == [f"{way}, seed {seed}" for way in (
        "i taken for j", "j taken for i") for seed in range(5)]
    images = run.matrices[0, i, j] + run.matrices[0, j, i]
    assert re.search(rf"{p2.CLASSES[i]}.*{p2.CLASSES[j]}.*\b{images}\b", run.printed)


def test_mistakes_shown_are_the_first_networks_from_the_surest_to_the_least_sure(run):
    (i, j), *_ = pair_order(run.matrices.sum(axis=0))
    panels = np.reshape(run.figures["p2_mistakes.png"].axes, (2, 8))
    p = run.p[0]
    for row, true, predicted in ((panels[0], i, j), (panels[1], j, i)):
        assert re.search(rf"true\W+{p2.CLASSES[true]}\s+predicted\W+{p2.CLASSES[predicted]}\s+"
                         rf"\W*{run.matrices[0, true, predicted]}\b", row[0].get_ylabel())
        mistakes = np.flatnonzero((run.y == true) & (p.argmax(axis=1) == predicted))
        mistakes = sorted(mistakes, key=lambda n: -p[n].max())
        pictures = [run.x[n].reshape(28, 28) for n in mistakes]
        ranks = []
        for panel in row:
            shown = panel.images[0].get_array()
            rank = [np.array_equal(shown, picture) for picture in pictures].index(True)
            assert panel.get_title() == f"{p[mistakes[rank]].max():.0%}"
            ranks.append(rank)
        steps = np.diff(ranks)
        assert ranks[0] == 0 and ranks[-1] == len(mistakes) - 1
        assert 0 < steps.min() and steps.max() - steps.min() <= 1  # evenly spaced


def test_fewer_mistakes_than_panels_are_all_shown():
    assert p2.evenly_spaced(np.arange(5, 8), 8).tolist() == [5, 6, 7]
    assert p2.evenly_spaced(np.arange(0), 8).tolist() == []


def test_curves_are_those_of_the_first_network(run):
    history = history_of(0)
    for axes, key, scale in zip(run.figures["p2_curves.png"].axes, ("accuracy", "loss"), (100, 1)):
        assert_curve(axes, "training", scale * np.array(history[key]))
        assert_curve(axes, "validation", scale * np.array(history[f"val_{key}"]))
        assert ("accuracy" in axes.get_ylabel()) == (key == "accuracy")
        assert_legend(SimpleNamespace(legends=[]), axes)


def test_results(run):
    accuracies = [np.trace(counts) / 600 for counts in run.matrices]
    assert run.results == {
        "quick": False, "learning_rate": 0.001, "batch_size": 128, "epochs": 80,
        "test_accuracy_of_each_seed": pytest.approx(accuracies),
        "validation_accuracy_of_each_seed": [history_of(n)["val_accuracy"][-1] for n in range(5)],
        "test_accuracy_mean": pytest.approx(np.mean(accuracies)),
        "test_accuracy_standard_deviation": pytest.approx(np.std(accuracies, ddof=1)),
        "test_accuracy_of_the_network_shown": pytest.approx(accuracies[0])}
    assert f"{accuracies[0]:.2%}" in run.printed and f"{np.mean(accuracies):.2%}" in run.printed

"""Problem 2: the network, its training, and all that a run makes of five networks' predictions."""
import contextlib
import csv
import importlib.util
import io
import json
import re
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from conftest import (OUTPUTS, ROOT, assert_each_epoch_has_its_own_order, contents, recording,
                      run_main)

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


# Training

@pytest.fixture
def small():
    """x (600, 784), y, x_validation (100, 784), y_validation; the first pixel numbers the image."""
    rng = np.random.default_rng(0)
    x = rng.random((700, 784), dtype=np.float32)
    x[:, 0] = np.arange(700) / 700
    y = rng.integers(0, 10, 700)
    return x[:600], y[:600], x[600:], y[600:]


def test_training_draws_new_minibatches_in_each_epoch_and_ends_at_learning_rate_zero(
        small, monkeypatch, capsys):
    seen, initial, build = [], [], p2.build

    def recording_build():
        model = build()
        initial.extend(model.get_weights())
        return recording(p2.tf, model, seen)
    monkeypatch.setattr(p2, "build", recording_build)
    monkeypatch.setattr(p2, "EPOCHS", 39)
    x, _, x_validation, y_validation = small
    model, history = p2.train(3, *small)

    p2.keras.utils.set_random_seed(3)
    assert np.array_equal(initial[0], build().get_weights()[0])

    assert_each_epoch_has_its_own_order(seen, x, epochs=39)
    assert [len(batch) for batch in seen] == 39 * [128, 128, 128, 128, 88]
    assert seen[0][:, 0].max() > 0.8  # drawn from all images, not from the first few hundred

    schedule = model.optimizer.get_config()["learning_rate"]["config"]
    assert schedule["initial_learning_rate"] == 0.001 and schedule["decay_steps"] == len(seen)
    assert model.optimizer.learning_rate < 1e-9

    assert {"accuracy", "loss", "val_loss"} < history.keys()
    predicted = model.predict(x_validation, verbose=0).argmax(axis=1)
    right = (predicted == y_validation).mean()
    assert history["val_accuracy"][-1] == pytest.approx(right)
    line, = capsys.readouterr().out.splitlines()  # one every twenty epochs
    accuracy = f"{100 * history['val_accuracy'][19]:.2f}"
    assert re.findall(r"[\d.]+", line) == ["3", "20", "39", accuracy]


# A run, with networks whose predictions are known and differ by seed

class Known:
    """A network that has its own habits of taking one class for another."""
    def __init__(self, seed):
        self.seed = seed

    def predict(self, x, batch_size, verbose):
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


def fake(patch, project):
    """Let p2 read the little files and not train. Returns a list that fills with what happens, in
    order: the names of opened files, and what each training is given."""
    happened, opened = [], h5py.File

    def recorded_open(path, *arguments, **options):
        happened.append(path.name)
        return opened(path, *arguments, **options)

    def known_train(seed, *arrays):
        happened.append((seed, *arrays))
        return Known(seed), history_of(seed)
    patch.setattr(h5py, "File", recorded_open)
    patch.setattr(p2, "train", known_train)
    for name in ("TRAIN_FILE", "TEST_FILE"):
        patch.setattr(p2, name, project / "data" / getattr(p2, name).name)
    return happened


class Run(NamedTuple):
    """What a run did, and what is known of its networks."""
    out: Path
    happened: list
    printed: str
    figures: dict         # by the name of their file
    x: np.ndarray         # the test images, (600, 784)
    y: np.ndarray
    p: list               # the probabilities (600, 10) by each network
    matrices: np.ndarray  # (networks, 10, 10): images by true and predicted class


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    """A run without --quick, and so into outputs/."""
    folder, figures, printed = tmp_path_factory.mktemp("folder"), {}, io.StringIO()
    (folder / "outputs").mkdir()
    (folder / "outputs" / "p2_search.csv").write_text("of another program")
    save = p2.save

    def recorded_save(figure, path):
        figures[path.name] = figure
        save(figure, path)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        happened = fake(patch, project)
        patch.setattr(p2, "save", recorded_save)
        patch.setattr(p2, "FOLDER", folder)
        patch.setattr(p2, "TRAIN_IMAGES", 2000)
        patch.setattr(p2, "VALIDATION_IMAGES", 500)
        run_main(patch, p2)

    with h5py.File(project / "data" / p2.TEST_FILE.name) as file:
        x, y = file["xdata"][:], file["ydata"][:].argmax(axis=1)
    p = [Known(seed).predict(x, 1000, 0) for seed in p2.SEEDS]
    matrices = np.zeros((len(p), 10, 10), int)
    for counts, probabilities in zip(matrices, p):
        np.add.at(counts, (y, probabilities.argmax(axis=1)), 1)
    return Run(folder / "outputs", happened, printed.getvalue(), figures, x, y, p, matrices)


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cells(path):
    """The numbers of a matrix in a file."""
    rows = [list(row.values()) for row in table(path)]
    assert [row[0] for row in rows] == list(p2.CLASSES) == list(table(path)[0])[1:]
    return np.array([row[1:] for row in rows], float)


def test_a_run_writes_its_files_and_leaves_others_alone(run):
    assert sorted(contents(run.out)) == sorted([*OUTPUTS[2], "p2_search.csv"])
    assert (run.out / "p2_search.csv").read_text() == "of another program"
    assert str(run.out) in run.printed


def test_all_train_on_the_first_images_then_the_test_file_is_opened_once(run, project):
    first, looked_into, *trainings, last = run.happened
    assert (first, last) == ("fashion_mnist_traindata.hdf5", "fashion_mnist_testdata.hdf5")
    assert looked_into == last
    assert [seed for seed, *_ in trainings] == [0, 1, 2, 3, 4]
    with h5py.File(project / "data" / first) as file:
        x, y = file["xdata"][:], file["ydata"][:].argmax(axis=1)
    for _, x_train, y_train, x_validation, y_validation in trainings:
        assert np.array_equal(x_train, x[:2000]) and np.array_equal(y_train, y[:2000])
        assert np.array_equal(x_validation, x[2000:]) and np.array_equal(y_validation, y[2000:])


def test_the_matrix_is_that_of_the_first_network_with_true_classes_as_rows(run):
    expected = run.matrices[0]
    assert np.array_equal(cells(run.out / "p2_confusion_counts.csv"), expected)
    rates = expected / np.bincount(run.y)[:, None]
    np.testing.assert_allclose(cells(run.out / "p2_confusion.csv"), rates)
    text = (run.out / "p2_confusion.txt").read_text(encoding="utf-8")
    assert text in run.printed
    lines = text.splitlines()
    assert lines[1].split() == list("0123456789")
    assert {len(line) for line in lines[1:]} == {75}  # aligned, in any terminal
    for m, line in enumerate(lines[2:]):
        shown = [f"{rate:.3f}" if rate else "0" for rate in rates[m]]
        assert line.split() == [str(m), *p2.CLASSES[m].split(), *shown]


def test_heat_map_shows_the_first_network_on_the_scale_of_its_mistakes(run):
    axes = run.figures["p2_confusion.png"].axes[0]
    assert "predicted" in axes.get_xlabel() and "true" in axes.get_ylabel()
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        names = [tick.get_text() for tick in ticks]
        assert names == [f"{m} {name}" for m, name in enumerate(p2.CLASSES)]

    rates = run.matrices[0] / np.bincount(run.y)[:, None]
    image, diagonal = axes.images[0], np.eye(10, dtype=bool)
    assert np.array_equal(image.get_array().mask, diagonal)
    np.testing.assert_allclose(image.get_array().data, rates)
    largest = rates[~diagonal].max()
    assert image.get_clim() == (0, pytest.approx(largest))

    assert len(axes.texts) == 100
    for text in axes.texts:
        j, i = text.get_position()
        written = "0" if rates[i, j] == 0 else f"{rates[i, j]:.3f}"
        assert text.get_text() == written
        assert (text.get_fontweight() == "bold") == (i == j)
        if i == j or rates[i, j] < 0.5 * largest:
            assert text.get_color() == "black"
        if i != j and rates[i, j] > 0.7 * largest:
            assert text.get_color() == "white"


def largest(mistakes, m):
    """The class of the largest of ten counts, the first of equals, that of class m aside."""
    return max((n for n in range(10) if n != m), key=lambda n: mistakes[n])


def near(images, m):
    """Classes other than m whose mean number of images is within a standard error of the largest,
    in their order."""
    first = largest(images, m)
    found = [n for n in range(10) if n not in (m, first) and images[n]
             and images[first] - images[n] <= (images[first] + images[n]) ** 0.5]
    return sorted(found, key=lambda n: -images[n])


def test_all_networks_together_decide_both_readings_of_part_2(run):
    total, first, images = run.matrices.sum(axis=0), run.matrices[0], np.bincount(run.y)
    otherwise = ties = 0
    for m, row in enumerate(table(run.out / "p2_most_confused.csv")):
        j, k = largest(total[m], m), largest(total[:, m], m)
        otherwise += (largest(first[m], m) != j) + (largest(first[:, m], m) != k) + (j != k)
        near_j, near_k = near(total[m] / 5, m), near(total[:, m] / 5, m)
        ties += len(near_j) + len(near_k)
        assert row == {
            "m": str(m), "class m": p2.CLASSES[m],
            "m is most often taken for": p2.CLASSES[j],
            "row: rate, seed 0": f"{first[m, j] / images[m]:.3f}",
            "row: mean rate of all seeds": f"{total[m, j] / images[m] / 5:.4f}",
            "row: near ties": ", ".join(p2.CLASSES[n] for n in near_j),
            "most often taken for m": p2.CLASSES[k],
            "column: rate, seed 0": f"{first[k, m] / images[k]:.3f}",
            "column: mean rate of all seeds": f"{total[k, m] / images[k] / 5:.4f}",
            "column: near ties": ", ".join(p2.CLASSES[n] for n in near_k)}
        printed = [m, p2.CLASSES[m], p2.CLASSES[j], row["row: rate, seed 0"],
                   p2.CLASSES[k], row["column: rate, seed 0"]]
        assert re.search(r"\b.*\b".join(map(str, printed)), run.printed)
    assert ties > 3
    assert otherwise > 10  # so the first network alone, or one reading, would answer otherwise


def test_all_networks_together_decide_part_3(run):
    (i, j), *_ = pairs = pair_order(run.matrices.sum(axis=0))
    assert (i, j) != pair_order(run.matrices[0])[0]
    rows = table(run.out / "p2_pairs.csv")
    assert len(rows) == 5
    for row, (a, b) in zip(rows, pairs):
        expected = {"class i": p2.CLASSES[a], "class j": p2.CLASSES[b]}
        for seed, counts in enumerate(run.matrices):
            expected[f"i taken for j, seed {seed}"] = str(counts[a, b])
            expected[f"j taken for i, seed {seed}"] = str(counts[b, a])
        assert row == expected
    images = run.matrices[0, i, j] + run.matrices[0, j, i]
    assert re.search(rf"{p2.CLASSES[i]}.*{p2.CLASSES[j]}.*\b{images}\b", run.printed)


def pair_order(counts):
    """Pairs i < j, those confused most often first, equal ones by their classes."""
    pairs = [(i, j) for i in range(10) for j in range(i + 1, 10)]
    return sorted(pairs, key=lambda pair: -counts[pair] - counts[pair[::-1]])


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


def test_curves_are_those_of_the_first_network(run):
    left, right = run.figures["p2_curves.png"].axes
    history = history_of(0)
    for axes, key, scale in ((left, "accuracy", 100), (right, "loss", 1)):
        lines = {line.get_label().split(",")[0]: line for line in axes.lines}
        assert lines.keys() == {"training", "validation"}
        np.testing.assert_allclose(lines["training"].get_ydata(), scale * np.array(history[key]))
        np.testing.assert_allclose(lines["validation"].get_ydata(),
                                   scale * np.array(history[f"val_{key}"]))
        assert all(list(line.get_xdata()) == [1, 2, 3] for line in axes.lines)
    assert "accuracy" in left.get_ylabel() and "accuracy" not in right.get_ylabel()


def test_results(run):
    results = json.loads((run.out / "p2_results.json").read_text(encoding="utf-8"))
    accuracies = [np.trace(counts) / 600 for counts in run.matrices]
    first = run.matrices[0]
    mistakes = {(i, j): first[i, j] for i in range(10) for j in range(10) if i != j}
    assert 0 <= results.pop("seconds") < 600
    assert results.pop("versions")["tensorflow"] == p2.tf.__version__
    assert results == {
        "quick": False, "learning_rate": 0.001, "batch_size": 128, "epochs": 80,
        "test_accuracy_of_each_seed": pytest.approx(accuracies),
        "validation_accuracy_of_each_seed": [history_of(n)["val_accuracy"][-1] for n in range(5)],
        "test_accuracy_mean": pytest.approx(np.mean(accuracies)),
        "test_accuracy_standard_deviation": pytest.approx(np.std(accuracies, ddof=1)),
        "test_accuracy_of_the_network_shown": pytest.approx(accuracies[0]),
        "mistakes": sum(mistakes.values()),
        "mistakes_within_upper_body": sum(
            n for (i, j), n in mistakes.items() if {i, j} <= {0, 2, 3, 4, 6}),
        "mistakes_within_footwear": sum(
            n for (i, j), n in mistakes.items() if {i, j} <= {5, 7, 9})}
    assert f"{accuracies[0]:.2%}" in run.printed and f"{np.mean(accuracies):.2%}" in run.printed


# Where outputs go

@pytest.fixture
def happened(project, monkeypatch, tmp_path):
    """As fake(), with empty pictures, and outputs/ in tmp_path."""
    monkeypatch.setattr(p2, "save", lambda figure, path: (p2.plt.close(figure), path.touch()))
    monkeypatch.setattr(p2, "FOLDER", tmp_path)
    return fake(monkeypatch, project)


def test_quick_run_leaves_the_test_file_closed_and_outputs_alone(
        happened, monkeypatch, tmp_path, capsys):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(p2.tempfile, "tempdir", str(temporary))
    run_main(monkeypatch, p2, "--quick")
    names = [event for event in happened if isinstance(event, str)]
    assert names == ["fashion_mnist_traindata.hdf5", "fashion_mnist_testdata.hdf5"]  # no values
    trainings = [event for event in happened if not isinstance(event, str)]
    assert [(seed, len(x), len(x_validation)) for seed, x, _, x_validation, _ in trainings] == [
        (0, 1000, 200), (1, 1000, 200)]
    assert not (tmp_path / "outputs").exists()
    out, = temporary.iterdir()
    assert sorted(contents(out)) == sorted(OUTPUTS[2]) and str(out) in capsys.readouterr().out
    assert json.loads((out / "p2_results.json").read_text())["quick"] is True


# The answers' edges

def test_rates_of_a_class_without_images_are_0():
    rates = p2.rates_of(np.array([[8, 2], [0, 1], [0, 0]]))
    np.testing.assert_allclose(rates, [[0.8, 0.2], [0, 1], [0, 0]])


def test_of_equal_mistakes_the_first_counts():
    counts = np.diag(np.full(10, 90))
    counts[6, [3, 0, 8]] = 5
    counts[7, 9] = 1
    mistakes, rates = p2.mistakes_of(counts)[None], p2.rates_of(counts)[None]
    assert p2.most_confused(mistakes[:, 6], rates[:, 6]) == [
        "T-shirt/top", "0.048", "0.0476", "Dress, Bag"]
    assert p2.most_confused(mistakes[:, 7], rates[:, 7])[0] == "Ankle boot"
    assert p2.most_confused(mistakes[:, 0], rates[:, 0]) == ["none", "", "", ""]
    assert p2.pairs_by_frequency(counts)[:5].tolist() == [[0, 6], [3, 6], [6, 8], [7, 9], [0, 1]]


def test_fewer_mistakes_than_panels_are_all_shown():
    assert p2.evenly_spaced(np.arange(5, 8), 8).tolist() == [5, 6, 7]
    assert p2.evenly_spaced(np.arange(0), 8).tolist() == []


# The search

def test_the_search_trains_each_trial_with_its_settings_and_seeds(project, monkeypatch):
    path = ROOT / "tests" / "experiments" / "search_p2.py"
    spec = importlib.util.spec_from_file_location("search_p2", path)
    search = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(search)
    for name in ("LEARNING_RATE", "BATCH_SIZE", "EPOCHS"):  # the search changes them
        monkeypatch.setattr(p2, name, getattr(p2, name))

    def accuracy(rate, batch_size, epochs, seed):
        return rate * 100 + batch_size / 1000 + epochs / 10_000 + seed / 100

    def known_train(seed, x, y, x_validation, y_validation):
        assert x.shape == (500, 784) and x_validation.shape == (100, 784)
        share = accuracy(p2.LEARNING_RATE, p2.BATCH_SIZE, p2.EPOCHS, seed)
        return None, {"val_accuracy": [0.0, share]}
    monkeypatch.setattr(p2, "train", known_train)
    monkeypatch.setattr(p2, "TRAIN_FILE", project / "data" / p2.TRAIN_FILE.name)
    one_thread = SimpleNamespace(Pool=lambda *_, **__: ThreadPool(1))
    monkeypatch.setattr(search, "get_context", lambda _: one_thread)
    rows = search.run(search.TRIALS, (10, 11, 12), 600)
    assert len(rows) == len(search.TRIALS)
    for trial, row in zip(search.TRIALS, rows):
        shares = [100 * accuracy(*trial, seed) for seed in (10, 11, 12)]
        assert row[:3] == list(trial)
        assert row[3:7] == [f"{share:.2f}" for share in [*shares, np.mean(shares)]]

"""Problem 2: the network, its training, the confusion matrix, and the answers drawn from it."""
import csv
import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import ROOT, assert_each_epoch_has_its_own_order, recording, run_main

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
def small(monkeypatch):
    """x (600, 784), y, x_validation (100, 784), y_validation; the first pixel numbers the image."""
    monkeypatch.setattr(p2, "EPOCHS", 2)
    rng = np.random.default_rng(0)
    x = rng.random((700, 784), dtype=np.float32)
    x[:, 0] = np.arange(700) / 700
    y = rng.integers(0, 10, 700)
    return x[:600], y[:600], x[600:], y[600:]


def test_each_epoch_trains_on_all_training_images_in_a_new_order(small, monkeypatch):
    seen, build = [], p2.build
    monkeypatch.setattr(p2, "build", lambda: recording(p2.tf, build(), seen))
    p2.train(0, *small)
    assert_each_epoch_has_its_own_order(seen, small[0], epochs=2)


def test_training_repeats_from_its_seed_and_ends_at_learning_rate_zero(small):
    x, y, x_validation, y_validation = small
    model, history = p2.train(3, *small)
    same, _ = p2.train(3, x, y, x_validation * 0, y_validation)
    other, _ = p2.train(4, *small)
    W, W_same, W_other = (trained.get_weights()[0] for trained in (model, same, other))
    assert np.array_equal(W, W_same) and not np.array_equal(W, W_other)
    assert model.optimizer.learning_rate < 1e-9
    predicted = model.predict(x_validation, verbose=0).argmax(axis=1)
    right = (predicted == y_validation).mean()
    assert history["val_accuracy"][-1] == pytest.approx(right)


# A run, with networks whose mistakes are known

class Sandals:
    """Takes all dresses for sandals, and has all other images of write_images() right."""
    def predict(self, x, **_):
        blocks = x[:, :700].reshape(-1, 10, 70).mean(axis=2)
        classes = blocks.argmax(axis=1)
        classes[classes == 3] = 5
        return np.eye(10)[classes]


@pytest.fixture
def events(project, monkeypatch):
    """Files opened and trainings begun, in their order; no network is trained."""
    happened, opened = [], h5py.File

    def recorded_open(path, *arguments, **options):
        happened.append(path.name)
        return opened(path, *arguments, **options)

    def recorded_train(seed, *arrays):
        happened.append((seed, *arrays))
        curve = [0.1, 0.2]
        return Sandals(), dict.fromkeys(["accuracy", "val_accuracy", "loss", "val_loss"], curve)
    monkeypatch.setattr(h5py, "File", recorded_open)
    monkeypatch.setattr(p2, "train", recorded_train)
    for name in ("TRAIN_FILE", "TEST_FILE"):
        monkeypatch.setattr(p2, name, project / "data" / getattr(p2, name).name)
    return happened


def test_test_images_are_opened_after_all_trainings_on_the_first_images(
        events, monkeypatch, tmp_path):
    run_main(monkeypatch, p2, "--quick", "--out", tmp_path)
    first, *trainings, last = events
    assert (first, last) == ("fashion_mnist_traindata.hdf5", "fashion_mnist_testdata.hdf5")
    with h5py.File(p2.TRAIN_FILE) as file:
        x, y = file["xdata"][:1200], file["ydata"][:1200].argmax(axis=1)
    assert len({seed for seed, *_ in trainings}) == len(trainings) == 2
    for _, x_train, y_train, x_validation, y_validation in trainings:
        assert np.array_equal(x_train, x[:1000]) and np.array_equal(y_train, y[:1000])
        assert np.array_equal(x_validation, x[1000:]) and np.array_equal(y_validation, y[1000:])


def cells(path):
    """The numbers of a matrix in a file."""
    with path.open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return np.array([row[1:] for row in rows], float)


def test_the_matrix_has_true_classes_as_rows_in_every_file(events, monkeypatch, tmp_path, capsys):
    run_main(monkeypatch, p2, "--quick", "--out", tmp_path)
    with h5py.File(p2.TEST_FILE) as file:
        images = file["ydata"][()].sum(axis=0)
    expected = np.diag(images)
    expected[3, 5], expected[3, 3] = images[3], 0
    counts = cells(tmp_path / "p2_confusion_counts.csv")
    assert np.array_equal(counts, expected)
    np.testing.assert_allclose(cells(tmp_path / "p2_confusion.csv"), expected / images[:, None])
    text = (tmp_path / "p2_confusion.txt").read_text(encoding="utf-8")
    assert text == p2.matrix_text(expected) + "\n" and text in capsys.readouterr().out
    results = json.loads((tmp_path / "p2_results.json").read_text())
    assert results["mistakes"] == images[3]
    assert results["test_accuracy_of_each_seed"] == 2 * [pytest.approx(1 - images[3] / 600)]


def test_a_missing_test_file_is_refused_before_training(events, monkeypatch, tmp_path):
    monkeypatch.setattr(p2, "TEST_FILE", tmp_path / "nowhere.hdf5")
    with pytest.raises(p2.DataError, match="nowhere.hdf5"):
        run_main(monkeypatch, p2, "--quick", "--out", tmp_path / "out")
    assert events == ["fashion_mnist_traindata.hdf5"]


# The answers

def matrix(mistakes):
    """Counts of 100 images of each class; mistakes: {(true, predicted): images}."""
    counts = np.diag(np.full(10, 100))
    for (i, j), images in mistakes.items():
        counts[i, j] = images
        counts[i, i] -= images
    return counts


FIRST = matrix({(6, 0): 30, (0, 6): 20, (4, 2): 35, (2, 4): 5, (9, 7): 4})
SECOND = matrix({(6, 0): 9, (0, 6): 8, (4, 2): 30, (2, 4): 25, (6, 3): 33, (9, 5): 10})


def test_rates_are_given_the_true_class():
    rates = p2.rates_of(np.array([[8, 2], [0, 0]]))
    np.testing.assert_allclose(rates, [[0.8, 0.2], [0, 0]])


def test_most_confused_by_row_and_by_column_are_the_first_of_the_largest_mistakes():
    counts = matrix({(6, 0): 30, (6, 3): 30, (0, 6): 2, (2, 6): 5, (4, 6): 5})
    by_row, by_column = p2.confused_by_row(counts), p2.confused_by_column(counts)
    assert by_row[[6, 0, 2, 4]].tolist() == [0, 6, 6, 6]
    assert by_column[[0, 3, 6]].tolist() == [6, 6, 2]


def test_pairs_are_ordered_by_both_directions_and_equal_ones_by_their_classes():
    pairs = p2.pairs_by_frequency(FIRST + SECOND)
    assert pairs.shape == (45, 2)
    assert pairs[:5].tolist() == [[2, 4], [0, 6], [3, 6], [5, 9], [7, 9]]
    assert pairs[5:].tolist() == sorted(pairs[5:].tolist())


def test_mistakes_within_some_classes():
    assert p2.mistakes_within(FIRST, (0, 2, 4, 6)) == 30 + 20 + 35 + 5
    assert p2.mistakes_within(FIRST, (5, 7, 9)) == 4


def test_all_networks_together_decide_both_readings_of_part_2(tmp_path):
    p2.answer_part_2(np.array([FIRST, SECOND]), tmp_path)
    with (tmp_path / "p2_most_confused.csv").open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    # The first network alone would take 9, an ankle boot, most often for a sneaker.
    assert rows[9][:6] == ["9", "Ankle boot", "Sandal", "0.000", "0.0500", "1"]
    assert rows[6][2:6] == ["T-shirt/top", "0.300", "0.1950", "1"]
    assert rows[4][2:6] == ["Pullover", "0.350", "0.3250", "2"]
    # Read by columns: the shirts that are taken for T-shirts.
    assert rows[0][6:] == ["Shirt", "0.300", "0.1950", "2"]
    assert rows[3][6:] == ["Shirt", "0.000", "0.1650", "1"]


def test_all_networks_together_decide_part_3(tmp_path):
    assert p2.pairs_by_frequency(FIRST)[0].tolist() == [0, 6]
    i, j = p2.answer_part_3(np.array([FIRST, SECOND]), tmp_path)
    assert (i, j) == (2, 4)
    with (tmp_path / "p2_pairs.csv").open(encoding="utf-8") as file:
        _, first, second, *_ = csv.reader(file)
    assert first == ["Pullover", "Coat", "5", "25", "35", "30"]
    assert second == ["T-shirt/top", "Shirt", "20", "8", "30", "9"]


def test_printed_matrix_has_a_row_for_each_true_class_and_a_dot_for_zero():
    lines = p2.matrix_text(FIRST).splitlines()
    assert lines[-4].split() == ["6", "Shirt", "0.300", *5 * ["."], "0.700", ".", ".", "."]
    assert lines[-10].split() == ["0", "T-shirt/top", "0.800", *5 * ["."], "0.200", ".", ".", "."]
    assert max(map(len, lines)) <= 80  # a terminal


def test_heat_map_has_true_classes_as_rows_and_the_scale_of_the_mistakes(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(p2, "save", lambda figure, path: kept.append(figure))
    p2.plot_confusion(FIRST, tmp_path)
    axes = kept[0].axes[0]
    image = axes.images[0]
    shown = image.get_array()
    assert shown[6, 0] == pytest.approx(0.3) and shown[0, 6] == pytest.approx(0.2)
    assert shown.mask[6, 6] and image.get_clim() == (0, pytest.approx(0.35))
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written[0, 6] == "0.300" and written[6, 6] == "0.700"  # x is the column
    p2.plt.close(kept[0])


def test_the_search_runs_in_its_smallest_form_and_writes_nothing(project):
    (project / "tests").mkdir()
    search = shutil.copy(ROOT / "tests" / "search_p2.py", project / "tests")
    done = subprocess.run([sys.executable, search, "--quick"], capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 and not (project / "outputs").exists()

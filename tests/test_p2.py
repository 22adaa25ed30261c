"""Problem 2: the network, the confusion matrix, and the answers drawn from it."""
import csv

import numpy as np
import pytest
from conftest import write_images

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


def test_training_repeats_from_its_seed_and_ends_at_learning_rate_zero(tmp_path):
    images, labels, _ = p2.load_images(write_images(tmp_path / "f.hdf5", 700))
    other = np.concatenate([images[:600], images[600:] * 0])  # other validation images
    (one, history), (same, _), (seed_4, _) = (p2.train("name", seed, given, labels, 600, 2)
                                              for seed, given in ((3, images), (3, other),
                                                                  (4, images)))
    weights = [model.get_weights()[0] for model in (one, same, seed_4)]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])
    assert int(one.optimizer.iterations) == 10 and one.optimizer.learning_rate < 1e-9
    predicted = one.predict(images[600:], verbose=0).argmax(axis=1)
    assert history["val_accuracy"][-1] == pytest.approx((predicted == labels[600:]).mean())


def test_rates_are_given_the_true_class():
    counts = np.diag(np.full(10, 8))
    counts[3, 5] = 2
    rates = p2.rates_of(counts)
    assert rates[3, 5] == pytest.approx(0.2) and rates[5, 3] == 0
    np.testing.assert_allclose(rates.sum(axis=1), 1)


def matrices(*seeds):
    """Counts of one network for each dictionary {(true, predicted): images}."""
    made = []
    for mistakes in seeds:
        counts = np.diag(np.full(10, 100))
        for (i, j), images in mistakes.items():
            counts[i, j] = images
            counts[i, i] -= images
        made.append(counts)
    return np.array(made)


FIRST = {(6, 0): 30, (0, 6): 20, (4, 2): 35, (2, 4): 5, (9, 7): 4}
SECOND = {(6, 0): 9, (0, 6): 8, (4, 2): 30, (2, 4): 25, (6, 3): 33, (9, 5): 10}


def test_most_confused_class_is_decided_by_the_mean_of_the_networks():
    rows = p2.most_confused(matrices(FIRST, SECOND))
    assert [row[0] for row in rows] == list(range(10))
    assert rows[4] == (4, 2, pytest.approx(0.35), pytest.approx(0.325), 2)
    assert rows[6] == (6, 0, pytest.approx(0.30), pytest.approx(0.195), 1)
    assert rows[9] == (9, 5, 0, pytest.approx(0.05), 1)


def test_both_meanings_of_most_confused():
    either, second, direction, _ = (
        (*row[:4], row[4].tolist()) for row in p2.most_confused_pairs(matrices(FIRST, SECOND)))
    assert either == ("either", 1, 2, 4, [40, 55]) and second == ("either", 2, 0, 6, [50, 17])
    assert direction == ("as", 1, 4, 2, [35, 30])


def test_a_run_counts_true_classes_as_rows_and_its_tables_agree(runs, project):
    out = runs[2, "first"].result().out
    labels = p2.load_images(project / "data" / "fashion_mnist_testdata.hdf5").labels
    counts, rates = (np.array([row[1:] for row in csv.reader((out / name).open())][1:], float)
                     for name in ("p2_confusion_counts.csv", "p2_confusion.csv"))
    assert counts.sum(axis=1).tolist() == np.bincount(labels, minlength=10).tolist()
    np.testing.assert_allclose(rates, counts / counts.sum(axis=1, keepdims=True))
    text = (out / "p2_confusion.txt").read_text()
    assert text == p2.table_text(counts) + "\n" and text in runs[2, "first"].result().output


def test_table_has_a_row_for_each_true_class_and_fits_a_terminal():
    lines = p2.table_text(matrices(FIRST)[0]).splitlines()
    assert len(lines) == 12 and max(map(len, lines)) <= 80
    assert lines[2 + 6].split() == ["Shirt", "0.300", *5 * ["."], "0.700", ".", ".", "."]
    assert lines[2 + 0].split() == ["T-shirt/top", "0.800", *5 * ["."], "0.200", ".", ".", "."]


def test_heat_map_shows_true_classes_as_rows_and_mistakes_in_colour(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(p2, "save", lambda figure, path: kept.append(figure))
    p2.plot_confusion(matrices(FIRST)[0], tmp_path)
    axes = kept[0].axes[0]
    shown = axes.images[0].get_array()
    assert shown[6, 0] == pytest.approx(0.3) and shown[4, 2] == shown.max() and shown.mask[6, 6]
    assert axes.get_ylabel() == "true class" and axes.get_xlabel() == "predicted class"
    assert axes.get_yticklabels()[6].get_text() == "6 Shirt"
    p2.plt.close(kept[0])

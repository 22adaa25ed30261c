"""Problem 2: the network, the confusion matrix, and the answers drawn from it."""
import json

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
    images, labels, _ = p2.load_images(write_images(tmp_path / "f.hdf5", 300))
    validation = images[200:], labels[200:]
    (one, history), (same, _), (other, _) = (
        p2.train(seed, images[:200], labels[:200], 2, validation) for seed in (3, 3, 4))
    weights = [model.get_weights()[0] for model in (one, same, other)]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])
    assert int(one.optimizer.iterations) == 4 and one.optimizer.learning_rate < 1e-9
    predicted = one.predict(images[200:], verbose=0).argmax(axis=1)
    assert history["val_accuracy"][-1] == pytest.approx((predicted == labels[200:]).mean())


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
SECOND = {(6, 0): 9, (0, 6): 8, (4, 2): 30, (2, 4): 25, (6, 3): 10}


def test_most_confused_class_its_runner_up_and_the_seeds_that_agree():
    answers = p2.analyse(matrices({**FIRST, (6, 2): 7}, SECOND))["classes"]
    assert answers[6] == {"class": 6, "most": [0], "images": 30, "second": 2, "second_images": 7,
                          "seeds_agreeing": 1}
    assert answers[4]["most"] == [2] and answers[4]["seeds_agreeing"] == 2


def test_a_tie_names_both_classes_and_agrees_with_nothing_less():
    tie, one = {(8, 3): 7, (8, 6): 7, (8, 0): 2}, {(8, 3): 7, (8, 6): 5}
    answer = p2.analyse(matrices(tie, one, tie))["classes"][8]
    assert answer == {"class": 8, "most": [3, 6], "images": 7, "second": 0, "second_images": 2,
                      "seeds_agreeing": 2}


def test_both_readings_of_most_confused():
    answers = p2.analyse(matrices(FIRST, SECOND))
    pair, direction = answers["pair"], answers["direction"]
    assert pair["first"] == {"classes": (0, 6), "images_of_each_seed": [50, 17],
                             "first_in_seeds": 1}
    assert pair["second"] == {"classes": (2, 4), "images_of_each_seed": [40, 55],
                              "first_in_seeds": 1}
    assert direction["first"] == {"classes": (4, 2), "images_of_each_seed": [35, 30],
                                  "first_in_seeds": 2}
    assert direction["second"]["classes"] == (6, 0)


def test_a_run_counts_true_classes_as_rows(runs, project):
    results = json.loads((runs[2, "first"].result().out / "p2_results.json").read_text())
    labels = p2.load_images(project / "data" / "fashion_mnist_testdata.hdf5").labels
    for counts in results["counts_of_each_seed"]:
        assert np.sum(counts, axis=1).tolist() == np.bincount(labels, minlength=10).tolist()


def test_mistakes_among_the_upper_body():
    answers = p2.analyse(matrices(FIRST))
    assert (answers["mistakes"], answers["upper_body_mistakes"]) == (94, 90)


def test_table_has_a_row_for_each_true_class_and_fits_a_terminal():
    lines = p2.table_text(matrices(FIRST)[0]).splitlines()
    assert len(lines) == 12 and max(map(len, lines)) <= 80
    assert lines[2 + 6].split() == ["Shirt", "0.300", *5 * ["."], "0.700", ".", ".", "."]
    assert lines[2 + 0].split() == ["T-shirt/top", "0.800", *5 * ["."], "0.200", ".", ".", "."]


def test_csv_rows_are_true_classes(tmp_path):
    p2.write_csv(tmp_path / "m.csv", matrices(FIRST)[0])
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[0].startswith("true class \\ predicted class,T-shirt/top,Trouser")
    assert lines[7] == "Shirt,30,0,0,0,0,0,70,0,0,0"


def test_heat_map_shows_true_classes_as_rows_and_mistakes_in_colour(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(p2, "save", lambda figure, path: kept.append(figure))
    p2.plot_confusion(matrices(FIRST)[0], tmp_path)
    axes = kept[0].axes[0]
    shown = axes.images[0].get_array()
    assert shown[6, 0] == pytest.approx(0.3) and shown[4, 2] == shown.max() and shown.mask[6, 6]
    assert axes.get_ylabel() == "true class" and axes.get_xlabel() == "predicted class"
    p2.plt.close(kept[0])

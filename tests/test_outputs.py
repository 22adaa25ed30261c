"""The outputs: complete, and consistent with one another, whoever ran the scripts, with margins
that any seed and any machine keep. What is quoted of the committed ones is in test_pages.py."""
import csv
import json

import h5py
import numpy as np
import pytest
from conftest import OUTPUTS, ROOT, SCRIPTS

import p1_numpy_mlp as p1
import p2_confusion as p2
import p4_human_machine as p4
from data.loader import load_images, load_sequences
from mlp import MLP

OUT = ROOT / "outputs"
COURSE = OUT / "course_fall2020"
both_files = pytest.mark.parametrize("folder", [OUT, COURSE], ids=["shipped", "course"])


def results_of(number, folder=OUT):
    results = json.loads((folder / f"p{number}_results.json").read_text(encoding="utf-8"))
    if results["quick"]:
        pytest.skip("these outputs are those of a quick run")
    return results


def table(name, folder=OUT):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(name, folder=OUT):
    """The cells of a table without its first row and first column."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return np.array([row[1:] for row in rows], float)


def test_every_file_is_there():
    of_scripts = [name for number in SCRIPTS for name in OUTPUTS[number]]
    assert [name for name in of_scripts if not (OUT / name).is_file()] == []
    assert [name for name in OUTPUTS[4] if not (COURSE / name).is_file()] == []


# Problem 1

def test_p1_right_test_images_are_those_of_the_network():
    results = results_of(1)
    with h5py.File(OUT / "p1_network_params.hdf5") as file:
        network = MLP(results["sizes"], file.attrs["activation"], np.random.default_rng(0))
        for l in range(1, network.L + 1):
            network.W[l], network.b[l] = file[f"W{l}"][()], file[f"b{l}"][()]
    x, y = load_images(p1.TEST_FILE)
    right = int((network.probabilities(x).argmax(axis=1) == y).sum())
    assert abs(right - results["test_right"]) <= 1 and results["test_images"] == len(x)
    assert results["test_accuracy"] == results["test_right"] / results["test_images"] > 0.99


def test_p1_tables_agree_and_the_choice_follows_from_them():
    results = results_of(1)
    configurations, epochs = table("p1_configurations.csv"), table("p1_accuracy.csv")
    assert len(configurations) == 6 and len(epochs) == 50
    for row in configurations:
        name = f"{row['activation']} {row['initial learning rate']}"
        assert row["training accuracy, moved images (%)"] == epochs[-1][f"{name}, training (%)"]
        assert row["validation accuracy (%)"] == epochs[-1][f"{name}, validation (%)"]
        last_ten = np.mean([float(epoch[f"{name}, validation (%)"]) for epoch in epochs[-10:]])
        given = float(row["validation accuracy, mean of last ten epochs (%)"])
        assert given == pytest.approx(last_ten, abs=0.006) and given > 90
    best = max(configurations, key=lambda row: float(row["validation accuracy (%)"]))
    assert 98.8 < float(best["validation accuracy (%)"]) < 99.8
    assert best["activation"] == results["activation"]
    assert float(best["initial learning rate"]) == results["initial_learning_rate"]


# Problem 2

def test_p2_files_agree_and_count_every_test_image():
    results, counts = results_of(2), numbers("p2_confusion_counts.csv").astype(int)
    assert counts.sum() == 10_000 and (counts.sum(axis=1) == 1000).all()
    np.testing.assert_allclose(numbers("p2_confusion.csv"), counts / 1000)
    text = (OUT / "p2_confusion.txt").read_text(encoding="utf-8")
    assert text == p2.matrix_text(counts) + "\n"
    accuracies = results["test_accuracy_of_each_seed"]
    assert accuracies[0] == pytest.approx(np.trace(counts) / 10_000)
    assert results["test_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert results["test_accuracy_standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert min(accuracies) > 0.87
    assert results["mistakes"] == 10_000 - np.trace(counts)
    upper_body = p2.mistakes_within(counts, p2.UPPER_BODY)
    footwear = p2.mistakes_within(counts, p2.FOOTWEAR)
    assert results["mistakes_within_upper_body"] == upper_body > results["mistakes"] / 2
    assert results["mistakes_within_footwear"] == footwear


def test_p2_most_confused_classes_follow_from_the_counts():
    results_of(2)
    rates = p2.mistakes_of(numbers("p2_confusion_counts.csv")) / 1000
    for m, row in enumerate(table("p2_most_confused.csv")):
        number, name, j, row_rate, _, _, k, column_rate, *_ = row.values()
        j, k = p2.CLASSES.index(j), p2.CLASSES.index(k)
        assert (number, name) == (str(m), p2.CLASSES[m])
        assert float(row_rate) == pytest.approx(rates[m, j])
        assert float(column_rate) == pytest.approx(rates[k, m])


def test_p2_pairs_are_ordered_by_the_networks_together():
    networks = len(results_of(2)["test_accuracy_of_each_seed"])
    counts = numbers("p2_confusion_counts.csv")
    together = []
    for row in table("p2_pairs.csv"):
        first, second, *images = row.values()
        images = np.array(images, int)
        i, j = p2.CLASSES.index(first), p2.CLASSES.index(second)
        assert (images[0], images[networks]) == (counts[i, j], counts[j, i])
        together.append(images.sum())
    assert together == sorted(together, reverse=True)
    most = table("p2_pairs.csv")[0]
    assert (most["class i"], most["class j"]) == ("T-shirt/top", "Shirt")


# Problem 3

def test_p3_l2_narrows_layer_1():
    results_of(3)
    rows = table("p3_weights.csv")
    for seed in {row["seed"] for row in rows}:
        a, b = (row for row in rows if row["seed"] == seed)
        assert (a["network"], b["network"]) == ("A", "B")
        assert float(a["layer 1 sd"]) > 1.5 * float(b["layer 1 sd"])
        for row in (a, b):
            assert int(row["dead units"]) < 24 and 83 < float(row["validation accuracy (%)"]) < 93


# Problem 4

def forward(folder, rows):
    """What the model says of rows (n, 20), in numpy alone, and its weights W."""
    with h5py.File(folder / "p4_model.hdf5") as file:
        layers = file["model_weights"]
        W, b = layers["hidden/hidden/kernel:0"][()], layers["hidden/hidden/bias:0"][()]
        v, c = layers["human/human/kernel:0"][()], layers["human/human/bias:0"][()]
    log_odds = np.maximum(rows @ W + b, 0) @ v + c
    return 1 / (1 + np.exp(-log_odds))[:, 0], W


def test_p4_submitted_network_tells_humans_from_the_machine():
    results_of(4)
    data = load_sequences(p4.DATA_FILE)
    assert (forward(OUT, data.human)[0] > 0.5).mean() > 0.57
    assert (forward(OUT, data.machine)[0] < 0.5).mean() > 0.57


@both_files
def test_p4_weights_are_those_of_the_model(folder):
    _, W = forward(folder, np.zeros((1, 20)))
    text = (folder / "p4_weights.txt").read_text(encoding="utf-8")
    assert text == p4.matrix_text(W) + "\n"


@both_files
def test_p4_cyclic_shifts_are_submitted_and_do_not_over_fit(folder):
    results = results_of(4, folder)
    assert results["submitted"] == "Adam, cyclic shifts"
    networks = table("p4_networks.csv", folder)
    settings = {row["trained with"]: row for row in networks if row["network"] == "20-20-1"}
    assert list(settings) == list(p4.SETTINGS)
    entropies = [float(row["validation cross-entropy"]) for row in settings.values()]
    shifts = settings[results["submitted"]]
    assert float(shifts["validation cross-entropy"]) < min(entropies) + p4.CLOSE + 0.0001
    validation = float(shifts["validation accuracy (%)"])
    assert validation == pytest.approx(results["validation_accuracy"], abs=0.06)
    assert float(shifts["training accuracy (%)"]) - validation < 3
    assert min(entropies) < np.log(2)


@both_files
def test_p4_squares_tell_more_than_products(folder):
    results_of(4, folder)
    products, squares, both = (float(row["validation cross-entropy"])
                               for row in table("p4_networks.csv", folder)[-3:])
    assert both < squares < products


def test_p4_outputs_of_the_course_are_of_its_file_split_by_students():
    results = results_of(4, COURSE)
    assert (results["human_rows"], results["machine_rows"]) == (5100, 5100)
    assert (results["split_by"], results["people"]) == ("people", 204)
    assert 58 < results["validation_accuracy"] < 64

"""The outputs: complete, and consistent with one another, whoever ran the scripts, with margins
that any seed keeps. What is quoted of the committed ones is tested in test_pages.py."""
import csv
import json
import re

import h5py
import numpy as np
import pytest
from conftest import OUTPUTS, ROOT, SCRIPTS

import p1_numpy_mlp as p1
import p2_confusion as p2
import p3_reg_histograms as p3
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


def matrix(name):
    with (OUT / name).open(encoding="utf-8", newline="") as file:
        (_, *classes), *rows = csv.reader(file)
    assert classes == [row[0] for row in rows] == list(p2.CLASSES)
    return np.array([row[1:] for row in rows], float)


@pytest.mark.parametrize("number", SCRIPTS)
def test_every_file_is_there(number):
    assert [name for name in OUTPUTS[number] if not (OUT / name).is_file()] == []


def test_every_file_of_the_courses_data_is_there():
    expected = {*OUTPUTS[4], "README.md"} - {"p4_rows.csv"}
    assert [name for name in expected if not (COURSE / name).is_file()] == []
    assert (OUT / "README.md").is_file()


@pytest.mark.parametrize("path", [OUT / name for names in OUTPUTS.values() for name in names
                                  if name.endswith("png")], ids=lambda path: path.name)
def test_pictures_fit_a_page(path):
    width, height = np.frombuffer(path.read_bytes()[16:24], ">u4")
    assert 600 <= width <= 1000 and 250 <= height <= 1200


@pytest.mark.parametrize("number", SCRIPTS)
def test_results_are_single_numbers_of_less_than_2_kB(number):
    assert len((OUT / f"p{number}_results.json").read_bytes()) < 2000


# Problem 1

def test_p1_right_test_images_are_those_of_the_network():
    results = results_of(1)
    with h5py.File(OUT / "p1_network_params.hdf5") as file:
        network = MLP(results["sizes"], file.attrs["activation"], np.random.default_rng(0))
        for l in range(1, network.L + 1):
            network.W[l], network.b[l] = file[f"W{l}"][()], file[f"b{l}"][()]
    images, labels, _ = load_images(p1.TEST_FILE)
    right = (network.probabilities(images).argmax(axis=1) == labels).sum()
    assert abs(int(right) - results["test_right"]) <= 1 and results["test_images"] == len(images)


def test_p1_tables_agree_and_the_choice_follows_from_them():
    results, configurations, epochs = results_of(1), table("p1_configurations.csv"), table(
        "p1_accuracy.csv")
    assert len(configurations) == 6 and len(epochs) == 50
    for row in configurations:
        name = f"{row['activation']} {float(row['initial learning rate']):g}, "
        for part in ("training", "validation"):
            assert row[f"{part} accuracy (%)"] == epochs[-1][f"{name}{part} (%)"]
        last_ten = np.mean([float(epoch[f"{name}validation (%)"]) for epoch in epochs[-10:]])
        assert float(row["validation accuracy, mean of last ten epochs (%)"]) == pytest.approx(
            last_ten, abs=0.006)
        assert last_ten > 90
    best = max(configurations, key=lambda row: float(row["validation accuracy (%)"]))
    assert 98 < float(best["validation accuracy (%)"]) < 99.5
    assert best["activation"] == results["activation"]
    assert float(best["initial learning rate"]) == results["initial_learning_rate"]
    assert results["test_accuracy"] == results["test_right"] / results["test_images"] > 0.985


# Problem 2

def test_p2_files_agree_and_count_every_test_image():
    results, counts = results_of(2), matrix("p2_confusion_counts.csv")
    assert counts.sum() == 10_000 and (counts.sum(axis=1) == 1000).all()
    np.testing.assert_allclose(matrix("p2_confusion.csv"), counts / 1000)
    text = (OUT / "p2_confusion.txt").read_text(encoding="utf-8")
    assert text == p2.table_text(counts) + "\n"
    accuracies = results["test_accuracy_of_each_seed"]
    assert accuracies[0] == pytest.approx(np.trace(counts) / 10_000) and len(accuracies) == 5
    assert results["test_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert results["test_accuracy_mean"] > 0.87
    assert results["test_accuracy_standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))


def test_p2_answers_follow_from_the_counts():
    results_of(2)
    wrong = matrix("p2_confusion_counts.csv") * ~np.eye(10, dtype=bool)
    for m, row in enumerate(table("p2_most_confused.csv")):
        j = p2.CLASSES.index(row["most likely confused with"])
        assert (row["m"], row["class m"]) == (str(m), p2.CLASSES[m])
        rate = next(value for key, value in row.items() if key.startswith("rate, seed"))
        assert float(rate) == pytest.approx(wrong[m, j] / 1000)
        if row["first in how many seeds"] == "5":
            assert wrong[m, j] == wrong[m].max() and 1000 * float(row["mean rate of all seeds"]) > 2
    for row, (meaning, rank) in zip(table("p2_pairs.csv"), (("either", "1"), ("either", "2"),
                                                           ("as", "1"), ("as", "2"))):
        i, j = p2.CLASSES.index(row["class i"]), p2.CLASSES.index(row["class j"])
        images = wrong[i, j] + wrong[j, i] * (meaning == "either")
        assert (row["meaning"], row["rank"]) == (meaning, rank)
        assert images == int(next(row[key] for key in row if key.startswith("images, seed")))
        if rank == "1":
            assert {i, j} == {0, 6}  # T-shirt/top and Shirt


# Problem 3

def test_p3_regularization_narrows_the_weights_of_living_units_at_equal_width():
    results_of(3)
    rows = {(row["network"], row["seed"]): row for row in table("p3_weights.csv")}
    assert len(rows) == 8
    for (name, _), row in rows.items():
        assert int(row["units"]) == p3.NETWORKS[name][0] > 2 * int(row["dead units"])
        assert 83 < float(row["validation accuracy (%)"]) < 92
    for seed in {seed for _, seed in rows}:
        sd = {name: float(rows[name, seed]["layer 1 living units: standard deviation"])
              for name in "ABCD"}
        assert sd["A"] > 1.5 * sd["C"] and sd["D"] > 1.5 * sd["B"]


# Problem 4

def forward(folder, rows):
    """What the model says of rows (n, 20), in numpy alone, and its weights W1."""
    with h5py.File(folder / "p4_model.hdf5") as file:
        W1, b1, W2, b2 = (file[f"model_weights/{layer}/{layer}/{name}:0"][()].astype(float)
                          for layer in ("hidden", "human") for name in ("kernel", "bias"))
    return 1 / (1 + np.exp(-(np.maximum(rows @ W1 + b1, 0) @ W2 + b2)))[:, 0], W1


def test_p4_submitted_network_tells_humans_from_the_machine():
    results_of(4)
    data = load_sequences(p4.DATA_FILE)
    for rows, human in ((data.human, True), (data.machine, False)):
        assert ((forward(OUT, rows)[0] > 0.5) == human).mean() > 0.58


@both_files
def test_p4_files_agree_with_one_another(folder):
    results, W = results_of(4, folder), forward(folder, np.zeros((1, 20)))[1]
    np.testing.assert_allclose(np.loadtxt(folder / "p4_weights.csv", delimiter=","), W, rtol=1e-6)
    text = (folder / "p4_weights.txt").read_text(encoding="utf-8")
    assert text == p4.matrix_text(W) + "\n"
    settings, features = table("p4_settings.csv", folder), table("p4_features.csv", folder)
    best = max(settings, key=lambda row: float(row["validation accuracy (%)"]))
    chosen, = (row for row in settings if row["setting"] == results["submitted"])
    assert len(settings) >= 6 and features[0]["features"] == "raw values"
    assert chosen["validation accuracy (%)"] == best["validation accuracy (%)"]
    assert chosen["validation accuracy (%)"] == features[0]["accuracy (%)"]
    assert results["validation_accuracy"] == pytest.approx(
        float(features[0]["accuracy (%)"]) / 100, abs=1e-4)
    best = max(features, key=lambda row: float(row["accuracy (%)"]))["accuracy (%)"]
    assert {row["features"]: row for row in features}[results["best_features"]]["accuracy (%)"
                                                                               ] == best
    patterns = table("p4_patterns.csv", folder)
    assert [row["pattern"] for row in patterns] == [f"{code:04b}" for code in range(16)]
    for source in ("human rate", "machine rate"):
        assert sum(float(row[source]) for row in patterns) == pytest.approx(1, abs=0.001)


@both_files
def test_p4_relations_between_presses_say_more_than_the_presses(folder):
    results_of(4, folder)
    features = {row["features"]: row for row in table("p4_features.csv", folder)}
    for name in ("products at lags 1 to 10", "counts of 4-grams"):
        assert float(features[name]["gain over raw values (points)"]) > 1.5
    data = [float(row["human mean product"]) - float(row["machine mean product"])
            for row in table("p4_lags.csv", folder)]
    assert data[0] < 0 < data[1] and data[2] < 0 < data[3]


def test_p4_more_rows_of_a_person_tell_more():
    results_of(4)
    rows = table("p4_rows.csv")
    for key in (key for key in rows[0] if key.endswith("right (%)")):
        assert float(rows[-1][key]) > float(rows[0][key]) + 5


def test_the_courses_outputs_are_of_the_courses_file():
    results = results_of(4, COURSE)
    assert (results["human_rows"], results["machine_rows"]) == (5100, 5100)
    assert results["coding"] == [-1, 1] and results["split_by"] == "rows"
    assert 0.57 < results["validation_accuracy"] < 0.66


# Form

def test_nothing_tells_of_a_machine_or_is_unfinished():
    for path in [*(OUT / f"p{n}_results.json" for n in SCRIPTS), ROOT / "README.md",
                 ROOT / "data" / "README.md", OUT / "README.md", COURSE / "README.md"]:
        unwanted = r"/work|/home/|/root|/tmp|TODO|MEM\d|\bnan\b|Infinity"
        assert not re.search(unwanted, path.read_text(encoding="utf-8")), path.name


def test_no_line_of_code_is_over_100_columns():
    for path in [*ROOT.glob("*.py"), *ROOT.glob("data/*.py"), *ROOT.glob("tests/*.py")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            assert len(line) <= 100, f"{path.name}:{number}"

"""The committed outputs: complete, and consistent with one another, the code and every claim."""
import csv
import json
import re

import h5py
import numpy as np
import pytest
from conftest import ROOT
from test_scripts import OUTPUTS, SCRIPTS

import p1_numpy_mlp as p1
import p2_confusion as p2
import p3_reg_histograms as p3
import p4_human_machine as p4
from data.loader import load_images, load_sequences
from mlp import MLP

OUT = ROOT / "outputs"
COURSE = OUT / "course_fall2020"


def results_of(number, folder=OUT):
    return json.loads((folder / f"p{number}_results.json").read_text(encoding="utf-8"))


def text_of(path):
    return path.read_text(encoding="utf-8")


def searched(name):
    """Rows of a search's table: the settings, and the mean validation accuracy over its seeds."""
    with (OUT / name).open(encoding="utf-8") as file:
        return [{**row, "mean": np.mean([float(value) for key, value in row.items()
                                         if key.startswith("validation_seed")])}
                for row in csv.DictReader(file)]


# Completeness and form

def test_every_file_is_there_and_no_other():
    expected = {name for names in OUTPUTS.values() for name in names}
    expected |= {"README.md", "p1_search.csv", "p2_search.csv", "course_fall2020"}
    assert {path.name for path in OUT.iterdir() if not path.name.startswith(".")} == expected
    assert {path.name for path in COURSE.iterdir()} == {*OUTPUTS[4], "README.md"}


@pytest.mark.parametrize("number", SCRIPTS)
def test_outputs_are_of_a_full_run_on_the_shipped_data(number):
    results = results_of(number)
    assert not results["quick"]
    assert re.search("MNIST|RANDECOD", results["source"])


def test_reports_are_what_the_code_writes_from_the_results():
    """So a number changed by hand, in a report or in the results, is found."""
    r2, r4, course = results_of(2), results_of(4), results_of(4, COURSE)
    written = {
        "p1_report.md": p1.report(results_of(1)),
        "p2_report.md": p2.report(r2, np.array(r2["counts_of_each_seed"][0])),
        "p3_report.md": p3.report(results_of(3)),
        "p4_report.md": p4.report(r4, np.loadtxt(OUT / "p4_weights.csv", delimiter=",")),
        "course_fall2020/p4_report.md":
            p4.report(course, np.loadtxt(COURSE / "p4_weights.csv", delimiter=","))}
    for name, text in written.items():
        assert text_of(OUT / name) == text, name


def test_one_page_is_the_four_reports_in_order():
    reports = [text_of(OUT / f"p{number}_report.md") for number in SCRIPTS]
    assert text_of(OUT / "README.md") == "\n".join(reports)


PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", OUT / "README.md", COURSE / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_resolve(page):
    links = re.findall(r"\]\(([^)#]+)\)", text_of(page))
    assert len(links) > 0
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_pictures_fit_a_page():
    for path in [*OUT.glob("*.png"), *COURSE.glob("*.png")]:
        width, height = np.frombuffer(path.read_bytes()[16:24], ">u4")
        assert 600 <= width <= 1000 and 250 <= height <= 1200, path.name


def test_nothing_tells_of_a_machine_or_is_unfinished():
    for path in [*OUT.rglob("*.md"), *OUT.rglob("*.json"), *ROOT.glob("*.md")]:
        assert not re.search(r"/work|/home/|/root|/tmp|TODO|nan\b|\{\w+", text_of(path)), path.name


def test_no_line_of_code_is_over_100_columns():
    for path in [*ROOT.glob("*.py"), *ROOT.glob("*/*.py")]:
        for number, line in enumerate(text_of(path).splitlines(), start=1):
            assert len(line) <= 100 or line.startswith("| "), f"{path.name}:{number}"


# Problem 1

def test_p1_right_test_images_are_those_of_the_committed_network():
    results = results_of(1)
    with h5py.File(OUT / "p1_network_params.hdf5") as file:
        network = MLP(results["sizes"], file.attrs["activation"], np.random.default_rng(0))
        network.W = [None, *(file[f"W{l}"][()] for l in (1, 2))]
        network.b = [None, *(file[f"b{l}"][()] for l in (1, 2))]
    images, labels, _ = load_images(p1.TEST_FILE)
    right = (network.probabilities(images).argmax(axis=1) == labels).sum()
    assert abs(int(right) - results["test"]["right"]) <= 1 and results["test"]["images"] == 10_000


def test_p1_choice_follows_from_the_validation_accuracies():
    results = results_of(1)
    configurations = results["configurations"]
    assert results["chosen"] == configurations[p1.choose(configurations)]
    assert results["chosen"]["activation"] == "ReLU" and len(configurations) == 6
    assert np.mean(results["chosen"]["validation_accuracy"][-10:]) >= 0.988
    assert results["test"]["interval"] == pytest.approx(
        p1.wilson_interval(results["test"]["right"], 10_000))
    assert all(len(of[key]) == 50 for of in configurations
               for key in ("train_accuracy", "validation_accuracy"))


def test_p1_claims_of_the_trials():
    """The moving gains more than half a point over plain SGD, L2 less than a tenth."""
    rows = {(row["hidden"], row["initial_learning_rate"], row["epsilon"], row["l2"]): row["mean"]
            for row in searched("p1_search.csv")}
    plain = rows["512", "0.5", "0.0", "0.0"]
    assert rows["512", "0.5", "0.7", "0.0"] - plain > 0.5
    penalties = [mean for (hidden, rate, epsilon, l2), mean in rows.items()
                 if epsilon == "0.0" and l2 != "0.0"]
    assert len(penalties) == 2 and max(penalties) - plain < 0.1


def test_p1_claims_of_the_curves():
    of = {(c["activation"], c["initial_learning_rate"]): c for c in results_of(1)["configurations"]}
    for c in of.values():
        validation = np.array(c["validation_accuracy"])
        first = validation[20:25].mean() - validation[15:20].mean()
        second = validation[40:45].mean() - validation[35:40].mean()
        assert first > 0.001 and second < first / 2
    for activation in p1.ACTIVATIONS:
        ends = {rate: of[activation, rate]["train_accuracy"][-1] for rate in p1.LEARNING_RATES}
        assert ends[0.1] < min(ends[0.3], ends[0.5]) - 0.003
    assert of["ReLU", 0.5]["p_value"] > 0.2
    assert of["ReLU", 0.5]["train_accuracy"][-1] == 1
    validation = np.array(of["ReLU", 0.5]["validation_accuracy"])
    assert validation[-5:].mean() > validation[20:25].mean() - 0.0005


# Problem 2

def test_p2_numbers_follow_from_the_counts():
    results = results_of(2)
    matrices = np.array(results["counts_of_each_seed"])
    assert matrices.shape == (5, 10, 10) and (matrices.sum(axis=2) == 1000).all()
    accuracies = np.trace(matrices, axis1=1, axis2=2) / 10_000
    assert results["accuracy"]["of_each_seed"] == pytest.approx(accuracies.tolist())
    assert results["accuracy"]["mean"] == pytest.approx(accuracies.mean())
    assert results["accuracy"]["standard_deviation"] == pytest.approx(accuracies.std(ddof=1))
    answers = json.loads(json.dumps(p2.analyse(matrices)))
    assert {key: results[key] for key in answers} == answers
    for name, shown in (("p2_confusion.csv", matrices[0] / 1000),
                        ("p2_confusion_counts.csv", matrices[0])):
        with (OUT / name).open(encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert rows[0][1:] == [row[0] for row in rows[1:]] == list(p2.CLASSES)
        np.testing.assert_allclose(np.array([row[1:] for row in rows[1:]], float), shown)


def test_p2_settings_are_the_best_of_the_trials():
    results, rows = results_of(2), searched("p2_search.csv")
    best = max(rows, key=lambda row: row["mean"])
    assert (best["optimizer"], best["schedule"]) == ("Adam", "cosine")
    assert float(best["initial_learning_rate"]) == results["learning_rate"]
    assert int(best["batch_size"]) == results["batch_size"]
    assert int(best["epochs"]) == results["epochs"]
    assert len(results["curves"]["val_accuracy"]) == results["epochs"]

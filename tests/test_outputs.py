"""The committed outputs: complete, and consistent with one another, the code and every claim."""
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
        unwanted = r"/work|/home/|/root|/tmp|TODO|\b[nN]a[nN]\b|Infinity|\{\w+"
        assert not re.search(unwanted, text_of(path)), path.name


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


def test_p1_comparisons_follow_from_the_accuracies():
    results = results_of(1)
    chosen = results["chosen"]["validation_accuracy"][-1]
    for of in results["configurations"]:
        lead = round(10_000 * (chosen - of["validation_accuracy"][-1]))
        assert of["only_chosen_right"] - of["only_this_right"] == lead
        right = np.repeat([True, False], [of["only_chosen_right"], of["only_this_right"]])
        assert of["p_value"] == pytest.approx(p1.mcnemar(right, ~right)["p_value"])
    assert results["chosen"]["initial_learning_rate"] == 0.3


def test_p1_claims_of_the_trials():
    """The moving gains more than half a point over plain SGD, L2 less than a tenth."""
    rows = {(row["hidden"], row["initial_learning_rate"], row["epsilon"], row["l2"]): row["mean"]
            for row in searched("p1_search.csv")}
    plain = rows["512", "0.5", "0.0", "0.0"]
    assert rows["512", "0.5", "0.7", "0.0"] - plain > 0.5
    penalties = [mean for (hidden, rate, epsilon, l2), mean in rows.items()
                 if epsilon == "0.0" and l2 != "0.0"]
    assert len(penalties) == 5 and max(penalties) - plain < 0.1


def test_p1_claims_of_the_curves():
    of = {(c["activation"], c["initial_learning_rate"]): c for c in results_of(1)["configurations"]}
    for c in of.values():
        validation = np.array(c["validation_accuracy"])
        first = validation[20:25].mean() - validation[15:20].mean()
        second = validation[40:45].mean() - validation[35:40].mean()
        assert first > 0.001 and second < first / 2
    assert min(min(c["validation_accuracy"]) for c in of.values()) < 0.95
    for activation in p1.ACTIVATIONS:
        ends = {rate: of[activation, rate]["train_accuracy"][-1] for rate in p1.LEARNING_RATES}
        assert ends[0.1] < min(ends[0.3], ends[0.5]) - 0.003
    assert of["ReLU", 0.5]["p_value"] > 0.2
    assert of["ReLU", 0.5]["train_accuracy"][-1] == 1
    validation = of["ReLU", 0.5]["validation_accuracy"]
    assert max(validation) - validation[-1] < 0.001 and validation[-1] < 0.99


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


def test_p2_claims():
    results = results_of(2)
    matrices = np.array(results["counts_of_each_seed"])
    assert results["upper_body_mistakes"] > 0.6 * results["mistakes"]
    taken = matrices[0][:, list(p2.UPPER_BODY)].sum(axis=1)  # for one of the four, of 1,000
    others = [m for m in range(10) if m not in (*p2.UPPER_BODY, 3)]  # all but the dress
    wrong = 1000 - np.diagonal(matrices[0])[list(p2.UPPER_BODY)]
    assert taken[others].max() <= 25 < 50 < taken[3] < wrong.min()
    pair, direction = results["pair"]["first"], results["direction"]["first"]
    assert sorted(direction["classes"]) == pair["classes"] == [0, 6]
    assert pair["first_in_seeds"] == direction["first_in_seeds"] == results["seeds"] == 5
    assert direction["classes"] == [6, 0] and (matrices[:, 6, 0] > matrices[:, 0, 6]).all()
    right = np.diagonal(matrices, axis1=1, axis2=2)
    assert (np.delete(right, 6, axis=1).min(axis=1) - right[:, 6] > 100).all()


def test_p2_reaches_its_floor():
    assert results_of(2)["accuracy"]["mean"] >= 0.892


# Problem 3

def rows_of_p3():
    return {(row["network"], row["seed"]): row for row in results_of(3)["rows"]}


def test_p3_rows_are_consistent():
    rows = rows_of_p3()
    assert sorted(rows) == [(name, seed) for name in "ABCD" for seed in (0, 1)]
    for (name, _), row in rows.items():
        norms = np.array(row["norms"])
        assert row["units"] == len(norms) == p3.NETWORKS[name][0]
        assert row["dead"] == len(row["dead_units"])
    curves = results_of(3)["curves"]
    for name in "AB":
        assert curves[name]["accuracy"][-1] == rows[name, 0]["train_accuracy"]
        assert curves[name]["val_accuracy"][-1] == rows[name, 0]["validation_accuracy"]
        assert len(curves[name]["accuracy"]) == 40


def test_p3_claims_of_dead_units():
    for (name, _), row in rows_of_p3().items():
        dead = np.isin(range(row["units"]), row["dead_units"])
        norms, initial = np.array(row["norms"]), np.array(row["initial_norms"])
        assert dead.any()
        if name in "AD":  # they stay about where they were drawn, far below the living ones
            assert np.abs(norms[dead] / initial[dead] - 1).max() < 0.35
            assert norms[~dead].min() > 1.8 * norms[dead].max()
        else:
            assert norms[dead].max() < 0.05 * initial.min() and norms[~dead].min() > 1


def test_p3_claims_of_the_histograms():
    rows, results = rows_of_p3(), results_of(3)
    A, B, views = rows["A", 0], rows["B", 0], results["histograms"]
    middle, edges = views["layer 1, middle"], np.array(views["layer 1, middle"]["edges"])
    centres = (edges[1:] + edges[:-1]) / 2
    shelf = np.array(middle["A"]["dead"])
    assert shelf[np.abs(centres) < 0.09].sum() > 0.95 * shelf.sum() > 0.05
    spike = np.array(middle["B"]["trained"])
    assert spike.argmax() == 50 and spike[50] > 2.5 * np.delete(spike, 50).max()
    assert middle["B"]["dead"][50] == pytest.approx(B["dead"] / B["units"], abs=1e-3)
    assert spike[50] - middle["B"]["dead"][50] < 1.5 * spike[45]  # without the dead, no such spike
    assert A["largest"][0] > 2 * B["largest"][0]
    border = results["border"]
    assert border["of_largest_weights"] > 2 * border["pixels"]
    assert border["lit"] < 0.5 * border["lit_inside"]


def test_p3_claims_of_layer_2():
    view = results_of(3)["histograms"]["layer 2"]
    edges = np.array(view["edges"])
    centres, A, B = (edges[1:] + edges[:-1]) / 2, *(np.array(view[of]["trained"]) for of in "AB")

    def mean(shares, low, high):
        return shares[(centres > low) & (centres < high)].mean()
    assert abs(centres[A.argmax()]) < 0.2 < centres[B.argmax()] < 0.4
    assert mean(B, -0.75, -0.45) > 1.15 * mean(B, -0.4, -0.1)
    assert mean(A, -0.75, -0.45) < 0.7 * mean(A, -0.4, -0.1)
    assert abs(centres[A > 0]).max() > 2 > 1.8 > abs(centres[B > 0]).max()
    for seed in (0, 1):
        sd = {name: rows_of_p3()[name, seed]["standard_deviation_2"] for name in "ABCD"}
        assert abs(sd["A"] / sd["B"] - 1) < 0.1
        assert sd["A"] > 1.4 * sd["C"] and sd["D"] > 1.1 * sd["A"]


def test_p3_claims_of_the_controls():
    rows = rows_of_p3()
    for seed in (0, 1):
        sd = {name: rows[name, seed]["standard_deviation_1_living"] for name in "ABCD"}
        assert sd["A"] > 2 * sd["C"] and sd["D"] > 2 * sd["B"]
        for one, other in (("A", "D"), ("C", "B")):
            assert 1 / 1.4 < sd[one] / sd[other] < 1.4
    validation = [row["validation_accuracy"] for row in rows.values()]
    assert max(validation) - min(validation) < 0.015
    assert rows["A", 0]["standard_deviation_1_living"] > 1.9 * rows["B", 0][
        "standard_deviation_1_living"]


# Problem 4

def forward(folder, rows):
    """What the committed model says of rows (n, 20), in numpy alone."""
    with h5py.File(folder / "p4_model.hdf5") as file:
        W1, b1, W2, b2 = (file[f"model_weights/{layer}/{layer}/{name}:0"][()].astype(float)
                          for layer in ("hidden", "human") for name in ("kernel", "bias"))
    return 1 / (1 + np.exp(-(np.maximum(rows @ W1 + b1, 0) @ W2 + b2)))[:, 0], W1


def test_p4_submitted_network_is_right_as_often_as_reported():
    data, results = load_sequences(p4.DATA_FILE), results_of(4)
    rows = np.concatenate([data.human, data.machine])
    human = np.arange(len(rows)) < len(data.human)
    folds = np.concatenate([p4.folds_of(np.arange(len(of)), 5)
                            for of in (data.human, data.machine)])
    right = (forward(OUT, rows)[0] > 0.5) == human
    held_out = folds == 0
    assert results["submitted"]["validation"] == pytest.approx(right[held_out].mean(), abs=2e-3)
    assert results["submitted"]["train"] == pytest.approx(right[~held_out].mean(), abs=1e-3)
    assert results["submitted"]["validation_rows"] == held_out.sum()


@pytest.mark.parametrize("folder", [OUT, COURSE], ids=["shipped", "course"])
def test_p4_files_agree_with_one_another(folder):
    results, W = results_of(4, folder), forward(folder, np.zeros((1, 20)))[1]
    np.testing.assert_allclose(np.loadtxt(folder / "p4_weights.csv", delimiter=","), W, rtol=1e-6)
    assert text_of(folder / "p4_weights.txt") == p4.matrix_text(W) + "\n"
    means = [row["validation"]["mean"] for row in results["ranking"]]
    assert means == sorted(means, reverse=True) and len(means) >= 6
    assert results["ranking"][0]["setting"] == results["submitted"]["setting"]
    tuned = [run["setting"] for run in results["overfitting"]]
    assert tuned[0] == results["submitted"]["setting"] and len(set(tuned)) == 2
    lengths = {len(run["curves"][part]) for run in results["overfitting"] for part in run["curves"]}
    assert lengths == {results["epochs"]}


def test_course_outputs_are_of_the_courses_file_and_claim_nothing_of_people():
    results, report = results_of(4, COURSE), text_of(COURSE / "p4_report.md")
    assert not results["quick"] and (results["human"], results["machine"]) == (5100, 5100)
    assert results["coding"] == [-1, 1] and results["people"] is None
    assert results["of_instructions"] == [] and results["split"] == "random rows"
    assert "flips" not in str(results["ranking"])
    for text in (p4.INSIGHT, p4.FEATURES_TEXT, p4.OVERFITTING, p4.COURSE_TEXT):
        assert max(re.split(r"\{.*?\}", text), key=len) not in report
    assert results["ranking"][0]["validation"]["mean"] > 0.59


def test_p4_reaches_its_floors():
    results = results_of(4)
    assert results["ranking"][0]["validation"]["mean"] >= 0.62
    assert results["people"]["all"]["mean"] >= 0.61
    assert max(row["mean"] for row in results["features"]) >= 0.665


def test_p4_claims_of_alternation():
    results = results_of(4)
    found, (free, coin, told) = results["alternation"], results["of_instructions"]
    for row in (coin, told):
        assert row["differ"]["mean"] - row["differ"]["half"] > 0.55
    assert abs(free["differ"]["mean"] - 0.5) < free["differ"]["half"]
    assert abs(found["machine"]["mean"] - 0.5) < 0.01
    assert found["people"][0] < 0.35 and found["people"][1] > 0.85
    for end in ("few", "many"):
        assert found["human"][end] > 2 * found["machine"][end]
    assert found["human"]["few"] + found["human"]["many"] < 0.4
    assert 0 < results["people"]["all"]["mean"] - found["threshold"]["right"] < 0.02
    for key in ("raw", "best"):
        for a, b in ((told[key], free[key]), (told[key], coin[key]), (coin[key], free[key])):
            assert abs(a["mean"] - b["mean"]) < a["half"] + b["half"]


def test_p4_claims_of_overfitting():
    chosen, alone = results_of(4)["overfitting"]
    assert (chosen["setting"], alone["setting"]) == ("Adam, new coin flips", "Adam")
    assert alone["end"]["validation"][1] > alone["lowest_validation_loss"] + 0.015
    assert chosen["end"]["validation"][1] < chosen["lowest_validation_loss"] + 0.01
    assert chosen["human_rows"][0] > chosen["human_rows"][1] + 0.05


def test_p4_claims_of_the_matrix():
    matrix = results_of(4)["matrix"]
    for profile in (matrix["profile"], matrix["data"]):
        assert np.argsort(profile)[:2].tolist() == [0, 2] and profile[2] < 0
    assert matrix["profile"][1] < 0 < matrix["data"][1] and abs(matrix["profile"][3]) < 0.02
    assert matrix["same_sign"] > 190 + 3 * 9.7  # of 380: more than chance, whose sd is 9.7
    assert matrix["without_lag_1"] == pytest.approx(
        np.corrcoef(matrix["profile"][1:], matrix["data"][1:])[0, 1])


def test_p4_claims_of_the_features():
    results = results_of(4)
    raw, few, run, products, grams, together = results["features"]
    assert [raw["features"][:3], grams["features"][-7:]] == ["raw", "4-grams"]
    assert raw["mean"] == results["people"]["all"]["mean"] and raw["gain"]["mean"] == 0
    for row in (products, grams):
        assert row["gain"]["mean"] > row["gain"]["half"]
    for row in (few, run):  # as good as raw values, within the interval
        assert abs(row["gain"]["mean"]) < row["gain"]["half"]
    assert together["mean"] <= grams["mean"] and results["best_features"] == grams["features"]


# README and docstrings

def test_numbers_of_the_readme_and_the_docstrings_are_those_of_the_outputs():
    r1, r2, r3, r4, course = *map(results_of, SCRIPTS), results_of(4, COURSE)
    readme = " ".join(text_of(ROOT / "README.md").split())
    row = {(row["network"], row["seed"]): row for row in r3["rows"]}
    best = max(features["mean"] for features in r4["features"])
    of_course = course["ranking"][0]["validation"]
    expected = {
        p1: [f"{r1['test']['accuracy']:.2%}"], p2: [f"{r2['accuracy']['mean']:.2%}"],
        p3: [f"{row[name, 0]['standard_deviation_1_living']:.2f}" for name in "AB"],
        p4: [f"{r4['people']['all']['mean']:.1%}", f"{best:.1%}"]}

    def stands_in(text, number):  # "2 of 48" does not stand in "12 of 48"
        return re.search(rf"(?<![\d.,]){re.escape(number)}", text)
    for script, numbers in expected.items():
        for number in numbers:
            assert stands_in(readme, number), (script.__name__, number)
            assert stands_in(script.__doc__, number), (script.__name__, number)
    low, high = r1["test"]["interval"]
    for number in (f"{r1['test']['right']:,} of 10,000", f"{low:.2%} to {high:.2%}",
                   f"{r2['accuracy']['standard_deviation']:.2%}",
                   f"{r2['upper_body_mistakes']} of the first network's {r2['mistakes']}",
                   f"{row['A', 0]['dead']} of 128", f"{row['B', 0]['dead']} of 48",
                   f"{r4['ranking'][0]['validation']['mean']:.1%}", f"{of_course['mean']:.1%}"):
        assert stands_in(readme, number), number


def test_minutes_of_the_docstrings_and_the_readme_are_those_of_the_run():
    readme = text_of(ROOT / "README.md")
    for number, script in zip(SCRIPTS, (p1, p2, p3, p4)):
        minutes, = re.findall(r"\(about ([\d.]+) minutes on two cores\)", script.__doc__)
        assert float(minutes) * 60 == pytest.approx(results_of(number)["seconds"], abs=40)
        assert re.search(rf"`{SCRIPTS[number]}.py` \| {minutes} min", readme), number


def test_readme_is_short_and_names_the_commands_of_this_folder():
    text = text_of(ROOT / "README.md")
    assert len(text.splitlines()) < 110 and "TIMES" not in text and "RESULTS" not in text
    command = re.search(r"<!-- main command -->\n```\n(.*)\n", text).group(1)
    assert re.findall(r"python (\w+\.py)", command) == [f"{name}.py" for name in SCRIPTS.values()]

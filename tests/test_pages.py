"""Each number quoted in a page is that of the committed files.

Asked only while git says that outputs/ is as committed: whoever ran the scripts has other last
digits. A page's numbers are compared in their order with a list, in which constants of the homework
stand as they are and what was measured is read from the files."""
import csv
import json
import re

import conftest
import numpy as np
import pytest
from conftest import ROOT, SCRIPTS

OUT = ROOT / "outputs"
COURSE = OUT / "course_fall2020"
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", OUT / "README.md", COURSE / "README.md"]


as_committed = conftest.as_committed("outputs")


def text_of(path):
    return path.read_text(encoding="utf-8")


def section(text, heading):
    """What stands below a heading, without what stands below the next one of its rank."""
    rank = heading.split()[0]
    start = text.index(f"\n{heading}") + len(heading) + 1
    start = text.index("\n", start)
    end = text.find(f"\n{rank} ", start)
    return text[start:] if end < 0 else text[start:end]


def numbers(text):
    """All numbers of a text as they stand there, with their signs; not those of links and code."""
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.S)
    return [number.replace("−", "-") for number in
            re.findall(r"(?:(?<=[\s(|])[+−-])?(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?", text)]


def results(number, folder=OUT):
    return json.loads(text_of(folder / f"p{number}_results.json"))


def table(name, folder=OUT):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_resolve(page):
    links = re.findall(r"\]\(([^)]+)\)", text_of(page))
    assert links
    for link in links:
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            headings = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
                        for heading in re.findall(r"^#+ (.*)", text_of(target), re.M)
                        ] if anchor else []
            assert not anchor or anchor in headings, link


def column(rows, key):
    return [row[key] for row in rows]


def searched(name, **settings):
    """Mean validation accuracy of the row of a search with these settings, over its seeds."""
    row, = (row for row in table(name) if all(row[key] == value for key, value in settings.items()))
    return np.mean([float(row[key]) for key in row if key.startswith("validation") and row[key]])


def one_decimal(value):
    return f"{float(value):.1f}"


def confusion():
    with (OUT / "p2_confusion_counts.csv").open(encoding="utf-8", newline="") as file:
        return np.array([row[1:] for row in csv.reader(file)][1:], int)


@as_committed
def test_numbers_of_problem_1():
    of, configurations = results(1), table("p1_configurations.csv")
    test, right = f"{100 * of['test_accuracy']:.2f}", f"{of['test_right']:,}"
    plain, adversarial, *penalized = (
        searched("p1_search.csv", activation="ReLU", hidden_layers="300-300",
                 initial_learning_rate="0.4", epsilon=epsilon, l2=l2)
        for epsilon, l2 in (("0", "0"), ("1.0", "0"), ("0", "3e-05"), ("0", "0.0001"),
                            ("0", "0.0003"), ("0", "0.001")))
    rows = " ".join(value for row in configurations for value in list(row.values())[1:])
    removed = 100 * (adversarial - plain) / (100 - plain)
    expected = f"""784 300 300 10 {test} {removed:.0f} {plain:.2f} {adversarial:.2f}
        {max(penalized):.2f} 0.4
        784 300 300 10 100 0.4 0.2 0.1 50,000 10,000 784 300 10 0 1 0 0 1 500 1 2015 6 2 2 0 256
        50 20 40 0.4 0.2 0.1 0.4 0.2 0.1 95 {rows} 10,000 0.1 0.2 0.4 5 10,000 8
        0.2 60,000 {right} 10,000 {test} 0.10"""
    assert numbers(section(text_of(OUT / "README.md"), "## Problem 1")) == expected.split()
    assert max(penalized) - plain == pytest.approx(0.10, abs=0.01)
    last_ten = {tuple(row.values())[:2]: [float(row[
        "validation accuracy, mean of last ten epochs (%)"])] for row in configurations}
    for row in table("p1_search.csv"):
        activation, hidden, rate, epsilon, *_ = row.values()
        if (hidden, epsilon) == ("300-300", "1.0"):
            last_ten[activation, rate] += [float(row[f"validation_seed_{seed}"]) for seed in (1, 2)]
    best_three = sorted(last_ten.values(), reverse=True)[:3]
    assert best_three[0][0] - best_three[2][0] == pytest.approx(0.05)
    assert max(max(seeds) - min(seeds) for seeds in best_three) == pytest.approx(0.08)
    assert min(last_ten["tanh", "0.4"][1:]) > last_ten["tanh", "0.4"][0] + 0.1
    curve = [float(value) for value in column(table("p1_accuracy.csv"), "tanh 0.4, validation (%)")]
    assert max(curve[:6]) < 12 and curve[6] > 50
    training = {(row["activation"], row["initial learning rate"]): float(
        row["training accuracy (%)"]) for row in configurations}
    assert all(training[of, "0.1"] < training[of, "0.2"] - 0.2 for of in ("ReLU", "tanh"))
    assert (of["activation"], of["initial_learning_rate"], of["epsilon"]) == ("ReLU", 0.2, 1)
    p = of["test_accuracy"]
    assert 100 * (p * (1 - p) / 10_000) ** 0.5 == pytest.approx(0.10, abs=0.005)


@as_committed
def test_numbers_of_problem_2():
    of, page = results(2), section(text_of(OUT / "README.md"), "## Problem 2")
    counts = confusion()
    mistakes = counts.sum() - np.trace(counts)
    of_shirt = counts[6].sum() + counts[:, 6].sum() - 2 * counts[6, 6]
    mean, spread = (f"{100 * of[f'test_accuracy_{key}']:.2f}"
                    for key in ("mean", "standard_deviation"))
    answers = " ".join(" ".join([row["m"], row["rate, seed 0"], row["mean rate of all seeds"],
                                 row["first in how many seeds"]])
                       for row in table("p2_most_confused.csv"))
    images = column(table("p2_pairs.csv"), "images, seed 0")
    dress, bag = table("p2_most_confused.csv")[3], np.delete(counts[8], 8)
    bags = sorted(bag.tolist(), reverse=True)
    expected = f"""{of_shirt} {mistakes:,} {mean} {spread} 50,000 10,000 1 0 2 {answers}
        {dress['first in how many seeds']} {counts[7, 9]} {counts[7, 5]}
        {bag.sum()} {bags[0]} {bags[1]} 3 {' '.join(images)}
        0.001 0 {of['batch_size']} {of['epochs']} 0.1 110"""
    assert numbers(page) == expected.split()
    assert (OUT / "p2_confusion.txt").read_text(encoding="utf-8") in page
    for row in table("p2_most_confused.csv"):
        assert f"| {row['m']} | {row['class m']} | {row['most likely confused with']} |" in page
    pairs = table("p2_pairs.csv")
    assert [(row["class i"], row["class j"]) for row in pairs] == [
        ("T-shirt/top", "Shirt"), ("Pullover", "Coat"), ("Shirt", "T-shirt/top"),
        ("T-shirt/top", "Shirt")]
    for first, second in (pairs[:2], pairs[2:]):  # in each of the five networks
        assert all(int(first[key]) > int(second[key]) for key in first if "seed" in key)
    assert of_shirt / mistakes == pytest.approx(0.5, abs=0.01)
    assert counts[8, 6] == bags[0] > bags[1] == bags[2] == counts[8, 4] == counts[8, 7]
    assert (bag > 0).sum() == 8
    assert np.isclose(np.std(of["test_accuracy_of_each_seed"], ddof=1),
                      of["test_accuracy_standard_deviation"])


@as_committed
def test_settings_of_problem_2_are_the_best_of_three_equals():
    rows = table("p2_search.csv")
    means = {tuple(row.values())[:5]: np.mean([float(value) for value in tuple(row.values())[5:]
                                               if value]) for row in rows}
    best = max(means, key=means.get)
    assert sum(mean >= means[best] - 0.1 for mean in means.values()) == 3
    of = results(2)
    chosen = ("Adam", f"{of['learning_rate']}", "cosine", f"{of['batch_size']}", f"{of['epochs']}")
    assert chosen == best


@as_committed
def test_numbers_of_problem_3():
    rows = {(row["network"], row["seed"]): row for row in table("p3_weights.csv")}
    A, B = rows["A", "0"], rows["B", "0"]
    sd, kurtosis, near = (f"layer 1 living units: {what}" for what in (
        "standard deviation", "excess kurtosis", "below 0.01 in size (%)"))
    of_table = " ".join(
        f"{row['dead units']} {row['units']} {float(row[sd]):.3f} {one_decimal(row[kurtosis])} "
        f"{float(row['layer 2: standard deviation']):.2f} {row['training accuracy (%)']} "
        f"{row['validation accuracy (%)']}" for row in (rows[name, "0"] for name in "ABCD"))
    two = {name: f"{float(row[sd]):.2f} {one_decimal(row[kurtosis])}" for name, row in (
        ("A", A), ("B", B))}
    second = [f"{float(row['layer 2: standard deviation']):.2f}" for row in (A, B)]
    validation = [rows[name, seed]["validation accuracy (%)"] for name in "ABC" for seed in "01"]
    share = f"{100 * int(B['dead units']) / int(B['units']):.1f}"
    expected = f"""1 128 48 0.0001 0.2 40 0.001 128 50,000 10,000 1 2 1 2
        1 {two['A'].split()[0]} {two['B'].split()[0]} {two['A'].split()[1]} {two['B'].split()[1]}
        {B['layer 1: below 0.01 in size (%)']} 0.01 {A['layer 1: below 0.01 in size (%)']}
        {share} 1 {B[near]} {A[near]} 2 {one_decimal(A['layer 2: excess kurtosis'])}
        {one_decimal(B['layer 2: excess kurtosis'])} {second[0]} {second[1]}
        1 10,000 {A['dead units']} {B['dead units']} 1 2 {of_table} 1 2
        {' '.join(validation[:4])} 3 8 {' '.join(validation[4:])}"""
    assert min(validation[4:]) > max(validation[:4])
    page = section(text_of(OUT / "README.md"), "## Problem 3")
    assert numbers(page) == expected.split()
    for seed in "01":
        living = {name: float(rows[name, seed][sd]) for name in "ABCD"}
        layer_2 = {name: float(rows[name, seed]["layer 2: standard deviation"]) for name in "ABCD"}
        assert living["A"] > 2 * living["C"] and living["D"] > 2 * living["B"]
        assert max(living["D"] / living["A"], living["B"] / living["C"]) < 1.5
        assert layer_2["A"] > 1.2 * layer_2["C"] and layer_2["D"] > 1.2 * layer_2["B"]
        assert layer_2["D"] > 1.1 * layer_2["A"] and layer_2["B"] > 1.1 * layer_2["C"]
        assert float(rows["A", seed][kurtosis]) > 2 * float(rows["B", seed][kurtosis]) > 0
        assert float(rows["B", seed]["layer 2: excess kurtosis"]) < 0 < float(
            rows["A", seed]["layer 2: excess kurtosis"])


ACCURACY = ("accuracy (%)", "accuracy: half of 95% interval")
GAIN = ("gain over raw values (points)", "gain: half of 95% interval")


def with_half(row, keys):
    mean, half = (float(row[key]) for key in keys)
    return f"{mean:{'+' if keys == GAIN else ''}.1f} {half:.1f}"


@as_committed
def test_numbers_of_problem_4():
    of, page = results(4), section(text_of(OUT / "README.md"), "## Problem 4")
    features = {row["features"]: row for row in table("p4_features.csv")}
    products = "products at lags 1 to 10"
    accuracy = {name: one_decimal(row["accuracy (%)"]) for name, row in features.items()}
    rows = {row["rows added"]: row for row in table("p4_rows.csv")}
    added = {name: " ".join(one_decimal(rows[number][f"{name}: right (%)"])
                            for number in ("1", "5", "20")) for name in (products, "raw values")}
    settings = {row["setting"]: (float(row["training accuracy (%)"]),
                                 float(row["validation accuracy (%)"]))
                for row in table("p4_settings.csv")}
    gap = {name: one_decimal(training - validation)
           for name, (training, validation) in settings.items()}
    alone = " ".join(map(one_decimal, settings["Adam"]))
    of_settings = " ".join(" ".join([*numbers(name.replace("L1", "").replace("L2", "")),
                                     *map(one_decimal, both)]) for name, both in settings.items())
    ratio = {row["pattern"]: row["ratio"] for row in table("p4_patterns.csv")}
    W = np.loadtxt(OUT / "p4_weights.csv", delimiter=",")
    same_sign = (W[1:] * W[:-1] > 0).sum()
    of_features = " ".join(
        " ".join([*numbers(name), with_half(row, ACCURACY),
                  with_half(row, GAIN) if name != "raw values" else ""])
        for name, row in features.items())
    entropy = [row["validation cross-entropy"] for row in table("p4_settings.csv")
               if row["setting"] in ("Adam", "Adam, L2 0.003")]
    switch_6 = f"{100 * of['switch_after_runs_of_1_to_6'][5]:.0f}"
    expected = f"""{accuracy[products]} {accuracy['raw values']} {added[products].split()[2]}
        {of['human_rows']:,} 85 2.2 2020 2.15 20 16 30 1 0 0.006 0.2 80 20 {alone} 0.003
        {gap['Adam']} {gap['Adam, L2 0.003']} {' '.join(entropy)} {of_settings}
        0.003 {accuracy['raw values']} 20 20
        {same_sign} 380 190 1 3 5 6 8 10 2 4 7 9 0101 1010 {ratio['0101']} 0000 {ratio['0000']}
        1111 {ratio['1111']} {switch_6} 50
        -1 +1 1 1 10 {sum(20 - lag for lag in range(1, 11))} 20 {of_features} 95
        4 1 5 20 {added[products]} {added['raw values']} 4"""
    assert numbers(page) == expected.split()
    assert (OUT / "p4_weights.txt").read_text(encoding="utf-8") in page
    assert ratio["0101"] == ratio["1010"] and of["submitted"] == "SGD, L2 0.003"
    assert max(settings, key=lambda name: settings[name][1]) == of["submitted"] in page
    for row in table("p4_lags.csv"):
        lag = int(row["lag"])
        networks = [float(row[key]) > 0 for key in row if key.startswith("W diag")]
        data = float(row["human mean product"]) > float(row["machine mean product"])
        if lag in (1, 3, 5, 6, 8, 10):
            assert set(networks) == {data} == {lag > 5}
        if lag in (2, 4):
            assert set(networks) == {not data}
    gain = {name: [float(row[key]) for key in GAIN]
            for name, row in features.items() if name != "raw values"}
    for name in (products, "counts of 4-grams"):
        assert gain[name][0] > gain[name][1]
    one_number = gain["number of transitions, one-hot"]
    assert abs(one_number[0]) < one_number[1]
    assert settings["Adam"][1] < min(both[1] for name, both in settings.items() if name != "Adam")


@as_committed
def test_numbers_of_the_courses_page():
    of, page = results(4, COURSE), text_of(COURSE / "README.md")
    features = {row["features"]: row for row in table("p4_features.csv", COURSE)}
    settings = {row["setting"]: (float(row["training accuracy (%)"]),
                                 float(row["validation accuracy (%)"]))
                for row in table("p4_settings.csv", COURSE)}
    penalized = settings["Adam, L2 0.003"]
    gaps = [one_decimal(training - validation)
            for training, validation in (settings["Adam"], penalized)]
    gains = [with_half(features[name], GAIN)
             for name in ("products at lags 1 to 10", "counts of 4-grams")]
    differ = [f"{100 * each['neighbours_differ']:.0f}" for each in (of, results(4))]
    lags = [f"{float(row['human mean product']) - float(row['machine mean product']):+.2f}"
            for row in table("p4_lags.csv", COURSE)][:4]
    one_number = with_half(features["number of transitions, one-hot"], GAIN)
    zeros = [next(row["ratio"] for row in table("p4_patterns.csv", folder)
                  if row["pattern"] == "0000") for folder in (COURSE, OUT)]
    expected = f"""4 2020 {of['human_rows']:,} 2.2 2020 2.15
        {one_decimal(features['raw values']['accuracy (%)'])} 0.003 {gaps[0]} {gaps[1]}
        {one_decimal(penalized[1])} 4 {gains[0]} {gains[1]} 95 1 4 {' '.join(lags)}
        {differ[0]} {differ[1]} 0000 {zeros[0]} {zeros[1]} {one_number} 2 4"""
    assert numbers(page) == expected.split()
    for row in table("p4_lags.csv", COURSE):
        if row["lag"] in ("2", "4"):
            assert all(float(row[key]) > 0 for key in row if key.startswith("W diag"))
    assert of["submitted"] == "Adam" == max(settings, key=lambda name: settings[name][1])
    assert max(settings, key=lambda name: settings[name][0] - settings[name][1]) == "Adam"


@as_committed
def test_numbers_of_the_readme():
    one, two, four = results(1), results(2), results(4)
    rows = {(row["network"], row["seed"]): row for row in table("p3_weights.csv")}
    living = "layer 1 living units: standard deviation"
    accuracy = {row["features"]: one_decimal(row["accuracy (%)"])
                for row in table("p4_features.csv")}
    expected = f"""1 {100 * one['test_accuracy']:.2f} {one['test_right']:,} 10,000 1
        2 {100 * two['test_accuracy_mean']:.2f} 2
        3 {float(rows['A', '0'][living]):.2f} {float(rows['C', '0'][living]):.2f}
        {float(rows['D', '0'][living]):.2f} {float(rows['B', '0'][living]):.2f} 3
        4 {accuracy['raw values']} {accuracy['products at lags 1 to 10']} 4 2"""
    assert numbers(section(text_of(ROOT / "README.md"), "## Results")) == expected.split()
    assert four["best_features"] == "products at lags 1 to 10"


def test_readme_is_short_and_its_command_runs_the_four_scripts():
    text = text_of(ROOT / "README.md")
    assert len(text.splitlines()) < 90
    command = re.search(r"<!-- main command -->\n```\n(.*)\n", text).group(1)
    assert re.findall(r"python (\w+\.py)", command) == [f"{name}.py" for name in SCRIPTS.values()]

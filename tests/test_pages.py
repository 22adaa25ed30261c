"""The pages: links lead somewhere, the homework's parts are there, and each number comes from a
committed file. In prose it is a setting or one that a function below, quoted_..., takes from its
file; in a table its cell is compared. Other words turn no test red; another number does.

Numbers are asked only while git says that outputs/ is as committed: whoever ran the scripts has
other last digits."""
import csv
import json
import re

import conftest
import pytest
from conftest import ROOT, SCRIPTS

OUT = ROOT / "outputs"
COURSE = OUT / "course_fall2020"
ANSWERS, BEYOND, COURSE_PAGE = OUT / "README.md", OUT / "beyond.md", COURSE / "README.md"
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", ROOT / "data" / "ORIGINS.md", ANSWERS,
         BEYOND, COURSE_PAGE]
as_committed = conftest.as_committed("outputs")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(path):
    return path.read_text(encoding="utf-8")


def headings_of(page):
    return re.findall(r"^#+ (.*)$", text_of(page), re.M)


def anchor_of(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@every_page
def test_links_and_pictures_resolve(page):
    links = re.findall(r"\]\(([^)]+)\)", text_of(page))
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in map(anchor_of, headings_of(target)), link


@every_page
def test_pages_speak_of_no_machine_and_are_finished(page):
    assert not re.search(r"/work|/home/|/root|/tmp|TODO|@@|\bnan\b", text_of(page))


def test_the_main_command_runs_the_four_scripts_in_order():
    command = re.search(r"<!-- main command -->\n```\n(.*)\n", text_of(ROOT / "README.md")).group(1)
    assert re.findall(r"python (\w+\.py)", command) == [f"{name}.py" for name in SCRIPTS.values()]


def test_each_part_of_the_homework_has_its_place_in_its_order():
    marks = [anchor_of(heading)[:9] for heading in headings_of(ANSWERS)]
    problems = [mark for mark in marks if mark.startswith("problem-")]
    assert problems == ["problem-1", "problem-2", "problem-3", "problem-4"]
    part_1 = section_of(ANSWERS, "Problem 1")
    letters = re.findall(r"\(([a-m])\)", "".join(re.findall(r"^- \*\*(.*?)\*\*", part_1, re.M)))
    assert letters == list("abcdefghijklm")
    parts_of_2 = re.findall(r"^### (\d)", section_of(ANSWERS, "Problem 2"), re.M)
    assert parts_of_2 == ["1", "2", "3"]


@pytest.mark.parametrize("problem, files", [
    ("Problem 1", ["p1_curves.png", "p1_curve_relu_lr0.4.png", "p1_curve_relu_lr0.2.png",
                   "p1_curve_relu_lr0.1.png", "p1_curve_tanh_lr0.4.png", "p1_curve_tanh_lr0.2.png",
                   "p1_curve_tanh_lr0.1.png", "p1_network_params.hdf5", "p1_search.csv"]),
    ("Problem 2", ["p2_confusion.png", "p2_confusion.csv", "p2_most_confused.csv"]),
    ("Problem 3", ["p3_hist_A_layer1.png", "p3_hist_A_layer2.png", "p3_hist_B_layer1.png",
                   "p3_hist_B_layer2.png", "p3_histograms.png"]),
    ("Problem 4", ["course_fall2020/p4_model.hdf5", "course_fall2020/p4_learning_curve.png",
                   "course_fall2020/p4_weights.txt", "p4_model.hdf5", "p4_learning_curve.png"])])
def test_what_the_homework_asks_for_is_linked_in_its_section(problem, files):
    section = section_of(ANSWERS, problem)
    assert [name for name in files if f"({name})" not in section] == []


# Numbers

def section_of(page, begin):
    """The text below the heading (## or ###) that begins so, to the next one of ##."""
    parts = re.split(r"^## ", text_of(page), flags=re.M)
    section, = (part for part in parts if part.startswith(begin))
    return section


def values_in(*patterns):
    """All numbers of the committed files with these names, in outputs/."""
    values = []

    def collect(item):
        if isinstance(item, dict):
            collect(list(item.values()))
        elif isinstance(item, list):
            for part in item:
                collect(part)
        elif isinstance(item, (int, float)):
            values.append(float(item))

    for pattern in patterns:
        paths = sorted(OUT.glob(pattern))
        assert paths, pattern
        for path in paths:
            if path.suffix == ".json":
                collect(json.loads(text_of(path)))
                continue
            # Cells of a CSV file or a text: also "SGD 0.1" or "Adam, L2 0.003" hold a number.
            for word in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text_of(path)):
                values.append(float(word))
    return values


def prose_of(text):
    """A text without code, link targets and HTML."""
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`|<[^>]*>", " ", text)
    return text.replace("−", "-").replace("*", "")


NUMBER = re.compile(r"(?<![\w.,-])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?![\w^]|-\d|,\d|\.\d)")


def stands(text, values):
    """Is a number of a page one of the values, or 100 times one, to the decimals that it shows?"""
    text = text.replace(",", "")
    number, decimals = float(text), len(text.partition(".")[2])
    half = 0.5001 * 10 ** -decimals
    for value in values:
        if abs(number - value) <= half or abs(number - 100 * value) <= half:
            return True
    return False


def test_stands_compares_to_the_decimals_shown():
    assert stands("99.07", [0.99074]) and stands("0.10", [0.1012]) and stands("-0.6", [-0.59])
    assert stands("9,907", [9907]) and stands("12", [12.4])
    assert not stands("99.08", [0.99074]) and not stands("0.11", [0.1012])
    assert not stands("0.6", [-0.6]) and not stands("12", [12.6])


# Settings, and numbers that are no results.
SETTINGS = [
    -1, *range(21), 25, 29, 32, 40, 48, 50, 80, 95, 100, 128, 255, 256, 300, 400, 500, 784, 1000,
    10_000, 50_000, 60_000, 2 ** 20, 2015, 2020, 9.5, 0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3,
    0.4, 0.8, 2.2, 2.15, 3.15]


def row_of(name, **cells):
    """The one row of a table in outputs/ with these cells, as numbers where they are."""
    with (OUT / name).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file)
                if all(row[column] == cell for column, cell in cells.items())]
    row, = rows
    return row


def results_of(name):
    return json.loads(text_of(OUT / name))


def column_of(name, column):
    """A column of a table in outputs/, as numbers."""
    with (OUT / name).open(encoding="utf-8", newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file)]


def search(**cells):
    """The trial of problem 1 with ReLU, 300-300 and 0.4, or with other cells."""
    plain = {"activation": "ReLU", "hidden layers": "300-300", "initial learning rate": "0.4",
             "step": "0.0", "moved by (pixels)": "0", "L2": "0.0"}
    return row_of("p1_search.csv", **{**plain, **cells})


def of_two_seeds(trial):
    """Validation accuracy (%), the mean of the two seeds that all trials have."""
    return (float(trial["validation, seed 1 (%)"]) + float(trial["validation, seed 2 (%)"])) / 2


# What the prose of a section quotes, each number as it is to be written.

def quoted_in_problem_1():
    results = results_of("p1_results.json")
    p, images = results["test_accuracy"], results["test_images"]
    quoted = [f"{100 * p:.2f}", f"{results['test_right']:,}"]
    chosen = {"step": "0.8", "moved by (pixels)": "1"}
    for layers in ("300-200", "300-300", "400-300", "512-256", "600-400"):
        quoted.append(search(**chosen, **{"hidden layers": layers})["mean (%)"])
    plain, both = of_two_seeds(search()), of_two_seeds(search(**chosen))
    for part in chosen:
        alone = of_two_seeds(search(**{part: chosen[part]}))
        quoted.append(f"{alone - plain:.1f}")
    quoted.append(f"{both - plain:.1f}")
    for check in ("central differences", "TensorFlow"):
        errors = [float(row_of("p1_gradients.csv", check=check, activation=activation)[
            "largest relative error"]) for activation in ("ReLU", "tanh")]
        quoted.append(f"{max(errors):.0e}")
    first, second = (row_of("p1_configurations.csv", activation="ReLU",
                            **{"initial learning rate": rate}) for rate in ("0.4", "0.2"))
    validation = float(first["validation accuracy (%)"])
    ahead = float(first["training accuracy, moved images (%)"]) - validation
    behind = validation - float(second["validation accuracy (%)"])
    standard_error = 100 * (p * (1 - p) / images) ** 0.5
    return [*quoted, f"{ahead:.2f}", f"{behind:.2f}", f"{standard_error:.2f}"]


def quoted_in_the_control_of_problem_1():
    plain, _, adversarial, moved, both = column_of("p1_control.csv", "mean (%)")
    results = results_of("p1_results.json")
    test = results["adversarial_test_images"]
    return [f"{adversarial - plain:.2f}", f"{moved - plain:.2f}", f"{both - plain:.1f}",
            f"{results['epsilon']}", f"{100 * test['accuracy']:.2f}",
            f"{100 * test['accuracy_on_adversarial_examples']:.1f}",
            f"{test['median_length_of_an_image']:.1f}", f"{test['cost_rise']:.3f}",
            f"{test['first_order_cost_rise']:.3f}"]


def mistakes():
    """{(true class, predicted class): test images} of problem 2's network that is shown."""
    with (OUT / "p2_confusion_counts.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    return {(i, j): counts[i][j] for i in range(10) for j in range(10) if i != j}


def quoted_in_problem_2():
    results, counts = results_of("p2_results.json"), mistakes()
    accuracies = [100 * results[f"test_accuracy_{name}"]
                  for name in ("of_the_network_shown", "mean", "standard_deviation")]
    return [*(f"{accuracy:.2f}" for accuracy in accuracies),
            f"{counts[0, 6] + counts[6, 0]}", f"{counts[2, 4] + counts[4, 2]}"]


def quoted_about_mistakes():
    counts = mistakes()
    groups = [{0, 2, 3, 4, 6}, {5, 7, 9}]  # upper body, footwear
    inside = [sum(counts[pair] for pair in counts if group.issuperset(pair)) for group in groups]
    trouser_or_bag = sum(counts[pair] for pair in counts if {1, 8}.intersection(pair))
    shirt = sum(counts[pair] for pair in counts if 6 in pair)
    total = sum(counts.values())
    across = total - sum(inside) - trouser_or_bag
    return [f"{total:,}", *map(str, inside), str(across), str(trouser_or_bag), str(shirt),
            str(counts[0, 6] + counts[6, 0])]


LAYERS = [f"layer {layer}: {measure}" if layer == 2 else f"layer 1, living units: {measure}"
          for layer in (1, 2) for measure in ("standard deviation", "excess kurtosis")]


def quoted_in_problem_3():
    quoted = []
    for seed in "01":
        a, b, c = (row_of("p3_weights.csv", network=name, seed=seed) for name in "ABC")
        measures = LAYERS if seed == "0" else [LAYERS[0], LAYERS[1], LAYERS[3]]
        for row in (a, b):
            quoted += [row[measure] for measure in measures]
            gap = float(row["training accuracy (%)"]) - float(row["validation accuracy (%)"])
            quoted.append(f"{gap:.1f}")
        for row in (b, c):
            fall = float(a["validation accuracy (%)"]) - float(row["validation accuracy (%)"])
            quoted.append(f"{fall:.1f}")
    return quoted


def quoted_about_tails():
    pixels = results_of("p3_results.json")["rarely_inked_pixels"]
    a, again, b = (row_of("p3_weights.csv", network=name, seed=seed)
                   for name, seed in (("A", "0"), ("A", "1"), ("B", "0")))
    share = "of these from rarely inked pixels (%)"
    size = "layer 1, living units: rms of weights from rarely inked pixels"
    return [f"{pixels}", f"{100 * pixels / 784:.0f}", a[share], again[share], a[size], b[size]]


def quoted_about_the_spike():
    quoted = []
    for seed in "01":
        for network in "AB":
            quoted.append(row_of("p3_weights.csv", network=network, seed=seed)["dead units"])
        for network in "CD":
            row = row_of("p3_weights.csv", network=network, seed=seed)
            quoted += [row["layer 1: weights below 0.01 in size (%)"],
                       row["layer 1, living units: weights below 0.01 in size (%)"]]
    return quoted


BOTH_FILES = "", "course_fall2020/"
ACCURACY = ("accuracy (%)", "accuracy: half of 95% interval")
GAIN = ("gain over 20-20-1 (points)", "gain: half of 95% interval")


def quoted_in_problem_4():
    shipped, course = (results_of(f"{folder}p4_results.json") for folder in BOTH_FILES)
    quoted = [f"{course['human_rows']:,}", f"{shipped['human_rows']:,}", f"{shipped['people']}"]
    for folder in BOTH_FILES:
        taught = row_of(f"{folder}p4_networks.csv", network="20-20-1, taught")
        quoted += [taught[column] for column in ACCURACY]
    training, validation = (100 * course[f"{part}_accuracy_of_the_first_fold"]
                            for part in ("training", "validation"))
    quoted += [f"{validation:.1f}", f"{training - validation:.1f}"]
    for many in ("fewer_than_6", "more_than_13"):
        rows = course[f"rows_with_{many}_transitions"]
        quoted += [f"{100 * rows[whose]:.1f}"
                   for whose in ("people", "people_half_of_interval", "coin")]
    return quoted


def quoted_about_people_and_a_coin():
    quoted = [f"{results_of('p4_results.json')['people']}"]
    for folder in BOTH_FILES:
        squares = row_of(f"{folder}p4_networks.csv", input="their ten squares")
        quoted += [squares[column] for column in GAIN]
    return quoted


def quoted_about_presses_at_a_time():
    quoted, missing = [], []
    for folder in BOTH_FILES:
        columns = [column_of(f"{folder}p4_shares.csv", f"{presses} (%)")
                   for presses in ("singles", "pairs", "threes", "fours")]
        missing += [100 - sum(shares) for shares in zip(*columns)]
        fours = columns[-1]
        quoted += [f"{fours[0]:.0f}", f"{fours[1]:.0f}", f"{fours[-1]:.0f}"]  # -1: untrained
    return [*quoted, f"{max(missing):.0f}"]


def quoted_about_the_convolution():
    quoted = []
    for folder in BOTH_FILES:
        plain, _, convolution, gain = column_of(f"{folder}p4_control.csv", "accuracy (%)")
        half = column_of(f"{folder}p4_control.csv", "half of 95% interval")[-1]
        taught = row_of(f"{folder}p4_networks.csv", network="20-20-1, taught")
        best = row_of(f"{folder}p4_networks.csv", network="convolution")
        shares = row_of(f"{folder}p4_shares.csv", network="20-20-1, taught")
        quoted += [f"{gain}", f"{half}", f"{convolution - plain:.1f}",
                   f"{float(taught['accuracy (%)']) - plain:.1f}", taught[GAIN[0]], best[GAIN[0]],
                   shares["fours (%)"]]
    return quoted


def quoted_about_people():
    ratios = [results_of(f"{folder}p4_results.json")["transitions_of_people_vary_times_chance"]
              for folder in BOTH_FILES]
    study, students = (column_of(f"{folder}p4_settings.csv", "validation accuracy (%)")[:-1]
                       for folder in BOTH_FILES)
    less = [ours - theirs for ours, theirs in zip(study, students)]
    convolutions = [float(row_of(f"{folder}p4_networks.csv", network="convolution")[ACCURACY[0]])
                    for folder in BOTH_FILES]
    return [*(f"{ratio:.1f}" for ratio in ratios), f"{min(less):.0f}", f"{max(less):.0f}",
            f"{convolutions[0] - convolutions[1]:.0f}"]


def quoted_on_the_page_of_the_course():
    results = results_of("course_fall2020/p4_results.json")
    return [f"{results['human_rows']:,}", f"{results['people']}",
            f"{results['transitions_of_people_vary_times_chance']:.1f}"]


NOTHING = list  # nothing is quoted
P1 = ["p1_results.json", "p1_configurations.csv", "p1_search.csv", "p1_control.csv",
      "p1_gradients.csv"]
P2 = ["p2_confusion_counts.csv", "p2_confusion.csv", "p2_most_confused.csv", "p2_results.json"]
P3 = ["p3_weights.csv", "p3_control.csv", "p3_results.json"]
P4 = [folder + name for folder in ("", "course_fall2020/") for name in (
    "p4_settings.csv", "p4_networks.csv", "p4_shares.csv", "p4_results.json", "p4_control.csv")]
OPENING = [name for name in (*P1, *P2, *P4) if name.endswith(("results.json", "networks.csv"))]
SECTIONS = [  # page, how the heading of the section begins, its files, what its prose quotes
    (ANSWERS, "# Answers", OPENING, NOTHING),
    (ANSWERS, "Problem 1", P1, quoted_in_problem_1),
    (ANSWERS, "Problem 2", P2, quoted_in_problem_2),
    (ANSWERS, "Problem 3", P3, quoted_in_problem_3),
    (ANSWERS, "Problem 4", P4, quoted_in_problem_4),
    (BEYOND, "Is it the direction", ["p1_control.csv"], quoted_in_the_control_of_problem_1),
    (BEYOND, "Where do the mistakes", P2, quoted_about_mistakes),
    (BEYOND, "Which ingredient", P3, NOTHING),
    (BEYOND, "Where do the tails", P3, quoted_about_tails),
    (BEYOND, "What is the spike", P3, quoted_about_the_spike),
    (BEYOND, "What tells a person", P4, quoted_about_people_and_a_coin),
    (BEYOND, "How many presses", P4, quoted_about_presses_at_a_time),
    (BEYOND, "What does the convolution", P4, quoted_about_the_convolution),
    (BEYOND, "Are all people", P4, quoted_about_people),
    (BEYOND, "A trap in Keras", [], NOTHING),
    (COURSE_PAGE, "", [name for name in P4 if name.startswith("course")],
     quoted_on_the_page_of_the_course),
    (ROOT / "README.md", "Results", OPENING, NOTHING),
]


@as_committed
@pytest.mark.parametrize("page, begin, files, quoted", SECTIONS,
                         ids=[f"{page.parent.name}/{page.name} {begin}"
                              for page, begin, _, _ in SECTIONS])
def test_each_number_of_a_section_stands_in_its_files(page, begin, files, quoted):
    """The prose holds what is quoted and, besides, settings; its tables what is in the files."""
    text = prose_of(section_of(page, begin) if begin else text_of(page))
    lines = text.splitlines()
    prose = "\n".join(line for line in lines if not line.strip().startswith("|"))
    tables = "\n".join(line for line in lines if line.strip().startswith("|"))
    numbers = NUMBER.findall(prose)
    assert set(quoted()) - set(numbers) == set()
    others = set(numbers) - set(quoted())
    assert [number for number in others if float(number.replace(",", "")) not in SETTINGS] == []
    values = [*values_in(*files), *SETTINGS]
    assert [number for number in NUMBER.findall(tables) if not stands(number, values)] == []


@as_committed
def test_the_results_that_matter_are_said():
    """A number that stands in a file may still be the wrong one: these are asked for."""
    p1, p2, p4 = (json.loads(text_of(OUT / f"p{number}_results.json")) for number in (1, 2, 4))
    people = row_of("p4_networks.csv", network="20-20-1, taught")["accuracy (%)"]
    students = row_of("course_fall2020/p4_networks.csv", network="20-20-1, taught")["accuracy (%)"]
    mean = f"{100 * p2['test_accuracy_mean']:.2f}%"
    test_accuracy = f"{100 * p1['test_accuracy']:.2f}%"
    chosen = f"{p1['activation']}, {p1['initial_learning_rate']:g}"
    assert test_accuracy in section_of(ANSWERS, "Problem 1")
    assert f"{p1['test_right']:,} of {p1['test_images']:,}" in section_of(ANSWERS, "Problem 1")
    assert chosen in section_of(ANSWERS, "Problem 1")
    assert mean in section_of(ANSWERS, "Problem 2")
    assert f"{people}%" in section_of(ANSWERS, "Problem 4") and p4["submitted"].endswith("taught")
    assert f"{students}%" in section_of(ANSWERS, "Problem 4")
    for number in (test_accuracy, mean, f"{people}%", f"{students}%"):
        assert number in text_of(ROOT / "README.md").replace("*", "")
    for number in (test_accuracy, mean, f"{students}%"):
        assert number in section_of(ANSWERS, "# Answers").replace("*", "")
    with (OUT / "p2_most_confused.csv").open(encoding="utf-8", newline="") as file:
        taken_for = [row["m is most often taken for"] for row in csv.DictReader(file)]
    assert ", ".join(taken_for) in section_of(ANSWERS, "# Answers")


# Tables: each cell in its place

def markdown_table(page, head):
    """The rows of the table of a page whose head begins so: lists of cells."""
    lines = text_of(page).splitlines()
    start, = (number for number, line in enumerate(lines)
              if line.strip().startswith(f"| {head}") and "|---|" in lines[number + 1])
    rows = []
    for line in lines[start + 2:]:
        if not line.strip().startswith("|"):
            break
        rows.append([cell.strip().strip("*") for cell in line.strip().strip("|").split("|")])
    return rows


COSTS = ["training accuracy (%)", "validation accuracy (%)", "validation cross-entropy (nats)"]
SHARES = ["singles (%)", "pairs (%)", "threes (%)", "fours (%)"]
CONTROL = ("accuracy (%)", "half of 95% interval")
NAME = None  # a cell of words, or one of another file
TABLES = [  # page, how the table's head begins, file, columns
    (ANSWERS, "activation", "p1_configurations.csv",
     ["activation", "initial learning rate", "training accuracy, moved images (%)",
      "validation accuracy (%)", "validation accuracy, mean of last ten epochs (%)"]),
    (ANSWERS, "m |", "p2_most_confused.csv",
     ["m", "class m", "m is most often taken for", "row: rate, seed 0", "most often taken for m",
      "column: rate, seed 0"]),
    (ANSWERS, "20-20-1, trained with", "course_fall2020/p4_settings.csv",
     [NAME, "initial learning rate", "training accuracy (%)", "validation accuracy (%)",
      "training cross-entropy", "validation cross-entropy"]),
    (COURSE_PAGE, "network | input", "course_fall2020/p4_networks.csv",
     ["network", "input", GAIN, "human rows right (%)", "machine rows right (%)"]),
    (ANSWERS, "network | input", "course_fall2020/p4_networks.csv",
     [NAME, "input", ACCURACY, NAME, NAME, NAME]),
    (ANSWERS, "network | input", "course_fall2020/p4_shares.csv",
     [NAME, NAME, NAME, "singles (%)", "pairs (%)", "fours (%)"]),
    (BEYOND, "training images", "p1_control.csv",
     ["training images", "step of length 1", 2, 3, "mean (%)"]),
    (BEYOND, "network | seed", "p3_weights.csv",
     ["network", "seed", "units", "L2", "dropout", *LAYERS]),
    (BEYOND, "trained network | seed", "p3_weights.csv", ["network", "seed", *COSTS]),
    (BEYOND, "network | input | study", "p4_shares.csv",
     [NAME, NAME, *SHARES, NAME, NAME, NAME, NAME]),
    (BEYOND, "network | input | study", "course_fall2020/p4_shares.csv",
     [NAME, NAME, NAME, NAME, NAME, NAME, *SHARES]),
    (BEYOND, "network, trained with Adam", "p4_control.csv",
     [NAME, "parameters", "training accuracy (%)", CONTROL, NAME, NAME]),
    (BEYOND, "network, trained with Adam", "course_fall2020/p4_control.csv",
     [NAME, NAME, NAME, NAME, "training accuracy (%)", CONTROL]),
    (BEYOND, "A, trained by", "p3_control.csv",
     ["optimizer", "seed", "rms movement of weights from rarely inked pixels",
      "rms movement of weights from other pixels", "standard deviation", "excess kurtosis",
      "of these from rarely inked pixels (%)", "training accuracy (%)",
      "validation accuracy (%)"]),
]


def holds(cell, row, column):
    """Does a cell of a page hold what a row of a file has in a column (or its number)?"""
    if column is NAME:
        return True
    if isinstance(column, tuple):  # a value and half of its interval
        if not cell:
            return float(row[column[0]]) == 0
        mean, half = cell.replace("%", "").split(" ± ")
        return holds(mean, row, column[0]) and holds(half, row, column[1])
    value = list(row.values())[column] if isinstance(column, int) else row[column]
    cell = cell.replace("−", "-").rstrip("%").partition("*")[0]  # behind a star: a near tie
    try:
        number = float(cell.replace(",", ""))
        return stands(cell, [float(value)]) and abs(number - float(value)) < 1
    except ValueError:
        return cell == value


@as_committed
@pytest.mark.parametrize("page, head, file, columns", TABLES,
                         ids=[f"{page.name} {file}" for page, _, file, _ in TABLES])
def test_tables_hold_what_the_files_hold(page, head, file, columns):
    shown = markdown_table(page, head)
    with (OUT / file).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))[:len(shown)]
    for cells, row in zip(shown, rows, strict=True):
        for cell, column in zip(cells, columns, strict=True):
            assert holds(cell, row, column), (cell, column)


@as_committed
def test_printed_lines_on_the_pages_are_those_of_the_files():
    for page, file in ((ANSWERS, "p2_confusion.txt"), (ANSWERS, "course_fall2020/p4_weights.txt"),
                       (BEYOND, "frozen_order.txt")):
        assert f"```\n{text_of(OUT / file)}```" in text_of(page)


@as_committed
def test_rows_that_are_tried_on_the_page_get_the_networks_answer(monkeypatch, capsys):
    import p4_human_machine as p4
    printed = re.findall(r"^[01]{20}: \d+% human$", text_of(BEYOND), re.M)
    rows = [line.partition(":")[0] for line in printed]
    conftest.run_main(monkeypatch, p4, "--try", *rows)
    assert rows and capsys.readouterr().out.splitlines() == printed

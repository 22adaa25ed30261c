"""The pages: links lead somewhere, the homework's parts are there, and each number that is quoted
stands in a committed file. Rewording turns no test red.

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
    if "e" in text:
        return number in values
    half = 0.5001 * 10 ** -decimals
    for value in values:
        if abs(number - value) <= half or abs(number - 100 * value) <= half:
            return True
    return False


def test_stands_compares_to_the_decimals_shown():
    assert stands("99.07", [0.99074]) and stands("0.10", [0.1012]) and stands("-0.6", [-0.59])
    assert stands("9,907", [9907]) and stands("3e-09", [3e-09]) and stands("12", [12.4])
    assert not stands("99.08", [0.99074]) and not stands("0.11", [0.1012])
    assert not stands("0.6", [-0.6]) and not stands("12", [12.6])


# Settings, and numbers that are no results.
SETTINGS = [
    *range(21), 25, 29, 30, 40, 48, 50, 80, 95, 100, 128, 200, 255, 256, 300, 400, 500, 512, 600,
    784, 10_000, 50_000, 60_000, 2 ** 20, 2020, 2015, 9.5, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8, 0.9,
    0.0001, 0.001, 0.003, 2.2, 2.15, 3.15]


def row_of(name, **cells):
    """The one row of a table in outputs/ with these cells, as numbers where they are."""
    with (OUT / name).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file)
                if all(row[column] == cell for column, cell in cells.items())]
    row, = rows
    return row


def search(**cells):
    """Validation accuracy (%) of a trial of problem 1 with ReLU, 300-300 and 0.4: the mean of the
    two seeds that all trials have."""
    plain = {"activation": "ReLU", "hidden layers": "300-300", "initial learning rate": "0.4",
             "step": "0.0", "moved by (pixels)": "0", "L2": "0.0"}
    row = row_of("p1_search.csv", **{**plain, **cells})
    return (float(row["validation, seed 1 (%)"]) + float(row["validation, seed 2 (%)"])) / 2


def derived_in_problem_1():
    results = json.loads(text_of(OUT / "p1_results.json"))
    p = results["test_accuracy"]
    first = row_of("p1_configurations.csv", activation="ReLU", **{"initial learning rate": "0.4"})
    second = row_of("p1_configurations.csv", activation="ReLU", **{"initial learning rate": "0.2"})
    training, validation = (float(first[column]) for column in (
        "training accuracy, moved images (%)", "validation accuracy (%)"))
    plain, moved = search(), search(**{"moved by (pixels)": "1"})
    adversarial = search(step="0.8")
    both = search(step="0.8", **{"moved by (pixels)": "1"})
    return [100 * (p * (1 - p) / results["test_images"]) ** 0.5, training - validation,
            validation - float(second["validation accuracy (%)"]),
            moved - plain, adversarial - plain, both - plain, seeds_differ()]


def seeds_differ():
    """The largest difference between two seeds of a trial of problem 1 (points)."""
    differences = []
    with (OUT / "p1_search.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            accuracies = [float(cell) for column, cell in row.items()
                          if column.startswith("validation") and cell]
            differences.append(max(accuracies) - min(accuracies))
    return max(differences)


def derived_in_the_control_of_problem_1():
    """What each way to train gains over the first, which is plain."""
    with (OUT / "p1_control.csv").open(encoding="utf-8", newline="") as file:
        means = [float(row["mean (%)"]) for row in csv.DictReader(file)]
    return [mean - means[0] for mean in means]


def derived_in_problem_2():
    """What a reader counts in the matrix of p2_confusion_counts.csv."""
    with (OUT / "p2_confusion_counts.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    mistakes = {(i, j): counts[i][j] for i in range(10) for j in range(10) if i != j}
    upper_body, footwear, shirt = {0, 2, 3, 4, 6}, {5, 7, 9}, 6
    across = sum(number for (i, j), number in mistakes.items()
                 if (i in upper_body and j in footwear) or (i in footwear and j in upper_body))
    others = sum(number for pair, number in mistakes.items() if set(pair) & {1, 8})
    with_shirt = sum(number for pair, number in mistakes.items() if shirt in pair)
    of_pairs = [mistakes[0, 6] + mistakes[6, 0], mistakes[2, 4] + mistakes[4, 2]]
    return [across, others, with_shirt, *of_pairs]


def derived_in_problem_3():
    """Gaps between training and validation, and what validation loses from A to B."""
    derived = []
    column = {"training": "training accuracy (%)", "validation": "validation accuracy (%)"}
    for seed in "01":
        a, b, c = (row_of("p3_weights.csv", network=name, seed=seed) for name in "ABC")
        for row in (a, b, c):
            derived.append(float(row[column["training"]]) - float(row[column["validation"]]))
        for other in (b, c):
            derived.append(float(a[column["validation"]]) - float(other[column["validation"]]))
    results = json.loads(text_of(OUT / "p3_results.json"))
    return [*derived, 100 * results["rarely_inked_pixels"] / 784]


def derived_in_problem_4():
    """How far training is ahead of validation in the submitted network."""
    results = json.loads(text_of(COURSE / "p4_results.json"))
    training, validation = (results[f"{part}_accuracy_of_the_first_fold"]
                            for part in ("training", "validation"))
    return [100 * (training - validation)]


def derived_in_the_control_of_problem_4():
    """How far the convolution and the taught network are above 20-20-1 with Adam alone."""
    derived = []
    for folder in ("", "course_fall2020/"):
        with (OUT / f"{folder}p4_control.csv").open(encoding="utf-8", newline="") as file:
            plain, _, convolution, _ = [float(row["accuracy (%)"]) for row in csv.DictReader(file)]
        taught = row_of(f"{folder}p4_networks.csv", network="20-20-1, taught")
        derived += [convolution - plain, float(taught["accuracy (%)"]) - plain]
    return derived


NOTHING = list  # nothing is derived
P1 = ["p1_results.json", "p1_configurations.csv", "p1_search.csv", "p1_control.csv",
      "p1_gradients.csv"]
P2 = ["p2_confusion_counts.csv", "p2_confusion.csv", "p2_most_confused.csv", "p2_results.json"]
P3 = ["p3_weights.csv", "p3_control.csv", "p3_results.json"]
P4 = [folder + name for folder in ("", "course_fall2020/") for name in (
    "p4_settings.csv", "p4_networks.csv", "p4_shares.csv", "p4_results.json", "p4_control.csv")]
OPENING = [name for name in (*P1, *P2, *P4) if name.endswith(("results.json", "networks.csv"))]
SECTIONS = [  # page, how the heading of the section begins, its files, what is derived from them
    (ANSWERS, "# Answers", OPENING, NOTHING),
    (ANSWERS, "Problem 1", P1, derived_in_problem_1),
    (ANSWERS, "Problem 2", P2, derived_in_problem_2),
    (ANSWERS, "Problem 3", P3, derived_in_problem_3),
    (ANSWERS, "Problem 4", P4, derived_in_problem_4),
    (BEYOND, "Is it the direction", ["p1_results.json", "p1_control.csv"],
     derived_in_the_control_of_problem_1),
    (BEYOND, "Where do the mistakes", P2, derived_in_problem_2),
    (BEYOND, "Which ingredient", P3, derived_in_problem_3),
    (BEYOND, "Where do the tails", P3, derived_in_problem_3),
    (BEYOND, "What is the spike", P3, NOTHING),
    (BEYOND, "What tells a person", P4, NOTHING),
    (BEYOND, "How many presses", P4, NOTHING),
    (BEYOND, "What does the convolution", P4, derived_in_the_control_of_problem_4),
    (BEYOND, "Are all people", P4, NOTHING),
    (BEYOND, "A trap in Keras", [], NOTHING),
    (COURSE_PAGE, "", [name for name in P4 if name.startswith("course")], NOTHING),
    (ROOT / "README.md", "Results", OPENING, NOTHING),
]


@as_committed
@pytest.mark.parametrize("page, begin, files, derived", SECTIONS,
                         ids=[f"{page.parent.name}/{page.name} {begin}"
                              for page, begin, _, _ in SECTIONS])
def test_each_number_of_a_section_stands_in_its_files(page, begin, files, derived):
    text = section_of(page, begin) if begin else text_of(page)
    values = [*values_in(*files), *derived(), *SETTINGS]
    numbers = NUMBER.findall(prose_of(text))
    assert numbers
    assert [number for number in numbers if not stands(number, values)] == []


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


ACCURACY = ("accuracy (%)", "accuracy: half of 95% interval")
GAIN = ("gain over 20-20-1 (points)", "gain: half of 95% interval")
LAYERS = [f"layer {layer}: {measure}" if layer == 2 else f"layer 1, living units: {measure}"
          for layer in (1, 2) for measure in ("standard deviation", "excess kurtosis")]
COSTS = ["training accuracy (%)", "validation accuracy (%)", "validation cross-entropy (nats)"]
NAME = None  # a cell of words
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
        mean, half = cell.split(" ± ")
        return holds(mean, row, column[0]) and holds(half, row, column[1])
    value = list(row.values())[column] if isinstance(column, int) else row[column]
    cell = cell.replace("−", "-").rstrip("%").partition("*")[0]  # behind a star: a near tie
    try:
        return stands(cell, [float(value)]) and abs(float(cell) - float(value)) < 1
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

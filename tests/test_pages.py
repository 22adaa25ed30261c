"""The pages: links lead somewhere, the homework's parts are there, and they quote, they do not
compute: each number in prose stands in a file to which its section links, or is a setting; each row
of a table is a row of such a file; printed blocks are the files'.

Numbers are asked only while git says that outputs/ is as committed: whoever ran the scripts has
other last digits."""
import csv
import re

import conftest
import pytest
from conftest import ROOT, SCRIPTS

OUT = ROOT / "outputs"
ANSWERS, BEYOND = OUT / "README.md", OUT / "beyond" / "README.md"
COURSE_PAGE = OUT / "course_fall2020" / "README.md"
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


def links_in(text):
    return re.findall(r"\]\(([^)\s]+)\)", text)


@every_page
def test_links_and_pictures_resolve(page):
    links = links_in(text_of(page))
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


def sections_of(page):
    """{heading of ##, or "": the text below it}."""
    parts = re.split(r"^## (.*)$", text_of(page), flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def test_each_part_of_the_homework_has_its_place_in_its_order():
    problems = [text for heading, text in sections_of(ANSWERS).items() if "Problem" in heading]
    parts = "".join(re.findall(r"^- \*\*(.*?)\*\*", problems[0], re.M))
    letters = re.findall(r"\(([a-m])\)", parts)
    assert letters == list("abcdefghijklm")
    assert re.findall(r"^### (\d)", problems[1], re.M) == ["1", "2", "3"]
    asked = [["p1_curves.png", "p1_configurations.csv", "p1_network_params.hdf5"],
             ["p2_confusion.png", "p2_confusion.csv", "p2_most_confused.csv"],
             ["p3_histograms.png", "p3_weights.csv"],
             ["course_fall2020/p4_model.hdf5", "course_fall2020/p4_learning_curve.png",
              "course_fall2020/p4_weights.txt", "p4_model.hdf5"]]
    for text, names in zip(problems, asked, strict=True):
        assert [name for name in names if name not in links_in(text)] == []


# Numbers

# Of the homework, of the settings, of the data; years and versions.
SETTINGS = [
    -1, *range(21), 25, 27, 29, 30, 32, 40, 48, 50, 80, 95, 100, 128, 200, 255, 256, 300, 400, 500,
    784, 800, 1000, 10_000, 50_000, 60_000, 2 ** 20, *range(2003, 2021), 9.5, 0.0001, 0.0003, 0.001,
    0.003, 0.006, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8, 2.2, 2.15, 3.15]
PUBLISHED = [99.05, 99.22, 99.30, 99.65, 8192]  # other people's accuracies on MNIST (%)
NUMBER = re.compile(r"(?<![\w.\-])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-−]?\d+)?(?![\w])")


def numbers_in(text):
    """The numbers of a text, as strings; not those of code, names and addresses."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+|\barXiv \S+|<[^>]*>", "", text)
    text = re.sub(r"\b\d+(?:-\d+)+\b", "", text)  # 784-400-300-10
    return [number.replace("−", "-").replace(",", "") for number in NUMBER.findall(text)]


def rows_of(path):
    """Rows of cells of a linked file. Of every epoch's accuracies any number would be one."""
    if path.suffix == ".csv" and path.name != "p1_accuracy.csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [row for row in csv.reader(file)]
    if path.suffix == ".json":
        return [re.findall(r"[^\s:,{}\[\]\"]+", text_of(path))]
    return []


def values_in(cells):
    values = []
    for cell in cells:
        try:
            values.append(float(cell))
        except ValueError:
            pass
    return values


def stands(number, values):
    """Is a number of a page one of the values, or 100 times one, to the decimals that it shows?"""
    if "e" in number:
        return float(number) in values
    half = 0.5001 * 10 ** -len(number.partition(".")[2])
    return any(abs(float(number) - scale * value) <= half for value in values for scale in (1, 100))


def test_stands_compares_to_the_decimals_shown():
    assert stands("99.07", [0.99074]) and stands("0.10", [0.1012]) and stands("-0.6", [-0.59])
    assert stands("9907", [9907]) and stands("12", [12.4]) and stands("3e-09", [3e-9])
    assert not stands("99.08", [0.99074]) and not stands("0.11", [0.1012])
    assert not stands("0.6", [-0.6]) and not stands("12", [12.6]) and not stands("2e-09", [3e-9])


def linked_rows(page, text):
    """The rows of all files to which a text links."""
    rows = []
    for link in links_in(text):
        path = page.parent / link.partition("#")[0]
        if not link.startswith("https://") and path.is_file():
            rows += rows_of(path)
    return rows


def tables_in(text):
    """The tables that hold numbers in two columns at least: lists of rows of cells."""
    tables = []
    for block in re.findall(r"(?:^ *\|.*\n)+", text, re.M):
        lines = [re.sub(r"\*\*|%", "", line).strip().strip("|") for line in block.splitlines()]
        rows = [[cell.strip() for cell in line.split("|")] for line in lines[2:]]
        if all(any(NUMBER.fullmatch(cell.split(" ±")[0]) for cell in row)
               for row in rows):
            tables.append((block, rows))
    return tables


def is_part_of(cells, row):
    """Do all cells stand in a row of a file, in that order? A ± B are two."""
    rest = iter(row)
    for cell in " ± ".join(cells).split(" ± "):
        cell = cell.replace("−", "-").replace(",", "") if NUMBER.fullmatch(cell) else cell
        for found in rest:
            if found == cell or NUMBER.fullmatch(cell) and stands(cell, values_in([found])):
                break
        else:
            return False
    return True


QUOTING = [(page, heading) for page in (ROOT / "README.md", ANSWERS, BEYOND, COURSE_PAGE)
           for heading in sections_of(page)]
OF_THE_PROJECT = ("Run everything", "Where the homework", "The programs")


@as_committed
@pytest.mark.parametrize("page, heading", QUOTING, ids=[
    f"{page.relative_to(ROOT)}: {heading}" for page, heading in QUOTING])
def test_a_section_quotes_the_files_to_which_it_links(page, heading):
    if heading.startswith(OF_THE_PROJECT):
        return
    text = sections_of(page)[heading]
    rows = linked_rows(page, text)
    for block, cells_of_rows in tables_in(text):
        for cells in cells_of_rows:
            assert any(is_part_of(cells, row) for row in rows), cells
        text = text.replace(block, "")
    values = values_in(sum(rows, [])) + SETTINGS + PUBLISHED
    assert [number for number in numbers_in(text) if not stands(number, values)] == []


@as_committed
def test_printed_lines_on_the_pages_are_those_of_the_files():
    for page, file in ((ANSWERS, "p2_confusion.txt"), (ANSWERS, "course_fall2020/p4_weights.txt"),
                       (BEYOND, "beyond/frozen_order.txt")):
        assert f"```\n{text_of(OUT / file)}```" in text_of(page)


@as_committed
def test_rows_that_are_tried_on_the_page_get_the_networks_answer(monkeypatch, capsys):
    import p4_human_machine as p4
    printed = re.findall(r"^[01]{20}: \d+% human$", text_of(BEYOND), re.M)
    rows = [line.partition(":")[0] for line in printed]
    conftest.run_main(monkeypatch, p4, "--try", *rows)
    assert rows and capsys.readouterr().out.splitlines() == printed

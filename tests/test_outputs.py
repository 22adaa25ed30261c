"""The outputs: complete, free of a machine's traces, with the index they give. Those committed are also of real data,
and README and docstrings say what they say; a run on another machine, or on a stand-in, may differ and is not held to that."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from outputs.index import write_index

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS, README = ROOT / "outputs", (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = {number: json.loads((OUTPUTS / f"p{number}_results.json").read_text(encoding="utf-8")) for number in (1, 2, 3, 4)}


def as_committed():
    git = shutil.which("git")
    return bool(git) and not subprocess.run([git, "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", "outputs"],
                                            stderr=subprocess.DEVNULL).returncode


only_committed = pytest.mark.skipif(not as_committed(), reason="outputs/ is not as committed: a run of its own")


def percent(share, digits=2):
    return f"{100 * share:.{digits}f} %"


@pytest.mark.parametrize("number", RESULTS)
@only_committed
def test_committed_outputs_are_of_real_data(number):
    results = RESULTS[number]
    assert results["data"]["stand_in"] is False and not results["data"]["source"].startswith("own file")


@pytest.mark.parametrize("number", RESULTS)
def test_outputs_are_of_a_complete_run_and_every_named_file_is_there(number):
    results = RESULTS[number]
    assert results["problem"] == number and results["quick"] is False
    named = {name for answer in results["answers"] for name in answer["files"]}
    assert named and all((OUTPUTS / name).stat().st_size > 100 for name in named)
    report = (OUTPUTS / f"p{number}_report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert pictures and all((OUTPUTS / name).exists() for name in pictures)
    assert {path.name for path in OUTPUTS.glob(f"p{number}_*.png")} <= {*pictures, *named}


def test_index_is_what_the_result_files_give(tmp_path):
    for number in RESULTS:
        (tmp_path / f"p{number}_results.json").write_bytes((OUTPUTS / f"p{number}_results.json").read_bytes())
    write_index(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (OUTPUTS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"quick": true}'])
def test_index_survives_a_damaged_result_file(tmp_path, content):
    (tmp_path / "p1_results.json").write_bytes((OUTPUTS / "p1_results.json").read_bytes())
    (tmp_path / "p2_results.json").write_text(content)
    write_index(tmp_path)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert RESULTS[1]["answers"][0]["answer"] in page and "p2_results.json is damaged" in page


def test_no_trace_of_a_machine():
    for path in [*OUTPUTS.glob("*.*"), *ROOT.glob("*.md"), *ROOT.glob("data/*.md")]:
        if path.suffix in (".md", ".json", ".txt", ".csv"):
            assert not re.search(r"/(home|root|tmp|work|Users)/|[A-Z]:\\", path.read_text(encoding="utf-8")), path


def headline_numbers():
    p1, p2, p3, p4 = RESULTS.values()
    yield f"**{percent(p1['test']['accuracy'])}** ({p1['test']['right']:,} of {p1['test']['images']:,}"
    yield f"interval {percent(p1['test']['wilson_95'][0])} to {percent(p1['test']['wilson_95'][1])}"
    yield f"{p1['chosen']['activation']}, initial learning rate {p1['chosen']['initial_learning_rate']:g}"
    yield f"**{percent(p2['accuracy']['mean'])}**"
    yield f"standard deviation {100 * p2['accuracy']['standard_deviation']:.2f}"
    yield p2["answers"][-1]["answer"].split(":")[0]
    for name in "AB":
        yield f"{p3['networks'][name]['junction_1']['trained']['deviation']:.2f}"
        yield f"{100 * p3['networks'][name]['gap']:.1f} points"
    best = max((row["validation"] for row in p4["features"] if row["kind"] == "unseen people"), key=lambda of: of["mean"])
    for found in (p4["accuracy"]["random"]["validation"], p4["accuracy"]["unseen people"]["validation"], best):
        yield f"{100 * found['mean']:.1f} ± {100 * found['standard_error']:.1f} %"


@pytest.mark.parametrize("expected", [*headline_numbers()])
@only_committed
def test_readme_says_what_the_outputs_say(expected):
    assert expected in README


def docstring_numbers():
    p1, p2, p3, p4 = RESULTS.values()
    a, b = p3["networks"]["A"], p3["networks"]["B"]
    unseen = {(row["features"], row["model"]): row["validation"]["mean"] for row in p4["features"] if row["kind"] == "unseen people"}
    yield "p1_numpy_mlp.py", f"{percent(p1['test']['accuracy'])} of the test images"
    yield "p2_confusion.py", f"{percent(p2['accuracy']['mean'], 1)} of the test images"
    yield "p3_reg_histograms.py", f"({100 * b['gap']:.1f} against {100 * a['gap']:.1f} points)"
    yield "p4_human_machine.py", f"{percent(p4['accuracy']['random']['validation']['mean'], 1)} on random splits"
    yield "p4_human_machine.py", f"{percent(unseen['raw values', 'network'], 1)} on unseen people"
    yield "p4_human_machine.py", f"{percent(max(unseen.values()), 1)} from features"


@pytest.mark.parametrize("script, expected", [*docstring_numbers()])
@only_committed
def test_docstrings_say_what_the_outputs_say(script, expected):
    assert expected in " ".join((ROOT / script).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("number, script", list(enumerate(("p1_numpy_mlp.py", "p2_confusion.py", "p3_reg_histograms.py",
                                                      "p4_human_machine.py"), start=1)))
@only_committed
def test_readme_says_how_long_each_script_took(number, script):
    tenths = math.ceil(RESULTS[number]["seconds"] / 6) / 10
    assert f"| `{script}` | {tenths:.1f} min |" in README


def test_confusion_csv_counts_are_those_of_the_results():
    rows = [line.split(",") for line in (OUTPUTS / "p2_confusion_counts.csv").read_text(encoding="utf-8").splitlines()[1:]]
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    assert counts == RESULTS[2]["networks"][0]["counts"] and all(sum(row) == 1000 for row in counts)

"""What all four scripts owe: one line and status 2 for bad input, complete outputs or untouched
ones, also under Ctrl-C, SIGKILL, a full disk; --quick, --out; the same repeated lines.

FAULT_ROUNDS=20 python -m pytest tests/test_scripts.py -k ctrl_c tries twenty moments of each."""
import importlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import DATA, OUTPUTS, ROOT, SCRIPTS, contents, moments, posix

from data.loader import DataError

every_script = pytest.mark.parametrize("number", SCRIPTS)


@every_script
def test_quick_run_writes_every_file_and_a_page_without_the_discussion(number, runs):
    """From another directory."""
    out, status, output, errors, _ = runs[number, "first"].result()
    assert status == 0 and errors == [] and output
    assert sorted(contents(out)) == sorted([*OUTPUTS[number], "README.md"])
    report = (out / f"p{number}_report.md").read_text(encoding="utf-8")
    assert "Quick run" in report and "TODO" not in report and "{" not in report.replace("{0,1}", "")
    assert (out / "README.md").read_text(encoding="utf-8") == report
    results = json.loads((out / f"p{number}_results.json").read_text(encoding="utf-8"))
    assert results["quick"] and results["problem"] == number
    insight = importlib.import_module(SCRIPTS[number]).INSIGHT
    assert max(re.split(r"\{.*?\}", insight), key=len) not in report
    linked = set(re.findall(r"\]\((p\d_[\w.]+)\)", report))
    assert {name for name in OUTPUTS[number] if name != f"p{number}_report.md"} <= linked
    assert linked - set(OUTPUTS[number]) <= {f"p{number}_search.csv"}


@every_script
def test_a_second_run_gives_equal_files_but_for_the_seconds(number, runs):
    """Of problem 1, with another number of jobs."""
    once, again = (
        {name: re.sub(rb'("seconds": |The\s+run\s+took\s+)\d+', b"", content)
         for name, content in contents(runs[number, which].result().out).items()}
        for which in ("first", "second"))
    assert once.keys() == again.keys()
    assert [name for name in once if once[name] != again[name]] == []


def repeated(number):
    """The lines that all scripts share: options and placing of files, and the guard."""
    text = (ROOT / f"{SCRIPTS[number]}.py").read_text(encoding="utf-8")
    return (re.search(r"def parse_arguments.*?(?=\n\n\n(?!@))", text, re.S).group(),
            re.search(r"@contextmanager\ndef complete_outputs.*?(?=\n\n\n)", text, re.S).group(),
            text[text.index('if __name__ == "__main__":\n    interrupts'):],
            re.search(r"def save.*?(?=\n\n\n)", text, re.S).group())


def test_repeated_lines_are_identical_in_all_four():
    assert repeated(1) == repeated(2) == repeated(3) == repeated(4)
    assert all(len(part) > 100 for part in repeated(1))


def damage(path, rng):
    """Do one random damage to an HDF5 file. Returns a word for it."""
    kind = rng.choice(["cut", "cut", "text", "html", "lfs", "empty", "bytes", "key", "nan", "rows",
                       "width", "type", "values"])
    raw = path.read_bytes()
    if kind == "cut":
        path.write_bytes(raw[:rng.randrange(len(raw))])
    elif kind == "bytes":  # in the headers; a value that is hit may stay valid
        spoiled = bytearray(raw)
        for _ in range(20):
            spoiled[rng.randrange(min(len(raw), 4096))] = rng.randrange(256)
        path.write_bytes(spoiled)
    elif kind in ("text", "html", "lfs", "empty"):
        path.write_bytes({"text": b"no data\n" * 9, "html": b"<!DOCTYPE html><html></html>",
                          "empty": b"", "lfs": b"version https://git-lfs.github.com/spec/"}[kind])
    else:
        with h5py.File(path, "r+") as file:
            key = rng.choice([key for key in sorted(file) if file[key].ndim == 2])
            values = file[key][()]
            del file[key]
            if kind == "nan":
                values = values.astype(float)
                values[rng.randrange(len(values)), rng.randrange(values.shape[1])] = np.nan
            if kind != "key":
                file[key] = {"nan": values, "width": values[:, :-1], "values": values * 300 - 7,
                             "rows": values[:-1] if key in ("xdata", "ydata") else values[:0],
                             "type": np.full(len(values), b"x")}[kind]
    return kind


class ReachedTraining(Exception):
    pass


@every_script
def test_sixty_damaged_files_are_each_refused_in_one_line_before_any_training(
        number, project, tmp_path, monkeypatch):
    script = importlib.import_module(SCRIPTS[number])
    rng, refused = random.Random(number), 0
    damaged, out = tmp_path / DATA[number], tmp_path / "out"

    def train(*_):
        raise ReachedTraining
    for name in ("train_all", "train", "gradient_check"):
        monkeypatch.setattr(script, name, train, raising=False)
    arguments = [script.__file__, "--quick", "--out", str(out)]
    if number == 4:
        arguments += ["--data", str(damaged)]
    else:
        monkeypatch.setattr(script, "TRAIN_FILE", damaged)
        test_file = project / "data" / DATA[number].replace("train", "test")
        monkeypatch.setattr(script, "TEST_FILE", test_file, raising=False)
    monkeypatch.setattr(sys, "argv", arguments)
    for _ in range(60):
        shutil.copy(project / "data" / DATA[number], damaged)
        kind = damage(damaged, rng)
        try:
            script.main()
        except DataError as error:
            refused += 1
            assert damaged.name in str(error) and "\n" not in str(error), (kind, error)
            assert re.search("use (another|a larger) file", str(error)), (kind, error)
        except ReachedTraining:
            assert kind == "bytes", f"{kind} was accepted"
        else:
            pytest.fail(f"{kind}: the script did not notice")
    assert refused >= 50 and contents(out) == {}


def is_untouched(run):
    return set(contents(run.out).values()) == {b"# Problem, earlier"}


@every_script
@pytest.mark.parametrize("fault", ["bad file", pytest.param("full disk", marks=posix)])
def test_bad_file_and_full_disk_end_with_one_line_and_status_2(number, fault, runs):
    run = runs[number, fault].result()
    line, = run.errors
    assert run.status == 2 and line.startswith("error:") and is_untouched(run)
    assert (DATA[number] if fault == "bad file" else "File too large") in line


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@every_script
def test_a_read_only_folder_is_told_before_the_training(number, monkeypatch):
    """/proc, where not even the system's administrator can write."""
    script = importlib.import_module(SCRIPTS[number])
    monkeypatch.setattr(sys, "argv", [script.__file__, "--quick", "--out", "/proc"])
    monkeypatch.setattr(script, "load_sequences" if number == 4 else "load_images", None)
    with pytest.raises(OSError):
        script.main()


@every_script
@pytest.mark.parametrize("page", [b"# My project", "# Problem 1".encode("utf-16")])
def test_a_page_of_somebody_else_is_never_overwritten(page, number, monkeypatch, tmp_path):
    (tmp_path / "README.md").write_bytes(page)
    script = importlib.import_module(SCRIPTS[number])
    monkeypatch.setattr(sys, "argv", [script.__file__, "--quick", "--out", str(tmp_path)])
    monkeypatch.setattr(script, "load_sequences" if number == 4 else "load_images", None)
    with pytest.raises(DataError, match="README.md: found another page"):
        script.main()


@posix
@pytest.mark.parametrize("number, fault, lines, seconds", [
    (n, fault, *moment) for n in SCRIPTS for fault in ("Ctrl-C", "kill")
    for moment in moments(n, fault)])
def test_ctrl_c_and_kill_leave_no_process_and_complete_or_untouched_outputs(
        number, fault, lines, seconds, runs):
    run = runs[number, (fault, lines, seconds)].result()
    assert run.left == []
    if fault == "kill":
        for folder in run.out.glob(".p_*"):  # hidden: what a kill within the writing leaves
            shutil.rmtree(folder)
    new = sorted(name for name, content in contents(run.out).items()
                 if content != b"# Problem, earlier")
    assert new in ([], sorted([*OUTPUTS[number], "README.md"]))
    if fault == "kill":
        assert run.status in (0, -signal.SIGKILL)
    elif lines and not new:  # its imports were over
        assert run.status == 130 and run.errors == ["interrupted; earlier outputs are as they were"]
    else:  # it was done, or Python ended it within the imports
        assert run.status in (0 if new else 1, 130, -signal.SIGINT), run.errors


SWALLOWED = """
import argparse, runpy, signal, sys
def parse_args(self):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
    raise AttributeError("what TensorFlow may make of Ctrl-C")
argparse.ArgumentParser.parse_args = parse_args
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_ctrl_c_is_one_line_also_where_another_error_comes_of_it(project):
    """Of problem 1; the others have the same guard."""
    done = subprocess.run([sys.executable, "-c", SWALLOWED, project / "p1_numpy_mlp.py"],
                          cwd=project, capture_output=True, text=True)
    assert done.stderr.strip() == "interrupted; earlier outputs are as they were"
    assert done.returncode == 130

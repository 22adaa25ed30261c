"""What all four scripts owe: one line and status 2 for bad input, complete outputs or untouched
ones, also under Ctrl-C, SIGKILL, a full disk; --quick, --out; the same repeated lines.

FAULT_ROUNDS=20 python -m pytest tests/test_scripts.py tries more moments for Ctrl-C and SIGKILL."""
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
from conftest import ROOT

from data.loader import DataError

SCRIPTS = {1: "p1_numpy_mlp", 2: "p2_confusion", 3: "p3_reg_histograms", 4: "p4_human_machine"}
DATA = {1: "mnist_traindata.hdf5", 2: "fashion_mnist_traindata.hdf5",
        3: "fashion_mnist_traindata.hdf5", 4: "binary_random.hdf5"}
OUTPUTS = {
    1: ["p1_curves.png", "p1_filters.png", "p1_moved.png", "p1_network_params.hdf5", "p1_report.md",
        "p1_results.json", "p1_test_errors.png",
        *(f"p1_curve_{of}_lr{rate}.png" for of in ("relu", "tanh") for rate in (0.1, 0.3, 0.5))],
    2: ["p2_confusion.csv", "p2_confusion.png", "p2_confusion_counts.csv", "p2_curves.png",
        "p2_mistakes.png", "p2_report.md", "p2_results.json"],
    3: ["p3_curves.png", "p3_features.png", "p3_hist_A_junction1.png", "p3_hist_A_junction2.png",
        "p3_hist_B_junction1.png", "p3_hist_B_junction2.png", "p3_histograms.png", "p3_norms.png",
        "p3_report.md", "p3_results.json"],
    4: ["p4_features.png", "p4_learning_curve.png", "p4_model.hdf5", "p4_overfitting.png",
        "p4_report.md", "p4_results.json", "p4_weights.csv", "p4_weights.png", "p4_weights.txt"],
}
ROUNDS = int(os.environ.get("FAULT_ROUNDS", 1))
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, limits and modes")
every_script = pytest.mark.parametrize("number", SCRIPTS)


def start(project, number, out, *arguments, **options):
    """A quick run as a shell would start it: in a process group of its own."""
    script = project / f"{SCRIPTS[number]}.py"
    command = [sys.executable, script, "--quick", "--out", out, *arguments]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, start_new_session=sys.platform != "win32", **options)


def own_lines(errors):
    """What the script itself wrote to stderr: without TensorFlow's notes at its start."""
    notes = ("WARNING: All log messages before absl", "cudart_stub", "cpu_feature_guard")
    return [line for line in errors.splitlines()
            if line.strip() and not any(note in line for note in notes)]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def out(tmp_path):
    """A folder with outputs of an earlier run, as a marker."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ["README.md", *(name for names in OUTPUTS.values() for name in names)]:
        (folder / name).write_text("# Problem, earlier")
    return folder


def is_complete_or_untouched(number, before, out):
    """Every file as before, or every file of the script and the page new. No other file."""
    after = contents(out)
    new = sorted(name for name in after if after[name] != before.get(name))
    assert new in ([], sorted([*OUTPUTS[number], "README.md"])), new


@pytest.fixture(scope="session")
def quick_run(project, tmp_path_factory):
    """quick_run(number): the folder of a whole quick run, made once, from another directory."""
    done = {}

    def run(number):
        if number not in done:
            done[number] = tmp_path_factory.mktemp("quick outputs")
            process = start(project, number, done[number], cwd=done[number].parent)
            output, errors = process.communicate(timeout=200)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors and output
        return done[number]
    return run


@every_script
def test_quick_run_writes_every_file_and_a_page_without_the_discussion(number, quick_run):
    out = quick_run(number)
    assert sorted(contents(out)) == sorted([*OUTPUTS[number], "README.md"])
    report = (out / f"p{number}_report.md").read_text(encoding="utf-8")
    assert "Quick run" in report and "TODO" not in report and "{" not in report.replace("{0,1}", "")
    assert (out / "README.md").read_text(encoding="utf-8") == report
    results = json.loads((out / f"p{number}_results.json").read_text(encoding="utf-8"))
    assert results["quick"] and results["problem"] == number
    script = importlib.import_module(SCRIPTS[number])
    assert script.INSIGHT[:60] not in report
    linked = set(re.findall(r"\]\((p\d_[\w.]+)\)", report))
    assert {name for name in OUTPUTS[number] if name != f"p{number}_report.md"} <= linked
    assert linked - set(OUTPUTS[number]) <= {f"p{number}_search.csv"}


@every_script
def test_a_second_run_gives_equal_files_but_for_the_seconds(number, quick_run, project, tmp_path):
    process = start(project, number, tmp_path, *["--jobs", "1"] * (number == 1))
    assert process.communicate(timeout=200) and process.returncode == 0

    def without_seconds(folder):
        return {name: re.sub(rb'("seconds": |The\s+run\s+took\s+)\d+', b"", content)
                for name, content in contents(folder).items()}
    once, again = without_seconds(quick_run(number)), without_seconds(tmp_path)
    assert once.keys() == again.keys()
    assert [name for name in once if once[name] != again[name]] == []


def repeated(number):
    """The lines that all scripts share: options and placing of files, and the guard."""
    text = (ROOT / f"{SCRIPTS[number]}.py").read_text(encoding="utf-8")
    return (re.search(r"def parse_arguments.*?(?=\n\n\n(?!@))", text, re.S).group(),
            re.search(r"@contextmanager\ndef complete_outputs.*?(?=\n\n\n)", text, re.S).group(),
            text[text.index('if __name__ == "__main__":\n    try:'):],
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
        number, project, tmp_path, out, monkeypatch):
    script = importlib.import_module(SCRIPTS[number])
    rng, refused, before = random.Random(number), 0, contents(out)
    damaged = tmp_path / DATA[number]

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
    assert refused >= 50 and contents(out) == before


@every_script
def test_bad_file_ends_with_one_line_and_status_2(number, project, tmp_path, out):
    copy, before = tmp_path / "copy", contents(out)
    shutil.copytree(project, copy)
    (copy / "data" / DATA[number]).write_text("no data")
    process = start(copy, number, out)
    _, errors = process.communicate(timeout=60)
    line, = own_lines(errors)
    assert process.returncode == 2 and line.startswith("error:") and DATA[number] in line
    assert contents(out) == before


@posix
@every_script
def test_a_full_disk_is_one_line_and_leaves_earlier_outputs(number, project, out):
    import resource
    before = contents(out)
    process = start(project, number, out, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (8192, 8192)))
    _, errors = process.communicate(timeout=200)
    line, = own_lines(errors)
    assert process.returncode == 2 and line.startswith("error:") and "Traceback" not in errors
    assert contents(out) == before


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
def test_a_page_of_somebody_else_is_never_overwritten(number, monkeypatch, tmp_path):
    (tmp_path / "README.md").write_text("# My project")
    script = importlib.import_module(SCRIPTS[number])
    monkeypatch.setattr(sys, "argv", [script.__file__, "--quick", "--out", str(tmp_path)])
    monkeypatch.setattr(script, "load_sequences" if number == 4 else "load_images", None)
    with pytest.raises(DataError, match="README.md: found another page"):
        script.main()


class Reader(threading.Thread):
    """Reads a process's output; wait_for(count) returns when that many lines, or its end, came."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.lines, self.news = process, [], threading.Condition()
        self.start()

    def run(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()

    def wait_for(self, count):
        with self.news:
            assert self.news.wait_for(lambda: len(self.lines) >= count or not self.is_alive(), 120)


def no_process_is_left(process, seconds=20):
    """Of the process group of a run that has ended: its workers have ended too."""
    deadline = time.monotonic() + seconds
    while True:
        listed = subprocess.run(["ps", "-wweo", "pgid,stat,args"], capture_output=True, text=True)
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        left = [row for row in rows if row[0] == str(process.pid) and "Z" not in row[1]]
        if not left or time.monotonic() > deadline:
            assert left == []
            return
        time.sleep(0.1)


def at_moment(process, moment):
    """Wait until a run is at a moment: (lines of output that have come, seconds after that)."""
    lines, seconds = moment
    Reader(process).wait_for(lines)
    time.sleep(seconds)


def moments(number):
    rng = random.Random(number)
    return [(1, 0.0), *((rng.choice([0, 1, 3, 6]), rng.uniform(0, 1.5)) for _ in range(ROUNDS - 1))]


@posix
@pytest.mark.parametrize("number, moment", [(n, moment) for n in SCRIPTS for moment in moments(n)])
def test_ctrl_c_in_a_terminal(number, moment, project, out):
    """It goes to the whole process group."""
    before, process = contents(out), start(project, number, out)
    at_moment(process, moment)
    try:
        os.killpg(process.pid, signal.SIGINT)
    except ProcessLookupError:
        pass  # it was done
    process.wait(60)
    errors = process.stderr.read()
    assert process.returncode in (0, 130, 1, -signal.SIGINT), errors
    if moment[0] and process.returncode:  # imports are over: one line
        line, = own_lines(errors)
        assert process.returncode == 130 and "interrupted" in line
    is_complete_or_untouched(number, before, out)
    no_process_is_left(process)


@posix
@pytest.mark.parametrize("number, moment", [(n, when) for n in SCRIPTS for when in moments(n + 9)])
def test_kill(number, moment, project, out):
    before, process = contents(out), start(project, number, out)
    at_moment(process, moment)
    process.kill()
    process.wait(60)
    for folder in out.glob(".p_*"):  # what a kill within the writing may leave, hidden
        shutil.rmtree(folder)
    is_complete_or_untouched(number, before, out)
    no_process_is_left(process)
    process.stderr.close()

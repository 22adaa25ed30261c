"""What the tests share: small data files in the real format, and runs of the scripts on them."""
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# A shell's background jobs inherit Ctrl-C as ignored; what the tests start must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

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
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, limits and modes")


def write(path, attributes=(), **datasets):
    """An HDF5 file with these datasets and file attributes. Returns its path."""
    with h5py.File(path, "w") as file:
        for key, values in datasets.items():
            file[key] = values
        file.attrs.update(attributes)
    return path


def write_images(path, n, **attributes):
    """An easy MNIST-like file, one-hot as the course's: each class lights a block of pixels."""
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.6
    for image, label in zip(images, labels):
        image[label * 70:label * 70 + 70] += 0.3
    return write(path, attributes, xdata=images, ydata=np.eye(10)[labels])


def write_sequences(path, n, coding=(-1, 1), people=None):
    """Human rows that alternate too often, and coin flips; with `people`, as many persons."""
    rng = np.random.default_rng(n)
    first = rng.integers(0, 2, (n, 1))
    human = (first + np.cumsum(rng.random((n, 20)) < 0.7, axis=1)) % 2
    human, machine = (np.array(coding)[bits] for bits in (human, rng.integers(0, 2, (n, 20))))
    write(path, human=human, machine=machine)
    if people:
        with h5py.File(path, "r+") as file:
            file["person"] = np.arange(n) * people // n
            file["instruction"] = np.arange(n) * people // n % 3
            file["instruction"].attrs["names"] = ["one", "two", "three"]
            file["machine"].attrs["coin_flips"] = True
    return path


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """The scripts with small data, in a folder with spaces."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    (folder / "data").mkdir()
    for path in [*ROOT.glob("*.py"), ROOT / "data" / "loader.py"]:
        shutil.copy(path, folder / path.relative_to(ROOT))
    # With the names of the shipped data, so that only --quick can keep the discussion back.
    for name, source in (("mnist", "MNIST, small"), ("fashion_mnist", "Fashion-MNIST, small")):
        write_images(folder / "data" / f"{name}_traindata.hdf5", 2500, source=source)
        write_images(folder / "data" / f"{name}_testdata.hdf5", 600)
    path = write_sequences(folder / "data" / "binary_random.hdf5", 400, people=20)
    with h5py.File(path, "r+") as file:
        file.attrs["source"] = "RANDECOD, small"
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_earlier_outputs(folder):
    """A folder with a marker in place of each output of an earlier run."""
    for name in ["README.md", *(name for names in OUTPUTS.values() for name in names)]:
        (folder / name).write_text("# Problem, earlier")
    return folder


class Run(NamedTuple):
    """What is known of a run that has ended."""
    out: Path
    status: int
    output: str
    errors: list       # what the script itself wrote to stderr: without TensorFlow's notes
    left: list         # processes of its group some time after its end, or that it hung


def start(project, number, out, *arguments, before=(), cwd=None):
    """A quick run as a shell would start it: in a process group of its own."""
    script = project / f"{SCRIPTS[number]}.py"
    command = [*before, sys.executable, script, "--quick", "--out", out, *arguments]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, cwd=cwd, start_new_session=sys.platform != "win32")


def processes_left(group, seconds=20):
    """What is still running of a process group, once nothing is or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        listed = subprocess.run(["ps", "-wweo", "pgid,stat,args"], capture_output=True, text=True)
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        left = [row for row in rows if row[0] == str(group) and "Z" not in row[1]]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def end_of(process, out, fault=None, lines=0, seconds=0.0):
    """Wait for the end of a run. With a fault, "Ctrl-C" or "kill", it comes when so many lines have
    been printed, and so many seconds after that: Ctrl-C to the whole process group, as in a
    terminal, SIGKILL to the script alone."""
    hung = []

    def give_up():
        hung.append("it did not end within 120 seconds")
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    watch = threading.Timer(120, give_up)
    watch.start()
    for _ in range(lines):
        process.stdout.readline()
    time.sleep(seconds)
    if fault and process.poll() is None:
        os.killpg(process.pid, signal.SIGINT) if fault == "Ctrl-C" else process.kill()
    output, errors = process.communicate()
    watch.cancel()
    notes = ("WARNING: All log messages before absl", "cudart_stub", "cpu_feature_guard")
    own = [line for line in errors.splitlines()
           if line.strip() and not any(note in line for note in notes)]
    left = hung + (processes_left(process.pid) if fault else [])
    return Run(out, process.returncode, output, own, left)


def moments(number, fault):
    """Lines and seconds: the first line is there, and as many random moments as are asked for."""
    rng = random.Random(f"{fault} {number}")
    rounds = int(os.environ.get("FAULT_ROUNDS", 1))
    return [(1, 0.0), *((rng.choice([0, 1, 3, 6]), rng.uniform(0, 1.5)) for _ in range(rounds - 1))]


@pytest.fixture(scope="session")
def runs(project, tmp_path_factory):
    """runs[number, kind].result(): quick runs of all scripts, two at a time in the background."""
    pool, started = ThreadPoolExecutor(2), {}

    def submit(number, kind, *arguments, folder=project, earlier=True, before=(), cwd=None,
               **fault):
        out = tmp_path_factory.mktemp("outputs")
        if earlier:
            with_earlier_outputs(out)
        started[number, kind] = pool.submit(lambda: end_of(
            start(folder, number, out, *arguments, before=before, cwd=cwd), out, **fault))
    for number in SCRIPTS:
        elsewhere = tmp_path_factory.mktemp("another directory")
        damaged = tmp_path_factory.mktemp("damaged") / "copy"
        shutil.copytree(project, damaged, ignore=shutil.ignore_patterns("__pycache__"))
        (damaged / "data" / DATA[number]).write_text("no data")
        submit(number, "first", earlier=False, cwd=elsewhere)
        submit(number, "second", *["--jobs", 1] * (number == 1), earlier=False)
        submit(number, "bad file", folder=damaged)
        if sys.platform != "win32":
            submit(number, "full disk", before=("sh", "-c", 'ulimit -f 16; exec "$@"', "sh"))
            for fault in ("Ctrl-C", "kill"):
                for lines, seconds in moments(number, fault):
                    submit(number, (fault, lines, seconds), fault=fault, lines=lines,
                           seconds=seconds)
    other = write_sequences(tmp_path_factory.mktemp("other") / "other.hdf5", 300, coding=(0, 1))
    submit(4, "other year", "--data", other, earlier=False)
    yield started
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session", autouse=True)
def long_runs_first(request):
    """They begin before the first test that needs them, so that they go on beside the others."""
    if any("runs" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("runs")

"""What the tests share: small data files in the real format, and runs of the scripts on them."""
import os
import shutil
import signal
import subprocess
import sys
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
    1: ["p1_accuracy.csv", "p1_adversarial.png", "p1_configurations.csv", "p1_curves.png",
        "p1_network_params.hdf5", "p1_results.json", "p1_test_errors.png",
        *(f"p1_curve_{of}_lr{rate}.png" for of in ("relu", "tanh") for rate in (0.1, 0.2, 0.4))],
    2: ["p2_confusion.csv", "p2_confusion.png", "p2_confusion.txt", "p2_confusion_counts.csv",
        "p2_curves.png", "p2_mistakes.png", "p2_most_confused.csv", "p2_pairs.csv",
        "p2_results.json"],
    3: ["p3_hist_A_layer1.png", "p3_hist_A_layer2.png", "p3_hist_B_layer1.png",
        "p3_hist_B_layer2.png", "p3_histograms.png", "p3_norms.png", "p3_results.json",
        "p3_weights.csv"],
    4: ["p4_features.csv", "p4_features.png", "p4_lags.csv", "p4_learning_curve.png",
        "p4_model.hdf5", "p4_patterns.csv", "p4_results.json", "p4_rows.csv", "p4_settings.csv",
        "p4_weights.csv", "p4_weights.png", "p4_weights.txt"],
}


def as_committed(folder):
    """A mark: skip where git sees a change in a folder (pages aside), or knows nothing of it."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    try:
        known = bool(git("ls-files", folder).stdout)
        same = git("diff", "--quiet", "HEAD", "--", folder, ":(exclude)*.md").returncode == 0
    except OSError:  # no git
        known = same = False
    return pytest.mark.skipif(not (known and same),
                              reason=f"{folder}/ is not as committed, as far as git can tell")


posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def write(path, attributes=(), **datasets):
    """An HDF5 file with these datasets and file attributes. Returns its path."""
    with h5py.File(path, "w") as file:
        for key, values in datasets.items():
            file[key] = values
        file.attrs.update(attributes)
    return path


def write_images(path, n):
    """An easy MNIST-like file, one-hot as the course's: each class lights a block of pixels."""
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.6
    for image, label in zip(images, labels):
        image[label * 70:label * 70 + 70] += 0.3
    return write(path, xdata=images, ydata=np.eye(10)[labels])


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
    for name in ("mnist", "fashion_mnist"):
        write_images(folder / "data" / f"{name}_traindata.hdf5", 2500)
        write_images(folder / "data" / f"{name}_testdata.hdf5", 600)
    write_sequences(folder / "data" / "binary_random.hdf5", 400, people=20)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Run(NamedTuple):
    """What is known of a run that has ended."""
    out: Path
    status: int
    output: str
    errors: list    # what the script itself wrote to stderr: without TensorFlow's notices
    seconds: float  # from Ctrl-C to the end


def run_quick(project, number, out, *arguments, before=(), cwd=None, ctrl_c=False):
    """A quick run as a shell would start it, in a process group of its own, which gets Ctrl-C as
    soon as the script has printed something. The script's own lines of stderr are those that begin
    as its messages or a traceback do: TensorFlow writes notices of many forms there."""
    command = [*before, sys.executable, project / f"{SCRIPTS[number]}.py", "--quick", "--out", out,
               *arguments]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=cwd,
                               start_new_session=sys.platform != "win32")
    begin = time.monotonic()
    if ctrl_c:
        process.stdout.read(1)
        begin = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    seconds = time.monotonic() - begin
    own = [line for line in errors.splitlines()
           if line.startswith(("error", "interrupted", "Traceback", "Exception"))
           or "Error" in line]
    return Run(out, process.returncode, output, own, seconds)


@pytest.fixture(scope="session")
def runs(project, tmp_path_factory):
    """runs[number, kind].result(): quick runs of all scripts, two at a time in the background."""
    pool, started = ThreadPoolExecutor(2), {}

    def submit(number, kind, *arguments, folder=project, earlier=False, **options):
        out = tmp_path_factory.mktemp("outputs")
        if earlier:
            for name in OUTPUTS[number]:
                (out / name).write_text("earlier")
        started[number, kind] = pool.submit(run_quick, folder, number, out, *arguments, **options)
    for number in SCRIPTS:
        submit(number, "first", cwd=tmp_path_factory.mktemp("another directory"))
        submit(number, "second")
        damaged = tmp_path_factory.mktemp("damaged") / "copy"
        shutil.copytree(project, damaged, ignore=shutil.ignore_patterns("__pycache__"))
        (damaged / "data" / DATA[number]).write_text("no data")
        submit(number, "bad file", folder=damaged, earlier=True)
        if sys.platform != "win32":
            submit(number, "full disk", earlier=True,
                   before=("sh", "-c", 'ulimit -f 16; exec "$@"', "sh"))
            submit(number, "Ctrl-C", earlier=True, ctrl_c=True)
    other = write_sequences(tmp_path_factory.mktemp("other") / "other.hdf5", 300, coding=(0, 1))
    submit(4, "other year", "--data", other)
    yield started
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session", autouse=True)
def long_runs_first(request):
    """They begin before the first test that needs them, so that they go on beside the others."""
    if any("runs" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("runs")

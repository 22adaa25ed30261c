"""What the tests share: small data files in the real format, runs of the scripts on them, and how
what they wrote and drew is read."""
import ast
import contextlib
import csv
import importlib
import io
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

# Scripts that a test starts in a process of their own get this, and set the rest themselves.
SHELL = dict(os.environ)
# Read when numpy and h5py are imported, so set first, to what users of the scripts have: with a
# second thread of BLAS a test of half a second took 15 on a busy machine.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1",
                  VECLIB_MAXIMUM_THREADS="1", HDF5_USE_FILE_LOCKING="FALSE")

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "experiments")]
# A shell's background jobs inherit Ctrl-C as ignored; what the tests start must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SCRIPTS = {1: "p1_numpy_mlp", 2: "p2_confusion", 3: "p3_reg_histograms", 4: "p4_human_machine"}
DATA = {1: "mnist_traindata.hdf5", 2: "fashion_mnist_traindata.hdf5",
        3: "fashion_mnist_traindata.hdf5", 4: "binary_random.hdf5"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def files_written_by(script):
    """The names in the part of its docstring that begins with "Writes"."""
    docstring = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    part = re.search(r"^Writes .*?(?=^\S|\Z)|\Z", docstring, re.M | re.S).group()
    return sorted(set(re.findall(r"\b(?:p\d|frozen)_\w+\.\w+", part)))


OUTPUTS = {number: files_written_by(ROOT / f"{name}.py") for number, name in SCRIPTS.items()}


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


# Data

def write(path, attributes=(), **datasets):
    """An HDF5 file with these datasets and file attributes. Returns its path."""
    with h5py.File(path, "w") as file:
        for key, values in datasets.items():
            file[key] = values
        file.attrs.update(attributes)
    return path


def write_images(path, n):
    """An easy MNIST-like file, one-hot as the course's: each class lights a block of pixels. Pixel
    720 has ink in no image but those from 2,000 on, which validate."""
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.6
    images[:, 720:] = 0
    images[2000:, 720] = 1
    for image, label in zip(images, labels):
        image[label * 70:label * 70 + 70] += 0.3
    return write(path, xdata=images, ydata=np.eye(10)[labels])


def write_sequences(path, human, machine, coding=(-1, 1), people=None):
    """Human rows that alternate too often, and coin flips; with `people`, as many persons."""
    rng = np.random.default_rng(human)
    first = rng.integers(0, 2, (human, 1))
    alternating = (first + np.cumsum(rng.random((human, 20)) < 0.7, axis=1)) % 2
    coin = rng.integers(0, 2, (machine, 20))
    datasets = {"human": np.array(coding)[alternating], "machine": np.array(coding)[coin]}
    if people:
        datasets["person"] = np.arange(human) % people
    return write(path, **datasets)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """The scripts with small data, in a folder with spaces."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    (folder / "data").mkdir()
    for path in [*ROOT.glob("*.py"), ROOT / "data" / "__init__.py", ROOT / "data" / "loader.py"]:
        shutil.copy(path, folder / path.relative_to(ROOT))
    for name in ("mnist", "fashion_mnist"):
        write_images(folder / "data" / f"{name}_traindata.hdf5", 2500)
        write_images(folder / "data" / f"{name}_testdata.hdf5", 600)
    write_sequences(folder / "data" / "binary_random.hdf5", 400, 400, people=20)
    return folder


def images_in(project, name):
    """x and classes y of a small file."""
    with h5py.File(project / "data" / f"{name}data.hdf5") as file:
        return file["xdata"][()], file["ydata"][()].argmax(axis=1)


# Runs in this process

def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def earlier_outputs(number, out):
    """Make the folder `out` with an older file of each name that a script writes."""
    out.mkdir(exist_ok=True)
    for name in OUTPUTS[number]:
        (out / name).write_bytes(b"earlier")


def assert_earlier_outputs_are_untouched(number, out):
    assert contents(out) == dict.fromkeys(OUTPUTS[number], b"earlier")


def run_main(monkeypatch, script, *arguments):
    """Run a script's main() in this process; the constants that --quick changes are put back after
    the test."""
    for name in filter(str.isupper, dir(script)):
        monkeypatch.setattr(script, name, getattr(script, name))
    monkeypatch.setattr(sys, "argv", [script.__file__, *map(str, arguments)])
    script.main()


def run_file(monkeypatch, path, *arguments):
    """Run a whole script in this process, from its first import to its last line. Returns what it
    ends with, in a shell its line on stderr: None where all went well."""
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        return end.code
    return None


def on_small_data(monkeypatch, number, project):
    """The module of a script that reads the small files, and a list which fills with what it does:
    "check NAME" or "load NAME" of an image file."""
    script = importlib.import_module(SCRIPTS[number])
    events = []

    def recorded(verb, function):
        def call(path, *arguments):
            events.append(f"{verb} {path.name}")
            return function(path, *arguments)
        return call
    for name in ("DATA_FILE", "TRAIN_FILE", "TEST_FILE"):
        if hasattr(script, name):
            monkeypatch.setattr(script, name, project / "data" / getattr(script, name).name)
    for verb in ("check", "load"):
        if hasattr(script, f"{verb}_images"):
            function = getattr(script, f"{verb}_images")
            monkeypatch.setattr(script, f"{verb}_images", recorded(verb, function))
    if number != 4:
        monkeypatch.setattr(script, "TRAIN_IMAGES", 2000)
        monkeypatch.setattr(script, "VALIDATION_IMAGES", 500)
    return script, events


def without_pictures(monkeypatch, script):
    """Figures are kept, by the name of their file, and not written but for a word."""
    figures = {}

    def save(figure, path):
        figures[path.name] = figure
        path.write_bytes(b"a picture")
        script.plt.close(figure)
    monkeypatch.setattr(script, "save", save)
    return figures


def known_run(number, prepare, project, out, *arguments):
    """main() with trainings whose results are known: prepare(monkeypatch, project) puts them in
    their place, and returns the script and its list of events. What the run did and made."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(printed):
        script, events = prepare(monkeypatch, project)
        figures = without_pictures(monkeypatch, script)
        run_main(monkeypatch, script, "--out", out, *arguments)
    results = json.loads((out / f"p{number}_results.json").read_text(encoding="utf-8"))
    assert 0 <= results.pop("seconds") < 600
    assert results.pop("versions")["numpy"] == np.__version__
    return SimpleNamespace(out=out, events=events, printed=printed.getvalue(), figures=figures,
                           results=results)


def table(path):
    """The rows of a CSV file: {name of a column: cell}."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_curve(axes, label, values):
    """The one line whose label begins so has these values; its epochs are counted from 1."""
    line, = (line for line in axes.get_lines() if line.get_label().startswith(label))
    assert line.get_xdata()[0] == 1 and set(np.diff(line.get_xdata())) <= {1}
    np.testing.assert_allclose(line.get_ydata(), values)


def assert_legend(figure, axes):
    """It is there and names all that is drawn."""
    legend, = figure.legends or [axes.get_legend()]
    shown = {text.get_text() for text in legend.get_texts()}
    assert shown == set(axes.get_legend_handles_labels()[1])


# Runs in a process of their own

class Run(NamedTuple):
    """What is known of a run that has ended."""
    out: Path
    status: int
    output: str
    errors: list  # what the script itself wrote to stderr: without TensorFlow's notices


def run_quick(project, number, out, cwd=None, settings=(), ctrl_c=False):
    """A quick run as a shell would start it, in a process group of its own, which gets Ctrl-C as
    soon as the script has printed something. The script's own lines of stderr are those that begin
    as its messages or a traceback do: TensorFlow writes notices of many forms there.

    settings: environment variables."""
    script = project / f"{SCRIPTS[number]}.py"
    process = subprocess.Popen([sys.executable, str(script), "--quick", "--out", str(out)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors="replace", cwd=cwd, env={**SHELL, **dict(settings)},
                               start_new_session=sys.platform != "win32")
    if ctrl_c:
        process.stdout.read(1)
        os.killpg(process.pid, signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    own = [line for line in errors.splitlines()
           if line.startswith(("error", "interrupted", "Traceback", "Exception"))
           or "Error" in line or "Warning" in line]
    return Run(out, process.returncode, output, own)


# What file systems without locks answer; loaded before the C library, whose flock() it replaces.
NO_LOCKS = """#include <errno.h>
int flock(int file, int operation) { errno = ENOLCK; return -1; }
"""


def settings_of_a_stranger(folder):
    """Environment variables that are not ours, for files of settings in `folder`."""
    (folder / "keras.json").write_text(json.dumps({"backend": "theano", "floatx": "float16"}))
    (folder / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nsavefig.dpi: 30\n"
                                         "savefig.bbox: tight\naxes.facecolor: red\n")
    (folder / "data").mkdir()
    (folder / "data" / "__init__.py").write_text("raise ImportError('a stranger')")
    settings = {
        "KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1", "KERAS_HOME": str(folder),
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "cpp",
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # of a notebook's "!python ..."
        "PYTHONPATH": str(folder), "HDF5_USE_FILE_LOCKING": "TRUE",
        "PYTHONIOENCODING": "cp1252"}  # no letter for the Chinese folder below
    if sys.platform == "linux" and shutil.which("cc"):
        (folder / "no_locks.c").write_text(NO_LOCKS)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", "no_locks.so", "no_locks.c"], cwd=folder,
                       check=True)
        settings["LD_PRELOAD"] = str(folder / "no_locks.so")
    return settings


@pytest.fixture(scope="session")
def runs(project, tmp_path_factory):
    """runs[number, kind].result(): quick runs of the scripts, two at a time in the background.

    The first test that asks for a result waits until it is there: its seconds are not its own, but
    those of the runs, which all tests share. Problem 4, which takes longest, begins."""
    pool, started = ThreadPoolExecutor(2), {}

    def submit(number, kind, out=None, **options):
        out = out or tmp_path_factory.mktemp("outputs")
        started[number, kind] = pool.submit(run_quick, project, number, out, **options)

    settings = settings_of_a_stranger(tmp_path_factory.mktemp("stranger"))
    for number in sorted(SCRIPTS, reverse=True):
        submit(number, "first", cwd=tmp_path_factory.mktemp("another directory"))
        submit(number, "under a stranger's settings", settings=settings,
               out=tmp_path_factory.mktemp("outputs") / "\u8f93\u51fa")
    if sys.platform != "win32":
        out = tmp_path_factory.mktemp("outputs")
        earlier_outputs(1, out)
        submit(1, "Ctrl-C", out=out, ctrl_c=True)
    yield started
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session", autouse=True)
def long_runs_first(request):
    """They begin before the first test that needs them, so that they go on beside the others."""
    if any("runs" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("runs")


# Training

def recording(tf, model, seen):
    """The model with a first layer that appends each minibatch of the training to `seen`."""
    def append(batch):
        seen.append(batch.copy())

    class Recorder(tf.keras.layers.Layer):
        def call(self, x, training=False):
            if training:
                tf.numpy_function(append, [x], [])
            return x
    recorder = Recorder()
    recorder.supports_jit = False  # a compiled step could not call Python
    return tf.keras.Sequential([tf.keras.Input(model.input_shape[1:]), recorder, *model.layers])


def assert_each_epoch_has_its_own_order(seen, x, epochs):
    """seen: minibatches that a training of so many epochs met; x (N, ...) what it was to meet,
    known by its first column. The first minibatch of each is drawn from all."""
    met = np.concatenate(seen)[:, 0].reshape(epochs, len(x))
    for order in met:
        assert np.array_equal(np.sort(order), np.sort(x[:, 0]))
        assert order[:len(seen[0])].max() > np.quantile(x[:, 0], 0.7)
    for order, following in zip(met, met[1:]):
        assert (order != following).mean() > 0.9

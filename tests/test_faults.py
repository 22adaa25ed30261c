"""What goes wrong on real machines, against all four scripts: damaged data, interrupts, kills, a full disk.

Never a traceback, never half-written or mixed outputs, always one line that says what to do. The moments and the
damages are drawn from fixed seeds. FAULT_ROUNDS=20 python -m pytest tests/test_faults.py does more of the slow ones.
"""

import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from data.loader import DataError

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {1: "p1_numpy_mlp", 2: "p2_confusion", 3: "p3_reg_histograms", 4: "p4_human_machine"}
DATA = {1: "mnist", 2: "fashion_mnist", 3: "fashion_mnist", 4: None}
ROUNDS = int(os.environ.get("FAULT_ROUNDS", 1))
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def write_images(path, n):
    rng = np.random.default_rng(n)
    labels = np.arange(n) % 10
    images = rng.random((n, 784), dtype=np.float32) * 0.5
    for sample, label in enumerate(labels):
        images[sample, label * 70:label * 70 + 70] += 0.5
    with h5py.File(path, "w") as file:
        file["xdata"], file["ydata"] = images, np.eye(10)[labels]


def write_sequences(path, n):
    rng = np.random.default_rng(n)
    with h5py.File(path, "w") as file:
        file["human"], file["machine"] = (rng.choice([-1.0, 1.0], (n, 20)) for _ in range(2))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the scripts with small data, and outputs of an earlier run (as a marker)."""
    folder = tmp_path_factory.mktemp("faults")
    for path in [*ROOT.glob("*.py"), *ROOT.glob("data/*.py"), *ROOT.glob("outputs/*.py")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    for name in ("mnist", "fashion_mnist"):
        write_images(folder / "data" / f"{name}_traindata.hdf5", 2500)
        write_images(folder / "data" / f"{name}_testdata.hdf5", 600)
    write_sequences(folder / "data" / "binary_random.hdf5", 500)
    return folder


def start(project, number, out, **options):
    command = [sys.executable, str(project / f"{SCRIPTS[number]}.py"), "--quick", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def snapshot(out):
    """Name and content of every file that a reader of the folder sees."""
    return {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")}


def earlier_outputs(folder):
    folder.mkdir()
    for name in ("report.md", "results.json"):
        for number in SCRIPTS:
            (folder / f"p{number}_{name}").write_text('{"answers": [], "quick": true, "data": {"source": "", "stand_in": false}}')
    return snapshot(folder)


def is_new(number, before, after):
    """Are all of a script's earlier outputs replaced, and the new pictures there?"""
    names = [f"p{number}_report.md", f"p{number}_results.json"]
    return all(after[name] != before[name] for name in names) and any(name.endswith(".png") for name in after)


def damage(path, rng):
    """Do one random damage to an HDF5 file. Returns a word for it."""
    kind = rng.choice(["cut", "cut", "text", "html", "lfs", "empty", "bytes", "key", "nan", "rows", "width", "type", "values"])
    raw = path.read_bytes()
    if kind == "cut":
        path.write_bytes(raw[:rng.randrange(len(raw))])
    elif kind == "bytes":  # in the part that describes the content; a value may be hit as well, and stay valid
        spoiled = bytearray(raw)
        for _ in range(20):
            spoiled[rng.randrange(min(len(raw), 4096))] = rng.randrange(256)
        path.write_bytes(spoiled)
    elif kind in ("text", "html", "lfs", "empty"):
        path.write_bytes({"text": b"no data\n" * 9, "html": b"<!DOCTYPE html><html>404</html>", "empty": b"",
                          "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"}[kind])
    else:
        with h5py.File(path, "r+") as file:
            key = rng.choice(sorted(file))
            values = file[key][()]
            del file[key]
            if kind == "nan":
                values = values.astype(float)
                values[rng.randrange(len(values)), rng.randrange(values.shape[1])] = rng.choice([np.nan, np.inf])
            if kind != "key":
                file[key] = {"nan": values, "rows": values[:-1] if key in ("xdata", "ydata") else values[:0],
                             "width": values[:, :-1], "type": np.full(len(values), b"x"), "values": values * 300 - 7}[kind]
    return kind


class ReachedTraining(Exception):
    pass


@pytest.mark.parametrize("number", SCRIPTS)
def test_sixty_damaged_files_are_each_refused_in_one_line_before_any_training(number, project, tmp_path, monkeypatch):
    script = importlib.import_module(SCRIPTS[number])
    rng, refused = random.Random(number), 0
    name = "binary_random.hdf5" if number == 4 else f"{DATA[number]}_traindata.hdf5"
    intact, damaged, out = project / "data" / name, tmp_path / name, tmp_path / "out"
    before = earlier_outputs(out)

    def train_all(*_):
        raise ReachedTraining

    monkeypatch.setattr(script, "train_all", train_all)
    if number != 4:
        monkeypatch.setattr(script, "TRAIN_FILE", damaged)
        monkeypatch.setattr(script, "TEST_FILE", project / "data" / f"{DATA[number]}_testdata.hdf5", raising=False)
    monkeypatch.setattr(sys, "argv", [script.__file__, "--quick", "--out", str(out), *(["--data", str(damaged)] if number == 4 else [])])
    for _ in range(60):
        shutil.copy(intact, damaged)
        kind = damage(damaged, rng)
        try:
            script.main()
        except DataError as error:
            refused += 1
            message = str(error)
            assert name in message and "\n" not in message and ("prepare.py" in message or "use a larger" in message), (kind, message)
        except ReachedTraining:
            assert kind == "bytes", f"{kind} was accepted"
        else:
            pytest.fail(f"{kind}: the script did not notice")
        assert snapshot(out) == before
    assert refused >= 50


def moments(number):
    rng = random.Random(number)
    return [rng.uniform(0.3, 6) for _ in range(ROUNDS)]


@posix
@pytest.mark.parametrize("number, moment", [(number, moment) for number in SCRIPTS for moment in moments(number)])
def test_interrupt_at_a_random_moment(number, moment, project, tmp_path):
    before = earlier_outputs(tmp_path / "out")
    process = start(project, number, tmp_path / "out")
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    begin = time.perf_counter()
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors and time.perf_counter() - begin < 15
    after = snapshot(tmp_path / "out")
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert after == before and process.returncode or is_new(number, before, after)  # it may have been done before
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def workers(folder):
    """Command lines of processes that still run something from a folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line and "pytest" not in line]


@posix
@pytest.mark.parametrize("number, moment", [(number, moment) for number in SCRIPTS for moment in moments(10 + number)])
def test_kill_at_a_random_moment(number, moment, project, tmp_path):
    before = earlier_outputs(tmp_path / "out")
    process = start(project, number, tmp_path / "out")
    time.sleep(moment)
    process.kill()
    process.wait()  # the pipes may stay open until the workers notice, which is within an epoch
    after = snapshot(tmp_path / "out")
    assert after == before or is_new(number, before, after)
    deadline = time.monotonic() + 30
    while workers(project) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not workers(project)
    process.stdout.close()
    process.stderr.close()


@posix
@pytest.mark.parametrize("number", SCRIPTS)
def test_a_full_disk_is_one_line_and_leaves_earlier_outputs(number, project, tmp_path):
    import resource
    before = earlier_outputs(tmp_path / "out")
    process = start(project, number, tmp_path / "out",
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)))
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2 and "Traceback" not in errors, errors
    assert len(errors.strip().splitlines()) == 1 and errors.strip().startswith("error:"), errors
    assert snapshot(tmp_path / "out") == before
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]

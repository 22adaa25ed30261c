"""Problem 1: schedule, split, choice, retraining, and the whole script on small data."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import p1_numpy_mlp as p1
from mlp import MLP, read_parameters

ROOT = Path(__file__).resolve().parents[1]
CURVES = [f"p1_curve_{activation}_lr{rate:g}.png" for activation in p1.ACTIVATIONS for rate in p1.RATES]
OUTPUTS = sorted([*CURVES, "p1_curves.png", "p1_network_params.hdf5", "p1_report.md", "p1_results.json", "p1_test_errors.png",
                  "README.md"])


def write_images(path, n, seed, **attributes):
    """An easy MNIST-like file: each class lights its own block of pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.6
    for sample, label in enumerate(labels):
        images[sample, label * 70:label * 70 + 70] += 0.2
    with h5py.File(path, "w") as file:
        file["xdata"], file["ydata"] = images, np.eye(10)[labels]
        file.attrs.update(attributes)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what problem 1 needs, with small data."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    for name in ("p1_numpy_mlp.py", "mlp.py", "data/__init__.py", "data/loader.py", "outputs/index.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_images(folder / "data" / "mnist_traindata.hdf5", 2500, 1)
    write_images(folder / "data" / "mnist_testdata.hdf5", 700, 2)
    return folder


def run(project, *arguments, **options):
    return subprocess.run([sys.executable, str(project / "p1_numpy_mlp.py"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=300, **options)


RECORDER = """
import sys, h5py
opened = h5py.File
def recorded(path, *arguments, **options):
    print("EVENT open", str(path).replace("\\\\", "/").rsplit("/", 1)[-1], flush=True)
    return opened(path, *arguments, **options)
h5py.File = recorded
import p1_numpy_mlp as p1
choose, train_all = p1.choose, p1.train_all
def train(trainings, *rest):
    for training in trainings:
        print("EVENT train", training.train_images, training.validation_images, training.epochs, flush=True)
    return train_all(trainings, *rest)
p1.train_all = train
p1.choose = lambda results: (print("EVENT choose", flush=True), choose(results))[1]
p1.main()
"""


@pytest.fixture(scope="module")
def whole_run(project):
    """One run with one process, its files and its order of events."""
    out = project / "one job"
    done = subprocess.run([sys.executable, "-c", RECORDER, "--quick", "--jobs", "1", "--out", str(out)], cwd=project,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return out, done


def test_every_output_is_there_and_nothing_else(whole_run):
    assert sorted(path.name for path in whole_run[0].iterdir()) == OUTPUTS
    assert whole_run[1].stderr == ""


def test_the_test_file_is_opened_only_after_the_choice_and_the_retraining(whole_run):
    events = [line[6:] for line in whole_run[1].stdout.splitlines() if line.startswith("EVENT ")]
    assert events.count("open mnist_testdata.hdf5") == 1
    assert events == ["open mnist_traindata.hdf5", *["train 2000 500 2"] * 6, "choose", "train 2500 0 2",
                      "open mnist_testdata.hdf5", "open p1_network_params.hdf5"]


def test_progress_has_a_line_per_epoch(whole_run):
    lines = [line for line in whole_run[1].stdout.splitlines() if " epoch " in line]
    assert len(lines) == 7 * 2 and len({line.index("epoch") for line in lines}) == 1


def test_report_and_results_agree(project, whole_run):
    results = json.loads((whole_run[0] / "p1_results.json").read_text(encoding="utf-8"))
    report = (whole_run[0] / "p1_report.md").read_text(encoding="utf-8")
    final = [c["validation_accuracy"][-1] for c in results["configurations"]]
    assert len(final) == 6 and results["chosen"]["validation_accuracy"] == max(final)
    with h5py.File(project / "data" / "mnist_testdata.hdf5") as file:
        images, labels = file["xdata"][:], file["ydata"][:].argmax(axis=1)
    network = read_parameters(whole_run[0] / "p1_network_params.hdf5")
    right = network.correct(images, labels)
    assert results["test"]["right"] == right and results["test"]["images"] == len(labels)
    assert f"**{100 * right / 700:.2f} %** ({right} of 700;" in report
    for figure in ("p1_curves.png", *CURVES, "p1_test_errors.png"):
        assert f"({figure})" in report
    for answer in results["answers"]:
        assert answer["question"] in report and answer["answer"] in report
    assert "STAND-IN" not in report
    page = (whole_run[0] / "README.md").read_text(encoding="utf-8")
    assert all(answer["answer"] in page for answer in results["answers"]) and "## 1. STAND-IN" not in page


def test_two_jobs_from_elsewhere_give_the_same_files_but_for_the_seconds(project, whole_run, tmp_path):
    done = run(project, "--quick", "--jobs", 2, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    def timeless(value):
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key != "seconds"}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    one, two = (json.loads((out / "p1_results.json").read_text(encoding="utf-8")) for out in (whole_run[0], tmp_path / "out"))
    assert timeless(one) == timeless(two)
    for name in OUTPUTS:
        if not name.endswith((".json", "report.md")):
            assert (whole_run[0] / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name


def test_learning_rate_is_halved_after_20_and_40_and_ends_at_a_quarter():
    rates = [p1.learning_rate(0.1, epoch) for epoch in range(1, 51)]
    assert rates == [0.1] * 20 + [0.05] * 20 + [0.025] * 10


def tiny_training(monkeypatch, validation_images):
    """Train on 60 images with MLP.train_epoch and MLP.correct spied on. Returns images, calls, history."""
    monkeypatch.setattr(p1, "SIZES", (784, 4, 10))
    monkeypatch.setattr(p1, "BATCH_SIZE", 10)
    images, labels = np.random.default_rng(0).random((60, 784), dtype=np.float32), np.arange(60) % 10
    calls = {"train_epoch": [], "correct": []}
    for name, seen in calls.items():
        original = getattr(MLP, name)
        monkeypatch.setattr(MLP, name, lambda self, x, y, *rest, original=original, seen=seen:
                            (seen.append((x, y, *rest)), original(self, x, y, *rest))[1])
    training = p1.Training("tanh", 0.1, 60 - validation_images, validation_images, 50)
    return images, calls, p1.train(training, images, labels)[1]


def test_training_uses_the_first_images_and_validates_on_the_last(monkeypatch):
    images, calls, history = tiny_training(monkeypatch, 10)
    for x, y, batch_size, _ in calls["train_epoch"]:
        np.testing.assert_array_equal(x, images[:50])
        assert batch_size == 10
    assert [rate for *_, rate in calls["train_epoch"]] == [0.1] * 20 + [0.05] * 20 + [0.025] * 10 == history["learning_rate"]
    assert len(calls["correct"]) == 100  # both sets after each of the 50 epochs
    for (trained_x, _), (validation_x, validation_y) in zip(calls["correct"][::2], calls["correct"][1::2]):
        np.testing.assert_array_equal(trained_x, images[:50])
        np.testing.assert_array_equal(validation_x, images[50:])
        np.testing.assert_array_equal(validation_y, np.arange(10))


def test_retraining_uses_every_image_from_a_fresh_start_with_the_same_schedule(monkeypatch):
    images, calls, history = tiny_training(monkeypatch, 0)
    assert len(calls["train_epoch"]) == 50
    for x, *_ in calls["train_epoch"]:
        np.testing.assert_array_equal(x, images)
    assert history["learning_rate"] == [0.1] * 20 + [0.05] * 20 + [0.025] * 10 and history["validation_accuracy"] == []


def test_each_training_starts_from_its_own_seed():
    images, labels = np.random.default_rng(0).random((40, 784), dtype=np.float32), np.arange(40) % 10
    training = p1.Training("relu", 0.1, 30, 10, 1)
    first, _ = p1.train(training, images, labels)
    p1.train(training._replace(rate=0.01), images, labels)
    again, _ = p1.train(training, images, labels)
    np.testing.assert_array_equal(first.W[0], again.W[0])


def test_choice_is_the_best_final_validation_accuracy_not_the_best_epoch_or_training_accuracy():
    def history(train, validation):
        return None, {"train_accuracy": train, "validation_accuracy": validation}

    results = {"a": history([0.9, 1.0], [0.99, 0.95]), "b": history([0.9, 0.97], [0.9, 0.96]),
               "c": history([0.9, 0.98], [0.9, 0.96])}
    assert p1.choose(results) == "b"


def test_wilson_interval_of_published_example():
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 81 of 263 gives 0.2553 to 0.3662.
    assert p1.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert p1.wilson_interval(10, 10)[1] <= 1 and p1.wilson_interval(0, 10)[0] >= 0


def test_stand_in_data_is_said_in_the_report(project, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("one job", "__pycache__"))
    write_images(copy / "data" / "mnist_testdata.hdf5", 700, 2, stand_in=True, source="STAND-IN DATA: drawn digits")
    done = run(copy, "--quick", "--jobs", 2, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "p1_report.md").read_text(encoding="utf-8").startswith("# STAND-IN DATA")
    assert "## 1. STAND-IN DATA" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_bad_data_is_one_line_and_status_2_and_leaves_outputs_alone(project, tmp_path):
    copy, out = tmp_path / "project", tmp_path / "out"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("one job", "__pycache__"))
    out.mkdir()
    (out / "p1_report.md").write_text("earlier")
    train_file, test_file = copy / "data" / "mnist_traindata.hdf5", copy / "data" / "mnist_testdata.hdf5"
    test_file.rename(tmp_path / "kept")
    cases = {"mnist_testdata.hdf5": lambda: None,  # missing
             "mnist_traindata.hdf5": lambda: train_file.write_bytes(train_file.read_bytes()[:100_000]),
             "expected 2500": lambda: write_images(train_file, 2000, 1)}
    for expected, damage in cases.items():
        damage()
        done = run(copy, "--quick", "--out", out)
        assert done.returncode == 2 and expected in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "data/prepare.py" in done.stderr
        assert [path.name for path in out.iterdir()] == ["p1_report.md"] and (out / "p1_report.md").read_text() == "earlier"
        if expected.startswith("mnist_test"):
            (tmp_path / "kept").rename(test_file)


def test_out_that_is_a_file_is_one_line_and_status_2(project, tmp_path):
    (tmp_path / "out").write_text("a file")
    done = run(project, "--quick", "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr and "out" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("delay", [0.05, 0.3, 1.5])
def test_interrupt_ends_at_once_without_traceback_and_keeps_earlier_outputs(project, tmp_path, delay):
    (tmp_path / "p1_report.md").write_text("earlier")
    process = subprocess.Popen([sys.executable, str(project / "p1_numpy_mlp.py"), "--quick", "--out", str(tmp_path)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    begin = time.perf_counter()
    _, errors = process.communicate(timeout=60)
    assert time.perf_counter() - begin < 10 and "Traceback" not in errors
    assert process.returncode in (130, -signal.SIGINT)
    assert [path.name for path in tmp_path.iterdir()] == ["p1_report.md"]


def test_options_are_checked_before_anything_is_done(project):
    done = run(project, "--jobs", 0)
    assert done.returncode == 2 and "--jobs" in done.stderr

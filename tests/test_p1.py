"""Problem 1: schedule, split, choice, statistics, processes, and when the test set is opened."""
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import contents, end_of, posix, processes_left, start

import mlp
import p1_numpy_mlp as p1


def test_learning_rate_is_halved_after_epochs_20_and_40():
    rates = [p1.learning_rate_of(0.4, epoch) for epoch in range(1, 51)]
    assert rates == 20 * [0.4] + 20 * [0.2] + 10 * [0.1]


@pytest.fixture
def small():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 300)
    images = rng.random((300, 784), dtype=np.float32) * 0.5
    images[np.arange(300), labels] += 3
    return images, labels


def test_training_uses_the_schedule_and_never_the_validation_images(small, monkeypatch):
    images, labels = small
    rates, train_epoch = [], mlp.MLP.train_epoch

    def recorded(self, x, y, batch_size, learning_rate):
        rates.append((len(x), batch_size, learning_rate))
        train_epoch(self, x, y, batch_size, learning_rate)
    monkeypatch.setattr(mlp.MLP, "train_epoch", recorded)
    monkeypatch.setattr(p1, "HALVE_AFTER", (1, 2))
    network, history = p1.train("tanh", 0.4, images, labels, 200, 3)
    assert rates == [(200, p1.BATCH_SIZE, rate) for rate in (0.4, 0.2, 0.1)]
    assert len(history["train_accuracy"]) == len(history["validation_accuracy"]) == 3
    right = network.forward(images[200:]).argmax(axis=1) == labels[200:]
    assert history["validation_accuracy"][-1] == pytest.approx(right.mean())
    other = images.copy()
    other[200:] = 0
    again, _ = p1.train("tanh", 0.4, other, labels, 200, 3)
    assert all(np.array_equal(*W) for W in zip(network.W[1:], again.W[1:]))


def test_retraining_validates_on_nothing_and_is_regularized_as_the_report_says(small):
    network, history = p1.train("ReLU", 0.1, *small, 300, 1)
    assert history["validation_accuracy"] == [] and len(history["train_accuracy"]) == 1
    assert network.epsilon == p1.EPSILON > 0
    assert [len(b) for b in network.b[1:]] == list(p1.SIZES[1:])


def test_gradient_check_passes_and_notices_a_wrong_derivative(monkeypatch):
    checked = p1.gradient_check()
    parameters = 2 * sum(m * (n + 1) for n, m in zip((12, 9, 7), (9, 7, 5)))
    assert checked["derivatives"] == parameters + 2 * 8 * 12
    assert checked["largest_relative_error"] < 1e-7
    monkeypatch.setitem(mlp.ACTIVATIONS, "tanh", (np.tanh, lambda a: 1 - a))
    assert p1.gradient_check()["largest_relative_error"] > 1e-2


def test_choice_is_the_best_last_epoch_and_the_first_of_equals():
    of = [{"validation_accuracy": values} for values in ([0.9, 0.5], [0.1, 0.7], [0.8, 0.7])]
    assert p1.choose(of) == 1


def test_mcnemar_counts_discordant_images_and_gives_the_binomial_tail():
    right = np.array([1, 1, 1, 1, 1, 1, 1, 0, 1, 0], bool)
    other = np.array([1, 0, 0, 0, 0, 0, 0, 1, 1, 0], bool)
    found = p1.mcnemar(right, other)
    assert (found["only_chosen_right"], found["only_this_right"]) == (6, 1)
    assert found["p_value"] == pytest.approx(2 * (1 + 7) / 2 ** 7)
    assert p1.mcnemar(right, right)["p_value"] == 1


@pytest.mark.parametrize("right, total, low, high", [(81, 263, 0.2553, 0.3662), (0, 10, 0, 0.2775)])
def test_wilson_interval_as_published(right, total, low, high):
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3; and no success at all."""
    assert p1.wilson_interval(right, total) == pytest.approx([low, high], abs=1e-4)


RECORDER = """
import sys, h5py
import p1_numpy_mlp as p1
def tell(*words):  # in one piece, whatever other processes write
    sys.stdout.write("EVENT " + " ".join(map(str, words)) + "\\n")
    sys.stdout.flush()
opened, choose, train = h5py.File, p1.choose, p1.train
def recorded_open(path, *arguments, **options):
    tell("open", str(path).replace("\\\\", "/").rsplit("/", 1)[-1])
    return opened(path, *arguments, **options)
def recorded_train(activation, rate, images, labels, split, epochs):
    tell("train", split, len(images), epochs)
    return train(activation, rate, images, labels, split, epochs)
def recorded_choose(configurations):
    tell("choose")
    return choose(configurations)
h5py.File, p1.choose, p1.train = recorded_open, recorded_choose, recorded_train
p1.TRAIN_IMAGES, p1.VALIDATION_IMAGES, p1.EPOCHS = 2000, 500, 2
if __name__ == "__main__":
    p1.main()
"""


@pytest.mark.parametrize("arguments", [[], ["--quick"]])
def test_the_test_set_is_opened_once_after_choice_and_retraining(project, tmp_path, arguments):
    (project / "recorder.py").write_text(RECORDER)
    done = subprocess.run([sys.executable, "recorder.py", "--out", tmp_path, *arguments],
                          cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    events = re.findall("EVENT (.*)", done.stdout)
    assert events[0] == "open mnist_traindata.hdf5"  # by the parent, then by each worker
    order = [event for event in events if "traindata" not in event and "params" not in event]
    assert order[:8] == [*6 * ["train 2000 2500 2"], "choose", "train 2500 2500 2"]
    # A smoke test leaves the test set closed.
    assert order[8:] == ([] if arguments else ["open mnist_testdata.hdf5"])


def workers_of(process):
    """Process numbers of the spawned workers of a run."""
    listed = subprocess.run(["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [int(pid) for pid, parent, command in rows
            if parent == str(process.pid) and "spawn_main" in command]


def wait_for_workers(process, seconds=60):
    deadline = time.monotonic() + seconds
    while not workers_of(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    return workers_of(process)


@posix
@pytest.mark.parametrize("fault", ["Ctrl-C", "kill"])
def test_a_fault_while_workers_import_leaves_no_process(fault, project, tmp_path):
    """Later moments are tested with those of the other scripts, in test_scripts.py."""
    process = start(project, 1, tmp_path / "out", "--jobs", "2")
    assert wait_for_workers(process)
    run = end_of(process, tmp_path / "out", fault)
    if fault == "Ctrl-C":
        assert run.status == 130 and run.errors == ["interrupted; earlier outputs are as they were"]
    assert contents(run.out) == {} and run.left == []


@posix
def test_a_worker_that_dies_is_told(project, tmp_path):
    process = start(project, 1, tmp_path / "out", "--jobs", "2")
    os.kill(wait_for_workers(process)[0], signal.SIGKILL)
    line, = end_of(process, tmp_path / "out").errors
    assert line.startswith("error: a training process failed") and process.returncode == 2
    assert processes_left(process.pid) == []


def test_what_a_worker_sends_goes_in_one_write(project, monkeypatch):
    """Killed in the middle of a longer message, it would leave the parent waiting for the rest."""
    monkeypatch.setattr(p1, "TRAIN_FILE", project / "data" / "mnist_traindata.hdf5")
    history, right = p1.train_from_file("ReLU", 0.1, 2000, 2500, 1)
    assert right.mean() == pytest.approx(history["validation_accuracy"][-1])
    sent = len(pickle.dumps((history, np.resize(right, p1.VALIDATION_IMAGES))))
    assert len(right) == 500 and sent < 16_384  # longer ones go in two writes (multiprocessing)


class Pool:
    """Stands in for ProcessPoolExecutor: another thread receives Ctrl-C while a worker starts."""
    started = 0

    def __init__(self, *_):
        pass

    def submit(self, *_):
        def hear():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(target=hear)
        thread.start()
        thread.join()
        Pool.started += 1

    def shutdown(self, **_):
        pass


@posix
def test_ctrl_c_waits_until_the_workers_have_started(monkeypatch):
    monkeypatch.setattr(p1, "ProcessPoolExecutor", Pool)
    for name in p1.BLAS:
        monkeypatch.setenv(name, "1")
    with pytest.raises(KeyboardInterrupt):
        p1.train_all([("ReLU",), ("tanh",)], 2)
    assert Pool.started == 2 and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def broken_training(activation, *_):
    """Stands in for train_from_file: one training raises, another would take minutes."""
    if activation == "ReLU":
        raise ValueError("broken")
    time.sleep(300)


def test_a_worker_that_raises_is_told_at_once(monkeypatch):
    monkeypatch.setattr(p1, "train_from_file", broken_training)
    for name in p1.BLAS:
        monkeypatch.setenv(name, "1")  # what train_all() sets is undone afterwards
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="ValueError: broken"):
        p1.train_all([("tanh",), ("ReLU",)], 2)
    assert time.monotonic() - begin < 60


def test_a_missing_test_set_is_told_before_the_training(project, monkeypatch, tmp_path):
    monkeypatch.setattr(p1, "TRAIN_FILE", project / "data" / "mnist_traindata.hdf5")
    monkeypatch.setattr(p1, "TEST_FILE", tmp_path / "absent.hdf5")
    monkeypatch.setattr(sys, "argv", ["p1", "--quick", "--out", str(tmp_path / "out")])
    with pytest.raises(p1.DataError, match="absent.hdf5: found no HDF5 file"):
        p1.main()


def test_curve_marks_both_halvings_and_names_the_ends():
    figure, axes = p1.plt.subplots()
    curve = list(np.linspace(0.9, 0.98, 50))
    p1.draw_curves(axes, {"train_accuracy": curve, "validation_accuracy": curve}, 90, "title")
    marked = [line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
    assert marked == [20.5, 40.5] and axes.get_ylim()[0] == 90
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training, 98.00% at the end", "validation, 98.00% at the end",
                      "learning rate halved"]
    p1.plt.close(figure)

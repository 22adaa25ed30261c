"""Problem 1: what a run chooses, saves, draws and writes; moved images; threads and Ctrl-C.

main() runs once with trainings that only look like it: their results are known, and differ by
configuration. All that the run writes and draws is compared with them.
"""
import os
import re
import threading
from itertools import product
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import (assert_curve, assert_earlier_outputs_are_untouched, assert_legend,
                      earlier_outputs, images_in, known_run, on_small_data, run_main, table)

import p1_numpy_mlp as p1
from mlp import MLP

TRAIN = p1.train  # tests put another in its place


def numbers(text):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


# A run with known trainings

CHOSEN = 4  # tanh, 0.2


def known_accuracies(epochs):
    """Training and validation accuracies (6, epochs), and those of the retraining (epochs,): the
    best by training, at any time and by the mean of the last ten epochs are not CHOSEN."""
    rng = np.random.default_rng(0)
    training, validation = rng.uniform(0.3, 0.99, (2, 6, epochs))
    training[5, -1] = 0.9999
    validation[[2, CHOSEN], (epochs - 1) // 2] = 0.9998, 0.999
    validation[1, -10:-1] = 0.998
    validation[CHOSEN, -1] = 0.997
    return training, validation, rng.uniform(0.3, 0.99, epochs)


def known_network(seed, x, y):
    """Hidden layers at random, and an output layer fitted to them, so that some answers are wrong.
    """
    network = MLP((784, 20, 16, 10), "tanh", np.random.default_rng(seed))
    network.forward(x)
    one_hot = np.eye(10, dtype=np.float32)[y]
    network.W[3] = 10 * np.linalg.lstsq(network.a[2], one_hot, rcond=None)[0].T
    return network


def prepare(monkeypatch, project):
    """Small files and known trainings."""
    _, events = on_small_data(monkeypatch, 1, project)

    def train(activation, initial_learning_rate, x, y, x_validation=None, y_validation=None):
        network = known_network(len(events), x, y)
        events.append(SimpleNamespace(
            configuration=(activation, initial_learning_rate), x=x, y=y, network=network,
            x_validation=x_validation, y_validation=y_validation))
        training, validation, retraining = known_accuracies(p1.EPOCHS)
        number = p1.CONFIGURATIONS.index((activation, initial_learning_rate))
        if x_validation is None:
            return network, retraining.tolist(), []
        return network, training[number].tolist(), validation[number].tolist()
    monkeypatch.setattr(p1, "train", train)
    return p1, events


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    run = known_run(1, prepare, project, tmp_path_factory.mktemp("run") / "a new" / "folder")
    run.training, run.validation, run.retraining = known_accuracies(p1.EPOCHS)
    run.x, run.y = images_in(project, "mnist_train")
    run.x_test, run.y_test = images_in(project, "mnist_test")
    _, _, *run.trainings, run.retrained, _ = run.events
    return run


def test_the_chosen_configuration_is_retrained_on_all_images_and_then_tested(run):
    first, second, *_, last = run.events
    assert (first, second) == ("load mnist_traindata.hdf5", "check mnist_testdata.hdf5")
    assert last == "load mnist_testdata.hdf5"
    assert sorted(event.configuration for event in run.trainings) == sorted(p1.CONFIGURATIONS)
    for event in run.trainings:
        assert np.array_equal(event.x, run.x[:2000]) and np.array_equal(event.y, run.y[:2000])
        assert np.array_equal(event.x_validation, run.x[2000:])
        assert np.array_equal(event.y_validation, run.y[2000:])
    assert run.retrained.configuration == p1.CONFIGURATIONS[CHOSEN]
    assert np.array_equal(run.retrained.x, run.x) and np.array_equal(run.retrained.y, run.y)
    assert run.retrained.x_validation is None


def test_the_saved_network_is_the_retrained_one(run):
    with h5py.File(run.out / "p1_network_params.hdf5") as file:
        assert sorted(file) == ["W1", "W2", "W3", "b1", "b2", "b3"]
        assert file.attrs["activation"] == p1.CONFIGURATIONS[CHOSEN][0]
        for l in (1, 2, 3):
            assert np.array_equal(file[f"W{l}"], run.retrained.network.W[l])
            assert np.array_equal(file[f"b{l}"], run.retrained.network.b[l])
            assert file[f"W{l}"].dtype == np.float32


def test_results_are_those_of_the_choice_and_of_the_retrained_network(run):
    activation, rate = p1.CONFIGURATIONS[CHOSEN]
    predicted = run.retrained.network.forward(run.x_test).argmax(axis=1)
    right = int((predicted == run.y_test).sum())
    assert 100 < right < 550  # better than chance, and with mistakes
    assert run.results == {
        "quick": False, "sizes": list(p1.SIZES), "shift": p1.SHIFT, "epsilon": p1.EPSILON,
        "batch_size": p1.BATCH_SIZE, "activation": activation, "initial_learning_rate": rate,
        "validation_accuracy": run.validation[CHOSEN, -1],
        "test_images": 600, "test_right": right, "test_accuracy": right / 600}
    chosen, tested, _ = run.printed.splitlines()[-3:]
    assert activation in chosen and numbers(chosen) == [rate, 2500]
    assert numbers(tested) == [float(f"{100 * right / 600:.2f}"), right, 600]


def test_the_table_of_configurations(run):
    rows = table(run.out / "p1_configurations.csv")
    for number, (row, configuration) in enumerate(zip(rows, p1.CONFIGURATIONS, strict=True)):
        network, = (event.network for event in run.trainings
                    if event.configuration == configuration)
        predicted = network.forward(run.x[:2000]).argmax(axis=1)
        shares = [run.training[number, -1], (predicted == run.y[:2000]).mean(),
                  run.validation[number, -1], run.validation[number, -10:].mean()]
        activation, rate, *cells = row.values()
        assert (activation, float(rate)) == configuration
        assert cells == [f"{100 * share:.2f}" for share in shares]
    _, _, moved, as_they_are, validation, last_ten = rows[0]
    assert "moved" in moved and "as they are" in as_they_are
    assert "validation" in validation and "ten" in last_ten


def test_the_table_of_accuracies_has_each_epoch_of_each_training(run):
    rows = table(run.out / "p1_accuracy.csv")
    curves = {}
    for number, (activation, rate) in enumerate(p1.CONFIGURATIONS):
        curves[f"{activation} {rate}, training (%)"] = run.training[number]
        curves[f"{activation} {rate}, validation (%)"] = run.validation[number]
    curves["retraining, training (%)"] = run.retraining
    assert list(rows[0]) == ["epoch", *curves]
    for epoch, row in enumerate(rows):
        assert list(row.values()) == [
            str(epoch + 1), *(f"{100 * curve[epoch]:.2f}" for curve in curves.values())]
    assert len(rows) == 50


def test_the_page_of_curves_has_all_six_and_marks_the_chosen(run):
    figure = run.figures["p1_curves.png"]
    panels = np.reshape(figure.axes, (3, 2)).T.ravel()
    for number, (axes, (activation, rate)) in enumerate(zip(panels, p1.CONFIGURATIONS)):
        assert_curve(axes, "training", 100 * run.training[number])
        assert_curve(axes, "validation", 100 * run.validation[number])
        assert activation in axes.get_title() and numbers(axes.get_title()) == [rate]
        assert (axes.title.get_fontweight() == "bold") == (number == CHOSEN)
        assert axes.get_ylim()[0] == 95 and axes.get_ylim()[1] > 100
        assert axes.get_xlim()[0] < 1 and axes.get_xlim()[1] > 50
        lines, = axes.collections
        assert [line[0][0] for line in lines.get_segments()] == [20.5, 40.5]
        texts = [(numbers(text.get_text()), text.get_position()[0]) for text in axes.texts]
        assert texts == [([rate], 10.5), ([rate / 2], 30.5), ([rate / 4], 45.5)]
    assert_legend(figure, axes)


# Constants, schedule, choice

def test_learning_rate_is_halved_after_epochs_20_and_40():
    rates = [p1.learning_rate_of(0.4, epoch) for epoch in range(1, 51)]
    assert rates == 20 * [0.4] + 20 * [0.2] + 10 * [0.1]


def test_the_homeworks_numbers():
    assert {activation for activation, _ in p1.CONFIGURATIONS} == {"ReLU", "tanh"}
    assert len({rate for _, rate in p1.CONFIGURATIONS}) == 3 and len(p1.CONFIGURATIONS) == 6
    assert (p1.TRAIN_IMAGES, p1.VALIDATION_IMAGES, p1.EPOCHS) == (50_000, 10_000, 50)
    assert p1.SIZES[0] == 784 and p1.SIZES[-1] == 10
    assert 50 <= p1.BATCH_SIZE <= 1000 and 50_000 % p1.BATCH_SIZE == 0


def test_choice_is_the_best_last_epoch_and_the_first_of_equals():
    assert p1.choose(np.array([[0.9, 0.5], [0.1, 0.7], [0.8, 0.7]])) == 1


# Moved images

def moved_by(images, down, right):
    """Images (N, 784), moved pixel by pixel."""
    moved = np.zeros_like(images).reshape(-1, 28, 28)
    for row, column in product(range(28), repeat=2):
        if 0 <= row + down < 28 and 0 <= column + right < 28:
            moved[:, row + down, column + right] = images.reshape(-1, 28, 28)[:, row, column]
    return moved.reshape(images.shape)


def steps_between(images, moved, reach):
    """By how much each image was moved: down and right, (N, 2). Fails where it was not just that:
    a lost pixel, or ink that comes in at the other side. Images are full of different ink."""
    steps, found = np.zeros((len(images), 2), int), np.zeros(len(images), int)
    for step in product(range(-reach, reach + 1), repeat=2):
        same = (moved_by(images, *step) == moved).all(axis=1)
        steps[same] = step
        found += same
    assert (found == 1).all()
    return steps


def inked(n, seed=0):
    """Images (n, 784) whose pixels all differ, and classes (n,)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 1, (n, 784)).astype(np.float32), rng.integers(0, 10, n)


@pytest.mark.parametrize("reach", [1, 2])
def test_images_are_moved_by_each_step_about_equally_often(reach):
    x, _ = inked(1800)
    kept = x.copy()
    moved = p1.shifted(x, reach, np.random.default_rng(1))
    _, counts = np.unique(steps_between(x, moved, reach), axis=0, return_counts=True)
    possible = (2 * reach + 1) ** 2
    expected = len(x) / possible
    assert len(counts) == possible and np.abs(counts - expected).max() < 5 * expected ** 0.5
    assert np.array_equal(x, kept) and moved.dtype == x.dtype


# Training

@pytest.fixture
def small(monkeypatch):
    """x_train, y_train (200 rows), x_validation, y_validation (100 rows); three epochs of a small
    network, with a halving after each."""
    monkeypatch.setattr(p1, "EPOCHS", 3)
    monkeypatch.setattr(p1, "HALVE_AFTER", (1, 2))
    monkeypatch.setattr(p1, "SIZES", (784, 20, 15, 10))
    x, y = inked(300)
    return x[:200], y[:200], x[200:], y[200:]


@pytest.fixture
def recorded(monkeypatch):
    """What train_epoch() and accuracy() are given and return: recorded.epochs, .validations."""
    record = SimpleNamespace(epochs=[], validations=[])
    train_epoch, accuracy = MLP.train_epoch, MLP.accuracy

    def recorded_epoch(self, x, labels, batch_size, learning_rate):
        share = train_epoch(self, x, labels, batch_size, learning_rate)
        record.epochs.append((x.copy(), labels.copy(), batch_size, learning_rate, share))
        return share

    def recorded_accuracy(self, x, labels):
        share = accuracy(self, x, labels)
        record.validations.append((x.copy(), labels.copy(), share))
        return share
    monkeypatch.setattr(MLP, "train_epoch", recorded_epoch)
    monkeypatch.setattr(MLP, "accuracy", recorded_accuracy)
    return record


def test_each_epoch_moves_the_training_images_anew_and_validation_images_never(small, recorded):
    x, y, x_validation, y_validation = small
    kept = x.copy()
    network, training, validation = p1.train("tanh", 0.4, *small)
    steps = []
    for moved, classes, batch_size, _, _ in recorded.epochs:
        steps.append(steps_between(kept, moved, p1.SHIFT))
        assert np.array_equal(classes, y) and batch_size == p1.BATCH_SIZE
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (steps[one] != steps[other]).any(axis=1).mean() > 0.7
    assert [epoch[3] for epoch in recorded.epochs] == [0.4, 0.2, 0.1]
    assert [epoch[4] for epoch in recorded.epochs] == training
    for images, classes, _ in recorded.validations:
        assert np.array_equal(images, x_validation) and np.array_equal(classes, y_validation)
    assert [looked[2] for looked in recorded.validations] == validation and len(validation) == 3
    assert np.array_equal(x, kept)
    right = network.forward(x_validation).argmax(axis=1) == y_validation
    assert validation[-1] == pytest.approx(right.mean())  # after the epoch
    assert network.epsilon == p1.EPSILON > 0
    assert [len(b) for b in network.b[1:]] == [20, 15, 10]


def test_validation_images_are_not_learned_from(small):
    network, _, _ = p1.train("ReLU", 0.1, *small)
    again, _, nothing = p1.train("ReLU", 0.1, *small[:2])
    for W, same in zip(network.W[1:], again.W[1:]):
        assert np.array_equal(W, same)
    assert nothing == []


def test_a_training_reports_every_ten_epochs_and_at_its_end(small, capsys, monkeypatch):
    monkeypatch.setattr(p1, "EPOCHS", 12)
    for arrays in (small, small[:2]):
        _, training, validation = p1.train("ReLU", 0.4, *arrays)
        lines = capsys.readouterr().out.splitlines()
        for line, epoch in zip(lines, (10, 12), strict=True):
            accuracies = [curve[epoch - 1] for curve in (training, validation) if curve]
            found = numbers(line)
            assert found[:-1] == [0.4, epoch, 12, *(round(100 * a, 2) for a in accuracies)]
            assert (found[-1] == 0) == (epoch == 12) or found[-1] < 2  # seconds left


# Threads

def test_threads_give_what_a_plain_loop_gives_bit_for_bit(small):
    networks, *together = p1.train_all(*small, threads=3)
    loop = [p1.train(*configuration, *small) for configuration in p1.CONFIGURATIONS]
    for number, (network, *accuracies) in enumerate(loop):
        assert np.array_equal(networks[number].W[1], network.W[1])
        assert [together[0][number].tolist(), together[1][number].tolist()] == accuracies
    assert len({network.W[1].tobytes() for network, *_ in loop}) == 6


@pytest.mark.parametrize("cpu_count, usable", [(None, 1), (5, 5)])
def test_usable_cores_where_a_system_does_not_say_which(cpu_count, usable, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cpu_count)
    assert p1.usable_cores() == usable


def test_an_error_in_one_training_ends_the_others_at_once(small, monkeypatch):
    began, told = threading.Event(), []

    def train(activation, *_):
        if activation == "tanh":
            began.wait(60)
            raise MemoryError
        began.set()
        told.append(p1.STOP.wait(60))
        return None, [], []
    monkeypatch.setattr(p1, "train", train)
    with pytest.raises(MemoryError):
        p1.train_all(*small, threads=6)
    assert told == [True] * 3


def test_ctrl_c_ends_every_training_after_its_epoch_and_leaves_the_process_alive(
        small, project, tmp_path, monkeypatch):
    """As in a notebook, where the next run has to be possible."""
    threads, began = [], threading.Barrier(3, timeout=60)  # two trainings, and Ctrl-C

    class Slow:
        def __init__(self, *_, **__):
            pass

        def train_epoch(self, *_):
            threads.append(threading.current_thread())  # once an epoch
            began.wait()
            p1.STOP.wait(60)
            return 0.5

        def accuracy(self, *_):
            return 0.5

    def stop_button(*_, **__):
        began.wait()
        raise KeyboardInterrupt
    earlier_outputs(1, tmp_path)
    with monkeypatch.context() as patch:
        on_small_data(patch, 1, project)
        patch.setattr(p1, "MLP", Slow)
        patch.setattr(p1, "usable_cores", lambda: 2)
        patch.setattr(p1, "wait", stop_button)
        with pytest.raises(KeyboardInterrupt):
            run_main(patch, p1, "--out", tmp_path)
    assert [thread.is_alive() for thread in threads] == [False, False]
    assert_earlier_outputs_are_untouched(1, tmp_path)

    _, training, validation = p1.train_all(*small, threads=2)
    assert training.shape == validation.shape == (6, 3)

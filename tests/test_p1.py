"""Problem 1: what a run chooses, saves, draws and writes; moved images; threads; Ctrl-C; and the
programs behind its quoted numbers.

main() runs once with trainings that only look like it: their results are known, and differ by
configuration. All that the run writes and draws is compared with them.
"""
import contextlib
import csv
import io
import json
import os
import re
import tempfile
import threading
import time
from itertools import product
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import (OUTPUTS, assert_earlier_outputs_are_untouched, contents, earlier_outputs,
                      run_main)

import control_p1
import p1_numpy_mlp as p1
import search_p1
from data.loader import load_images
from mlp import MLP

TRAIN = p1.train  # many tests put another in its place


def numbers(text):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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


def unmoved_accuracy(number):
    """Of the training images as they are, by the number of the configuration."""
    return 0.5 + number / 100


def known_network(seed, x, y):
    """Hidden layers at random, and an output layer fitted to them, so that some answers are wrong.
    Its epsilon is not the script's."""
    network = MLP((784, 20, 16, 10), "tanh", np.random.default_rng(seed), epsilon=0.25)
    network.forward(x)
    one_hot = np.eye(10, dtype=np.float32)[y]
    network.W[3] = 10 * np.linalg.lstsq(network.a[2], one_hot, rcond=None)[0].T
    return network


def prepare(patch, project, folder):
    """Small files, known trainings, and `folder` in place of the script's own. Returns the events
    of the run, which are the files that it opens and the trainings, in their order."""
    patch.setattr(p1, "FOLDER", folder)
    patch.setattr(p1, "TRAIN_FILE", project / "data" / "mnist_traindata.hdf5")
    patch.setattr(p1, "TEST_FILE", project / "data" / "mnist_testdata.hdf5")
    patch.setattr(p1, "TRAIN_IMAGES", 2000)
    patch.setattr(p1, "VALIDATION_IMAGES", 500)
    events, opened = [], h5py.File

    def recorded_open(path, *arguments, **options):
        if not isinstance(path, io.BytesIO):
            events.append(path.name)
        return opened(path, *arguments, **options)

    def train(activation, initial_learning_rate, x, y, x_validation=None, y_validation=None):
        network = known_network(len(events), x, y)
        events.append(SimpleNamespace(
            configuration=(activation, initial_learning_rate), x=x, y=y, network=network,
            x_validation=x_validation, y_validation=y_validation))
        training, validation, retraining = known_accuracies(p1.EPOCHS)
        number = p1.CONFIGURATIONS.index((activation, initial_learning_rate))
        network.accuracy = lambda images, classes: unmoved_accuracy(number)
        if x_validation is None:
            return network, retraining.tolist(), []
        return network, training[number].tolist(), validation[number].tolist()
    patch.setattr(h5py, "File", recorded_open)
    patch.setattr(p1, "train", train)
    return events


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    """One run of main(), all its figures kept, printed on a console that lacks letters."""
    folder, figures = tmp_path_factory.mktemp("run"), {}
    out, printed = folder / "not yet there" / "\u8f93\u51fa", io.BytesIO()
    save = p1.save

    def kept(figure, path):
        figures[path.name] = figure
        save(figure, path)
    with pytest.MonkeyPatch.context() as patch:
        events = prepare(patch, project, folder)
        patch.setattr(p1, "save", kept)
        console = io.TextIOWrapper(printed, encoding="ascii")
        begin = time.perf_counter()
        with contextlib.redirect_stdout(console):
            run_main(patch, p1, "--out", out)
        console.flush()
        seconds = time.perf_counter() - begin
    training, validation, retraining = known_accuracies(p1.EPOCHS)
    x, y = load_images(project / "data" / "mnist_traindata.hdf5")
    x_test, y_test = load_images(project / "data" / "mnist_testdata.hdf5")
    return SimpleNamespace(
        out=out, folder=folder, figures=figures, events=events, seconds=seconds,
        printed=printed.getvalue().decode("ascii").splitlines(),
        results=json.loads((out / "p1_results.json").read_text(encoding="utf-8")),
        training=training, validation=validation, retraining=retraining,
        x=x, y=y, x_test=x_test, y_test=y_test,
        network=events[8].network)  # of the retraining; events[:2] are files


def test_a_run_writes_its_files_and_nothing_else(run):
    assert sorted(contents(run.out)) == sorted(OUTPUTS[1])
    assert [path.name for path in run.folder.iterdir()] == ["not yet there"]


def test_the_chosen_configuration_is_retrained_on_all_images_and_then_tested(run):
    first, looked_into, *trainings, retraining, last = run.events
    assert (first, last) == ("mnist_traindata.hdf5", "mnist_testdata.hdf5") and looked_into == last
    assert sorted(event.configuration for event in trainings) == sorted(p1.CONFIGURATIONS)
    for event in trainings:
        assert np.array_equal(event.x, run.x[:2000])
        assert np.array_equal(event.y, run.y[:2000])
        assert np.array_equal(event.x_validation, run.x[2000:])
        assert np.array_equal(event.y_validation, run.y[2000:])
    assert retraining.configuration == p1.CONFIGURATIONS[CHOSEN]
    assert np.array_equal(retraining.x, run.x) and np.array_equal(retraining.y, run.y)
    assert retraining.x_validation is None


def test_the_saved_network_is_the_retrained_one(run):
    with h5py.File(run.out / "p1_network_params.hdf5") as file:
        assert sorted(file) == ["W1", "W2", "W3", "b1", "b2", "b3"]
        assert file.attrs["activation"] == p1.CONFIGURATIONS[CHOSEN][0]
        for l in (1, 2, 3):
            assert np.array_equal(file[f"W{l}"], run.network.W[l])
            assert np.array_equal(file[f"b{l}"], run.network.b[l])
            assert file[f"W{l}"].dtype == np.float32


def test_results_are_those_of_the_choice_and_of_the_retrained_network(run):
    activation, initial_learning_rate = p1.CONFIGURATIONS[CHOSEN]
    right = int((run.network.forward(run.x_test).argmax(axis=1) == run.y_test).sum())
    results = dict(run.results)
    assert 0 <= results.pop("seconds") <= round(run.seconds)
    assert results.pop("versions")["numpy"] == np.__version__
    assert results == {
        "quick": False, "sizes": list(p1.SIZES), "shift": p1.SHIFT, "epsilon": p1.EPSILON,
        "batch_size": p1.BATCH_SIZE, "activation": activation,
        "initial_learning_rate": initial_learning_rate,
        "validation_accuracy": run.validation[CHOSEN, -1],
        "test_images": 600, "test_right": right, "test_accuracy": right / 600}
    assert 100 < right < 550  # better than chance, and with mistakes to draw

    line, = (line for line in run.printed if "test accuracy" in line)
    accuracy = float(f"{100 * right / 600:.2f}")
    assert numbers(line) == [accuracy, right, 600]
    line, = (line for line in run.printed if line.startswith("chosen"))
    assert activation in line and numbers(line) == [initial_learning_rate, 2500]


def test_the_table_of_configurations(run):
    rows = table(run.out / "p1_configurations.csv")
    assert len(rows) == 6
    for number, (row, (activation, rate)) in enumerate(zip(rows, p1.CONFIGURATIONS)):
        assert (row["activation"], float(row["initial learning rate"])) == (activation, rate)
        mean = run.validation[number, -10:].mean()
        expected = {"training": run.training[number, -1], "validation": run.validation[number, -1]}
        for header, cell in list(row.items())[2:]:
            share = mean if "mean" in header else expected[header.split()[0]]
            if "as they are" in header:
                share = unmoved_accuracy(number)
            assert cell == f"{100 * share:.2f}"
    assert len(rows[0]) == 6


def test_the_table_of_accuracies_has_each_epoch_of_each_training(run):
    rows = table(run.out / "p1_accuracy.csv")
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 51)]
    columns = {header: [row[header] for row in rows] for header in rows[0]}

    def column(beginning):
        header, = (header for header in columns if header.startswith(beginning))
        return columns[header]

    def cells(shares):
        return [f"{100 * share:.2f}" for share in shares]
    for number, (activation, rate) in enumerate(p1.CONFIGURATIONS):
        assert column(f"{activation} {rate}, training") == cells(run.training[number])
        assert column(f"{activation} {rate}, validation") == cells(run.validation[number])
    assert column("retraining") == cells(run.retraining)
    assert len(columns) == 14


# Curves

def curve(axes, label):
    """The values (%) of the one line whose label begins so; its epochs are counted from 1."""
    line, = (line for line in axes.get_lines() if line.get_label().startswith(label))
    assert line.get_xdata().tolist() == list(range(1, len(line.get_xdata()) + 1))
    return line.get_ydata()


def halvings_in(axes):
    """Where the vertical lines of the halvings stand; they run through the whole height."""
    lines, = (lines for lines in axes.collections if "halved" in lines.get_label())
    places = []
    for (x0, y0), (x1, y1) in lines.get_segments():
        assert x0 == x1 and (y0, y1) == axes.get_ylim()
        places.append(x0)
    return places


def assert_curves(axes, training, validation):
    np.testing.assert_allclose(curve(axes, "training"), 100 * training)
    np.testing.assert_allclose(curve(axes, "validation"), 100 * validation)
    assert halvings_in(axes) == [20.5, 40.5]


def assert_legend(figure):
    """It names both curves and the halvings."""
    legend, = figure.legends
    _, labels = figure.axes[0].get_legend_handles_labels()
    assert [text.get_text() for text in legend.get_texts()] == labels and len(labels) == 3


def test_the_page_has_all_six_and_marks_the_chosen(run):
    figure = run.figures["p1_curves.png"]
    panels = np.reshape(figure.axes, (3, 2)).T.ravel()
    for number, (axes, (activation, rate)) in enumerate(zip(panels, p1.CONFIGURATIONS)):
        assert_curves(axes, run.training[number], run.validation[number])
        assert activation in axes.get_title() and numbers(axes.get_title()) == [rate]
        assert (axes.title.get_fontweight() == "bold") == (number == CHOSEN)
        assert axes.get_ylim()[0] == 95 and axes.get_ylim()[1] > 100
        rates = [numbers(text.get_text()) for text in axes.texts]
        assert rates == [[rate], [rate / 2], [rate / 4]]
        for text, left, right in zip(axes.texts, (0, 20, 40), (20, 40, 51)):
            assert left < text.get_position()[0] < right
    assert len(figure.axes) == 6
    assert_legend(figure)


def test_saved_pictures_are_crisp_and_do_not_name_the_programs_version(run):
    for path in run.out.glob("*.png"):
        assert p1.plt.imread(path).shape[1] == 1245  # one and a half times a page's 830 pixels
        assert b"Software" not in path.read_bytes()
    assert p1.plt.get_fignums() == []


# Runs that draw nothing

@pytest.fixture
def light(project, tmp_path, monkeypatch):
    """main() without drawing, in a folder of its own; temporary folders are in it, too."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in filter(lambda name: name.startswith("plot_"), dir(p1)):
        monkeypatch.setattr(p1, name, lambda *_: None)
    return prepare(monkeypatch, project, tmp_path)


def test_a_quick_run_leaves_the_test_file_closed(light, monkeypatch):
    run_main(monkeypatch, p1, "--quick")
    opened = [event for event in light if isinstance(event, str)]
    assert opened == ["mnist_traindata.hdf5", "mnist_testdata.hdf5"]  # this one: without its values
    assert len(light) == 9


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


def test_images_that_are_not_to_move_are_copied():
    x, _ = inked(20)
    moved = p1.shifted(x, 0, np.random.default_rng(1))
    assert np.array_equal(moved, x) and not np.shares_memory(moved, x)


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


def test_training_accuracy_is_that_of_moved_images_before_the_adversarial_step(
        small, recorded, monkeypatch):
    monkeypatch.setattr(p1, "EPSILON", 2.0)
    x, y, _, _ = small
    untrained, training, _ = p1.train("ReLU", 0.0, x, y)
    plain, adversarial = untrained.accuracy(x, y), []
    for (moved, *_), share in zip(recorded.epochs, training):
        assert share == pytest.approx((untrained.forward(moved).argmax(axis=1) == y).mean())
        adversarial.append(untrained.accuracy(untrained.adversarial(y), y))
    assert plain not in training and max(adversarial) < min(training)


@pytest.mark.parametrize("validation_images", [True, False])
def test_a_training_reports_every_ten_epochs_and_at_its_end(
        validation_images, small, capsys, monkeypatch):
    clock = [100.0]

    class TwoSecondsAnEpoch:
        def __init__(self, *_, **__):
            self.epoch = 0

        def train_epoch(self, *_):
            self.epoch += 1
            clock[0] += 2
            return self.epoch / 100

        def accuracy(self, *_):
            return self.epoch / 50
    monkeypatch.setattr(p1, "MLP", TwoSecondsAnEpoch)
    monkeypatch.setattr(p1, "EPOCHS", 25)
    monkeypatch.setattr(p1.time, "perf_counter", lambda: clock[0])
    p1.train("ReLU", 0.4, *small[:4 if validation_images else 2])
    lines = [numbers(line) for line in capsys.readouterr().out.splitlines()]
    expected = []
    for epoch, seconds_left in ((10, 30), (20, 10), (25, 0)):
        accuracies = [epoch, 2 * epoch] if validation_images else [epoch]
        expected.append([0.4, epoch, 25, *accuracies, seconds_left])
    assert lines == expected


# Threads

def test_threads_give_what_a_plain_loop_gives_bit_for_bit(small):
    _, *together = p1.train_all(*small, threads=3)
    loop = [p1.train(*configuration, *small)[1:] for configuration in p1.CONFIGURATIONS]
    assert np.array_equal(np.transpose(together, (1, 0, 2)), loop)
    assert len({tuple(validation) for _, validation in loop}) == 6


class Enough(Exception):
    """Ends a run after its trainings."""


@pytest.mark.parametrize("cores, at_a_time", [(1, 1), (2, 2), (64, 6)])
def test_as_many_trainings_at_a_time_as_there_are_usable_cores(
        cores, at_a_time, light, capsys, monkeypatch):
    barrier = threading.Barrier(at_a_time, timeout=60)  # no fewer
    running, most = [], []

    def train(*_):
        running.append(1)
        most.append(len(running))
        barrier.wait()
        running.pop()
        barrier.wait()
        return SimpleNamespace(accuracy=lambda *_: 0.5), [0.5], [0.5]

    def enough(validation):
        raise Enough
    monkeypatch.setattr(p1, "train", train)
    monkeypatch.setattr(p1, "choose", enough)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    with pytest.raises(Enough):
        run_main(monkeypatch, p1)
    assert max(most) == at_a_time  # and no more
    assert numbers(capsys.readouterr().out) == [6, at_a_time]


@pytest.mark.parametrize("cpu_count, usable", [(None, 1), (5, 5)])
def test_usable_cores_where_a_system_does_not_say_which(cpu_count, usable, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cpu_count)
    assert p1.usable_cores() == usable


def test_an_error_in_one_training_ends_the_others_too(light, monkeypatch):
    began, waited = threading.Event(), []

    def train(activation, *_):
        if activation == "tanh":
            began.wait(60)
            raise MemoryError
        began.set()
        waited.append(p1.STOP.wait(60))
        return None, [], []
    monkeypatch.setattr(p1, "train", train)
    monkeypatch.setattr(p1, "usable_cores", lambda: 6)
    with pytest.raises(MemoryError):
        run_main(monkeypatch, p1)
    assert waited == [True] * 3


def test_ctrl_c_ends_every_training_after_its_epoch_and_leaves_the_process_alive(
        light, small, tmp_path, monkeypatch):
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
    earlier_outputs(1, tmp_path / "outputs")
    monkeypatch.setattr(p1, "STOP", threading.Event())
    monkeypatch.setattr(p1, "train", TRAIN)
    with monkeypatch.context() as patch:
        patch.setattr(p1, "MLP", Slow)
        patch.setattr(p1, "usable_cores", lambda: 2)
        patch.setattr(p1, "wait", stop_button)
        with pytest.raises(KeyboardInterrupt):
            run_main(patch, p1)
    assert [thread.is_alive() for thread in threads] == [False, False]
    assert_earlier_outputs_are_untouched(1, tmp_path / "outputs")

    _, training, validation = p1.train_all(*small, threads=2)
    assert training.shape == validation.shape == (6, 3)


# The programs behind numbers that the page quotes

def known_trial(trial, seed, x, y, network_class=MLP):
    """Accuracies (%) by epoch that differ by trial, network and seed; the last ten tell."""
    rng = np.random.default_rng([seed, *f"{trial} {network_class.__name__}".encode()])
    return [99.9] * 40 + rng.uniform(97, 99, 10).tolist()


@pytest.fixture(params=[search_p1, control_p1], ids=["search", "control"])
def program(request, project, monkeypatch):
    monkeypatch.setattr(p1, "TRAIN_FILE", project / "data" / "mnist_traindata.hdf5")
    monkeypatch.setattr(p1, "EPOCHS", p1.EPOCHS)  # put back, whatever --quick makes of it
    return request.param


def test_a_program_runs_in_its_smallest_form(program, tmp_path, monkeypatch, capsys):
    run_main(monkeypatch, program, "--quick", "--out", tmp_path)
    accuracies = [numbers(line)[-1] for line in capsys.readouterr().out.splitlines()]
    assert len(accuracies) == {search_p1: 2, control_p1: 5}[program]
    assert all(0 < accuracy <= 100 for accuracy in accuracies)


def test_a_trial_is_judged_on_the_last_sixth_of_the_images(recorded, monkeypatch):
    monkeypatch.setattr(p1, "EPOCHS", 2)
    monkeypatch.setattr(p1, "HALVE_AFTER", (1,))
    x, y = inked(120)
    trial = search_p1.Trial("tanh", (8, 9), 0.2, 0.3, 2, 0.01)
    found = search_p1.validation_accuracies(trial, 1, x, y)
    for moved, classes, *_ in recorded.epochs:
        steps_between(x[:100], moved, 2)
        assert np.array_equal(classes, y[:100])
    assert [epoch[3] for epoch in recorded.epochs] == [0.2, 0.1]
    for images, classes, _ in recorded.validations:
        assert np.array_equal(images, x[100:]) and np.array_equal(classes, y[100:])
    assert found == [100 * looked[2] for looked in recorded.validations]


def test_the_table_of_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(search_p1, "validation_accuracies", known_trial)
    monkeypatch.setattr(search_p1, "load_images", lambda path, count: (None, None))
    run_main(monkeypatch, search_p1, "--out", tmp_path)
    rows = table(tmp_path / "p1_search.csv")
    trials = [*search_p1.DECIDING, *search_p1.OTHERS]
    for row, trial in zip(rows, trials, strict=True):
        means = []
        for seed in search_p1.SEEDS[:3 if trial in search_p1.DECIDING else 2]:
            means.append(np.mean(known_trial(trial, seed, None, None)[-10:]))
            assert row[f"validation, seed {seed} (%)"] == f"{means[-1]:.2f}"
        assert row["mean (%)"] == f"{np.mean(means):.2f}"
        network = MLP((784, *trial.hidden, 10), trial.activation, np.random.default_rng(0))
        assert int(row["weights"]) == sum(W.size for W in network.W[1:])
        assert row["activation"] == trial.activation
        assert row["hidden layers"] == "-".join(map(str, trial.hidden))
        assert [float(row[header]) for header in (
            "initial learning rate", "step", "moved by (pixels)", "L2")] == list(trial[2:])


def test_the_table_and_the_curves_of_the_control(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(control_p1, "validation_accuracies", known_trial)
    monkeypatch.setattr(control_p1, "load_images", lambda path, count: (None, None))
    monkeypatch.setattr(p1, "save", lambda figure, path: figures.append(figure))
    run_main(monkeypatch, control_p1, "--out", tmp_path)
    p1.plt.close("all")
    axes, = figures[0].axes
    rows = table(tmp_path / "p1_control.csv")
    for row, name in zip(rows, control_p1.WAYS, strict=True):
        network_class, trial, colour = control_p1.WAYS[name]
        curves = np.array([known_trial(trial, seed, None, None, network_class)
                           for seed in control_p1.SEEDS])
        images_are, step, *cells = row.values()
        assert f"{images_are}, {step}" == name
        means = curves[:, -10:].mean(axis=1)
        assert cells == [f"{mean:.2f}" for mean in (*means, means.mean())]
        np.testing.assert_allclose(curve(axes, name), curves[0])
        of_colour = [line.get_ydata() for line in axes.get_lines() if line.get_color() == colour]
        np.testing.assert_allclose(of_colour, curves)


def test_a_random_step_has_the_length_and_another_direction_for_each_image():
    x, y = inked(20)
    network = control_p1.RandomDirection((784, 8, 10), "ReLU", np.random.default_rng(0),
                                         epsilon=0.7)
    network.forward(x)
    steps = network.adversarial(y) - x
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 0.7, rtol=1e-3)
    cosines = (steps @ steps.T / 0.49)[~np.eye(20, dtype=bool)]
    assert np.abs(cosines).max() < 0.2

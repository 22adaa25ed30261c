"""Problem 1: schedule, split, threads, choice, and when the test set is opened."""
import re
import subprocess
import sys

import numpy as np
import pytest

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


def quiet(accuracies):
    pass


def test_training_uses_the_schedule_and_never_the_validation_images(small, monkeypatch):
    images, labels = small
    rates, train_epoch = [], mlp.MLP.train_epoch

    def recorded(self, x, y, batch_size, learning_rate):
        rates.append((len(x), batch_size, learning_rate))
        train_epoch(self, x, y, batch_size, learning_rate)
    monkeypatch.setattr(mlp.MLP, "train_epoch", recorded)
    monkeypatch.setattr(p1, "HALVE_AFTER", (1, 2))
    network, curves = p1.train("tanh", 0.4, images, labels, 200, 3, quiet)
    assert rates == [(200, p1.BATCH_SIZE, rate) for rate in (0.4, 0.2, 0.1)]
    assert len(curves["training"]) == len(curves["validation"]) == 3
    right = network.forward(images[200:]).argmax(axis=1) == labels[200:]
    assert curves["validation"][-1] == pytest.approx(right.mean())
    right = network.forward(images[:200]).argmax(axis=1) == labels[:200]
    assert curves["training"][-1] == pytest.approx(right.mean())
    other = images.copy()
    other[200:] = 0
    again, _ = p1.train("tanh", 0.4, other, labels, 200, 3, quiet)
    assert all(np.array_equal(*W) for W in zip(network.W[1:], again.W[1:]))


def test_retraining_validates_on_nothing_and_trains_on_adversarial_examples(small):
    network, curves = p1.train("ReLU", 0.1, *small, 300, 1, quiet)
    assert list(curves) == ["training"] and len(curves["training"]) == 1
    assert network.epsilon == p1.EPSILON > 0
    assert [len(b) for b in network.b[1:]] == list(p1.SIZES[1:])


def test_threads_give_what_a_plain_loop_gives_bit_for_bit(small):
    settings = [(activation, rate) for activation in ("ReLU", "tanh") for rate in (0.2, 0.1)]
    one_by_one, together = (p1.train_all(settings, *small, 200, 3, threads) for threads in (1, 4))
    for (network, curves), (other, same) in zip(one_by_one, together):
        assert curves == same
        for one, two in zip(network.W[1:] + network.b[1:], other.W[1:] + other.b[1:]):
            assert np.array_equal(one, two)
    assert not np.array_equal(one_by_one[0][0].W[1], one_by_one[1][0].W[1])


def test_progress_tells_epochs_the_best_accuracy_and_the_time_left(capsys):
    tell = p1.progress(4)
    for accuracy in (0.5, 0.8, 0.7):
        tell({"training": [1.0], "validation": [0.1, accuracy]})
    assert "3 of 4 epochs, best validation accuracy 80.00%, 0 s left" in capsys.readouterr().out


def test_choice_is_the_best_last_epoch_and_the_first_of_equals():
    of = [{"validation": values} for values in ([0.9, 0.5], [0.1, 0.7], [0.8, 0.7])]
    assert p1.choose(of) == 1


RECORDER = """
import sys, h5py
import p1_numpy_mlp as p1
def tell(*words):  # in one piece, whatever other threads write
    sys.stdout.write("\\nEVENT " + " ".join(map(str, words)) + "\\n")
opened, choose, train = h5py.File, p1.choose, p1.train
def recorded_open(path, *arguments, **options):
    tell("open", str(path).replace("\\\\", "/").rsplit("/", 1)[-1])
    return opened(path, *arguments, **options)
def recorded_train(activation, rate, images, labels, split, epochs, _):
    tell("train", split, len(images), epochs)
    return train(activation, rate, images, labels, split, epochs, lambda _: None)
def recorded_choose(accuracies):
    tell("choose")
    return choose(accuracies)
h5py.File, p1.choose, p1.train = recorded_open, recorded_choose, recorded_train
p1.TRAIN_IMAGES, p1.VALIDATION_IMAGES, p1.EPOCHS = 2000, 500, 2
p1.main()
"""


@pytest.mark.parametrize("arguments", [[], ["--quick"]])
def test_the_test_set_is_opened_once_after_choice_and_retraining(project, tmp_path, arguments):
    done = subprocess.run([sys.executable, "-c", RECORDER, "--out", tmp_path, *arguments],
                          cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    events = re.findall("EVENT (.*)", done.stdout)
    assert events.pop(0) == "open mnist_traindata.hdf5"
    assert events.pop() == "open p1_network_params.hdf5"  # written
    assert events[:8] == [*6 * ["train 2000 2500 2"], "choose", "train 2500 2500 2"]
    # A smoke test leaves the test set closed.
    assert events[8:] == [f"open mnist_{'train' if arguments else 'test'}data.hdf5"]


def test_curve_marks_both_halvings_and_names_the_ends():
    figure, axes = p1.plt.subplots()
    curve = list(np.linspace(0.9, 0.98, 50))
    p1.draw_curves(axes, {"training": curve, "validation": curve}, 90, "title: ")
    marked = [line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
    assert marked == [20.5, 40.5] and axes.get_ylim()[0] == 90
    assert axes.get_title() == "title: training 98.00%, validation 98.00%"
    assert axes.get_legend_handles_labels()[1] == [
        "training (first 10,000 images)", "validation", "learning rate halved"]
    p1.plt.close(figure)

"""Problem 1: schedule, split, threads, choice, and when the test set is opened."""
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import ROOT

import mlp
import p1_numpy_mlp as p1


def test_learning_rate_is_halved_after_epochs_20_and_40():
    rates = [p1.learning_rate_of(0.4, epoch) for epoch in range(1, 51)]
    assert rates == 20 * [0.4] + 20 * [0.2] + 10 * [0.1]


def test_six_configurations():
    assert len(set(p1.CONFIGURATIONS)) == 6
    assert {activation for activation, _ in p1.CONFIGURATIONS} == {"ReLU", "tanh"}
    assert p1.EPOCHS == 50 and p1.TRAIN_IMAGES == 50_000 and p1.VALIDATION_IMAGES == 10_000
    assert 50_000 % p1.BATCH_SIZE == 0


@pytest.fixture
def small(monkeypatch):
    """x_train, y_train (200 rows), x_validation, y_validation (100 rows); three epochs."""
    monkeypatch.setattr(p1, "EPOCHS", 3)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 300)
    x = rng.random((300, 784), dtype=np.float32) * 0.5
    x[np.arange(300), y] += 3
    return x[:200], y[:200], x[200:], y[200:]


def test_training_uses_the_schedule_and_the_validation_images_only_to_validate(small, monkeypatch):
    x, y, x_validation, y_validation = small
    calls, train_epoch = [], mlp.MLP.train_epoch

    def recorded(self, images, classes, batch_size, learning_rate):
        assert np.shares_memory(images, x) and not np.shares_memory(images, x_validation)
        calls.append((len(images), batch_size, learning_rate))
        return train_epoch(self, images, classes, batch_size, learning_rate)
    monkeypatch.setattr(mlp.MLP, "train_epoch", recorded)
    monkeypatch.setattr(p1, "HALVE_AFTER", (1, 2))
    network, training, validation = p1.train("tanh", 0.4, *small)
    assert calls == [(200, p1.BATCH_SIZE, rate) for rate in (0.4, 0.2, 0.1)]
    assert len(training) == len(validation) == 3
    right = network.forward(x_validation).argmax(axis=1) == y_validation
    assert validation[-1] == pytest.approx(right.mean())
    again, _, other = p1.train("tanh", 0.4, x, y, x_validation * 0, y_validation)
    assert all(np.array_equal(*W) for W in zip(network.W[1:], again.W[1:]))
    assert other != validation


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_training_accuracy_is_that_of_the_plain_images_as_they_are_met(small, monkeypatch, epsilon):
    monkeypatch.setattr(p1, "EPSILON", epsilon)
    x, y, _, _ = small
    untrained = mlp.MLP(p1.SIZES, "ReLU", np.random.default_rng(p1.SEED))
    _, training, validation = p1.train("ReLU", 0.0, x, y)
    assert training == 3 * [pytest.approx(untrained.accuracy(x, y))] and validation == []


def test_each_epoch_draws_a_new_order_of_the_same_images(small, monkeypatch):
    x, y, _, _ = small
    drawn, backward = [], mlp.MLP.backward

    def recorded(self, labels):
        drawn.append(self.a[0].sum(axis=1))  # an image is known by its sum
        backward(self, labels)
    monkeypatch.setattr(mlp.MLP, "backward", recorded)
    monkeypatch.setattr(p1, "EPSILON", 0.0)
    p1.train("ReLU", 0.1, x, y)
    first, second, third = np.reshape(drawn, (3, 200))
    assert np.array_equal(np.sort(first), np.sort(second))
    assert np.array_equal(np.sort(first), np.sort(third))
    assert (first != second).mean() > 0.9 and (second != third).mean() > 0.9


def test_training_is_adversarial_with_the_sizes_of_the_script(small):
    network, _, _ = p1.train("ReLU", 0.1, *small[:2])
    assert network.epsilon == p1.EPSILON > 0
    assert [len(b) for b in network.b[1:]] == list(p1.SIZES[1:])


def test_threads_give_what_a_plain_loop_gives_bit_for_bit(small, monkeypatch):
    monkeypatch.setattr(p1, "CONFIGURATIONS", p1.CONFIGURATIONS[1:5])
    together = p1.train_all(*small, threads=4)
    loop = [p1.train(*configuration, *small) for configuration in p1.CONFIGURATIONS]
    for (network, *accuracies), (other, *same) in zip(together, loop, strict=True):
        assert accuracies == same
        for ours, theirs in zip(network.W[1:] + network.b[1:], other.W[1:] + other.b[1:]):
            assert np.array_equal(ours, theirs)
    assert not np.array_equal(loop[0][0].W[1], loop[1][0].W[1])


def test_choice_is_the_best_last_epoch_and_the_first_of_equals():
    assert p1.choose(np.array([[0.9, 0.5], [0.1, 0.7], [0.8, 0.7]])) == 1


RECORDER = """
import sys, h5py
import p1_numpy_mlp as p1
def tell(*words):  # in one piece, whatever other threads write
    sys.stdout.write("\\nEVENT " + " ".join(map(str, words)) + "\\n")
opened, choose, train = h5py.File, p1.choose, p1.train
def recorded_open(path, *arguments, **options):
    tell("open", str(path).replace("\\\\", "/").rsplit("/", 1)[-1])
    return opened(path, *arguments, **options)
def recorded_train(activation, rate, x, y, x_validation=None, y_validation=None):
    tell("train", len(x), round(x.sum()))
    if x_validation is not None:
        tell("validate", len(x_validation), round(x_validation.sum()))
    return train(activation, rate, x, y, x_validation, y_validation)
def recorded_choose(validation):
    tell("choose")
    return choose(validation)
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
    with h5py.File(project / "data" / "mnist_traindata.hdf5") as file:
        x = file["xdata"][:]
    first, last, everything = (round(part.sum()) for part in (x[:2000], x[2000:], x))
    assert sorted(events[:12]) == 6 * [f"train 2000 {first}"] + 6 * [f"validate 500 {last}"]
    assert events[12:14] == ["choose", f"train 2500 {everything}"]
    # A smoke test leaves the test set closed.
    assert events[14:] == [f"open mnist_{'train' if arguments else 'test'}data.hdf5"]


def test_a_missing_test_file_is_refused_before_training(project, tmp_path, monkeypatch):
    monkeypatch.setattr(p1, "TRAIN_FILE", project / "data" / "mnist_traindata.hdf5")
    monkeypatch.setattr(p1, "TEST_FILE", tmp_path / "nowhere.hdf5")
    monkeypatch.setattr(p1, "TRAIN_IMAGES", 2000)
    monkeypatch.setattr(p1, "VALIDATION_IMAGES", 500)
    monkeypatch.setattr(p1, "train_all", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(sys, "argv", ["p1_numpy_mlp.py", "--out", str(tmp_path / "out")])
    with pytest.raises(p1.DataError, match="nowhere.hdf5"):
        p1.main()


def halvings_in(axes):
    """Where the vertical lines stand that run through the whole height of the axes."""
    segments = []
    for lines in axes.collections:
        segments += [line for line in lines.get_segments() if line[0, 0] == line[1, 0]]
    assert all(line[:, 1].tolist() == [0, 1] for line in segments)
    return [line[0, 0] for line in segments]


def drawn_by(plot, *arguments, monkeypatch):
    """The axes of the one figure that a function of the script would save."""
    figures = []
    monkeypatch.setattr(p1, "save", lambda figure, path: figures.append(figure))
    plot(*arguments)
    p1.plt.close("all")
    assert len(figures) == 1
    return figures[0].axes


def test_curves_mark_both_halvings_and_show_what_is_below_95_percent(tmp_path, monkeypatch):
    training, validation = np.linspace(0.1, 0.99, 50), np.linspace(0.1, 0.98, 50)
    panels = drawn_by(p1.plot_configuration, "tanh", 0.4, training, validation, tmp_path,
                      monkeypatch=monkeypatch)
    for axes in panels:
        assert halvings_in(axes) == [20.5, 40.5]
        drawn = [line.get_ydata() for line in axes.get_lines()]
        np.testing.assert_allclose(drawn, [100 * training, 100 * validation])
        assert [line.get_xdata()[0] for line in axes.get_lines()] == [1, 1]
    assert min(axes.get_ylim()[0] for axes in panels) == 0
    rates = [float(text.get_text().split()[-1]) for axes in panels for text in axes.texts]
    assert rates == [0.4, 0.2, 0.1]
    places = [text.get_position()[0] for axes in panels for text in axes.texts]
    assert 0 < places[0] < 20.5 < places[1] < 40.5 < places[2] < 51


def test_the_page_has_six_panels_with_the_same_axes_and_marks_the_chosen(tmp_path, monkeypatch):
    curves = np.linspace(0.95, 0.99, 300).reshape(6, 50)
    panels = drawn_by(p1.plot_all_configurations, curves, curves - 0.01, 4, tmp_path,
                      monkeypatch=monkeypatch)
    assert [halvings_in(axes) for axes in panels] == 6 * [[20.5, 40.5]]
    assert len({axes.get_ylim() for axes in panels}) == 1
    bold = [axes.title.get_fontweight() == "bold" for axes in panels]
    assert bold == [number == 4 for number in range(6)]
    for axes, curve in zip(panels, curves):
        np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), 100 * curve)


def test_adversarial_statistics_are_those_of_the_examples(small):
    x, y, _, _ = small
    network, _, _ = p1.train("ReLU", 0.1, x, y)
    statistics = p1.adversarial_statistics(network, x, y)
    before, after, first_order = [], [], []
    for i in range(len(x)):
        image, label = x[i:i + 1], y[i:i + 1]
        p = network.forward(image)[0, label[0]]
        dx = network.errors(label, lowest=0)[0][0].copy()
        length = np.linalg.norm(dx)
        example = image + p1.EPSILON * dx / length
        q = network.forward(example)[0, label[0]]
        before.append(-np.log(p))
        after.append(-np.log(q))
        first_order.append(p1.EPSILON * length)
    assert statistics == pytest.approx({
        "median_length_of_an_image": np.median(np.sqrt((x ** 2).sum(axis=1))),
        "adversarial_cost_rise": np.mean(after) - np.mean(before),
        "first_order_cost_rise": np.mean(first_order)}, rel=1e-3)
    assert statistics["adversarial_cost_rise"] > 0


@pytest.mark.parametrize("rows, printed", [([], 2), (["16"], 1)])
def test_the_search_runs_in_its_smallest_form_and_writes_nothing(rows, printed):
    path = ROOT / "outputs" / "p1_search.csv"
    before = path.stat().st_mtime_ns
    done = subprocess.run([sys.executable, ROOT / "tests" / "search_p1.py", "--quick", *rows],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == printed
    for line in lines:
        accuracies = [float(word) for word in line.split()[-2:]]
        assert all(0 <= accuracy <= 100 for accuracy in accuracies)
    assert path.stat().st_mtime_ns == before

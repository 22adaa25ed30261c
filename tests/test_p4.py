"""Problem 4: the network, cyclic shifts, folds without leaks, features, and all that a run makes of
networks that are known."""
import json
import re
from functools import partial
from itertools import combinations
from math import comb
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import (assert_curve, assert_legend, known_run, run_main, table, write,
                      write_sequences)

import p4_human_machine as p4

ADAM, SHIFTS = p4.SETTINGS["Adam"], p4.SETTINGS["Adam, cyclic shifts"]
# TensorFlow's note on the fixture `eagerly`.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the .tf.config")
every_coding = pytest.mark.parametrize("coding", [(-1, 1), (0, 1)], ids=["-1 and 1", "0 and 1"])


def random_rows(number, seed=0):
    """(number, 20) of -1 and 1."""
    return np.random.default_rng(seed).choice([-1, 1], (number, 20)).astype(np.float32)


def random_weights(*seed, size=1.0):
    """Of a 20-20-1. size: of the output weights, and so of the log-odds."""
    rng = np.random.default_rng(seed)
    shapes = (20, 20), (20,), (20, 1), (1,)
    W, b, v, c = (rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes)
    return [W, b, np.float32(2 * size) * v, np.float32(2 * size) * c]


def said(weights, x):
    """Log-odds of rows x (n, 20), in numpy: (n,)."""
    W, b, v, c = weights
    return (np.maximum(x @ W + b, 0) @ v + c)[:, 0]


def probability(f):
    return 1 / (1 + np.exp(-f))


# The network and its training

def test_network_is_the_homeworks():
    setting = p4.Setting("Adam", 0.01, l1=0.1, l2=0.2, dropout=0.3)
    hidden, dropout, output = p4.build(setting).layers
    assert (hidden.units, output.units, dropout.rate) == (20, 1, 0.3)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "sigmoid"
    for layer in (hidden, output):
        assert layer.kernel_regularizer.l1 == pytest.approx(0.1)
        assert layer.kernel_regularizer.l2 == pytest.approx(0.2)
    assert p4.BATCH_SIZE == 16 and p4.FOLDS == 5


@pytest.mark.parametrize("setting", [ADAM, SHIFTS], ids=["plain", "shifted"])
def test_log_odds_are_those_of_the_models_own_probability(setting):
    """Also of a model that shifts: it does so in training alone."""
    model, x = p4.build(setting), random_rows(500)
    p = model(x).numpy()[:, 0]
    np.testing.assert_allclose(p4.log_odds(model.get_weights(), x), np.log(p / (1 - p)), atol=1e-5)


@pytest.fixture
def eagerly():
    """Keras' training steps are called as plain Python: for a few updates, that is quicker than
    compiling them."""
    p4.tf.config.run_functions_eagerly(True)
    yield
    p4.tf.config.run_functions_eagerly(False)


def recording(setting):
    """A model, and a list to which it appends [x, y, learning rate] of each minibatch that its
    first Dense layer and its training meet. Needs the fixture `eagerly`."""
    seen = []

    class Recorder(p4.keras.layers.Layer):
        def call(self, x, training=False):
            if training:
                seen.append([x.numpy()])
            return x

    class Recording(p4.keras.Sequential):
        def train_step(self, data):
            rate = self.optimizer.learning_rate.numpy()
            found = super().train_step(data)
            seen[-1] += [data[1].numpy(), rate]
            return found
    *shift, hidden, dropout, output = p4.build(setting).layers
    return Recording([p4.keras.Input((20,)), *shift, Recorder(), hidden, dropout, output]), seen


def test_training_meets_each_row_once_an_epoch_in_a_new_order(eagerly):
    x, y = random_rows(40), np.random.default_rng(1).integers(0, 2, (40, 1)).astype(np.float32)
    x[:, 0] = np.arange(40) / 40  # numbers the row
    x_validation, y_validation = random_rows(30, seed=2), y[:30]
    setting = ADAM._replace(learning_rate=0.05, epochs=2)
    model, seen = recording(setting)
    history = p4.train(model, setting, 0, x, y, x_validation, y_validation)

    assert [len(batch) for batch, *_ in seen] == 2 * [16, 16, 8]
    rates = [rate for *_, rate in seen]
    np.testing.assert_allclose(rates, 0.05 * (1 - np.arange(6) / 6), rtol=1e-4)
    orders = np.concatenate([40 * batch[:, 0] for batch, *_ in seen]).round().astype(int)
    orders = orders.reshape(2, 40)
    assert (np.sort(orders) == np.arange(40)).all()
    for order, other in combinations([*orders, np.arange(40)], 2):
        assert (order != other).mean() > 0.9
    assert (orders[:, :16].max(axis=1) > 30).all()  # the first minibatch is drawn from all rows
    assert np.array_equal(np.concatenate([labels for _, labels, _ in seen]), y[orders.ravel()])

    assert [len(values) for values in history.values()] == len(history) * [2]
    f = said(model.get_weights(), x_validation)
    assert history["val_accuracy"][-1] == pytest.approx(((f > 0) == y_validation[:, 0]).mean())
    entropy = -np.log(np.where(y_validation[:, 0], probability(f), probability(-f))).mean()
    assert history["val_binary_crossentropy"][-1] == pytest.approx(entropy, abs=1e-4)


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop"])
def test_models_are_trained_by_the_optimizer_of_that_name(name, eagerly):
    model, x = p4.build(ADAM), random_rows(20)
    y = x[:, :1] > 0
    p4.train(model, p4.Setting(name, 0.01, epochs=1), 0, x, y, x, y)
    assert type(model.optimizer) is getattr(p4.keras.optimizers, name)


def places_in_training(seed, x, y):
    """Where each of three epochs begins each row, (3, rows): as the layer behind the shift meets
    them. Fails where a row is not a shifted one, or has another's label."""
    p4.keras.utils.set_random_seed(seed)
    setting = SHIFTS._replace(epochs=3)
    model, seen = recording(setting)
    p4.train(model, setting, seed, x, y, x, y)
    shifted = {np.roll(row, -place).tobytes(): (number, place)
               for number, row in enumerate(x) for place in range(20)}
    places = np.zeros((3, len(x)), int)
    for epoch, batches in enumerate(np.array_split(np.arange(len(seen)), 3)):
        met = []
        for batch in batches:
            rows, labels, _ = seen[batch]
            for row, label in zip(rows, labels):
                number, place = shifted[row.tobytes()]
                assert label == y[number]
                places[epoch, number] = place
                met.append(number)
        assert sorted(met) == list(range(len(x)))
    return places


def test_each_epoch_shifts_each_row_anew(eagerly):
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 20)).astype(np.float32), rng.integers(0, 2, (60, 1)).astype(np.float32)
    kept = x.copy()
    places = places_in_training(3, x, y)
    assert len(np.unique(places)) == 20 and np.array_equal(x, kept)
    for one, other in combinations(places, 2):
        assert (one != other).mean() > 0.8
    assert np.array_equal(places, places_in_training(3, x, y))
    assert not np.array_equal(places, places_in_training(4, x, y))


# Rows, people, folds

def rows_of(tmp_path, human, machine, person=None, rows_per_person=None):
    """What load() makes of a file of random rows."""
    x = random_rows(human + machine)
    datasets = {} if person is None else {"person": person}
    path = write(tmp_path / "f.hdf5", human=x[:human], machine=x[human:], **datasets)
    data, rows = p4.load(path, rows_per_person)
    assert len(data.human) == human and np.array_equal(rows.x, x) and rows.x.dtype == np.float32
    assert rows.human.tolist() == human * [True] + machine * [False]
    return rows


def test_rows_of_a_person_are_numbered_and_machine_rows_dealt_out_in_proportion(tmp_path):
    names = np.repeat([7, 7, 7, 7, 3, 3, 9, 9, 40, 40, 5, 5, 7, 7, 7, 7], 13)
    rows = rows_of(tmp_path, 208, 104, names)
    numbered = np.repeat([2, 2, 2, 2, 0, 0, 3, 3, 4, 4, 1, 1, 2, 2, 2, 2], 13).tolist()
    assert rows.person.tolist() == numbered + numbered[::2] and rows.people == 5
    rows = rows_of(tmp_path, 208, 416, names)
    assert rows.person.tolist() == numbered + np.repeat(numbered, 2).tolist()
    rows = rows_of(tmp_path, 100, 100, None, 10)  # blocks of rows, where the user says so
    assert rows.person.tolist() == 2 * np.repeat(range(10), 10).tolist() and rows.people == 10
    rows = rows_of(tmp_path, 100, 100)
    assert rows.person.tolist() == 2 * list(range(100)) and rows.people == 100


def test_all_rows_of_a_person_are_on_one_side_and_its_people_are_drawn(tmp_path):
    person = np.repeat(np.arange(85), np.random.default_rng(0).integers(22, 25, 85))
    rows = rows_of(tmp_path, len(person), 2 * len(person), person)
    of_person = []
    for someone in range(85):
        fold, = set(rows.fold[rows.person == someone])
        of_person.append(fold)
    assert np.bincount(of_person).tolist() == 5 * [17]
    assert len(set(np.diff(of_person) % 5)) > 1  # not dealt out one after the other
    for fold in range(5):
        x, y, x_validation, y_validation = p4.split(rows, fold)
        held_out = rows.fold == fold
        assert (~rows.human[held_out]).sum() == 2 * rows.human[held_out].sum()
        assert np.array_equal(x, rows.x[~held_out])
        assert np.array_equal(x_validation, rows.x[held_out])
        assert np.array_equal(y, rows.human[~held_out, None])
        assert np.array_equal(y_validation, rows.human[held_out, None])
        assert y.dtype == np.float32


@pytest.mark.parametrize("human, machine, people, rows_per_person, found", [
    (99, 100, None, None, "99 human and 100 machine"),
    (100, 99, None, None, "100 human and 99 machine"),
    (200, 200, 4, None, "4 people"),
    (200, 200, 10, 20, "no key `person`"),
    (200, 300, None, 30, "expected whole blocks"),
    (200, 300, None, 50, "4 people")])
def test_files_that_cannot_be_split_are_refused(
        human, machine, people, rows_per_person, found, tmp_path):
    path = write_sequences(tmp_path / "f.hdf5", human, machine, people=people)
    with pytest.raises(p4.DataError, match="f.hdf5.*expected") as refusal:
        p4.load(path, rows_per_person)
    assert found in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("people, rows_per_person", [(None, None), (5, None), (None, 20)])
def test_the_smallest_files_that_are_taken(people, rows_per_person, tmp_path):
    p4.load(write_sequences(tmp_path / "f.hdf5", 100, 100, people=people), rows_per_person)


@pytest.mark.parametrize("arguments, named", [
    (["--out", "folder", "--rows-per-person", "0"], "--rows-per-person"), ([], "--out")])
def test_arguments_that_make_no_sense_are_refused(
        arguments, named, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(p4, "FOLDER", tmp_path)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, p4, "--data", tmp_path / "f.hdf5", *arguments)
    assert end.value.code and named in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(p4.sys, "argv", ["p4", "--rows-per-person", "1"])
    assert p4.read_arguments().rows_per_person == 1  # a row of each person is a block, too


# Features and numbers of rows and people

def mean_products(x):
    """As p4's, by a plain loop."""
    presses = np.where(x > 0, 1, -1)
    by_lag = []
    for lag in range(1, 11):
        pairs = [presses[:, i] * presses[:, i + lag] for i in range(20 - lag)]
        by_lag.append(np.mean(pairs, axis=0))
    return np.transpose(by_lag)


def all_features(x):
    products = mean_products(x)
    return {"ten mean products": products, "their ten squares": products ** 2,
            "ten mean products and their squares": np.hstack([products, products ** 2])}


@every_coding
def test_features_are_mean_products_and_squares(coding):
    x = np.where(random_rows(100) > 0, *coding[::-1])
    found, expected = p4.features_of(x), all_features(x)
    assert list(found) == list(expected)
    for name, features in found.items():
        np.testing.assert_allclose(features, expected[name], atol=1e-6)


def test_logistic_regression_ends_where_its_gradient_is_0():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)) * [1, 5, 0.1]
    human = rng.random(400) < probability(features @ [1, -0.2, 3] + 0.5)
    *w, constant = p4.fit_logistic(features, human)
    error = human - probability(features @ w + constant)
    np.testing.assert_allclose([*features.T @ error, error.sum()], 0, atol=0.01)
    human = np.arange(100) < 50  # and has an answer where the classes are separate
    w = p4.fit_logistic(np.where(human, 1.0, -1.0)[:, None], human)
    assert np.isfinite(w).all() and w[0] > 3


def changes(x):
    """As p4's, by a plain loop."""
    return np.array([sum(a != b for a, b in zip(row, row[1:])) for row in x.tolist()])


def test_means_and_intervals_over_people():
    values, person = np.array([1, 1, 0, 0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2, 2, 2])
    mean, half = p4.over_people(values, person)  # of people's means 1, 0 and 0.5
    assert (mean, half) == (0.5, pytest.approx(1.96 * 0.5 / 3 ** 0.5))
    assert p4.over_people(values[2:], person[2:])[0] == 0.25  # the first has no rows


@pytest.mark.parametrize("first, chosen", [(0.7025, "first"), (0.7035, "second")])
def test_the_first_of_those_near_the_lowest_validation_cross_entropy_is_chosen(first, chosen):
    entropies = {"high": 0.71, "first": first, "second": 0.7005, "lowest": 0.7}
    judged = {name: {"training cross-entropy": 1 - entropy, "validation accuracy (%)": 90 * entropy,
                     "validation cross-entropy": entropy} for name, entropy in entropies.items()}
    assert p4.choose(judged) == chosen


# A run, with networks that are known and differ by setting and fold

SETTINGS = {
    "Adam": p4.Setting("Adam", 0.011), "Adam, L2 0.003": p4.Setting("RMSprop", 0.012, 1e-3, 2e-3),
    "SGD, dropout": p4.Setting("SGD", 0.013, dropout=0.2, epochs=40),
    "Adam, cyclic shifts": p4.Setting("Adam", 0.014, cyclic_shifts=True, epochs=90)}
SUBMITTED = "Adam, cyclic shifts"
# Of output weights: the larger, the surer, and so the worse is a network that knows nothing.
SIZES = {"Adam": 0.3, "Adam, L2 0.003": 0.1, "SGD, dropout": 0.2, "Adam, cyclic shifts": 0.05}


def known_weights(name, fold, sizes=SIZES):
    return random_weights(list(SETTINGS).index(name), fold, size=sizes[name])


def history_of(name, fold):
    """Three numbers for each measure; five for those of cyclic shifts."""
    rng = np.random.default_rng((list(SETTINGS).index(name), fold))
    epochs = 5 if name == SUBMITTED else 3
    return {key: rng.random(epochs).tolist() for key in (
        "accuracy", "binary_crossentropy", "val_accuracy", "val_binary_crossentropy")}


def prepare(monkeypatch, project, sizes=SIZES):
    """A small file and known trainings."""
    trainings = []

    def train(model, setting, seed, *arrays):
        name, = (name for name in SETTINGS
                 if SETTINGS[name] == setting._replace(epochs=SETTINGS[name].epochs))
        fold = sum(training.name == name for training in trainings)
        trainings.append(SimpleNamespace(name=name, seed=seed, epochs=setting.epochs,
                                         initial=model.get_weights(), arrays=arrays))
        model.set_weights(known_weights(name, fold, sizes))
        return history_of(name, fold)
    monkeypatch.setattr(p4, "train", train)
    monkeypatch.setattr(p4, "SETTINGS", SETTINGS)
    monkeypatch.setattr(p4, "DATA_FILE", project / "data" / p4.DATA_FILE.name)
    return p4, trainings


@pytest.fixture(scope="module")
def run(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("p4")
    path = write_sequences(folder / "own.hdf5", 300, 450, people=20)
    run = known_run(4, prepare, project, folder / "out", "--data", path)
    _, run.rows = p4.load(path, None)
    run.log_odds = {name: np.array([said(known_weights(name, fold), run.rows.x)
                                    for fold in range(5)]) for name in SETTINGS}
    return run


def test_each_fold_is_held_out_once_from_each_kind_of_network(run):
    assert [training.name for training in run.events] == np.repeat([*SETTINGS], 5).tolist()
    assert [training.epochs for training in run.events[::5]] == [30, 30, 40, 90]
    first_weights = {}
    for i, training in enumerate(run.events):
        fold = i % 5
        for given, expected in zip(training.arrays, p4.split(run.rows, fold), strict=True):
            assert np.array_equal(given, expected)
        # A fold's networks begin alike where they do not shift, those of two folds differ.
        seed, W = training.seed, training.initial[0]
        same_seed, same = first_weights.setdefault((training.epochs == 90, fold), (seed, W))
        assert seed == same_seed and np.array_equal(W, same)
    assert len({W.tobytes() for _, W in first_weights.values()}) == 10
    assert len({seed for seed, _ in first_weights.values()}) == 5


def judged(f, rows):
    """Of one network's log-odds (folds, rows), by a loop over the folds: which rows are right when
    held out (%), validation cross-entropy, training accuracy (%), training cross-entropy."""
    right, entropy = np.zeros(len(rows.human)), np.zeros(len(rows.human))
    training_right, training_entropy = [], []
    for fold, of_fold in enumerate(f):
        is_right = 100.0 * ((of_fold > 0) == rows.human)
        entropies = np.log(1 + np.exp(np.where(rows.human, -of_fold, of_fold)))
        held_out = rows.fold == fold
        right[held_out], entropy[held_out] = is_right[held_out], entropies[held_out]
        training_right.append(np.mean([is_right[rows.person == someone].mean()
                                       for someone in np.unique(rows.person[~held_out])]))
        training_entropy.append(entropies[~held_out].mean())
    return right, entropy.mean(), np.mean(training_right), np.mean(training_entropy)


def test_table_of_networks(run):
    rows, log_odds = run.rows, dict(run.log_odds)
    for name, features in all_features(rows.x).items():
        f = []
        for fold in range(5):
            seen = rows.fold != fold
            *w, constant = p4.fit_logistic(features[seen], rows.human[seen])
            f.append(features @ w + constant)
        log_odds[name] = np.array(f)
    first, *_ = judged(log_odds["Adam"], rows)
    for row, (name, f) in zip(table(run.out / "p4_networks.csv"), log_odds.items(), strict=True):
        begin = ["logistic regression", name, "Newton's method", "", ""]
        right, entropy, training_accuracy, training_entropy = judged(f, rows)
        accuracy, half = p4.over_people(right, rows.person)
        gain, half_of_gain = p4.over_people(right - first, rows.person)
        if name in SETTINGS:
            begin = ["20-20-1", "raw presses", name, str(SETTINGS[name].epochs),
                     str(SETTINGS[name].learning_rate)]
            line, = (line for line in run.printed.splitlines() if f" {accuracy:.1f}%" in line)
            assert line.startswith(name)
        assert list(row.values())[:5] == begin
        numbers = [float(cell) for cell in list(row.values())[5:]]
        expected = [training_accuracy, accuracy, half, gain, half_of_gain]
        np.testing.assert_allclose(numbers[:5], expected, atol=0.06)
        np.testing.assert_allclose(numbers[5:], [training_entropy, entropy], atol=6e-5)
    assert list(row) == [
        "network", "input", "trained with", "epochs", "initial learning rate",
        "training accuracy (%)", "validation accuracy (%)", "validation: half of 95% interval",
        "gain over the first row (points)", "gain: half of 95% interval",
        "training cross-entropy", "validation cross-entropy"]


def test_results(run):
    rows = run.rows
    right, *_ = judged(run.log_odds[SUBMITTED], rows)
    share, half = p4.over_people(right, rows.person)
    first_fold, number, changing = rows.fold == 0, changes(rows.x), {}
    assert p4.changes(rows.x).tolist() == number.tolist()
    for name, of_numbers in (("fewer_than_6", range(6)), ("more_than_13", range(14, 20))):
        is_so = 100 * np.isin(number, of_numbers)
        people, half_of_people = p4.over_people(is_so[:300], rows.person[:300])
        changing[f"rows_with_{name}_changes"] = pytest.approx({
            "people": people, "people_half_of_interval": half_of_people,
            "machine": is_so[300:].mean(),
            "coin": 100 * sum(comb(19, k) for k in of_numbers) / 2 ** 19})
    assert run.results == {
        "quick": False, "source": "own file own.hdf5", "human_rows": 300, "machine_rows": 450,
        "coding": [-1, 1], "people": 20, "split_by": "people", "submitted": SUBMITTED,
        "guess": 0.6, "validation_accuracy": pytest.approx(share),
        "validation_accuracy_half_of_interval": pytest.approx(half),
        "validation_accuracy_of_the_first_fold":
            p4.over_people(right[first_fold], rows.person[first_fold])[0],
        **changing}
    assert "60.0%" in run.printed.splitlines()[0] and SUBMITTED in run.printed.splitlines()[-2]


def test_regularity_is_drawn_for_people_machine_and_an_exact_coin(run):
    axes, = run.figures["p4_regularity.png"].axes
    human, machine = np.split(changes(run.rows.x), [300])
    bars, = axes.containers
    assert "human" in bars.get_label()
    np.testing.assert_allclose([bar.get_center()[0] for bar in bars], range(20), atol=1e-9)
    np.testing.assert_allclose([bar.get_height() for bar in bars],
                               [100 * (human == k).mean() for k in range(20)])
    lines = {line.get_label(): line for line in axes.lines}
    for label, shares in (("machine rows", [(machine == k).mean() for k in range(20)]),
                          ("a coin (exact)", [comb(19, k) / 2 ** 19 for k in range(20)])):
        assert list(lines[label].get_xdata()) == list(range(20))
        np.testing.assert_allclose(lines[label].get_ydata(), 100 * np.array(shares))
    assert list(axes.get_xticks()) == list(range(20))
    limits = [line.get_xdata()[0] for label, line in lines.items() if label[0] == "_"]
    assert limits == [5.5, 13.5]
    for text, limit, side in zip(axes.texts, limits, ("right", "left"), strict=True):
        assert text.get_position()[0] == limit and text.get_ha() == side
    assert_legend(run.figures["p4_regularity.png"], axes)


def assert_curves(axes, histories, key, scale, guess):
    """Training and validation, means of the histories, and a guess."""
    for label, its_key in (("training", key), ("validation", f"val_{key}")):
        values = np.mean([history[its_key] for history in histories], axis=0)
        assert_curve(axes, label, scale * values)
    line, = (line for line in axes.get_lines() if line.get_label() == "a guess")
    np.testing.assert_allclose(line.get_ydata(), guess)


def test_learning_curve_is_that_of_the_submitted_network(run):
    figure = run.figures["p4_learning_curve.png"]
    axes, = figure.axes
    assert_curves(axes, [history_of(SUBMITTED, 0)], "accuracy", 100, 60)
    assert SUBMITTED in axes.get_title()
    assert "training (shifted rows)" in axes.get_legend_handles_labels()[1]
    assert_legend(figure, axes)


def test_over_fitting_is_shown_by_three_settings_on_one_scale(run):
    figure = run.figures["p4_overfitting.png"]
    panels = np.reshape(figure.axes, (2, 3))
    entropy = -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))
    for name, (upper, lower) in zip(p4.OVERFITTING, panels.T):
        histories = [history_of(name, fold) for fold in range(5)]
        assert_curves(upper, histories, "accuracy", 100, 60)
        assert_curves(lower, histories, "binary_crossentropy", 1, entropy)
        assert upper.get_title() == name
    for row in panels:
        assert len({panel.get_ylim() for panel in row}) == 1
    assert "accuracy" in panels[0, 0].get_ylabel() and "entropy" in panels[1, 0].get_ylabel()
    assert_legend(figure, panels[0, 0])


def test_submitted_matrix_is_printed_and_written_in_two_blocks_with_inputs_as_rows(run):
    W = known_weights(SUBMITTED, 0)[0]
    text = (run.out / "p4_weights.txt").read_text(encoding="utf-8")
    assert text in run.printed
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80  # a terminal
    blocks = [[line.split() for line in block] for block in (lines[:21], lines[21:])]
    assert blocks[0][0][1:] + blocks[1][0][1:] == [str(j + 1) for j in range(20)]
    for i, (left, right) in enumerate(zip(blocks[0][1:], blocks[1][1:], strict=True)):
        assert left[0] == right[0] == str(i + 1)
        assert left[1:] + right[1:] == [f"{weight:.2f}" for weight in W[i]]


def test_matrix_is_drawn_sorted_by_output_weight_under_the_models_own_numbers(run):
    W, b, v, _ = known_weights(SUBMITTED, 0)
    order = sorted(range(20), key=lambda j: v[j])
    panels = {axes.get_ylabel(): axes for axes in run.figures["p4_weights.png"].axes}
    output, bias, matrix = (panels[label] for label in ("output weight", "bias", "input position"))
    for axes, values in ((output, v[:, 0]), (bias, b)):
        bars, = axes.containers
        assert [bar.get_height() for bar in bars] == list(values[order])
    image, = matrix.images
    assert np.array_equal(image.get_array(), W[:, order])
    low, high = image.get_clim()
    assert low == -high and 0.9 < (np.abs(W) < high).mean() < 1  # white is 0
    red, _, blue, _ = image.cmap(0.9)
    assert red > blue
    assert [tick.get_text() for tick in matrix.get_xticklabels()] == [str(j + 1) for j in order]
    assert [tick.get_text() for tick in matrix.get_yticklabels()] == [
        str(i + 1) for i in range(20)]
    for axes in (output, bias, matrix):
        border, = (line for line in axes.lines if len({*line.get_xdata()}) == 1)
        assert border.get_xdata()[0] == (v < 0).sum() - 0.5 and 0 < (v < 0).sum() < 20
    assert "machine" in output.get_title("left") and "human" in output.get_title("right")


# The model file

def assert_model_file(path, weights, setting, coding):
    with h5py.File(path) as file:
        group = file["model_weights"]
        for array, name in zip(weights, ("hidden/hidden/kernel", "hidden/hidden/bias",
                                         "human/human/kernel", "human/human/bias")):
            assert np.array_equal(group[f"{name}:0"], array)
        model, training = (json.loads(file.attrs[key])
                           for key in ("model_config", "training_config"))
        assert file.attrs["coding"].tolist() == coding
    assert training["optimizer_config"] == {"class_name": setting.optimizer, "config": {
        "name": setting.optimizer, "learning_rate": setting.learning_rate}}
    for layer in model["config"]["layers"][1:]:
        penalty = layer["config"]["kernel_regularizer"]
        expected = {"l1": setting.l1, "l2": setting.l2} if setting.l1 or setting.l2 else None
        assert (penalty and penalty["config"]) == expected


def test_model_file_is_the_submitted_network_of_the_first_fold(run):
    assert_model_file(run.out / "p4_model.hdf5", known_weights(SUBMITTED, 0), SETTINGS[SUBMITTED],
                      [-1, 1])


@pytest.mark.parametrize("rows_per_person, people, split_by", [
    (25, 10, "people"), (None, 250, "rows")])
def test_a_file_of_another_coding_and_another_choice(
        rows_per_person, people, split_by, project, tmp_path):
    """In blocks of one person's rows or without people; --quick has two folds."""
    sizes = {"Adam": 0.02, "Adam, L2 0.003": 0.5, "Adam, cyclic shifts": 0.5}
    path = write_sequences(tmp_path / "other.hdf5", 250, 200, (0, 1))
    options = ["--rows-per-person", rows_per_person] if rows_per_person else []
    run = known_run(4, partial(prepare, sizes=sizes), project, tmp_path / "out", "--quick",
                    "--data", path, *options)
    assert {"quick": True, "submitted": "Adam", "coding": [0, 1], "people": people,
            "split_by": split_by, "guess": 250 / 450}.items() <= run.results.items()
    assert_model_file(run.out / "p4_model.hdf5", known_weights("Adam", 0, sizes),
                      SETTINGS["Adam"], [0, 1])
    axes, = run.figures["p4_learning_curve.png"].axes
    assert_curves(axes, [history_of("Adam", 0)], "accuracy", 100, 100 * 250 / 450)
    assert "training" in axes.get_legend_handles_labels()[1]


@pytest.mark.parametrize("setting", [
    p4.Setting("Adam", 0.01, l1=0.01), p4.Setting("SGD", 0.02, l2=0.02),
    p4.Setting("RMSprop", 0.03)], ids=lambda setting: setting.optimizer)
def test_model_loads_compiled_predicts_and_trains_on(setting, eagerly, tmp_path):
    weights = random_weights(0, size=0.1)
    p4.write_model(tmp_path / "m.hdf5", weights, setting, (-1, 1))
    model = p4.keras.models.load_model(tmp_path / "m.hdf5")
    x, y = random_rows(50), (np.arange(50) < 25).astype(np.float32)
    p = probability(said(weights, x))
    np.testing.assert_allclose(model(x)[:, 0], p, atol=1e-6)
    assert model.optimizer.name.lower() == setting.optimizer.lower()
    assert float(model.optimizer.learning_rate) == pytest.approx(setting.learning_rate)
    loss, _ = model.train_on_batch(x, y[:, None])
    penalty = sum(setting.l1 * np.abs(kernel).sum() + setting.l2 * (kernel ** 2).sum()
                  for kernel in weights[::2])
    entropy = -np.log(np.where(y, p, 1 - p)).mean()
    assert loss == pytest.approx(entropy + penalty, rel=1e-4)
    assert not np.array_equal(model.get_weights()[0], weights[0])


def test_model_speaks_the_dialect_of_2020(tmp_path):
    p4.write_model(tmp_path / "m.hdf5", random_weights(0), ADAM._replace(l2=0.003), (-1, 1))
    with h5py.File(tmp_path / "m.hdf5") as file:
        for attributes in (file.attrs, file["model_weights"].attrs):
            for value in attributes.values():
                assert isinstance(value, (np.bytes_, np.ndarray))
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    assert [layer["class_name"] for layer in layers] == ["InputLayer", "Dense", "Dense"]
    assert layers[0]["config"]["batch_input_shape"] == [None, 20]
    for layer in layers:
        assert layer["config"]["dtype"] == "float32"
        assert not {"batch_shape", "dtype_policy"} & layer["config"].keys()


# --try

TRIED = ["01101001011010010110", "00000000001111111111", "01010101010101010101"]


@every_coding
def test_try_judges_each_row_by_the_model_file_alone(coding, monkeypatch, tmp_path, capsys):
    weights = random_weights(5, size=0.3)
    p4.write_model(tmp_path / "p4_model.hdf5", weights, ADAM, coding)
    run_main(monkeypatch, p4, "--data", "of no use", "--out", tmp_path, "--try", *TRIED)
    x = np.array([[coding[int(bit)] for bit in row] for row in TRIED], np.float32)
    expected = [(row, f"{100 * p:.0f}") for row, p in zip(TRIED, probability(said(weights, x)))]
    assert re.findall(r"(\d{20}): (\d+)%", capsys.readouterr().out) == expected
    assert len(set(expected)) == 3


@pytest.mark.parametrize("bits", ["0110", "0" * 21, "0110100101101001011x", "\u0660" * 20])
def test_a_wrong_row_is_refused_before_another_is_judged(bits, monkeypatch, tmp_path, capsys):
    p4.write_model(tmp_path / "p4_model.hdf5", random_weights(5), ADAM, (0, 1))
    with pytest.raises(p4.DataError, match="expected 20 zeros and ones") as refusal:
        run_main(monkeypatch, p4, "--out", tmp_path, "--try", TRIED[0], bits)
    assert "\n" not in str(refusal.value) and capsys.readouterr().out == ""


def test_try_without_a_model_of_a_run_says_how_to_get_one(tmp_path):
    path = tmp_path / "p4_model.hdf5"

    def assert_refused():
        with pytest.raises(p4.DataError, match="run first: python p4_human_machine.py") as refusal:
            p4.try_bits(TRIED, path)
        assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)
    assert_refused()
    path.write_text("no model")
    assert_refused()
    write(path, {"coding": (0, 1)})
    assert_refused()
    p4.write_model(path, random_weights(5), ADAM, (0, 1))
    with h5py.File(path, "r+") as file:
        del file.attrs["coding"]  # of an older run
    assert_refused()

"""Problem 4: the networks, folds without leaks, cyclic shifts, features, and all that
a run makes of networks that are known."""
import contextlib
import csv
import io
import json
from itertools import combinations, product
from math import comb, prod
from pathlib import Path
from typing import NamedTuple

import all_rows_p4
import h5py
import numpy as np
import pytest
from conftest import run_main, write, write_sequences

import p4_human_machine as p4
from data.loader import SequenceData

ADAM = p4.SETTINGS["Adam"]
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


# Networks

def test_network_is_the_homeworks():
    setting = p4.Setting("Adam", 0.01, l1=0.1, l2=0.2, dropout=0.3)
    hidden, dropout, output = p4.build(setting).layers
    assert (hidden.units, output.units, dropout.rate) == (20, 1, 0.3)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "sigmoid"
    for layer in (hidden, output):
        assert layer.kernel_regularizer.l1 == pytest.approx(0.1)
        assert layer.kernel_regularizer.l2 == pytest.approx(0.2)
    assert p4.BATCH_SIZE == 16 and p4.FOLDS == 5


def test_log_odds_are_those_of_the_models_own_probability():
    model = p4.build(ADAM)
    x = random_rows(500)
    p = model(x).numpy()[:, 0]
    np.testing.assert_allclose(p4.log_odds(model.get_weights(), x), np.log(p / (1 - p)), atol=1e-5)


def test_a_shifting_network_is_the_homeworks_too():
    shift, hidden, dropout, output = p4.build(p4.SETTINGS["Adam, cyclic shifts"]).layers
    assert (hidden.units, output.units, dropout.rate) == (20, 1, 0)
    model = p4.build(p4.SETTINGS["Adam, cyclic shifts"])
    x = random_rows(50)
    np.testing.assert_allclose(model(x)[:, 0], probability(said(model.get_weights(), x)),
                               atol=1e-6)  # it shifts in training alone


# Training

@pytest.fixture
def eagerly():
    """Keras' training steps are called as plain Python: for a few updates, that is quicker than
    compiling them."""
    p4.tf.config.run_functions_eagerly(True)
    yield
    p4.tf.config.run_functions_eagerly(False)


def recording(model):
    """The model, and a list to which it appends [x, y, weights, learning rate] of each minibatch
    that it is trained on. Needs the fixture `eagerly`."""
    seen = []

    class Recording(p4.keras.Sequential):
        def train_step(self, data):
            arrays = *p4.keras.utils.unpack_x_y_sample_weight(data), self.optimizer.learning_rate
            seen.append([None if array is None else array.numpy() for array in arrays])
            return super().train_step(data)
    return Recording([p4.keras.Input((20,)), *model.layers]), seen


def falling_to_0(rate, updates):
    return rate * (1 - np.arange(updates) / updates)


def test_training_meets_each_row_once_an_epoch_in_a_new_order(eagerly):
    x, y = random_rows(40), np.random.default_rng(1).integers(0, 2, (40, 1)).astype(np.float32)
    x[:, 0] = np.arange(40) / 40  # numbers the row
    validation = random_rows(30, seed=2), y[:30]
    model, seen = recording(p4.build(ADAM))
    history = p4.train(model, ADAM._replace(learning_rate=0.05, epochs=2), 0, x, y, *validation)

    assert [len(batch) for batch, *_ in seen] == 2 * [16, 16, 8]
    rates = [rate for *_, rate in seen]
    np.testing.assert_allclose(rates, falling_to_0(0.05, 6), rtol=1e-4)
    orders = np.concatenate([40 * batch[:, 0] for batch, *_ in seen]).round().astype(int)
    orders = orders.reshape(2, 40)
    assert (np.sort(orders) == np.arange(40)).all()
    for order, other in combinations([*orders, np.arange(40)], 2):
        assert (order != other).mean() > 0.8
    assert (orders[:, :16].max(axis=1) > 30).all()  # the first minibatch is drawn from all rows
    assert np.array_equal(np.concatenate([labels for _, labels, *_ in seen]), y[orders.ravel()])

    assert [len(values) for values in history.values()] == len(history) * [2]
    f = said(model.get_weights(), validation[0])
    assert history["val_accuracy"][-1] == pytest.approx(((f > 0) == validation[1][:, 0]).mean())
    entropy = -np.log(np.where(validation[1][:, 0], probability(f), probability(-f))).mean()
    assert history["val_binary_crossentropy"][-1] == pytest.approx(entropy, abs=1e-4)


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop"])
def test_models_are_trained_by_the_optimizer_of_that_name(name, eagerly):
    model, rows = p4.build(ADAM), random_rows(20)
    p4.train(model, p4.Setting(name, 0.01, epochs=1), 0, rows, rows[:, :1] > 0, rows, rows[:, :1] > 0)
    assert type(model.optimizer) is getattr(p4.keras.optimizers, name)


def shifts_in_training(seed, x, y):
    """Where each of three epochs begins each row, (3, rows): a training in which the first layer
    after the shift notes the minibatches."""
    p4.keras.utils.set_random_seed(seed)
    setting = p4.SETTINGS["Adam, cyclic shifts"]._replace(epochs=3)
    seen, labels = [], []
    model = p4.build(setting)
    hidden = model.layers[1]
    call = hidden.call

    def noting(rows, *_, **__):
        seen.append(np.array(rows))
        return call(rows)
    hidden.call = noting
    model.train_step_of = model.train_step

    def train_step(data):
        labels.append(np.array(data[1]))
        return model.train_step_of(data)
    model.train_step = train_step
    p4.train(model, setting, seed, x, y, x[:1], y[:1])
    batches = [rows for rows in seen if len(rows) > 1]  # a batch of one row is the validation's
    assert all(np.array_equal(rows, x[:1]) for rows in seen if len(rows) == 1)
    rotations = {np.roll(row, -first).tobytes(): (number, first)
                 for number, row in enumerate(x) for first in range(20)}
    found = [[rotations[row.tobytes()] for row in rows] for rows in batches]
    found = np.array(sum(found, [])).reshape(3, len(x), 2)
    for epoch, of_epoch in zip(np.reshape(np.concatenate(labels), (3, -1)), found):
        assert np.array_equal(epoch, y[of_epoch[:, 0], 0])
        assert sorted(of_epoch[:, 0]) == list(range(len(x)))
    order = np.argsort(found[:, :, 0], axis=1)
    return np.take_along_axis(found[:, :, 1], order, axis=1)


def test_each_epoch_shifts_each_row_anew(eagerly):
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 20)).astype(np.float32), rng.integers(0, 2, (60, 1)).astype(np.float32)
    shifts = shifts_in_training(3, x, y)
    assert len(np.unique(shifts)) == 20
    for one, other in combinations(shifts, 2):
        assert (one != other).mean() > 0.8
    assert np.array_equal(shifts, shifts_in_training(3, x, y))
    assert not np.array_equal(shifts, shifts_in_training(4, x, y))


# Rows, people, folds

def sequences(human_rows, machine_rows, person=None):
    x = random_rows(human_rows + machine_rows).astype(np.int8)
    return SequenceData(x[:human_rows], x[human_rows:], (-1, 1), person, "a test")


def little_file(path, human, machine, coding=(-1, 1), people=None):
    """write_sequences() with classes of different sizes."""
    write_sequences(path, max(human, machine), coding)
    with h5py.File(path) as file:
        datasets = {"human": file["human"][:human], "machine": file["machine"][:machine]}
    if people:
        datasets["person"] = np.arange(human) % people
    return write(path, **datasets)


def rows_of(tmp_path, human, machine, person=None, rows_per_person=None):
    data = sequences(human, machine)
    datasets = {} if person is None else {"person": person}
    path = write(tmp_path / "f.hdf5", human=data.human, machine=data.machine, **datasets)
    loaded, rows = p4.load(path, rows_per_person)
    assert np.array_equal(loaded.human, data.human)
    return data, rows


def test_rows_of_a_person_are_numbered_and_machine_rows_dealt_out_in_proportion(tmp_path):
    names = np.repeat([7, 7, 7, 7, 3, 3, 9, 9, 40, 40, 5, 5, 7, 7, 7, 7], 13)
    data, rows = rows_of(tmp_path, 208, 104, names)
    assert rows.human.tolist() == 208 * [True] + 104 * [False] and rows.people == 5
    assert np.array_equal(rows.x, np.concatenate([data.human, data.machine]))
    assert rows.x.dtype == np.float32
    numbered = np.repeat([2, 2, 2, 2, 0, 0, 3, 3, 4, 4, 1, 1, 2, 2, 2, 2], 13).tolist()
    assert rows.person.tolist() == numbered + numbered[::2]
    _, rows = rows_of(tmp_path, 208, 416, names)
    assert rows.person.tolist() == numbered + np.repeat(numbered, 2).tolist()


def test_blocks_of_rows_are_people_where_the_user_says_so(tmp_path):
    _, rows = rows_of(tmp_path, 100, 100, None, 10)
    assert rows.person.tolist() == 2 * np.repeat(range(10), 10).tolist() and rows.people == 10
    _, rows = rows_of(tmp_path, 100, 100)
    assert rows.person.tolist() == 2 * list(range(100)) and rows.people == 100


@pytest.mark.parametrize("machine_rows", [100, 5000, 7000])
def test_both_sides_of_a_split_have_the_same_share_of_human_rows(machine_rows, tmp_path):
    _, rows = rows_of(tmp_path, 5000, machine_rows, None, 100)
    for fold in range(5):
        held_out = rows.fold == fold
        assert rows.human[held_out].sum() == 1000
        assert (~rows.human[held_out]).sum() == machine_rows / 5


def test_all_rows_of_a_person_are_on_one_side_and_its_people_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(85), rng.integers(22, 25, 85))
    _, rows = rows_of(tmp_path, len(person), len(person), person)
    of_person = []
    for someone in range(85):
        fold, = set(rows.fold[rows.person == someone])
        of_person.append(fold)
    assert np.bincount(of_person).tolist() == 5 * [17]
    steps = np.diff(of_person) % 5
    assert len(set(steps)) > 1  # not dealt out one after the other

    for fold in range(5):
        x, y, x_validation, y_validation = p4.split(rows, fold)
        held_out = rows.fold == fold
        assert np.array_equal(x, rows.x[~held_out])
        assert np.array_equal(x_validation, rows.x[held_out])
        assert np.array_equal(y, rows.human[~held_out, None])
        assert np.array_equal(y_validation, rows.human[held_out, None])
        assert y.dtype == np.float32


@pytest.mark.parametrize("human, machine, people, rows_per_person, found", [
    (99, 100, None, None, "99 human and 100 machine"),
    (100, 99, None, None, "100 human and 99 machine"),
    (200, 200, 4, None, "4 people"),
    (200, 200, 10, 20, "a key `person`"),
    (200, 300, None, 30, "200 human rows and no key"),
    (200, 300, None, 50, "4 people")])
def test_files_that_cannot_be_split_are_refused(
        human, machine, people, rows_per_person, found, tmp_path):
    path = little_file(tmp_path / "f.hdf5", human, machine, people=people)
    with pytest.raises(p4.DataError, match="f.hdf5.*expected") as refusal:
        p4.load(path, rows_per_person)
    assert found in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("people, rows_per_person", [(None, None), (5, None), (None, 20)])
def test_the_smallest_files_that_are_taken(people, rows_per_person, tmp_path):
    path = little_file(tmp_path / "f.hdf5", 100, 100, people=people)
    data, _ = p4.load(path, rows_per_person)
    assert len(data.human) == len(data.machine) == 100


@pytest.mark.parametrize("arguments, named", [
    (["--out", "folder", "--rows-per-person", "0"], "--rows-per-person"),
    (["--out", "folder", "--rows-per-person", "2.5"], "--rows-per-person"),
    ([], "--out")], ids=["no row", "half a row", "into outputs/"])
def test_arguments_that_make_no_sense_are_refused(
        arguments, named, monkeypatch, tmp_path, capsys):
    path = write_sequences(tmp_path / "f.hdf5", 200)
    monkeypatch.setattr(p4, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, p4, "--data", path, *arguments)
    assert end.value.code and named in capsys.readouterr().err.splitlines()[-1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.hdf5"]


def test_a_row_of_each_person_is_a_block_too(monkeypatch):
    monkeypatch.setattr(p4.sys, "argv", ["p4", "--rows-per-person", "1"])
    assert p4.read_arguments().rows_per_person == 1


# How many presses at a time

@every_coding
def test_row_i_of_all_has_the_binary_digits_of_i(coding):
    rows = all_rows_p4.all_rows(coding)
    assert rows.shape == (2 ** 20, 20) and rows.dtype == np.float32
    for i in [0, 1, 2 ** 20 - 1, *np.random.default_rng(0).integers(0, 2 ** 20, 500)]:
        assert rows[i].tolist() == [coding[int(bit)] for bit in f"{i:020b}"]


def test_coefficients_are_means_of_the_function_times_the_product():
    """A direct sum over all rows of five presses."""
    f = np.random.default_rng(0).normal(size=32)
    rows = list(product([-1, 1], repeat=5))  # in the order of all_rows()
    coefficients, power = [], np.zeros(6)
    for chosen in product([0, 1], repeat=5):
        products = [prod(press for press, taken in zip(row, chosen) if taken) for row in rows]
        coefficients.append(np.mean(f * products))
        power[sum(chosen)] += coefficients[-1] ** 2
    np.testing.assert_allclose(all_rows_p4.walsh(f), coefficients)
    np.testing.assert_allclose(all_rows_p4.shares_of(f), power[1:] / f.var())


def test_shares_of_a_function_made_of_products():
    a, b, c, d = np.array(list(product([-1, 1], repeat=4))).T
    f = 7 + 2 * a - b + 3 * a * d + 0.5 * b * c - 1.5 * a * b * c + 4 * a * b * c * d
    power = np.array([2 ** 2 + 1, 3 ** 2 + 0.5 ** 2, 1.5 ** 2, 4 ** 2])
    np.testing.assert_allclose(all_rows_p4.shares_of(f), power / power.sum())


def test_mean_products_are_pairs_and_their_squares_mostly_fours(monkeypatch):
    """The square of a mean of n - lag pairs: of the products of two pairs, those with a press in
    common are pairs again, and there are n - 2 lag of them."""
    n = 8
    monkeypatch.setattr(p4, "INPUTS", n)
    monkeypatch.setattr(p4, "LAGS", range(1, 5))
    every_row = all_rows_p4.all_rows((0, 1))
    products_of, squares_of, _ = p4.features_of(every_row).values()
    for lag, products, squares in zip(p4.LAGS, products_of.T, squares_of.T, strict=True):
        np.testing.assert_allclose(all_rows_p4.shares_of(products), np.eye(n)[1], atol=1e-9)
        pairs = (n - 2 * lag) / comb(n - lag, 2)
        expected = pairs * np.eye(n)[1] + (1 - pairs) * np.eye(n)[3]
        np.testing.assert_allclose(all_rows_p4.shares_of(squares), expected, atol=1e-6)


def mean_products(x):
    """As p4's, by a plain loop."""
    presses = np.where(x > 0, 1, -1)
    by_lag = []
    for lag in range(1, 11):
        pairs = [presses[:, i] * presses[:, i + lag] for i in range(20 - lag)]
        by_lag.append(np.mean(pairs, axis=0))
    return np.transpose(by_lag)


@every_coding
def test_features_are_mean_products_and_squares(coding):
    x = np.where(random_rows(100) > 0, *coding[::-1])
    products = mean_products(x)
    expected = products, products ** 2, np.hstack([products, products ** 2])
    for features, values in zip(p4.features_of(x).values(), expected, strict=True):
        np.testing.assert_allclose(features, values, atol=1e-6)


def test_logistic_regression_ends_where_its_gradient_is_0():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)) * [1, 5, 0.1]
    human = rng.random(400) < probability(features @ [1, -0.2, 3] + 0.5)
    *w, constant = p4.fit_logistic(features, human)
    error = human - probability(features @ w + constant)
    np.testing.assert_allclose([*features.T @ error, error.sum()], 0, atol=0.01)


def test_logistic_regression_has_an_answer_where_classes_are_separate():
    human = np.arange(100) < 50
    w = p4.fit_logistic(np.where(human, 1.0, -1.0)[:, None], human)
    assert np.isfinite(w).all() and w[0] > 3


# Numbers of rows and people

def changes(x):
    """As p4's, by a plain loop."""
    return np.array([sum(a != b for a, b in zip(row, row[1:])) for row in x.tolist()])


def test_regularity_counts_rows_with_few_and_many_changes():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.random((200, 20)) < rng.random((200, 1)), axis=1) % 2
    human, person = np.arange(200) < 120, np.arange(200) % 8
    number = changes(x)
    assert p4.changes(x).tolist() == number.tolist()
    numbers = p4.regularity(p4.Rows(x, human, person, 8, None))
    for key, few_or_many in (("rows_with_fewer_than_6_changes", range(6)),
                             ("rows_with_more_than_13_changes", range(14, 20))):
        is_so = 100 * np.isin(number, few_or_many)
        share, half = p4.over_people(is_so[:120], person[:120])
        assert numbers.pop(key) == pytest.approx({
            "people": share, "people_half_of_interval": half, "machine": is_so[120:].mean(),
            "coin": 100 * sum(comb(19, k) for k in few_or_many) / 2 ** 19})
    assert not numbers


def test_means_and_intervals_over_people():
    values, person = np.array([1, 1, 0, 0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2, 2, 2])
    mean, half = p4.over_people(values, person)  # of people's means 1, 0 and 0.5
    assert (mean, half) == (0.5, pytest.approx(1.96 * 0.5 / 3 ** 0.5))
    mean, _ = p4.over_people(values[2:], person[2:])  # the first has no rows
    assert mean == 0.25


def test_spread_of_people_is_1_where_rows_of_a_person_are_not_alike():
    values = np.random.default_rng(0).normal(size=10_000)
    spread = all_rows_p4.spread_of_people(values, np.repeat(range(500), 20))
    assert spread == pytest.approx(1, abs=0.2)
    # Means 0 and 2, of variance 2; rows of variance 4/3.
    spread = all_rows_p4.spread_of_people(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 1]))
    assert spread == pytest.approx(2 * 2 / (4 / 3))


# What is submitted

@pytest.mark.parametrize("first, chosen", [(0.7025, "first"), (0.7035, "second")])
def test_the_first_of_those_near_the_lowest_validation_cross_entropy_is_chosen(first, chosen):
    entropies = {"high": 0.71, "first": first, "second": 0.7005, "lowest": 0.7}
    judged = {name: {"training cross-entropy": 1 - entropy, "validation accuracy (%)": 100 * entropy,
                     "validation cross-entropy": entropy} for name, entropy in entropies.items()}
    assert p4.choose(judged) == chosen


# A run, with networks that are known and differ by setting and fold

SETTINGS = {
    "Adam": p4.Setting("Adam", 0.011), "Adam, L2 0.003": p4.Setting("RMSprop", 0.012, 1e-3, 2e-3),
    "SGD, dropout": p4.Setting("SGD", 0.013, dropout=0.2, epochs=40),
    "Adam, cyclic shifts": p4.Setting("Adam", 0.014, cyclic_shifts=True, epochs=90)}
# Of output weights: the larger, the surer, and so the worse is a network that knows nothing.
SIZES = {"Adam": 0.3, "Adam, L2 0.003": 0.1, "SGD, dropout": 0.2, "Adam, cyclic shifts": 0.05}
SUBMITTED = "Adam, cyclic shifts"
FEATURES = ["ten mean products", "their ten squares", "ten mean products and their squares"]


def known_weights(name, fold, size):
    return random_weights(list(SIZES).index(name), fold, size=size)


def history_of(name, fold):
    """Three numbers for each measure; five for those of cyclic shifts."""
    rng = np.random.default_rng((list(SIZES).index(name), fold))
    epochs = 5 if name == SUBMITTED else 3
    return {key: rng.random(epochs).tolist() for key in (
        "accuracy", "binary_crossentropy", "val_accuracy", "val_binary_crossentropy")}


class Training(NamedTuple):
    name: str
    seed: int
    epochs: int
    initial: list   # the model's weights
    arrays: tuple   # x, y, x_validation, y_validation


class Run(NamedTuple):
    """What a run did, and what is known of its networks."""
    out: Path
    trainings: list
    printed: str
    figures: dict    # by the name of their file
    rows: p4.Rows
    weights: dict    # by name: of each fold
    log_odds: dict   # by name: (folds, rows)


def a_run(path, out, sizes, *options, rows_per_person=None):
    """p4's main() with known networks."""
    if rows_per_person:
        options = *options, "--rows-per-person", rows_per_person
    printed, trainings, figures = io.StringIO(), [], {}

    def known_train(model, setting, seed, *arrays):
        name, = (name for name in SETTINGS
                 if SETTINGS[name] == setting._replace(epochs=SETTINGS[name].epochs))
        fold = sum(training.name == name for training in trainings)
        trainings.append(Training(name, seed, setting.epochs, model.get_weights(), arrays))
        model.set_weights(known_weights(name, fold, sizes[name]))
        return history_of(name, fold)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(p4, "train", known_train)
        patch.setattr(p4, "save", lambda figure, path: figures.update({path.name: figure}))
        patch.setattr(p4, "SETTINGS", SETTINGS)
        run_main(patch, p4, "--data", path, "--out", out, *options)
        p4.plt.close("all")
        _, rows = p4.load(path, rows_per_person)
        folds = p4.FOLDS
    weights, log_odds = {}, {}
    for name, size in sizes.items():
        weights[name] = [known_weights(name, fold, size) for fold in range(folds)]
        log_odds[name] = np.array([said(of_fold, rows.x) for of_fold in weights[name]])
    return Run(out, trainings, printed.getvalue(), figures, rows, weights, log_odds)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("p4")
    path = little_file(folder / "own.hdf5", 300, 450, people=20)
    return a_run(path, folder / "out", SIZES)


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_numbers(row, expected):
    """Some columns of a table, as rounded there: cross-entropies to four digits, others to one."""
    for column, value in expected.items():
        half_digit = 6e-5 if "entropy" in column else 0.06
        assert float(row[column]) == pytest.approx(value, abs=half_digit), column


def judged(f, rows):
    """Of one network's log-odds (folds, rows), by a loop over the folds: which rows are right when
    held out, validation cross-entropy, training accuracy, training cross-entropy."""
    right, entropy = np.zeros(len(rows.human), bool), np.zeros(len(rows.human))
    training_right, training_entropy = [], []
    for fold, of_fold in enumerate(f):
        is_right = (of_fold > 0) == rows.human
        entropies = np.log(1 + np.exp(np.where(rows.human, -of_fold, of_fold)))
        held_out = rows.fold == fold
        right[held_out], entropy[held_out] = is_right[held_out], entropies[held_out]
        people = [is_right[rows.person == someone].mean()
                  for someone in np.unique(rows.person[~held_out])]
        training_right.append(np.mean(people))
        training_entropy.append(entropies[~held_out].mean())
    return right, entropy.mean(), np.mean(training_right), np.mean(training_entropy)


def test_each_fold_is_held_out_once_from_each_kind_of_network(run):
    names = [training.name for training in run.trainings]
    assert names == np.repeat([*SETTINGS], 5).tolist()
    assert [training.epochs for training in run.trainings[::5]] == [30, 30, 40, 90]
    first_weights = {}
    for i, training in enumerate(run.trainings):
        fold = i % 5
        for given, expected in zip(training.arrays, p4.split(run.rows, fold), strict=True):
            assert np.array_equal(given, expected)
        # A fold's networks begin alike in all settings that do not shift, those of two folds differ.
        seed, W = training.seed, training.initial[0]
        same_seed, same = first_weights.setdefault((training.epochs == 90, fold), (seed, W))
        assert seed == same_seed and np.array_equal(W, same)
    assert len({W.tobytes() for _, W in first_weights.values()}) == 10
    assert len({seed for seed, _ in first_weights.values()}) == 5


def regressions(run):
    """{name of features: log-odds of the rows (folds, N)}."""
    products = mean_products(run.rows.x)
    both = np.hstack([products, products ** 2])
    log_odds = {}
    for name, values in zip(FEATURES, (products, products ** 2, both)):
        w = [p4.fit_logistic(values[run.rows.fold != fold], run.rows.human[run.rows.fold != fold])
             for fold in range(5)]
        log_odds[name] = np.array([values @ wf[:-1] + wf[-1] for wf in w])
    return log_odds


def test_table_of_networks(run):
    rows, found = run.rows, table(run.out / "p4_networks.csv")
    expected = {**run.log_odds, **regressions(run)}
    first, *_ = judged(run.log_odds["Adam"], rows)
    for row, (name, f) in zip(found, expected.items(), strict=True):
        if name in FEATURES:
            assert (row["network"], row["input"]) == ("logistic regression", name)
        else:
            assert (row["network"], row["trained with"]) == ("20-20-1", name)
            assert float(row["initial learning rate"]) == SETTINGS[name].learning_rate
            assert int(row["epochs"]) == SETTINGS[name].epochs
        right, entropy, training_accuracy, training_entropy = judged(f, rows)
        share, half = p4.over_people(100 * right, rows.person)
        gain, half_of_gain = p4.over_people(100.0 * right - 100.0 * first, rows.person)
        assert_numbers(row, {
            "validation accuracy (%)": share, "validation: half of 95% interval": half,
            "gain over the first row (points)": gain, "gain: half of 95% interval": half_of_gain,
            "training accuracy (%)": 100 * training_accuracy,
            "training cross-entropy": training_entropy, "validation cross-entropy": entropy})
        if name in SETTINGS:
            line, = (line for line in run.printed.splitlines() if f" {share:.1f}%" in line)
            assert line.startswith(name)


def test_results(run):
    results = json.loads((run.out / "p4_results.json").read_text(encoding="utf-8"))
    rows, f = run.rows, run.log_odds[SUBMITTED]
    right, first_fold = judged(f, rows)[0], rows.fold == 0
    share, half = p4.over_people(100 * right, rows.person)
    of_first_fold, _ = p4.over_people(100 * right[first_fold], rows.person[first_fold])
    assert 0 <= results.pop("seconds") < 600
    assert results.pop("versions")["keras"] == p4.keras.__version__
    assert results == {
        "quick": False, "source": "own file own.hdf5", "human_rows": 300, "machine_rows": 450,
        "coding": [-1, 1], "people": 20, "split_by": "people", "submitted": SUBMITTED,
        "guess": 0.6, "validation_accuracy": pytest.approx(share),
        "validation_accuracy_half_of_interval": pytest.approx(half),
        "validation_accuracy_of_the_first_fold": pytest.approx(of_first_fold),
        **p4.regularity(rows)}
    assert "60.0%" in run.printed.splitlines()[0]
    assert SUBMITTED in run.printed.splitlines()[-2] and run.printed.endswith(f"{run.out}\n")


def lines_of(axes):
    """{label: line}, those that matplotlib labels itself aside."""
    return {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}


def test_regularity_is_drawn_for_people_machine_and_an_exact_coin(run):
    axes, = run.figures["p4_regularity.png"].axes
    human, machine = np.split(changes(run.rows.x), [300])
    bars, = axes.containers
    assert "human" in bars.get_label()
    places = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    np.testing.assert_allclose(places, range(20), atol=1e-9)
    np.testing.assert_allclose([bar.get_height() for bar in bars],
                               [100 * (human == k).mean() for k in range(20)])
    for label, line in lines_of(axes).items():
        expected = [100 * comb(19, k) / 2 ** 19 for k in range(20)]
        if "machine" in label:
            expected = [100 * (machine == k).mean() for k in range(20)]
        assert list(line.get_xdata()) == list(range(20))
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert sum("machine" in label for label in lines_of(axes)) == 1
    assert sum("coin" in label for label in lines_of(axes)) == 1
    limits = [line.get_xdata()[0] for line in axes.lines if line not in lines_of(axes).values()]
    assert limits == [5.5, 13.5]


def assert_curves(axes, histories, key, scale, label="training"):
    """Training and validation, means of the histories, and a guess: 60 % of the rows."""
    lines = lines_of(axes)
    for label, its_key in ((label, key), ("validation", f"val_{key}")):
        values = scale * np.mean([history[its_key] for history in histories], axis=0)
        np.testing.assert_allclose(lines[label].get_ydata(), values)
        assert list(lines[label].get_xdata()) == list(range(1, len(values) + 1))
    assert len(lines) == 3


def test_learning_curve_is_that_of_the_submitted_network(run):
    axes, = run.figures["p4_learning_curve.png"].axes
    assert_curves(axes, [history_of(SUBMITTED, 0)], "accuracy", 100, "training (shifted rows)")
    np.testing.assert_allclose(lines_of(axes)["a guess"].get_ydata(), 60)
    assert SUBMITTED in axes.get_title()
    assert axes.get_legend() is not None


def test_over_fitting_is_shown_by_three_settings_on_one_scale(run):
    axes = np.reshape(run.figures["p4_overfitting.png"].axes, (2, 3))
    guesses = 60, -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))
    for column, name in enumerate(p4.OVERFITTING):
        histories = [history_of(name, fold) for fold in range(5)]
        assert_curves(axes[0, column], histories, "accuracy", 100)
        assert_curves(axes[1, column], histories, "binary_crossentropy", 1)
        assert name in axes[0, column].get_title()
        assert axes[1, column].get_xlabel() == "epoch"
        for panel, guess in zip(axes[:, column], guesses):
            np.testing.assert_allclose(lines_of(panel)["a guess"].get_ydata(), guess)
    for row in axes:
        assert len({panel.get_ylim() for panel in row}) == 1
    assert "accuracy" in axes[0, 0].get_ylabel() and "entropy" in axes[1, 0].get_ylabel()
    legend, = run.figures["p4_overfitting.png"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "a guess"]


def test_submitted_matrix_is_printed_and_written(run):
    W = run.weights[SUBMITTED][0][0]
    text = (run.out / "p4_weights.txt").read_text(encoding="utf-8")
    assert text == p4.matrix_text(W) + "\n" and text in run.printed


def test_printed_matrix_has_inputs_as_rows_in_two_blocks():
    W = random_weights(0)[0]
    lines = p4.matrix_text(W).splitlines()
    assert max(map(len, lines)) <= 80  # a terminal
    blocks = [[line.split() for line in block] for block in (lines[:21], lines[21:])]
    assert [blocks[0][0][1:], blocks[1][0][1:]] == np.arange(1, 21).reshape(2, 10).astype(
        str).tolist()
    for i in range(20):
        left, right = blocks[0][i + 1], blocks[1][i + 1]
        assert left[0] == right[0] == str(i + 1)
        assert left[1:] + right[1:] == [f"{weight:.2f}" for weight in W[i]]


def test_matrix_is_drawn_sorted_by_output_weight_under_the_models_own_numbers(run):
    W, b, v, _ = run.weights[SUBMITTED][0]
    order = sorted(range(20), key=lambda j: v[j])
    panels = {axes.get_ylabel(): axes for axes in run.figures["p4_weights.png"].axes}
    output, bias, matrix = (panels[label] for label in ("output weight", "bias", "input position"))
    for axes, values in ((output, v[:, 0]), (bias, b)):
        bars, = axes.containers
        assert [bar.get_height() for bar in bars] == list(values[order])
    image, = matrix.images
    assert np.array_equal(image.get_array(), W[:, order])
    low, high = image.get_clim()
    assert low == -high and (np.abs(W) < high).mean() > 0.9  # white is 0
    red, _, blue, _ = image.cmap(0.9)
    assert red > blue
    assert [tick.get_text() for tick in matrix.get_xticklabels()] == [str(j + 1) for j in order]
    assert [tick.get_text() for tick in matrix.get_yticklabels()] == [
        str(i + 1) for i in range(20)]
    for axes in (output, bias, matrix):
        border, = (line for line in axes.lines if len({*line.get_xdata()}) == 1)
        assert border.get_xdata()[0] == (v < 0).sum() - 0.5 and 0 < (v < 0).sum() < 20
    assert "machine" in output.get_title("left") and "human" in output.get_title("right")


def read_model(path):
    """Its weights, its description, its training, its coding."""
    with h5py.File(path) as file:
        group = file["model_weights"]
        weights = [group[f"{layer}/{layer}/{name}:0"][()] for layer in ("hidden", "human")
                   for name in ("kernel", "bias")]
        texts = [json.loads(file.attrs[key]) for key in ("model_config", "training_config")]
        return weights, *texts, file.attrs["coding"].tolist()


def assert_model_file(path, weights, setting, coding):
    found, model, training, coding_found = read_model(path)
    for array, known in zip(found, weights, strict=True):
        assert np.array_equal(array, known)
    optimizer = training["optimizer_config"]
    assert optimizer["class_name"] == setting.optimizer
    assert optimizer["config"]["learning_rate"] == setting.learning_rate
    for layer in model["config"]["layers"][1:]:
        penalty = layer["config"]["kernel_regularizer"]
        if setting.l1 or setting.l2:
            assert penalty["config"] == {"l1": setting.l1, "l2": setting.l2}
        else:
            assert penalty is None
    assert coding_found == coding


def test_model_file_is_the_submitted_network_of_the_first_fold(run):
    weights = run.weights[SUBMITTED][0]
    assert_model_file(run.out / "p4_model.hdf5", weights, SETTINGS[SUBMITTED], [-1, 1])


@pytest.mark.parametrize("rows_per_person, people, split_by", [
    (25, 10, "people"), (None, 250, "rows")])
def test_a_file_of_another_coding(rows_per_person, people, split_by, tmp_path):
    """In blocks of one person's rows or without people; --quick has two folds."""
    path = little_file(tmp_path / "other.hdf5", 250, 200, (0, 1))
    sizes = {"Adam": 0.02, "Adam, L2 0.003": 0.5, "Adam, cyclic shifts": 0.5}
    run = a_run(path, tmp_path / "out", sizes, "--quick", rows_per_person=rows_per_person)
    results = json.loads((run.out / "p4_results.json").read_text(encoding="utf-8"))
    assert {"quick": True, "submitted": "Adam", "coding": [0, 1], "people": people,
            "split_by": split_by, "guess": 250 / 450}.items() <= results.items()
    assert_model_file(run.out / "p4_model.hdf5", run.weights["Adam"][0], SETTINGS["Adam"], [0, 1])
    axes, = run.figures["p4_learning_curve.png"].axes
    assert_curves(axes, [history_of("Adam", 0)], "accuracy", 100)
    assert "Adam" in axes.get_title()


# The model file

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


def probabilities_of(printed):
    """{row: what is printed behind it}, of lines that begin with a row."""
    lines = [line.split(":") for line in printed.splitlines()]
    return {row: rest[0].split()[0] for row, *rest in lines if row in TRIED}


def expected_of(weights, rows, coding):
    x = np.array([[coding[int(bit)] for bit in row] for row in rows], np.float32)
    return {row: f"{p:.0%}" for row, p in zip(rows, probability(said(weights, x)))}


@every_coding
def test_try_judges_each_row_by_the_model_file_alone(coding, monkeypatch, tmp_path, capsys):
    weights = random_weights(5, size=0.3)
    p4.write_model(tmp_path / "p4_model.hdf5", weights, ADAM, coding)
    run_main(monkeypatch, p4, "--out", tmp_path, "--try", *TRIED)
    found = probabilities_of(capsys.readouterr().out)
    assert found == expected_of(weights, TRIED, coding) and len({*found.values()}) == 3


@pytest.mark.parametrize("bits", ["0110", "0" * 21, "0110100101101001011x", "\u0660" * 20])
def test_a_wrong_row_in_the_command_is_refused_before_another_is_judged(
        bits, monkeypatch, tmp_path, capsys):
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
    assert not path.exists()
    path.write_text("no model")
    assert_refused()
    write(path, {"coding": (0, 1)})
    assert_refused()
    p4.write_model(path, random_weights(5), ADAM, (0, 1))
    with h5py.File(path, "r+") as file:
        del file.attrs["coding"]  # of an older run
    assert_refused()

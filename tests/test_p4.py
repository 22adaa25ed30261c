"""Problem 4: the networks, folds without leaks, teaching, how many presses at a time, and all that
a run makes of networks that are known."""
import contextlib
import csv
import io
import json
from itertools import combinations, product
from math import comb, prod
from pathlib import Path
from typing import NamedTuple

import control_p4
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
    """Log-odds of rows x (n, 20), in numpy: (n,). Six arrays are a convolution's."""
    if len(weights) == 6:
        filters, constant, *weights = weights
        windows = np.lib.stride_tricks.sliding_window_view(x, len(filters), axis=1)
        x = np.maximum(windows @ filters[:, 0] + constant, 0).mean(axis=1)
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


def test_convolution_has_one_set_of_weights_for_all_places():
    model = p4.build_convolution(ADAM)
    x = random_rows(50)
    np.testing.assert_allclose(model(x)[:, 0], probability(said(model.get_weights(), x)), atol=1e-6)


@pytest.mark.parametrize("build", [p4.build, p4.build_convolution])
def test_log_odds_are_those_of_the_models_own_probability(build):
    model = build(ADAM)
    x = random_rows(2 ** 14 + 5)
    p = model(x).numpy()[:, 0]
    f = p4.log_odds(model, x)
    np.testing.assert_allclose(f, np.log(p / (1 - p)), atol=1e-5)
    np.testing.assert_allclose(p4.sigmoid(f), p, atol=1e-6)
    human = np.random.default_rng(1).random((len(x), 1)) < 0.5
    assert p4.accuracy(model, x, human) == ((p > 0.5) == human[:, 0]).mean()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_log_odds_that_are_not_finite_are_refused_in_one_line(value):
    model = p4.build(ADAM)
    W, b, v, c = model.get_weights()
    model.set_weights([W, b, v, c + value])
    with pytest.raises(p4.DataError, match="not finite") as refusal:
        p4.log_odds(model, random_rows(10))
    assert "\n" not in str(refusal.value)


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


def test_training_meets_each_row_once_an_epoch_in_a_new_order(eagerly, monkeypatch):
    monkeypatch.setattr(p4, "EPOCHS", 2)
    x, y = random_rows(40), np.random.default_rng(1).integers(0, 2, (40, 1)).astype(np.float32)
    x[:, 0] = np.arange(40) / 40  # numbers the row
    validation = random_rows(30, seed=2), y[:30]
    model, seen = recording(p4.build(ADAM))
    history = p4.train(model, ADAM._replace(learning_rate=0.05), 0, x, y, *validation)

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
def test_models_are_trained_by_the_optimizer_of_that_name(name):
    model = p4.build(ADAM)
    p4.compile_model(model, p4.Setting(name, 0.01), 10, 1)
    assert type(model.optimizer) is getattr(p4.keras.optimizers, name)


def test_teaching_goes_once_through_all_rows():
    assert p4.PARTS * p4.UPDATES * 16 == 2 ** 20


def test_teaching_meets_each_row_once_with_the_teachers_word_and_its_weight(
        eagerly, monkeypatch):
    monkeypatch.setattr(p4, "PARTS", 2)
    monkeypatch.setattr(p4, "UPDATES", 3)
    every_row = np.unique(random_rows(200), axis=0)[:96]
    teacher = p4.build(ADAM)
    teacher.set_weights(random_weights(3))
    p = probability(said(teacher.get_weights(), every_row))
    assert (p > 0.98).sum() > 5
    p = np.minimum(p, 0.98)
    x, x_validation = random_rows(3, seed=1), random_rows(4, seed=2)
    model, seen = recording(p4.build(ADAM))

    def accuracy(asked, rows, _):
        assert asked is model
        return len(seen), len(rows)
    monkeypatch.setattr(p4, "accuracy", accuracy)
    history = p4.teach(model, teacher, 0, x, np.ones((3, 1)), x_validation, np.ones((4, 1)),
                       every_row)
    assert history == {"accuracy": [(3, 3), (6, 3)], "val_accuracy": [(3, 4), (6, 4)]}

    assert [len(batch) for batch, *_ in seen] == 6 * [16]
    batches, labels, weights, rates = zip(*seen)
    row_number = {row.tobytes(): i for i, row in enumerate(every_row)}
    order = [row_number[row.tobytes()] for row in np.concatenate(batches)]
    assert sorted(order) == list(range(96)) and (np.array(order) != range(96)).mean() > 0.9
    np.testing.assert_allclose(np.concatenate(labels)[:, 0], p[order], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(weights).ravel(), 1 / (1 - p[order]), rtol=1e-3)
    np.testing.assert_allclose(rates, falling_to_0(p4.TEACHING.learning_rate, 6), rtol=1e-4)


def test_no_label_of_a_held_out_row_reaches_its_convolution_or_its_taught_network(
        eagerly, monkeypatch):
    """With these labels turned round, both are equal byte for byte; those of the other fold are
    others."""
    for name, value in {"EPOCHS": 1, "FOLDS": 2, "PARTS": 1, "UPDATES": 2}.items():
        monkeypatch.setattr(p4, name, value)
    x, fold = random_rows(40), np.arange(40) % 2
    human = np.arange(40) < 20
    weights = []
    for labels in (human, human ^ (fold == 0)):
        rows = p4.Rows(x, labels, np.arange(40), fold)
        convolution = p4.train_folds("convolution", ADAM, rows, p4.build_convolution)
        taught = p4.teach_folds("taught", convolution.models, rows, x[:32])
        weights.append([[array.tobytes() for array in model.get_weights()]
                        for model in [*convolution.models, *taught.models]])
    equal = [first == turned for first, turned in zip(*weights)]
    assert equal == [True, False, True, False]


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


def test_rows_of_a_person_are_numbered_and_machine_rows_dealt_out_in_proportion():
    names = np.array([7, 7, 7, 7, 3, 3, 9, 9, 40, 40, 5, 5, 7, 7, 7, 7])
    data = sequences(16, 8, names)
    rows = p4.rows_of(data, None)
    assert rows.human.tolist() == 16 * [True] + 8 * [False]
    assert np.array_equal(rows.x, np.concatenate([data.human, data.machine]))
    assert rows.x.dtype == np.float32
    numbered = [2, 2, 2, 2, 0, 0, 3, 3, 4, 4, 1, 1, 2, 2, 2, 2]
    assert rows.person.tolist() == numbered + numbered[::2]
    rows = p4.rows_of(sequences(16, 32, names), None)
    assert rows.person.tolist() == numbered + np.repeat(numbered, 2).tolist()


def test_blocks_of_rows_are_people_where_the_user_says_so():
    rows = p4.rows_of(sequences(50, 50), 10)
    assert rows.person.tolist() == 2 * np.repeat(range(5), 10).tolist()
    rows = p4.rows_of(sequences(50, 50), None)
    assert rows.person.tolist() == 2 * list(range(50))


@pytest.mark.parametrize("machine_rows", [100, 5000, 7000])
def test_both_sides_of_a_split_have_the_same_share_of_human_rows(machine_rows):
    rows = p4.rows_of(sequences(5000, machine_rows), 100)
    for fold in range(5):
        held_out = rows.fold == fold
        assert rows.human[held_out].sum() == 1000
        assert (~rows.human[held_out]).sum() == machine_rows / 5


def test_all_rows_of_a_person_are_on_one_side_and_its_people_are_drawn():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(85), rng.integers(22, 25, 85))
    rows = p4.rows_of(sequences(len(person), len(person), person), None)
    assert rows.fold.tolist() == p4.folds_of(rows.person).tolist()
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
    (200, 200, 10, 20, "`person`"),
    (200, 300, None, 30, "200 human rows"),
    (200, 300, None, 50, "4 blocks")])
def test_files_that_cannot_be_split_are_refused(
        human, machine, people, rows_per_person, found, tmp_path):
    path = little_file(tmp_path / "f.hdf5", human, machine, people=people)
    with pytest.raises(p4.DataError, match="f.hdf5.*expected") as refusal:
        p4.load(path, rows_per_person)
    assert found in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("people, rows_per_person", [(None, None), (5, None), (None, 20)])
def test_the_smallest_files_that_are_taken(people, rows_per_person, tmp_path):
    path = little_file(tmp_path / "f.hdf5", 100, 100, people=people)
    data = p4.load(path, rows_per_person)
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
    rows = p4.all_rows(coding)
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
    np.testing.assert_allclose(p4.walsh(f), coefficients)
    np.testing.assert_allclose(p4.shares_of(f), power[1:] / f.var())


def test_shares_of_a_function_made_of_products():
    a, b, c, d = np.array(list(product([-1, 1], repeat=4))).T
    f = 7 + 2 * a - b + 3 * a * d + 0.5 * b * c - 1.5 * a * b * c + 4 * a * b * c * d
    power = np.array([2 ** 2 + 1, 3 ** 2 + 0.5 ** 2, 1.5 ** 2, 4 ** 2])
    np.testing.assert_allclose(p4.shares_of(f), power / power.sum())


def test_mean_products_are_pairs_and_their_squares_mostly_fours(monkeypatch):
    """The square of a mean of n - lag pairs: of the products of two pairs, those with a press in
    common are pairs again, and there are n - 2 lag of them."""
    n = 8
    monkeypatch.setattr(p4, "INPUTS", n)
    monkeypatch.setattr(p4, "LAGS", range(1, 5))
    every_row = p4.all_rows((0, 1))
    for lag, products, squares in zip(p4.LAGS, p4.mean_products(every_row).T,
                                      p4.squares(every_row).T, strict=True):
        np.testing.assert_allclose(p4.shares_of(products), np.eye(n)[1], atol=1e-9)
        pairs = (n - 2 * lag) / comb(n - lag, 2)
        expected = pairs * np.eye(n)[1] + (1 - pairs) * np.eye(n)[3]
        np.testing.assert_allclose(p4.shares_of(squares), expected, atol=1e-6)


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
    for features_of, values in zip(p4.FEATURES.values(), expected, strict=True):
        np.testing.assert_allclose(features_of(x), values, atol=1e-6)


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

def transitions(x):
    """As p4's, by a plain loop."""
    return np.array([sum(a != b for a, b in zip(row, row[1:])) for row in x.tolist()])


def test_regularity_counts_rows_with_few_and_many_transitions():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.random((200, 20)) < rng.random((200, 1)), axis=1) % 2
    human, person = np.arange(200) < 120, np.arange(200) % 8
    number = transitions(x)
    assert p4.transitions(x).tolist() == number.tolist()
    numbers = p4.regularity(p4.Rows(x, human, person, None))
    assert numbers.pop("neighbours_differ") == pytest.approx(number[:120].mean() / 19)
    assert numbers.pop("transitions_of_people_vary_times_chance") == pytest.approx(
        p4.spread_of_people(number[:120], person[:120]))
    for key, few_or_many in (("rows_with_fewer_than_6_transitions", range(6)),
                             ("rows_with_more_than_13_transitions", range(14, 20))):
        is_so = np.isin(number, few_or_many)
        share, half = p4.over_people(is_so[:120], person[:120])
        assert numbers.pop(key) == pytest.approx({
            "people": share, "people_half_of_interval": half, "machine": is_so[120:].mean(),
            "coin": sum(comb(19, k) for k in few_or_many) / 2 ** 19})
    assert not numbers


def test_means_and_intervals_over_people():
    values, person = np.array([1, 1, 0, 0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2, 2, 2])
    mean, half = p4.over_people(values, person)  # of people's means 1, 0 and 0.5
    assert (mean, half) == (0.5, pytest.approx(1.96 * 0.5 / 3 ** 0.5))


def test_spread_of_people_is_1_where_rows_of_a_person_are_not_alike():
    values = np.random.default_rng(0).normal(size=10_000)
    spread = p4.spread_of_people(values, np.repeat(range(500), 20))
    assert spread == pytest.approx(1, abs=0.2)
    # Means 0 and 2, of variance 2; rows of variance 4/3.
    spread = p4.spread_of_people(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 1]))
    assert spread == pytest.approx(2 * 2 / (4 / 3))


# What is submitted

def half_right(entropy):
    """(100,) of which 50 are right, with this cross-entropy, ln 2 at least. Those of rows that are
    labelled human, and the rest, alternate."""
    label = np.where(np.arange(100) % 2, -1, 1)
    right = np.where(np.arange(100) < 50, 1, -1)
    return 2 * np.arccosh(np.exp(entropy) / 2) * label * right


@pytest.mark.parametrize("first, chosen", [(0.7025, "first"), (0.7035, "second")])
def test_the_first_of_those_near_the_lowest_validation_cross_entropy_is_chosen(first, chosen):
    """Another one is right most often, and a third is better on the training rows."""
    human = np.arange(100) % 2 == 0
    rows = p4.Rows(np.zeros((100, 20)), human, np.arange(100), np.arange(100) // 2 % 5)
    right_most_often = np.where(np.arange(100) < 10, -10, 10) * np.where(human, 1, -1)
    held_out = {"right most often": right_most_often, "first": half_right(first),
                "second": half_right(0.7005), "lowest": half_right(0.7), "last": half_right(0.71)}
    explored = {}
    for name, f in held_out.items():
        training = half_right(0.7 if name == "last" else 0.9)
        f_of_folds = np.where(rows.fold == np.arange(5)[:, None], f, training)
        explored[name] = p4.Trained([], [], f_of_folds)
    assert p4.choose(explored, rows) == chosen


# A run, with networks that are known and differ by setting, kind and fold

SETTINGS = {"Adam": p4.Setting("Adam", 0.011), "RMSprop, both": p4.Setting("RMSprop", 0.012, 1e-3,
            2e-3), "SGD, dropout": p4.Setting("SGD", 0.013, dropout=0.2)}
TEACHING = p4.Setting("Adam", 0.014, l2=0.003)
# Of output weights: the larger, the surer, and so the worse is a network that knows nothing.
SIZES = {"Adam": 0.3, "RMSprop, both": 0.1, "SGD, dropout": 0.2, "convolution": 0.02,
         p4.TAUGHT: 0.05}


def known_weights(name, fold, size):
    number = list(SIZES).index(name)
    W, b, v, c = random_weights(number, fold, size=size)
    if name != "convolution":
        return [W, b, v, c]
    filters = np.random.default_rng(fold).normal(size=(6, 1, 20)).astype(np.float32)
    return [filters, b[::-1], W, b, v, c]


def history_of(name, fold):
    """Three numbers for each measure; two for each of the taught network's."""
    rng = np.random.default_rng((list(SIZES).index(name), fold))
    if name == p4.TAUGHT:
        return {key: rng.random(2).tolist() for key in ("accuracy", "val_accuracy")}
    return {key: rng.random(3).tolist() for key in (
        "accuracy", "binary_crossentropy", "val_accuracy", "val_binary_crossentropy")}


class Training(NamedTuple):
    name: str
    seed: int
    initial: list   # the model's weights
    arrays: tuple   # x, y, x_validation, y_validation
    teacher: list   # its weights; None: not taught
    every_row: np.ndarray


class Run(NamedTuple):
    """What a run did, and what is known of its networks."""
    out: Path
    trainings: list
    printed: str
    figures: dict    # by the name of their file
    rows: p4.Rows
    every_row: np.ndarray
    weights: dict    # by name: of each fold
    log_odds: dict   # by name: (folds, rows)


def fake(patch, sizes):
    """Let p4 not train, and ask networks about 1,024 of all rows. Returns a list that fills with
    its trainings, and a dictionary with its figures by the name of their file."""
    trainings, figures, all_rows = [], {}, p4.all_rows

    def become_known(name, model, seed, arrays, teacher=None, every_row=None):
        fold = sum(training.name == name for training in trainings)
        trainings.append(Training(name, seed, model.get_weights(), arrays, teacher, every_row))
        model.set_weights(known_weights(name, fold, sizes[name]))
        return history_of(name, fold)

    def known_train(model, setting, seed, *arrays):
        name = "convolution"
        if setting != TEACHING:
            name, = (name for name in SETTINGS if SETTINGS[name] == setting)
        return become_known(name, model, seed, arrays)

    def known_teach(model, teacher, seed, x, y, x_validation, y_validation, every_row):
        arrays = x, y, x_validation, y_validation
        return become_known(p4.TAUGHT, model, seed, arrays, teacher.get_weights(), every_row)
    patch.setattr(p4, "train", known_train)
    patch.setattr(p4, "teach", known_teach)
    patch.setattr(p4, "all_rows", lambda coding: all_rows(coding)[::2 ** 10])
    patch.setattr(p4, "save", lambda figure, path: figures.update({path.name: figure}))
    patch.setattr(p4, "SETTINGS", SETTINGS)
    patch.setattr(p4, "TEACHING", TEACHING)
    return trainings, figures


def a_run(path, out, sizes, *options, rows_per_person=None):
    """p4's main() with known networks."""
    if rows_per_person:
        options = *options, "--rows-per-person", rows_per_person
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        trainings, figures = fake(patch, sizes)
        run_main(patch, p4, "--data", path, "--out", out, *options)
        p4.plt.close("all")
        data = p4.load_sequences(path)
        rows, every_row = p4.rows_of(data, rows_per_person), p4.all_rows(data.coding)
        folds = p4.FOLDS
    weights, log_odds = {}, {}
    for name, size in sizes.items():
        weights[name] = [known_weights(name, fold, size) for fold in range(folds)]
        log_odds[name] = np.array([said(of_fold, rows.x) for of_fold in weights[name]])
    return Run(out, trainings, printed.getvalue(), figures, rows, every_row, weights, log_odds)


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
        training_right.append(is_right[~held_out].mean())
        training_entropy.append(entropies[~held_out].mean())
    return right, entropy.mean(), np.mean(training_right), np.mean(training_entropy)


def test_each_fold_is_held_out_once_from_each_kind_of_network(run):
    names = [training.name for training in run.trainings]
    assert names == np.repeat([*SETTINGS, "convolution", p4.TAUGHT], 5).tolist()
    first_weights = {}
    for i, training in enumerate(run.trainings):
        fold = i % 5
        for given, expected in zip(training.arrays, p4.split(run.rows, fold), strict=True):
            assert np.array_equal(given, expected)
        if training.name == p4.TAUGHT:
            assert np.array_equal(training.every_row, run.every_row)
            for array, known in zip(training.teacher, run.weights["convolution"][fold]):
                assert np.array_equal(array, known)
        # A fold's networks begin alike in all settings, those of two folds differ.
        seed, W = training.seed, training.initial[0]
        is_convolution = training.name == "convolution"
        same_seed, same = first_weights.setdefault((is_convolution, fold), (seed, W))
        assert seed == same_seed and np.array_equal(W, same)
    assert len({W.tobytes() for _, W in first_weights.values()}) == 10
    assert len({seed for seed, _ in first_weights.values()}) == 5


def test_table_of_settings(run):
    *settings, taught = table(run.out / "p4_settings.csv")
    assert [row["20-20-1, trained with"] for row in settings] == list(SETTINGS)
    for row in [*settings, taught]:
        name = row["20-20-1, trained with"]
        right, entropy, training_accuracy, training_entropy = judged(run.log_odds[name], run.rows)
        assert_numbers(row, {
            "training accuracy (%)": 100 * training_accuracy,
            "validation accuracy (%)": 100 * right.mean(),
            "training cross-entropy": training_entropy, "validation cross-entropy": entropy})
        rate = SETTINGS.get(name, TEACHING).learning_rate
        assert float(row["initial learning rate"]) == rate
        line, = (line for line in run.printed.splitlines() if f"{right.mean():.1%}" in line)
        assert line.startswith(name)
    assert name == p4.TAUGHT


def regressions(run):
    """{name of features: weights of each fold's logistic regression}, and log-odds of the rows
    and of every row."""
    features, of_every_row = {}, {}
    for found, x in ((features, run.rows.x), (of_every_row, run.every_row)):
        products = mean_products(x)
        found["ten mean products"] = products
        found["their ten squares"] = products ** 2
        found["ten mean products and their squares"] = np.hstack([products, products ** 2])
    log_odds, log_odds_of_every_row = {}, {}
    for name, values in features.items():
        w = [p4.fit_logistic(values[run.rows.fold != fold], run.rows.human[run.rows.fold != fold])
             for fold in range(5)]
        log_odds[name] = np.array([values @ wf[:-1] + wf[-1] for wf in w])
        log_odds_of_every_row[name] = [of_every_row[name] @ wf[:-1] + wf[-1] for wf in w]
    return log_odds, log_odds_of_every_row


UNTAUGHT = "RMSprop, both"  # the best of the settings


def test_table_of_networks(run):
    of_regressions, _ = regressions(run)
    expected = {("20-20-1", "raw presses"): run.log_odds[UNTAUGHT],
                ("convolution", "raw presses"): run.log_odds["convolution"],
                (p4.TAUGHT, "raw presses"): run.log_odds[p4.TAUGHT]}
    for name, f in of_regressions.items():
        expected["logistic regression", name] = f
    rows, found = run.rows, table(run.out / "p4_networks.csv")
    assert [(row["network"], row["input"]) for row in found] == list(expected)
    untaught, *_ = judged(run.log_odds[UNTAUGHT], rows)
    for row, f in zip(found, expected.values()):
        right, entropy, training_accuracy, training_entropy = judged(f, rows)
        share, half = p4.over_people(100 * right, rows.person)
        gain, half_of_gain = p4.over_people(100.0 * right - 100.0 * untaught, rows.person)
        assert_numbers(row, {
            "accuracy (%)": share, "accuracy: half of 95% interval": half,
            "gain over 20-20-1 (points)": gain, "gain: half of 95% interval": half_of_gain,
            "training accuracy (%)": 100 * training_accuracy,
            "training cross-entropy": training_entropy, "validation cross-entropy": entropy,
            "human rows right (%)": 100 * right[:300].mean(),
            "machine rows right (%)": 100 * right[300:].mean()})


def test_table_of_shares(run):
    _, of_regressions = regressions(run)
    untrained = [training.initial for training in run.trainings if training.name == p4.TAUGHT]
    networks = {"20-20-1": run.weights[UNTAUGHT], "convolution": run.weights["convolution"],
                p4.TAUGHT: run.weights[p4.TAUGHT], "20-20-1, untrained": untrained}
    log_odds = {name: [said(weights, run.every_row) for weights in of_folds]
                for name, of_folds in networks.items()} | of_regressions
    found = {row["network"]: row for row in table(run.out / "p4_shares.csv")}
    assert found.keys() == log_odds.keys()
    for name, row in found.items():
        shares = 100 * np.array([p4.shares_of(f) for f in log_odds[name]])
        for number, presses in enumerate(["singles", "pairs", "threes", "fours"]):
            of_folds = shares[:, number]
            assert_numbers(row, {f"{presses} (%)": of_folds.mean(),
                                 f"{presses}: least (%)": of_folds.min(),
                                 f"{presses}: most (%)": of_folds.max()})


def test_results(run):
    results = json.loads((run.out / "p4_results.json").read_text(encoding="utf-8"))
    rows, f = run.rows, run.log_odds[p4.TAUGHT]
    right, right_in_first_fold = judged(f, rows)[0], (f[0] > 0) == rows.human
    assert 0 <= results.pop("seconds") < 600
    numbers = p4.regularity(rows)
    assert results == {
        "quick": False, "source": "own file own.hdf5", "human_rows": 300, "machine_rows": 450,
        "coding": [-1, 1], "people": 20, "split_by": "people", "epochs": 30,
        "untaught_setting": UNTAUGHT, "submitted": p4.TAUGHT, "guess": 0.6,
        "validation_accuracy": pytest.approx(right.mean()),
        "training_accuracy_of_the_first_fold": right_in_first_fold[rows.fold != 0].mean(),
        "validation_accuracy_of_the_first_fold": right_in_first_fold[rows.fold == 0].mean(),
        **numbers}
    assert "60.0%" in run.printed.splitlines()[0]
    assert p4.TAUGHT in run.printed.splitlines()[-2] and run.printed.endswith(f"{run.out}\n")


def lines_of(axes):
    """{label: line}, those that matplotlib labels itself aside."""
    return {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}


def unlabelled(axes):
    line, = (line for line in axes.lines if line.get_label()[0] == "_")
    return line


def test_regularity_is_drawn_for_people_machine_and_an_exact_coin(run):
    axes, = run.figures["p4_regularity.png"].axes
    human, machine = np.split(transitions(run.rows.x), [300])
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
    assert axes.get_legend() is not None


def assert_curves(axes, histories, key, scale):
    """Training and validation, means of the histories."""
    lines = lines_of(axes)
    assert lines.keys() == {"training", "validation"}
    for label, its_key in (("training", key), ("validation", f"val_{key}")):
        values = scale * np.mean([history[its_key] for history in histories], axis=0)
        np.testing.assert_allclose(lines[label].get_ydata(), values)
        assert list(lines[label].get_xdata()) == list(range(1, len(values) + 1))


def test_learning_curve_is_that_of_the_submitted_network(run):
    axes, = run.figures["p4_learning_curve.png"].axes
    assert_curves(axes, [history_of(p4.TAUGHT, 0)], "accuracy", 100)
    np.testing.assert_allclose(unlabelled(axes).get_ydata(), 60)  # a guess
    assert p4.TAUGHT in axes.get_title()
    assert f"{p4.PARTS} parts" in axes.get_xlabel() and f"{2 ** 20:,} rows" in axes.get_xlabel()
    assert axes.get_legend() is not None


def test_over_fitting_is_shown_by_adam_alone_beside_the_untaught_setting(run):
    axes = np.reshape(run.figures["p4_overfitting.png"].axes, (2, 2))
    guesses = 60, -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))
    for column, name in ((0, "Adam"), (1, UNTAUGHT)):
        histories = [history_of(name, fold) for fold in range(5)]
        assert_curves(axes[0, column], histories, "accuracy", 100)
        assert_curves(axes[1, column], histories, "binary_crossentropy", 1)
        assert name in axes[0, column].get_title()
        assert axes[1, column].get_xlabel() == "epoch"
        for panel, guess in zip(axes[:, column], guesses):
            np.testing.assert_allclose(unlabelled(panel).get_ydata(), guess)
    assert "accuracy" in axes[0, 0].get_ylabel() and "entropy" in axes[1, 0].get_ylabel()
    legend, = run.figures["p4_overfitting.png"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]


def test_submitted_matrix_is_printed_and_written(run):
    W = run.weights[p4.TAUGHT][0][0]
    text = (run.out / "p4_weights.txt").read_text(encoding="utf-8")
    assert text == p4.matrix_text(W) + "\n" and text in run.printed
    header, *rows = csv.reader((run.out / "p4_weights.csv").read_text().splitlines())
    assert header == ["input position", *(f"neuron {j}" for j in range(1, 21))]
    np.testing.assert_allclose(np.array(rows, float), np.column_stack([range(1, 21), W]), rtol=1e-7)


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
    W, b, v, _ = run.weights[p4.TAUGHT][0]
    order = sorted(range(20), key=lambda j: v[j])
    panels = {axes.get_ylabel(): axes for axes in run.figures["p4_weights.png"].axes}
    output, bias, matrix = (panels[label] for label in ("output weight", "bias", "input position"))
    for axes, values in ((output, v[:, 0]), (bias, b)):
        bars, = axes.containers
        assert [bar.get_height() for bar in bars] == list(values[order])
    image, = matrix.images
    assert np.array_equal(image.get_array(), W[:, order])
    assert_symmetric_colours([image])
    assert [tick.get_text() for tick in matrix.get_xticklabels()] == [str(j + 1) for j in order]
    assert [tick.get_text() for tick in matrix.get_yticklabels()] == [
        str(i + 1) for i in range(20)]
    for axes in (output, bias, matrix):
        assert_border(axes, v)
    assert "machine" in output.get_title("left") and "human" in output.get_title("right")


def assert_symmetric_colours(images):
    """White is 0, red above it, on one scale, on which nine of ten weights can be told apart."""
    (low, high), = {image.get_clim() for image in images}
    assert low == -high
    for image in images:
        assert (np.abs(image.get_array()) < high).mean() > 0.9
        red, _, blue, _ = image.cmap(0.9)
        assert red > blue


def assert_border(axes, v):
    """An upright line stands between the neurons that speak for the machine and the others."""
    border, = (line for line in axes.lines if len({*line.get_xdata()}) == 1)
    assert 0 < (v < 0).sum() < 20
    assert border.get_xdata()[0] == (v < 0).sum() - 0.5


def test_matrices_of_all_folds_are_drawn_alike(run):
    panels = run.figures["p4_weights_folds.png"].axes
    all_weights = run.weights[p4.TAUGHT]
    assert [axes.get_title() for axes in panels] == [f"fold {n}" for n in range(1, 6)]
    for axes, (W, _, v, _) in zip(panels, all_weights, strict=True):
        image, = axes.images
        assert np.array_equal(image.get_array(), W[:, np.argsort(v[:, 0])])
        assert_border(axes, v)
    assert_symmetric_colours([axes.images[0] for axes in panels])


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
        penalty = layer["config"]["kernel_regularizer"]["config"]
        assert penalty == {"l1": setting.l1, "l2": setting.l2}
    assert coding_found == coding


def test_model_file_is_the_submitted_network_of_the_first_fold(run):
    weights = run.weights[p4.TAUGHT][0]
    assert_model_file(run.out / "p4_model.hdf5", weights, TEACHING, [-1, 1])


@pytest.mark.parametrize("rows_per_person, people, split_by", [
    (25, 10, "people"), (None, 250, "rows")])
def test_a_setting_is_submitted_where_teaching_is_worse(
        rows_per_person, people, split_by, monkeypatch, tmp_path):
    """On a file of the other coding, in blocks of one person's rows or without people; --quick has
    one setting and two folds."""
    monkeypatch.setitem(SETTINGS, "Adam", p4.Setting("RMSprop", 0.02, l1=0.01))
    path = little_file(tmp_path / "other.hdf5", 250, 200, (0, 1))
    sizes = {"Adam": 0.02, "convolution": 0.01, p4.TAUGHT: 0.5}
    run = a_run(path, tmp_path / "out", sizes, "--quick", rows_per_person=rows_per_person)
    results = json.loads((run.out / "p4_results.json").read_text(encoding="utf-8"))
    right, *_ = judged(run.log_odds["Adam"], run.rows)
    assert results["validation_accuracy"] == pytest.approx(right.mean())
    assert {"quick": True, "submitted": "Adam", "untaught_setting": "Adam", "coding": [0, 1],
            "people": people, "split_by": split_by, "guess": 250 / 450}.items() <= results.items()
    assert_model_file(run.out / "p4_model.hdf5", run.weights["Adam"][0], SETTINGS["Adam"], [0, 1])
    axes, = run.figures["p4_learning_curve.png"].axes
    assert_curves(axes, [history_of("Adam", 0)], "accuracy", 100)
    assert "Adam" in axes.get_title() and "rows" not in axes.get_xlabel()


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


@pytest.mark.parametrize("end", ["", "\n" + TRIED[2]], ids=["end of input", "empty line"])
def test_typed_rows_are_asked_for_again_after_a_mistyped_one(end, monkeypatch, tmp_path, capsys):
    weights = random_weights(5, size=0.3)
    p4.write_model(tmp_path / "p4_model.hdf5", weights, ADAM, (0, 1))
    typed = [TRIED[0], "0110x", TRIED[1], end]
    monkeypatch.setattr(p4.sys, "stdin", io.StringIO("\n".join(typed)))
    run_main(monkeypatch, p4, "--out", tmp_path, "--try")
    printed = capsys.readouterr().out
    assert probabilities_of(printed) == expected_of(weights, TRIED[:2], (0, 1))
    assert "0110x" in printed


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


# The control of shared weights

def test_control_starts_both_kinds_of_windows_as_wide_as_the_convolution():
    p4.keras.utils.set_random_seed(0)
    limit = np.abs(p4.build_convolution(ADAM).get_weights()[0]).max()
    for build in (control_p4.build_shared, control_p4.build_unshared):
        filters = [array for array in build(ADAM).get_weights() if array.shape[-2:] in (
            (1, 20), (6, 20))]
        widest = [np.abs(array).max() for array in filters]
        assert len(filters) in (1, 15) and len({*widest}) == len(filters)
        assert widest == pytest.approx(len(widest) * [limit], rel=0.1)


def test_control_writes_what_it_measures(monkeypatch, tmp_path):
    path = write_sequences(tmp_path / "f.hdf5", 100, people=10)
    models = []
    monkeypatch.setattr(p4, "train", lambda model, *_: models.append(model))
    run_main(monkeypatch, control_p4, "--data", path, "--out", tmp_path)
    rows = p4.rows_of(p4.load_sequences(path), None)
    *networks, gain = table(tmp_path / "p4_control.csv")
    rights = []
    for row, of_folds in zip(networks, np.reshape(models, (3, 5)), strict=True):
        f = np.array([p4.log_odds(model, rows.x) for model in of_folds])
        right, _, training_accuracy, _ = judged(f, rows)
        share, half = p4.over_people(100 * right, rows.person)
        assert int(row["parameters"]) == sum(array.size for array in of_folds[0].get_weights())
        assert_numbers(row, {"training accuracy (%)": 100 * training_accuracy,
                             "accuracy (%)": share, "half of 95% interval": half})
        rights.append(100.0 * right)
    share, half = p4.over_people(rights[2] - rights[1], rows.person)
    assert_numbers(gain, {"accuracy (%)": share, "half of 95% interval": half})
    assert int(networks[1]["parameters"]) > int(networks[2]["parameters"])

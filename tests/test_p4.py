"""Problem 4: the network, folds without leaks, what the network says, features, the model's
dialect of 2020, other years' files, --try."""
import csv
import io
import json
import sys

import h5py
import numpy as np
import pytest
from conftest import (OUTPUTS, assert_each_epoch_has_its_own_order, contents, recording, run_main,
                      write_sequences)

import p4_human_machine as p4
from data.loader import SequenceData

RNG = np.random.default_rng(0)
ROWS = RNG.choice([-1, 1], (210, 20)).astype(np.int8)
HUMAN = np.arange(210) < 105
FIVE_FOLDS = np.arange(210) % 5  # of 42 rows; 168 are no whole number of minibatches of 16
ADAM = p4.SETTINGS["Adam"]


def test_network_is_the_homeworks():
    setting = p4.Setting("Adam", 0.01, l1=0.1, l2=0.2, dropout=0.3)
    hidden, dropout, output = p4.build(20, setting).layers
    assert (hidden.units, output.units, dropout.rate) == (20, 1, 0.3)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "sigmoid"
    for layer in (hidden, output):
        assert layer.kernel_regularizer.l1 == pytest.approx(0.1)
        assert layer.kernel_regularizer.l2 == pytest.approx(0.2)
    assert p4.BATCH_SIZE == 16 and p4.FOLDS == 5


def test_convolution_has_one_set_of_weights_for_all_places():
    """With one window of 1, the filters' output moves along with it, and their mean stays."""
    model = p4.build_convolution(20, ADAM)
    rows = np.full((10, 20), -1, np.float32)
    for place, row in enumerate(rows):
        row[5 + place] = 1
    np.testing.assert_allclose(model(rows), np.full((10, 1), model(rows)[0]), atol=1e-6)
    assert model(-rows)[0] != model(rows)[0]


# Training and folds

@pytest.fixture
def two_epochs(monkeypatch):
    monkeypatch.setattr(p4, "EPOCHS", 2)


@pytest.mark.parametrize("build", [p4.build, p4.build_convolution])
def test_each_epoch_trains_on_every_row_that_is_not_held_out_in_a_new_order(
        build, two_epochs, monkeypatch):
    monkeypatch.setattr(p4, "FOLDS", 2)
    x = ROWS.astype(np.float32)
    x[:, 0] = np.arange(len(x))  # numbers the row
    seen = [[], []]
    folds = FIVE_FOLDS.clip(max=1)
    unused = iter(seen)

    def recording_build(inputs, setting):
        return recording(p4.tf, build(inputs, setting), next(unused))
    p4.cross_validate("name", x, HUMAN, folds, ADAM, recording_build)
    for fold in (0, 1):
        trained_on = x[folds != fold]
        assert len(trained_on) % p4.BATCH_SIZE
        assert_each_epoch_has_its_own_order(seen[fold], trained_on, epochs=2)


def test_training_learns_label_1_for_human_and_repeats_from_its_seed(monkeypatch):
    monkeypatch.setattr(p4, "EPOCHS", 4)
    monkeypatch.setattr(p4, "FOLDS", 1)  # the first of five alone
    rows = np.where(HUMAN[:, None], 1, -1) * np.ones((1, 20), int)
    setting = ADAM._replace(dropout=0.2)
    first = p4.cross_validate("name", rows, HUMAN, FIVE_FOLDS, setting)
    again = p4.cross_validate("name", rows, HUMAN, FIVE_FOLDS, setting)
    for weights, same in zip(first.weights[0], again.weights[0]):
        assert np.array_equal(weights, same)
    held_out = FIVE_FOLDS == 0
    assert (first.log_odds[held_out & HUMAN] > 0.5).all()
    assert (first.log_odds[held_out & ~HUMAN] < -0.5).all()
    assert first.histories[0]["val_accuracy"][-1] == 1 and first.right[held_out].all()


def test_held_out_rows_have_no_part_in_the_training_and_the_learning_rate_ends_at_zero(
        two_epochs, monkeypatch):
    monkeypatch.setattr(p4, "FOLDS", 1)
    other = ROWS.copy()
    other[FIVE_FOLDS == 0] = 1
    models = []

    def build(inputs, setting):
        models.append(p4.build(inputs, setting))
        return models[-1]
    for rows in (ROWS, other):
        p4.cross_validate("name", rows, HUMAN, FIVE_FOLDS, ADAM, build)
    for weights, same in zip(models[0].get_weights(), models[1].get_weights()):
        assert np.array_equal(weights, same)
    assert models[0].optimizer.learning_rate < 1e-9


def test_cross_validation_judges_each_row_by_a_network_that_has_not_seen_it(monkeypatch):
    trained = []

    class Model:
        """Says "human" with a probability of 0.75, whatever it sees."""
        def __call__(self, x):
            return p4.tf.constant(np.full((len(x), 1), 0.75))

        def get_weights(self):
            return "weights"

    def train(model, setting, seed, *arrays):
        fold = len(trained)
        held_out = FIVE_FOLDS == fold
        sides = ROWS[~held_out], HUMAN[~held_out, None], ROWS[held_out], HUMAN[held_out, None]
        for given, expected in zip(arrays, sides, strict=True):
            assert np.array_equal(given, expected)
        trained.append(seed)
        return {}
    monkeypatch.setattr(p4, "train", train)
    result = p4.cross_validate("name", ROWS, HUMAN, FIVE_FOLDS, ADAM, lambda *_: Model())
    assert len(set(trained)) == 5
    np.testing.assert_allclose(result.log_odds, np.log(3), rtol=1e-6)
    assert np.array_equal(result.right, HUMAN)


def test_cross_entropy_is_that_of_the_labels():
    p = np.array([0.9, 0.2, 0.7])
    human = np.array([True, False, False])
    expected = -(np.log(0.9) + np.log(0.8) + np.log(0.3)) / 3
    assert p4.cross_entropy(np.log(p / (1 - p)), human) == pytest.approx(expected)


# Rows and their people

def sequences(people, machine_rows=None):
    number = len(people)
    return SequenceData(ROWS[:number], ROWS[:machine_rows or number], (-1, 1), people, "a test")


def test_rows_of_a_person_are_numbered_and_each_has_machine_rows_too():
    names = np.array([7, 7, 3, 3, 9, 9, 40, 40, 5, 5])
    rows, human, person = p4.rows_and_people(sequences(names, 14), None)
    assert human.tolist() == 10 * [True] + 14 * [False] and len(rows) == 24
    expected = [2, 2, 0, 0, 3, 3, 4, 4, 1, 1]
    assert person.tolist() == expected + expected + expected[:4]


def test_blocks_of_rows_are_people_where_the_user_says_so():
    data = sequences(np.empty(50))._replace(person=None)
    _, _, person = p4.rows_and_people(data, 10)
    assert person.tolist() == 2 * np.repeat(range(5), 10).tolist()


@pytest.mark.parametrize("people", [None, np.arange(50) // 13])
def test_rows_stand_alone_where_people_are_unknown_or_fewer_than_the_folds(people):
    data = sequences(np.empty(50))._replace(person=people)
    _, _, person = p4.rows_and_people(data, None)
    assert person.tolist() == 2 * list(range(50))


def test_folds_never_separate_a_person_and_are_equally_large():
    person = np.repeat(np.arange(85), RNG.integers(22, 25, 85))
    folds = p4.folds_of(person)
    for someone in range(85):
        assert len(set(folds[person == someone])) == 1
    assert [len(set(person[folds == fold])) for fold in range(5)] == 5 * [17]
    assert np.bincount(p4.folds_of(np.arange(1000))).tolist() == 5 * [200]


def result(log_odds, human):
    """What p4.cross_validate() could have returned."""
    shapes = (20, 20), (20,), (20, 1), (1,)
    weights = [[RNG.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(5)]
    keys = "accuracy", "val_accuracy", "binary_crossentropy", "val_binary_crossentropy"
    histories = 5 * [dict.fromkeys(keys, [0.5, 0.6])]
    return p4.Result(weights, histories, log_odds, (log_odds > 0) == human)


@pytest.fixture
def trainings(monkeypatch):
    """[(setting, rows, human, folds, builder)] of each cross_validate(); nothing is trained, all
    rows are judged right."""
    begun = []

    def cross_validate(name, rows, human, folds, setting, build_model=p4.build):
        begun.append((setting, rows, human, folds, build_model))
        return result(np.where(human, 2.0, -2.0), human)
    monkeypatch.setattr(p4, "cross_validate", cross_validate)
    monkeypatch.setattr(p4, "ask_networks", lambda *_: {})
    return begun


@pytest.mark.parametrize("with_people", [True, False], ids=["person", "--rows-per-person"])
def test_a_person_and_its_machine_rows_are_on_one_side(
        with_people, trainings, monkeypatch, tmp_path):
    people = 16 if with_people else None
    path = write_sequences(tmp_path / "f.hdf5", 400, people=people)
    option = [] if with_people else ["--rows-per-person", 25]
    run_main(monkeypatch, p4, "--data", path, *option, "--out", tmp_path / "out")
    data = p4.load_sequences(path)
    assert len(trainings) == len(p4.SETTINGS) + len(p4.FEATURES) + 1
    for _, rows, human, folds, _ in trainings:
        assert human.tolist() == 400 * [True] + 400 * [False]
        if rows.shape[1] == 20 and set(np.unique(rows)) == {-1, 1}:
            assert np.array_equal(rows, np.concatenate([data.human, data.machine]))
        by_person = folds.reshape(2, 16, 25)
        assert (by_person == by_person[:1, :, :1]).all() and len(set(folds)) == 5
    results = json.loads((tmp_path / "out" / "p4_results.json").read_text())
    assert (results["split_by"], results["people"]) == ("people", 16)
    assert (tmp_path / "out" / "p4_rows.csv").exists()


def test_one_person_alone_is_no_split_by_people(trainings, monkeypatch, tmp_path):
    alone = write_sequences(tmp_path / "f.hdf5", 120, people=1)
    run_main(monkeypatch, p4, "--quick", "--data", alone, "--out", tmp_path / "out")
    results = json.loads((tmp_path / "out" / "p4_results.json").read_text())
    assert results["split_by"] == "rows" and not (tmp_path / "out" / "p4_rows.csv").exists()


# What is submitted

def test_the_setting_of_the_lowest_cross_entropy_is_submitted(trainings, monkeypatch, tmp_path):
    """Adam alone is right most often; where it is wrong, it is sure."""
    cross_validate, found = p4.cross_validate, {}

    def two_kinds(name, rows, human, folds, setting, build_model=p4.build):
        cross_validate(name, rows, human, folds, setting, build_model)
        label = np.where(human, 1, -1)
        right = np.arange(len(human)) % 10 != 0
        log_odds = np.where(right, label, -9 * label)
        if name == "calm":
            right = np.arange(len(human)) % 5 != 0
            log_odds = np.where(right, label, -0.1 * label)
        return found.setdefault(name, result(log_odds, human))
    monkeypatch.setattr(p4, "cross_validate", two_kinds)
    calm = p4.Setting("RMSprop", 0.01, l2=0.25)
    monkeypatch.setattr(p4, "SETTINGS", {"Adam": ADAM, "calm": calm, "SGD": ADAM})
    path = write_sequences(tmp_path / "f.hdf5", 200)
    run_main(monkeypatch, p4, "--data", path, "--out", tmp_path / "out")
    assert found["Adam"].right.mean() > found["calm"].right.mean()
    results = json.loads((tmp_path / "out" / "p4_results.json").read_text())
    assert results["submitted"] == "calm" and results["validation_accuracy"] == 0.8
    W = found["calm"].weights[0][0]
    with h5py.File(tmp_path / "out" / "p4_model.hdf5") as file:
        assert np.array_equal(file["model_weights/hidden/hidden/kernel:0"], W)
        assert '"RMSprop"' in file.attrs["training_config"].decode()
    assert (tmp_path / "out" / "p4_weights.txt").read_text() == p4.matrix_text(W) + "\n"
    # Features are compared in the setting submitted, the convolution is trained without penalty.
    assert [training[0] for training in trainings[3:]] == [calm, calm, calm, ADAM]
    assert trainings[-1][-1] is p4.build_convolution


# What the network says

A, B = 4, 7  # two of eight inputs


@pytest.fixture
def eight_inputs(monkeypatch):
    """All 256 rows of -1 and +1."""
    monkeypatch.setattr(p4, "INPUTS", 8)
    x = p4.all_rows()
    assert np.unique(x, axis=0).shape == (256, 8) and set(x.ravel()) == {-1, 1}
    return x


def network(pair=0.0, single=0.0, inputs=8):
    """Weights of a network that says pair * x[A] * x[B] + single * x[3] + 0.5.

    ab = relu(a + b) + relu(-a - b) - 1, and s = relu(s) - relu(-s)."""
    W, b = np.zeros((inputs, 4)), np.zeros(4)
    v = np.array([[pair], [pair], [single], [-single]], float)
    W[[A, B], 0] = 1
    W[[A, B], 1] = -1
    W[3, 2:] = 1, -1
    return [W, b, v, np.array([0.5 - pair])]


def test_pairs_and_singles_of_a_network_made_by_hand(eight_inputs):
    pairs, share_of_singles, share_of_pairs = p4.what_it_says(network(3, 2), eight_inputs, (-1, 1))
    expected = np.zeros((8, 8))
    expected[A, B] = 3
    np.testing.assert_allclose(pairs, expected, atol=1e-12)
    assert (share_of_singles, share_of_pairs) == (pytest.approx(4 / 13), pytest.approx(9 / 13))
    _, *shares = p4.what_it_says(network(pair=3), eight_inputs, (-1, 1))
    assert shares == [pytest.approx(0), pytest.approx(1)]
    _, *shares = p4.what_it_says(network(single=2), eight_inputs, (-1, 1))
    assert shares == [pytest.approx(1), pytest.approx(0)]


def test_what_a_network_says_is_left_alone_by_another_scale_of_a_neuron(eight_inputs):
    weights = network(3, 2)
    W, b, v, c = (array.copy() for array in weights)
    W[:, 0], b[0], v[0] = 5 * W[:, 0], 5 * b[0], v[0] / 5
    pairs, *shares = p4.what_it_says(weights, eight_inputs, (-1, 1))
    pairs_scaled, *shares_scaled = p4.what_it_says([W, b, v, c], eight_inputs, (-1, 1))
    np.testing.assert_allclose(pairs_scaled, pairs, atol=1e-12)
    assert shares_scaled == pytest.approx(shares)


def test_what_a_network_says_is_the_same_in_the_other_coding(eight_inputs):
    """x = 2 u - 1, so weights are twice as large, and the bias takes their sum off."""
    W, b, v, c = network(3, 2)
    of_bits = [2 * W, b - W.sum(axis=0), v, c]
    pairs, *shares = p4.what_it_says([W, b, v, c], eight_inputs, (-1, 1))
    pairs_of_bits, *shares_of_bits = p4.what_it_says(of_bits, eight_inputs, (0, 1))
    np.testing.assert_allclose(pairs_of_bits, pairs, atol=1e-12)
    assert shares_of_bits == pytest.approx(shares)


def test_weights_of_one_sign_by_kind_of_neuron():
    W = np.ones((20, 4))
    W[::2, [1, 3]] = -1  # alternate
    W[10:, 2] = -1  # one change
    v = np.array([[-1.0], [2.0], [3.0], [-0.001]])  # the last is silent
    machine, human = p4.same_sign([W, None, v, None], 1)
    assert machine == 1 and human == pytest.approx((0 + 18 / 19) / 2)
    machine, human = p4.same_sign([W, None, v, None], 2)
    assert machine == 1 and human == pytest.approx((1 + 16 / 18) / 2)


def test_tables_of_the_networks_by_lag(monkeypatch, tmp_path):
    monkeypatch.setattr(p4, "FOLDS", 2)
    path = write_sequences(tmp_path / "f.hdf5", 200, people=10)
    data = p4.load_sequences(path)
    networks = [network(3, 2, inputs=20), network(-1, 1, inputs=20)]
    numbers = p4.ask_networks(networks, data, data.person, tmp_path)
    assert numbers["share_of_pairs_in_each_network"] == pytest.approx([9 / 13, 1 / 2], abs=1e-4)
    with (tmp_path / "p4_lags.csv").open(encoding="utf-8") as file:
        _, *rows = np.array(list(csv.reader(file)))
    for lag, mean, _, machine, *coefficients in np.array(rows, float):
        lag = int(lag)
        for given, x in ((mean, data.human), (machine, data.machine)):
            products = [x[:, i] * x[:, i + lag] for i in range(20 - lag)]
            assert given == pytest.approx(np.mean(products), abs=1e-4)
        expected = [3 / 17, -1 / 17] if lag == B - A else [0, 0]
        assert coefficients == pytest.approx(expected, abs=1e-4)


def test_picture_of_the_weights_parts_the_kinds_of_neurons(monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(p4, "save", lambda figure, path: figures.append(figure))
    W, b, v, c = result(np.ones(1), True).weights[0]
    v[:, 0] = RNG.permutation([*range(-8, 0), 0, 0.001, *range(1, 11)])
    p4.plot_weights([W, b, v, c], tmp_path)
    p4.plt.close("all")
    _, matrix, _ = figures[0].axes
    image = matrix.images[0]
    assert np.array_equal(image.get_array(), W[:, np.argsort(v[:, 0])])
    assert image.get_clim()[0] == -image.get_clim()[1]
    borders = [line.get_xdata()[0] for line in matrix.get_lines()]
    assert borders == [8 - 0.5, 10 - 0.5]  # silent neurons between them


def test_printed_matrix_has_inputs_as_rows():
    W = np.zeros((20, 20))
    W[2, 4] = 1.5
    lines = p4.matrix_text(W).splitlines()
    assert lines[3].split()[0] == "3" and lines[3].split()[5] == "1.50"
    assert sum(line.count("1.50") for line in lines) == 1 and len(lines) == 2 * (1 + 20)
    assert max(map(len, lines)) <= 80  # a terminal


# Features, each against a plain loop

def in_each_row(count):
    """count() of each row's text of zeros and ones."""
    texts = ["".join("1" if value > 0 else "0" for value in row) for row in ROWS]
    return [count(text) for text in texts]


BITS = (ROWS + 1) // 2  # the other coding


@pytest.mark.parametrize("rows", [ROWS, BITS])
def test_transitions(rows):
    expected = in_each_row(lambda text: text.count("01") + text.count("10"))
    assert p4.transitions(rows).tolist() == expected


@pytest.mark.parametrize("rows", [ROWS, BITS])
def test_lag_products(rows):
    products = p4.lag_products(rows)
    assert products.shape == (210, 10)
    for lag in (1, 2, 10):
        by_place = [ROWS[:, i] * ROWS[:, i + lag] for i in range(20 - lag)]
        np.testing.assert_allclose(products[:, lag - 1], np.mean(by_place, axis=0))


@pytest.mark.parametrize("rows", [ROWS, BITS])
def test_four_grams(rows):
    shares = p4.four_grams(rows)
    assert shares.shape == (210, 16)
    for code in range(16):
        pattern = f"{code:04b}"
        expected = in_each_row(
            lambda text: sum(text[i:i + 4] == pattern for i in range(17)) / 17)
        np.testing.assert_allclose(shares[:, code], expected)


@pytest.mark.parametrize("rows", [ROWS, BITS])
def test_balance_of_windows(rows):
    expected = []
    for row in ROWS.astype(int):
        sums = [row[i:i + 6].sum() for i in range(15)]
        expected.append(np.mean(np.square(sums)) / 6)
    np.testing.assert_allclose(p4.imbalance_of_windows(rows), expected)


def test_feature_sets_are_centred_and_scaled_by_coin_flips():
    one_hot, products, grams = (features_of(ROWS) for features_of in p4.FEATURES.values())
    assert one_hot.argmax(axis=1).tolist() == p4.transitions(ROWS).tolist()
    assert one_hot.sum() == len(ROWS)
    for features, width in ((products, 10), (grams, 16)):
        assert features.shape == (210, width)
        assert np.abs(features.mean(axis=0)).max() < 0.3 and 0.7 < features.std() < 1.3


# Numbers over people

def test_means_and_intervals_over_people():
    values, person = np.array([1, 1, 0, 0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2, 2, 2])
    mean, half = p4.over_people(values, person)  # of people's means 1, 0 and 0.5
    assert (mean, half) == (0.5, pytest.approx(1.96 * 0.5 / 3 ** 0.5))


def test_spread_of_people_is_1_where_rows_of_a_person_are_not_alike():
    person = np.repeat(range(500), 20)
    assert p4.spread_of_people(RNG.normal(size=10_000), person) == pytest.approx(1, abs=0.2)
    # Means 0 and 2, of variance 2; rows of variance 4/3.
    spread = p4.spread_of_people(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 1]))
    assert spread == pytest.approx(2 * 2 / (4 / 3))


def test_rows_of_one_person_and_of_its_machine_are_added():
    log_odds = np.array([3.0, -1, 1, -4, -2, 1, 2, 3, 9])
    human = np.arange(9) < 4
    person = np.array([0, 0, 1, 1, 0, 0, 1, 1, 1])
    number, share, _ = p4.add_rows(log_odds, human, person, 1)
    assert (number, share) == (9, pytest.approx((2 / 4 + 1 / 5) / 2))
    # Person 0: human +2 right, machine -1 right. Person 1: human -3 wrong, machine +5 wrong; the
    # last row has no second one.
    number, share, half = p4.add_rows(log_odds, human, person, 2)
    assert (number, share, half) == (4, 0.5, pytest.approx(1.96 * 0.5))


def test_gains_of_features_are_over_raw_presses(monkeypatch, tmp_path):
    person = np.repeat(np.arange(10), 21)
    better = result(np.where(HUMAN, 1.0, -1.0), HUMAN)
    raw = result(np.ones(210), HUMAN)
    p4.compare_features({"raw presses": raw, "better": better}, person, tmp_path)
    with (tmp_path / "p4_features.csv").open(encoding="utf-8") as file:
        _, first, second = csv.reader(file)
    assert first[0] == "raw presses" and float(first[1]) == 50 and float(first[3]) == 0
    assert second[0] == "better" and float(second[1]) == 100 and float(second[3]) == 50
    assert float(second[2]) == 0 and float(second[4]) == float(first[2]) > 20


# The model file

def write_model(path, setting=ADAM):
    weights = result(np.ones(1), True).weights[0]
    p4.write_model(path, weights, setting)
    return weights


@pytest.mark.parametrize("name", p4.SETTINGS)
def test_model_loads_compiled_predicts_and_trains_on(name, tmp_path):
    setting = p4.SETTINGS[name]
    W, b, v, c = write_model(tmp_path / "m.hdf5", setting)
    model = p4.keras.models.load_model(tmp_path / "m.hdf5")
    expected = 1 / (1 + np.exp(-(np.maximum(ROWS @ W + b, 0) @ v + c)))
    x, y = ROWS.astype(np.float32), HUMAN.astype(np.float32)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    assert model.optimizer.name.lower() == setting.optimizer.lower()
    model.fit(x, y, epochs=1, verbose=0)
    assert not np.array_equal(model.get_weights()[0], W)


def test_model_speaks_the_dialect_of_2020(tmp_path):
    write_model(tmp_path / "m.hdf5", p4.SETTINGS["Adam, L2 0.003"])
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


# Other years' files

def test_another_years_file_runs_whole_without_people(runs):
    run = runs[4, "other year"].result()
    assert run.status == 0, run.errors
    assert sorted(contents(run.out)) == sorted({*OUTPUTS[4]} - {"p4_rows.csv"})
    results = json.loads((run.out / "p4_results.json").read_text())
    assert results["coding"] == [0, 1] and results["split_by"] == "rows"
    assert results["source"] == "own file other.hdf5" and results["human_rows"] == 300


def test_a_file_in_blocks_runs_whole_with_people(runs):
    run = runs[4, "course"].result()
    assert run.status == 0, run.errors
    assert sorted(contents(run.out)) == sorted(OUTPUTS[4])
    results = json.loads((run.out / "p4_results.json").read_text())
    assert (results["split_by"], results["people"]) == ("people", 12)


def test_weights_files_hold_the_models_matrix(runs):
    run = runs[4, "other year"].result()
    with h5py.File(run.out / "p4_model.hdf5") as file:
        W = file["model_weights/hidden/hidden/kernel:0"][()]
    assert (run.out / "p4_weights.txt").read_text() == p4.matrix_text(W) + "\n"
    assert p4.matrix_text(W) in run.output
    with (run.out / "p4_weights.csv").open() as file:
        _, *rows = csv.reader(file)
    np.testing.assert_allclose(np.array(rows, float)[:, 1:], W, rtol=1e-7)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(p4, "cross_validate", lambda *_: pytest.fail("a training was started"))


@pytest.mark.parametrize("value", ["0", "-3", "x", "2.5"])
def test_rows_per_person_is_a_whole_number_above_0(
        value, no_training, monkeypatch, tmp_path, capsys):
    path = write_sequences(tmp_path / "f.hdf5", 200)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, p4, "--data", path, "--out", tmp_path / "out", "--rows-per-person",
                 value)
    last = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code and "--rows-per-person" in last and value in last
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("people, value, found", [
    (None, 30, "200 human rows"), (None, 50, "4 blocks"), (10, 20, "`person`")])
def test_rows_per_person_must_fit_the_file(
        people, value, found, no_training, monkeypatch, tmp_path):
    path = write_sequences(tmp_path / "f.hdf5", 200, people=people)
    with pytest.raises(p4.DataError, match="rows-per-person") as refusal:
        run_main(monkeypatch, p4, "--data", path, "--out", tmp_path / "out", "--rows-per-person",
                 value)
    assert found in str(refusal.value) and "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_another_file_needs_a_folder_of_its_own(no_training, monkeypatch, tmp_path, capsys):
    """Also where outputs/ is a link to somewhere else."""
    path = write_sequences(tmp_path / "f.hdf5", 200)
    (tmp_path / "elsewhere").mkdir()
    if sys.platform != "win32":
        (tmp_path / "outputs").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(p4, "FOLDER", tmp_path)
    with pytest.raises(SystemExit) as end:
        run_main(monkeypatch, p4, "--data", path)
    last = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code and "--out" in last and not contents(tmp_path / "elsewhere")


# --try

TRIED = ["01101001011010010110", "00000000001111111111"]


@pytest.mark.parametrize("given, typed", [(TRIED, ""), ([], "\n".join([*TRIED, "", "x"]))],
                         ids=["given", "typed"])
@pytest.mark.parametrize("kind, low", [("other year", 0), ("first", -1)])
def test_try_judges_each_row_in_the_coding_of_the_model_and_all_together(
        kind, low, given, typed, runs, monkeypatch, capsys):
    out = runs[4, kind].result().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    run_main(monkeypatch, p4, "--out", out, "--try", *given)
    rows = np.array([[1 if bit == "1" else low for bit in text] for text in TRIED], np.float32)
    p = p4.keras.models.load_model(out / "p4_model.hdf5").predict(rows, verbose=0)[:, 0]
    odds = np.prod(p / (1 - p))
    one, two = capsys.readouterr().out.strip().splitlines()[-2:]
    assert TRIED[0] in one and f"{p[0]:.0%}" in one
    assert TRIED[1] in two and f"{p[1]:.0%}" in two and f"{odds / (1 + odds):.0%}" in two


@pytest.mark.parametrize("bits", ["0110", "0" * 21, "0110100101101001011x", "٠" * 20])
def test_try_refuses_other_input_in_one_line(bits, runs):
    with pytest.raises(p4.DataError, match="expected 20 zeros and ones") as refusal:
        p4.try_bits([bits], runs[4, "other year"].result().out)
    assert "\n" not in str(refusal.value)


def test_try_without_a_model_or_with_a_damaged_one_says_how_to_get_one(runs, tmp_path):
    with pytest.raises(p4.DataError, match="run first: python p4_human_machine.py"):
        p4.try_bits(TRIED, tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    good = contents(runs[4, "other year"].result().out)
    for damaged in ("p4_results.json", "p4_model.hdf5"):
        for name in ("p4_results.json", "p4_model.hdf5"):
            (tmp_path / name).write_bytes(b"{}" if name == damaged else good[name])
        with pytest.raises(p4.DataError, match="run first: python p4_human_machine.py"):
            p4.try_bits(TRIED, tmp_path)

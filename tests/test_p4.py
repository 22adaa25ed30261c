"""Problem 4: network, folds without leaks, features, sums of rows, the model's dialect, --try."""
import csv
import io
import json
import sys

import h5py
import numpy as np
import pytest
from conftest import OUTPUTS, contents, write_sequences

import p4_human_machine as p4

RNG = np.random.default_rng(0)
ROWS = RNG.choice([-1, 1], (200, 20)).astype(np.int8)
HUMAN = np.arange(200) < 100
ADAM = p4.SETTINGS["Adam"]


def test_network_is_the_homeworks():
    hidden, dropout, output = p4.build(20, l1=0.1, l2=0.2, dropout=0.3).layers
    assert (hidden.units, output.units, dropout.rate) == (20, 1, 0.3)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "sigmoid"
    assert hidden.kernel_regularizer.l1 == pytest.approx(0.1)
    assert output.kernel_regularizer.l2 == pytest.approx(0.2) and p4.BATCH_SIZE == 16


def test_training_learns_label_1_for_human_and_repeats_from_its_seed():
    rows = np.where(HUMAN[:, None], np.int8(1), np.int8(-1)) * np.ones((1, 20), np.int8)
    held_out = np.arange(200) % 5 == 0
    (model, history), (same, _) = (p4.train(rows, HUMAN, held_out, 4, 3, **ADAM, dropout=0.2)
                                   for _ in (0, 1))
    p = model(rows.astype(np.float32)).numpy()[:, 0]
    assert (p[:100] > 0.6).all() and (p[100:] < 0.4).all() and history["val_accuracy"][-1] == 1
    assert int(model.optimizer.iterations) == 4 * (160 // 16)
    assert model.optimizer.learning_rate < 1e-9
    assert all(np.array_equal(*W) for W in zip(model.get_weights(), same.get_weights()))


def test_held_out_rows_have_no_part_in_the_training():
    held_out = np.arange(200) % 5 == 0
    other = ROWS.copy()
    other[held_out] = 1
    one, same = (p4.train(rows, HUMAN, held_out, 2, 0, **ADAM)[0].get_weights()
                 for rows in (ROWS, other))
    assert all(np.array_equal(*W) for W in zip(one, same))


def test_folds_never_separate_a_group_and_are_equally_large():
    person = np.repeat(np.arange(85), RNG.integers(22, 25, 85))
    folds = p4.folds_of(person, 5)
    assert all(len(set(folds[person == one])) == 1 for one in range(85))
    assert [len(set(person[folds == fold])) for fold in range(5)] == 5 * [17]
    assert np.bincount(p4.folds_of(np.arange(1000), 5)).tolist() == 5 * [200]


def test_cross_validation_judges_each_row_by_a_network_that_has_not_seen_it(monkeypatch):
    folds, seen = p4.folds_of(np.arange(200), 5), []

    class Model:  # right on human rows alone
        def __call__(self, x):
            return p4.tf.constant(np.full((len(x), 1), 0.75))

    def train(x, human, held_out, epochs, seed, **setting):
        seen.append((held_out, seed))
        return Model(), {}
    monkeypatch.setattr(p4, "train", train)
    of = p4.cross_validate("name", ROWS, HUMAN, folds, 2, ADAM)
    assert np.array_equal(np.sum([held_out for held_out, _ in seen], axis=0), np.ones(200))
    assert all(np.array_equal(held_out, folds == fold) for fold, (held_out, _) in enumerate(seen))
    assert len({seed for _, seed in seen}) == 5
    np.testing.assert_allclose(of["log_odds"], np.log(3), rtol=1e-6)
    assert np.array_equal(of["right"], HUMAN)


def test_a_person_and_its_machine_rows_are_on_one_side(tmp_path, monkeypatch):
    path, calls, train = write_sequences(tmp_path / "f.hdf5", 400, people=20), [], p4.train
    data = p4.load_sequences(path)

    def recorded(x, human, held_out, epochs, seed, **setting):
        assert human.tolist() == 400 * [True] + 400 * [False]
        if x.shape[1] == 20:
            assert np.array_equal(x, np.concatenate([data.human, data.machine]))
        calls.append(held_out)
        return train(x, human, held_out, 1, seed, **setting)
    monkeypatch.setattr(p4, "train", recorded)
    main(monkeypatch, "--quick", "--data", path, "--out", tmp_path / "out")
    assert len(calls) == 4  # two sets of features, two folds each
    for held_out in calls:
        assert all(len(set(held_out[:400][data.person == one])) == 1 for one in range(20))
        assert np.array_equal(held_out[:400], held_out[400:])


# Features, each against a plain loop

def row_by_row(count):
    return [count("".join("1" if value > 0 else "0" for value in row)) for row in ROWS]


def test_transitions_and_switches_after_runs():
    assert p4.transitions(ROWS).tolist() == row_by_row(lambda s: s.count("01") + s.count("10"))
    rows = np.array([[0, 0, 1, 1, 1, 0] + 14 * [1]])
    # Runs of 2, 3, 1 that end in a switch, and one of 14 that does not end.
    assert p4.switch_rates(rows).tolist() == [1 / 4, 1 / 3, 1 / 2, 0, 0, 0]


def test_lag_products_and_four_grams():
    lags = p4.lag_products(ROWS)
    by_hand = sum(int(ROWS[3, i]) * ROWS[3, i + 2] for i in range(18)) / 18
    assert lags[3, 1] == pytest.approx(by_hand) and lags.shape == (200, 10)
    assert np.array_equal(p4.lag_products((ROWS + 1) // 2), lags)
    grams = p4.four_grams(ROWS) * 17
    np.testing.assert_allclose(grams[:, 0b0110], row_by_row(
        lambda s: sum(s[i:i + 4] == "0110" for i in range(17))))
    np.testing.assert_allclose(grams.sum(axis=1), 17)


def test_feature_sets():
    features = {name: of(ROWS) for name, of in p4.FEATURES.items()}
    assert [of.shape[1] for of in features.values()] == [20, 20, 10, 16]
    assert next(iter(features)) == "raw values"
    one_hot = features["number of transitions, one-hot"]
    assert one_hot.argmax(axis=1).tolist() == p4.transitions(ROWS).tolist()
    for name in ("products at lags 1 to 10", "counts of 4-grams"):  # ROWS are coin flips
        assert np.abs(features[name].mean(axis=0)).max() < 0.3
        assert 0.7 < features[name].std() < 1.3


def test_two_neurons_multiply():
    """What the page of answers says: ab = relu(a + b) + relu(-a - b) - 1 for -1 and +1."""
    a, b = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]])
    assert np.array_equal(a * b, np.maximum(a + b, 0) + np.maximum(-a - b, 0) - 1)


def test_interval_adds_the_residuals_of_a_group():
    values, groups = np.array([1, 1, 0, 0, 1, 0]), np.array([7, 7, 8, 8, 9, 9])
    mean, half = p4.with_interval(values, groups)
    assert mean == pytest.approx(0.5)
    assert half == pytest.approx(1.96 * (3 / 2 * (1 + 1) / 36) ** 0.5)
    values = RNG.random(1000)  # without groups: the textbook's
    assert p4.with_interval(values, np.arange(1000))[1] == pytest.approx(
        1.96 * values.std(ddof=1) / 1000 ** 0.5)


def test_rows_of_one_person_and_of_its_machine_are_added():
    log_odds = np.array([3., -1, 1, -4, -2, 1, 2, 2])
    human, person = np.arange(8) < 4, np.array([1, 1, 2, 2, 1, 1, 2, 2])
    assert p4.add_rows(log_odds, human, person, 1)[0] == pytest.approx(3 / 8)
    # Pairs: human +2 right, human -3 wrong, machine -1 right, machine +4 wrong.
    assert p4.add_rows(log_odds, human, person, 2)[0] == pytest.approx(1 / 2)


def test_lag_profile_finds_the_pairs_a_network_looks_at():
    class Model:
        def get_weights(self):
            W, v = np.zeros((20, 20)), np.zeros((20, 1))
            W[4, 0], W[7, 0], v[0] = 1, 1, 2       # equal values 3 apart: human
            W[10, 1], W[11, 1], v[1] = 1, -1, -3   # 1 apart: also human, by two minus signs
            return W, None, v, None
    profile = p4.lag_profile(Model())
    assert profile[2] == pytest.approx(2 / 17) and profile[0] == pytest.approx(3 / 19)
    assert sum(value != 0 for value in profile) == 2


def test_printed_matrix_has_inputs_as_rows():
    W = np.zeros((20, 20))
    W[2, 4] = 1.5
    lines = p4.matrix_text(W).splitlines()
    assert lines[0].split() == ["neuron", *map(str, range(1, 11))] and max(map(len, lines)) <= 80
    assert lines[3].split()[0] == "3" and lines[3].split()[5] == "1.50"
    assert sum(line.count("1.50") for line in lines) == 1 and len(lines) == 42


# The model file

def model_file(path, setting=ADAM):
    shapes, rng = ((20, 20), (20,), (20, 1), (1,)), np.random.default_rng(1)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    p4.write_model(path, weights, **setting)
    return weights


@pytest.mark.parametrize("name", p4.SETTINGS)
def test_model_loads_compiled_predicts_and_trains_on(name, tmp_path):
    W1, b1, W2, b2 = model_file(tmp_path / "m.hdf5", p4.SETTINGS[name])
    model = p4.keras.models.load_model(tmp_path / "m.hdf5")
    expected = 1 / (1 + np.exp(-(np.maximum(ROWS @ W1 + b1, 0) @ W2 + b2)))
    found = model.predict(ROWS.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert model.optimizer.name.lower() == p4.SETTINGS[name]["optimizer"].lower()
    model.fit(ROWS.astype(np.float32), HUMAN.astype(np.float32), epochs=1, verbose=0)


def test_model_speaks_the_dialect_of_2020(tmp_path):
    model_file(tmp_path / "m.hdf5")
    with h5py.File(tmp_path / "m.hdf5") as file:
        for attributes in (file.attrs, file["model_weights"].attrs):
            assert all(isinstance(value, (np.bytes_, np.ndarray)) for value in attributes.values())
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        assert layers[0]["config"]["batch_input_shape"] == [None, 20]
        assert all("batch_shape" not in layer["config"] and "dtype_policy" not in layer["config"]
                   and layer["config"]["dtype"] == "float32" for layer in layers)
        assert [layer["class_name"] for layer in layers] == ["InputLayer", "Dense", "Dense"]


# --try, and another year's file

def main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["p4", *map(str, arguments)])
    p4.main()


@pytest.fixture
def other_year(runs):
    """Outputs of a quick run on a file coded 0/1, without people."""
    run = runs[4, "other year"].result()
    assert run.status == 0, run.errors
    return run.out


def test_another_years_file_runs_whole_without_people(other_year):
    assert sorted(contents(other_year)) == sorted({*OUTPUTS[4]} - {"p4_rows.csv"})
    results = json.loads((other_year / "p4_results.json").read_text())
    assert results["coding"] == [0, 1] and results["split_by"] == "rows"
    assert results["source"] == "own file other.hdf5" and results["human_rows"] == 300


def test_weights_files_hold_the_models_matrix(other_year, runs):
    with h5py.File(other_year / "p4_model.hdf5") as file:
        W = file["model_weights/hidden/hidden/kernel:0"][()]
    assert (other_year / "p4_weights.txt").read_text() == p4.matrix_text(W) + "\n"
    assert p4.matrix_text(W) in runs[4, "other year"].result().output
    with (other_year / "p4_weights.csv").open() as file:
        np.testing.assert_allclose(np.array(list(csv.reader(file)), float), W, rtol=1e-7)


TRIED = ["01101001011010010110", "00000000001111111111"]


@pytest.mark.parametrize("given, typed", [(TRIED, ""), ([], "\n".join([*TRIED, "", "x"]))])
@pytest.mark.parametrize("kind, low", [("other year", 0), ("first", -1)])
def test_try_judges_each_row_in_the_coding_of_the_model_and_all_together(
        kind, low, given, typed, runs, monkeypatch, capsys):
    out = runs[4, kind].result().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    main(monkeypatch, "--out", out, "--try", *given)
    rows = np.array([[1 if bit == "1" else low for bit in text] for text in TRIED], np.float32)
    p = p4.keras.models.load_model(out / "p4_model.hdf5").predict(rows, verbose=0)[:, 0]
    odds = np.prod(p / (1 - p))
    one, two = capsys.readouterr().out.strip().splitlines()[-2:]
    assert one.startswith(f"{TRIED[0]}: {p[0]:.0%} human.")
    assert f"{p[1]:.0%} human. All 2 together: {odds / (1 + odds):.0%} human" in two


@pytest.mark.parametrize("bits", ["0110", "0" * 21, "0110100101101001011x", "٠" * 20])
def test_try_refuses_other_input_in_one_line(bits, other_year):
    with pytest.raises(p4.DataError, match="expected 20 zeros and ones") as refusal:
        p4.try_bits([bits], other_year)
    assert "\n" not in str(refusal.value)


def test_try_without_a_model_or_with_a_damaged_one_says_how_to_get_one(other_year, tmp_path):
    with pytest.raises(p4.DataError, match="run first: python p4_human_machine.py"):
        p4.try_bits(TRIED, tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    for damaged in ("p4_results.json", "p4_model.hdf5"):
        for name in ("p4_results.json", "p4_model.hdf5"):
            (tmp_path / name).write_bytes((other_year / name).read_bytes())
        (tmp_path / damaged).write_text("{}")
        with pytest.raises(p4.DataError, match="run first: python p4_human_machine.py"):
            p4.try_bits(TRIED, tmp_path)


@pytest.mark.parametrize("out", [[], ["--out", "outputs"], ["--out", "tests/../outputs"]])
def test_another_file_never_replaces_the_shipped_outputs(out, monkeypatch, tmp_path):
    monkeypatch.chdir(p4.FOLDER)
    with pytest.raises(p4.DataError, match="add --out DIR"):
        main(monkeypatch, "--data", write_sequences(tmp_path / "f.hdf5", 200), *out)


def test_one_person_alone_is_no_split_by_people(monkeypatch, tmp_path):
    alone = write_sequences(tmp_path / "f.hdf5", 120, people=1)
    main(monkeypatch, "--quick", "--data", alone, "--out", tmp_path / "out")
    results = json.loads((tmp_path / "out" / "p4_results.json").read_text())
    assert results["split_by"] == "rows" and not (tmp_path / "out" / "p4_rows.csv").exists()

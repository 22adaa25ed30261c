"""Problem 4: network, minibatches, folds without leaks, features, the model's dialect, --try."""
import csv
import io
import json
import sys

import h5py
import numpy as np
import pytest
from conftest import OUTPUTS, contents, write_sequences

import p4_human_machine as p4
from p4_human_machine import Setting

RNG = np.random.default_rng(0)
ROWS = RNG.choice([-1, 1], (200, 20)).astype(np.int8)
LABELS = np.repeat(np.float32([1, 0]), 100)
RAW = p4.FEATURES["raw values"]


def test_network_is_the_homeworks():
    hidden, dropout, output = p4.build(Setting("s", l1=0.1, l2=0.2, dropout=0.3), 20).layers
    assert (hidden.units, output.units, dropout.rate) == (20, 1, 0.3)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "sigmoid"
    assert hidden.kernel_regularizer.l1 == pytest.approx(0.1)
    assert output.kernel_regularizer.l2 == pytest.approx(0.2) and p4.BATCH_SIZE == 16
    assert len({setting.name for setting in p4.SETTINGS}) >= 6


def test_an_epoch_is_a_shuffle_of_the_rows_with_their_labels():
    rows = np.arange(100).reshape(100, 1) + np.zeros((1, 20), int)
    labels = (np.arange(100) % 2).astype(np.float32)
    x, y = p4.minibatches(rows, labels, RAW, Setting("s"), (0, 1), 3, np.random.default_rng(0))
    assert x.shape == (18, 16, 20) and y.shape == (18, 16, 1)
    epochs = x[:, :, 0].reshape(3, 96)
    assert all(len(set(epoch)) == 96 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert np.array_equal(y[..., 0], x[:, :, 0] % 2)


@pytest.mark.parametrize("coding", [(0, 1), (-1, 1)])
def test_new_flips_replace_the_machines_rows_alone_and_differ_by_epoch(coding):
    human, machine = np.full((64, 20), coding[1], np.int8), np.full((64, 20), 7, np.int8)
    labels = np.repeat(np.float32([1, 0]), 64)
    x, y = p4.minibatches(np.concatenate([human, machine]), labels, RAW,
                          Setting("s", new_flips=True), coding, 2, np.random.default_rng(0))
    of_machine = x[y[..., 0] == 0]
    assert (x[y[..., 0] == 1] == coding[1]).all() and set(np.unique(of_machine)) == set(coding)
    assert of_machine.mean() == pytest.approx(np.mean(coding), abs=0.1)
    assert len(np.unique(of_machine, axis=0)) == len(of_machine) == 128


def test_training_learns_label_1_for_human_and_repeats_from_its_seed():
    rows = np.where(LABELS[:, None] == 1, np.int8(1), np.int8(-1)) * np.ones((1, 20), np.int8)
    held_out = np.arange(200) % 5 == 0
    setting = Setting("s", dropout=0.2)
    runs = [p4.train(setting, RAW, rows, LABELS, held_out, (-1, 1), 4) for _ in (0, 1)]
    weights, p, curves = runs[0]
    assert (p[:100] > 0.6).all() and (p[100:] < 0.4).all()
    assert curves["validation"][-1][0] == 1 and len(curves["train"]) == 4
    assert all(np.array_equal(one, same) for one, same in zip(weights, runs[1][0]))


def test_held_out_rows_have_no_part_in_the_training():
    held_out = np.arange(200) % 5 == 0
    other = ROWS.copy()
    other[held_out] = 1
    one, same = (p4.train(Setting("s"), RAW, rows, LABELS, held_out, (-1, 1), 2)[0]
                 for rows in (ROWS, other))
    assert all(np.array_equal(a, b) for a, b in zip(one, same))


def test_curves_and_loss_are_those_of_the_weights():
    held_out = np.arange(200) % 5 == 0
    (W1, b1, W2, b2), p, curves = p4.train(Setting("s"), RAW, ROWS, LABELS, held_out, (-1, 1), 2)
    by_hand = 1 / (1 + np.exp(-(np.maximum(ROWS @ W1 + b1, 0) @ W2 + b2)))[:, 0]
    np.testing.assert_allclose(p, by_hand, atol=1e-6)
    of_label = np.where(LABELS == 1, by_hand, 1 - by_hand)
    for name, part in (("train", ~held_out), ("validation", held_out)):
        accuracy, loss = curves[name][-1]
        assert accuracy == pytest.approx((of_label[part] > 0.5).mean())
        assert loss == pytest.approx(-np.log(of_label[part]).mean(), rel=1e-4)
    assert curves["human"] == pytest.approx([(by_hand[:100] > 0.5)[part[:100]].mean()
                                             for part in (~held_out, held_out)])


def test_folds_never_separate_a_group_and_are_equally_large():
    person = np.repeat(np.arange(85), RNG.integers(22, 25, 85))
    folds = p4.folds_of(person, 5)
    assert all(len(set(folds[person == one])) == 1 for one in range(85))
    assert [len(set(person[folds == fold])) for fold in range(5)] == 5 * [17]
    assert np.bincount(p4.folds_of(np.arange(1000), 5)).tolist() == 5 * [200]


def test_cross_validation_judges_each_row_by_a_network_that_has_not_seen_it(monkeypatch):
    folds, seen = p4.folds_of(np.arange(200), 5), []

    def train(setting, features, rows, labels, held_out, coding, epochs):
        seen.append(held_out)  # right on what is held out for human rows alone; nonsense elsewhere
        return None, np.where(held_out, 0.9, 0.1), None
    monkeypatch.setattr(p4, "train", train)
    _, right = p4.cross_validate(Setting("s"), "raw values", ROWS, LABELS, folds, (-1, 1), 2)
    assert np.array_equal(np.array(seen).sum(axis=0), np.ones(200))
    assert right.tolist() == (LABELS == 1).tolist()


def test_split_by_people_keeps_a_person_and_its_machine_rows_on_one_side(tmp_path, monkeypatch):
    data = p4.load_sequences(write_sequences(tmp_path / "f.hdf5", 400, people=20))
    calls, train = [], p4.train

    def recorded(setting, features, rows, labels, held_out, coding, epochs):
        assert np.array_equal(rows[:400], data.human) and (labels[:400] == 1).all()
        assert np.array_equal(rows[400:], data.machine) and (labels[400:] == 0).all()
        calls.append(held_out)
        return train(setting, features, rows, labels, held_out, coding, 1)
    monkeypatch.setattr(p4, "train", recorded)
    monkeypatch.setattr(sys, "argv", ["p4", "--quick", "--data", str(tmp_path / "f.hdf5"),
                                      "--out", str(tmp_path / "out")])
    p4.main()
    by_people = [held_out for held_out in calls
                 if all(len(set(held_out[:400][data.person == one])) == 1 for one in range(20))]
    assert len(by_people) == 4  # of eight: two sets of features, two folds each
    assert all(np.array_equal(held_out[:400], held_out[400:]) for held_out in calls)


# Features, each against a plain loop

def row_by_row(count):
    return [count("".join("1" if value > 0 else "0" for value in row)) for row in ROWS]


def test_transitions_and_longest_run():
    assert p4.transitions(ROWS).tolist() == row_by_row(lambda s: s.count("01") + s.count("10"))
    assert p4.longest_run(ROWS).tolist() == row_by_row(
        lambda s: max(len(run) for run in s.replace("01", "0 1").replace("10", "1 0").split()))
    assert p4.longest_run(np.ones((1, 20))) == 20


def test_lag_products_and_four_grams():
    lags = p4.lag_products(ROWS)
    by_hand = sum(int(ROWS[3, i]) * ROWS[3, i + 2] for i in range(18)) / 18 ** 0.5
    assert lags[3, 1] == pytest.approx(by_hand)
    assert np.array_equal(p4.lag_products((ROWS + 1) // 2), lags)
    assert lags.shape == (200, 10) and lags.std() == pytest.approx(1, abs=0.1)
    grams = p4.four_grams(ROWS) + 17 / 16
    assert grams[:, 0b0110].tolist() == row_by_row(
        lambda s: sum(s[i:i + 4] == "0110" for i in range(17)))
    assert (grams.sum(axis=1) == 17).all()


def test_feature_sets():
    shapes = {name: of(ROWS).shape[1] for name, of in p4.FEATURES.items()}
    assert list(shapes.values()) == [20, 20, 20, 10, 16, 86]
    one_hot = p4.FEATURES["longest run, one-hot"](ROWS)
    assert (one_hot.argmax(axis=1) + 1).tolist() == p4.longest_run(ROWS).tolist()


def test_interval_counts_units_not_rows():
    values = np.array([1, 1, 0, 0, 1, 0])
    found = p4.with_interval(values, np.array([7, 7, 8, 8, 9, 9]))
    assert found["units"] == 3 and found["mean"] == pytest.approx(0.5)
    assert found["half"] == pytest.approx(1.96 * 0.5 / 3 ** 0.5)


def test_lag_profile_finds_the_pairs_a_network_looks_at():
    W, v = np.zeros((20, 20)), np.zeros(20)
    W[4, 0], W[7, 0], v[0] = 1, 1, 2       # equal values 3 apart: human
    W[10, 1], W[11, 1], v[1] = 1, -1, -3   # equal values 1 apart: also human, by two minus signs
    profile = p4.lag_profile(W, v)
    assert profile[2] == pytest.approx(2 / 17) and profile[0] == pytest.approx(3 / 19)
    assert sum(value != 0 for value in profile) == 2


def test_alternation_counts_both_ends_and_averages_people(tmp_path):
    data = p4.load_sequences(write_sequences(tmp_path / "f.hdf5", 40, people=4))
    human = np.concatenate([np.tile([1, -1], (10, 10)), np.ones((30, 20))])
    found = p4.alternation(data._replace(human=human, machine=np.ones((5, 20))))
    assert found["human"] == {"mean": 0.25, "few": 0.75, "many": 0.25}
    assert found["machine"] == {"mean": 0, "few": 1, "many": 0}
    assert found["people"] == [0, 1]
    assert found["threshold"] == {"at_least": 1, "right": 0.625}  # 10 of 40 human, all machine rows
    assert p4.alternation(data._replace(person=None))["people"] is None


def test_printed_matrix_has_inputs_as_rows():
    W = np.zeros((20, 20))
    W[2, 4] = 1.5
    lines = p4.matrix_text(W).splitlines()
    assert lines[0].split() == ["neuron", *map(str, range(1, 11))] and max(map(len, lines)) < 95
    assert lines[4].split()[0] == "3" and lines[4].split()[5] == "1.500"
    assert sum(line.count("1.500") for line in lines) == 1 and len(lines) == 45


# The model file

def model_file(path, setting=p4.SETTINGS[0]):
    shapes, rng = ((20, 20), (20,), (20, 1), (1,)), np.random.default_rng(1)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    p4.write_model(path, weights, setting)
    return weights


@pytest.mark.parametrize("setting", p4.SETTINGS, ids=lambda setting: setting.name)
def test_model_loads_compiled_predicts_and_trains_on(setting, tmp_path):
    W1, b1, W2, b2 = model_file(tmp_path / "m.hdf5", setting)
    model = p4.keras.models.load_model(tmp_path / "m.hdf5")
    expected = 1 / (1 + np.exp(-(np.maximum(ROWS @ W1 + b1, 0) @ W2 + b2)))
    found = model.predict(ROWS.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert model.optimizer.name.lower().startswith(setting.optimizer.lower())
    model.fit(ROWS.astype(np.float32), LABELS, epochs=1, verbose=0)


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

@pytest.fixture
def other_year(runs):
    """Outputs of a quick run on a file coded 0/1, without people."""
    run = runs[4, "other year"].result()
    assert run.status == 0, run.errors
    return run.out


def test_another_years_file_runs_whole_and_makes_no_claim_about_people(other_year):
    assert sorted(contents(other_year)) == sorted([*OUTPUTS[4], "README.md"])
    results = json.loads((other_year / "p4_results.json").read_text())
    assert results["coding"] == [0, 1] and results["people"] is None
    assert results["split"] == "random rows" and "flips" not in str(results["ranking"])
    report = (other_year / "p4_report.md").read_text(encoding="utf-8")
    assert "own file other.hdf5" in report
    assert p4.INSIGHT[:40] not in report and "held-out" not in report


def test_weights_files_hold_the_models_matrix(other_year):
    with h5py.File(other_year / "p4_model.hdf5") as file:
        W = file["model_weights/hidden/hidden/kernel:0"][()]
    assert (other_year / "p4_weights.txt").read_text() == p4.matrix_text(W) + "\n"
    with (other_year / "p4_weights.csv").open() as file:
        np.testing.assert_allclose(np.array(list(csv.reader(file)), float), W, rtol=1e-7)
    assert p4.matrix_text(W) in (other_year / "p4_report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("given, typed", [(["01101001 01101001 0110"], ""),
                                          ([], "01101001011010010110\n")])
@pytest.mark.parametrize("kind, low", [("other year", 0), ("first", -1)])
def test_try_judges_the_bits_in_the_coding_of_the_model(
        kind, low, given, typed, runs, monkeypatch, capsys):
    out = runs[4, kind].result().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    main(monkeypatch, "--out", out, "--try", *given)
    row = np.array([[1 if bit == "1" else low for bit in "01101001011010010110"]], np.float32)
    p = float(p4.keras.models.load_model(out / "p4_model.hdf5").predict(row, verbose=0)[0, 0])
    said = capsys.readouterr().out
    assert f"{p:.0%} human" in said and "longest run: 2." in said
    assert "transitions: 14. Coins have 9.5 on average" in said


@pytest.mark.parametrize("bits", ["", "0110", "0" * 21, "0110100101101001011x", "\n" * 20])
def test_try_refuses_other_input_in_one_line(bits, other_year, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(p4.DataError, match="expected 20 zeros and ones") as refusal:
        p4.try_bits(bits, other_year)
    assert "\n" not in str(refusal.value)


def test_try_without_a_model_or_with_a_damaged_one_says_how_to_get_one(other_year, tmp_path):
    for damaged in (None, "p4_results.json", "p4_model.hdf5"):
        if damaged:
            for name in ("p4_results.json", "p4_model.hdf5"):
                (tmp_path / name).write_bytes((other_year / name).read_bytes())
            (tmp_path / damaged).write_text("{}")
        with pytest.raises(p4.DataError, match="run: python p4_human_machine.py"):
            p4.try_bits("01" * 10, tmp_path)


def main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["p4", *map(str, arguments)])
    p4.main()


def test_a_file_too_small_to_validate_on_is_refused(monkeypatch, tmp_path):
    few = write_sequences(tmp_path / "few.hdf5", 20)
    with pytest.raises(p4.DataError, match="found 20 human and 20 machine rows"):
        main(monkeypatch, "--quick", "--data", few, "--out", tmp_path / "out")


@pytest.mark.parametrize("out", [[], ["--out", "outputs"], ["--out", "tests/../outputs"]])
def test_another_file_never_replaces_the_shipped_outputs(out, monkeypatch, tmp_path):
    monkeypatch.chdir(p4.FOLDER)
    with pytest.raises(p4.DataError, match="add --out DIR"):
        main(monkeypatch, "--data", write_sequences(tmp_path / "f.hdf5", 200), *out)


def test_one_person_alone_is_no_split_by_people(monkeypatch, tmp_path):
    alone = write_sequences(tmp_path / "f.hdf5", 120, people=1)
    main(monkeypatch, "--quick", "--data", alone, "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "p4_results.json").read_text())["people"] is None


def test_overfitting_takes_the_mean_of_the_folds_and_the_lowest_loss():
    def fold(*losses):
        curve = [[0.5, loss] for loss in losses]
        return None, None, {"train": curve, "validation": curve, "human": [0.8, losses[0]]}
    found = p4.overfitting(Setting("s"), [fold(0.7, 0.5, 0.6), fold(0.5, 0.3, 0.6)])
    assert found["lowest_validation_loss"] == pytest.approx(0.4)
    assert found["end"]["validation"] == pytest.approx([0.5, 0.6])
    assert found["human_rows"] == pytest.approx([0.8, 0.6]) and "human" not in found["curves"]


def test_instructions_are_compared_on_human_rows_of_unseen_people(runs):
    out = runs[4, "first"].result().out
    results = json.loads((out / "p4_results.json").read_text())
    assert [row["instruction"] for row in results["of_instructions"]] == ["one", "three", "two"]
    assert sum(row["raw"]["units"] for row in results["of_instructions"]) == 20
    assert "rows recognised as human" in (out / "p4_report.md").read_text(encoding="utf-8")

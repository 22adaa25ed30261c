"""Problem 4: splits without leaks, features on known rows, the analysis of planted weights, the model file, the whole script."""
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import p4_human_machine as p4

ROOT = Path(__file__).resolve().parents[1]

ALTERNATING = np.tile([0, 1], 10)
CONSTANT = np.ones(20, int)
RUNS = np.array([1] * 3 + [0] * 5 + [1] * 8 + [0] * 4)  # 3 transitions, longest run 8
KNOWN = np.stack([ALTERNATING, CONSTANT, RUNS])


def make_rows(human_rows=250, machine_rows=230, seed=0, block=25):
    """{0,1} rows: machine coin flips, and humans in blocks, each with an own tendency to repeat the last value."""
    generator = np.random.default_rng(seed)
    tendency = np.repeat(generator.uniform(0.05, 0.95, -(-human_rows // block)), block)[:human_rows]
    flips = generator.random((human_rows, 20)) > tendency[:, None]
    return np.cumsum(flips, axis=1) % 2, generator.integers(0, 2, (machine_rows, 20))


def write_file(path, human, machine, coding=(-1, 1)):
    with h5py.File(path, "w") as file:
        for key, rows in (("human", human), ("machine", machine)):
            file[key] = np.where(np.asarray(rows) == 1, coding[1], coding[0]).astype(float)


def test_features_of_known_rows():
    bits = KNOWN == 1
    assert p4.transitions(bits).tolist() == [19, 0, 3]
    assert p4.longest_run(bits).tolist() == [1, 20, 8]
    lags = p4.lag_correlations(bits)
    assert lags[0] == pytest.approx([(-1) ** lag for lag in range(1, 11)])
    assert lags[1] == pytest.approx(np.ones(10))
    assert lags[2, 0] == pytest.approx((16 - 3) / 19)  # 19 neighbours, 3 of them differ
    assert lags[2, 2] == pytest.approx(sum((1 if a == b else -1) for a, b in zip(RUNS[3:], RUNS)) / 17)


def test_four_grams_count_patterns_with_the_first_value_highest():
    counts = p4.four_grams(KNOWN == 1)
    assert counts.sum(axis=1).tolist() == [17, 17, 17]
    assert counts[0, [0b0101, 0b1010]].tolist() == [9, 8]
    assert counts[1, 0b1111] == 17
    assert (counts[2, 0b1110], counts[2, 0b1000], counts[2, 0b0001], counts[2, 0b0111]) == (0 + 2, 2, 1, 1)


def test_longest_run_at_either_end_and_in_the_middle():
    rows = np.stack([ALTERNATING] * 3)
    rows[0, :6], rows[1, -7:], rows[2, 8:13] = 1, 0, 1
    expected = [max(len(run) for run in re.findall(r"0+|1+", "".join(map(str, row)))) for row in rows]
    assert p4.longest_run(rows == 1).tolist() == expected and min(expected) > 4


@pytest.mark.parametrize("name", [p4.TRANSITIONS, p4.RUN, p4.LAGS, p4.GRAMS, p4.ALL])
def test_designed_features_do_not_depend_on_the_coding(name):
    human, _ = make_rows()
    assert np.array_equal(p4.features(name, human), p4.features(name, 2 * human - 1))
    assert p4.features(name, human).dtype == np.float32


def test_raw_values_are_those_of_the_file_and_counts_are_one_hot():
    assert np.array_equal(p4.features(p4.RAW, 2 * KNOWN - 1), 2 * KNOWN - 1)
    assert p4.features(p4.TRANSITIONS, KNOWN).argmax(axis=1).tolist() == [19, 0, 3]
    assert p4.features(p4.RUN, KNOWN).argmax(axis=1).tolist() == [0, 19, 7]  # runs start at 1
    names = (p4.RAW, p4.TRANSITIONS, p4.RUN, p4.LAGS, p4.GRAMS, p4.ALL)
    assert [p4.features(name, KNOWN).shape[1] for name in names] == [20, 20, 20, 10, 16, 86]


@pytest.mark.parametrize("kind", [p4.RANDOM, p4.PEOPLE, p4.DUPLICATES])
def test_five_folds_hold_out_each_row_once_and_about_a_fifth(kind):
    human, machine = make_rows(500, 480)
    masks = np.array([p4.held_out(kind, human, machine, fold) for fold in p4.FOLDS])
    assert (masks.sum(axis=0) == 1).all()
    assert np.allclose(masks.mean(axis=1), 0.2, atol=0.06 if kind == p4.PEOPLE else 0.03)


def test_random_split_is_exactly_80_20_repeatable_and_different_from_the_next():
    human, machine = make_rows(510, 510)
    first = p4.held_out(p4.RANDOM, human, machine, 0)
    assert first.sum() == 204
    assert np.array_equal(first, p4.held_out(p4.RANDOM, human, machine, 0))
    second_shuffle = p4.held_out(p4.RANDOM, human, machine, 5)
    assert second_shuffle.sum() == 204 and (first & second_shuffle).sum() not in (0, 204)


def test_no_person_is_on_both_sides():
    human, machine = make_rows(1000)
    human[325:350] = human[50:75][::-1]  # the block 2 occurs again as block 13
    human[800:825] = human[50:75]
    human[800:812] = 1 - human[800:812]  # half of its rows are new: 13 of 25 are shared
    for fold in p4.FOLDS:
        blocks = p4.held_out(p4.PEOPLE, human, machine, fold)[:1000].reshape(40, 25)
        assert (blocks.all(axis=1) | ~blocks.any(axis=1)).all()
        assert blocks[2, 0] == blocks[13, 0] == blocks[32, 0]


def test_no_row_is_on_both_sides_of_a_duplicates_split_not_even_in_the_other_class():
    human, machine = make_rows(300, 300)
    human[100:130] = human[:30]
    machine[:40] = human[60:100]
    rows = np.concatenate([human, machine])
    leaks = 0
    for fold in p4.FOLDS:
        validation = p4.held_out(p4.DUPLICATES, human, machine, fold)
        assert not {row.tobytes() for row in rows[validation]} & {row.tobytes() for row in rows[~validation]}
        by_chance = p4.held_out(p4.RANDOM, human, machine, fold)
        leaks += len({row.tobytes() for row in rows[by_chance]} & {row.tobytes() for row in rows[~by_chance]})
    assert leaks > 10  # so the check above can fail


def test_blocks_are_found_only_where_they_are():
    human, _ = make_rows(1000)
    assert p4.block_evidence(human)["blocks"]
    assert not p4.block_evidence(np.random.default_rng(1).permutation(human))["blocks"]
    odd = p4.block_evidence(human[:990])
    assert not odd["blocks"] and "990" in odd["why"]


def test_fair_coins_accepts_coins_and_refuses_bias_and_memory():
    generator = np.random.default_rng(0)
    assert p4.fair_coins(generator.integers(0, 2, (5000, 20)))["fair"]
    assert not p4.fair_coins(generator.random((5000, 20)) < 0.53)["fair"]
    human, _ = make_rows(1000)
    assert not p4.fair_coins(human)["fair"]


def test_measure():
    accuracy, loss = p4.measure(np.array([[0.9], [0.2], [0.4]]), np.array([[1.0], [0.0], [1.0]]))
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx(-(np.log(0.9) + np.log(0.8) + np.log(0.4)) / 3)


def test_mean_and_error_and_wilson():
    stat = p4.mean_and_error([0.5, 0.6, 0.7])
    assert (stat["mean"], stat["standard_error"]) == (pytest.approx(0.6), pytest.approx(0.1 / 3 ** 0.5))
    assert p4.percent(stat) == "60.0 ± 5.8 %"
    assert p4.wilson(0.5, 100) == pytest.approx([0.4038, 0.5962], abs=1e-4)  # Newcombe 1998, Stat. Med. 17:857, method 3


def training(train, validation, loss=0.6):
    return {"train": [(train, loss)], "validation": [(0.9, 0.1), (validation, loss)]}


def test_recipes_are_ranked_by_the_mean_of_the_last_epoch_on_the_same_splits():
    low, high, fresh = p4.Recipe("low"), p4.Recipe("high"), p4.Recipe("fresh", fresh=True)
    results = {low: (0.70, 0.50), high: (0.61, 0.63), fresh: (0.60, 0.70)}
    trained = {(recipe, p4.RANDOM, fold): training(0.7, values[fold]) for recipe, values in results.items() for fold in (0, 1)}
    plan = p4.Plan((low, high, fresh), {}, p4.NO_REMEDY, (p4.RANDOM,), (0, 1), ())
    table = p4.ranking_table(trained, plan)
    assert [row["recipe"] for row in table] == ["fresh", "high", "low"]
    assert table[1]["behind"]["mean"] == pytest.approx(0.03)
    assert table[1]["behind"]["standard_error"] == pytest.approx(0.04)  # of the differences -0.01 and 0.07
    assert p4.rank(trained, plan)[0][0] == fresh


def test_autocorrelation_sign_changes_and_positions_of_planted_vectors():
    alternating, constant, single = 2.0 * ALTERNATING - 1, CONSTANT * 0.3, np.eye(20)[7] * 5
    vectors = np.stack([alternating, constant, single])
    lags = p4.autocorrelation(vectors)
    assert lags[0] == pytest.approx([(-1) ** lag for lag in range(1, 11)])
    assert lags[1] == pytest.approx(np.ones(10)) and lags[2] == pytest.approx(np.zeros(10))
    assert p4.sign_changes(vectors) == pytest.approx([1, 0, 0])
    assert p4.positions_used(vectors) == pytest.approx([20, 20, 1])


def test_planted_neurons_are_recognised():
    generator = np.random.default_rng(3)
    kernel = generator.normal(0, 0.3, (20, 20))
    kernel[:, 0], kernel[:, 1], kernel[:, 2] = 2.0 * ALTERNATING - 1, 0.5, np.eye(20)[4] * 3
    kernel[:, 3] = np.tile([1, 1, 1, -1, -1, -1], 4)[:20] * generator.uniform(0.5, 1, 20)  # period 6: -1 at lag 3
    kernel[:, 4], bias = 0, np.zeros(20)
    bias[4] = -1
    x = generator.choice([-1.0, 1.0], (400, 20))
    neurons = p4.describe_neurons([kernel, bias, np.ones((20, 1)), None], x)
    assert [neuron["looks_at"] for neuron in neurons[:3]] == [p4.DIFFERENCES, p4.RUNS, p4.FEW]
    assert neurons[3]["strongest_lag"] == 3 and neurons[3]["at_strongest_lag"] < -0.8
    assert neurons[4]["looks_at"] == p4.DEAD and neurons[4]["active"] == 0
    assert sum(neuron["looks_at"] == p4.NONE for neuron in neurons[5:]) >= 10


def test_lag_weights_are_means_of_the_diagonals_and_carry_the_sign_of_the_output():
    kernel, output = np.zeros((20, 20)), np.zeros((20, 1))
    kernel[3, 0] = kernel[5, 0] = 2.0
    output[0] = -1.5
    expected = np.zeros(19)
    expected[2 - 1] = -1.5 * 4 / 18  # one pair of 18 at lag 2
    assert p4.lag_weights(kernel, output) == pytest.approx(expected)


def weights(seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(0, 0.3, shape).astype(np.float32) for shape in ((20, 20), (20,), (20, 1), (1,))]


def forward(path, x):
    """The file's network in numpy alone, from what h5py reads."""
    with h5py.File(path, "r") as file:
        W1, b1, W2, b2 = (file["model_weights"][f"{layer}/{layer}/{array}:0"][()].astype(float)
                          for layer in ("hidden", "human") for array in ("kernel", "bias"))
    return 1 / (1 + np.exp(-(np.maximum(x @ W1 + b1, 0) @ W2 + b2)))


def test_model_file_speaks_keras_2(tmp_path):
    p4.write_model(tmp_path / "model.hdf5", weights(), p4.Recipe("x", l2=1e-3))
    with h5py.File(tmp_path / "model.hdf5", "r") as file:
        for place in (file, file["model_weights"], *file["model_weights"].values()):
            for name in place.attrs:  # fixed length: h5py 2 turns other strings into str
                assert place.attrs.get_id(name).dtype.kind == "S", name
        assert file["model_weights"].attrs["layer_names"].tolist() == [b"bits", b"hidden", b"human"]
        config, training = (json.loads(file.attrs[name].decode()) for name in ("model_config", "training_config"))
    first, hidden, human = (layer["config"] for layer in config["config"]["layers"])
    assert first["batch_input_shape"] == [None, 20]
    assert (hidden["units"], hidden["activation"], hidden["dtype"]) == (20, "relu", "float32")
    assert (human["units"], human["activation"], human["dtype"]) == (1, "sigmoid", "float32")
    assert hidden["kernel_regularizer"] == {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 1e-3}}
    words = json.dumps([config, training])
    for young in ("batch_shape", "optional", "module", "registered_name", "quantization_config", "build_config", "jit_compile"):
        assert young not in words
    assert training["loss"] == "binary_crossentropy" and training["metrics"] == ["accuracy"]


@pytest.mark.parametrize("recipe", [p4.Recipe("Adam"), p4.Recipe("SGD", "SGD", momentum=0.9, l2=1e-3),
                                    p4.Recipe("RMSprop", "RMSprop")], ids=lambda recipe: recipe.name)
def test_model_file_loads_predicts_and_evaluates(tmp_path, recipe):
    keras = p4.load_tensorflow().keras
    path, x = tmp_path / "model.hdf5", np.random.default_rng(1).choice([-1.0, 1.0], (300, 20)).astype(np.float32)
    p4.write_model(path, weights(), recipe)
    model = keras.models.load_model(path)
    predictions = model.predict(x, verbose=0)
    assert predictions.shape == (300, 1) and np.abs(predictions - forward(path, x)).max() < 1e-6
    y = np.random.default_rng(2).integers(0, 2, (300, 1)).astype(np.float32)
    accuracy, loss = p4.measure(predictions.astype(float), y)
    penalty = recipe.l2 * (weights()[0] ** 2).sum() + recipe.l2 * (weights()[2] ** 2).sum()
    assert model.evaluate(x, y, verbose=0) == pytest.approx([loss + penalty, accuracy], abs=1e-4)
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), weights()))
    assert type(model.optimizer).__name__ == recipe.optimizer
    assert recipe.optimizer != "SGD" or model.optimizer.momentum == recipe.momentum
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(recipe.rate)


@pytest.mark.parametrize("recipe, layers", [
    (p4.Recipe("network", dropout=0.1, l1=1e-4, l2=1e-3), ["Dense", "Dropout", "Dense"]), (p4.Recipe("logistic", hidden=0), ["Dense"])],
    ids=["network", "logistic"])
def test_layers_of_the_built_model(recipe, layers):
    model = p4.build(p4.load_tensorflow().keras, recipe, 20)
    assert [type(layer).__name__ for layer in model.layers] == layers
    assert model.layers[-1].activation.__name__ == "sigmoid" and model.count_params() == (441 if recipe.hidden else 21)
    if recipe.hidden:
        assert (model.layers[0].units, model.layers[0].activation.__name__) == (20, "relu")
        penalty = model.layers[0].kernel_regularizer
        assert (float(penalty.l1), float(penalty.l2)) == (pytest.approx(1e-4), pytest.approx(1e-3))


@pytest.mark.parametrize("values", [(0, 1), (-1, 1)])
def test_fresh_machine_rows_change_machine_rows_only(values):
    tf = p4.load_tensorflow()
    tf.keras.utils.set_random_seed(0)
    x = np.full((4000, 20), 7, np.float32)
    y = np.repeat(np.float32([1, 0]), 2000)[:, None]
    batch, labels = next(iter(p4.minibatches(tf, x, y, p4.Recipe("f", fresh=True, batch_size=4000), values)))
    batch, machine = batch.numpy(), labels.numpy()[:, 0] == 0
    assert machine.sum() == 2000 and (batch[~machine] == 7).all()
    assert set(np.unique(batch[machine])) == set(values)
    assert abs((batch[machine] == values[1]).mean() - 0.5) < 0.015
    kept, _ = next(iter(p4.minibatches(tf, x, y, p4.Recipe("k", batch_size=4000), values)))
    assert (kept.numpy() == 7).all()


def test_training_learns_an_easy_task_and_starts_every_split_afresh():
    human, machine = np.tile([ALTERNATING, 1 - ALTERNATING], (100, 1)), make_rows(machine_rows=200)[1]
    task = p4.Task(p4.Recipe("easy", epochs=3, features=p4.TRANSITIONS, rate=0.05), ((p4.RANDOM, 0), (p4.RANDOM, 1), (p4.RANDOM, 0)))
    shown = []
    trained = p4.train(task, human, machine, (0, 1), lambda: shown.append(1))
    again = p4.train(p4.Task(task.recipe, ((p4.RANDOM, 0),)), human, machine, (0, 1), lambda: None)
    assert len(shown) == 9
    assert all(run["validation"][-1][0] > 0.95 and len(run["train"]) == 3 for run in trained.values())
    one, other = trained[task.recipe, p4.RANDOM, 0], again[task.recipe, p4.RANDOM, 0]
    assert one["validation"] == other["validation"]  # the third on the list as if it were the first
    assert all(np.array_equal(a, b) for a, b in zip(one["weights"], other["weights"]))


def copy_project(folder):
    (folder / "data").mkdir(parents=True)
    shutil.copy(ROOT / "p4_human_machine.py", folder)
    (folder / "outputs").mkdir()
    for path in [*ROOT.glob("data/*.py"), *ROOT.glob("outputs/*.py")]:
        shutil.copy(path, folder / path.parent.name)
    return folder / "p4_human_machine.py"


def run(script, *arguments, cwd=None):
    return subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """{"one": (finished process, its output folder, its rows)}; "again": the same with another --jobs; "other": {0,1}, no blocks."""
    folder = tmp_path_factory.mktemp("a project with spaces")
    script, started = copy_project(folder), {}
    for name, coding, human_rows, jobs in (("one", (-1, 1), 250, 2), ("again", (-1, 1), 250, 1), ("other", (0, 1), 263, 1)):
        rows = make_rows(human_rows)
        path = folder / ("another year.hdf5" if name == "other" else "data/binary_random.hdf5")
        if name != "again":
            write_file(path, *rows, coding)
        command = [sys.executable, script, "--quick", "--out", folder / name, "--jobs", str(jobs)] + ["--data", path] * (name == "other")
        started[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent), folder / name, rows
    results = {}
    for name, (process, out, rows) in started.items():
        output, errors = process.communicate(timeout=300)
        results[name] = subprocess.CompletedProcess(process.args, process.returncode, output, errors), out, rows
    return results


OUTPUTS = {"p4_model.hdf5", "p4_learning_curve.png", "p4_overfitting.png", "p4_weights.txt", "p4_weights.csv", "p4_weights.png",
           "p4_features.png", "p4_report.md", "p4_results.json"}


@pytest.mark.parametrize("name, coding", [("one", (-1, 1)), ("other", (0, 1))])
def test_end_to_end(quick, name, coding):
    process, out, (human, machine) = quick[name]
    assert process.returncode == 0 and process.stderr == ""
    assert {path.name for path in out.iterdir()} == OUTPUTS | {"README.md"}
    assert "\r" not in process.stdout and process.stdout.isascii()
    results = json.loads((out / "p4_results.json").read_text(encoding="utf-8"))
    report = (out / "p4_report.md").read_text(encoding="utf-8")
    assert results["quick"] and "smoke test" in report
    assert results["data"]["coding"] == list(coding) and f"coded {coding[0]}/{coding[1]}" in report
    assert results["data"]["human"] == len(human) and results["hard_kind"] == (p4.PEOPLE if len(human) == 250 else p4.DUPLICATES)
    assert "not possible with this file" in report if len(human) == 263 else "one person each" in report
    for answer in results["answers"]:
        assert answer["answer"] in report or "weight matrix" in answer["question"]
        assert set(answer["files"]) <= OUTPUTS
    assert "nan" not in report


@pytest.mark.parametrize("name, coding", [("one", (-1, 1)), ("other", (0, 1))])
def test_printed_matrix_csv_and_model_file_agree_and_the_file_gives_the_reported_accuracy(quick, name, coding):
    process, out, (human, machine) = quick[name]
    with h5py.File(out / "p4_model.hdf5", "r") as file:
        kernel = file["model_weights/hidden/hidden/kernel:0"][()]
    text = (out / "p4_weights.txt").read_text(encoding="utf-8")
    printed = np.array([[float(number) for number in line.split()[1:]] for line in text.splitlines()[3:]])
    assert printed.shape == (20, 20) and np.abs(printed - kernel).max() <= 0.0005001
    assert text.strip() in process.stdout
    assert np.array_equal(np.loadtxt(out / "p4_weights.csv", delimiter=",", skiprows=1)[:, 1:].astype(np.float32), kernel)
    rows = np.concatenate([human, machine]) if coding == (0, 1) else 2 * np.concatenate([human, machine]) - 1
    validation = p4.held_out(p4.RANDOM, rows[:len(human)], rows[len(human):], 0)
    labels = np.repeat([1, 0], (len(human), len(machine)))
    correct = (forward(out / "p4_model.hdf5", rows)[:, 0] > 0.5) == labels
    results = json.loads((out / "p4_results.json").read_text(encoding="utf-8"))["submitted"]
    assert results["validation_rows"] == validation.sum() == round(len(validation) / 5)
    assert correct[validation].mean() == pytest.approx(results["validation"], abs=1e-9)
    assert correct[~validation].mean() == pytest.approx(results["train"], abs=1e-9)


def test_results_do_not_depend_on_jobs_and_repeat_exactly(quick):
    for name in OUTPUTS:
        one, other = ((quick[run][1] / name).read_bytes() for run in ("one", "again"))
        if name in ("p4_results.json", "p4_report.md"):
            one, other = (re.sub(rb'"seconds": [\d.]+|took \d+ s', b"", content) for content in (one, other))
        assert one == other, name


def test_bad_data_is_one_line_and_earlier_outputs_stay(tmp_path):
    script = copy_project(tmp_path)
    human, machine = make_rows(60, 60)
    out = tmp_path / "outputs"
    (out / "p4_report.md").write_text("earlier", encoding="utf-8")
    mixed = np.where(human == 1, 1, -1)
    for name, content in {"neither": (human * 2, machine), "mixed": (mixed, machine), "narrow": (human[:, :19], machine),
                          "empty": (human[:0], machine), "few": (human[:7], machine)}.items():
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file["human"], file["machine"] = map(np.asarray, content)
    (tmp_path / "text.hdf5").write_text("no HDF5")
    for name in ("neither", "mixed", "narrow", "empty", "few", "text", "absent"):
        process = run(script, "--data", tmp_path / f"{name}.hdf5")
        assert process.returncode == 2, name
        assert len(process.stderr.strip().splitlines()) == 1 and process.stderr.strip().startswith("error: "), process.stderr
        assert f"{name}.hdf5" in process.stderr
    assert [path.name for path in out.iterdir() if path.name.startswith((".", "p4"))] == ["p4_report.md"]
    assert (out / "p4_report.md").read_text(encoding="utf-8") == "earlier"


def test_unwritable_outputs_are_told_at_once(quick, tmp_path):
    (tmp_path / "file").write_text("in the way")
    begin = time.perf_counter()
    process = run(quick["one"][1].parent / "p4_human_machine.py", "--out", tmp_path / "file")
    assert process.returncode == 2 and process.stderr.strip().startswith("error: ") and len(process.stderr.strip().splitlines()) == 1
    assert time.perf_counter() - begin < 10


def test_help_needs_no_tensorflow():
    begin = time.perf_counter()
    process = run(ROOT / "p4_human_machine.py", "--help")
    assert process.returncode == 0 and "--data" in process.stdout and time.perf_counter() - begin < 4

"""Problem 2: the matrix, its three answers, the network and its training, and the whole script on small data."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import p2_confusion as p2

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS = ["README.md", "p2_confusion.csv", "p2_confusion.png", "p2_confusion_counts.csv", "p2_curves.png", "p2_mistakes.png",
           "p2_report.md", "p2_results.json"]


def matrix(entries, diagonal=100):
    """Counts (10, 10): `diagonal` right decisions in each class, and the given {(i, j): wrong ones}."""
    counts = np.diag(np.full(10, diagonal))
    for (i, j), count in entries.items():
        counts[i, j] = count
    return counts


def outputs_for(labels, decisions):
    """Probabilities (n, 10) that decide so."""
    return np.eye(10)[decisions] * 0.9 + 0.01


def test_counts_have_the_true_class_in_rows():
    counts = p2.confusion_counts(np.array([3, 3, 3, 7]), np.array([3, 5, 5, 3]))
    expected = np.zeros((10, 10))
    expected[3, 3], expected[3, 5], expected[7, 3] = 1, 2, 1
    np.testing.assert_array_equal(counts, expected)


def test_rates_are_conditioned_on_the_true_class():
    counts = matrix({(0, 6): 300, (6, 0): 25})
    counts[4] = 0  # a class without images
    rates = p2.to_rates(counts)
    assert rates[0, 6] == 0.75 and rates[6, 0] == 0.2 and np.isnan(rates[4]).all()
    np.testing.assert_allclose(np.delete(rates, 4, axis=0).sum(axis=1), 1)


def test_most_confused_with_ties_an_empty_row_and_a_class_never_mistaken():
    counts = matrix({(0, 6): 3, (0, 2): 3, (1, 3): 1, (2, 4): 7, (2, 6): 6})
    counts[5] = 0
    assert p2.most_confused(p2.to_rates(counts)) == [[2, 6], [3], [4], [], [], [], [], [], [], []]


def test_the_two_readings_can_differ():
    counts = matrix({(6, 0): 20, (4, 2): 15, (2, 4): 14})
    assert p2.largest(*p2.directions(counts)) == [(6, 0)]
    assert p2.largest(*p2.pairs(counts)) == [(2, 4)]


def test_readings_compare_rates_not_counts():
    counts = matrix({(0, 1): 30, (8, 9): 20})
    counts[0, 0], counts[1, 1] = 970, 1000  # 30 of 1000 and of 2000 against 20 of 120 and of 220
    assert p2.largest(*p2.directions(counts)) == [(8, 9)] == p2.largest(*p2.pairs(counts))


def test_readings_with_ties_and_with_a_perfect_classifier():
    counts = matrix({(1, 2): 10, (2, 1): 10, (8, 3): 20}, diagonal=0) + np.diag([100, 90, 90, 100, 100, 100, 100, 100, 80, 100])
    assert p2.largest(*p2.pairs(counts)) == [(1, 2), (3, 8)]
    assert p2.largest(*p2.directions(counts)) == [(8, 3)]
    for reading in (p2.pairs, p2.directions):
        assert p2.largest(*reading(matrix({}))) == []
        assert p2.overall(reading, [matrix({})])["rate"] is None


def test_overall_gives_counts_of_the_first_matrix_and_the_agreement_of_all():
    first, same, other = matrix({(6, 0): 20, (0, 6): 5}), matrix({(0, 6): 4}), matrix({(2, 4): 90})
    found = p2.overall(p2.pairs, [first, same, other])
    assert found["classes"] == [(0, 6)] and (found["count"], found["images"]) == (25, 225)
    assert found["networks_agreeing"] == 2 and found["of_all_networks_together"] == [(2, 4)]
    found = p2.overall(p2.directions, [first, same, other])
    assert found["classes"] == [(6, 0)] and (found["count"], found["images"]) == (20, 120) and found["networks_agreeing"] == 1


def test_agreement_counts_ties_and_empty_answers():
    assert p2.agreeing([2], [[2], [2, 6], [6], []]) == 2
    assert p2.agreeing([], [[], [1]]) == 1


def test_interval_of_published_examples():
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
    assert p2.proportion(81, 263)["interval"] == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert p2.proportion(0, 20)["interval"] == pytest.approx((0, 0.1611), abs=5e-5)


def test_analyse_shows_the_first_network_and_compares_the_others():
    labels = np.repeat(np.arange(10), 10)
    first, second = labels.copy(), labels.copy()
    first[:4], first[60:63], first[20:25] = 6, 0, 0  # four images of class 0 decided as 6; of 6 three as 0, of 2 five as 0
    second[:1], second[1:3] = 6, 3
    results = p2.analyse(labels, {7: outputs_for(labels, first), 8: outputs_for(labels, second)})
    zero, one = results["classes"][:2]
    assert zero["taken_for"] == [6] and (zero["count"], zero["images"], zero["networks_agreeing"]) == (4, 10, 1)
    assert zero["mistaken_for_it"] == [2] and zero["mistaken_for_it_count"] == 5
    assert one["taken_for"] == [] and one["count"] == 0 and one["networks_agreeing"] == 2
    assert results["accuracy"]["mean"] == pytest.approx(0.925) and results["accuracy"]["first"]["count"] == 88
    assert results["accuracy"]["standard_deviation"] == pytest.approx(0.09 / 2**0.5)
    assert results["upper_body"]["count"] == results["upper_body"]["images"] == 12
    assert [network["seed"] for network in results["networks"]] == [7, 8]


def test_network_is_the_homework_s(keras):
    model = p2.build(keras)
    assert model.input_shape == (None, 784)
    hidden, dropout, output = model.layers
    assert (hidden.units, hidden.activation.__name__, output.units, output.activation.__name__) == (100, "relu", 10, "softmax")
    assert isinstance(dropout, keras.layers.Dropout) and dropout.rate == 0.3
    for layer in (hidden, output):
        for penalty in (layer.kernel_regularizer, layer.bias_regularizer):
            assert isinstance(penalty, keras.regularizers.L2) and float(penalty.l2) == pytest.approx(1e-4)


@pytest.mark.parametrize("purpose, fitted", [(p2.TEST, 600), (p2.CURVES, 500)])
def test_training_images_recipe_and_held_out_images(keras, monkeypatch, purpose, fitted):
    rng = np.random.default_rng(0)
    images, labels = rng.random((600, 784), dtype=np.float32), rng.integers(0, 10, 600)
    calls, measured, shown, fit = [], [], [], keras.Model.fit
    monkeypatch.setattr(p2, "load_keras", lambda: keras)
    monkeypatch.setattr(p2, "measure", lambda model, x, y: (measured.append((x, y)), (0.5, 1.0))[1])
    monkeypatch.setattr(p2, "load_images", lambda path: p2_data(images[:7], path))
    monkeypatch.setattr(keras.Model, "fit", lambda self, *data, **options: (calls.append((self, data, options)), fit(self, *data, **options))[1])
    result = p2.train(purpose, 3, images, labels, 2, shown.append)
    (model, (x, y), options), = calls
    np.testing.assert_array_equal(x, images[:fitted])
    np.testing.assert_array_equal(y, labels[:fitted])
    updates = -(-fitted // p2.BATCH_SIZE)
    assert options["batch_size"] == p2.BATCH_SIZE and options["epochs"] == 2 and shown == [1, 2]
    assert model.loss == "sparse_categorical_crossentropy" and model.optimizer.iterations == 2 * updates
    schedule = model.optimizer._learning_rate
    assert [float(schedule(step)) for step in (0, updates, 2 * updates)] == pytest.approx(
        [p2.LEARNING_RATE, p2.LEARNING_RATE / 2, 0], abs=1e-9)
    if purpose == p2.CURVES:
        assert result == [(0.5, 1.0, 0.5, 1.0)] * 2 and len(measured) == 4
        np.testing.assert_array_equal(measured[1][0], images[500:])
        np.testing.assert_array_equal(measured[1][1], labels[500:])
        np.testing.assert_array_equal(measured[0][0], images[:100])
    else:
        assert result.shape == (7, 10) and not measured
        np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)


def p2_data(images, path):
    assert Path(path).name == "fashion_mnist_testdata.hdf5"
    from data.loader import ImageData
    return ImageData(images, np.zeros(len(images), np.int64), "drawn", False)


def test_measure_is_accuracy_and_mean_cross_entropy():
    class Model:
        def __call__(self, images, training):
            assert training is False
            return self

        def numpy(self):
            return np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])

    assert p2.measure(Model(), None, np.array([0, 1])) == pytest.approx((0.5, (np.log(2) + np.log(4)) / 2))


def test_table_fits_a_terminal_and_shows_each_rate_in_its_place():
    rates = np.eye(10).astype(object)
    rates[0, 6], rates[6, 0], rates[5] = 0.125, 0.25, None
    lines = p2.table(rates.tolist()).splitlines()
    assert len(lines) == 12 and max(map(len, lines)) < 80 and len({len(line) for line in lines[2:]}) == 1
    assert lines[2].split() == ["T-shirt/top", "1.000", *"." * 5, "0.125", *"." * 3]
    assert lines[8].split() == ["Shirt", "0.250", *"." * 5, "1.000", *"." * 3]
    assert lines[7].split() == ["Sandal", *"-" * 10]


def test_sentences_follow_the_numbers():
    two = [matrix({(6, 0): 20, (4, 2): 15, (2, 4): 14})]
    pair, direction = p2.overall(p2.pairs, two), p2.overall(p2.directions, two)
    assert "Pullover and Coat" in p2.pair_sentence(pair) and "29 of 229" in p2.pair_sentence(pair)
    assert "Shirt decided as T-shirt/top" in p2.direction_sentence(direction) and "20 of 120" in p2.direction_sentence(direction)
    assert "different" in p2.readings_sentence(pair, direction)
    assert "Next comes T-shirt/top and Shirt with 20 of 220" in p2.second_sentence(pair, p2.names)
    assert "Next comes Coat decided as Pullover with 15 of 115" in p2.second_sentence(direction, p2.direction_name)
    # 20/120 - 15/115 = 3.6 points, standard error sqrt(.1667 * .8333 / 120 + .1304 * .8696 / 115) = 4.6 points
    assert "3.6 points less (95 % interval -5.5 to 12.7)" in p2.second_sentence(direction, p2.direction_name)
    assert "might be the reverse" in p2.second_sentence(direction, p2.direction_name)
    clear = p2.overall(p2.directions, [matrix({(6, 0): 40, (4, 2): 1})])
    assert "would hardly change" in p2.second_sentence(clear, p2.direction_name)
    one = [matrix({(6, 0): 20})]
    assert "No other" in p2.second_sentence(p2.overall(p2.pairs, one), p2.names)
    assert "same two" in p2.readings_sentence(p2.overall(p2.pairs, one), p2.overall(p2.directions, one))
    none = p2.overall(p2.pairs, [matrix({})])
    assert "no image" in p2.pair_sentence(none) and "no image" in p2.direction_sentence(none)
    classes = [{"class": m, "networks_agreeing": 5 - (m == 4)} for m in range(10)]
    assert "9 of the 10 classes" in p2.agreement_sentence(classes, 5) and "Coat" in p2.agreement_sentence(classes, 5)


def test_the_recipe_is_the_best_of_the_search():
    best = max(p2.SEARCH, key=lambda row: row[6])
    assert best[:5] == ("Adam", p2.LEARNING_RATE, "cosine", p2.BATCH_SIZE, p2.EPOCHS)


def write_images(path, n, seed, **attributes):
    """An easy Fashion-MNIST-like file: each class lights its own block of pixels, some labels are wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.5
    for sample, label in enumerate(labels):
        images[sample, label * 70:label * 70 + 70] += 0.5
    labels[::9] = (labels[::9] + 1) % 10
    with h5py.File(path, "w") as file:
        file["xdata"], file["ydata"] = images, np.eye(10)[labels]
        file.attrs.update(attributes)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what problem 2 needs, with small data."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    for name in ("p2_confusion.py", "data/__init__.py", "data/loader.py", "outputs/index.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_images(folder / "data" / "fashion_mnist_traindata.hdf5", 1200, 1)
    write_images(folder / "data" / "fashion_mnist_testdata.hdf5", 500, 2)
    return folder


def run(project, *arguments, **options):
    return subprocess.run([sys.executable, str(project / "p2_confusion.py"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def whole_run(project):
    out = project / "one job"
    done = run(project, "--quick", "--jobs", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_every_output_is_there_and_the_screen_is_clean(whole_run):
    out, done = whole_run
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS and done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line.split(", ")[:2] for line in lines[:3]] == [[f"{2 * n:4d} of 6 epochs", f"{n} of 3 networks"] for n in (1, 2, 3)]
    rest = [line for line in lines[3:] if line and not line.startswith(str(out))]
    assert len(rest) == 13 and rest[-1].startswith("test accuracy ")


def test_report_tables_and_results_agree(whole_run):
    out, done = whole_run
    results = json.loads((out / "p2_results.json").read_text(encoding="utf-8"))
    report = (out / "p2_report.md").read_text(encoding="utf-8")
    counts, rates = ([row for row in csv.reader((out / name).open(encoding="utf-8"))] for name in
                     ("p2_confusion_counts.csv", "p2_confusion.csv"))
    assert counts[0][1:] == rates[0][1:] == [row[0] for row in counts[1:]] == list(p2.CLASSES)
    counts, rates = (np.array([row[1:] for row in rows[1:]], float) for rows in (counts, rates))
    np.testing.assert_allclose(rates.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(rates, counts / counts.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_array_equal(counts, results["networks"][0]["counts"])
    assert counts.sum() == 500 and results["networks"][0]["accuracy"] == np.trace(counts) / 500
    table = p2.table(results["rates"])
    assert table in report and table in done.stdout
    for answer in results["classes"]:
        row, others = counts[answer["class"]].copy(), answer["taken_for"]
        row[answer["class"]] = -1
        assert row.max() == answer["count"] and (not others or row[others[0]] == row.max())
        assert f"| {answer['class']} {p2.CLASSES[answer['class']]} | **{p2.names(others)}** | {answer['count']} of " in report
    i, j = results["pair"]["classes"][0]
    assert results["pair"]["count"] == counts[i, j] + counts[j, i]
    assert p2.pair_sentence(results["pair"]) in report
    assert f"{100 * np.mean([network['accuracy'] for network in results['networks']]):.2f} % (mean of 2 networks" in report
    assert len(results["curves"]) == 2 and results["quick"] and "STAND-IN" not in report
    page = (out / "README.md").read_text(encoding="utf-8")
    assert all(answer["answer"] in page for answer in results["answers"])
    assert [answer["part"] for answer in results["answers"]] == ["2", "2.1", "2.2", "2.3"]
    assert all((out / name).exists() for answer in results["answers"] for name in answer["files"])


def test_two_jobs_from_elsewhere_give_the_same_files_but_for_the_seconds(project, whole_run, tmp_path):
    done = run(project, "--quick", "--jobs", 2, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in OUTPUTS:
        one, two = ((out / name).read_bytes() for out in (whole_run[0], tmp_path / "out"))
        if name == "p2_results.json":
            one, two = ({**json.loads(text), "seconds": 0} for text in (one, two))
        assert one == two, name


def test_stand_in_data_is_said_in_every_text(whole_run, tmp_path):
    results = json.loads((whole_run[0] / "p2_results.json").read_text(encoding="utf-8"))
    results["data"]["stand_in"] = True
    test = p2.load_images(whole_run[0].parent / "data" / "fashion_mnist_testdata.hdf5")
    results["pair"]["classes"] = [tuple(pair) for pair in results["pair"]["classes"]]
    p2.write(tmp_path, results, test, outputs_for(test.labels, test.labels))
    for name in ("p2_confusion.csv", "p2_confusion_counts.csv", "p2_report.md"):
        assert (tmp_path / name).read_text(encoding="utf-8").lstrip("# ").startswith("STAND-IN DATA: "), name


def test_bad_data_is_one_line_and_status_2_and_leaves_outputs_alone(project, tmp_path):
    copy, out = tmp_path / "project", tmp_path / "out"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("one job", "__pycache__"))
    out.mkdir()
    (out / "p2_report.md").write_text("earlier")
    train_file, test_file = (copy / "data" / f"fashion_mnist_{which}data.hdf5" for which in ("train", "test"))
    for expected, damage in {"expected 1200": lambda: write_images(train_file, 600, 1),
                             "traindata.hdf5": lambda: train_file.write_bytes(train_file.read_bytes()[:100_000]),
                             "testdata.hdf5": lambda: (shutil.copy(project / "data" / train_file.name, train_file), test_file.unlink())
                             }.items():
        damage()
        done = run(copy, "--quick", "--out", out)
        assert done.returncode == 2 and expected in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert [path.name for path in out.iterdir()] == ["p2_report.md"] and (out / "p2_report.md").read_text() == "earlier"


def test_out_that_is_a_file_is_one_line_and_status_2(project, tmp_path):
    (tmp_path / "out").write_text("a file")
    done = run(project, "--quick", "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("delay", [0.3, 2.5])
def test_interrupt_of_the_parent_alone_ends_all_without_traceback_and_keeps_earlier_outputs(project, tmp_path, delay):
    (tmp_path / "p2_report.md").write_text("earlier")
    process = subprocess.Popen([sys.executable, str(project / "p2_confusion.py"), "--quick", "--out", str(tmp_path)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    begin = time.perf_counter()
    _, errors = process.communicate(timeout=60)  # ends only when the workers, which share the pipes, have ended as well
    assert time.perf_counter() - begin < 10 and "Traceback" not in errors
    assert process.returncode in (130, -signal.SIGINT)
    assert [path.name for path in tmp_path.iterdir()] == ["p2_report.md"]


def test_help_does_without_tensorflow_and_options_are_checked(project):
    code = "import sys, p2_confusion as p2\ntry: p2.main()\nfinally: print({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, "--help"], cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--quick" in done.stdout and done.stdout.rstrip().endswith("set()")
    done = run(project, "--jobs", 0)
    assert done.returncode == 2 and "--jobs" in done.stderr

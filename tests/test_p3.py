"""Problem 3: the statistics, the four networks, sentences that follow the numbers, and the whole script on small data."""

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

import p3_reg_histograms as p3

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS = sorted(["README.md", "p3_curves.png", "p3_features.png", "p3_histograms.png", "p3_report.md", "p3_results.json",
                  *(f"p3_hist_{name}_junction{j}.png" for name in "AB" for j in (1, 2))])


def test_statistics_of_a_normal_sample():
    weights = np.random.default_rng(0).normal(0.5, 2, (1000, 400)).astype(np.float32)
    found = p3.describe(weights, np.zeros(400, np.float32), 1)
    assert found["weights"] == 400_000 and found["mean"] == pytest.approx(0.5, abs=0.02)
    assert found["deviation"] == pytest.approx(2, rel=0.01)
    assert abs(found["skewness"]) < 0.02 and abs(found["excess_kurtosis"]) < 0.04
    assert found["negative"] == pytest.approx(0.4013, abs=0.005)  # the normal distribution below -0.25
    assert found["near_zero"] == pytest.approx(0.02 * 0.1933, rel=0.1)  # its density there, over 0.02
    assert found["bias_share"] == 0 and found["vanished_nodes"] == 0


def test_statistics_of_constants_and_zeros():
    constant = p3.describe(np.full((6, 4), -0.5, np.float32), np.full(4, 0.5, np.float32), 1)
    assert (constant["deviation"], constant["skewness"], constant["excess_kurtosis"]) == (0, 0, 0)
    assert (constant["largest"], constant["negative"], constant["near_zero"]) == (0.5, 1, 0)
    assert constant["bias_share"] == 1 / 7 and constant["vanished_nodes"] == 0
    zeros = p3.describe(np.zeros((6, 4), np.float32), np.zeros(4, np.float32), 1)
    assert (zeros["near_zero"], zeros["bias_share"], zeros["negative"], zeros["vanished_nodes"]) == (1, 0, 0, 4)


def test_statistics_by_hand():
    found = p3.describe(np.array([[0.0, 0.0], [0.0, 4.0]]), np.array([3.0, 0.0]), 1)
    assert found["mean"] == 1 and found["deviation"] == pytest.approx(3**0.5)
    assert found["skewness"] == pytest.approx(2 / 3**0.5)  # (-1 -1 -1 + 27) / 4 / 3^1.5
    assert found["excess_kurtosis"] == pytest.approx(7 / 3 - 3)  # (3 + 81) / 4 / 9
    assert found["largest"] == 4 and found["near_zero"] == 0.75 and found["bias_share"] == 9 / 25
    assert p3.describe(np.array([[-4.0, 1.0]]), np.zeros(2), 1)["largest"] == 4


def test_vanished_nodes_are_counted_along_the_hidden_axis():
    weights = np.full((5, 3), 0.02)
    weights[:, 1] = -0.009
    assert p3.describe(weights, np.zeros(3), 1)["vanished_nodes"] == 1
    assert p3.describe(weights.T, np.zeros(5), 0)["vanished_nodes"] == 1
    assert p3.describe(weights, np.zeros(3), 0)["vanished_nodes"] == 0


def test_frame_ratio():
    weights = np.random.default_rng(1).normal(0, 1, (784, 30))
    image = np.ones((28, 28))
    image[:2] = image[-2:] = image[:, :2] = image[:, -2:] = 3
    assert p3.frame_pixels().sum() == 784 - 24 * 24
    assert p3.frame_ratio(weights * image.reshape(-1, 1)) == pytest.approx(3, rel=0.05)


def fake_runs():
    """{(name, seed): (initial, trained, curves)} with known weights."""
    runs = {}
    for name, network in p3.NETWORKS.items():
        for seed in (0, 1):
            rng = np.random.default_rng(seed)
            initial = [rng.uniform(-0.1, 0.1, (784, network.nodes)), np.zeros(network.nodes),
                       rng.uniform(-0.2, 0.2, (network.nodes, 10)), np.zeros(10)]
            initial[0][:, 3], initial[2][3] = 0, 0  # a vanished node
            factor = {"A": 4, "B": 0.5, "C": 0.25, "D": 8}[name] * (1 + seed)
            curves = [(0.5, 1.0, 0.5, 1.0), *[(0.9 + seed / 100, 0.3, 0.8 if name in "AD" else 0.88, 0.4)] * p3.SETTLED]
            runs[name, seed] = initial, [factor * values for values in initial], curves
    return runs


def test_analyse_takes_means_over_seeds_and_histograms_of_the_first():
    runs = fake_runs()
    found = p3.analyse(runs)
    junction = found["networks"]["A"]["junction_2"]
    each = [runs["A", seed][1][2].std() for seed in (0, 1)]
    assert junction["trained"]["deviation"] == pytest.approx(np.mean(each))
    assert [one["deviation"] for one in junction["trained_each_seed"]] == pytest.approx(each)
    assert [found["networks"]["A"][of]["trained"]["vanished_nodes"] for of in ("junction_1", "junction_2")] == [1, 1]
    for j, kernel in ((1, 0), (2, 2)):
        edges = np.array(found["bin_edges"][f"junction_{j}"])
        np.testing.assert_allclose(edges, -edges[::-1])
        assert len(edges) % 2 == 0  # an odd number of bins: one is centred on 0
        assert edges[-1] == pytest.approx(max(np.abs(runs[name, 0][1][kernel]).max() for name in "AB"))
        for name in "AB":
            junction = found["networks"][name][f"junction_{j}"]
            for when, values in zip(("initial_counts", "trained_counts"), runs[name, 0]):
                assert sum(junction[when]) == values[kernel].size  # no weight outside the bins
                np.testing.assert_array_equal(junction[when], np.histogram(values[kernel], edges)[0])
    assert found["networks"]["A"]["train_accuracy"] == pytest.approx(0.905)
    assert found["networks"]["A"]["gap"] == pytest.approx(0.105) and found["networks"]["B"]["gap"] == pytest.approx(0.025)


@pytest.mark.parametrize("name, nodes, rate, coefficient", [("A", 128, 0, 0), ("B", 48, 0.2, 1e-4), ("C", 128, 0.2, 1e-4), ("D", 48, 0, 0)])
def test_networks_are_the_homework_s_and_their_controls(keras, name, nodes, rate, coefficient):
    model = p3.build(keras, p3.NETWORKS[name])
    hidden, *between, output = model.layers
    assert model.input_shape == (None, 784)
    assert (hidden.units, hidden.activation.__name__, output.units, output.activation.__name__) == (nodes, "relu", 10, "softmax")
    assert [layer.rate for layer in between] == [rate] * bool(rate)
    penalties = [penalty for layer in (hidden, output) for penalty in (layer.kernel_regularizer, layer.bias_regularizer)]
    if coefficient:
        assert all(isinstance(penalty, keras.regularizers.L2) for penalty in penalties)
        assert [float(penalty.l2) for penalty in penalties] == pytest.approx([coefficient] * 4)
    else:
        assert penalties == [None] * 4 and not model.losses


def test_training_of_every_network_is_the_same_and_spares_the_last_sixth(keras, monkeypatch):
    images = np.random.default_rng(0).random((600, 784), dtype=np.float32)
    labels, calls, fit = np.arange(600) % 10, [], keras.Model.fit
    monkeypatch.setattr(p3, "load_keras", lambda: keras)
    monkeypatch.setattr(keras.Model, "fit", lambda self, *data, **options: (calls.append((self, data, options)), fit(self, *data, **options))[1])
    results = {name: p3.train(name, 5, images, labels, 2) for name in "AB"}
    recipes = []
    for model, (x, y), options in calls:
        np.testing.assert_array_equal(x, images[:500])
        np.testing.assert_array_equal(y, labels[:500])
        recipes.append((type(model.optimizer), float(model.optimizer.learning_rate), model.loss, options["batch_size"], options["epochs"]))
    assert recipes[0] == recipes[1] and recipes[0][1:] == (pytest.approx(0.001), "sparse_categorical_crossentropy", p3.BATCH_SIZE, 2)
    for name, (initial, trained, curves) in results.items():
        assert [values.shape for values in trained] == [(784, p3.NETWORKS[name].nodes), (p3.NETWORKS[name].nodes,),
                                                        (p3.NETWORKS[name].nodes, 10), (10,)]
        assert np.abs(initial[0]).max() <= (6 / (784 + p3.NETWORKS[name].nodes)) ** 0.5 < np.abs(trained[0]).max()
        h, W, b = np.maximum(images[500:] @ trained[0] + trained[1], 0), *trained[2:]
        assert curves[-1][2] == pytest.approx(((h @ W + b).argmax(axis=1) == labels[500:]).mean(), abs=0.011) and len(curves) == 2


def network(**numbers):
    """A network's results: one junction, as the sentences want it."""
    trained = {"deviation": 0.2, "skewness": 0.0, "excess_kurtosis": 0.0, "near_zero": 0.1, "largest": 1.0, "negative": 0.5,
               "bias_share": 0.1, "vanished_nodes": 0} | numbers
    return {"nodes": 48, "initial": {"deviation": 0.05}, "trained": trained}


@pytest.mark.parametrize("sentence, low, high, smaller, larger", [
    (p3.spread_sentence, {"deviation": 0.1}, {"deviation": 0.3}, "B's histogram is narrower than A's", "B's histogram is wider than A's"),
    (p3.tails_sentence, {"excess_kurtosis": -0.5}, {"excess_kurtosis": 4}, "B's are lighter than", "B's are heavier than"),
    (p3.near_zero_sentence, {"near_zero": 0.05}, {"near_zero": 0.3}, "is lower than A's", "is higher than A's"),
    (p3.largest_sentence, {"largest": 0.5}, {"largest": 2}, "reaches less far than", "reaches farther than"),
    (p3.asymmetry_sentence, {"skewness": -0.5}, {"skewness": 0.5}, "positive tail is longer in A, the negative tail is longer in B",
     "negative tail is longer in A, the positive tail is longer in B"),
    (p3.bias_sentence, {"bias_share": 0.01}, {"bias_share": 0.2}, "less than in A", "more than in A"),
    (p3.vanished_sentence, {"vanished_nodes": 1}, {"vanished_nodes": 9}, "a smaller share in B", "a larger share in B")])
def test_sentences_about_a_junction_turn_with_the_numbers(sentence, low, high, smaller, larger):
    one, other = sentence(network(**high), network(**low)), sentence(network(**low), network(**high))
    assert smaller in one and larger not in one
    assert larger in other and smaller not in other
    same = sentence(network(**low), network(**low))
    assert smaller not in same and larger not in same
    for value in (*low.values(), *high.values()):  # each claim carries its numbers, in A's order and B's
        assert any(f"{scale * value:.{digits}f}" in one for scale in (1, 100) for digits in (0, 1, 2, 3))


def test_spread_sentence_tells_widening_from_narrowing():
    assert "widened A's from 0.050 (a factor of 4.0) and narrowed B's" in p3.spread_sentence(network(), network(deviation=0.01))


def test_tails_sentence_compares_with_the_normal_distribution():
    assert "heavier in A, lighter in B" in p3.tails_sentence(network(excess_kurtosis=2), network(excess_kurtosis=-1))
    assert "they are lighter in both" in p3.tails_sentence(network(excess_kurtosis=-2), network(excess_kurtosis=-1))


def test_vanished_sentence_without_any_and_with_unequal_widths():
    assert "No hidden node" in p3.vanished_sentence(network(), network())
    wide = network(vanished_nodes=8) | {"nodes": 128}  # 8 of 128 are a smaller share than 6 of 48
    assert "8 of 128 hidden nodes in A and 6 of 48 in B, a larger share in B" in p3.vanished_sentence(wide, network(vanished_nodes=6))


def test_junctions_sentence_turns():
    assert "junction 2 is wider than junction 1" in p3.junctions_sentence("A", network(deviation=0.1), network(deviation=0.5))
    assert "junction 2 is narrower than junction 1" in p3.junctions_sentence("A", network(deviation=0.5), network(deviation=0.1))


def test_frame_sentence_turns():
    lit = {"frame": 0.16, "rest": 0.56}
    one = p3.frame_sentence({"frame_ratio": 1.8}, {"frame_ratio": 0.5}, lit)
    assert "a larger spread in A, a smaller spread in B" in one and "16 %" in one and "56 %" in one
    assert "about the same spread in both" in p3.frame_sentence({"frame_ratio": 1.02}, {"frame_ratio": 0.98}, lit)


def whole(deviation, gap):
    return {"junction_1": network(deviation=deviation), "junction_2": network(deviation=deviation), "gap": gap,
            "train_accuracy": 0.85 + gap, "validation_accuracy": 0.85}


def test_gap_and_summary_sentences_turn():
    wide, narrow = whole(0.3, 0.06), whole(0.1, 0.02)
    assert "6.0 points in A and 2.0 in B, smaller in B" in p3.gap_sentence(wide, narrow)
    assert "larger in B" in p3.gap_sentence(narrow, wide)
    assert "1 go with" in p3.gap_sentence(wide, narrow) and "do not go with" in p3.gap_sentence(whole(0.3, 0.02), whole(0.1, 0.06))
    short, turned = p3.summary_sentence(wide, narrow), p3.summary_sentence(narrow, wide)
    assert short.count("narrower") == 2 and "is smaller (2.0 points, A's 6.0)" in short
    assert turned.count("wider") == 2 and "is larger (6.0 points, A's 2.0)" in turned


def test_control_sentence_tells_regularisation_from_width():
    by_regularisation = p3.control_sentence("Spread", a=4, b=1.2, c=1, d=5)
    assert "by 0.25 at A's width and 0.24 at B's" in by_regularisation and "by 1.25 without and 1.20 with" in by_regularisation
    assert "mainly one of regularisation; width works against it" in by_regularisation
    assert "mainly one of regularisation; width works the same way" in p3.control_sentence("Spread", a=4, b=0.8, c=1, d=3)
    assert "mainly one of regularisation; width makes hardly any" in p3.control_sentence("Spread", a=4, b=1.04, c=1, d=4)
    assert "mainly one of width; regularisation works against it" in p3.control_sentence("Spread", a=4, b=1.2, c=5, d=1)
    assert "no factors" in p3.control_sentence("Gap", a=0.1, b=-0.01, c=0.1, d=0.1)


def test_report_of_opposite_networks_turns_and_marks_the_controls():
    runs = fake_runs()
    opposite = {"A": "B", "B": "A", "C": "D", "D": "C"}
    reports = []
    for trained in (runs, {(name, seed): (*runs[name, seed][:1], [  # the same initial weights, the other's factor
            values * runs[opposite[name], seed][1][0].std() / runs[opposite[name], seed][0][0].std()
            for values in runs[name, seed][0]], runs[opposite[name], seed][2]) for name, seed in runs}):
        results = {"quick": False, "data": {"source": "drawn"}, "settings": {"train_images": 5, "validation_images": 1, "epochs": 6},
                   "lit": {"frame": 0.1, "rest": 0.5}, **p3.analyse(trained)}
        reports.append(p3.report(results, "STAND-IN DATA: "))
        assert p3.summary_sentence(results["networks"]["A"], results["networks"]["B"]) == p3.answers(results)[2]["answer"]
    assert all(text.startswith("# STAND-IN DATA: Problem 3") for text in reports)
    assert "B's histogram is narrower than A's" in reports[0] and "B's histogram is wider than A's" not in reports[0]
    assert "B's histogram is wider than A's" in reports[1] and "B's histogram is narrower than A's" not in reports[1]
    assert reports[0].index("## Beyond the assignment") > reports[0].index("## The qualitative differences")
    assert reports[0].count("(control)") == 8


def write_images(path, n, seed):
    """An easy Fashion-MNIST-like file: each class lights its own block of pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.5
    for sample, label in enumerate(labels):
        images[sample, label * 70:label * 70 + 70] += 0.5
    with h5py.File(path, "w") as file:
        file["xdata"], file["ydata"] = images, np.eye(10)[labels]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what problem 3 needs, with small data."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    for name in ("p3_reg_histograms.py", "data/__init__.py", "data/loader.py", "outputs/index.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_images(folder / "data" / "fashion_mnist_traindata.hdf5", 1200, 1)
    return folder


def run(project, *arguments, **options):
    return subprocess.run([sys.executable, str(project / "p3_reg_histograms.py"), *map(str, arguments)], capture_output=True,
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
    assert [line.split(", ")[:2] for line in lines[:4]] == [[f"{2 * n:4d} of 8 epochs", f"{n} of 4 networks"] for n in (1, 2, 3, 4)]
    assert len([line for line in lines[4:] if line and not line.startswith(str(out))]) == 2


def test_report_and_results_agree(whole_run):
    out, _ = whole_run
    results = json.loads((out / "p3_results.json").read_text(encoding="utf-8"))
    report = (out / "p3_report.md").read_text(encoding="utf-8")
    a, b = results["networks"]["A"], results["networks"]["B"]
    for junction, inputs, outputs in (("junction_1", 784, "nodes"), ("junction_2", "nodes", 10)):
        for of in (a, b):
            weights = np.prod([of.get(end, end) for end in (inputs, outputs)])
            assert of[junction]["trained"]["weights"] == weights == sum(of[junction]["trained_counts"])
        for sentence in (p3.spread_sentence, p3.tails_sentence, p3.near_zero_sentence, p3.largest_sentence, p3.asymmetry_sentence,
                         p3.bias_sentence, p3.vanished_sentence):
            assert sentence(a | a[junction], b | b[junction]) in report
    assert p3.gap_sentence(a, b) in report and p3.summary_sentence(a, b) in report and p3.table(results["networks"]) in report
    assert (results["settings"]["train_images"], results["settings"]["validation_images"], len(a["curves"])) == (1000, 200, 2)
    assert all(f"({path.name})" in report for path in out.glob("*.png"))
    page = (out / "README.md").read_text(encoding="utf-8")
    assert all(answer["answer"] in page for answer in results["answers"])
    assert all((out / name).exists() for answer in results["answers"] for name in answer["files"])


def test_two_jobs_from_elsewhere_give_the_same_files_but_for_the_seconds(project, whole_run, tmp_path):
    done = run(project, "--quick", "--jobs", 2, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in OUTPUTS:
        one, two = ((out / name).read_bytes() for out in (whole_run[0], tmp_path / "out"))
        if name == "p3_results.json":
            one, two = ({**json.loads(text), "seconds": 0} for text in (one, two))
        assert one == two, name


def test_bad_data_is_one_line_and_status_2_and_leaves_outputs_alone(project, tmp_path):
    copy, out = tmp_path / "project", tmp_path / "out"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("one job", "__pycache__"))
    out.mkdir()
    (out / "p3_report.md").write_text("earlier")
    file = copy / "data" / "fashion_mnist_traindata.hdf5"
    for expected, damage in {"expected 1200": lambda: write_images(file, 600, 1),
                             "traindata.hdf5": lambda: file.write_bytes(file.read_bytes()[:100_000])}.items():
        damage()
        done = run(copy, "--quick", "--out", out)
        assert done.returncode == 2 and expected in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert [path.name for path in out.iterdir()] == ["p3_report.md"] and (out / "p3_report.md").read_text() == "earlier"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupt_of_the_parent_alone_ends_all_without_traceback_and_keeps_earlier_outputs(project, tmp_path):
    (tmp_path / "p3_report.md").write_text("earlier")
    process = subprocess.Popen([sys.executable, str(project / "p3_reg_histograms.py"), "--quick", "--out", str(tmp_path)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    begin = time.perf_counter()
    _, errors = process.communicate(timeout=60)  # ends only when the workers, which share the pipes, have ended as well
    assert time.perf_counter() - begin < 10 and "Traceback" not in errors and process.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["p3_report.md"]


def test_options_are_checked_before_anything_is_done(project):
    done = run(project, "--jobs", 0)
    assert done.returncode == 2 and "--jobs" in done.stderr

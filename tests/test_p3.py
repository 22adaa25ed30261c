"""Problem 3: the networks and their training, the numbers of the table, and what a run does with
them; the control of the optimizer and the frozen order, too."""
import csv
import io
import json
from contextlib import redirect_stdout
from types import SimpleNamespace

import control_p3
import frozen_order
import h5py
import numpy as np
import pytest
from conftest import (OUTPUTS, assert_each_epoch_has_its_own_order, contents, recording, run_main,
                      write)

import p3_reg_histograms as p3


@pytest.mark.parametrize("name, units, dropout, l2", [
    ("A", 128, 0, 0), ("C", 48, 0, 0), ("D", 48, 0, 1e-4), ("E", 48, 0.2, 0), ("B", 48, 0.2, 1e-4)])
def test_networks_are_the_homeworks_and_the_controls(name, units, dropout, l2):
    assert p3.NETWORKS == {name: control_p3.NETWORKS[name] for name in "AB"}
    hidden, dropped, output = p3.build(control_p3.NETWORKS[name]).layers
    assert (hidden.units, dropped.rate, output.units) == (units, dropout, 10)
    assert hidden.activation.__name__ == "relu" and output.activation.__name__ == "softmax"
    for layer in (hidden, output):
        for regularizer in (layer.kernel_regularizer, layer.bias_regularizer):
            if l2:
                assert regularizer.l2 == pytest.approx(l2)
            else:
                assert regularizer is None


# Training

@pytest.fixture(scope="module")
def training():
    """B trained by train() for 20 epochs on images whose first pixel numbers them: what it met, its
    initial weights, the model, and what was printed."""
    rng = np.random.default_rng(0)
    x, y = rng.random((600, 784), dtype=np.float32), rng.integers(0, 10, 600)
    x[:, 0] = np.arange(600) / 600
    seen, build, printed = [], p3.build, io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(printed):
        monkeypatch.setattr(p3, "build", lambda network: recording(p3.tf, build(network), seen))
        monkeypatch.setattr(p3, "EPOCHS", 20)
        initial, model = p3.train(p3.NETWORKS["B"], 0, x, y)
    return SimpleNamespace(x=x, y=y, seen=seen, initial=initial, model=model,
                           printed=printed.getvalue())


def test_each_epoch_trains_on_all_images_in_a_new_order(training):
    assert_each_epoch_has_its_own_order(training.seen, training.x, epochs=20)
    assert [len(minibatch) for minibatch in training.seen] == 20 * [128, 128, 128, 128, 88]


def test_adam_at_its_own_rate_trains_the_network_that_is_named(training):
    assert isinstance(training.model.optimizer, p3.keras.optimizers.Adam)
    assert float(training.model.optimizer.learning_rate) == pytest.approx(0.001)
    _, hidden, dropped, _ = training.model.layers
    assert (hidden.units, dropped.rate) == (48, 0.2)
    assert hidden.kernel_regularizer.l2 == pytest.approx(1e-4)


def test_initial_weights_are_those_of_the_seed(training):
    p3.keras.utils.set_random_seed(0)
    for weights, same in zip(training.initial, p3.build(p3.NETWORKS["B"]).get_weights()):
        assert np.array_equal(weights, same)


def test_a_training_repeats_from_its_seed(training, monkeypatch):
    monkeypatch.setattr(p3, "EPOCHS", 20)
    _, model = p3.train(p3.NETWORKS["B"], 0, training.x, training.y)
    for weights, same in zip(training.model.get_weights(), model.get_weights()):
        np.testing.assert_allclose(weights, same, atol=1e-5)


def test_a_line_is_printed_every_twenty_epochs(training, capsys):
    for epoch in range(p3.EPOCHS):
        p3.print_progress(epoch, {"loss": 0.25, "accuracy": 0.75})
    twenty, forty = capsys.readouterr().out.splitlines()
    assert "20" in twenty and "40" in forty and "75" in twenty
    assert len(training.printed.splitlines()) == 1  # nothing but that


def test_accuracy_and_cross_entropy_are_without_dropout_and_penalty(training, capsys):
    x, y = training.x, training.y
    W1, b1, W2, b2 = training.model.get_weights()
    exponentials = np.exp(np.maximum(x @ W1 + b1, 0) @ W2 + b2)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    right = (p.argmax(axis=1) == y).mean()
    cost = -np.log(p[np.arange(600), y]).mean()
    accuracy, cross_entropy = p3.judge(training.model, x, y)
    assert accuracy == pytest.approx(right, abs=0.004)
    assert cross_entropy == pytest.approx(cost, rel=1e-4)
    assert capsys.readouterr().out == ""  # no progress bars


# The numbers of the table

def test_dead_units_are_active_on_less_than_one_image_of_10_000():
    """Units that are active on all images, on one, on none; the last is at 0 on all."""
    x = np.zeros((10_000, 1))
    x[7] = 1
    W1, b1 = np.array([[0, 2, 0.5, 0]]), np.array([1, -1, -1, 0])
    assert p3.dead_units([W1, b1, None, None], x).tolist() == [False, False, True, True]


def test_rarely_inked_pixels_are_above_0_in_few_images():
    x = np.zeros((100, 4))
    x[:9, 0], x[:10, 1], x[:11, 2], x[:, 3] = 1, 1, 0.01, 1
    assert control_p3.rarely_inked(x).tolist() == [True, False, False, False]


def test_excess_kurtosis_is_that_of_known_distributions():
    rng = np.random.default_rng(0)
    for weights, known in ((rng.normal(3, 2, 10 ** 6), 0), (rng.uniform(-1, 5, 10 ** 6), -1.2),
                           (rng.laplace(1, 3, 10 ** 6), 3)):
        assert p3.excess_kurtosis(weights) == pytest.approx(known, abs=0.1)


def test_numbers_of_the_table():
    """Three living units with weights of 0.1, some small and five large ones, and a dead unit."""
    W1 = np.full((784, 4), 0.1)
    W1[::2] *= -1
    W1[:, 1] = 0.001
    W1[300:500, 0] *= 0.05
    W1[[0, 1, 2], [0, 2, 3]] = 1
    W1[700, 0], W1[701, 2] = 0.47, 0.35  # 4.5 and 3.4 standard deviations
    dead, rare = np.arange(4) == 1, np.arange(784) < 100
    W2 = np.array([[2.0] * 10, [-1.0] * 10])
    living = W1[:, [0, 2, 3]]
    row = control_p3.ingredients_row(p3.Weights([], [W1, None, W2, None], dead), rare)
    assert {name: float(value) for name, value in row.items()} == {
        "dead units": 1,
        "layer 1 sd": round(living.std(), 3),
        "layer 1 excess kurtosis": round(p3.excess_kurtosis(living), 1),
        "layer 2 sd": 1.5, "layer 2 excess kurtosis": -2,  # two values, equally often
        "weights beyond 4 sd": 4,
        "of these from rarely inked pixels (%)": 75,
        "rarely inked pixels": 100, "of all pixels (%)": 13,
        "rms of weights from rarely inked pixels":
            round(((297 * 0.1 ** 2 + 3) / 300) ** 0.5, 3),
        "rms of weights from other pixels":
            round(((1850 * 0.1 ** 2 + 200 * 0.005 ** 2 + 0.47 ** 2 + 0.35 ** 2) / 2052) ** 0.5, 3),
        "weights below 0.01 in size (%)": round(100 * (784 + 200) / 3136, 1),
        "living units: weights below 0.01 in size (%)": round(100 * 200 / 2352, 1)}


# A run with trainings that are known

FIRST = p3.SEEDS[0]
RARE = np.arange(784) >= 720  # no training image has ink there


def known_training(name, seed):
    """Results of a training that differ by network and seed. Dead units, which are the first, say
    nothing of the training images, but wake on pixel 720."""
    number = 2 * "ACDEB".index(name) + seed
    units = control_p3.NETWORKS[name].units
    rng = np.random.default_rng(number)
    width = 1 if (name, seed) in (("A", FIRST), ("B", FIRST)) else 3  # these two are drawn
    initial = [rng.normal(0, 0.5, (784, units)), np.zeros(units),
               rng.normal(0, 0.5, (units, 10)), np.zeros(10)]
    trained = [rng.normal(0, width, (784, units)), np.full(units, 100.0),
               rng.normal(0, width, (units, 10)), np.zeros(10)]
    dead = np.arange(units) < 2 + number
    trained[0][:, dead] *= 0.01
    trained[0][:720, dead] = 0
    trained[0][720, dead], trained[1][dead] = 1, -0.5
    accuracies = {"training": 0.95 - number / 1000, "validation": 0.85 - number / 500}
    costs = {"training": 0.1 + number / 1000, "validation": 0.3 + number / 500}
    return SimpleNamespace(initial=initial, trained=trained, dead=dead, accuracies=accuracies,
                           costs=costs, get_weights=lambda: trained)


@pytest.fixture(scope="module")
def known_data(project, tmp_path_factory):
    """1,000 images to train and 200 to validate, of which these alone have ink in pixel 720."""
    with h5py.File(project / "data" / p3.TRAIN_FILE.name) as file:
        x, y = file["xdata"][:1300], file["ydata"][:1300]
    x[1000:, 720] = 1
    path = write(tmp_path_factory.mktemp("data") / p3.TRAIN_FILE.name, xdata=x, ydata=y)
    parts = {"training": (x[:1000], y[:1000].argmax(axis=1)),
             "validation": (x[1000:1200], y[1000:1200].argmax(axis=1))}
    return SimpleNamespace(path=path, parts=parts)


def use_known_trainings(monkeypatch, data):
    """Replace trainings and what is measured by evaluating; the rest is the script's own. Returns
    the list of (network, seed) as trained."""
    begun = []

    def part_of(x, y):
        for part, (images, classes) in data.parts.items():
            if np.array_equal(x, images) and np.array_equal(y, classes):
                return part
        pytest.fail("these are neither the training nor the validation images")

    def train(network, seed, x, y):
        assert part_of(x, y) == "training"
        name, = (name for name in "ACDEB" if control_p3.NETWORKS[name] == network)
        begun.append((name, seed))
        training = known_training(name, seed)
        return training.initial, training

    monkeypatch.setattr(p3, "TRAIN_FILE", data.path)
    monkeypatch.setattr(p3, "TRAIN_IMAGES", 1000)
    monkeypatch.setattr(p3, "VALIDATION_IMAGES", 200)
    monkeypatch.setattr(p3, "train", train)
    monkeypatch.setattr(p3, "judge", lambda model, x, y: (
        model.accuracies[part_of(x, y)], model.costs[part_of(x, y)]))
    return begun


@pytest.fixture(scope="module")
def run(known_data, tmp_path_factory):
    """main() once: its trainings in order, its folder of outputs, its figures by their file."""
    out = tmp_path_factory.mktemp("run") / "a new" / "folder"
    figures = {}

    def save(figure, path):
        figures[path.name] = figure
        path.write_bytes(b"a picture")
    with pytest.MonkeyPatch.context() as monkeypatch:
        begun = use_known_trainings(monkeypatch, known_data)
        monkeypatch.setattr(p3, "save", save)
        run_main(monkeypatch, p3, "--out", out)
    yield SimpleNamespace(begun=begun, out=out, figures=figures)
    p3.plt.close("all")


def table_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_its_files_and_no_others(run):
    assert sorted(contents(run.out)) == OUTPUTS[3]


def test_table_has_what_was_measured_of_each_training(run):
    assert run.begun == [(name, seed) for name in "AB" for seed in (0, 1)]
    rows = table_of(run.out / "p3_weights.csv")
    for (name, seed), row in zip(run.begun, rows, strict=True):
        training = known_training(name, seed)
        numbers = p3.describe(p3.Weights(training.initial, training.trained, training.dead))
        gap = training.accuracies["training"] - training.accuracies["validation"]
        assert row == {
            "network": name, "seed": str(seed),
            **{column: str(value) for column, value in numbers.items()},
            "training accuracy (%)": f"{100 * training.accuracies['training']:.2f}",
            "validation accuracy (%)": f"{100 * training.accuracies['validation']:.2f}",
            "gap (points)": f"{100 * gap:.1f}",
            "validation cross-entropy (nats)": f"{training.costs['validation']:.4f}"}


def test_results_are_those_of_the_run(run):
    results = json.loads((run.out / "p3_results.json").read_text(encoding="utf-8"))
    assert 0 <= results.pop("seconds") < 60
    assert results.pop("versions")["tensorflow"] == p3.tf.__version__
    assert results == {"quick": False, "batch_size": 128, "epochs": 40, "train_images": 1000,
                       "validation_images": 200}


# The pictures of that run: A and B, first seed

def outline(axes, label):
    """Borders of the bins and heights of the histogram with this label."""
    polygon, = (patch for patch in axes.patches if patch.get_label() == label)
    x, y = polygon.get_xy().T
    borders = np.unique(x)
    return borders, y[1:2 * len(borders) - 2:2]


def matrices(name, layer):
    """A layer's weights before and after training, units first, and which units are dead."""
    training = known_training(name, FIRST)
    if layer == 1:
        return training.initial[0].T, training.trained[0].T, training.dead
    return training.initial[2], training.trained[2], training.dead


def panels_of(run, name, layer):
    """The pairs of panels, all weights and the middle, that show this network's layer."""
    page = np.reshape(run.figures["p3_histograms.png"].axes, (4, 2))
    return page[2 * layer - 2:2 * layer, "AB".index(name)]


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("name", "AB")
def test_histograms_are_densities_before_and_after_training_with_dead_units_apart(
        run, name, layer):
    before, after, dead = matrices(name, layer)
    reach = max(np.abs(weights).max() for other in "AB" for weights in matrices(other, layer)[:2])
    for panels in [panels_of(run, name, layer)]:
        for axes, bins in zip(panels, p3.BINS[layer], strict=True):
            edges = np.linspace(-reach, reach, bins + 1)
            of_all, _ = np.histogram(after, edges, density=True)
            of_dead, _ = np.histogram(after[dead], edges, density=True)
            initial, _ = np.histogram(before, edges, density=True)
            for label, heights in (("after training, all units", of_all),
                                   ("after training, dead units", of_dead * dead.mean()),
                                   ("before training", initial)):
                borders, drawn = outline(axes, label)
                np.testing.assert_allclose(borders, edges, atol=1e-12)
                np.testing.assert_allclose(drawn, heights, atol=1e-12)


@pytest.mark.parametrize("layer", [1, 2])
def test_histograms_of_both_networks_have_the_same_axes(run, layer):
    page_A, page_B = panels_of(run, "A", layer), panels_of(run, "B", layer)
    for of_A, of_B, scale in zip(page_A, page_B, ("log", "linear"), strict=True):
        assert of_B.get_xlim() == of_A.get_xlim() and of_B.get_yscale() == scale
        assert of_A.get_ylim() == of_B.get_ylim() and of_A.get_yscale() == scale
    assert page_A[1].get_xlim() == (-p3.MIDDLE[layer], p3.MIDDLE[layer])


def test_titles_name_the_network_and_the_layer(run):
    for name in "AB":
        for layer in (1, 2):
            for axes in panels_of(run, name, layer):
                assert name in axes.get_title() and f"layer {layer}" in axes.get_title()
        head_of_the_column = panels_of(run, name, 1)[0]
        assert head_of_the_column.get_title().startswith(p3.TITLES[name])


def test_every_histogram_has_a_legend(run):
    names = ["after training, all units", "after training, dead units", "before training"]
    for file, figure in run.figures.items():
        if "hist" in file:
            legend, = figure.legends
            assert sorted(text.get_text() for text in legend.get_texts()) == names


def test_pictures_are_sharp_on_a_page_830_pixels_wide(tmp_path):
    figure, _ = p3.plt.subplots(figsize=(8.3, 2))
    p3.save(figure, tmp_path / "picture.png")
    assert p3.plt.imread(tmp_path / "picture.png").shape[:2] == (300, 1245)
    assert not p3.plt.fignum_exists(figure.number)
    assert b"matplotlib" not in (tmp_path / "picture.png").read_bytes().lower()


def test_fit_on_arrays_repeats_one_order_and_a_pipeline_does_not(monkeypatch, tmp_path):
    run_main(monkeypatch, frozen_order, "--out", tmp_path)
    lines = (tmp_path / "frozen_order.txt").read_text(encoding="utf-8").splitlines()
    orders = [line.split(":")[1].strip() for line in lines if "epoch" in line]
    for order in orders:
        assert sorted(order.strip("[]").split()) == list("01234567")
    assert len({*orders[:3]}) == 1 and len({*orders[3:]}) == 3
    assert len(orders) == 6

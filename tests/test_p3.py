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
    hidden, dropped, output = p3.build(*p3.NETWORKS[name]).layers
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
        monkeypatch.setattr(p3, "build", lambda *network: recording(p3.tf, build(*network), seen))
        monkeypatch.setattr(p3, "EPOCHS", 20)
        initial, model = p3.train("B", 0, x, y)
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
    for weights, same in zip(training.initial, p3.build(*p3.NETWORKS["B"]).get_weights()):
        assert np.array_equal(weights, same)


def test_a_training_repeats_from_its_seed(training, monkeypatch):
    monkeypatch.setattr(p3, "EPOCHS", 20)
    _, model = p3.train("B", 0, training.x, training.y)
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
    assert p3.accuracy(training.model, x, y) == pytest.approx(right, abs=0.004)
    cost = -np.log(p[np.arange(600), y]).mean()
    assert p3.cross_entropy(training.model, x, y) == pytest.approx(cost, rel=1e-4)
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
    assert p3.rarely_inked(x).tolist() == [True, False, False, False]


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
    row = p3.describe([W1, None, W2, None], dead, rare)
    assert {name: float(value) for name, value in row.items()} == {
        "units": 4,
        "dead units": 1,
        "layer 1, living units: standard deviation": round(living.std(), 3),
        "layer 1, living units: excess kurtosis": round(p3.excess_kurtosis(living), 1),
        "layer 1, living units: rms of weights from rarely inked pixels":
            round(((297 * 0.1 ** 2 + 3) / 300) ** 0.5, 3),
        "layer 1, living units: rms of weights from other pixels":
            round(((1850 * 0.1 ** 2 + 200 * 0.005 ** 2 + 0.47 ** 2 + 0.35 ** 2) / 2052) ** 0.5, 3),
        "layer 1, living units: weights beyond 4 standard deviations": 4,
        "of these from rarely inked pixels (%)": 75,
        "layer 1: weights below 0.01 in size (%)": round(100 * (784 + 200) / 3136, 1),
        "layer 1, living units: weights below 0.01 in size (%)": round(100 * 200 / 2352, 1),
        "layer 2: standard deviation": 1.5,
        "layer 2: excess kurtosis": -2}  # two values, equally often


@pytest.mark.parametrize("pixels, share", [([], 0), ([5], 100), ([5, 500], 50)])
def test_share_of_the_tails_is_a_number_however_few_they_are(pixels, share):
    W1 = np.resize([0.1, -0.1], (784, 3))
    W1[pixels, 0] = 1
    row = p3.describe([W1, None, W1, None], np.zeros(3, bool), np.arange(784) < 100)
    assert float(row["of these from rarely inked pixels (%)"]) == share


# A run with trainings that are known

FIRST = p3.SEEDS[0]
RARE = np.arange(784) >= 720  # no training image has ink there


def known_training(name, seed):
    """Results of a training that differ by network and seed. Dead units, which are the first, say
    nothing of the training images, but wake on pixel 720."""
    number = 2 * "ACDEB".index(name) + seed
    units, _, _ = p3.NETWORKS[name]
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

    def train(name, seed, x, y):
        assert part_of(x, y) == "training"
        begun.append((name, seed))
        training = known_training(name, seed)
        return training.initial, training

    monkeypatch.setattr(p3, "TRAIN_FILE", data.path)
    monkeypatch.setattr(p3, "TRAIN_IMAGES", 1000)
    monkeypatch.setattr(p3, "VALIDATION_IMAGES", 200)
    monkeypatch.setattr(p3, "train", train)
    monkeypatch.setattr(p3, "accuracy", lambda model, x, y: model.accuracies[part_of(x, y)])
    monkeypatch.setattr(p3, "cross_entropy", lambda model, x, y: model.costs[part_of(x, y)])
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
    assert run.begun == [(name, seed) for name in "ACDEB" for seed in (0, 1)]
    rows = table_of(run.out / "p3_weights.csv")
    for (name, seed), row in zip(run.begun, rows, strict=True):
        _, l2, dropout = p3.NETWORKS[name]
        training = known_training(name, seed)
        numbers = p3.describe(training.trained, training.dead, RARE)
        assert row == {
            "network": name, "L2": str(l2), "dropout": str(dropout), "seed": str(seed),
            **{column: str(value) for column, value in numbers.items()},
            "training accuracy (%)": f"{100 * training.accuracies['training']:.2f}",
            "validation accuracy (%)": f"{100 * training.accuracies['validation']:.2f}",
            "validation cross-entropy (nats)": f"{training.costs['validation']:.4f}"}


def test_results_are_those_of_the_run(run):
    results = json.loads((run.out / "p3_results.json").read_text(encoding="utf-8"))
    assert 0 <= results.pop("seconds") < 60
    assert results == {"quick": False, "batch_size": 128, "epochs": 40, "train_images": 1000,
                       "validation_images": 200, "rarely_inked_pixels": 64}


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
    return (page[2 * layer - 2:2 * layer, "AB".index(name)],
            run.figures[f"p3_hist_{name}_layer{layer}.png"].axes)


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("name", "AB")
def test_histograms_are_densities_before_and_after_training_with_dead_units_apart(
        run, name, layer):
    before, after, dead = matrices(name, layer)
    reach = max(np.abs(weights).max() for other in "AB" for weights in matrices(other, layer)[:2])
    for panels in panels_of(run, name, layer):
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
    """The heights alone have axes of their own where each has a picture of its own."""
    page_A, picture_A = panels_of(run, "A", layer)
    page_B, picture_B = panels_of(run, "B", layer)
    for panels in (page_A, page_B, picture_A, picture_B):
        for axes, of_A, scale in zip(panels, page_A, ("log", "linear"), strict=True):
            assert axes.get_xlim() == of_A.get_xlim() and axes.get_yscale() == scale
    for of_A, of_B in zip(page_A, page_B):
        assert of_A.get_ylim() == of_B.get_ylim()
    assert page_A[1].get_xlim() == (-p3.MIDDLE[layer], p3.MIDDLE[layer])


def test_titles_name_the_network_and_the_layer(run):
    for name in "AB":
        for layer in (1, 2):
            for panels in panels_of(run, name, layer):
                for axes in panels:
                    assert name in axes.get_title() and f"layer {layer}" in axes.get_title()
            figure = run.figures[f"p3_hist_{name}_layer{layer}.png"]
            assert figure.get_suptitle() == p3.TITLES[name]
        head_of_the_column = panels_of(run, name, 1)[0][0]
        assert head_of_the_column.get_title().startswith(p3.TITLES[name])
        for file in ("p3_norms.png", "p3_pixels.png"):
            axes = run.figures[file].axes["AB".index(name)]
            assert axes.get_title().startswith(name)


def test_every_histogram_has_a_legend(run):
    names = ["after training, all units", "after training, dead units", "before training"]
    for file, figure in run.figures.items():
        if "hist" in file:
            legend, = figure.legends
            assert sorted(text.get_text() for text in legend.get_texts()) == names


@pytest.mark.parametrize("name", "AB")
def test_norms_are_of_incoming_weights_largest_first_with_dead_units_apart(run, name):
    training = known_training(name, FIRST)
    before = np.sqrt((training.initial[0] ** 2).sum(axis=0))
    after = np.sqrt((training.trained[0] ** 2).sum(axis=0))
    order = np.argsort(-after, kind="stable")
    place, dead = np.arange(len(order)), training.dead[order]
    axes = run.figures["p3_norms.png"].axes["AB".index(name)]
    lines = {line.get_label(): line.get_xydata().T for line in axes.get_lines()}
    assert lines.keys() == {"before training", "after training", "after training, dead units"}
    for label, which, norms in (("before training", place, before[order]),
                                ("after training", place[~dead], after[order]),
                                ("after training, dead units", place[dead], after[order])):
        np.testing.assert_allclose(lines[label], [which, norms[which]])
    left, right = run.figures["p3_norms.png"].axes
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[0] < 0
    assert right.get_legend()


def test_norms_of_a_network_larger_than_the_first_fit_their_panel(monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(p3, "save", lambda figure, path: figures.append(figure))
    alive = np.zeros(3, bool)
    small, large = [np.ones((784, 3))], [np.full((784, 3), 2.0)]
    p3.plot_norms({"A": (small, small, alive), "B": (small, large, alive)}, tmp_path)
    assert figures[0].axes[1].get_ylim()[1] > 2 * 784 ** 0.5
    p3.plt.close(figures[0])


def test_pixels_show_weights_of_living_units_on_one_scale_and_the_training_images(
        run, known_data):
    of_A, of_B, inked = run.figures["p3_pixels.png"].axes[:3]
    largest = 0
    for axes, name in ((of_A, "A"), (of_B, "B")):
        training = known_training(name, FIRST)
        sizes = np.sqrt((training.trained[0][:, ~training.dead] ** 2).mean(axis=1))
        np.testing.assert_allclose(axes.images[0].get_array(), sizes.reshape(28, 28))
        largest = max(largest, sizes.max())
    assert of_A.images[0].get_clim() == of_B.images[0].get_clim() == (0, pytest.approx(largest))
    x, _ = known_data.parts["training"]
    share = 100 * (x > 0).mean(axis=0).reshape(28, 28)
    np.testing.assert_allclose(inked.images[0].get_array(), share)
    assert inked.images[0].get_clim() == (0, 100)
    for axes in (of_A, of_B, inked):
        border, = axes.collections  # above pixel 720, in the middle of row 25, and beside it
        heights = np.concatenate([path.vertices for path in border.get_paths()])[:, 1]
        assert (heights.min(), heights.max()) == (24.5, 25.5)


def test_pictures_are_sharp_on_a_page_830_pixels_wide(tmp_path):
    figure, _ = p3.plt.subplots(figsize=(8.3, 2))
    p3.save(figure, tmp_path / "picture.png")
    assert p3.plt.imread(tmp_path / "picture.png").shape[:2] == (300, 1245)
    assert not p3.plt.fignum_exists(figure.number)
    assert b"matplotlib" not in (tmp_path / "picture.png").read_bytes().lower()


# The programs behind quoted numbers

def test_control_measures_living_units_with_each_optimizer(known_data, monkeypatch, tmp_path):
    use_known_trainings(monkeypatch, known_data)
    known_train, trained = p3.train, []

    def train(name, seed, x, y):
        optimizer = p3.OPTIMIZER.get_config()
        rate = round(optimizer["learning_rate"], 6)
        trained.append([type(p3.OPTIMIZER).__name__, p3.EPOCHS, seed, rate,
                        optimizer.get("momentum")])
        assert name == "A"
        return known_train(name, seed, x, y)
    monkeypatch.setattr(p3, "train", train)
    for name in ("EPOCHS", "OPTIMIZER"):  # the program changes them; so they are put back
        monkeypatch.setattr(p3, name, getattr(p3, name))
    run_main(monkeypatch, control_p3, "--out", tmp_path)
    assert trained == [
        ["Adam", 40, 0, 0.001, None], ["Adam", 40, 1, 0.001, None], ["Adam", 4, 0, 0.001, None],
        ["Adam", 4, 1, 0.001, None], ["SGD", 40, 0, 0.1, 0], ["SGD", 40, 1, 0.1, 0],
        ["SGD", 40, 0, 0.1, 0.9], ["SGD", 40, 1, 0.1, 0.9]]
    rows = table_of(tmp_path / "p3_control.csv")
    assert len({row["optimizer"] for row in rows}) == 4
    for (_, _, seed, _, _), row in zip(trained, rows, strict=True):
        training = known_training("A", seed)
        moved = (training.trained[0] - training.initial[0])[:, ~training.dead]
        numbers = p3.describe(training.trained, training.dead, RARE)
        del row["optimizer"]
        assert row == {
            "seed": str(seed),
            "rms movement of weights from rarely inked pixels":
                f"{np.sqrt((moved[720:] ** 2).mean()):.3f}",
            "rms movement of weights from other pixels":
                f"{np.sqrt((moved[:720] ** 2).mean()):.3f}",
            "standard deviation": numbers["layer 1, living units: standard deviation"],
            "excess kurtosis": numbers["layer 1, living units: excess kurtosis"],
            "weights beyond 4 standard deviations":
                str(numbers["layer 1, living units: weights beyond 4 standard deviations"]),
            "of these from rarely inked pixels (%)":
                numbers["of these from rarely inked pixels (%)"],
            "training accuracy (%)": f"{100 * training.accuracies['training']:.2f}",
            "validation accuracy (%)": f"{100 * training.accuracies['validation']:.2f}"}


def test_fit_on_arrays_repeats_one_order_and_a_pipeline_does_not(monkeypatch, tmp_path):
    run_main(monkeypatch, frozen_order, "--out", tmp_path)
    lines = (tmp_path / "frozen_order.txt").read_text(encoding="utf-8").splitlines()
    orders = [line.split(":")[1].strip() for line in lines if "epoch" in line]
    for order in orders:
        assert sorted(order.strip("[]").split()) == list("01234567")
    assert len({*orders[:3]}) == 1 and len({*orders[3:]}) == 3
    assert len(orders) == 6

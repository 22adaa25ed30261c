"""The programs behind quoted numbers: each runs, in its smallest form, and writes its files. What
is hard to see in a table has a test of its own."""
import subprocess
import sys
from itertools import product
from math import prod

import adversarial_p1
import all_rows_p4
import control_p1
import numpy as np
import pytest
import search_p4
from conftest import ROOT, files_written_by, run_file

import p1_numpy_mlp as p1
import p3_reg_histograms as p3
import p4_human_machine as p4

PROGRAMS = sorted((ROOT / "tests" / "experiments").glob("*.py"))
PROGRAMS.remove(ROOT / "tests" / "experiments" / "program.py")
every_program = pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)


@every_program
def test_help_runs_nothing(path, monkeypatch, capsys):
    assert run_file(monkeypatch, path, "--help") == 0
    printed = capsys.readouterr().out
    assert "--quick" in printed and "--out" in printed


@every_program
def test_smallest_form_writes_the_files_that_the_docstring_names(path, monkeypatch, tmp_path):
    out = tmp_path / "not yet" / "there"
    if path.stem in ("search_p2", "search_p4", "benchmark_mlp"):  # processes, or set the threads
        run = subprocess.run([sys.executable, path, "--quick", "--out", out], capture_output=True,
                             text=True)
        assert run.returncode == 0, run.stderr[-2000:]
    else:
        for script in (p1, p3, p4):  # what --quick changes is put back
            for name in filter(str.isupper, dir(script)):
                monkeypatch.setattr(script, name, getattr(script, name))
        assert run_file(monkeypatch, path, "--quick", "--out", out) is None
    named = set(files_written_by(path)) - {"p4_weights_folds_students.png"}  # with --course
    assert {file.name for file in out.iterdir()} == named


def test_a_bad_file_ends_a_program_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "f.hdf5").write_text("no data")
    line = run_file(monkeypatch, ROOT / "tests" / "experiments" / "search_p4.py", "--quick",
                    "--out", tmp_path / "out", "--course", tmp_path / "f.hdf5")
    assert line.startswith("error:") and "f.hdf5" in line and "\n" not in line


# Problem 1

def test_a_random_step_has_the_length_and_another_direction_for_each_image():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.1, 1, (20, 784)).astype(np.float32), rng.integers(0, 10, 20)
    network = control_p1.RandomDirection((784, 8, 10), "ReLU", rng, epsilon=0.7)
    network.forward(x)
    steps = network.adversarial(y) - x
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 0.7, rtol=1e-3)
    cosines = (steps @ steps.T / 0.49)[~np.eye(20, dtype=bool)]
    assert np.abs(cosines).max() < 0.2


def test_pictures_of_images_without_some_classes():
    fall, y = np.array([0.5, 0.1, 0.3, 0.2, 0.9, 0.4, 0.0]), np.array([7, 7, 7, 9, 9, 3, 9])
    typical, worst = adversarial_p1.typical_and_worst(fall, y)
    assert typical == [5, 2, 3] and worst.tolist() == [4, 0, 5, 2, 3]


# Problem 4

def test_row_i_of_all_has_the_binary_digits_of_i():
    for coding in ((-1, 1), (0, 1)):
        rows = all_rows_p4.all_rows(coding)
        assert rows.shape == (2 ** 20, 20) and rows.dtype == np.float32
        for i in [0, 1, 2 ** 20 - 1, *np.random.default_rng(0).integers(0, 2 ** 20, 100)]:
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


def test_spread_of_people_is_1_where_rows_of_a_person_are_not_alike():
    values = np.random.default_rng(0).normal(size=10_000)
    spread = all_rows_p4.spread_of_people(values, np.repeat(range(500), 20))
    assert spread == pytest.approx(1, abs=0.2)
    # Means 0 and 2, of variance 2; rows of variance 4/3.
    spread = all_rows_p4.spread_of_people(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 1]))
    assert spread == pytest.approx(2 * 2 / (4 / 3))


def test_noise_does_what_it_says_in_training_alone():
    x = np.random.default_rng(0).choice([-1.0, 1.0], (500, 20)).astype(np.float32)
    flip, order = search_p4.RandomFlip(0.2), search_p4.RandomOrder()
    for layer in (flip, order):
        assert np.array_equal(layer(x), x)
        first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
        assert not np.array_equal(first, second)
    assert (flip(x, training=True).numpy() != x).mean() == pytest.approx(0.2, abs=0.02)
    assert np.array_equal(np.sort(first, axis=1), np.sort(x, axis=1))

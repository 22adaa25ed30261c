"""The outputs: complete, and such as the scripts' rules make them, whoever ran the scripts, with
margins that any seed and any machine keep. What is quoted of them is in test_pages.py."""
import json
import subprocess

import h5py
import numpy as np
import pytest
from conftest import OUTPUTS, ROOT, SCRIPTS, as_committed, files_written_by, table

import p1_numpy_mlp as p1
import p4_human_machine as p4
from data.loader import load_images
from mlp import MLP

OUT = ROOT / "outputs"
COURSE = OUT / "course_fall2020"
both_files = pytest.mark.parametrize("folder", [OUT, COURSE], ids=["shipped", "course"])


def results_of(number, folder=OUT):
    results = json.loads((folder / f"p{number}_results.json").read_text(encoding="utf-8"))
    if results["quick"]:
        pytest.skip("these outputs are those of a quick run")
    return results


def test_every_file_is_there():
    for folder, numbers in ((OUT, SCRIPTS), (COURSE, [4])):
        for number in numbers:
            assert [name for name in OUTPUTS[number] if not (folder / name).is_file()] == []


@as_committed("outputs")
def test_no_other_file_is_committed():
    """But the pages, and what the experiments' docstrings name."""
    listed = subprocess.run(["git", "ls-files"], cwd=OUT, capture_output=True, text=True)
    of_scripts = sum(OUTPUTS.values(), [])
    of_programs = [name for path in (ROOT / "tests" / "experiments").glob("*.py")
                   for name in files_written_by(path)]
    assert sorted(listed.stdout.split()) == sorted([
        "README.md", *of_scripts,
        "course_fall2020/README.md", *(f"course_fall2020/{name}" for name in OUTPUTS[4]),
        "beyond/README.md", *(f"beyond/{name}" for name in of_programs)])


def test_p1_right_test_images_are_those_of_the_network():
    results = results_of(1)
    with h5py.File(OUT / "p1_network_params.hdf5") as file:
        network = MLP(results["sizes"], file.attrs["activation"], np.random.default_rng(0))
        for l in range(1, network.L + 1):
            network.W[l], network.b[l] = file[f"W{l}"][()], file[f"b{l}"][()]
    x, y = load_images(p1.TEST_FILE)
    right = int((network.probabilities(x).argmax(axis=1) == y).sum())
    assert abs(right - results["test_right"]) <= 1 and results["test_accuracy"] > 0.99


@both_files
def test_p4_cyclic_shifts_are_submitted_and_do_not_over_fit(folder):
    results = results_of(4, folder)
    assert results["submitted"] == "Adam, cyclic shifts" and results["split_by"] == "people"
    rows = {row["trained with"]: row for row in table(folder / "p4_networks.csv")[:-3]}
    shifts = rows[results["submitted"]]
    entropies = [float(row["validation cross-entropy"]) for row in rows.values()]
    assert list(rows) == list(p4.SETTINGS) and min(entropies) < np.log(2)
    assert float(shifts["validation cross-entropy"]) == min(entropies)
    validation = float(shifts["validation accuracy (%)"])
    assert validation == pytest.approx(results["validation_accuracy"], abs=0.06)
    assert float(shifts["training accuracy (%)"]) - validation < 4


@both_files
def test_p4_weights_are_those_of_the_model(folder):
    with h5py.File(folder / "p4_model.hdf5") as file:
        W = file["model_weights/hidden/hidden/kernel:0"][()]
    text = (folder / "p4_weights.txt").read_text(encoding="utf-8")
    assert text == p4.matrix_text(W) + "\n"

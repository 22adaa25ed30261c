"""What all four scripts owe: their files where they are wanted, one line for what goes wrong, and
complete outputs or untouched ones."""
import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import (DATA, OUTPUTS, ROOT, SCRIPTS, assert_earlier_outputs_are_untouched, contents,
                      earlier_outputs, posix, run_file, run_main, write, write_sequences)
from matplotlib.figure import Figure

from data.loader import DataError

every_script = pytest.mark.parametrize("number", SCRIPTS)


def script_on_small_data(number, project, monkeypatch):
    """The module of a script; its data are the small ones, its numbers of images are those of
    --quick."""
    script = importlib.import_module(SCRIPTS[number])
    for name in ("DATA_FILE", "TRAIN_FILE", "TEST_FILE"):
        if hasattr(script, name):
            monkeypatch.setattr(script, name, project / "data" / getattr(script, name).name)
    if number != 4:
        monkeypatch.setattr(script, "TRAIN_IMAGES", 1000)
        monkeypatch.setattr(script, "VALIDATION_IMAGES", 200)
    return script


# Where the files go

@every_script
def test_quick_run_writes_every_file(number, runs):
    """From another directory."""
    run = runs[number, "first"].result()
    assert run.status == 0 and run.errors == [] and str(run.out) in run.output
    assert sorted(contents(run.out)) == sorted(OUTPUTS[number])
    results = (run.out / f"p{number}_results.json").read_text(encoding="utf-8")
    assert json.loads(results)["quick"] is True


class Begun(Exception):
    """A training was begun."""


@every_script
@pytest.mark.parametrize("arguments, expected", [
    ([], "outputs"), (["--quick"], "tmp"), (["--out", "wanted"], "wanted"),
    (["--quick", "--out", "wanted"], "wanted"), (["--out=~/wanted"], "wanted")])
def test_files_are_collected_where_they_are_wanted(
        number, arguments, expected, project, monkeypatch, tmp_path):
    """Each run ends at its first training: by then its folder is there. --quick alone leaves
    outputs/ alone."""
    script = script_on_small_data(number, project, monkeypatch)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    made = []

    def train(*_, **__):
        made.extend(folder.name for folder in tmp_path.rglob("*") if not folder.parent == tmp_path
                    or folder.name != "temporary")
        raise Begun
    monkeypatch.setattr(script, "train", train)
    with pytest.raises(Begun):
        run_main(monkeypatch, script, *arguments)
    assert {name[:len(expected)] for name in made} == {expected}


# What goes wrong before a training

@pytest.fixture
def no_training(monkeypatch):
    for name in SCRIPTS.values():
        script = importlib.import_module(name)
        monkeypatch.setattr(script, "train", lambda *_, **__: pytest.fail("a training was begun"))


def assert_is_refused(number, error, named, out, monkeypatch, *arguments):
    """A run raises this error with one line in which something is named, and makes no folder."""
    script = importlib.import_module(SCRIPTS[number])
    with pytest.raises(error, match=named) as refusal:
        run_main(monkeypatch, script, *arguments, "--out", out)
    assert "\n" not in str(refusal.value) and not out.is_dir()


@every_script
def test_too_few_images_or_rows_are_refused(number, no_training, project, monkeypatch, tmp_path):
    script = script_on_small_data(number, project, monkeypatch)
    if number == 4:
        monkeypatch.setattr(script, "DATA_FILE", write_sequences(tmp_path / DATA[4], 99))
    else:
        monkeypatch.setattr(script, "TRAIN_IMAGES", 2500)  # none is left to validate
    assert_is_refused(number, DataError, DATA[number], tmp_path / "out", monkeypatch)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kept", [None, 20_000, 100], ids=["missing", "cut short", "beginning"])
def test_a_bad_test_file_is_refused(number, kept, no_training, project, monkeypatch, tmp_path):
    script = script_on_small_data(number, project, monkeypatch)
    if kept:
        (tmp_path / "test.hdf5").write_bytes(script.TEST_FILE.read_bytes()[:kept])
    monkeypatch.setattr(script, "TEST_FILE", tmp_path / "test.hdf5")
    assert_is_refused(number, DataError, "test.hdf5", tmp_path / "out", monkeypatch)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_file_sorted_by_class_is_refused(number, no_training, project, monkeypatch, tmp_path):
    script = script_on_small_data(number, project, monkeypatch)
    with h5py.File(script.TRAIN_FILE) as file:
        order = np.argsort(file["ydata"][()].argmax(axis=1))
        path = write(tmp_path / "f.hdf5", xdata=file["xdata"][()][order],
                     ydata=file["ydata"][()][order])
    monkeypatch.setattr(script, "TRAIN_FILE", path)
    assert_is_refused(number, DataError, "shuffle", tmp_path / "out", monkeypatch)


@posix
@every_script
def test_a_folder_that_cannot_be_written_to_is_refused(
        number, no_training, project, monkeypatch, tmp_path):
    """File modes do not stop root."""
    script_on_small_data(number, project, monkeypatch)

    def denied(*_, dir, **__):
        raise PermissionError(13, "Permission denied", str(dir))
    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    with pytest.raises(OSError, match="out"):
        run_main(monkeypatch, importlib.import_module(SCRIPTS[number]), "--out", tmp_path / "out")
    assert contents(tmp_path / "out") == {}


@every_script
@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_made_is_refused(
        number, below, no_training, project, monkeypatch, tmp_path):
    script_on_small_data(number, project, monkeypatch)
    (tmp_path / "a file").write_text("")
    assert_is_refused(number, OSError, "a file", tmp_path / "a file" / below, monkeypatch)


# One line

@every_script
@pytest.mark.parametrize("error, begin", [
    (DataError("a bad file"), "error: a bad file"),
    (OSError(28, "No space left on device"), "error: [Errno 28]"),
    (KeyboardInterrupt(), "\ninterrupted")])
def test_what_main_raises_ends_a_script_with_one_line(number, error, begin):
    """The last lines of each script alone, with another main()."""
    text = (ROOT / f"{SCRIPTS[number]}.py").read_text(encoding="utf-8")
    ending = text[text.index("\nif __name__"):]

    def main():
        raise error
    with pytest.raises(SystemExit) as end:
        exec(ending, {"__name__": "__main__", "main": main, "sys": sys, "DataError": DataError})
    assert end.value.code.startswith(begin) and "\n" not in end.value.code.strip()


@every_script
def test_a_bad_file_ends_a_run_with_one_line(number, monkeypatch, tmp_path):
    """A script without any data, but for a text where its file should be."""
    copy = tmp_path / f"{SCRIPTS[number]}.py"
    copy.write_bytes((ROOT / copy.name).read_bytes())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DATA[number]).write_text("no data")
    earlier_outputs(number, tmp_path / "out")
    line = run_file(monkeypatch, copy, "--out", tmp_path / "out")
    assert line.startswith("error:") and DATA[number] in line and "\n" not in line
    assert_earlier_outputs_are_untouched(number, tmp_path / "out")


@pytest.mark.parametrize("number", [1, 4])
def test_a_full_disk_is_a_plain_error_while_hdf5_is_written(number, monkeypatch, tmp_path):
    """HDF5's own library, writing to a disk, may crash on a full one: Python is to write what it
    makes."""
    def full(path, content):
        assert content.startswith(b"\x89HDF")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", full)
    script = importlib.import_module(SCRIPTS[number])
    with pytest.raises(OSError, match="No space left"):
        if number == 1:
            network = script.MLP((784, 20, 10), "ReLU", np.random.default_rng(0))
            script.write_network(network, "ReLU", tmp_path / "file")
        else:
            weights = script.build(script.SETTINGS["Adam"]).get_weights()
            script.write_model(tmp_path / "file", weights, script.SETTINGS["Adam"], (-1, 1))
    assert contents(tmp_path) == {}


@posix
def test_ctrl_c_ends_a_run_with_one_line_also_amid_its_threads(runs):
    run = runs[1, "Ctrl-C"].result()
    line, = run.errors
    assert run.status == 1 and line.startswith("interrupted")
    assert_earlier_outputs_are_untouched(1, run.out)


# Earlier outputs

@pytest.fixture
def quick_pictures(monkeypatch):
    """Drawn, but written as one word."""
    def savefig(figure, path, **_):
        Path(path).write_bytes(b"picture")
    monkeypatch.setattr(Figure, "savefig", savefig)


@every_script
def test_an_earlier_output_that_cannot_be_replaced_leaves_the_new_ones_in_a_folder(
        number, project, quick_pictures, monkeypatch, tmp_path):
    """A folder is in the way; other users' files and tables open in Excel are refused alike."""
    in_the_way = OUTPUTS[number][2]
    (tmp_path / in_the_way / "folder").mkdir(parents=True)
    (tmp_path / "not ours").write_bytes(b"old")
    line = run_file(monkeypatch, project / f"{SCRIPTS[number]}.py", "--quick", "--out", tmp_path)
    kept, = tmp_path.glob("new_*")
    assert line.startswith("error:") and "\n" not in line
    assert str(kept) in line and str(tmp_path / in_the_way) in line
    files = [path.name for path in [*tmp_path.iterdir(), *kept.iterdir()] if path.is_file()]
    assert sorted(files) == sorted([*OUTPUTS[number], "not ours"])
    assert in_the_way in contents(kept)
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == sorted(
        [kept, tmp_path / in_the_way])


@every_script
def test_a_run_that_fails_in_its_last_line_leaves_earlier_outputs_untouched(
        number, project, quick_pictures, monkeypatch, tmp_path):
    """The disk is full when all files but the last are written."""
    script = script_on_small_data(number, project, monkeypatch)
    written, write_text = [], Path.write_text

    def full(path, *arguments, **options):
        if not path.name.endswith("results.json"):
            return write_text(path, *arguments, **options)
        written.extend(other.name for other in path.parent.iterdir())
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(Path, "write_text", full)
    earlier_outputs(number, tmp_path)
    with pytest.raises(OSError, match="No space left"):
        run_main(monkeypatch, script, "--quick", "--out", tmp_path)
    assert sorted(written) == sorted({*OUTPUTS[number]} - {f"p{number}_results.json"})
    new, = tmp_path.glob("new_*")
    shutil.rmtree(new)
    assert_earlier_outputs_are_untouched(number, tmp_path)

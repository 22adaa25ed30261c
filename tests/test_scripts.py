"""What all four scripts owe: their files where they are wanted, one line for what goes wrong,
complete outputs or untouched ones; and other people's machines, whose settings change nothing."""
import importlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pytest
import test_p1
import test_p2
import test_p3
import test_p4
from conftest import (DATA, OUTPUTS, ROOT, SCRIPTS, assert_earlier_outputs_are_untouched, contents,
                      earlier_outputs, on_small_data, posix, run_file, run_main, without_pictures,
                      write, write_sequences)

from data.loader import DataError

every_script = pytest.mark.parametrize("number", SCRIPTS)
PREPARE = {1: test_p1.prepare, 2: test_p2.prepare, 3: test_p3.prepare, 4: test_p4.prepare}


def run_known(monkeypatch, number, project, *arguments):
    """main() with known trainings. Returns its events."""
    script, events = PREPARE[number](monkeypatch, project)
    without_pictures(monkeypatch, script)
    run_main(monkeypatch, script, *arguments)
    return events


# Files

def but_for_the_seconds(folder):
    return {name: re.sub(rb'"seconds": \d+', b"", content)
            for name, content in contents(folder).items()}


@every_script
def test_a_second_run_under_a_strangers_settings_gives_equal_files(number, runs):
    """Both from another directory; the second into a folder with letters that the stranger's
    console lacks."""
    first = runs[number, "first"].result()
    second = runs[number, "under a stranger's settings"].result()
    for run in (first, second):
        assert run.status == 0 and run.errors == [] and sorted(contents(run.out)) == OUTPUTS[number]
    assert str(first.out) in first.output
    plain, under_settings = but_for_the_seconds(first.out), but_for_the_seconds(second.out)
    assert [name for name in plain if plain[name] != under_settings[name]] == []
    results = json.loads(plain[f"p{number}_results.json"].replace(b",\n \n", b"\n"))
    assert results["quick"] is True and results["versions"]["h5py"] == h5py.__version__
    assert ("tensorflow" in results["versions"]) == (number > 1)


@every_script
@pytest.mark.parametrize("arguments, folder", [
    ([], "outputs"), (["--quick"], "temporary/*"), (["--out=~/wanted"], "wanted"),
    (["--quick", "--out", "wanted"], "wanted")])
def test_files_are_written_where_they_are_wanted(
        number, arguments, folder, project, monkeypatch, tmp_path):
    """And nowhere else: --quick alone leaves outputs/ alone."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(importlib.import_module(SCRIPTS[number]), "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    events = run_known(monkeypatch, number, project, *arguments)
    out, = tmp_path.glob(folder)
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {out / name for name in OUTPUTS[number]}
    assert [path for path in out.iterdir() if path.is_dir()] == []
    # A smoke test leaves the values of the test set unread.
    loads = [event for event in events if isinstance(event, str) and "load" in event]
    assert any("test" in event for event in loads) == (number < 3 and "--quick" not in arguments)


@every_script
def test_pictures_are_crisp_on_a_page_830_pixels_wide_and_name_no_version(number, tmp_path):
    script = importlib.import_module(SCRIPTS[number])
    figure, _ = script.plt.subplots(figsize=(8.3, 2))
    script.save(figure, tmp_path / "picture.png")
    assert script.plt.imread(tmp_path / "picture.png").shape[:2] == (300, 1245)
    assert b"matplotlib" not in (tmp_path / "picture.png").read_bytes().lower()
    assert not script.plt.fignum_exists(figure.number)


# What goes wrong before a training

@pytest.fixture
def small(monkeypatch, project):
    """small(number): the module of a script that reads small files and may not train."""
    def script_on_small_data(number):
        script, _ = on_small_data(monkeypatch, number, project)
        monkeypatch.setattr(script, "train", lambda *_, **__: pytest.fail("a training was begun"))
        return script
    return script_on_small_data


def assert_is_refused(monkeypatch, script, error, named, out):
    """A run raises this error with one line in which something is named, and leaves no file."""
    with pytest.raises(error, match=named) as refusal:
        run_main(monkeypatch, script, "--out", out)
    assert "\n" not in str(refusal.value) and not (out.is_dir() and any(out.iterdir()))


@every_script
def test_too_few_images_or_rows_are_refused(number, small, monkeypatch, tmp_path):
    script = small(number)
    if number == 4:
        path = write_sequences(tmp_path / DATA[4], 99, 100)
        monkeypatch.setattr(script, "DATA_FILE", path)
    else:
        monkeypatch.setattr(script, "TRAIN_IMAGES", 2500)  # none is left to validate
    assert_is_refused(monkeypatch, script, DataError, DATA[number], tmp_path / "out")


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kept", [None, 20_000], ids=["missing", "cut short"])
def test_a_bad_test_file_is_refused(number, kept, small, monkeypatch, tmp_path):
    script = small(number)
    if kept:
        (tmp_path / "test.hdf5").write_bytes(script.TEST_FILE.read_bytes()[:kept])
    monkeypatch.setattr(script, "TEST_FILE", tmp_path / "test.hdf5")
    assert_is_refused(monkeypatch, script, DataError, "test.hdf5", tmp_path / "out")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_file_sorted_by_class_is_refused(number, small, monkeypatch, tmp_path):
    script = small(number)
    with h5py.File(script.TRAIN_FILE) as file:
        order = np.argsort(file["ydata"][()].argmax(axis=1))
        path = write(tmp_path / "f.hdf5", xdata=file["xdata"][()][order],
                     ydata=file["ydata"][()][order])
    monkeypatch.setattr(script, "TRAIN_FILE", path)
    assert_is_refused(monkeypatch, script, DataError, "shuffle", tmp_path / "out")


@every_script
def test_a_folder_that_cannot_be_made_or_written_to_is_refused(
        number, small, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    for folder in (tmp_path / "a file", tmp_path / "a file" / "below"):
        assert_is_refused(monkeypatch, small(number), OSError, "a file", folder)

    def denied(*_, dir, **__):
        raise PermissionError(13, "Permission denied", str(dir))
    monkeypatch.setattr(tempfile, "TemporaryFile", denied)  # file modes do not stop root
    assert_is_refused(monkeypatch, small(number), OSError, "denied", tmp_path / "out")


@every_script
def test_an_empty_name_of_a_folder_is_refused(number, small, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_main(monkeypatch, small(number), "--out", "")
    assert "--out" in capsys.readouterr().err.splitlines()[-1]


# One line

@every_script
def test_a_bad_file_ends_a_run_with_one_line(number, monkeypatch, tmp_path):
    """A script without any data, but for a text where its file should be; where a notebook was
    first: matplotlib draws for something else, and the stream cannot be reconfigured."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    matplotlib.use("svg")
    copy = tmp_path / f"{SCRIPTS[number]}.py"
    copy.write_bytes((ROOT / copy.name).read_bytes())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DATA[number]).write_text("no data")
    earlier_outputs(number, tmp_path / "out")
    line = run_file(monkeypatch, copy, "--out", tmp_path / "out")
    assert line.startswith("error:") and DATA[number] in line and "\n" not in line
    assert_earlier_outputs_are_untouched(number, tmp_path / "out")
    assert matplotlib.get_backend().lower() == "agg"


@posix
def test_ctrl_c_ends_a_run_with_one_line_also_amid_its_threads(runs):
    run = runs[1, "Ctrl-C"].result()
    line, = run.errors
    assert run.status == 1 and line.startswith("interrupted")
    assert_earlier_outputs_are_untouched(1, run.out)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_ctrl_c_ends_the_other_scripts_alike(number, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
    monkeypatch.setattr("argparse.ArgumentParser.parse_args", interrupted)
    line = run_file(monkeypatch, ROOT / f"{SCRIPTS[number]}.py")
    assert line.strip().startswith("interrupted") and "\n" not in line.strip()


# Earlier outputs

@every_script
def test_an_output_that_cannot_be_replaced_leaves_the_new_ones_in_a_folder(
        number, project, monkeypatch, tmp_path):
    """A folder is in the way; other users' files and tables open in Excel are refused alike."""
    in_the_way = OUTPUTS[number][2]
    (tmp_path / in_the_way / "folder").mkdir(parents=True)
    (tmp_path / "not ours").write_bytes(b"old")
    with pytest.raises(OSError) as refusal:
        run_known(monkeypatch, number, project, "--out", tmp_path)
    kept, = tmp_path.glob("new_*")
    line = str(refusal.value)
    assert str(kept) in line and str(tmp_path / in_the_way) in line and "\n" not in line
    files = [path.name for path in [*tmp_path.iterdir(), *kept.iterdir()] if path.is_file()]
    assert sorted(files) == sorted([*OUTPUTS[number], "not ours"]) and in_the_way in contents(kept)


@every_script
def test_a_full_disk_leaves_earlier_outputs_untouched(number, project, monkeypatch, tmp_path):
    """It is full when all files but the last are written."""
    write_text = Path.write_text

    def full(path, *arguments, **options):
        if path.name.endswith("results.json"):
            raise OSError(28, "No space left on device")
        return write_text(path, *arguments, **options)
    monkeypatch.setattr(Path, "write_text", full)
    earlier_outputs(number, tmp_path)
    with pytest.raises(OSError, match="No space left"):
        run_known(monkeypatch, number, project, "--out", tmp_path)
    new, = tmp_path.glob("new_*")
    assert sorted(contents(new)) == sorted({*OUTPUTS[number]} - {f"p{number}_results.json"})
    new.rename(tmp_path.with_name(f"{tmp_path.name} aside"))
    assert_earlier_outputs_are_untouched(number, tmp_path)


@pytest.mark.parametrize("number", [1, 4])
def test_python_writes_what_hdf5_makes(number, project, monkeypatch, tmp_path):
    """HDF5's own library, writing to a disk, may crash on a full one."""
    write_bytes = Path.write_bytes

    def full(path, content):
        if content.startswith(b"\x89HDF"):
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        run_known(monkeypatch, number, project, "--out", tmp_path)

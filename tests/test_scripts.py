"""What all four scripts owe: --quick and --out, equal runs, one line for bad input, and complete
outputs or untouched ones."""
import importlib
import json
import re
import sys

import pytest
from conftest import DATA, OUTPUTS, ROOT, SCRIPTS, contents, posix, run_main, write_sequences

from data.loader import DataError

every_script = pytest.mark.parametrize("number", SCRIPTS)


@every_script
def test_quick_run_writes_every_file(number, runs):
    """From another directory."""
    run = runs[number, "first"].result()
    assert run.status == 0 and run.errors == [] and str(run.out) in run.output
    assert sorted(contents(run.out)) == sorted(OUTPUTS[number])
    results = (run.out / f"p{number}_results.json").read_text(encoding="utf-8")
    assert json.loads(results)["quick"] is True


@every_script
def test_a_second_run_gives_equal_files_but_for_the_seconds(number, runs):
    first, second = (
        {name: re.sub(rb'"seconds": \d+', b"", content)
         for name, content in contents(runs[number, kind].result().out).items()}
        for kind in ("first", "second"))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def assert_earlier_outputs_are_untouched(number, run):
    assert contents(run.out) == dict.fromkeys(OUTPUTS[number], b"earlier")


@every_script
def test_a_bad_file_ends_a_run_with_one_line(number, runs):
    run = runs[number, "bad file"].result()
    line, = run.errors
    assert run.status == 1 and line.startswith("error:") and DATA[number] in line
    assert_earlier_outputs_are_untouched(number, run)


@posix
def test_a_full_disk_ends_a_run_with_one_line(runs):
    run = runs[2, "full disk"].result()
    line, = run.errors
    assert run.status == 1 and line.startswith("error:")
    assert_earlier_outputs_are_untouched(2, run)


@posix
def test_ctrl_c_ends_a_run_with_one_line_also_amid_its_threads(runs):
    run = runs[1, "Ctrl-C"].result()
    line, = run.errors
    assert run.status == 1 and line.startswith("interrupted")
    assert_earlier_outputs_are_untouched(1, run)


@every_script
@pytest.mark.parametrize("error, begin", [
    (DataError("a bad file"), "error: a bad file"),
    (OSError(28, "No space left on device"), "error: [Errno 28]"),
    (KeyboardInterrupt(), "\ninterrupted")])
def test_what_main_raises_ends_a_script_with_one_line(number, error, begin):
    """The last lines of each script alone, with another main()."""
    if number == 1 and isinstance(error, KeyboardInterrupt):
        pytest.skip("ends the whole process: see the test with threads")
    text = (ROOT / f"{SCRIPTS[number]}.py").read_text(encoding="utf-8")
    ending = text[text.index("\nif __name__"):]

    def main():
        raise error
    with pytest.raises(BaseException) as end:
        exec(ending, {"__name__": "__main__", "main": main, "sys": sys, "DataError": DataError})
    assert isinstance(end.value, SystemExit)
    assert end.value.code.startswith(begin) and "\n" not in end.value.code.strip()


@every_script
def test_too_few_images_or_rows_are_refused_before_training(
        number, project, monkeypatch, tmp_path):
    script = importlib.import_module(SCRIPTS[number])
    small = project / "data" / DATA[number]
    if number == 4:
        small = write_sequences(tmp_path / "small.hdf5", 99)
    monkeypatch.setattr(script, "DATA_FILE" if number == 4 else "TRAIN_FILE", small)
    monkeypatch.setattr(script, "train", lambda *_: pytest.fail("a training was started"))
    with pytest.raises(DataError, match=small.name) as refusal:
        run_main(monkeypatch, script, "--out", tmp_path / "out")
    assert "\n" not in str(refusal.value) and not (tmp_path / "out").exists()

"""What all four scripts owe: --quick and --out, equal runs, one line for bad input, and complete
outputs or untouched ones, also on a full disk and after Ctrl-C."""
import ast
import importlib
import json
import random
import re
import shutil
import sys

import h5py
import numpy as np
import pytest
from conftest import DATA, OUTPUTS, ROOT, SCRIPTS, contents, posix

from data.loader import DataError

every_script = pytest.mark.parametrize("number", SCRIPTS)


@every_script
def test_quick_run_writes_every_file(number, runs):
    """From another directory."""
    run = runs[number, "first"].result()
    assert run.status == 0 and run.errors == [] and str(run.out) in run.output
    assert sorted(contents(run.out)) == sorted(OUTPUTS[number])
    results = (run.out / f"p{number}_results.json").read_text(encoding="utf-8")
    assert json.loads(results)["quick"] is True and len(results) < 2000


@every_script
def test_a_second_run_gives_equal_files_but_for_the_seconds(number, runs):
    once, again = (
        {name: re.sub(rb'"seconds": \d+', b"", content)
         for name, content in contents(runs[number, which].result().out).items()}
        for which in ("first", "second"))
    assert once.keys() == again.keys()
    assert [name for name in once if once[name] != again[name]] == []


@every_script
@pytest.mark.parametrize("fault", ["bad file", pytest.param("full disk", marks=posix)])
def test_bad_file_and_full_disk_end_with_one_line(number, fault, runs):
    run = runs[number, fault].result()
    line, = run.errors
    assert run.status == 1 and line.startswith("error:")
    assert (DATA[number] if fault == "bad file" else "File too large") in line
    assert contents(run.out) == dict.fromkeys(OUTPUTS[number], b"earlier")


@posix
@every_script
def test_ctrl_c_ends_a_run_at_once_with_one_line(number, runs):
    """No process is left: all are threads of the one that has ended."""
    run = runs[number, "Ctrl-C"].result()
    assert run.errors == ["interrupted; earlier outputs are as they were"] and run.status == 1
    assert run.seconds < 5 and contents(run.out) == dict.fromkeys(OUTPUTS[number], b"earlier")


def damage(path, rng):
    """Do one random damage to an HDF5 file. Returns a word for it."""
    kind = rng.choice(["cut", "cut", "text", "html", "lfs", "empty", "bytes", "key", "nan", "rows",
                       "width", "type", "values"])
    raw = path.read_bytes()
    if kind == "cut":
        path.write_bytes(raw[:rng.randrange(len(raw))])
    elif kind == "bytes":  # in the headers; a value that is hit may stay valid
        spoiled = bytearray(raw)
        for _ in range(20):
            spoiled[rng.randrange(min(len(raw), 4096))] = rng.randrange(256)
        path.write_bytes(spoiled)
    elif kind in ("text", "html", "lfs", "empty"):
        path.write_bytes({"text": b"no data\n" * 9, "html": b"<!DOCTYPE html><html></html>",
                          "empty": b"", "lfs": b"version https://git-lfs.github.com/spec/"}[kind])
    else:
        with h5py.File(path, "r+") as file:
            key = rng.choice([key for key in sorted(file) if file[key].ndim == 2])
            values = file[key][()]
            del file[key]
            if kind == "nan":
                values = values.astype(float)
                values[rng.randrange(len(values)), rng.randrange(values.shape[1])] = np.nan
            if kind != "key":
                file[key] = {"nan": values, "width": values[:, :-1], "values": values * 300 - 7,
                             "rows": values[:-1] if key in ("xdata", "ydata") else values[:0],
                             "type": np.full(len(values), b"x")}[kind]
    return kind


class ReachedTraining(Exception):
    pass


@every_script
def test_sixty_damaged_files_are_each_refused_in_one_line_before_any_training(
        number, project, tmp_path, monkeypatch):
    script = importlib.import_module(SCRIPTS[number])
    rng, refused = random.Random(number), 0
    damaged, out = tmp_path / DATA[number], tmp_path / "out"

    def train(*_, **__):
        raise ReachedTraining
    monkeypatch.setattr(script, "train_all" if number == 1 else "train", train)
    arguments = [script.__file__, "--quick", "--out", str(out)]
    if number == 4:
        arguments += ["--data", str(damaged)]
    else:
        monkeypatch.setattr(script, "TRAIN_FILE", damaged)
        test_file = project / "data" / DATA[number].replace("train", "test")
        monkeypatch.setattr(script, "TEST_FILE", test_file, raising=False)
    monkeypatch.setattr(sys, "argv", arguments)
    for _ in range(60):
        shutil.copy(project / "data" / DATA[number], damaged)
        kind = damage(damaged, rng)
        try:
            script.main()
        except DataError as error:
            refused += 1
            assert damaged.name in str(error) and "\n" not in str(error), (kind, error)
            assert re.search("use (another|a larger) file", str(error)), (kind, error)
        except ReachedTraining:
            assert kind == "bytes", f"{kind} was accepted"
        else:
            pytest.fail(f"{kind}: the script did not notice")
    assert refused >= 50 and not list(out.glob("*"))


@every_script
def test_a_run_refuses_too_few_images_or_rows(number, project, monkeypatch):
    script = importlib.import_module(SCRIPTS[number])
    monkeypatch.setattr(script, "DATA_FILE" if number == 4 else "TRAIN_FILE",
                        project / "data" / DATA[number])
    monkeypatch.setattr(script, "TEST_FILE", project / "data" / DATA[number], raising=False)
    monkeypatch.setattr(sys, "argv", [script.__file__])
    if number == 4:
        data = script.load_sequences(script.DATA_FILE)
        monkeypatch.setattr(script, "load_sequences",
                            lambda path: data._replace(human=data.human[:99]))
    with pytest.raises(DataError, match="found (2500 images|99 human).*use a larger file"):
        script.main()


def test_the_scripts_end_alike_and_each_is_imported_by_none():
    texts = {name: (ROOT / f"{name}.py").read_text(encoding="utf-8") for name in SCRIPTS.values()}
    ends = {text[text.index("if __name__"):] for name, text in texts.items() if name[:2] != "p1"}
    assert len(ends) == 1 and len(ends.pop().splitlines()) == 7
    shared = {"data.loader", "mlp"}
    for name, text in texts.items():
        modules = {node.module for node in ast.walk(ast.parse(text))
                   if isinstance(node, ast.ImportFrom)}
        assert {module for module in modules if (ROOT / f"{module.replace('.', '/')}.py").exists()
                } <= shared
        assert ("mlp" in modules) == (name == "p1_numpy_mlp")

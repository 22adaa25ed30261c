"""The programs behind quoted numbers: each runs, in its smallest form, and writes its files. What
they compute is tested beside the script that they belong to."""
import re
import subprocess
import sys

import pytest
from conftest import ROOT, run_file

FOLDER = ROOT / "tests" / "experiments"
PROGRAMS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "program")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_help_runs_nothing(path, monkeypatch, capsys):
    assert run_file(monkeypatch, path, "--help") == 0
    assert "--quick" in capsys.readouterr().out


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_smallest_form_writes_the_files_that_the_docstring_names(path, tmp_path):
    out = tmp_path / "not yet there"
    run = subprocess.run([sys.executable, path, "--quick", "--out", out], capture_output=True,
                         text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    named = set(re.findall(r"\bp\d_\w+\.(?:csv|png)|frozen_order\.txt", path.read_text()))
    named -= {"p4_weights_folds_students.png"}  # with --course
    assert {file.name for file in out.iterdir()} == named

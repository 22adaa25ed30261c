"""The programs behind quoted numbers: --help helps, and runs nothing. What they compute is tested
beside the script that they belong to."""
import pytest
from conftest import ROOT, run_file

PROGRAMS = sorted((ROOT / "tests" / "experiments").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_help_runs_nothing(path, monkeypatch, capsys):
    assert "argparse" in path.read_text(encoding="utf-8")  # else --help would run all of it
    assert run_file(monkeypatch, path, "--help") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage:") and "--help" in printed

"""Other people's machines: their settings change no result, and end no run."""
import io
import re
import sys

import matplotlib
import pytest
from conftest import OUTPUTS, ROOT, SCRIPTS, contents, run_file

every_script = pytest.mark.parametrize("number", SCRIPTS)


def but_for_the_seconds(folder):
    return {name: re.sub(rb'"seconds": \d+', b"", content)
            for name, content in contents(folder).items()}


@every_script
def test_a_second_run_under_a_strangers_settings_gives_equal_files(number, runs):
    """In a folder with letters that the stranger's console lacks."""
    first = runs[number, "first"].result()
    second = runs[number, "under a stranger's settings"].result()
    assert second.errors == [] and second.status == 0
    plain, under_settings = but_for_the_seconds(first.out), but_for_the_seconds(second.out)
    assert sorted(plain) == sorted(under_settings) == sorted(OUTPUTS[number])
    assert [name for name in plain if plain[name] != under_settings[name]] == []


@every_script
def test_help_is_given_without_docstrings(number, monkeypatch, capsys):
    """As python -OO runs a script."""
    path = ROOT / f"{SCRIPTS[number]}.py"
    code = compile(path.read_text(encoding="utf-8"), path, "exec", optimize=2)
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        exec(code, {"__name__": "__main__", "__file__": str(path), "__doc__": None})
    assert end.value.code == 0 and "--quick" in capsys.readouterr().out


@every_script
def test_a_script_runs_where_a_notebook_was_first(number, monkeypatch, tmp_path):
    """matplotlib draws for something else by then, and the stream cannot be reconfigured. The file
    in the way of the outputs ends the run."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    matplotlib.use("svg")
    (tmp_path / "a file").write_text("")
    line = run_file(monkeypatch, ROOT / f"{SCRIPTS[number]}.py", "--quick", "--out",
                    tmp_path / "a file")
    assert line.startswith("error:") and "a file" in line
    assert matplotlib.get_backend().lower() == "agg"

"""Other people's machines: their settings change no result, and a folder for the outputs that
cannot be written to is refused before any training."""
import importlib
import json
import re
import shutil
import subprocess
import sys

import pytest
from conftest import DATA, SCRIPTS, contents, posix, run_main, run_quick

# What file systems without locks answer; loaded before the C library, whose flock() it replaces.
NO_LOCKS = """#include <errno.h>
int flock(int file, int operation) { errno = ENOLCK; return -1; }
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A command that runs another one under settings that are not ours."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "keras.json").write_text(json.dumps({"backend": "theano", "floatx": "float16"}))
    (folder / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nsavefig.dpi: 30\n"
                                         "savefig.bbox: tight\naxes.facecolor: red\n")
    (folder / "data").mkdir()
    (folder / "data" / "__init__.py").write_text("raise ImportError('a stranger')")
    settings = {
        "KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": 1, "KERAS_HOME": folder,
        "MATPLOTLIBRC": folder / "matplotlibrc",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # of a notebook's "!python ..."
        "PYTHONPATH": folder, "HDF5_USE_FILE_LOCKING": "TRUE"}
    if sys.platform == "linux" and shutil.which("cc"):
        (folder / "no_locks.c").write_text(NO_LOCKS)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", "no_locks.so", "no_locks.c"], cwd=folder,
                       check=True)
        settings["LD_PRELOAD"] = folder / "no_locks.so"
    return "env", *(f"{name}={value}" for name, value in settings.items())


@posix
@pytest.mark.parametrize("number", [1, 2])  # problems 3 and 4 begin as problem 2 does
def test_settings_of_a_machine_change_no_file(number, hostile, project, runs, tmp_path):
    run = run_quick(project, number, tmp_path, before=hostile)
    assert run.errors == [] and run.status == 0
    plain, under_settings = (
        {name: re.sub(rb'"seconds": \d+', b"", content) for name, content in contents(out).items()}
        for out in (runs[number, "first"].result().out, tmp_path))
    assert plain.keys() == under_settings.keys()
    assert [name for name in plain if plain[name] != under_settings[name]] == []


@pytest.mark.parametrize("number", SCRIPTS)
def test_an_unwritable_folder_is_refused_before_training(number, project, monkeypatch, tmp_path):
    script = importlib.import_module(SCRIPTS[number])
    monkeypatch.setattr(script, "DATA_FILE" if number == 4 else "TRAIN_FILE",
                        project / "data" / DATA[number])
    monkeypatch.setattr(script, "train", lambda *_: pytest.fail("a training was started"))
    (tmp_path / "a file").write_text("")
    for out in (tmp_path / "a file", tmp_path / "a file" / "below"):
        with pytest.raises(OSError, match="a file"):
            run_main(monkeypatch, script, "--quick", "--out", out)

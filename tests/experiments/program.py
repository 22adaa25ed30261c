"""The manner that the programs of this folder share: --help, --quick, --out, an end in one line.

    arguments = program.read(program.parser("What it does."))
    program.run(main)
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEYOND = ROOT / "outputs" / "beyond"
sys.path.insert(0, str(ROOT))  # where the scripts and data/ are


def path(text):
    """A path on the command line."""
    from data.loader import path_argument  # not above: p1 sets the environment before numpy
    return path_argument(text)


def parser(description):
    """With --quick and --out; a program may add its own arguments."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--quick", action="store_true",
                           help="a smoke test of seconds, on little data, into a temporary folder")
    arguments.add_argument("--out", type=path,
                           help="folder for the files (default: outputs/beyond/)")
    return arguments


def read(arguments):
    """What the command line says; the folder `out` is made, if it is missing."""
    found = arguments.parse_args()
    if found.out is None:
        found.out = Path(tempfile.mkdtemp()) if found.quick else BEYOND
    found.out.mkdir(parents=True, exist_ok=True)
    return found


def run(main):
    """main(), which a bad file ends in one line, and Ctrl-C at once, also amid threads."""
    from data.loader import DataError
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        os._exit(1)  # sys.exit() would wait for all trainings that are still to run

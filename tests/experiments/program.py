"""The manner that the programs of this folder share: --help, --quick, --out, an end in one line.

    arguments = program.read(program.make_parser("What it does."))
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
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "upb"  # TensorFlow ends where it is "cpp"


def path(text):
    """A path on the command line."""
    from data.loader import path_argument  # not above: p1 sets the environment before numpy
    return path_argument(text)


def make_parser(description):
    """With --quick and --out; a program may add its own arguments."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true",
                        help="a smoke test of seconds, on little data, into a temporary folder")
    parser.add_argument("--out", type=path,
                        help="folder for the files (default: outputs/beyond/)")
    return parser


def read(parser):
    """What the command line says; the folder `out` is made, if it is missing. What would end the
    program after the work ends it here."""
    arguments = parser.parse_args()
    if "course" in arguments and not (arguments.course or arguments.out or arguments.quick):
        parser.error("without --course the tables lose the students' rows; add --out DIR")
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp()) if arguments.quick else BEYOND
    arguments.out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=arguments.out).close()
    return arguments


def run(main):
    """main(), which a bad file ends in one line, and Ctrl-C at once, also amid threads."""
    from data.loader import DataError
    try:
        main()
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        os._exit(1)  # sys.exit() would wait for all trainings that are still to run

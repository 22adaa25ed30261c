"""Does problem 4's model file load, predict, evaluate and train on in an older TensorFlow?

    python3.7 -m venv old && old/bin/pip install 'tensorflow==2.2.*' 'protobuf<3.21'    (2020)
    python3.11 -m venv last && last/bin/pip install 'tensorflow==2.15.*'        (last with Keras 2)
    old/bin/python tests/experiments/check_old_tensorflow.py          (seconds each)
    last/bin/python tests/experiments/check_old_tensorflow.py
    .venv/bin/python tests/experiments/check_old_tensorflow.py

The model is compared with a forward pass in numpy alone. Each run writes one row, that of its
TensorFlow and of the model; rows of an earlier version of the model file go. For the course's:

    ... --file students --model outputs/course_fall2020/p4_model.hdf5 --data FILE

Written for Python 3.7, so without program.py.
Writes p4_tensorflows.csv
"""
import argparse
import csv
import hashlib
import os
import sys
import tempfile
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import h5py
import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]
HEADER = ["file", "SHA-256 of the model file begins", "TensorFlow", "h5py",
          "largest difference from numpy", "cross-entropy of all rows", "accuracy of all rows (%)"]


def path_argument(text):
    """A path on the command line."""
    if not text:
        raise argparse.ArgumentTypeError("found an empty name")
    return Path(text).expanduser()


def in_numpy(path, x):
    """What the model says of rows x (n, 20), in numpy alone: (n, 1)."""
    with h5py.File(str(path), "r") as file:
        layers = file["model_weights"]
        W, b = layers["hidden/hidden/kernel:0"][()], layers["hidden/hidden/bias:0"][()]
        v, c = layers["human/human/kernel:0"][()], layers["human/human/bias:0"][()]
    log_odds = np.maximum(x @ W + b, 0) @ v + c
    return 1 / (1 + np.exp(-log_odds))


def main():
    parser = argparse.ArgumentParser(description="The model of problem 4 in this TensorFlow.")
    parser.add_argument("--quick", action="store_true", help="write into a temporary folder")
    parser.add_argument("--out", type=path_argument,
                        help="folder for the table (default: outputs/beyond/)")
    parser.add_argument("--file", default="study", help="what the rows are called in the table")
    parser.add_argument("--model", type=path_argument, default=ROOT / "outputs" / "p4_model.hdf5")
    parser.add_argument("--data", type=path_argument, default=ROOT / "data" / "binary_random.hdf5")
    arguments = parser.parse_args()
    default = tempfile.mkdtemp() if arguments.quick else ROOT / "outputs" / "beyond"
    out = arguments.out or Path(default)
    out.mkdir(parents=True, exist_ok=True)
    with h5py.File(str(arguments.data), "r") as file:
        human, machine = file["human"][()], file["machine"][()]
    x = np.concatenate([human, machine]).astype(np.float32)
    y = np.repeat(np.float32([1, 0]), [len(human), len(machine)])

    model = tf.keras.models.load_model(str(arguments.model))
    difference = np.abs(model.predict(x, verbose=0) - in_numpy(arguments.model, x)).max()
    loss, accuracy = model.evaluate(x, y, batch_size=1000, verbose=0)
    model.fit(x[:64], y[:64], verbose=0)
    sha256 = hashlib.sha256(arguments.model.read_bytes()).hexdigest()[:8]
    row = [arguments.file, sha256, tf.__version__, h5py.__version__, "{:.1e}".format(difference),
           "{:.6f}".format(loss), "{:.4f}".format(100 * accuracy)]
    print(*row, sep=", ")

    table, rows = out / "p4_tensorflows.csv", []
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
    # Of this file, rows of the same model in other versions of TensorFlow stay.
    rows = [old for old in rows if old[0] != row[0] or (old[1] == row[1] and old[2] != row[2])]
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER] + sorted(rows + [row]))


if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyError, ValueError) as error:
        sys.exit("error: the files of --model and --data: {}".format(error))
    except KeyboardInterrupt:
        sys.exit("interrupted")

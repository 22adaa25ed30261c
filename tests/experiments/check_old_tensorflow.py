"""Does problem 4's model file load, predict, evaluate and train on in an older TensorFlow?

    python3.7 -m venv old && old/bin/pip install 'tensorflow==2.2.*' 'protobuf<3.21'    (2020)
    python3.11 -m venv last && last/bin/pip install 'tensorflow==2.15.*'        (last with Keras 2)
    old/bin/python tests/experiments/check_old_tensorflow.py          (seconds each)
    last/bin/python tests/experiments/check_old_tensorflow.py
    .venv/bin/python tests/experiments/check_old_tensorflow.py

Each run compares the model with a forward pass in numpy alone, prints one line of CSV, and appends
it to outputs/p4_tensorflows.csv. Written for Python 3.7.
"""
import argparse
import os
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import h5py
import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]
HEADER = ("TensorFlow,h5py,largest difference from numpy,cross-entropy of all rows,"
          "accuracy of all rows (%)")


def in_numpy(path, x):
    """What the model says of rows x (n, 20), in numpy alone: (n, 1)."""
    with h5py.File(path, "r") as file:
        layers = file["model_weights"]
        W, b = layers["hidden/hidden/kernel:0"][()], layers["hidden/hidden/bias:0"][()]
        v, c = layers["human/human/kernel:0"][()], layers["human/human/bias:0"][()]
    log_odds = np.maximum(x @ W + b, 0) @ v + c
    return 1 / (1 + np.exp(-log_odds))


def main():
    parser = argparse.ArgumentParser(description="The model of problem 4 in this TensorFlow.")
    parser.add_argument("--model", default=str(ROOT / "outputs" / "p4_model.hdf5"))
    parser.add_argument("--data", default=str(ROOT / "data" / "binary_random.hdf5"))
    parser.add_argument("--out", type=Path, default=ROOT / "outputs", help="folder for the table")
    arguments = parser.parse_args()
    with h5py.File(arguments.data, "r") as file:
        human, machine = file["human"][()], file["machine"][()]
    x = np.concatenate([human, machine]).astype(np.float32)
    y = np.repeat(np.float32([1, 0]), [len(human), len(machine)])

    model = tf.keras.models.load_model(arguments.model)
    difference = np.abs(model.predict(x, verbose=0) - in_numpy(arguments.model, x)).max()
    loss, accuracy = model.evaluate(x, y, batch_size=1000, verbose=0)
    model.fit(x[:64], y[:64], verbose=0)
    line = "{},{},{:.1e},{:.6f},{:.4f}".format(tf.__version__, h5py.__version__, difference, loss,
                                               100 * accuracy)
    print(line)
    table = arguments.out / "p4_tensorflows.csv"
    with table.open("a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.write(HEADER + "\n")
        file.write(line + "\n")


if __name__ == "__main__":
    main()

"""Does outputs/p4_model.hdf5 load, predict, evaluate and train on in this TensorFlow? Not a test.

    python3.7 -m venv old && old/bin/pip install 'tensorflow==2.2.*' 'protobuf<3.21'    (2020)
    python3.11 -m venv last && last/bin/pip install 'tensorflow==2.15.*'        (last with Keras 2)
    old/bin/python tests/check_old_tensorflow.py
    last/bin/python tests/check_old_tensorflow.py

Compares with a forward pass in numpy alone. With two arguments, a model and a data file, it checks
these. Written for Python 3.7.
"""
import os
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
MODEL = str(ROOT / "outputs" / "p4_model.hdf5")
DATA = str(ROOT / "data" / "binary_random.hdf5")


def in_numpy(path, x):
    """What the model says of rows x (n, 20), in numpy alone: (n, 1)."""
    with h5py.File(path, "r") as file:
        layers = file["model_weights"]
        W, b = layers["hidden/hidden/kernel:0"][()], layers["hidden/hidden/bias:0"][()]
        v, c = layers["human/human/kernel:0"][()], layers["human/human/bias:0"][()]
    log_odds = np.maximum(x @ W + b, 0) @ v + c
    return 1 / (1 + np.exp(-log_odds))


def main():
    model_path, data_path = sys.argv[1:] or (MODEL, DATA)
    with h5py.File(data_path, "r") as file:
        human, machine = file["human"][()], file["machine"][()]
    x = np.concatenate([human, machine]).astype(np.float32)
    y = np.repeat(np.float32([1, 0]), [len(human), len(machine)])

    model = tf.keras.models.load_model(model_path)
    difference = np.abs(model.predict(x, verbose=0) - in_numpy(model_path, x)).max()
    loss, accuracy = model.evaluate(x, y, batch_size=1000, verbose=0)
    model.fit(x[:64], y[:64], verbose=0)
    print(f"TensorFlow {tf.__version__}, h5py {h5py.__version__}: largest difference "
          f"{difference:.1e}, loss {loss:.6f}, accuracy {accuracy:.6f}")
    assert difference < 1e-6


if __name__ == "__main__":
    main()

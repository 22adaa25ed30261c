"""Does outputs/p4_model.hdf5 load, predict, evaluate and train on in this TensorFlow? Not a test.

    python3.7 -m venv old && old/bin/pip install 'tensorflow==2.2.*' 'protobuf<3.21'    (2020)
    python3.11 -m venv last && last/bin/pip install 'tensorflow==2.15.*'        (last with Keras 2)
    old/bin/python tests/check_old_tensorflow.py; last/bin/python tests/check_old_tensorflow.py

Compares with a forward pass in numpy alone. All versions agree in accuracy and loss. With two
arguments, a model and a data file, it checks these.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = [str(ROOT / "outputs" / "p4_model.hdf5"), str(ROOT / "data" / "binary_random.hdf5")]
MODEL, DATA = sys.argv[1:] or SHIPPED


def main():
    with h5py.File(DATA, "r") as file:
        human, machine = file["human"][()], file["machine"][()]
    x = np.concatenate([human, machine]).astype(np.float32)
    y = np.repeat(np.float32([1, 0]), [len(human), len(machine)])
    with h5py.File(MODEL, "r") as file:
        W1, b1, W2, b2 = [file["model_weights/{0}/{0}/{1}:0".format(layer, array)][()].astype(float)
                          for layer in ("hidden", "human") for array in ("kernel", "bias")]
    expected = 1 / (1 + np.exp(-(np.maximum(x @ W1 + b1, 0) @ W2 + b2)))
    model = tf.keras.models.load_model(MODEL)
    difference = np.abs(model.predict(x, verbose=0) - expected).max()
    loss, accuracy = model.evaluate(x, y, batch_size=1000, verbose=0)
    model.fit(x[:64], y[:64], verbose=0)
    print("TensorFlow {}, h5py {}: largest difference {:.1e}, loss {:.6f}, accuracy {:.6f}".format(
        tf.__version__, h5py.__version__, difference, loss, accuracy))
    assert difference < 1e-6


if __name__ == "__main__":
    main()

"""What the tests share: small data files in the real format, and the scripts beside them."""
import shutil
import signal
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# A shell's background jobs inherit Ctrl-C as ignored; what the tests start must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def write(path, attributes=(), **datasets):
    """An HDF5 file with these datasets and file attributes. Returns its path."""
    with h5py.File(path, "w") as file:
        for key, values in datasets.items():
            file[key] = values
        file.attrs.update(attributes)
    return path


def write_images(path, n):
    """An easy MNIST-like file, one-hot as the course's: each class lights a block of pixels."""
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 10, n)
    images = rng.random((n, 784), dtype=np.float32) * 0.6
    for image, label in zip(images, labels):
        image[label * 70:label * 70 + 70] += 0.3
    return write(path, xdata=images, ydata=np.eye(10)[labels])


def write_sequences(path, n, coding=(-1, 1), people=None):
    """Human rows that alternate too often, and coin flips; with `people`, as many persons."""
    rng = np.random.default_rng(n)
    start = rng.integers(0, 2, (n, 1))
    human = (start + np.cumsum(rng.random((n, 20)) < 0.7, axis=1)) % 2
    human, machine = (np.array(coding)[bits] for bits in (human, rng.integers(0, 2, (n, 20))))
    write(path, human=human, machine=machine)
    if people:
        with h5py.File(path, "r+") as file:
            file["person"] = np.arange(n) * people // n
            file["instruction"] = np.arange(n) * people // n % 3
            file["instruction"].attrs["names"] = ["one", "two", "three"]
            file["machine"].attrs["coin_flips"] = True
    return path


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """The scripts with small data, in a folder with spaces."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    (folder / "data").mkdir()
    for path in [*ROOT.glob("*.py"), ROOT / "data" / "loader.py"]:
        shutil.copy(path, folder / path.relative_to(ROOT))
    for name in ("mnist", "fashion_mnist"):
        write_images(folder / "data" / f"{name}_traindata.hdf5", 2500)
        write_images(folder / "data" / f"{name}_testdata.hdf5", 600)
    write_sequences(folder / "data" / "binary_random.hdf5", 400, people=20)
    return folder

"""Load the homework's HDF5 files, checked: arrays and where they came from, or one clear line of refusal.

    from data.loader import DataError, load_images, load_sequences

Accepted forms and file names: data/README.md. The files themselves: python data/prepare.py
"""
import hashlib
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

PREPARE = "python data/prepare.py"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The human/machine file is kept byte for byte, so it carries no attribute: its hash tells its origin.
SEQUENCES_SHA256 = "dc9aa9de8250f38859b6f55387a70753e89c7f38ad0001a6deec8eb89c666d34"
SEQUENCES_SOURCE = "USC EE599 Fall 2020 human/machine sequences"


class DataError(Exception):
    """A data file that cannot be used; the message is one line: file, found, expected, what to do."""


class ImageData(NamedTuple):
    images: np.ndarray  # (N, 784) float32 in 0..1
    labels: np.ndarray  # (N,) int64 in 0..9
    source: str         # a phrase for reports
    stand_in: bool      # True: drawn by this project, not the published data


class SequenceData(NamedTuple):
    human: np.ndarray    # (n, 20) int8, in the file's own coding
    machine: np.ndarray  # (m, 20) int8
    coding: tuple        # (0, 1) or (-1, 1)
    source: str
    stand_in: bool


def load_images(path, pixel_levels=255):
    """Load `xdata` (N, 784) and `ydata` of an MNIST-like file.

    Pixels may be 0..1, or whole numbers 0..255: these are divided by `pixel_levels`, 256 for the course's
    MNIST files and 255 for Fashion-MNIST. Labels may be one-hot (N, 10) or classes 0..9, (N,) or (N, 1).
    Raises DataError.
    """
    with _opened(path) as file:
        xdata, ydata = _dataset(file, "xdata", "iuf"), _dataset(file, "ydata", "biuf")
        _expect(xdata.ndim == 2 and xdata.shape[1] == 784, "xdata", f"shape {xdata.shape}", "(N, 784)")
        _expect(ydata.ndim == 1 or ydata.ndim == 2 and ydata.shape[1] in (1, 10), "ydata",
                f"shape {ydata.shape}", "one-hot (N, 10) or classes (N,)")
        _expect(len(xdata) == len(ydata), "xdata and ydata", f"{len(xdata)} and {len(ydata)} rows", "equally many")
        images = np.empty(xdata.shape, np.float32)
        xdata.read_direct(images)  # HDF5 converts block by block: no second copy in memory
        _scale(images, pixel_levels)
        return ImageData(images, _classes(ydata[()]), *_origin(file, path))


def load_sequences(path):
    """Load `human` (n, 20) and `machine` (m, 20), binary sequences coded {0,1} or {-1,+1}. Raises DataError."""
    with _opened(path) as file:
        datasets = {key: _dataset(file, key, "biuf") for key in ("human", "machine")}
        for key, dataset in datasets.items():
            _expect(dataset.ndim == 2 and dataset.shape[1] == 20, key, f"shape {dataset.shape}", "(n, 20)")
        sequences = {key: dataset[()] for key, dataset in datasets.items()}
        coding = _coding(sequences)
        human, machine = (values.astype(np.int8) for values in sequences.values())
        return SequenceData(human, machine, coding, *_origin(file, path))


@contextmanager
def _opened(path):
    """Open an HDF5 file; whatever goes wrong while it is open becomes a DataError that names the file."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file; run: {PREPARE}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except Exception as error:  # on a damaged file h5py raises nearly anything, at opening or at reading
        reason = " ".join((str(error) if isinstance(error, DataError) else _diagnosis(path, error)).split())
        raise DataError(f"{path}: {reason} (replace the file, or delete it and run: {PREPARE})") from None


def _diagnosis(path, error):
    """What a file that h5py cannot read looks like, in a few words."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as refusal:
        return f"cannot be opened ({refusal.strerror})"
    if not head:
        return "an empty file; expected HDF5"
    if head.startswith(b"version https://git-lfs"):
        return "a Git-LFS pointer, not the data itself; expected HDF5"
    if b"<html" in head.lower() or b"<!doctype html" in head.lower():
        return "an HTML page saved under this name; expected HDF5"
    if head.startswith(HDF5_SIGNATURE):
        return f"truncated or damaged HDF5 ({type(error).__name__}: {error})"
    return "not an HDF5 file"


def _expect(condition, key, found, expected):
    if not condition:
        raise DataError(f"{key}: found {found}; expected {expected}")


def _dataset(file, key, kinds):
    """The dataset `key`, not read yet: not empty, of a numeric type among `kinds`, and stored in full."""
    if key not in file:
        raise DataError(f"no key {key}; found {sorted(file)[:5]}")
    dataset = file[key]
    _expect(isinstance(dataset, h5py.Dataset), key, "a group", "a dataset")
    _expect(dataset.dtype.kind in kinds, key, f"type {dataset.dtype}", "numbers")
    _expect(dataset.size, key, "no data (empty)", "at least one row")
    # A damaged header may declare any size: believe it only when as much is stored, before memory is taken.
    stored = (dataset.id.get_num_chunks() * prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks
              else dataset.id.get_storage_size())
    _expect(stored >= dataset.nbytes, key, f"{stored} bytes stored", f"{dataset.nbytes} for shape {dataset.shape}")
    return dataset


def _scale(images, pixel_levels):
    """Bring pixels to 0..1 in place, after checking their range."""
    low, high = images.min(), images.max()  # either is NaN when any pixel is
    _expect(np.isfinite(low) and np.isfinite(high), "xdata", "NaN or infinity", "finite pixels")
    _expect(low >= 0 and high <= 255, "xdata", f"values {low:g} to {high:g}", "0..1 or 0..255")
    if high > 1:
        whole = all((block == np.rint(block)).all() for block in np.array_split(images, len(images) // 1000 + 1))
        _expect(whole, "xdata", f"fractions as well as values up to {high:g}", "0..1, or whole numbers 0..255")
        images /= pixel_levels


def _classes(values):
    """Classes (N,) int64 from one-hot rows (N, 10) or from class numbers (N,) or (N, 1)."""
    _expect(np.isfinite(values).all(), "ydata", "NaN or infinity", "finite labels")
    if values.ndim == 2 and values.shape[1] == 10:
        ones = values == 1
        one_hot = (ones | (values == 0)).all() and (ones.sum(axis=1) == 1).all()
        _expect(one_hot, "ydata", "rows that are not one-hot", "exactly one 1 and nine 0 in each row")
        return ones.argmax(axis=1).astype(np.int64)
    _expect(np.isin(values, np.arange(10)).all(), "ydata", f"classes from {values.min():g} to {values.max():g}",
            "whole numbers 0..9")
    return values.reshape(-1).astype(np.int64)


def _coding(sequences):
    """(0, 1) or (-1, 1): the one coding that all values of both classes fit."""
    for key, values in sequences.items():
        _expect(np.isfinite(values).all(), key, "NaN or infinity", "finite values")
    found = {key: set(np.unique(values).tolist()) for key, values in sequences.items()}
    both = set.union(*found.values())
    listed = {key: sorted(values)[:4] for key, values in found.items()}
    fitting = [coding for coding in ((0, 1), (-1, 1)) if both <= set(coding)]
    _expect(fitting, "human and machine", f"values {listed}", "both in {0,1} or both in {-1,+1}")
    _expect(len(fitting) == 1, "human and machine", "nothing but 1", "two values, in {0,1} or {-1,+1}")
    return fitting[0]


def _origin(file, path):
    """(source, stand_in) of an open file, from its attributes or, for the published sequences, from its hash."""
    source = file.attrs.get("source")
    if isinstance(source, str) and source.strip():
        return " ".join(source.split()), bool(file.attrs.get("stand_in", False))
    if "human" in file:
        with open(path, "rb") as original:
            if hashlib.file_digest(original, "sha256").hexdigest() == SEQUENCES_SHA256:
                return SEQUENCES_SOURCE, False
    return f"own file {Path(path).name}", False

"""Load the homework's HDF5 files, checked: arrays, or one clear line of refusal.

    from data.loader import DataError, load_images, load_sequences

The files, and the forms of the course's own that load too, are described in data/README.md.
"""
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

WHAT_TO_DO = "use another file; the shipped ones come back with: git checkout -- data"


class DataError(Exception):
    """A file that cannot be used; the message is one line: file, found, expected, what to do."""


class ImageData(NamedTuple):
    images: np.ndarray  # (N, 784) float32 in 0..1
    labels: np.ndarray  # (N,) int64 in 0..9
    source: str         # a phrase for reports


class SequenceData(NamedTuple):
    human: np.ndarray    # (n, 20) int8, in the file's own coding
    machine: np.ndarray  # (m, 20) int8
    coding: tuple        # (0, 1) or (-1, 1)
    coin_flips: bool     # the file says that its machine rows are flips of a fair coin
    person: np.ndarray | None       # (n,) int64: who pressed the human row
    instruction: np.ndarray | None  # (n,) text: what that person was asked to do
    source: str


def load_images(path):
    """Load `xdata` (N, 784) and `ydata` of an MNIST-like file as ImageData.

    Pixels are 0..1, or whole numbers 0..255: these are divided by the file's attribute
    `pixel_divisor` (255 where it has none). Labels are one-hot (N, 10) or classes (N,) or (N, 1).
    Raises DataError."""
    with _opened(path) as file:
        xdata, ydata = _dataset(file, "xdata", "iuf"), _dataset(file, "ydata", "biuf")
        _expect(xdata.shape[1:] == (784,), "xdata", f"shape {xdata.shape}", "(N, 784)")
        _expect(ydata.shape[1:] in ((), (1,), (10,)), "ydata", f"shape {ydata.shape}",
                "one-hot (N, 10) or classes (N,)")
        _expect(len(xdata) == len(ydata), "xdata and ydata",
                f"{len(xdata)} and {len(ydata)} rows", "equally many")
        divisor = file.attrs.get("pixel_divisor", 255)
        _expect(divisor in (255, 256), "pixel_divisor", divisor, "255 or 256")
        images = np.empty(xdata.shape, np.float32)
        xdata.read_direct(images)  # HDF5 converts block by block: no second copy in memory
        return ImageData(_scaled(images, divisor), _classes(ydata[()]), _source(file, path))


def load_sequences(path):
    """Load `human` (n, 20) and `machine` (m, 20), coded {0,1} or {-1,+1}, as SequenceData.

    `person` (n,) and `instruction` (n,), codes of its attribute `names`, are None where the file
    has none. Raises DataError."""
    with _opened(path) as file:
        rows = {key: _dataset(file, key, "biuf") for key in ("human", "machine")}
        for key, dataset in rows.items():
            _expect(dataset.shape[1:] == (20,), key, f"shape {dataset.shape}", "(n, 20)")
        human, machine = (dataset[()] for dataset in rows.values())
        coding = _coding(human, machine)
        person, instruction = (_of_each_row(file, key, len(human)) if key in file else None
                               for key in ("person", "instruction"))
        if instruction is not None:
            names = np.array(file["instruction"].attrs.get("names", []), str)
            _expect(np.isin(instruction, range(len(names))).all(), "instruction",
                    f"codes up to {instruction.max()}, {len(names)} names", "a name for each code")
            instruction = names[instruction]
        coin_flips = bool(file["machine"].attrs.get("coin_flips", False))
        return SequenceData(human.astype(np.int8), machine.astype(np.int8), coding, coin_flips,
                            person, instruction, _source(file, path))


@contextmanager
def _opened(path):
    """Open an HDF5 file; whatever goes wrong with it becomes a DataError that names the file."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file; {WHAT_TO_DO}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except Exception as error:  # on a damaged file h5py raises nearly anything
        reason = error if isinstance(error, DataError) else _diagnosis(path, error)
        raise DataError(f"{path}: {' '.join(str(reason).split())}; {WHAT_TO_DO}") from None


def _diagnosis(path, error):
    """What a file that h5py cannot read looks like, in a few words."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as refusal:
        return f"cannot be opened ({refusal.strerror}); expected an HDF5 file"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return f"found truncated or damaged HDF5 ({type(error).__name__}: {error})"
    kind = ("an empty file" if not head else
            "a Git-LFS pointer" if head.startswith(b"version https://git-lfs") else
            "an HTML page" if b"<html" in head.lower() or b"<!doctype html" in head.lower() else
            "not an HDF5 file")
    return f"found {kind}; expected HDF5"


def _expect(condition, key, found, expected):
    if not condition:
        raise DataError(f"{key}: found {found}; expected {expected}")


def _dataset(file, key, kinds):
    """The dataset `key`, not read yet: not empty, of a type among `kinds`, and stored in full."""
    _expect(key in file, key, f"only {sorted(file)[:5]}", f"a dataset {key}")
    dataset = file[key]
    _expect(isinstance(dataset, h5py.Dataset), key, "a group", "a dataset")
    _expect(dataset.dtype.kind in kinds, key, f"type {dataset.dtype}", "numbers")
    _expect(dataset.ndim and dataset.size, key, f"no rows (shape {dataset.shape})", "some")
    # A damaged header may promise any size: believe it only when as much is stored.
    stored = (dataset.id.get_num_chunks() * prod(dataset.chunks) * dataset.dtype.itemsize
              if dataset.chunks else dataset.id.get_storage_size())
    _expect(stored >= dataset.nbytes, key, f"{stored} bytes stored",
            f"{dataset.nbytes} for shape {dataset.shape}")
    return dataset


def _of_each_row(file, key, rows):
    """The whole numbers (rows,) of the dataset `key`, as int64."""
    values = _dataset(file, key, "iu")[()].astype(np.int64)
    _expect(values.shape == (rows,), key, f"shape {values.shape}", f"({rows},), as human has rows")
    return values


def _scaled(images, divisor):
    """The pixels, brought to 0..1 in place after a check of their range."""
    low, high = images.min(), images.max()  # either is NaN when any pixel is
    _expect(np.isfinite(low) and np.isfinite(high), "xdata", "NaN or infinity", "finite pixels")
    _expect(low >= 0 and high <= 255, "xdata", f"values {low:g} to {high:g}", "0..1 or 0..255")
    if high > 1:
        whole = all((block == np.rint(block)).all() for block in np.array_split(images, 64))
        _expect(whole, "xdata", f"fractions as well as values up to {high:g}",
                "0..1, or whole numbers 0..255")
        images /= divisor
    return images


def _classes(values):
    """Classes (N,) int64 from one-hot rows (N, 10) or from class numbers (N,) or (N, 1)."""
    _expect(np.isfinite(values).all(), "ydata", "NaN or infinity", "finite labels")
    if values.shape[1:] == (10,):
        one_hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        _expect(one_hot, "ydata", "rows that are not one-hot", "one 1 and nine 0 in each row")
        return values.argmax(axis=1).astype(np.int64)
    _expect(np.isin(values, range(10)).all(), "ydata",
            f"classes from {values.min():g} to {values.max():g}", "whole numbers 0..9")
    return values.reshape(-1).astype(np.int64)


def _coding(human, machine):
    """(0, 1) or (-1, 1): the one coding that all values of both classes fit."""
    found = [np.unique(rows).tolist() for rows in (human, machine)]
    fitting = [coding for coding in ((0, 1), (-1, 1)) if {*found[0], *found[1]} <= {*coding}]
    _expect(len(fitting) == 1, "human and machine", f"values {found[0][:4]} and {found[1][:4]}",
            "both in {0,1} or both in {-1,+1}, and not 1 alone")
    return fitting[0]


def _source(file, path):
    """Where the data come from: the file's attribute `source`, else its name."""
    source = file.attrs.get("source")
    return source if isinstance(source, str) and source else f"own file {Path(path).name}"

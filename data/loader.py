"""Load the homework's HDF5 files, checked: arrays, or one clear line of refusal.

    from data.loader import DataError, check_exists, load_images, load_sequences

The files, and the forms of the course's own that load too, are described in data/README.md.
"""
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

# What h5py raises where a file's content makes no sense.
H5PY_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError)
# A damaged header may promise an array of any size. It is believed up to the size of 250,000
# images, four times the largest file of the course.
MOST_VALUES = 250_000 * 784


class DataError(Exception):
    """A file that cannot be used; the message is one line: file, found, expected, what to do."""


class SequenceData(NamedTuple):
    human: np.ndarray          # (n, 20) int8, in the file's own coding
    machine: np.ndarray        # (m, 20) int8
    coding: tuple              # (0, 1) or (-1, 1)
    person: np.ndarray | None  # (n,) int64: who pressed the human row; None: the file does not say
    source: str                # a phrase for the results


def check_exists(path):
    """Raise DataError where there is no such file, or none that may be read."""
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {_what_to_do(path)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make it readable, or use "
                        "another file") from None


def load_images(path, count=None):
    """Load the first `count` images (default: all) of an MNIST-like file.

    Returns x (count, 784) float32 in 0..1 and the classes y (count,) int64 in 0..9.

    The file has `xdata` (N, 784) and `ydata`. Pixels are 0..1, or whole numbers 0..255: these are
    divided by the file's attribute `pixel_divisor` (255 where it has none). Labels are one-hot
    (N, 10) or classes (N,) or (N, 1). Raises DataError where anything is otherwise."""
    with _opened(path) as file:
        xdata = _array(file, "xdata")
        ydata = _array(file, "ydata")
        divisor = file.attrs.get("pixel_divisor", 255)
    _check_width(path, "xdata", xdata, 784)
    _expect(ydata.shape[1:] in ((), (1,), (10,)), path, "ydata", f"shape {ydata.shape}",
            "one-hot (N, 10) or classes (N,)")
    _expect(len(xdata) == len(ydata), path, "xdata and ydata",
            f"{len(xdata)} and {len(ydata)} rows", "equally many")
    if count is None:
        count = len(xdata)
    _expect(len(xdata) >= count, path, "xdata", f"{len(xdata)} images", f"{count} at least")
    return _pixels(path, xdata[:count], divisor), _classes(path, ydata[:count])


def load_sequences(path):
    """Load `human` (n, 20), `machine` (m, 20) and, if there, `person` (n,) as SequenceData.

    Both classes are coded {0,1} or both {-1,+1}. Raises DataError where anything is otherwise."""
    with _opened(path) as file:
        human = _array(file, "human")
        machine = _array(file, "machine")
        person = _array(file, "person") if "person" in file else None
        source = file.attrs.get("source")
    _check_width(path, "human", human, 20)
    _check_width(path, "machine", machine, 20)
    coding = _coding(path, human, machine)
    if person is not None:
        _expect(person.shape == (len(human),), path, "person", f"shape {person.shape}",
                f"({len(human)},), as human has rows")
        person = _whole(path, person)
    if not isinstance(source, str):
        source = f"own file {Path(path).name}"
    return SequenceData(human.astype(np.int8), machine.astype(np.int8), coding, person, source)


def _what_to_do(path):
    """Git brings back the shipped files, and those alone."""
    if Path(path).resolve().parent == Path(__file__).resolve().parent:
        return "get the shipped one back with: git checkout -- data"
    return "use another file"


def _expect(condition, path, key, found, expected):
    if not condition:
        raise DataError(f"{path}: {key}: found {found}; expected {expected}; {_what_to_do(path)}")


@contextmanager
def _opened(path):
    """An HDF5 file to read from. What goes wrong while it is read becomes a DataError."""
    check_exists(path)
    _expect(h5py.is_hdf5(path), path, "content", _kind_of(path), "an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except H5PY_ERRORS as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: found HDF5 that cannot be read ({reason}); expected a whole "
                        f"file; {_what_to_do(path)}") from None


def _kind_of(path):
    """What a file that is not HDF5 looks like, in a few words."""
    with open(path, "rb") as file:
        start = file.read(512).lower()
    if not start:
        return "an empty file"
    if start.startswith(b"\x89hdf"):
        return "truncated HDF5"
    if start.startswith(b"version https://git-lfs"):
        return "a Git-LFS pointer"
    if b"<html" in start or b"<!doctype html" in start:
        return "an HTML page"
    return "not an HDF5 file"


def _array(file, key):
    """Read the dataset `key`, checked first: numbers, one row at least, not too many for memory."""
    path = file.filename
    _expect(key in file, path, key, f"only {sorted(map(str, file))[:5]}", f"a dataset {key}")
    dataset = file[key]
    _expect(isinstance(dataset, h5py.Dataset), path, key, "a group", "a dataset")
    kind = dataset.dtype.kind
    _expect(kind not in "OSU", path, key, "text, or rows of different lengths", "numbers")
    _expect(kind in "biuf", path, key, f"type {dataset.dtype}", "numbers")
    size = prod(dataset.shape or [0])  # a single number has the shape (): no rows
    _expect(size > 0, path, key, f"no rows (shape {dataset.shape})", "some")
    _expect(size <= MOST_VALUES, path, key, f"shape {dataset.shape}",
            f"{MOST_VALUES:,} values at most")
    if dataset.is_virtual or dataset.external:  # zeros, without a word, where a file is missing
        raise DataError(f"{path}: {key}: found a dataset that refers to other files; "
                        "copy the rows into one")
    layout = dataset.id.get_create_plist()
    for number in range(layout.get_nfilters()):
        code, _, _, name = layout.get_filter(number)
        _expect(h5py.h5z.filter_avail(code), path, key,
                f"compression {name.decode(errors='replace')!r} (filter {code}), unknown to h5py",
                "gzip or none")
    return dataset[()]


def _check_width(path, key, array, width):
    found = f"shape {array.shape}"
    if array.ndim == 2 and len(array) == width:
        found += ", transposed, as MATLAB writes it"
    _expect(array.shape[1:] == (width,), path, key, found, f"(N, {width})")


def _pixels(path, values, divisor):
    """The pixels (N, 784) as float32 in 0..1; whole numbers 0..255 are divided."""
    divisor = np.asarray(divisor).tolist()  # a number, a list of numbers, or text
    _expect(divisor in (255, 256, [255], [256]), path, "pixel_divisor", repr(divisor)[:40],
            "the number 255 or 256")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity
        x = values.astype(np.float32)
    low, high = x.min(), x.max()  # either is NaN when any pixel is
    _expect(low >= 0 and high <= 255, path, "xdata", f"values {low:g} to {high:g}",
            "0..1 or 0..255")
    if high > 1:
        whole = all(np.array_equal(image, np.rint(image)) for image in x)
        _expect(whole, path, "xdata", f"fractions as well as values up to {high:g}",
                "0..1, or whole numbers 0..255")
        x /= divisor
    return x


def _classes(path, values):
    """Classes (N,) int64 from one-hot rows (N, 10) or from class numbers (N,) or (N, 1)."""
    if values.shape[1:] == (10,):
        one_hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        _expect(one_hot, path, "ydata", "rows that are not one-hot",
                "one 1 and nine 0 in each row")
        return values.argmax(axis=1).astype(np.int64)
    wrong = values[~np.isin(values, range(10))]
    _expect(wrong.size == 0, path, "ydata", f"values {np.unique(wrong)[:4].tolist()}",
            "whole numbers 0..9")
    return values.ravel().astype(np.int64)


def _coding(path, human, machine):
    """(0, 1) or (-1, 1): the one coding that all values of both classes fit."""
    in_human, in_machine = np.unique(human).tolist(), np.unique(machine).tolist()
    values = set(in_human + in_machine)
    if values <= {0, 1} and values != {1}:
        return (0, 1)
    _expect(values <= {-1, 1} and values != {1}, path, "human and machine",
            f"values {in_human[:4]} and {in_machine[:4]}",
            "both in {0,1} or both in {-1,+1}, and not 1 alone")
    return (-1, 1)


def _whole(path, person):
    """The persons' numbers as int64; some programs write them as 1.0, 2.0."""
    with np.errstate(invalid="ignore"):  # NaN and infinity become a number that differs
        whole = person.astype(np.int64)
    _expect((whole == person).all(), path, "person", "numbers that are not whole",
            "whole numbers")
    return whole

"""Load the homework's HDF5 files, checked: arrays, or one clear line of refusal.

    from data.loader import DataError, check_classes, check_images, load_images
    from data.loader import load_sequences, path_argument

The files, and the forms of the course's own that load too, are described in data/README.md.
"""
import os
from argparse import ArgumentTypeError
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


def path_argument(text):
    """The path that a command line names: `~` is the home, also in --out=~/folder, where the shell
    leaves it as it is. Raises ArgumentTypeError, for argparse, where the name is empty."""
    if not text:
        raise ArgumentTypeError("found an empty name; expected that of a file or folder")
    return Path(os.path.expanduser(text))


def check_images(path, count=None):
    """Raise DataError where load_images() would, as far as the file's keys, shapes, types and
    compression tell: no value is read."""
    with _opened(path) as file:
        _images_in(file, count)


def load_images(path, count=None):
    """Load the first `count` images (default: all) of an MNIST-like file.

    Returns x (count, 784) float32 in 0..1 and the classes y (count,) int64 in 0..9.

    The file has `xdata` (N, 784) and `ydata`. Pixels are 0..1, or whole numbers 0..255: these are
    divided by the file's attribute `pixel_divisor` (255 where it has none). Labels are one-hot
    (N, 10) or classes (N,) or (N, 1). Raises DataError where anything is otherwise."""
    with _opened(path) as file:
        xdata, ydata, divisor = _images_in(file, count)
        pixels, labels = xdata[:count], ydata[:count]
    return _pixels(path, pixels, divisor), _classes(path, labels)


def check_classes(path, y_train, y_validation):
    """Raise DataError where a class is missing among the images of a file that train, or among
    those that validate: the file is not in mixed order."""
    for part, y in (("train", y_train), ("validate", y_validation)):
        missing = [m for m in range(10) if m not in y]
        _expect(not missing, path, "ydata",
                f"no image of the classes {missing} among the {len(y):,} that {part}",
                "all ten classes, in mixed order", "shuffle the file")


def load_sequences(path):
    """Load `human` (n, 20), `machine` (m, 20) and, if there, `person` (n,) as SequenceData.

    Both classes are coded {0,1} or both {-1,+1}. Raises DataError where anything is otherwise."""
    with _opened(path) as file:
        human = _dataset(file, "human")[()]
        machine = _dataset(file, "machine")[()]
        person = _dataset(file, "person")[()] if "person" in file else None
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
    """The shipped files, and those alone, can be had again."""
    folder = Path(__file__).resolve().parent
    if Path(path).resolve().parent != folder:
        return "use another file"
    if (folder.parent / ".git").exists():
        return "get the shipped one back with: git checkout -- data"
    return "get the shipped one back: download the project again"


def _expect(condition, path, key, found, expected, what_to_do=None):
    if not condition:
        raise DataError(f"{path}: {key}: found {found}; expected {expected}; "
                        f"{what_to_do or _what_to_do(path)}")


def _check_exists(path):
    """Raise DataError where there is no such file, or none that may be read."""
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {_what_to_do(path)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make it readable, or use "
                        "another file") from None


@contextmanager
def _opened(path):
    """An HDF5 file to read from. What goes wrong while it is read becomes a DataError."""
    _check_exists(path)
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


def _dataset(file, key):
    """The dataset `key`, checked but not read: numbers, one row at least, not too many for memory,
    compressed in a way that h5py knows."""
    path = file.filename
    _expect(key in file, path, key, f"only {sorted(map(str, file))[:5]}", f"a dataset {key}")
    dataset = file[key]
    _expect(isinstance(dataset, h5py.Dataset), path, key, "a group", "a dataset")
    kind = dataset.dtype.kind  # a letter, as numpy names kinds of types
    _expect(kind not in "OSU", path, key, "text, or rows of different lengths", "numbers")
    _expect(kind in "biuf", path, key, f"type {dataset.dtype}", "numbers")
    size = prod(dataset.shape or [0])  # a single number has the shape (): no rows
    _expect(size > 0, path, key, f"no rows (shape {dataset.shape})", "some")
    _expect(size <= MOST_VALUES, path, key, f"shape {dataset.shape}",
            f"{MOST_VALUES:,} values at most")
    # HDF5 reads zeros, without a word, where such another file is missing.
    elsewhere = dataset.is_virtual or dataset.external
    _expect(not elsewhere, path, key, "a dataset that refers to other files",
            "the rows themselves", "copy them into one file")
    layout = dataset.id.get_create_plist()
    for number in range(layout.get_nfilters()):
        code, _, _, name = layout.get_filter(number)
        _expect(h5py.h5z.filter_avail(code), path, key,
                f"compression {name.decode(errors='replace')!r} (filter {code}), unknown to h5py",
                "gzip or none")
    return dataset


def _images_in(file, count):
    """The datasets `xdata` and `ydata`, checked but not read, of `count` rows at least, and what
    whole pixels are divided by."""
    path = file.filename
    xdata, ydata = _dataset(file, "xdata"), _dataset(file, "ydata")
    _check_width(path, "xdata", xdata, 784)
    _expect(ydata.shape[1:] in ((), (1,), (10,)), path, "ydata", f"shape {ydata.shape}",
            "one-hot (N, 10) or classes (N,)")
    _expect(len(xdata) == len(ydata), path, "xdata and ydata",
            f"{len(xdata)} and {len(ydata)} rows", "equally many")
    _expect(len(xdata) >= (count or 0), path, "xdata", f"{len(xdata)} images",
            f"{count} at least")
    divisor = np.asarray(file.attrs.get("pixel_divisor", 255)).tolist()  # MATLAB writes [255.0]
    _expect(divisor in (255, 256, [255], [256]), path, "pixel_divisor", repr(divisor)[:40],
            "the number 255 or 256")
    return xdata, ydata, divisor


def _check_width(path, key, array, width):
    found = f"shape {array.shape}"
    if array.ndim == 2 and len(array) == width:
        found += ", transposed, as MATLAB writes it"
    _expect(array.shape[1:] == (width,), path, key, found, f"(N, {width})")


def _pixels(path, values, divisor):
    """The pixels (N, 784) as float32 in 0..1; whole numbers 0..255 are divided."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity
        x = values.astype(np.float32)
    low, high = x.min(), x.max()  # either is NaN when any pixel is
    scale = 1 if high <= 1 else 255
    # The brightest pixel of a real file is bright; here it may be dark: divided twice, say.
    _expect(low >= 0 and scale / 2 <= high <= scale, path, "xdata", f"values {low!s} to {high!s}",
            "0..1 or 0..255, the largest 0.5 or 128 at least (divided twice?)")
    if high > 1:
        whole = all(np.array_equal(image, np.rint(image)) for image in x)
        _expect(whole, path, "xdata", f"fractions as well as values up to {high!s}",
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

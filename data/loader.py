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


class DataError(Exception):
    """A file that cannot be used; the message is one line: file, found, expected, what to do."""


class SequenceData(NamedTuple):
    human: np.ndarray          # (n, 20) int8, in the file's own coding
    machine: np.ndarray        # (m, 20) int8
    coding: tuple              # (0, 1) or (-1, 1)
    person: np.ndarray | None  # (n,) int64: who pressed the human row; None: the file does not say
    source: str                # a phrase for the results


def check_exists(path):
    """Raise DataError where there is no such file."""
    if not path.exists():
        raise DataError(f"{path}: no such file; {_what_to_do(path)}")


def load_images(path, count=None):
    """Load the first `count` images (default: all) of an MNIST-like file.

    Returns x (count, 784) float32 in 0..1 and the classes y (count,) int64 in 0..9.

    The file has `xdata` (N, 784) and `ydata`. Pixels are 0..1, or whole numbers 0..255: these are
    divided by the file's attribute `pixel_divisor` (255 where it has none). Labels are one-hot
    (N, 10) or classes (N,) or (N, 1). Raises DataError where anything is otherwise."""
    with _opened(path) as file:
        xdata = _dataset(file, "xdata", "iuf")
        ydata = _dataset(file, "ydata", "biuf")
        _check_width(xdata, "xdata", 784)
        _expect(ydata.shape[1:] in ((), (1,), (10,)), "ydata", f"shape {ydata.shape}",
                "one-hot (N, 10) or classes (N,)")
        _expect(len(xdata) == len(ydata), "xdata and ydata",
                f"{len(xdata)} and {len(ydata)} rows", "equally many")
        if count is None:
            count = len(xdata)
        _expect(len(xdata) >= count, "xdata", f"{len(xdata)} images", f"{count} at least")
        divisor = file.attrs.get("pixel_divisor", 255)
        _expect(divisor in (255, 256), "pixel_divisor", divisor, "255 or 256")
        x = np.empty((count, 784), np.float32)
        xdata.read_direct(x, np.s_[:count])  # HDF5 converts: no second copy in memory
        return _scaled(x, divisor), _classes(ydata[:count])


def load_sequences(path):
    """Load `human` (n, 20), `machine` (m, 20) and, if there, `person` (n,) as SequenceData.

    Both classes are coded {0,1} or both {-1,+1}. Raises DataError where anything is otherwise."""
    with _opened(path) as file:
        human = _dataset(file, "human", "biuf")
        machine = _dataset(file, "machine", "biuf")
        _check_width(human, "human", 20)
        _check_width(machine, "machine", 20)
        human, machine = human[()], machine[()]
        coding = _coding(human, machine)
        person = None
        if "person" in file:
            person = _dataset(file, "person", "iu")[()].astype(np.int64)
            _expect(person.shape == (len(human),), "person", f"shape {person.shape}",
                    f"({len(human)},), as human has rows")
        source = file.attrs.get("source")
        if not isinstance(source, str):
            source = f"own file {Path(path).name}"
        return SequenceData(human.astype(np.int8), machine.astype(np.int8), coding, person, source)


def _what_to_do(path):
    """Git brings back the shipped files, and those alone."""
    if Path(path).resolve().parent == Path(__file__).resolve().parent:
        return "get the shipped one back with: git checkout -- data"
    return "use another file"


@contextmanager
def _opened(path):
    """Open an HDF5 file; what is wrong with it becomes a DataError that names the file."""
    check_exists(Path(path))
    try:
        _expect(h5py.is_hdf5(path), "content", _kind_of(path), "an HDF5 file")
        with h5py.File(path, "r") as file:
            yield file
    except DataError as error:
        raise DataError(f"{path}: {error}; {_what_to_do(path)}") from None
    except H5PY_ERRORS as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: found truncated or damaged HDF5 ({reason}); expected a whole "
                        f"file; {_what_to_do(path)}") from None


def _kind_of(path):
    """What the first bytes of a file look like, in a few words."""
    try:
        with open(path, "rb") as file:
            head = file.read(512).lower()
    except OSError as error:
        return f"nothing that can be read ({error.strerror})"
    if not head:
        return "an empty file"
    if head.startswith(b"\x89hdf"):
        return "truncated HDF5"
    if head.startswith(b"version https://git-lfs"):
        return "a Git-LFS pointer"
    if b"<html" in head or b"<!doctype html" in head:
        return "an HTML page"
    return "not an HDF5 file"


def _expect(condition, key, found, expected):
    if not condition:
        raise DataError(f"{key}: found {found}; expected {expected}")


def _dataset(file, key, kinds):
    """The dataset `key`, not read yet: not empty, of a type among `kinds`, and stored in full."""
    _expect(key in file, key, f"only {sorted(map(str, file))[:5]}", f"a dataset {key}")
    dataset = file[key]
    _expect(isinstance(dataset, h5py.Dataset), key, "a group", "a dataset")
    _expect(dataset.dtype.kind not in "OSU", key, "text, or rows of different lengths", "numbers")
    _expect(dataset.dtype.kind in kinds, key, f"type {dataset.dtype}", "numbers")
    _expect(dataset.ndim and dataset.size, key, f"no rows (shape {dataset.shape})", "some")
    layout = dataset.id.get_create_plist()
    for number in range(layout.get_nfilters()):
        code, _, _, name = layout.get_filter(number)
        _expect(h5py.h5z.filter_avail(code), key,
                f"compression {name.decode(errors='replace')!r} (filter {code}), unknown to h5py",
                "gzip or none")
    # A damaged header may promise any size: believe it only when as much is stored.
    if dataset.chunks:
        chunk = prod(dataset.chunks) * dataset.dtype.itemsize
        stored = dataset.id.get_num_chunks() * chunk
    else:
        stored = dataset.id.get_storage_size()
    _expect(stored >= dataset.nbytes, key, f"{stored} bytes stored",
            f"{dataset.nbytes} for shape {dataset.shape}")
    return dataset


def _check_width(dataset, key, width):
    shape = dataset.shape
    found = f"shape {shape}"
    if dataset.ndim == 2 and shape[0] == width:
        found += ", transposed, as MATLAB writes it"
    _expect(shape[1:] == (width,), key, found, f"(N, {width})")


def _scaled(x, divisor):
    """The pixels, brought to 0..1 in place after a check of their range."""
    low, high = x.min(), x.max()  # either is NaN when any pixel is
    _expect(np.isfinite(low) and np.isfinite(high), "xdata", "NaN or infinity", "finite pixels")
    _expect(low >= 0 and high <= 255, "xdata", f"values {low:g} to {high:g}", "0..1 or 0..255")
    if high > 1:
        blocks = np.array_split(x, 64)  # so that no copy of all is made
        whole = all((block == np.rint(block)).all() for block in blocks)
        _expect(whole, "xdata", f"fractions as well as values up to {high:g}",
                "0..1, or whole numbers 0..255")
        x /= divisor
    return x


def _classes(values):
    """Classes (N,) int64 from one-hot rows (N, 10) or from class numbers (N,) or (N, 1)."""
    _expect(np.isfinite(values).all(), "ydata", "NaN or infinity", "finite labels")
    if values.shape[1:] == (10,):
        one_hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        _expect(one_hot, "ydata", "rows that are not one-hot", "one 1 and nine 0 in each row")
        return values.argmax(axis=1).astype(np.int64)
    wrong = values[~np.isin(values, range(10))]
    if wrong.size:
        raise DataError(f"ydata: found class {wrong[0]:g}; expected whole numbers 0..9")
    return values.reshape(-1).astype(np.int64)


def _coding(human, machine):
    """(0, 1) or (-1, 1): the one coding that all values of both classes fit."""
    in_human, in_machine = np.unique(human).tolist(), np.unique(machine).tolist()
    values = {*in_human, *in_machine}
    fitting = [coding for coding in ((0, 1), (-1, 1)) if values <= {*coding}]
    _expect(len(fitting) == 1, "human and machine",
            f"values {in_human[:4]} and {in_machine[:4]}",
            "both in {0,1} or both in {-1,+1}, and not 1 alone")
    return fitting[0]

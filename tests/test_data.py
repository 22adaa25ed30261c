"""data/: the shipped files are what data/ORIGINS.md says; the loader accepts every form of the
course and refuses every bad file in one line."""
import errno
import hashlib
import os
import re
import subprocess
import sys
from argparse import ArgumentTypeError

import h5py
import numpy as np
import pytest
from conftest import ROOT, as_committed, write

from data import loader
from data.loader import (DataError, check_classes, check_images, load_images, load_sequences,
                         path_argument)

DATA = ROOT / "data"
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 784)).astype(np.uint8)
LABELS = np.random.default_rng(1).permutation(np.arange(40) % 10)
ONE_HOT = np.eye(10)[LABELS]
BITS = np.random.default_rng(2).integers(0, 2, (30, 20))


# The shipped files

def stated_hashes():
    """{(file, key): SHA-256} of data/ORIGINS.md."""
    rows = re.findall(r"\| `(\w+\.hdf5)` \| `(\w+)` \| `([0-9a-f]{64})` \|",
                      (DATA / "ORIGINS.md").read_text(encoding="utf-8"))
    return {(name, key): sha256 for name, key, sha256 in rows}


def hashes_in(folder):
    found = {}
    for name in {name for name, _ in stated_hashes()}:  # a user's own files may be there, too
        with h5py.File(folder / name) as file:
            for key in file:
                found[name, key] = hashlib.sha256(file[key][()].tobytes()).hexdigest()
    return found


@as_committed("data/*.hdf5")
def test_shipped_arrays_have_the_hashes_that_are_stated_and_load():
    assert hashes_in(DATA) == stated_hashes()
    for name, count, divisor in (("mnist_train", 60_000, 256), ("mnist_test", 10_000, 256),
                                 ("fashion_mnist_train", 60_000, 255),
                                 ("fashion_mnist_test", 10_000, 255)):
        x, y = load_images(DATA / f"{name}data.hdf5")
        assert x.shape == (count, 784) and x.dtype == np.float32
        with h5py.File(DATA / f"{name}data.hdf5") as file:
            pixels = file["xdata"][-9:].astype(np.float32)
            assert np.array_equal(x[-9:], pixels / np.float32(divisor))
            assert np.array_equal(y, file["ydata"])
    data = load_sequences(DATA / "binary_random.hdf5")
    assert data.human.shape == data.machine.shape == (2033, 20) and data.coding == (-1, 1)
    assert "RANDECOD" in data.source and np.array_equal(np.unique(data.person), range(85))


@pytest.mark.skipif("HOMEWORK_MIRROR" not in os.environ,
                    reason="HOMEWORK_MIRROR names no folder with the publishers' originals")
def test_rebuilding_from_the_originals_gives_the_same_arrays(tmp_path):
    pytest.importorskip("matio", reason="mat-io is not installed; only data/rebuild.py needs it")
    subprocess.run([sys.executable, DATA / "rebuild.py", os.environ["HOMEWORK_MIRROR"], tmp_path],
                   check=True)
    assert hashes_in(tmp_path) == stated_hashes()


# What the loader accepts

@pytest.mark.parametrize("attributes, divisor", [
    ({}, 255), ({"pixel_divisor": 256}, 256), ({"pixel_divisor": [256.0]}, 256)])  # as MATLAB's
@pytest.mark.parametrize("kind", [np.uint8, np.int64, ">f8"])
def test_whole_pixels_of_every_type_are_divided(kind, attributes, divisor, tmp_path):
    path = write(tmp_path / "f.hdf5", attributes, xdata=PIXELS.astype(kind), ydata=ONE_HOT)
    x, _ = load_images(path)
    assert x.dtype == np.float32
    assert np.array_equal(x, PIXELS.astype(np.float32) / np.float32(divisor))


@pytest.mark.parametrize("pixels", [PIXELS / 256, (PIXELS / 256).astype(np.float32), PIXELS // 128])
def test_pixels_from_0_to_1_are_not_divided(pixels, tmp_path):
    x, _ = load_images(write(tmp_path / "f.hdf5", xdata=pixels, ydata=ONE_HOT))
    assert x.dtype == np.float32 and np.array_equal(x, pixels.astype(np.float32))


@pytest.mark.parametrize("labels", [
    ONE_HOT, ONE_HOT.astype(np.uint8), ONE_HOT.astype(bool), LABELS, LABELS[:, None],
    LABELS.astype(np.float32)])
def test_labels_of_every_form(labels, tmp_path):
    _, y = load_images(write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=labels))
    assert np.array_equal(y, LABELS) and y.dtype == np.int64


@pytest.mark.parametrize("count", [1, 25, 40])
def test_the_first_images_also_of_a_compressed_file(tmp_path, count):
    with h5py.File(tmp_path / "f.hdf5", "w") as file:
        file.create_dataset("xdata", data=PIXELS / 255, chunks=(16, 784), compression="gzip",
                            shuffle=True)
        file["ydata"] = LABELS
    x, y = load_images(tmp_path / "f.hdf5", count)
    assert np.array_equal(x, (PIXELS[:count] / 255).astype(np.float32))
    assert np.array_equal(y, LABELS[:count])


@pytest.mark.parametrize("kind", [float, np.int8, np.float32])
@pytest.mark.parametrize("coding", [(0, 1), (-1, 1)])
def test_sequences_of_both_codings_and_any_type(tmp_path, kind, coding):
    human, machine = np.array(coding)[BITS].astype(kind), np.array(coding)[1 - BITS[:7]]
    data = load_sequences(write(tmp_path / "own.hdf5", human=human, machine=machine))
    assert data.coding == coding and data.human.dtype == data.machine.dtype == np.int8
    assert np.array_equal(data.human, human) and np.array_equal(data.machine, machine)
    assert data.person is None and data.source == "own file own.hdf5"


def test_a_class_that_is_all_ones_persons_as_fractions_and_a_source(tmp_path):
    person = np.repeat([5.0, 3.0], 15)
    data = load_sequences(write(tmp_path / "f.hdf5", {"source": "a test"}, machine=BITS[:1] > 0,
                                human=np.ones((30, 20), np.uint8), person=person))
    assert data.coding == (0, 1) and data.source == "a test"
    assert np.array_equal(data.person, person) and data.person.dtype == np.int64


# What it refuses: each entry makes a file at a path, and names what the one line must say.

def changed(values, value):
    values = values.copy()
    values[3, 5] = value
    return values


def images(xdata=PIXELS, ydata=ONE_HOT, **attributes):
    return lambda path: write(path, attributes, xdata=xdata, ydata=ydata)


def sequences(human=BITS, machine=BITS, **more):
    return lambda path: write(path, human=human, machine=machine, **more)


def text(content):
    return lambda path: path.write_bytes(content)


def with_xdata(make):
    """A file with labels, whose xdata is made by make(file)."""
    def make_file(path):
        write(path, ydata=ONE_HOT)
        with h5py.File(path, "r+") as file:
            make(file)
    return make_file


def of_different_lengths(path):
    write(path, machine=BITS)
    with h5py.File(path, "r+") as file:
        human = file.create_dataset("human", (30,), h5py.vlen_dtype(np.int8))
        for i in range(30):
            human[i] = BITS[i, :10 + i % 10]


def merged(path):
    """Rows that HDF5 takes from another file when they are read."""
    source = write(path.with_name("source.hdf5"), human=BITS)
    layout = h5py.VirtualLayout(BITS.shape, BITS.dtype)
    layout[:] = h5py.VirtualSource(source, "human", BITS.shape)
    write(path, machine=BITS)
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("human", layout)


def beside(path):
    """Rows that lie in a file without any header."""
    BITS.tofile(path.with_name("rows.bin"))
    write(path, machine=BITS)
    with h5py.File(path, "r+") as file:
        file.create_dataset("human", BITS.shape, BITS.dtype,
                            external=[(path.with_name("rows.bin"), 0, BITS.nbytes)])


def blosc(file):
    """A chunk as the Blosc filter leaves it, with no need for Blosc."""
    xdata = file.create_dataset("xdata", PIXELS.shape, "u1", chunks=PIXELS.shape,
                                compression=32001, allow_unknown_filter=True)
    xdata.id.write_direct_chunk((0, 0), bytes(1000))


def cut_short(make, keep):
    def cut(path):
        make(path)
        path.write_bytes(path.read_bytes()[:keep])
    return cut


def scrambled(path):
    """Opens well, but the compressed pixels cannot be read."""
    with h5py.File(path, "w") as file:
        xdata = file.create_dataset("xdata", data=PIXELS, compression="gzip", chunks=PIXELS.shape)
        file["ydata"] = ONE_HOT
        start = xdata.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start:start + 50] = bytes(50)
    path.write_bytes(content)


TWO_ONES = np.maximum(ONE_HOT, np.roll(ONE_HOT, 1, axis=1) * (np.arange(40) == 3)[:, None])
BAD_IMAGES = {
    "Git-LFS": (text(b"version https://git-lfs.github.com/spec/v1\n"), "a Git-LFS pointer"),
    "HTML page": (text(b"\n<!DOCTYPE html>\n"), "content: found an HTML page; expected an HDF5"),
    "text": (text(b"1 2 3"), "not an HDF5 file"),
    "empty file": (text(b""), "an empty file"),
    "signature alone": (text(b"\x89HDF"), "truncated HDF5"),
    "missing": (lambda path: None, "no such file"),
    "cut short": (cut_short(images(), 20_000), "found HDF5 that cannot be read", "a whole file"),
    "scrambled": (scrambled, "cannot be read"),
    "Blosc": (with_xdata(blosc), "xdata: found compression", "(filter 32001)", "expected gzip"),
    "no xdata": (lambda path: write(path, ydata=ONE_HOT), "xdata: found only ['ydata']"),
    "group": (with_xdata(lambda file: file.create_group("xdata")), "xdata: found a group"),
    "only promised": (with_xdata(lambda file: file.create_dataset(
        "xdata", (2_000_000_000, 784), np.float32, chunks=(10, 784))), "196,000,000 values"),
    "text pixels": (images(xdata=np.full((40, 784), b"7")), "xdata: found text", "numbers"),
    "complex": (images(xdata=PIXELS * 1j), "type complex128; expected numbers"),
    "width 783": (images(xdata=PIXELS[:, :783]), "xdata: found shape (40, 783); expected (N, 784)"),
    "transposed": (images(xdata=PIXELS.T), "shape (784, 40), transposed, as MATLAB writes it;"),
    "9 classes": (images(ydata=ONE_HOT[:, :9]), "ydata: found shape (40, 9)", "one-hot"),
    "row counts": (images(ydata=ONE_HOT[:39]), "40 and 39 rows"),
    "no rows": (images(PIXELS[:0], ONE_HOT[:0]), "xdata: found no rows (shape (0, 784))"),
    "two ones": (images(ydata=TWO_ONES), "ydata: found rows that are not one-hot"),
    "no one": (images(ydata=ONE_HOT * (np.arange(40) != 3)[:, None]), "not one-hot"),
    "label 10": (images(ydata=LABELS + 1), "ydata: found values [10]; expected whole numbers 0..9"),
    "label 2.5": (images(ydata=LABELS + 0.5), "found values [0.5, 1.5, 2.5, 3.5];"),
    "NaN": (images(xdata=changed(PIXELS / 256, np.nan)), "xdata: found values nan"),
    "beyond float32": (images(xdata=changed(PIXELS / 256, 1e300)), "values 0.0 to inf"),
    "negative": (images(xdata=changed(PIXELS / 256, -0.1)), "values -0.1 to"),
    "above 255": (images(xdata=changed(PIXELS.astype(int), 256)),
                  "found values 0.0 to 256.0; expected 0..1 or 0..255"),
    "divided twice": (images(xdata=PIXELS / 255 / 255), "values 0.0 to 0.0039", "twice"),
    "sixteen greys": (images(xdata=PIXELS // 16), "found values 0.0 to 15.0;"),
    "all black": (images(xdata=np.zeros(PIXELS.shape)), "found values 0.0 to 0.0;"),
    "a little above 1": (images(xdata=changed(PIXELS / 256, 1.0000001)), "0.0 to 1.0000001;"),
    "fractions": (images(xdata=changed(PIXELS.astype(float), 3.5)), "found fractions as well"),
    "divisor": (images(pixel_divisor=0), "pixel_divisor: found 0; expected the number 255 or 256"),
    "text divisor": (images(pixel_divisor="255"), "pixel_divisor: found '255';"),
}
BAD_SEQUENCES = {
    "cut short": (cut_short(sequences(), 4000), "cannot be read"),
    "no human": (lambda path: write(path, machine=BITS), "human: found only ['machine']"),
    "no machine": (lambda path: write(path, human=BITS), "machine: found only ['human']"),
    "width 19": (sequences(human=BITS[:, :19]), "human: found shape (30, 19); expected (N, 20)"),
    "transposed": (sequences(BITS.T, BITS.T), "shape (20, 30), transposed, as MATLAB"),
    "no human rows": (sequences(human=BITS[:0]), "human: found no rows"),
    "no machine rows": (sequences(machine=BITS[:0]), "machine: found no rows"),
    "different lengths": (of_different_lengths, "human: found text, or rows of different lengths"),
    "in another file": (merged, "human: found", "refers to other files", "copy them into one"),
    "beside the file": (beside, "human: found", "refers to other files"),
    "NaN": (sequences(human=changed(BITS * 1.0, np.nan)), "[0.0, 1.0, nan] and [0, 1];"),
    "many values": (sequences(np.arange(600).reshape(30, 20)), "[0, 1, 2, 3] and [0, 1];"),
    "mixed within": (sequences(human=changed(BITS, -1)), "found values [-1, 0, 1] and [0, 1];"),
    "mixed between": (sequences(human=2 * BITS - 1), "[-1, 1] and [0, 1]; expected both in {0,1}"),
    "only ones": (sequences(np.ones((4, 20)), np.ones((4, 20))), "[1.0] and [1.0];"),
    "persons missing": (sequences(machine=BITS[:9], person=np.arange(29)),
                        "person: found shape (29,); expected (30,)"),
    "persons twice": (sequences(person=np.zeros((30, 2), int)), "person: found shape (30, 2)"),
    "half persons": (sequences(person=np.arange(30) / 2), "numbers that are not whole"),
    "persons by name": (sequences(person=["Ann"] * 30), "person: found text"),
}


def refusal_of(load, *arguments):
    """The message with which a file is refused; it must be one line."""
    with pytest.raises(DataError) as refusal:
        load(*arguments)
    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.filterwarnings("error")  # numpy's warnings would be further lines
@pytest.mark.parametrize("load, name, make, says", [
    *((load_images, name, make, says) for name, (make, *says) in BAD_IMAGES.items()),
    *((load_sequences, name, make, says) for name, (make, *says) in BAD_SEQUENCES.items())])
def test_bad_file_is_refused_in_one_line(tmp_path, load, name, make, says):
    path = tmp_path / "bad.hdf5"
    make(path)
    message = refusal_of(load, path)
    assert message.startswith(f"{path}: ") and "; " in message
    assert all(words in message for words in says), message


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    assert f"{tmp_path}: cannot be read (" in refusal_of(load_images, tmp_path)  # a folder

    def denied(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(loader, "open", denied, raising=False)  # file modes do not stop root
    for refuse in (check_images, load_images, load_sequences):
        message = refusal_of(refuse, images()(tmp_path / "f.hdf5"))
        assert "f.hdf5: cannot be read (Permission denied); " in message


def test_fewer_images_than_are_asked_for_and_more_than_is_believed(tmp_path, monkeypatch):
    path = images()(tmp_path / "f.hdf5")
    assert "xdata: found 40 images; expected 41 at least" in refusal_of(load_images, path, 41)
    monkeypatch.setattr(loader, "MOST_VALUES", PIXELS.size)
    assert len(load_images(path)[0]) == 40
    monkeypatch.setattr(loader, "MOST_VALUES", PIXELS.size - 1)
    assert "xdata: found shape (40, 784)" in refusal_of(load_images, path)


def test_what_can_be_said_of_a_file_beforehand_reads_no_value(tmp_path, monkeypatch):
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("a value was read"))
    check_images(images()(tmp_path / "f.hdf5"), 40)
    for name in ("Git-LFS", "cut short", "Blosc", "width 783", "row counts", "divisor"):
        make, *says = BAD_IMAGES[name]
        make(tmp_path / "f.hdf5")
        assert says[0] in refusal_of(check_images, tmp_path / "f.hdf5")


def test_a_class_that_is_missing_on_one_side_of_a_split_is_named():
    mixed = np.arange(20) % 10
    check_classes("f", mixed, mixed)
    for parts, says in (((mixed, mixed[:8]), "[8, 9] among the 8 that validate"),
                        ((mixed % 5, mixed), "[5, 6, 7, 8, 9] among the 20 that train")):
        message = refusal_of(check_classes, "f", *parts)
        assert says in message and message.endswith("; shuffle the file")


def test_shipped_files_can_be_had_again(tmp_path, monkeypatch):
    """By git where there is git, and no others."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(loader, "__file__", str(folder / "loader.py"))
    assert "download" in refusal_of(load_images, folder / "f.hdf5")
    (tmp_path / ".git").mkdir()
    images(xdata=PIXELS.T)(folder / "f.hdf5")
    assert refusal_of(load_images, folder / "f.hdf5").endswith("git checkout -- data")
    assert refusal_of(load_images, tmp_path / "f.hdf5").endswith("use another file")


def test_paths_of_the_command_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert path_argument("~/results") == tmp_path / "results"
    assert str(path_argument("results")) == "results"
    with pytest.raises(ArgumentTypeError, match="empty"):
        path_argument("")

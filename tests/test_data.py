"""data/: the shipped files are what data/README.md says; the loader accepts every form of the
course and refuses every bad file in one line."""
import hashlib
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import ROOT, as_committed, write

from data import loader
from data.loader import DataError, check_exists, load_images, load_sequences

DATA = ROOT / "data"
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 784)).astype(np.uint8)
LABELS = RNG.permutation(np.arange(40) % 10)
ONE_HOT = np.eye(10)[LABELS]
BITS = RNG.integers(0, 2, (30, 20))
shipped = as_committed("data/*.hdf5")


# The shipped files

def stated_hashes():
    """{(file, key): SHA-256} of data/README.md."""
    rows = re.findall(r"\| `(\w+\.hdf5)` \| `(\w+)` \| `([0-9a-f]{64})` \|",
                      (DATA / "README.md").read_text(encoding="utf-8"))
    return {(name, key): sha256 for name, key, sha256 in rows}


def hashes_in(folder):
    found = {}
    for name in {name for name, _ in stated_hashes()}:
        with h5py.File(folder / name) as file:
            for key in file:
                found[name, key] = hashlib.sha256(file[key][()].tobytes()).hexdigest()
    return found


@shipped
def test_arrays_have_the_hashes_of_the_readme():
    assert hashes_in(DATA) == stated_hashes()
    assert len(stated_hashes()) == 12


@pytest.mark.skipif("HOMEWORK_MIRROR" not in os.environ,
                    reason="HOMEWORK_MIRROR names no folder with the publishers' originals")
def test_rebuilding_from_the_originals_gives_the_same_arrays(tmp_path):
    pytest.importorskip("matio", reason="mat-io is not installed; only data/rebuild.py needs it")
    subprocess.run([sys.executable, DATA / "rebuild.py", os.environ["HOMEWORK_MIRROR"], tmp_path],
                   check=True)
    assert hashes_in(tmp_path) == stated_hashes()


@shipped
@pytest.mark.parametrize("name, count, divisor", [
    ("mnist_train", 60_000, 256), ("mnist_test", 10_000, 256),
    ("fashion_mnist_train", 60_000, 255), ("fashion_mnist_test", 10_000, 255)])
def test_shipped_images(name, count, divisor):
    x, y = load_images(DATA / f"{name}data.hdf5")
    assert x.shape == (count, 784) and x.dtype == np.float32
    with h5py.File(DATA / f"{name}data.hdf5") as file:
        pixels = file["xdata"][-9:].astype(np.float32)
        assert np.array_equal(x[-9:], pixels / np.float32(divisor))
        assert np.array_equal(y, file["ydata"])
        assert file.attrs["source"] and file.attrs["licence"]


@shipped
def test_shipped_sequences_have_the_counts_of_the_study():
    data = load_sequences(DATA / "binary_random.hdf5")
    assert data.human.shape == data.machine.shape == (2033, 20) and data.coding == (-1, 1)
    assert "RANDECOD" in data.source
    assert np.array_equal(np.unique(data.person), range(85))
    assert len(np.unique(data.human, axis=0)) == 1978
    assert (data.human[:, 1:] != data.human[:, :-1]).mean() == pytest.approx(0.576, abs=0.001)
    with h5py.File(DATA / "binary_random.hdf5") as file:
        instruction = file["instruction"][()]
        names = list(file["instruction"].attrs["names"])
    people = [len(np.unique(data.person[instruction == code])) for code in range(3)]
    assert names == ["random sequence", "mental coin toss", "free choice"]
    assert people == [27, 29, 29]


# What the loader accepts

IMAGE_FORMS = {
    "float32 0..1": (PIXELS / 256).astype(np.float32), "float64 0..1": PIXELS / 256,
    "uint8": PIXELS, "int64": PIXELS.astype(np.int64), "big-endian 0..255": PIXELS.astype(">f8")}
LABEL_FORMS = {
    "float64": ONE_HOT, "uint8": ONE_HOT.astype(np.uint8), "bool": ONE_HOT.astype(bool),
    "classes (N,)": LABELS, "classes (N, 1)": LABELS[:, None], "float": LABELS.astype(np.float32)}


@pytest.mark.parametrize("form", IMAGE_FORMS)
@pytest.mark.parametrize("count", [None, 40, 25])
def test_images_of_every_form(tmp_path, form, count):
    path = write(tmp_path / "f.hdf5", {"pixel_divisor": 256}, xdata=IMAGE_FORMS[form],
                 ydata=ONE_HOT)
    x, y = load_images(path, count)
    assert x.dtype == np.float32 and y.dtype == np.int64
    assert np.array_equal(x, PIXELS[:count].astype(np.float32) / 256)
    assert np.array_equal(y, LABELS[:count])


def test_whole_pixels_are_divided_by_255_where_the_file_does_not_say(tmp_path):
    x, _ = load_images(write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=ONE_HOT))
    assert np.array_equal(x, PIXELS.astype(np.float32) / np.float32(255))


def test_compressed_images(tmp_path):
    with h5py.File(tmp_path / "f.hdf5", "w") as file:
        file.create_dataset("xdata", data=PIXELS, chunks=(16, 784), compression="gzip",
                            shuffle=True)
        file["ydata"] = LABELS
    x, _ = load_images(tmp_path / "f.hdf5", 30)
    assert np.array_equal(x, PIXELS[:30].astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("form", LABEL_FORMS)
def test_labels_of_every_form(tmp_path, form):
    _, y = load_images(write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=LABEL_FORMS[form]))
    assert np.array_equal(y, LABELS) and y.dtype == np.int64


@pytest.mark.parametrize("kind", [float, np.int8, np.int32, np.float32])
@pytest.mark.parametrize("coding", [(0, 1), (-1, 1)])
def test_sequences_of_both_codings_and_any_type(tmp_path, kind, coding):
    human, machine = np.array(coding)[BITS].astype(kind), np.array(coding)[1 - BITS[:7]]
    data = load_sequences(write(tmp_path / "own.hdf5", human=human, machine=machine))
    assert data.coding == coding and data.human.dtype == data.machine.dtype == np.int8
    assert np.array_equal(data.human, human) and np.array_equal(data.machine, machine)
    assert data.person is None and data.source == "own file own.hdf5"


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_unsigned_sequences_and_a_class_that_is_all_ones(tmp_path, kind):
    path = write(tmp_path / "f.hdf5", human=np.ones((3, 20), kind), machine=BITS.astype(kind))
    assert load_sequences(path).coding == (0, 1)


@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_person_of_each_human_row(tmp_path, kind):
    stated = np.repeat(range(3), 10)
    path = write(tmp_path / "f.hdf5", human=BITS, machine=BITS, person=stated.astype(kind))
    person = load_sequences(path).person
    assert np.array_equal(person, stated) and person.dtype == np.int64


# What it refuses: each entry makes a file at a path, and names what the one line must say.

def changed(values, value):
    values = values.copy()
    values[3, 5] = value
    return values


def images(xdata=PIXELS, ydata=ONE_HOT, **attributes):
    return lambda path: write(path, attributes, xdata=xdata, ydata=ydata)


def sequences(human=BITS, machine=BITS, **more):
    return lambda path: write(path, human=human, machine=machine, **more)


def promised(**layout):
    """A header that promises 6 TB and stores nothing."""
    def make(path):
        write(path, ydata=ONE_HOT)
        with h5py.File(path, "r+") as file:
            file.create_dataset("xdata", shape=(2_000_000_000, 784), dtype="f4", **layout)
    return make


def group(path):
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "r+") as file:
        file.create_group("xdata")


def of_different_lengths(path):
    write(path, machine=BITS)
    with h5py.File(path, "r+") as file:
        human = file.create_dataset("human", (30,), h5py.vlen_dtype(np.int8))
        for i in range(30):
            human[i] = BITS[i, :10 + i % 10]


def blosc(path):
    """A chunk as the Blosc filter leaves it, with no need for Blosc."""
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "r+") as file:
        xdata = file.create_dataset("xdata", PIXELS.shape, "u1", chunks=PIXELS.shape,
                                    compression=32001, allow_unknown_filter=True)
        xdata.id.write_direct_chunk((0, 0), bytes(1000))


def times(path):
    """A type of HDF5 that numpy does not have."""
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "r+") as file:
        space = h5py.h5s.create_simple(PIXELS.shape)
        h5py.h5d.create(file.id, b"xdata", h5py.h5t.UNIX_D32LE, space)


def truncated(make, keep):
    def cut(path):
        make(path)
        path.write_bytes(path.read_bytes()[:keep])
    return cut


def nameless(path):
    """The heap that holds the names of the datasets cannot be found."""
    images()(path)
    path.write_bytes(path.read_bytes().replace(b"HEAP", b"heap"))


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
NOT_HDF5 = {
    "Git-LFS": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
                "a Git-LFS pointer"),
    "HTML page": (lambda path: path.write_text("\n<!DOCTYPE html>\n<html>404"), "an HTML page"),
    "text": (lambda path: path.write_text("1 2 3"), "not an HDF5 file"),
    "empty file": (lambda path: path.write_bytes(b""), "an empty file"),
    "folder": (lambda path: path.mkdir(), "nothing that can be read"),
    "missing": (lambda path: None, "no such file"),
}
BAD_IMAGES = NOT_HDF5 | {
    "truncated": (truncated(images(), 20_000), "truncated"),
    "truncated in its header": (truncated(images(), 60), "truncated"),
    "truncated in its signature": (truncated(images(), 5), "truncated"),
    "scrambled": (scrambled, "damaged"),
    "nameless": (nameless, "damaged"),
    "link to nothing": (images(xdata=h5py.SoftLink("/nothing")), "damaged"),
    "times": (times, "No NumPy equivalent"),
    "Blosc": (blosc, "xdata: found compression", "filter 32001"),
    "no xdata": (lambda path: write(path, ydata=ONE_HOT), "xdata: found only ['ydata']"),
    "no ydata": (lambda path: write(path, xdata=PIXELS), "ydata: found only ['xdata']"),
    "group": (group, "xdata: found a group"),
    "text pixels": (images(xdata=np.full((40, 784), b"7")), "xdata: found text"),
    "text labels": (images(ydata=["boot"] * 40), "ydata: found text"),
    "complex": (images(xdata=PIXELS * 1j), "type complex128"),
    "records": (images(xdata=np.zeros((40, 784), [("a", "f4")])), "expected numbers"),
    "width 783": (images(xdata=PIXELS[:, :783]), "shape (40, 783)"),
    "28 x 28": (images(xdata=PIXELS.reshape(-1, 28, 28)), "shape (40, 28, 28)"),
    "transposed": (images(xdata=PIXELS.T), "shape (784, 40), transposed, as MATLAB"),
    "9 classes": (images(ydata=ONE_HOT[:, :9]), "shape (40, 9)"),
    "row counts": (images(ydata=ONE_HOT[:39]), "40 and 39 rows"),
    "no rows": (images(PIXELS[:0], ONE_HOT[:0]), "no rows"),
    "scalar labels": (images(ydata=np.float64(3)), "shape ()"),
    "two ones": (images(ydata=TWO_ONES), "not one-hot"),
    "no one": (images(ydata=ONE_HOT * (np.arange(40) != 3)[:, None]), "not one-hot"),
    "halves": (images(ydata=ONE_HOT / 2 + np.roll(ONE_HOT, 1, axis=1) / 2), "not one-hot"),
    "a two": (images(ydata=ONE_HOT * 2), "not one-hot"),
    "label 10": (images(ydata=LABELS + 1), "class 10"),
    "label -1": (images(ydata=LABELS - 1), "class -1"),
    "label 2.5": (images(ydata=LABELS + 0.5), "found class "),
    "NaN label": (images(ydata=changed(ONE_HOT, np.nan)), "ydata: found NaN"),
    "NaN": (images(xdata=changed(PIXELS / 256, np.nan)), "xdata: found NaN"),
    "infinity": (images(xdata=changed(PIXELS / 256, np.inf)), "xdata: found NaN or infinity"),
    "beyond float32": (images(xdata=changed(PIXELS / 256, 1e300)), "xdata: found NaN or infinity"),
    "negative": (images(xdata=changed(PIXELS / 256, -0.1)), "values -0.1 to"),
    "above 255": (images(xdata=changed(PIXELS.astype(int), 256)), "values 0 to 256"),
    "one pixel of another scale": (images(xdata=changed(PIXELS / 256, 7)), "fractions as well as"),
    "divisor": (images(pixel_divisor=0), "pixel_divisor: found 0"),
    "only promised": (promised(), "0 bytes stored"),
    "only promised, chunked": (promised(chunks=(10, 784)), "0 bytes stored"),
}
BAD_SEQUENCES = NOT_HDF5 | {
    "truncated": (truncated(sequences(), 4000), "truncated"),
    "no human": (lambda path: write(path, machine=BITS), "human: found only ['machine']"),
    "no machine": (lambda path: write(path, human=BITS), "machine: found only ['human']"),
    "width 19": (sequences(BITS[:, :19], BITS[:, :19]), "human: found shape (30, 19)"),
    "two widths": (sequences(machine=np.hstack([BITS, BITS])), "machine: found shape (30, 40)"),
    "transposed": (sequences(BITS.T, BITS.T), "shape (20, 30), transposed, as MATLAB"),
    "flat": (sequences(human=BITS.reshape(-1)), "shape (600,)"),
    "no human rows": (sequences(human=BITS[:0]), "human: found no rows"),
    "no machine rows": (sequences(machine=BITS[:0]), "machine: found no rows"),
    "different lengths": (of_different_lengths, "human: found text, or rows of different lengths"),
    "rows of text": (sequences(machine=["01" * 10] * 30), "machine: found text"),
    "text values": (sequences(human=np.full((30, 20), b"1")), "human: found text"),
    "NaN": (sequences(human=changed(BITS * 1.0, np.nan)), "nan"),
    "infinity": (sequences(machine=changed(BITS * 1.0, -np.inf)), "-inf"),
    "a two": (sequences(machine=changed(BITS, 2)), "and [0, 1, 2]"),
    "a half": (sequences(human=changed(BITS * 1.0, 0.5)), "[0.0, 0.5, 1.0]"),
    "mixed within": (sequences(human=changed(BITS, -1)), "{-1,+1}"),
    "mixed between": (sequences(human=2 * BITS - 1), "expected both in {0,1} or both in {-1,+1}"),
    "only ones": (sequences(np.ones((4, 20)), np.ones((4, 20))), "not 1 alone"),
    "persons missing": (sequences(person=np.arange(29)), "person: found shape (29,)"),
    "persons twice": (sequences(person=np.zeros((30, 2), int)), "person: found shape (30, 2)"),
    "fractional persons": (sequences(person=np.arange(30) / 2), "person: found type float64"),
    "persons by name": (sequences(person=["Ann"] * 30), "person: found text"),
}
DAMAGED = ("truncated", "truncated in its header", "scrambled", "nameless", "link to nothing",
           "times")


def refusal_of(load, *arguments):
    """The message with which a file is refused; it must be one line."""
    with pytest.raises(DataError) as refusal:
        load(*arguments)
    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("load, name, make, says", [
    *((load_images, name, make, says) for name, (make, *says) in BAD_IMAGES.items()),
    *((load_sequences, name, make, says) for name, (make, *says) in BAD_SEQUENCES.items())])
def test_bad_file_is_refused_in_one_line(tmp_path, load, name, make, says):
    path = tmp_path / "bad.hdf5"
    make(path)
    message = refusal_of(load, path)
    assert message.startswith(f"{path}: ") and message.endswith("; use another file")
    assert all(words in message for words in says), message
    assert "damaged" not in message or name in DAMAGED


def test_fewer_images_than_are_asked_for(tmp_path):
    path = images()(tmp_path / "f.hdf5")
    assert "found 40 images; expected 41 at least" in refusal_of(load_images, path, 41)


def test_git_is_named_for_the_shipped_files_alone(tmp_path, monkeypatch):
    from_git = "get the shipped one back with: git checkout -- data"
    assert refusal_of(check_exists, DATA / "none.hdf5").endswith(from_git)
    assert refusal_of(check_exists, tmp_path / "none.hdf5").endswith("; use another file")
    monkeypatch.setattr(loader, "__file__", str(tmp_path / "shipped" / "loader.py"))
    (tmp_path / "shipped").mkdir()
    for make in (truncated(images(), 20_000), images(xdata=PIXELS.T)):
        make(tmp_path / "shipped" / "f.hdf5")
        make(tmp_path / "f.hdf5")
        assert refusal_of(load_images, tmp_path / "shipped" / "f.hdf5").endswith(from_git)
        assert refusal_of(load_images, tmp_path / "f.hdf5").endswith("; use another file")


@pytest.mark.parametrize("error", [AttributeError, MemoryError])
def test_a_mistake_of_our_own_is_not_called_a_damaged_file(tmp_path, monkeypatch, error):
    def mistaken(values):
        raise error("of our own")
    monkeypatch.setattr(loader, "_classes", mistaken)
    with pytest.raises(error, match="of our own"):
        load_images(images()(tmp_path / "f.hdf5"))

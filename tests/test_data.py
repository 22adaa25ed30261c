"""data/: the shipped files are what data/README.md says; the loader accepts every form of the
course and refuses every bad file in one line."""
import hashlib
import os
import re
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest
from conftest import ROOT, as_committed, write, write_sequences

from data.loader import WHAT_TO_DO, DataError, load_images, load_sequences

DATA = ROOT / "data"
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 784)).astype(np.uint8)
LABELS = RNG.permutation(np.arange(40) % 10)
ONE_HOT = np.eye(10)[LABELS]
BITS = RNG.integers(0, 2, (30, 20))
shipped = as_committed("data")


# The shipped files

def stated_hashes():
    rows = re.findall(r"\| `(\w+\.hdf5)` \| `(\w+)` \| `([0-9a-f]{64})` \|",
                      (DATA / "README.md").read_text(encoding="utf-8"))
    return {(name, key): sha256 for name, key, sha256 in rows}


def hashes_in(folder):
    found = {}
    for path in (folder / name for name in {name for name, _ in stated_hashes()}):
        with h5py.File(path) as file:
            for key in file:
                found[path.name, key] = hashlib.sha256(file[key][()].tobytes()).hexdigest()
    return found


@shipped
def test_arrays_have_the_hashes_of_the_readme():
    assert hashes_in(DATA) == stated_hashes() and len(stated_hashes()) == 12


@pytest.mark.skipif("HOMEWORK_MIRROR" not in os.environ,
                    reason="HOMEWORK_MIRROR names no folder with the publishers' originals")
def test_rebuilding_from_the_originals_gives_the_same_arrays(tmp_path):
    pytest.importorskip("matio", reason="mat-io is not installed; only data/rebuild.py needs it")
    subprocess.run([sys.executable, DATA / "rebuild.py", os.environ["HOMEWORK_MIRROR"], tmp_path],
                   check=True)
    assert hashes_in(tmp_path) == stated_hashes()


@shipped
@pytest.mark.parametrize("name, divisor", [("mnist", 256), ("fashion_mnist", 255)])
def test_shipped_images(name, divisor):
    for part, count in (("train", 60_000), ("test", 10_000)):
        path = DATA / f"{name}_{part}data.hdf5"
        images, labels, source = load_images(path)
        assert images.shape == (count, 784) and images.dtype == np.float32 and "MNIST" in source
        with h5py.File(path) as file:
            pixels = file["xdata"][:9].astype(np.float32)
            assert np.array_equal(images[:9], pixels / np.float32(divisor))
            assert np.array_equal(labels, file["ydata"]) and file.attrs["licence"]


@shipped
def test_shipped_sequences_have_the_counts_of_the_study():
    data = load_sequences(DATA / "binary_random.hdf5")
    assert data.human.shape == data.machine.shape == (2033, 20) and data.coding == (-1, 1)
    assert data.coin_flips and "RANDECOD" in data.source
    people = {name: len(np.unique(data.person[data.instruction == name]))
              for name in np.unique(data.instruction)}
    assert people == {"random sequence": 27, "mental coin toss": 29, "free choice": 29}
    assert len(np.unique(data.human, axis=0)) == 1978
    assert np.array_equal(np.unique(data.person), range(85))
    assert (data.human[:, 1:] != data.human[:, :-1]).mean() == pytest.approx(0.576, abs=0.001)


# What the loader accepts

@pytest.mark.parametrize("xdata", [
    (PIXELS / np.float32(256)).astype(np.float32), PIXELS / 256, PIXELS, PIXELS.astype(np.int64),
    PIXELS.astype(">f8")],
    ids=["float32 0..1", "float64 0..1", "uint8", "int64", "big-endian 0..255"])
def test_images_of_every_course_form_give_the_same_arrays(tmp_path, xdata):
    path = write(tmp_path / "own.hdf5", {"pixel_divisor": 256}, xdata=xdata, ydata=ONE_HOT)
    images, labels, source = load_images(path)
    assert images.dtype == np.float32 and labels.dtype == np.int64
    assert np.array_equal(images, PIXELS.astype(np.float32) / 256)
    assert np.array_equal(labels, LABELS)
    assert source == "own file own.hdf5"


def test_whole_pixels_are_divided_by_255_where_the_file_does_not_say(tmp_path):
    path = write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=ONE_HOT)
    assert np.array_equal(load_images(path).images, PIXELS.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("ydata", [
    ONE_HOT, ONE_HOT.astype(np.uint8), ONE_HOT.astype(bool), LABELS, LABELS[:, None],
    LABELS.astype(np.float32)],
    ids=["float64", "uint8", "bool", "classes (N,)", "classes (N,1)", "float classes"])
def test_labels_of_every_form(tmp_path, ydata):
    labels = load_images(write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=ydata)).labels
    assert np.array_equal(labels, LABELS) and labels.dtype == np.int64


def test_loading_takes_little_more_memory_than_the_images(tmp_path):
    pixels = np.tile(PIXELS / 256, (200, 1))  # float64: a copy of it would be twice the images
    path = write(tmp_path / "f.hdf5", xdata=pixels, ydata=np.tile(ONE_HOT, (200, 1)))
    tracemalloc.start()
    images = load_images(path).images
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * images.nbytes


@pytest.mark.parametrize("kind", [float, np.int8, np.int32, np.float32])
@pytest.mark.parametrize("coding", [(0, 1), (-1, 1)])
def test_sequences_of_both_codings_and_any_type(tmp_path, kind, coding):
    human, machine = np.array(coding)[BITS].astype(kind), np.array(coding)[1 - BITS[:7]]
    data = load_sequences(write(tmp_path / "own.hdf5", human=human, machine=machine))
    assert data.coding == coding and data.human.dtype == data.machine.dtype == np.int8
    assert np.array_equal(data.human, human) and np.array_equal(data.machine, machine)
    assert data.person is None and data.instruction is None and not data.coin_flips
    assert data.source == "own file own.hdf5"


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_unsigned_sequences_and_a_class_that_is_all_ones(tmp_path, kind):
    path = write(tmp_path / "f.hdf5", human=np.ones((3, 20), kind), machine=BITS.astype(kind))
    assert load_sequences(path).coding == (0, 1)


def test_person_and_instruction_of_each_human_row(tmp_path):
    data = load_sequences(write_sequences(tmp_path / "f.hdf5", 40, people=4))
    assert data.person.tolist() == np.repeat(range(4), 10).tolist() and data.coin_flips
    assert data.instruction[[0, 10, 20, 30]].tolist() == ["one", "two", "three", "one"]


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
        with h5py.File(path, "w") as file:
            file.create_dataset("xdata", shape=(2_000_000_000, 784), dtype="f4", **layout)
            file.create_dataset("ydata", shape=(2_000_000_000,), dtype="i1",
                                **layout and {"chunks": (1000,)})
    return make


def group(path):
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "a") as file:
        file.create_group("xdata")


def truncated(make, keep):
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


TWO_ONES = np.maximum(ONE_HOT, np.eye(10)[(LABELS + (np.arange(40) == 3)) % 10])
NOT_HDF5 = {
    "Git-LFS": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
                "Git-LFS pointer"),
    "HTML page": (lambda path: path.write_text("\n<!DOCTYPE html>\n<html>404</html>"), "HTML page"),
    "text": (lambda path: path.write_text("1 2 3"), "not an HDF5 file"),
    "empty file": (lambda path: path.write_bytes(b""), "an empty file"),
    "folder": (lambda path: path.mkdir(), "cannot be opened"),
    "missing": (lambda path: None, "no such file"),
}
BAD_IMAGES = NOT_HDF5 | {
    "truncated": (truncated(images(), 20_000), "truncated"),
    "truncated in its header": (truncated(images(), 60), "truncated"),
    "scrambled": (scrambled, "damaged"),
    "no xdata": (lambda path: write(path, ydata=ONE_HOT), "xdata: found only ['ydata']"),
    "no ydata": (lambda path: write(path, xdata=PIXELS), "ydata: found only ['xdata']"),
    "group": (group, "a group"),
    "text values": (images(xdata=np.full((40, 784), b"7")), "type |S1"),
    "complex": (images(xdata=PIXELS * 1j), "type complex128"),
    "records": (images(xdata=np.zeros((40, 784), [("a", "f4")])), "expected numbers"),
    "width 783": (images(xdata=PIXELS[:, :783]), "shape (40, 783)"),
    "28 x 28": (images(xdata=PIXELS.reshape(-1, 28, 28)), "shape (40, 28, 28)"),
    "9 classes": (images(ydata=ONE_HOT[:, :9]), "shape (40, 9)"),
    "row counts": (images(ydata=ONE_HOT[:39]), "40 and 39 rows"),
    "no rows": (images(PIXELS[:0], ONE_HOT[:0]), "no rows"),
    "scalar labels": (images(ydata=np.float64(3)), "shape ()"),
    "two ones": (images(ydata=TWO_ONES), "not one-hot"),
    "no one": (images(ydata=ONE_HOT * (np.arange(40) != 3)[:, None]), "not one-hot"),
    "halves": (images(ydata=ONE_HOT / 2), "not one-hot"),
    "a two": (images(ydata=ONE_HOT * 2), "not one-hot"),
    "label 10": (images(ydata=LABELS + 1), "classes from 1 to 10"),
    "label -1": (images(ydata=LABELS - 1), "classes from -1 to 8"),
    "label 2.5": (images(ydata=LABELS + 0.5), "classes from 0.5"),
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
    "flat": (sequences(human=BITS.reshape(-1)), "shape (600,)"),
    "no human rows": (sequences(human=BITS[:0]), "human: found no rows"),
    "no machine rows": (sequences(machine=BITS[:0]), "machine: found no rows"),
    "NaN": (sequences(human=changed(BITS * 1.0, np.nan)), "nan"),
    "infinity": (sequences(machine=changed(BITS * 1.0, -np.inf)), "-inf"),
    "a two": (sequences(machine=changed(BITS, 2)), "and [0, 1, 2]"),
    "a half": (sequences(human=changed(BITS * 1.0, 0.5)), "[0.0, 0.5, 1.0]"),
    "mixed within": (sequences(human=changed(BITS, -1)), "{-1,+1}"),
    "mixed between": (sequences(human=2 * BITS - 1), "expected both in {0,1} or both in {-1,+1}"),
    "only ones": (sequences(np.ones((4, 20)), np.ones((4, 20))), "not 1 alone"),
    "text values": (sequences(human=np.full((30, 20), b"1")), "type |S1"),
    "persons missing": (sequences(person=np.arange(29)), "person: found shape (29,)"),
    "fractional persons": (sequences(person=np.arange(30) / 2), "person: found type float64"),
    "nameless instruction": (sequences(instruction=np.arange(30)), "a name for each code"),
}


@pytest.mark.parametrize("load, name, make, says", [
    *((load_images, name, *entry) for name, entry in BAD_IMAGES.items()),
    *((load_sequences, name, *entry) for name, entry in BAD_SEQUENCES.items())])
def test_bad_file_is_refused_in_one_line(tmp_path, load, name, make, says):
    path = tmp_path / "bad.hdf5"
    make(path)
    with pytest.raises(DataError) as refusal:
        load(path)
    message = str(refusal.value)
    assert says in message and "bad.hdf5" in message and message.endswith(WHAT_TO_DO)
    assert len(message.splitlines()) == 1

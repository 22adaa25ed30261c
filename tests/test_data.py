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
shipped = as_committed("data/*.hdf5")


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


@shipped
def test_arrays_have_the_hashes_that_are_stated():
    assert hashes_in(DATA) == stated_hashes()


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
def test_images_of_every_form(tmp_path, form):
    path = write(tmp_path / "f.hdf5", {"pixel_divisor": 256}, xdata=IMAGE_FORMS[form],
                 ydata=ONE_HOT)
    x, y = load_images(path)
    assert x.dtype == np.float32 and y.dtype == np.int64
    assert np.array_equal(x, PIXELS.astype(np.float32) / 256)
    assert np.array_equal(y, LABELS)


@pytest.mark.parametrize("form", LABEL_FORMS)
def test_labels_of_every_form(tmp_path, form):
    _, y = load_images(write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=LABEL_FORMS[form]))
    assert np.array_equal(y, LABELS) and y.dtype == np.int64


@pytest.mark.parametrize("count", [1, 25, 40])
def test_the_first_images(tmp_path, count):
    path = write(tmp_path / "f.hdf5", xdata=PIXELS / 255, ydata=LABELS)
    x, y = load_images(path, count)
    assert np.array_equal(x, (PIXELS[:count] / 255).astype(np.float32))
    assert np.array_equal(y, LABELS[:count])


@pytest.mark.parametrize("attributes, divisor", [
    ({}, 255), ({"pixel_divisor": 255}, 255),
    ({"pixel_divisor": [255.0]}, 255), ({"pixel_divisor": [256.0]}, 256)])  # as MATLAB writes it
def test_whole_pixels_are_divided_by_what_the_file_says_or_by_255(tmp_path, attributes, divisor):
    path = write(tmp_path / "f.hdf5", attributes, xdata=PIXELS, ydata=ONE_HOT)
    x, _ = load_images(path)
    assert x.dtype == np.float32
    assert np.array_equal(x, PIXELS.astype(np.float32) / np.float32(divisor))


def test_pixels_that_are_all_zero_or_one_are_not_divided(tmp_path):
    black_and_white = PIXELS // 128
    x, _ = load_images(write(tmp_path / "f.hdf5", xdata=black_and_white, ydata=ONE_HOT))
    assert np.array_equal(x, black_and_white)


def test_compressed_images(tmp_path):
    with h5py.File(tmp_path / "f.hdf5", "w") as file:
        file.create_dataset("xdata", data=PIXELS, chunks=(16, 784), compression="gzip",
                            shuffle=True)
        file["ydata"] = LABELS
    x, _ = load_images(tmp_path / "f.hdf5")
    assert np.array_equal(x, PIXELS.astype(np.float32) / np.float32(255))


def test_a_file_as_large_as_is_believed_loads_and_a_larger_one_does_not(tmp_path, monkeypatch):
    path = images()(tmp_path / "f.hdf5")
    monkeypatch.setattr(loader, "MOST_VALUES", PIXELS.size)
    assert len(load_images(path)[0]) == 40
    monkeypatch.setattr(loader, "MOST_VALUES", PIXELS.size - 1)
    assert "xdata: found shape (40, 784)" in refusal_of(load_images, path)


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


@pytest.mark.parametrize("kind", [np.uint8, np.int32, float])
def test_person_of_each_human_row(tmp_path, kind):
    stated = np.repeat(range(3), 10)
    path = write(tmp_path / "f.hdf5", human=BITS, machine=BITS[:9], person=stated.astype(kind))
    person = load_sequences(path).person
    assert np.array_equal(person, stated) and person.dtype == np.int64


def test_one_row_of_each_class_and_the_source_that_a_file_states(tmp_path):
    data = load_sequences(write(tmp_path / "f.hdf5", {"source": "two rows"}, human=BITS[:1],
                                machine=BITS[1:2], person=[5]))
    assert np.array_equal(data.human, BITS[:1]) and np.array_equal(data.machine, BITS[1:2])
    assert data.person == [5] and data.source == "two rows"


# What it refuses: each entry makes a file at a path, and names what the one line must say.

def changed(values, value):
    values = values.copy()
    values[3, 5] = value
    return values


def images(xdata=PIXELS, ydata=ONE_HOT, **attributes):
    return lambda path: write(path, attributes, xdata=xdata, ydata=ydata)


def sequences(human=BITS, machine=BITS, **more):
    return lambda path: write(path, human=human, machine=machine, **more)


def promised(path):
    """A header that promises 6 TB and stores nothing."""
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "r+") as file:
        file.create_dataset("xdata", (2_000_000_000, 784), np.float32, chunks=(10, 784))


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


def blosc(path):
    """A chunk as the Blosc filter leaves it, with no need for Blosc."""
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "r+") as file:
        xdata = file.create_dataset("xdata", PIXELS.shape, "u1", chunks=PIXELS.shape,
                                    compression=32001, allow_unknown_filter=True)
        xdata.id.write_direct_chunk((0, 0), bytes(1000))


TWO_ONES = np.maximum(ONE_HOT, np.roll(ONE_HOT, 1, axis=1) * (np.arange(40) == 3)[:, None])
BAD_IMAGES = {
    "Git-LFS": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
                "a Git-LFS pointer"),
    "HTML page": (lambda path: path.write_text("\n<!DOCTYPE html>\n"),
                  "content: found an HTML page; expected an HDF5 file"),
    "HTML page, plain": (lambda path: path.write_text("<HTML><body>404"), "an HTML page"),
    "text": (lambda path: path.write_text("1 2 3"), "not an HDF5 file"),
    "empty file": (lambda path: path.write_bytes(b""), "an empty file"),
    "signature alone": (lambda path: path.write_bytes(b"\x89HDF"), "truncated HDF5"),
    "missing": (lambda path: None, "no such file"),
    "Blosc": (blosc, "xdata: found compression", "(filter 32001), unknown to h5py; expected gzip"),
    "no xdata": (lambda path: write(path, ydata=ONE_HOT),
                 "xdata: found only ['ydata']; expected a dataset xdata"),
    "no ydata": (lambda path: write(path, xdata=PIXELS), "ydata: found only ['xdata']"),
    "group": (group, "xdata: found a group; expected a dataset"),
    "text pixels": (images(xdata=np.full((40, 784), b"7")),
                    "xdata: found text, or rows of different lengths; expected numbers"),
    "text labels": (images(ydata=["boot"] * 40), "ydata: found text"),
    "complex": (images(xdata=PIXELS * 1j), "type complex128; expected numbers"),
    "records": (images(xdata=np.zeros((40, 784), [("a", "f4")])), "xdata: found type "),
    "width 783": (images(xdata=PIXELS[:, :783]), "xdata: found shape (40, 783); expected (N, 784)"),
    "28 x 28": (images(xdata=PIXELS.reshape(-1, 28, 28)), "shape (40, 28, 28)"),
    "transposed": (images(xdata=PIXELS.T), "shape (784, 40), transposed, as MATLAB writes it;"),
    "9 classes": (images(ydata=ONE_HOT[:, :9]),
                  "ydata: found shape (40, 9); expected one-hot (N, 10) or classes (N,)"),
    "row counts": (images(ydata=ONE_HOT[:39]),
                   "xdata and ydata: found 40 and 39 rows; expected equally"),
    "no rows": (images(PIXELS[:0], ONE_HOT[:0]),
                "xdata: found no rows (shape (0, 784)); expected some"),
    "scalar labels": (images(ydata=np.float64(3)), "shape ()"),
    "nothing": (images(xdata=h5py.Empty("f4")), "xdata: found no rows"),
    "two ones": (images(ydata=TWO_ONES),
                 "ydata: found rows that are not one-hot; expected one 1 and nine 0"),
    "no one": (images(ydata=ONE_HOT * (np.arange(40) != 3)[:, None]), "not one-hot"),
    "halves": (images(ydata=ONE_HOT / 2 + np.roll(ONE_HOT, 1, axis=1) / 2), "not one-hot"),
    "a two": (images(ydata=ONE_HOT * 2), "not one-hot"),
    "NaN label": (images(ydata=changed(ONE_HOT, np.nan)), "not one-hot"),
    "label 10": (images(ydata=LABELS + 1), "ydata: found values [10]; expected whole numbers 0..9"),
    "label -1": (images(ydata=LABELS - 1), "found values [-1]"),
    "label 2.5": (images(ydata=LABELS + 0.5), "found values [0.5, 1.5, 2.5, 3.5];"),
    "NaN class": (images(ydata=LABELS + np.nan), "found values [nan]"),
    "NaN": (images(xdata=changed(PIXELS / 256, np.nan)), "xdata: found values nan"),
    "infinity": (images(xdata=changed(PIXELS / 256, np.inf)), "values 0.0 to inf"),
    "beyond float32": (images(xdata=changed(PIXELS / 256, 1e300)), "values 0.0 to inf"),
    "negative": (images(xdata=changed(PIXELS / 256, -0.1)), "values -0.1 to"),
    "above 255": (images(xdata=changed(PIXELS.astype(int), 256)),
                  "found values 0.0 to 256.0; expected 0..1 or 0..255"),
    "divided twice": (images(xdata=PIXELS / 255 / 255), "values 0.0 to 0.0039"),
    "sixteen greys": (images(xdata=PIXELS // 16), "found values 0.0 to 15.0;"),
    "all black": (images(xdata=np.zeros(PIXELS.shape)), "found values 0.0 to 0.0;"),
    "a little above 1": (images(xdata=changed(PIXELS / 256, 1.0000001)),
                         "found values 0.0 to 1.0000001;"),
    "fractions": (images(xdata=changed(PIXELS.astype(float), 3.5)),
                  "xdata: found fractions as well as values up to 255.0; expected 0..1"),
    "divisor": (images(pixel_divisor=0), "pixel_divisor: found 0; expected the number 255 or 256"),
    "text divisor": (images(pixel_divisor="255"), "pixel_divisor: found '255';"),
    "two divisors": (images(pixel_divisor=[255, 256]), "pixel_divisor: found [255, 256];"),
    "only promised": (promised, "found shape (2000000000, 784); expected 196,000,000 values"),
}
BAD_SEQUENCES = {
    "text": (lambda path: path.write_text("1 2 3"), "not an HDF5 file"),
    "no human": (lambda path: write(path, machine=BITS), "human: found only ['machine']"),
    "no machine": (lambda path: write(path, human=BITS), "machine: found only ['human']"),
    "width 19": (sequences(human=BITS[:, :19]), "human: found shape (30, 19); expected (N, 20)"),
    "two widths": (sequences(machine=np.hstack([BITS, BITS])), "machine: found shape (30, 40)"),
    "transposed": (sequences(BITS.T, BITS.T), "shape (20, 30), transposed, as MATLAB"),
    "flat": (sequences(human=BITS[0]), "human: found shape (20,);"),
    "no human rows": (sequences(human=BITS[:0]), "human: found no rows"),
    "no machine rows": (sequences(machine=BITS[:0]), "machine: found no rows"),
    "different lengths": (of_different_lengths, "human: found text, or rows of different lengths"),
    "rows of text": (sequences(machine=["01" * 10] * 30), "machine: found text"),
    "NaN": (sequences(human=changed(BITS * 1.0, np.nan)), "[0.0, 1.0, nan] and [0, 1];"),
    "infinity": (sequences(machine=changed(BITS * 1.0, -np.inf)), "[0, 1] and [-inf, 0.0, 1.0];"),
    "a half": (sequences(human=changed(BITS * 1.0, 0.5)), "[0.0, 0.5, 1.0]"),
    "many values": (sequences(np.arange(600).reshape(30, 20)), "[0, 1, 2, 3] and [0, 1];"),
    "many values of machines": (sequences(machine=np.arange(600).reshape(30, 20)),
                                "[0, 1] and [0, 1, 2, 3];"),
    "mixed within": (sequences(human=changed(BITS, -1)),
                     "human and machine: found values [-1, 0, 1] and [0, 1]; expected both in"),
    "mixed between": (sequences(human=2 * BITS - 1),
                      "[-1, 1] and [0, 1]; expected both in {0,1} or both in {-1,+1}"),
    "only ones": (sequences(np.ones((4, 20)), np.ones((4, 20))), "[1.0] and [1.0];"),
    "persons missing": (sequences(machine=BITS[:9], person=np.arange(29)),
                        "person: found shape (29,); expected (30,)"),
    "persons twice": (sequences(person=np.zeros((30, 2), int)), "person: found shape (30, 2)"),
    "half persons": (sequences(person=np.arange(30) / 2),
                     "person: found numbers that are not whole; expected whole numbers"),
    "NaN person": (sequences(person=np.full(30, np.nan)), "person: found numbers that are not"),
    "infinite person": (sequences(person=np.full(30, np.inf)), "person: found numbers that are"),
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
    assert message.startswith(f"{path}: ") and message.endswith("; use another file")
    assert all(words in message for words in says), message
    assert "cannot be read" not in message


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


def times(path):
    """A type of HDF5 that numpy does not have."""
    write(path, ydata=ONE_HOT)
    with h5py.File(path, "r+") as file:
        space = h5py.h5s.create_simple(PIXELS.shape)
        h5py.h5d.create(file.id, b"xdata", h5py.h5t.UNIX_D32LE, space)


@pytest.mark.parametrize("load, make", [
    (load_images, truncated(images(), 20_000)), (load_images, truncated(images(), 60)),
    (load_images, nameless), (load_images, scrambled), (load_images, times),
    (load_images, images(xdata=h5py.SoftLink("/nothing"))),
    (load_sequences, truncated(sequences(), 4000))])
def test_file_that_h5py_cannot_read(tmp_path, load, make):
    path = tmp_path / "damaged.hdf5"
    make(path)
    message = refusal_of(load, path)
    assert message.startswith(f"{path}: found HDF5 that cannot be read (")
    assert message.endswith("; expected a whole file; use another file")


@pytest.mark.parametrize("make", [merged, beside])
def test_rows_in_other_files(tmp_path, make):
    path = tmp_path / "f.hdf5"
    make(path)
    message = refusal_of(load_sequences, path)
    assert message.startswith(f"{path}: human: found ") and "refers to other files" in message
    assert message.endswith("copy them into one file")


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = images()(tmp_path / "f.hdf5")

    def denied(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(loader, "open", denied, raising=False)  # file modes do not stop root
    for refuse in (check_images, load_images, load_sequences):
        message = refusal_of(refuse, path)
        assert message.startswith(f"{path}: cannot be read (Permission denied); ")


def test_folder_in_place_of_a_file(tmp_path):
    assert f"{tmp_path}: cannot be read (" in refusal_of(load_images, tmp_path)


def test_fewer_images_than_are_asked_for(tmp_path):
    path = images()(tmp_path / "f.hdf5")
    assert "xdata: found 40 images; expected 41 at least" in refusal_of(load_images, path, 41)


def test_what_can_be_said_of_a_file_beforehand_reads_no_value(tmp_path, monkeypatch):
    def value(*_):
        pytest.fail("a value was read")
    monkeypatch.setattr(h5py.Dataset, "__getitem__", value)
    check_images(images()(tmp_path / "f.hdf5"), 40)
    for make, says in ((truncated(images(), 20_000), "cannot be read"),
                       (images(ydata=ONE_HOT[:39]), "40 and 39 rows"),
                       (images(pixel_divisor=0), "pixel_divisor"), (blosc, "filter 32001")):
        make(tmp_path / "f.hdf5")
        assert says in refusal_of(check_images, tmp_path / "f.hdf5")


def test_a_class_that_is_missing_on_one_side_of_a_split_is_named():
    mixed = np.arange(20) % 10
    check_classes("f", mixed, mixed)
    for parts, says in (((mixed, mixed[:8]), "[8, 9] among the 8 that validate"),
                        ((mixed % 5, mixed), "[5, 6, 7, 8, 9] among the 20 that train")):
        message = refusal_of(check_classes, "f", *parts)
        assert says in message and message.endswith("; shuffle the file")


def test_paths_of_the_command_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert path_argument("~/results") == tmp_path / "results"
    assert str(path_argument("results")) == "results"
    with pytest.raises(ArgumentTypeError, match="empty"):
        path_argument("")


def test_shipped_files_can_be_had_again(tmp_path, monkeypatch):
    """By git where there is git, and no others."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(loader, "__file__", str(folder / "loader.py"))
    assert "download" in refusal_of(load_images, folder / "f.hdf5")
    (tmp_path / ".git").mkdir()
    images(xdata=PIXELS.T)(folder / "f.hdf5")
    assert refusal_of(load_images, folder / "f.hdf5").endswith("git checkout -- data")
    assert "git" not in refusal_of(load_images, tmp_path / "f.hdf5")

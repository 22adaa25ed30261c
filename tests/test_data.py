"""data/: the loader accepts every course form and refuses every bad file; prepare.py never leaves a wrong one behind.

No test touches a publisher: addresses are replaced by servers on this machine. The published originals are compared only
where the environment variable HOMEWORK_MIRROR names a folder that holds them.
"""
import gzip
import hashlib
import http.server
import itertools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from data import loader, prepare, standin
from data.loader import DataError, load_images, load_sequences

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 784)).astype(np.uint8)
LABELS = RNG.permutation(np.arange(40) % 10)
ONE_HOT = np.eye(10)[LABELS]
BITS = RNG.integers(0, 2, (30, 20))


def write(path, attributes=(), **datasets):
    with h5py.File(path, "w") as file:
        for key, values in datasets.items():
            file[key] = values
        file.attrs.update(attributes)
    return path


# The loader: what it accepts

@pytest.mark.parametrize("xdata", [
    (PIXELS / np.float32(256)).astype(np.float32), PIXELS / 256, PIXELS, PIXELS.astype(np.int64), PIXELS.astype(">f8"),
], ids=["float32 0..1", "float64 0..1", "uint8", "int64", "big-endian 0..255"])
def test_images_of_every_course_form_give_the_same_arrays(tmp_path, xdata):
    loaded = load_images(write(tmp_path / "own.hdf5", xdata=xdata, ydata=ONE_HOT), pixel_levels=256)
    assert loaded.images.dtype == np.float32 and loaded.labels.dtype == np.int64
    assert np.array_equal(loaded.images, PIXELS.astype(np.float32) / 256)
    assert np.array_equal(loaded.labels, LABELS)
    assert (loaded.source, loaded.stand_in) == ("own file own.hdf5", False)


def test_whole_pixels_are_divided_by_255_unless_told_otherwise(tmp_path):
    path = write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=ONE_HOT)
    assert np.array_equal(load_images(path).images, PIXELS.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("ydata", [
    ONE_HOT, ONE_HOT.astype(np.uint8), ONE_HOT.astype(bool), LABELS, LABELS[:, None], LABELS.astype(np.float32),
], ids=["float64", "uint8", "bool", "classes (N,)", "classes (N,1)", "float classes"])
def test_labels_of_every_form(tmp_path, ydata):
    loaded = load_images(write(tmp_path / "f.hdf5", xdata=PIXELS, ydata=ydata))
    assert np.array_equal(loaded.labels, LABELS) and loaded.labels.dtype == np.int64


def test_compressed_images_load(tmp_path):
    with h5py.File(tmp_path / "f.hdf5", "w") as file:
        file.create_dataset("xdata", data=PIXELS, compression="gzip", chunks=(7, 784))
        file["ydata"] = ONE_HOT
    assert np.array_equal(load_images(tmp_path / "f.hdf5", 256).images, PIXELS.astype(np.float32) / 256)


def test_loading_takes_little_more_memory_than_the_images(tmp_path):
    pixels = np.tile(PIXELS / 256, (200, 1))  # float64: a copy of it would be twice the images
    path = write(tmp_path / "f.hdf5", xdata=pixels, ydata=np.tile(ONE_HOT, (200, 1)))
    tracemalloc.start()
    loaded = load_images(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * loaded.images.nbytes


@pytest.mark.parametrize("kind", [float, np.int8, np.int32, np.float32])
@pytest.mark.parametrize("coding", [(0, 1), (-1, 1)])
def test_sequences_of_both_codings_and_any_type(tmp_path, kind, coding):
    human, machine = np.array(coding)[BITS].astype(kind), np.array(coding)[1 - BITS[:7]]
    loaded = load_sequences(write(tmp_path / "own.hdf5", human=human, machine=machine))
    assert loaded.coding == coding and loaded.human.dtype == loaded.machine.dtype == np.int8
    assert np.array_equal(loaded.human, human) and np.array_equal(loaded.machine, machine)
    assert (loaded.source, loaded.stand_in) == ("own file own.hdf5", False)


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_unsigned_sequences_and_a_class_that_is_all_ones(tmp_path, kind):
    path = write(tmp_path / "f.hdf5", human=np.ones((3, 20), kind), machine=BITS.astype(kind))
    loaded = load_sequences(path)
    assert loaded.coding == (0, 1) and loaded.human.min() == 1 and np.array_equal(loaded.machine, BITS)


def test_where_data_came_from(tmp_path, monkeypatch):
    path = write(tmp_path / "f.hdf5", {"source": "somewhere", "stand_in": True}, xdata=PIXELS, ydata=ONE_HOT)
    assert load_images(path)[2:] == ("somewhere", True)
    path = write(tmp_path / "f.hdf5", {"source": " "}, xdata=PIXELS, ydata=ONE_HOT)
    assert load_images(path)[2:] == ("own file f.hdf5", False)
    path = write(tmp_path / "g.hdf5", human=BITS, machine=BITS)
    monkeypatch.setattr(loader, "SEQUENCES_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert load_sequences(path)[3:] == ("USC EE599 Fall 2020 human/machine sequences", False)


# The loader: what it refuses. Each entry: what makes the file at a path, and what the one line must say.

def changed(values, value):
    values = values.copy()
    values[3, 5] = value
    return values


def images(xdata=PIXELS, ydata=ONE_HOT):
    return lambda path: write(path, xdata=xdata, ydata=ydata)


def sequences(human=BITS, machine=BITS):
    return lambda path: write(path, human=human, machine=machine)


def declared(**layout):
    """A header that promises 6 TB and stores nothing."""
    def make(path):
        with h5py.File(path, "w") as file:
            file.create_dataset("xdata", shape=(2_000_000_000, 784), dtype="f4", **layout)
            file.create_dataset("ydata", shape=(2_000_000_000,), dtype="i1", **layout and {"chunks": (1000,)})
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


NOT_HDF5 = {
    "Git-LFS pointer": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "Git-LFS pointer"),
    "HTML page": (lambda path: path.write_text("\n<!DOCTYPE html>\n<html><body>404</body></html>"), "HTML page"),
    "text": (lambda path: path.write_text("1 2 3"), "not an HDF5 file"),
    "empty file": (lambda path: path.write_bytes(b""), "empty file"),
    "folder": (lambda path: path.mkdir(), "cannot be opened"),
}
BAD_IMAGES = NOT_HDF5 | {
    "truncated": (truncated(images(), 20_000), "truncated"),
    "truncated in its header": (truncated(images(), 60), "truncated"),
    "scrambled": (scrambled, "damaged"),
    "no xdata": (lambda path: write(path, ydata=ONE_HOT), "no key xdata; found ['ydata']"),
    "no ydata": (lambda path: write(path, xdata=PIXELS), "no key ydata; found ['xdata']"),
    "group": (group, "a group"),
    "text values": (images(xdata=np.full((40, 784), b"7")), "type |S1"),
    "complex": (images(xdata=PIXELS * 1j), "type complex128"),
    "records": (images(xdata=np.zeros((40, 784), [("a", "f4")])), "expected numbers"),
    "width 783": (images(xdata=PIXELS[:, :783]), "shape (40, 783)"),
    "28 x 28": (images(xdata=PIXELS.reshape(-1, 28, 28)), "shape (40, 28, 28)"),
    "9 classes": (images(ydata=ONE_HOT[:, :9]), "shape (40, 9)"),
    "row counts": (images(ydata=ONE_HOT[:39]), "40 and 39 rows"),
    "no rows": (images(PIXELS[:0], ONE_HOT[:0]), "no data"),
    "scalar labels": (images(ydata=np.float64(3)), "shape ()"),
    "two ones": (images(ydata=np.maximum(ONE_HOT, np.eye(10)[(LABELS + (np.arange(40) == 3)) % 10])), "not one-hot"),
    "no one": (images(ydata=ONE_HOT * (np.arange(40) != 3)[:, None]), "not one-hot"),
    "halves": (images(ydata=ONE_HOT / 2), "not one-hot"),
    "a two": (images(ydata=ONE_HOT * 2), "not one-hot"),
    "a half beside the one": (images(ydata=ONE_HOT + np.eye(10)[(LABELS + 1) % 10] / 2), "not one-hot"),
    "label 10": (images(ydata=LABELS + 1), "classes from 1 to 10"),
    "label -1": (images(ydata=LABELS - 1), "classes from -1 to 8"),
    "label 2.5": (images(ydata=LABELS + 0.5), "classes from 0.5"),
    "NaN label": (images(ydata=changed(ONE_HOT, np.nan)), "ydata: found NaN"),
    "NaN": (images(xdata=changed(PIXELS / 256, np.nan)), "xdata: found NaN"),
    "infinity": (images(xdata=changed(PIXELS / 256, np.inf)), "xdata: found NaN or infinity"),
    "beyond float32": (images(xdata=changed(PIXELS / 256, 1e300)), "xdata: found NaN or infinity"),
    "negative": (images(xdata=changed(PIXELS / 256, -0.1)), "values -0.1 to"),
    "above 255": (images(xdata=changed(PIXELS.astype(int), 256)), "values 0 to 256"),
    "one pixel of another scale": (images(xdata=changed(PIXELS / 256, 7)), "fractions as well as values up to 7"),
    "declared only": (declared(), "0 bytes stored"),
    "declared only, chunked": (declared(chunks=(10, 784)), "0 bytes stored"),
}
BAD_SEQUENCES = NOT_HDF5 | {
    "truncated": (truncated(sequences(), 4000), "truncated"),
    "no human": (lambda path: write(path, machine=BITS), "no key human; found ['machine']"),
    "no machine": (lambda path: write(path, human=BITS), "no key machine; found ['human']"),
    "width 19": (sequences(BITS[:, :19], BITS[:, :19]), "human: found shape (30, 19)"),
    "different widths": (sequences(machine=np.hstack([BITS, BITS])), "machine: found shape (30, 40)"),
    "flat": (sequences(human=BITS.reshape(-1)), "shape (600,)"),
    "no human rows": (sequences(human=BITS[:0]), "human: found no data"),
    "no machine rows": (sequences(machine=BITS[:0]), "machine: found no data"),
    "NaN": (sequences(human=changed(BITS * 1.0, np.nan)), "human: found NaN"),
    "infinity": (sequences(machine=changed(BITS * 1.0, -np.inf)), "machine: found NaN or infinity"),
    "a two": (sequences(machine=changed(BITS, 2)), "'machine': [0, 1, 2]"),
    "a half": (sequences(human=changed(BITS * 1.0, 0.5)), "'human': [0.0, 0.5, 1.0]"),
    "mixed within": (sequences(human=changed(BITS, -1)), "{-1,+1}"),
    "mixed between": (sequences(human=2 * BITS - 1), "expected both in {0,1} or both in {-1,+1}"),
    "only ones": (sequences(np.ones((4, 20)), np.ones((4, 20))), "nothing but 1"),
    "text values": (sequences(human=np.full((30, 20), b"1")), "type |S1"),
}


def one_line(message, path, says):
    assert says in message and path.name in message and "python data/prepare.py" in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_image_file_is_refused(tmp_path, name):
    make, says = BAD_IMAGES[name]
    path = tmp_path / "mnist_traindata.hdf5"
    make(path)
    with pytest.raises(DataError) as refusal:
        load_images(path)
    one_line(str(refusal.value), path, says)


@pytest.mark.parametrize("name", BAD_SEQUENCES)
def test_bad_sequence_file_is_refused(tmp_path, name):
    make, says = BAD_SEQUENCES[name]
    path = tmp_path / "binary_random.hdf5"
    make(path)
    with pytest.raises(DataError) as refusal:
        load_sequences(path)
    one_line(str(refusal.value), path, says)


@pytest.mark.parametrize("load", [load_images, load_sequences])
def test_missing_file_names_the_command(tmp_path, load):
    with pytest.raises(DataError, match="no such file; run: python data/prepare.py"):
        load(tmp_path / "absent.hdf5")


def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    """Random bytes changed in headers: whatever h5py raises becomes a DataError of one line."""
    content = write(tmp_path / "good.hdf5", xdata=PIXELS, ydata=ONE_HOT).read_bytes()
    rng, refused = np.random.default_rng(1), 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(0, 3000, 5):
            damaged[position] = rng.integers(256)
        (tmp_path / "bad.hdf5").write_bytes(damaged)
        try:
            load_images(tmp_path / "bad.hdf5")
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100


# prepare.py on a small world: originals of a few images, and no address unless a test gives one

def idx(array):
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty data folder (`folder`), a full mirror (`mirror`), its originals, and no network."""
    class World:
        folder, mirror = tmp_path / "data", tmp_path / "mirror"
        originals = {}

        @staticmethod
        def prepare(*arguments):
            monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, arguments)])
            prepare.main()

    World.folder.mkdir()
    for name in prepare.SHA256:
        count = 30 if "train" in name else 20
        values = PIXELS[:count].reshape(-1, 28, 28) if "images" in name else LABELS[:count].astype(np.uint8)
        if name.endswith(".hdf5"):
            World.originals[name] = sequences(human=2.0 * BITS - 1, machine=1 - 2 * BITS)(tmp_path / "s.hdf5").read_bytes()
        else:
            World.originals[name] = idx(values if "fashion" not in name else values[::-1])
        (World.mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (World.mirror / name).write_bytes(World.originals[name])
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in World.originals.items()}
    monkeypatch.setattr(prepare, "DATA", World.folder)
    monkeypatch.setattr(prepare, "SHA256", hashes)
    monkeypatch.setattr(loader, "SEQUENCES_SHA256", hashes["binary_random_20fa.hdf5"])
    monkeypatch.setattr(prepare, "ADDRESSES", {folder: [] for folder in prepare.ADDRESSES})
    monkeypatch.setattr(prepare, "STALL_SECONDS", 0.6)
    small = {name: (*entry[:3], 100, entry[4]) for name, entry in prepare.IMAGE_FILES.items()}
    monkeypatch.setattr(prepare, "IMAGE_FILES", small)
    return World


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_originals_become_the_courses_arrays(world):
    world.prepare("--mirror", world.mirror)
    for name, levels, pixels, labels in (
            ("mnist_traindata.hdf5", 256, PIXELS[:30], LABELS[:30]), ("mnist_testdata.hdf5", 256, PIXELS[:20], LABELS[:20]),
            ("fashion_mnist_traindata.hdf5", 255, PIXELS[29::-1], LABELS[29::-1]),
            ("fashion_mnist_testdata.hdf5", 255, PIXELS[19::-1], LABELS[19::-1])):
        with h5py.File(world.folder / name) as file:
            assert set(file) == {"xdata", "ydata"} and file["xdata"].chunks is None
            assert file["xdata"].dtype == np.float32 and file["ydata"].dtype == np.float64
            if levels == 255:
                pixels = PIXELS[:len(pixels)].reshape(-1, 28, 28)[::-1].reshape(-1, 784)
            assert np.array_equal(file["xdata"], pixels.astype(np.float32) / np.float32(levels))
            assert np.array_equal(file["ydata"], np.eye(10)[labels])
        loaded = load_images(world.folder / name)
        assert "MNIST" in loaded.source and not loaded.stand_in
    assert (world.folder / "binary_random.hdf5").read_bytes() == world.originals["binary_random_20fa.hdf5"]
    assert len(contents(world.folder)) == 5


def test_files_already_here_are_kept_whatever_the_mirror_has(world, capsys):
    own = write(world.folder / "mnist_traindata.hdf5", xdata=PIXELS, ydata=LABELS).read_bytes()
    world.prepare("--mirror", world.mirror)
    assert (world.folder / "mnist_traindata.hdf5").read_bytes() == own
    assert "kept  mnist_traindata.hdf5: own file mnist_traindata.hdf5" in capsys.readouterr().out
    before = contents(world.folder)
    world.prepare("--mirror", world.mirror)
    assert contents(world.folder) == before and capsys.readouterr().out.count("kept ") == 5


def test_without_network_a_loud_stand_in_until_the_real_thing_can_be_had(world, capsys):
    world.prepare()
    assert "STAND-IN DATA in use" in capsys.readouterr().out
    for name in prepare.IMAGE_FILES:
        loaded = load_images(world.folder / name)
        assert loaded.stand_in and loaded.source.startswith("STAND-IN DATA") and loaded.images.shape == (100, 784)
        with h5py.File(world.folder / name) as file:
            assert file["xdata"].dtype == np.float32 and file["ydata"].dtype == np.float64
    assert not np.array_equal(*(load_images(world.folder / f"mnist_{part}data.hdf5").images for part in ("train", "test")))
    loaded = load_sequences(world.folder / "binary_random.hdf5")
    assert loaded.stand_in and loaded.source.startswith("STAND-IN DATA") and loaded.coding == (-1, 1)
    assert loaded.human.shape == loaded.machine.shape == (5100, 20)

    drawn = {path: path.stat().st_mtime_ns for path in world.folder.iterdir()}
    world.prepare()
    assert {path: path.stat().st_mtime_ns for path in world.folder.iterdir()} == drawn
    assert "STAND-IN DATA in use" in capsys.readouterr().out
    world.prepare("--mirror", world.mirror)
    assert "STAND-IN" not in "".join(capsys.readouterr().out.splitlines(keepends=True)[-5:])
    assert not any(load_images(world.folder / name).stand_in for name in prepare.IMAGE_FILES)
    assert not load_sequences(world.folder / "binary_random.hdf5").stand_in


def test_remains_of_a_killed_run_are_removed(world):
    remains = world.folder / ".part_abc"
    remains.mkdir()
    (remains / "mnist_traindata.hdf5").write_bytes(b"half")
    world.prepare("--mirror", world.mirror)
    assert not remains.exists()


def test_failure_while_writing_leaves_nothing(world):
    with pytest.raises(OSError, match="disk full"):
        with prepare.complete_or_not_at_all("mnist_traindata.hdf5") as part:
            part.write_bytes(b"half")
            raise OSError("disk full")
    assert contents(world.folder) == {}


@pytest.mark.parametrize("raw, says", [
    (bytes([0, 0, 8, 1]) + struct.pack(">I", 5) + bytes(5), "header"),           # labels where images belong
    (bytes([0, 0, 13, 3]) + struct.pack(">3I", 1, 1, 1) + bytes(4), "header"),   # floats
    (bytes([0, 0, 8, 3]) + struct.pack(">2I", 1, 1), "header"),
    (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 2, 2) + bytes(7), "7 values; expected 8"),
    (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 2, 2) + bytes(9), "9 values; expected 8"),
])
def test_idx_header_and_size_are_checked(raw, says):
    with pytest.raises(DataError, match=says):
        prepare.read_idx(gzip.compress(raw), 3)


# Downloads, from servers on this machine

@pytest.fixture
def serve(world):
    """serve(behaviour) starts a server and returns its address; `requests` on the function lists what was asked."""
    servers = []

    def start(behaviour):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                name = next((name for name in world.originals if name.endswith(self.path.split("/", 2)[2])
                             and self.path.split("/")[1] in (name.split("/")[0], "all")), None)
                try:
                    behaviour(self, world.originals.get(name))
                except OSError:  # the client gave up
                    pass

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        start.asked[address := f"http://127.0.0.1:{server.server_port}"] = asked
        return address

    start.asked = {}
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(handler, content, size=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if size is None else size))
    handler.end_headers()
    handler.wfile.write(content)


def wrong(handler, content):
    reply(handler, content[:-1] + bytes([content[-1] ^ 1]))


def cut_off(handler, content):
    reply(handler, content[:-100], len(content))


def silent(handler, content):
    time.sleep(5)


def trickle(handler, content):
    """A byte now and then: no socket timeout ever notices."""
    reply(handler, b"", len(content))
    for byte in content:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def trickle_header(handler, content):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX-Filler: " + 200 * b"x":
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def not_found(handler, content):
    handler.send_error(404)


def not_http(handler, content):
    handler.wfile.write(b"220 welcome to another protocol\r\n\r\n")


@pytest.mark.parametrize("behaviour, says, asked", [
    (wrong, "refused", 2), (not_found, "404", 2), (cut_off, "ended after", 1), (silent, "stalled|timed out", 1),
    (trickle, "stalled", 1), (trickle_header, "stalled", 1), (not_http, "not available", 1),
], ids=lambda value: getattr(value, "__name__", str(value)))
def test_next_address_is_tried_when_one_fails(world, serve, monkeypatch, capsys, behaviour, says, asked):
    bad, good = serve(behaviour), serve(reply)
    monkeypatch.setitem(prepare.ADDRESSES, "mnist", [f"{bad}/mnist/", f"{good}/mnist/"])
    start = time.monotonic()
    content = prepare.obtain("mnist/t10k-images-idx3-ubyte.gz", None, dead := set())
    assert content == world.originals["mnist/t10k-images-idx3-ubyte.gz"] and time.monotonic() - start < 2.5
    printed = capsys.readouterr().out
    assert any(bad in line and re.search(says, line) for line in printed.splitlines())

    # A host that does not answer is not asked again; one that lacks a file or holds a wrong one is.
    prepare.obtain("mnist/t10k-labels-idx1-ubyte.gz", None, dead)
    assert len(serve.asked[bad]) == asked
    assert len(serve.asked[good]) == 2


def test_address_that_is_down_is_passed_over(world, serve, monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setitem(prepare.ADDRESSES, "mnist", [f"{down}/mnist/", f"{serve(reply)}/mnist/"])
    assert prepare.obtain("mnist/t10k-labels-idx1-ubyte.gz", None, set())
    assert f"not available: {down}" in capsys.readouterr().out


def test_slow_but_steady_is_waited_for(world, serve, monkeypatch):
    """Longer than STALL_SECONDS in all, but never STALL_SECONDS without STALL_BYTES."""
    def steady(handler, content):
        reply(handler, b"", len(content))
        for start in range(0, len(content), 2000):
            handler.wfile.write(content[start:start + 2000])
            time.sleep(0.15)

    monkeypatch.setattr(prepare, "STALL_BYTES", 3000)
    monkeypatch.setitem(prepare.ADDRESSES, "mnist", [f"{serve(steady)}/mnist/"])
    start = time.monotonic()
    assert prepare.obtain("mnist/t10k-images-idx3-ubyte.gz", None, set())
    assert time.monotonic() - start > prepare.STALL_SECONDS


def test_wrong_hash_is_refused_with_both_hashes(world, serve, monkeypatch, capsys):
    name = "mnist/t10k-labels-idx1-ubyte.gz"
    monkeypatch.setitem(prepare.ADDRESSES, "mnist", [f"{serve(wrong)}/mnist/"])
    with pytest.raises(prepare.Unreachable):
        prepare.obtain(name, None, set())
    content = world.originals[name]
    received = hashlib.sha256(content[:-1] + bytes([content[-1] ^ 1])).hexdigest()
    printed = capsys.readouterr().out
    assert received in printed and hashlib.sha256(content).hexdigest() in printed


def test_endless_answer_is_cut_off(world, serve, monkeypatch):
    def endless(handler, content):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(bytes(1 << 16))

    monkeypatch.setattr(prepare, "LARGEST", 1_000_000)
    assert len(prepare.download(f"{serve(endless)}/mnist/x")) < 2_000_000


def test_mirror_comes_first_and_what_it_lacks_is_downloaded(world, serve, monkeypatch, capsys):
    good = serve(reply)
    monkeypatch.setattr(prepare, "ADDRESSES", {"mnist": [f"{good}/mnist/"], "fashion-mnist": [], "": []})
    (world.mirror / "mnist/t10k-labels-idx1-ubyte.gz").unlink()
    (world.mirror / "mnist/t10k-images-idx3-ubyte.gz").write_bytes(b"something else")
    world.prepare("--mirror", world.mirror)
    assert sorted(serve.asked[good]) == ["/mnist/t10k-images-idx3-ubyte.gz", "/mnist/t10k-labels-idx1-ubyte.gz"]
    printed = capsys.readouterr().out
    assert "refused: " in printed and "not available: " in printed and "STAND-IN" not in printed


def test_mirror_may_be_an_address(world, serve):
    mirror = serve(reply)
    world.prepare("--mirror", f"{mirror}/")
    assert len(serve.asked[mirror]) == 9
    assert not any(load_images(world.folder / name).stand_in for name in prepare.IMAGE_FILES)


# The real command

@pytest.fixture
def copy(tmp_path):
    """A copy of the data folder's code alone, as in a fresh clone."""
    folder = tmp_path / "clone" / "data"
    folder.mkdir(parents=True)
    for path in (ROOT / "data").glob("*.py"):
        shutil.copy(path, folder)
    return folder


def command(folder, *arguments):
    return [sys.executable, str(folder / "prepare.py"), *map(str, arguments)]


COMMAND_CASES = ([("mnist_traindata.hdf5", name, *BAD_IMAGES[name]) for name in
                  ("Git-LFS pointer", "HTML page", "text", "empty file", "truncated", "no ydata", "width 783", "row counts",
                   "no rows", "halves", "NaN", "infinity", "above 255", "declared only")]
                 + [("binary_random.hdf5", name, *BAD_SEQUENCES[name]) for name in ("mixed between", "a two", "width 19")])


@pytest.mark.parametrize("file, name, make, says", COMMAND_CASES, ids=[f"{case[0]}: {case[1]}" for case in COMMAND_CASES])
def test_command_refuses_a_broken_file_and_leaves_it(copy, tmp_path, file, name, make, says):
    make(copy / file)
    before = (copy / file).read_bytes()
    done = subprocess.run(command(copy), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    one_line(done.stderr, copy / file, says)
    assert [path.name for path in copy.glob("*.hdf5")] == [file] and (copy / file).read_bytes() == before


@pytest.mark.parametrize("mirror", ["no/such/folder", ""])
def test_command_refuses_a_mirror_that_is_not_there(copy, tmp_path, mirror):
    done = subprocess.run(command(copy, "--mirror", mirror), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no such folder" in done.stderr


def slowly(handler, content):
    """Steady enough never to be given up, and never done within a test."""
    reply(handler, b"", 10_000_000)
    for _ in range(600):
        handler.wfile.write(bytes(5000))
        time.sleep(0.1)


def started(folder, serve):
    """The command in the middle of a download."""
    mirror = serve(slowly)
    process = subprocess.Popen(command(folder, "--mirror", mirror), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not serve.asked[mirror] and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    assert process.poll() is None and serve.asked[mirror]
    return process


def test_kill_during_a_download_leaves_no_file(copy, serve):
    process = started(copy, serve)
    process.kill()
    process.communicate(timeout=10)
    assert not list(copy.glob("*.hdf5"))


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_interrupt_is_one_line_and_status_130(copy, serve):
    process = started(copy, serve)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130 and len(errors.strip().splitlines()) == 1 and "interrupted" in errors
    assert not list(copy.glob("*.hdf5")) and not list(copy.glob(".part_*"))


def test_kill_during_writing_leaves_no_file_under_a_final_name(copy):
    code = ("import time; from data import prepare\n"
            "with prepare.complete_or_not_at_all('mnist_traindata.hdf5') as part:\n"
            "    part.write_bytes(b'half'); print(part, flush=True); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=copy.parent, stdout=subprocess.PIPE, text=True)
    part = Path(process.stdout.readline().strip())
    process.kill()
    process.communicate(timeout=10)
    assert part.read_bytes() == b"half" and copy in part.parents and not list(copy.glob("*.hdf5"))


# Stand-ins

@pytest.mark.parametrize("kind", ["mnist", "fashion-mnist"])
def test_stand_in_images_are_deterministic_and_neither_trivial_nor_hopeless(kind):
    pictures, labels = standin.images(kind, 600, seed=0)
    again, same = standin.images(kind, 600, seed=0)
    assert np.array_equal(pictures, again) and np.array_equal(labels, same)
    assert pictures.shape == (600, 28, 28) and pictures.dtype == labels.dtype == np.uint8
    assert (np.bincount(labels) == 60).all() and pictures.max() > 200 and (pictures == 0).mean() > 0.25
    others, their_labels = standin.images(kind, 400, seed=1)
    assert not np.array_equal(others, pictures[:400])
    # The nearest class mean: far above chance (10 %), far from perfect.
    means = np.stack([pictures[labels == k].mean(axis=0) for k in range(10)])
    distances = ((others[:, None].astype(float) - means) ** 2).sum(axis=(2, 3))
    assert 0.45 < (distances.argmin(axis=1) == their_labels).mean() < 0.9


def test_similar_clothes_are_similar():
    """The mean shirt is closer to T-shirt, pullover and coat than to any of the rest."""
    pictures, labels = standin.images("fashion-mnist", 600, seed=0)
    means = np.stack([pictures[labels == k].mean(axis=0) for k in range(10)]).reshape(10, -1)
    assert set(((means - means[6]) ** 2).sum(axis=1).argsort()[:4]) == {0, 2, 4, 6}


def alternation(rows):
    return (rows[:, 1:] != rows[:, :-1]).mean(axis=1)


def longest_run(rows):
    return np.array([max(len(list(run)) for _, run in itertools.groupby(row)) for row in rows.tolist()])


def test_stand_in_sequences_follow_the_human_model():
    human, machine = standin.sequences()
    again = standin.sequences()
    assert np.array_equal(human, again[0]) and np.array_equal(machine, again[1])
    assert human.shape == machine.shape == (5100, 20) and set(np.unique(human)) == set(np.unique(machine)) == {-1, 1}
    assert 0.57 < alternation(human).mean() < 0.62 and 0.49 < alternation(machine).mean() < 0.51
    assert longest_run(human).mean() < longest_run(machine).mean() - 0.5
    assert human.sum(axis=1).std() < 0.7 * machine.sum(axis=1).std()
    persons, chance = (alternation(rows).reshape(204, 25).mean(axis=1).std() for rows in (human, machine))
    assert persons > 2 * chance


# The published files themselves

@pytest.mark.skipif("HOMEWORK_MIRROR" not in os.environ, reason="HOMEWORK_MIRROR does not name a folder of the originals")
def test_published_originals(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "DATA", tmp_path)
    monkeypatch.setattr(prepare, "ADDRESSES", {folder: [] for folder in prepare.ADDRESSES})
    monkeypatch.setattr(sys, "argv", ["prepare.py", "--mirror", os.environ["HOMEWORK_MIRROR"]])
    prepare.main()
    for name, count, first in (("mnist_traindata.hdf5", 60_000, [5, 0, 4]), ("mnist_testdata.hdf5", 10_000, [7, 2, 1]),
                               ("fashion_mnist_traindata.hdf5", 60_000, [9, 0, 0]), ("fashion_mnist_testdata.hdf5", 10_000, [9, 2, 1])):
        loaded = load_images(tmp_path / name)
        assert loaded.images.shape == (count, 784) and loaded.labels[:3].tolist() == first and not loaded.stand_in
        assert loaded.images.max() == (1 if "fashion" in name else np.float32(255 / 256))
    loaded = load_sequences(tmp_path / "binary_random.hdf5")
    assert loaded.human.shape == loaded.machine.shape == (5100, 20) and loaded.coding == (-1, 1) and "USC" in loaded.source

"""Make the data files that the scripts load, all in this folder.

    python data/prepare.py [--mirror DIR_OR_URL]

A file that is already here is checked and kept, so a student's own course files are never overwritten. A missing one
is made from the publishers' originals: from the mirror if one is given, else downloaded (44 MB in all, SHA-256
checked). When neither can be had, a stand-in is drawn (under a minute; see standin.py), and replaced by the
real thing as soon as a later run can reach it. Files: data/README.md.
"""
import argparse
import gzip
import hashlib
import http.client
import os
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from math import prod
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np

DATA = Path(__file__).resolve().parent
sys.path.insert(0, str(DATA.parent))  # `python data/prepare.py` works from any folder, without installing anything
from data import standin
from data.loader import SEQUENCES_SHA256, DataError, load_images, load_sequences

STALL_SECONDS = 10    # a download is given up when for this long
STALL_BYTES = 10_000  # fewer bytes than these arrive, and it is not complete
LARGEST = 50_000_000  # bytes; no original is as large: an answer that never ends is cut off

# HDF5 file: (folder of the originals, their prefix, pixel divisor, number of images, source as reports name it)
IMAGE_FILES = {
    "mnist_traindata.hdf5": ("mnist", "train", 256, 60_000, "MNIST (LeCun, Cortes, Burges), training set"),
    "mnist_testdata.hdf5": ("mnist", "t10k", 256, 10_000, "MNIST (LeCun, Cortes, Burges), test set"),
    "fashion_mnist_traindata.hdf5": ("fashion-mnist", "train", 255, 60_000, "Fashion-MNIST (Zalando Research), training set"),
    "fashion_mnist_testdata.hdf5": ("fashion-mnist", "t10k", 255, 10_000, "Fashion-MNIST (Zalando Research), test set"),
}
SEQUENCES_FILE, SEQUENCES_ORIGINAL = "binary_random.hdf5", "binary_random_20fa.hdf5"

SHA256 = {  # of the originals, named as in a mirror
    "mnist/train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "mnist/train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "mnist/t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "mnist/t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "fashion-mnist/train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "fashion-mnist/train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "fashion-mnist/t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "fashion-mnist/t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    SEQUENCES_ORIGINAL: SEQUENCES_SHA256,
}
ADDRESSES = {  # of the folders above, in the order they are tried
    "mnist": ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
    "fashion-mnist": ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                      "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"],
    "": ["https://raw.githubusercontent.com/rv-harsha/binary-random-sequences/"
         "20b1494c3d00143a756e84cf983db19feda22c28/"],
}


class Unreachable(Exception):
    """No intact copy of an original could be had anywhere."""


def origin(name):
    """(source, stand_in) of a file in this folder, checked by the loader; (None, False) if missing. Raises DataError."""
    if not (DATA / name).exists():
        return None, False
    loaded = load_sequences(DATA / name) if name == SEQUENCES_FILE else load_images(DATA / name)
    return loaded.source, loaded.stand_in


def make(name, mirror, dead_hosts):
    """Make a file of the real data. Raises Unreachable."""
    if name == SEQUENCES_FILE:
        content = obtain(SEQUENCES_ORIGINAL, mirror, dead_hosts)
        with complete_or_not_at_all(name) as part:
            part.write_bytes(content)
        return
    folder, prefix, levels, _, source = IMAGE_FILES[name]
    images, labels = (read_idx(obtain(f"{folder}/{prefix}-{kind}-ubyte.gz", mirror, dead_hosts), dimensions)
                      for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)))
    write_images(name, images, labels, levels, source, stand_in=False)


def make_stand_in(name):
    """Draw a file of the same shapes, keys and types, marked as a stand-in."""
    if name == SEQUENCES_FILE:
        human, machine = standin.sequences()
        with complete_or_not_at_all(name) as part, h5py.File(part, "w") as file:
            file["human"], file["machine"] = human.astype(np.float64), machine.astype(np.int32)
            file.attrs.update(source=standin.SOURCE["sequences"], stand_in=True)
        return
    folder, prefix, levels, count, _ = IMAGE_FILES[name]
    images, labels = standin.images(folder, count, seed=["train", "t10k"].index(prefix))
    write_images(name, images, labels, levels, standin.SOURCE[folder], stand_in=True)


def write_images(name, images, labels, levels, source, stand_in):
    """Write images (N, 28, 28) uint8 and labels (N,) in the course's layout."""
    if images.shape != (len(labels), 28, 28):
        raise DataError(f"originals of {name}: images {images.shape} and {len(labels)} labels do not fit")
    xdata = images.reshape(len(images), 784).astype(np.float32)
    xdata /= levels
    with complete_or_not_at_all(name) as part, h5py.File(part, "w") as file:
        file["xdata"], file["ydata"] = xdata, np.eye(10)[labels]
        file.attrs.update(source=source, stand_in=stand_in)


@contextmanager
def complete_or_not_at_all(name):
    """A path to write to; what stands there becomes the file `name` only when the block has succeeded."""
    with tempfile.TemporaryDirectory(prefix=".part_", dir=DATA) as folder:
        yield Path(folder) / name
        (Path(folder) / name).replace(DATA / name)


def read_idx(content, dimensions):
    """The uint8 array in a gzipped IDX file: bytes 0, 0, 8 (uint8), dimensions; big-endian sizes; values."""
    raw = gzip.decompress(content)
    start = 4 + 4 * dimensions
    if raw[:4] != bytes([0, 0, 8, dimensions]) or len(raw) < start:
        raise DataError(f"IDX file: header {raw[:4].hex()}; expected {bytes([0, 0, 8, dimensions]).hex()}")
    shape = struct.unpack(f">{dimensions}I", raw[4:start])
    if len(raw) - start != prod(shape):
        raise DataError(f"IDX file: {len(raw) - start} values; expected {prod(shape)} for shape {shape}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def obtain(name, mirror, dead_hosts):
    """Bytes of the original `name`, SHA-256 checked, from the mirror or else the first address that has them.

    Every failure is told in a line. Hosts that do not answer join the set `dead_hosts`: they are not asked again.
    Raises Unreachable.
    """
    folder, _, file_name = name.rpartition("/")
    places = [address + file_name for address in ADDRESSES[folder]]
    if mirror:
        places.insert(0, f"{mirror.rstrip('/')}/{name}")
    for place in places:
        host = urlsplit(place).netloc if "://" in place else None
        if host in dead_hosts:
            continue
        try:
            content = Path(place).read_bytes() if host is None else download(place)
        except urllib.error.HTTPError as error:  # the host works, it only lacks this file
            print(f"not available: {place}: {error}")
            error.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            print(f"not available: {place}: {getattr(reason, 'strerror', None) or reason}")
            if host is not None:
                dead_hosts.add(host)
        else:
            found = hashlib.sha256(content).hexdigest()
            if found == SHA256[name]:
                return content
            print(f"refused: {place}: SHA-256 is {found}, expected {SHA256[name]}")
    raise Unreachable(name)


def download(url):
    """Bytes at `url`, with progress. Raises OSError, ValueError or HTTPException; never waits on a stalled connection.

    A thread receives, so that this one can give up on whatever stalls: name look-up, connection, or a server
    that sends a byte now and then, which no socket timeout notices.
    """
    content, answer = bytearray(), {"size": 0}

    def receive():
        try:
            with urllib.request.urlopen(url, timeout=STALL_SECONDS) as response:
                answer["size"] = int(response.headers.get("Content-Length") or 0)
                while len(content) <= LARGEST and (block := response.read1(1 << 16)):
                    content.extend(block)
        except Exception as error:  # raised again below, in the thread that waits
            answer["error"] = error

    name = url.rpartition("/")[2]
    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    counted, deadline = 0, time.monotonic() + STALL_SECONDS
    try:
        while receiver.is_alive():
            receiver.join(0.1)
            show_progress(f"{name}: {len(content) / 1e6:.1f} of {answer['size'] / 1e6:.1f} MB")
            if len(content) - counted >= STALL_BYTES:
                counted, deadline = len(content), time.monotonic() + STALL_SECONDS
            elif time.monotonic() > deadline and receiver.is_alive():
                raise TimeoutError(f"stalled: {len(content) - counted} bytes in {STALL_SECONDS} s")
    finally:
        show_progress("")
    if "error" in answer:
        raise answer["error"]
    if len(content) < answer["size"]:
        raise ConnectionError(f"ended after {len(content)} of {answer['size']} bytes")
    print(f"downloaded {url}: {len(content) / 1e6:.1f} MB")
    return bytes(content)


def show_progress(text):
    """Rewrite the terminal's last line; silent where the output is not a terminal."""
    if sys.stdout.isatty():
        print(f"\r{text:<78}", end="\r", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], epilog="More: data/README.md")
    parser.add_argument("--mirror", metavar="DIR_OR_URL", help="folder or address with copies of the originals, tried first")
    mirror = parser.parse_args().mirror
    if mirror is not None and "://" not in mirror and not os.path.isdir(mirror):
        raise DataError(f"--mirror {mirror}: no such folder")
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    for remains in DATA.glob(".part_*"):  # of a run that was killed
        shutil.rmtree(remains, ignore_errors=True)

    files = {name: origin(name) for name in (*IMAGE_FILES, SEQUENCES_FILE)}  # a broken file ends the run here
    dead_hosts = set()
    for name, (source, stand_in) in files.items():
        if source and not stand_in:
            print(f"kept  {name}: {source}")
            continue
        try:
            make(name, mirror, dead_hosts)
        except Unreachable as missing:
            print(f"cannot be had now: {missing}; {'keeping the' if stand_in else 'drawing a'} stand-in for {name}")
            if not stand_in:
                make_stand_in(name)
        files[name] = origin(name)
        print(f"ready {name}: {files[name][0]}")
    if any(stand_in for _, stand_in in files.values()):
        print("STAND-IN DATA in use: results will not be those of the real data. Run this again with a network or --mirror.")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the caller's shell had it ignored
    try:
        main()
    except KeyboardInterrupt:
        print("\ninterrupted: complete files are kept, nothing half-written is left", file=sys.stderr)
        sys.exit(130)
    except (DataError, OSError, RuntimeError) as error:  # RuntimeError: h5py, on a full disk
        print("error:", *str(error).split(), file=sys.stderr)  # one line, also when h5py writes several
        sys.exit(2)

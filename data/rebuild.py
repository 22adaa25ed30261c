"""Make the five data files from the publishers' originals, for whoever doubts them.

    python data/rebuild.py DIR [OUT]        (needs one more package: pip install mat-io)

DIR holds the originals under the names below; OUT is where the files go (default: this folder).
Each original is used only if it has the SHA-256 given here. The arrays come out the same bit for
bit: their SHA-256, printed here, stand in data/ORIGINS.md.
"""
import gzip
import hashlib
import sys
from pathlib import Path

import h5py
import numpy as np


def refuse(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


try:
    from matio import load_from_mat
except ImportError:
    refuse("mat-io, which reads the study's table, is missing; run: python -m pip install mat-io")

SHA256 = {
    "mnist/train-images-idx3-ubyte.gz":
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "mnist/train-labels-idx1-ubyte.gz":
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "mnist/t10k-images-idx3-ubyte.gz":
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "mnist/t10k-labels-idx1-ubyte.gz":
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "fashion-mnist/train-images-idx3-ubyte.gz":
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "fashion-mnist/train-labels-idx1-ubyte.gz":
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "fashion-mnist/t10k-images-idx3-ubyte.gz":
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "fashion-mnist/t10k-labels-idx1-ubyte.gz":
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    "randecod/behavioralData.mat":
        "856c9434d872682de94c4d47f1133b476e90c88a6c6e9659494494ff6ae912bc",
}
IMAGES = {  # file: folder and prefix of its originals, what pixels are divided by, source, licence
    "mnist_traindata.hdf5":
        ("mnist/train", 256, "MNIST (LeCun, Cortes, Burges), training set", "CC BY-SA 3.0"),
    "mnist_testdata.hdf5":
        ("mnist/t10k", 256, "MNIST (LeCun, Cortes, Burges), test set", "CC BY-SA 3.0"),
    "fashion_mnist_traindata.hdf5":
        ("fashion-mnist/train", 255, "Fashion-MNIST (Zalando Research), training set", "MIT"),
    "fashion_mnist_testdata.hdf5":
        ("fashion-mnist/t10k", 255, "Fashion-MNIST (Zalando Research), test set", "MIT"),
}
SEQUENCES = "binary_random.hdf5"
INSTRUCTIONS = {"ER": "random sequence", "MC": "mental coin toss", "FC": "free choice"}
MACHINE_SEED = 0


def original(folder, name):
    """The path of an original, its SHA-256 checked. Exits with status 2 where it differs."""
    path = folder / name
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        found = error.strerror
    if found != SHA256[name]:
        refuse(f"{path}: found {found}; expected SHA-256 {SHA256[name]}; "
               "get the original from its publisher, see data/ORIGINS.md")
    return path


def read_idx(path):
    """The uint8 array of a gzipped IDX file: 0, 0, 8, dimensions; big-endian sizes; values."""
    content = gzip.decompress(path.read_bytes())
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4")
    return np.frombuffer(content[start:], np.uint8).reshape(shape)


def press_rows(keys, run):
    """Rows of 20 presses, left -1 and right +1, that never cross a run of the experiment.

    keys (540,): 1 or 2 left, 3 or 4 right, NaN missed; run (540,): its number. Missed presses are
    left out, and so are the presses at the end of a run that fill no row."""
    rows = []
    for number in np.unique(run):
        pressed = keys[(run == number) & ~np.isnan(keys)]
        whole = len(pressed) // 20 * 20
        rows.append(np.where(pressed[:whole] > 2, 1, -1).astype(np.int8).reshape(-1, 20))
    return np.concatenate(rows)


def sequences(path):
    """{key: array} of the human/machine file, from the study's table of 85 people."""
    table = load_from_mat(str(path))["behavioralData"]
    each = [press_rows(*(person[column].to_numpy(float) for column in ("keys", "runNumber")))
            for person in table["response"]]
    rows = [len(of_person) for of_person in each]
    codes = [list(INSTRUCTIONS).index(name) for name in table["conditionName"]]
    human = np.concatenate(each)
    # Bits of a generator whose raw stream numpy promises never to change.
    bits = np.unpackbits(np.random.PCG64(MACHINE_SEED).random_raw(human.size // 64 + 1)
                         .astype("<u8").view(np.uint8))[:human.size]
    return {"human": human, "machine": (2 * bits.astype(np.int8) - 1).reshape(human.shape),
            "person": np.repeat(np.arange(len(each), dtype=np.uint8), rows),
            "instruction": np.repeat(np.array(codes, np.uint8), rows)}


def main():
    if len(sys.argv) not in (2, 3):
        refuse("one or two folders expected; python data/rebuild.py DIR [OUT]")
    folder = Path(sys.argv[1])
    out = Path(sys.argv[2]) if sys.argv[2:] else Path(__file__).resolve().parent
    arrays = {}
    for name, (prefix, *_) in IMAGES.items():
        xdata = read_idx(original(folder, f"{prefix}-images-idx3-ubyte.gz")).reshape(-1, 784)
        ydata = read_idx(original(folder, f"{prefix}-labels-idx1-ubyte.gz"))
        arrays[name] = {"xdata": xdata, "ydata": ydata}
    arrays[SEQUENCES] = sequences(original(folder, "randecod/behavioralData.mat"))
    out.mkdir(parents=True, exist_ok=True)
    for name, datasets in arrays.items():
        with h5py.File(out / name, "w") as file:
            for key, values in datasets.items():
                chunks = (1000, *values.shape[1:])
                file.create_dataset(key, data=values, chunks=chunks, compression="gzip",
                                    compression_opts=9)
                print(f"{name} {key} {hashlib.sha256(values.tobytes()).hexdigest()}")
            if name in IMAGES:
                _, divisor, source, licence = IMAGES[name]
                file.attrs.update(source=source, licence=licence, pixel_divisor=divisor)
            else:
                file.attrs.update(source="key presses of 85 people (RANDECOD study)", licence="MIT")
                file["instruction"].attrs["names"] = list(INSTRUCTIONS.values())
                file["machine"].attrs.update(coin_flips=True, seed=MACHINE_SEED)


if __name__ == "__main__":
    main()

"""How much faster than a plain Keras loop are problem 2's trainings? Prints the ratio, start-up times not counted.

    python tests/benchmark_p2.py        (about 2 minutes on two cores; nothing else should run)

Plain: one network after the other in one process with TensorFlow's own choice of threads, `fit` with one call of the
compiled step for each update. Ours: train_all() of p2_confusion.py. Both make the same updates of the same six networks.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")

import p2_confusion as p2  # noqa: E402
from data.loader import load_images  # noqa: E402

FEW, MORE = 2, 12  # the difference between the two is 10 epochs of each network, without any start-up


def ours(epochs):
    """Seconds of all six trainings."""
    begin = time.perf_counter()
    p2.train_all([(p2.CURVES, p2.SEEDS[0]), *((p2.TEST, seed) for seed in p2.SEEDS)], os.cpu_count(), p2.TRAIN_IMAGES,
                 epochs, lambda *epoch: None)
    return time.perf_counter() - begin


def plain(data, images):
    """Seconds of the second epoch of one training on the first `images`."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # TensorFlow's start-up notes
    import tensorflow as tf
    os.dup2(stderr, 2)
    tf.keras.utils.set_random_seed(0)
    model, ends = p2.build(tf.keras), []
    model.compile(tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(p2.LEARNING_RATE, 100_000)),
                  loss="sparse_categorical_crossentropy")
    model.fit(data.images[:images], data.labels[:images], batch_size=p2.BATCH_SIZE, epochs=2, verbose=0,
              callbacks=[tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))])
    return ends[1] - ends[0]


if __name__ == "__main__":
    data = load_images(p2.TRAIN_FILE)
    seconds_ours = (ours(MORE) - ours(FEW)) / (MORE - FEW)
    seconds_plain = 5 * plain(data, 60_000) + plain(data, 50_000)
    print(f"one epoch of all six networks: plain fit {seconds_plain:.1f} s, ours {seconds_ours:.1f} s, "
          f"ratio {seconds_plain / seconds_ours:.1f}")

"""Problem 1: a multilayer perceptron for MNIST, trained with backpropagation written in numpy.

    python p1_numpy_mlp.py      (about 9 minutes on two cores)

Trains six configurations (two activations, three initial learning rates) for 50 epochs on 50,000
images, chooses the one with the best accuracy on 10,000 validation images, trains it afresh on all
60,000, and only then opens the test set, once. The network itself is in mlp.py.

Result: 98.91 % of the test images (ReLU, initial learning rate 0.05).

Reads  data/mnist_traindata.hdf5, data/mnist_testdata.hdf5 (made by: python data/prepare.py)
Writes outputs/p1_report.md (start here), p1_results.json, p1_curve_<activation>_lr<rate>.png,
       p1_curves.png, p1_test_errors.png, p1_network_params.hdf5
"""

import signal

if __name__ == "__main__":  # until main() takes over, Ctrl-C just ends the program
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

# One BLAS thread for each process: the trainings are the parallel part, and a sum in another order
# would change the results. numpy's BLAS reads this when it is imported.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np

from data.loader import DataError, load_images
from mlp import MLP, write_parameters
from outputs.index import write_index

FOLDER = Path(__file__).resolve().parent
TRAIN_FILE = FOLDER / "data" / "mnist_traindata.hdf5"
TEST_FILE = FOLDER / "data" / "mnist_testdata.hdf5"
PIXEL_LEVELS = 256  # the course's MNIST files hold pixel / 256

TRAIN_IMAGES, VALIDATION_IMAGES = 50_000, 10_000  # part (a): the first 50,000 and the last 10,000
SIZES = (784, 512, 10)  # part (b): of those in TRIALS, the one that takes least time
ACTIVATIONS = ("relu", "tanh")  # part (c)
RATES = (0.1, 0.05, 0.02)  # part (e): initial learning rates
MOMENTUM = 0.9  # part (e)
BATCH_SIZE = 100  # part (f): 500 updates in an epoch
DROPOUT = (0.0, 0.3)  # part (g): rates at the input and at the hidden layer
MAX_NORM = 2.0  # part (g): cap on each hidden neuron's incoming weights
ADVERSARIAL = 0.07  # part (g): step along the sign of dC/dx, in the unit of the pixels
# What led to these settings: neurons, initial learning rate, dropout, adversarial step, and the validation accuracy in %
# (mean of the last ten of 50 epochs; ReLU, momentum 0.9, cap 2, seed 0). The test set had no part in it.
TRIALS = (
    ("784-1024-10", 0.1, (0.2, 0.5), 0.0, 98.52),
    ("784-512-512-10", 0.05, (0.2, 0.5), 0.0, 98.47),
    ("784-512-10", 0.05, (0.0, 0.3), 0.1, 98.67),
    ("784-512-10", 0.05, (0.0, 0.3), 0.07, 98.77),
    ("784-640-10", 0.05, (0.1, 0.4), 0.07, 98.85),
    ("784-640-10", 0.05, (0.0, 0.3), 0.07, 98.90),
)
EPOCHS = 50  # part (j)
HALVE_AFTER = (20, 40)  # part (k): epochs after which the learning rate is divided by 2
SEED = 1

TRAIN_COLOUR, VALIDATION_COLOUR = "#0072B2", "#D55E00"  # told apart by colour-blind readers too


class Training(NamedTuple):
    """One training: which network, on how many images, for how many epochs."""
    activation: str
    rate: float  # initial learning rate
    train_images: int
    validation_images: int  # 0: the retraining of part (m)
    epochs: int

    @property
    def name(self):
        return f"{self.activation} lr {self.rate:g}" + ("" if self.validation_images else ", all images")


def learning_rate(initial, epoch):
    """Learning rate of an epoch, counted from 1: halved after each epoch of HALVE_AFTER."""
    return initial / 2 ** sum(epoch > halving for halving in HALVE_AFTER)


def train(training, images, labels, show=lambda *epoch: None):
    """Train a fresh network as `training` says, on images (N, 784) and labels (N,).

    After each epoch the network is run, without dropout, over its training and its validation images;
    show(epoch, training accuracy, validation accuracy) is called. The retraining has no validation
    images, and is not measured until its end. Returns (network, history)."""
    begin = time.perf_counter()
    split = training.train_images
    held_out = slice(len(images) - training.validation_images, None)
    network = MLP(SIZES, training.activation, np.random.default_rng(SEED),
                  dropout=DROPOUT, momentum=MOMENTUM, max_norm=MAX_NORM, adversarial=ADVERSARIAL)
    history = {"learning_rate": [], "train_accuracy": [], "validation_accuracy": []}
    for epoch in range(1, training.epochs + 1):
        rate = learning_rate(training.rate, epoch)
        network.train_epoch(images[:split], labels[:split], BATCH_SIZE, rate)
        history["learning_rate"].append(rate)
        if training.validation_images or epoch == training.epochs:
            history["train_accuracy"].append(network.correct(images[:split], labels[:split]) / split)
        if training.validation_images:
            history["validation_accuracy"].append(
                network.correct(images[held_out], labels[held_out]) / training.validation_images)
        show(epoch, *(history[key][-1] if history[key] else None for key in ("train_accuracy", "validation_accuracy")))
    return network, history | {"seconds": time.perf_counter() - begin}


def work(tasks, pipe):
    """A worker process: train what is on the queue until a None comes; send epochs and results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    try:
        data = load_images(TRAIN_FILE, PIXEL_LEVELS)
        while (training := tasks.get()) is not None:
            network, history = train(training, data.images, data.labels,
                                     lambda *epoch: pipe.send((training, "epoch", epoch)))
            pipe.send((training, "result", (network, history)))
    except BrokenPipeError:  # the parent is gone
        pass


def train_all(trainings, jobs, progress):
    """Train in `jobs` processes. Returns {training: (network, history)} in the order of `trainings`.

    Raises RuntimeError when a process dies."""
    context = multiprocessing.get_context("spawn")
    tasks = context.SimpleQueue()
    for task in [*trainings, *[None] * jobs]:
        tasks.put(task)
    pipes, results = [], {}
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # on POSIX workers inherit this from their first instant
    for _ in range(min(jobs, len(trainings))):
        receiver, sender = context.Pipe(duplex=False)
        context.Process(target=work, args=(tasks, sender), daemon=True).start()
        sender.close()
        pipes.append(receiver)
    signal.signal(signal.SIGINT, interrupt)
    while pipes:
        for pipe in wait(pipes):
            try:
                training, kind, content = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            if kind == "result":
                results[training] = content
            else:
                progress.epoch(training, *content)
    if len(results) < len(trainings):
        raise RuntimeError("a training process ended without a result (out of memory?); try --jobs 1")
    return {training: results[training] for training in trainings}


class Progress:
    """One line per epoch and training on the screen; on a terminal, a single line that rewrites itself."""

    def __init__(self, epochs):
        self.epochs, self.done, self.begin = epochs, 0, time.perf_counter()

    def epoch(self, training, epoch, train_accuracy, validation_accuracy):
        self.done += 1
        left = (time.perf_counter() - self.begin) * (self.epochs / self.done - 1)
        shown = "".join(f"  {name} {accuracy:7.2%}" for name, accuracy in
                        (("training", train_accuracy), ("validation", validation_accuracy)) if accuracy is not None)
        line = (f"{training.name:<24} epoch {epoch:2d}/{training.epochs}{shown:<41}"
                f"  {int(left) // 60:2d}:{int(left) % 60:02d} left")
        if sys.stdout.isatty():
            print(f"\r{line[:shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(line, flush=True)

    def end(self):
        if sys.stdout.isatty():
            print()


def choose(results):
    """The training with the best validation accuracy after the last epoch, the first of equals. That
    epoch, not the best one, because the retraining has no validation images to stop by."""
    return max(results, key=lambda training: results[training][1]["validation_accuracy"][-1])


def wilson_interval(right, total, z=1.96):
    """95 % confidence interval of a proportion (Wilson 1927, JASA 22:209): (low, high)."""
    share, spread = right / total, z * z / total
    centre = share + spread / 2
    half = z * (share * (1 - share) / total + spread / (4 * total)) ** 0.5
    return (centre - half) / (1 + spread), (centre + half) / (1 + spread)


def decide(network, images):
    """The decisions (N,) of the network on images (N, 784), and their probabilities (N,)."""
    probabilities = np.concatenate([network.forward(images[start:start + 1000]) for start in range(0, len(images), 1000)])
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def curve_name(activation, rate):
    return f"p1_curve_{activation}_lr{rate:g}.png"


def draw_curves(axes, training, history, lowest, heading):
    """Training and validation accuracy of one configuration against epochs, with the halvings marked."""
    epochs = range(1, training.epochs + 1)
    training_curve, validation_curve = (100 * np.array(history[key]) for key in ("train_accuracy", "validation_accuracy"))
    for halving in HALVE_AFTER:
        if halving < training.epochs:
            axes.axvline(halving + 0.5, color="0.5", linestyle=":", linewidth=1)
            axes.annotate("rate / 2", (halving + 0.5, 0.3), xycoords=("data", "axes fraction"), rotation=90,
                          xytext=(-3, 0), textcoords="offset points", ha="right", va="bottom", color="0.35", size=9)
    axes.plot(epochs, training_curve, color=TRAIN_COLOUR, label="training")
    axes.plot(epochs, validation_curve, color=VALIDATION_COLOUR, linestyle="--", label="validation")
    axes.set(title=f"{heading}{training.activation}, initial learning rate {training.rate:g}", xlabel="epoch",
             ylabel="accuracy (%)", xlim=(0, training.epochs + 1), ylim=(lowest, 100.1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower right", title=f"final validation {validation_curve[-1]:.2f} %")


def plot_curves(results, folder, stand_in):
    """The six plots of part (l), and all six on one page, on the same axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    label = "STAND-IN DATA, " if stand_in else ""
    accuracies = [history[key] for _, history in results.values()
                  for key in ("train_accuracy", "validation_accuracy")]
    lowest = np.floor(100 * min(map(min, accuracies)))
    with rc_context(PLOT_STYLE):
        page = Figure(figsize=(15, 9))
        panels = page.subplots(len(ACTIVATIONS), len(RATES), sharex=True, sharey=True)
        for (training, (_, history)), panel in zip(results.items(), panels.flat):
            draw_curves(panel, training, history, lowest, "")
            panel.label_outer()
            figure = Figure(figsize=(7, 5))
            draw_curves(figure.subplots(), training, history, lowest, f"{label}MNIST, {'-'.join(map(str, SIZES))}, ")
            save(figure, folder / curve_name(training.activation, training.rate))
        page.suptitle(f"{label}MNIST, MLP {'-'.join(map(str, SIZES))}: accuracy after each epoch", size=14)
        save(page, folder / "p1_curves.png")


def plot_test_errors(data, decisions, confidences, folder):
    """The misclassified test digits, the most confident mistakes first, at most 40 of them."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(decisions != data.labels)
    shown = wrong[np.argsort(-confidences[wrong], kind="stable")][:40]
    with rc_context(PLOT_STYLE):
        figure = Figure(figsize=(12, 8.6))
        for panel, sample in zip(figure.subplots(5, 8).flat, [*shown, *[None] * (40 - len(shown))]):
            panel.axis("off")
            if sample is not None:
                panel.imshow(data.images[sample].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
                panel.set_title(f"{data.labels[sample]} read as {decisions[sample]}\n{confidences[sample]:.1%}", size=11)
        figure.suptitle(f"{'STAND-IN DATA, ' if data.stand_in else ''}MNIST test set: {len(shown)} of {len(wrong)} "
                        "mistakes, the most confident first (true class read as decision, its probability)", size=13)
        save(figure, folder / "p1_test_errors.png")


PLOT_STYLE = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
              "grid.alpha": 0.3, "figure.constrained_layout.use": True}


def save(figure, path):
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version: equal runs, equal files


def percent(accuracy):
    return f"{100 * accuracy:.2f} %"


def summarise(results, chosen, retraining, sources, labels, decisions):
    """Everything measured, as a dictionary: p1_results.json, and what the report is written from.

    sources: (phrase, is a stand-in) of the training and of the test file."""
    right = int(np.count_nonzero(decisions == labels))
    summary = {
        "problem": 1, "quick": chosen.epochs < EPOCHS, "seed": SEED,
        "data": {"source": "; ".join(dict.fromkeys(source for source, _ in sources)),
                 "stand_in": any(stand_in for _, stand_in in sources)},
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "settings": {
            "sizes": SIZES, "initial_learning_rates": RATES, "momentum": MOMENTUM, "batch_size": BATCH_SIZE,
            "dropout": DROPOUT, "max_norm": MAX_NORM, "adversarial": ADVERSARIAL, "epochs": chosen.epochs, "halve_after": HALVE_AFTER,
            "train_images": chosen.train_images, "validation_images": chosen.validation_images},
        "configurations": [{"activation": training.activation, "initial_learning_rate": training.rate} | history
                           for training, (_, history) in results.items()],
        "chosen": {"activation": chosen.activation, "initial_learning_rate": chosen.rate,
                   "validation_accuracy": results[chosen][1]["validation_accuracy"][-1]},
        "retraining": {"train_images": chosen.train_images + chosen.validation_images} | retraining,
        "test": {"images": len(decisions), "right": right, "accuracy": right / len(decisions),
                 "wilson_95": wilson_interval(right, len(decisions))},
    }
    return summary | {"answers": answers(summary)}


def answers(summary):
    """Every part of the homework in its order: part, question or requirement, answer and files."""
    s, chosen, test = summary["settings"], summary["chosen"], summary["test"]
    hidden = " and ".join(map(str, s["sizes"][1:-1]))
    names = [curve_name(c["activation"], c["initial_learning_rate"]) for c in summary["configurations"]]
    low, high = test["wilson_95"]
    rows = [
        ("a", "Split into training and validation", f"The first {s['train_images']:,} images of the file train, its last "
         f"{s['validation_images']:,} validate.", []),
        ("b", "Network configuration: how many layers and how many neurons",
         f"{len(s['sizes'])} layers: {s['sizes'][0]} input neurons, {hidden} hidden, {s['sizes'][-1]} output (softmax).",
         ["p1_network_params.hdf5"]),
        ("c", "Hidden layer activations", f"{' and '.join(ACTIVATIONS)}, with their derivatives in mlp.py.", []),
        ("d", "Cost function", "Cross entropy of the softmax output.", []),
        ("e", "3 different values of initial learning rate",
         f"{', '.join(f'{rate:g}' for rate in s['initial_learning_rates'])}; SGD with momentum {s['momentum']:g}.", []),
        ("f", "Batch size", f"{s['batch_size']}, so {s['train_images'] // s['batch_size']} updates per epoch.", []),
        ("g", "Regularizer",
         f"Dropout with rate {s['dropout'][0]:g} at the input and {s['dropout'][1]:g} at the hidden layer; incoming weights of a "
         f"hidden neuron capped at norm {s['max_norm']:g}; each training image first moved by {s['adversarial']:g} along the sign "
         "of its cost's gradient (adversarial training; validation and test images never are).", []),
        ("h", "How you initialized parameters",
         "Weights normal with mean 0: He (variance 2 / inputs) for ReLU, Glorot (variance 2 / (inputs + outputs)) "
         f"for tanh; biases 0. Seed {summary['seed']}, a fresh generator for every training.", []),
        ("i", "Input preprocessing, batch normalization", "None; the pixels are scaled as in the file.", []),
        ("j", "Epochs, and feedforward after each", f"{s['epochs']} epochs; after each the whole training set and the validation "
         "set, without dropout.", ["p1_results.json"]),
        ("k", "Learning rate decay", f"Divided by 2 after epochs {' and '.join(map(str, s['halve_after']))}.", []),
        ("l", "6 curves", "Training and validation accuracy after each epoch, the halvings marked.", ["p1_curves.png", *names]),
        ("m", "The best configuration",
         f"{chosen['activation']} at initial learning rate {chosen['initial_learning_rate']:g}: "
         f"{percent(chosen['validation_accuracy'])} on the validation set after the last epoch.", ["p1_report.md"]),
        ("m", "Final test accuracy",
         f"{percent(test['accuracy'])}: {test['right']:,} of {test['images']:,} right, 95 % interval "
         f"{percent(low)} to {percent(high)}.", ["p1_test_errors.png"]),
    ]
    return [{"part": f"1 ({part})", "question": question, "answer": answer, "files": files}
            for part, question, answer, files in rows]


def write_report(summary, folder):
    """p1_report.md, from the summary alone: first what the homework lists under "Report", in its order."""
    s, configurations = summary["settings"], summary["configurations"]
    chosen, retraining, test = summary["chosen"], summary["retraining"], summary["test"]
    lines = [f"# {'STAND-IN DATA: ' if summary['data']['stand_in'] else ''}Problem 1: MLP in numpy for MNIST", "",
             f"Data: {summary['data']['source']}.{' Quick run: a smoke test, not a result.' if summary['quick'] else ''}", ""]
    reported = [answer for part in "bfehl" for answer in summary["answers"] if answer["part"] == f"1 ({part})"]
    for number, answer in enumerate(reported, start=1):
        lines += [f"**{number}. {answer['question']}.** {answer['answer']}", ""]
        lines += [f"![{name}]({name})\n" for name in answer["files"] if name.endswith("png")]
    lines += ["## The other parts", ""]
    for answer in summary["answers"]:
        if answer not in reported:
            lines += [f"- **{answer['part'][2:]} {answer['question']}.** {answer['answer']}"]
    lines += ["", "![misclassified test images](p1_test_errors.png)", ""]
    lines += [
        "## The six configurations", "",
        f"Each trained on {s['train_images']:,} images for {s['epochs']} epochs from a fresh initialisation; accuracy is "
        f"that of a feedforward without dropout after the epoch. Validation: {s['validation_images']:,} images.", "",
        "| activation | initial learning rate | final validation, right | final validation | best epoch's validation "
        "| final training | seconds |", "|---|---|---|---|---|---|---|"]
    for c in configurations:
        validation = c["validation_accuracy"]
        lines.append(
            f"| {c['activation']} | {c['initial_learning_rate']:g} | {round(validation[-1] * s['validation_images']):,} "
            f"| {percent(validation[-1])} | {percent(max(validation))} (epoch {1 + validation.index(max(validation))}) "
            f"| {percent(c['train_accuracy'][-1])} | {c['seconds']:.0f} |")
    lines += [
        "", "## What led to these settings", "",
        "Trials beforehand: validation accuracy, mean of the last ten of 50 epochs (ReLU, momentum 0.9, cap 2, one seed). "
        "Differences of 0.1 are within chance, so the width was chosen for the sake of running time.", "",
        "| neurons | initial learning rate | dropout | adversarial step | validation (%) |", "|---|---|---|---|---|",
        *(f"| {sizes} | {rate:g} | {dropout[0]:g}, {dropout[1]:g} | {step:g} | {accuracy:.2f} |"
          for sizes, rate, dropout, step, accuracy in TRIALS)]
    ranked = sorted((c["validation_accuracy"][-1] for c in configurations), reverse=True)
    error = (ranked[0] * (1 - ranked[0]) / s["validation_images"]) ** 0.5
    lines += [
        "", "## Choice and test", "",
        f"Chosen: **{chosen['activation']}, initial learning rate {chosen['initial_learning_rate']:g}**, the best "
        "validation accuracy after the last epoch (the last, since the retraining has no validation images to stop by). "
        f"It leads the second by {100 * (ranked[0] - ranked[1]):.2f} points; the standard error of one such accuracy is "
        f"{100 * error:.2f} points.", "",
        f"Retrained from a fresh initialisation on all {retraining['train_images']:,} images with the same schedule, it gets "
        f"{percent(retraining['train_accuracy'][-1])} of them right. Then the test set was opened for the first time: "
        f"**{percent(test['accuracy'])}** ({test['right']:,} of {test['images']:,}; 95 % Wilson interval "
        f"{percent(test['wilson_95'][0])} to {percent(test['wilson_95'][1])}).", "",
        f"Whole run: {summary['seconds']:.0f} s."]
    (folder / "p1_report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Problem 1: a numpy MLP for MNIST, six configurations and a test.")
    parser.add_argument("--quick", action="store_true", help="two epochs on a small subset: a smoke test")
    parser.add_argument("--out", type=Path, help="folder for the outputs (default: outputs/; with --quick a temporary one)")
    parser.add_argument("--jobs", type=int, default=min(6, os.cpu_count() or 1), help="trainings at a time (default: %(default)s)")
    arguments = parser.parse_args()
    if not 1 <= arguments.jobs <= 6:
        parser.error(f"--jobs: found {arguments.jobs}; expected 1 to 6")
    if arguments.out is None:
        arguments.out = Path(tempfile.mkdtemp(prefix="p1_")) if arguments.quick else FOLDER / "outputs"
    return arguments


@contextmanager
def complete_outputs(out):
    """A folder beside the outputs; what is in it moves to `out` when the block ends well, and vanishes otherwise."""
    out.mkdir(parents=True, exist_ok=True)
    for remains in out.glob(".p1_*"):  # of a killed run
        shutil.rmtree(remains, ignore_errors=True)
    staging = out / f".p1_{os.getpid()}"
    try:
        staging.mkdir()
        yield staging
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # all files move, or none
        written = [path.replace(out / path.name) for path in sorted(staging.iterdir())]
        signal.signal(signal.SIGINT, interrupt)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_index(out)
    print(*written, sep="\n")


def load_training_data(needed):
    """The training file's ImageData, after a check that it holds the images needed, and that a test file is there."""
    data = load_images(TRAIN_FILE, PIXEL_LEVELS)
    if len(data.images) < needed:
        raise DataError(f"{TRAIN_FILE}: found {len(data.images)} images; expected {needed}; run: python data/prepare.py")
    if not TEST_FILE.exists():  # told now, not after minutes; it is not opened
        raise DataError(f"{TEST_FILE}: no such file; run: python data/prepare.py")
    return data


def main():
    arguments = parse_arguments()
    begin = time.perf_counter()
    train_images, validation_images, epochs = (2000, 500, 2) if arguments.quick else (TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS)
    with complete_outputs(arguments.out) as folder:
        sources = [load_training_data(train_images + validation_images)[2:]]  # (a)
        trainings = [Training(activation, rate, train_images, validation_images, epochs)
                     for activation in ACTIVATIONS for rate in RATES]
        progress = Progress(epochs * (len(trainings) + 1))
        results = train_all(trainings, arguments.jobs, progress)  # (l)
        chosen = choose(results)  # (m)
        final = chosen._replace(train_images=train_images + validation_images, validation_images=0)
        network, retraining = train_all([final], 1, progress)[final]
        progress.end()
        test = load_images(TEST_FILE, PIXEL_LEVELS)  # opened here for the first time
        decisions, confidences = decide(network, test.images)
        sources.append(test[2:])
        summary = summarise(results, chosen, retraining, sources, test.labels, decisions)
        summary["seconds"] = round(time.perf_counter() - begin, 1)
        plot_curves(results, folder, summary["data"]["stand_in"])
        plot_test_errors(test, decisions, confidences, folder)
        write_parameters(folder / "p1_network_params.hdf5", network)
        (folder / "p1_results.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        write_report(summary, folder)
    print(f"test accuracy {percent(summary['test']['accuracy'])} ({chosen.name}), {summary['seconds']:.0f} s")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.reconfigure(errors="backslashreplace")  # for consoles that lack a character
    try:
        main()
    except KeyboardInterrupt:
        print("\ninterrupted; earlier outputs are as they were", file=sys.stderr)
        sys.exit(130)
    except (DataError, OSError, RuntimeError) as error:
        print(f"\nerror: {' '.join(str(error).split())}", file=sys.stderr)  # HDF5 writes several lines
        sys.exit(2)

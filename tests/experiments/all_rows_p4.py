"""What do problem 4's networks look at? An exact answer, from all 2^20 rows; and what the
convolution has that they lack.

    python tests/experiments/all_rows_p4.py --out DIR         (about 4 minutes on two cores)
    python tests/experiments/all_rows_p4.py --course FILE     (about 10; the students' file as well)

Shares: a network's log-odds are a sum of products of presses, and different products are
uncorrelated over all rows. Which share of the variance do single presses hold, pairs, threes,
fours?

Sharing: a convolution looks at all windows of 6 presses with the same 20 filters and averages them
over the windows. Its control has 20 filters of its own for each window, so that the weights are not
shared. Both start from the same initializer: by default Keras would start the second twice as wide
(it counts the filter's outputs at all 6 places). Same folds, same training, nothing else differs.

Reads  data/binary_random.hdf5, and the file of --course (blocks of 25 rows are a student's)
Writes p4_shares.csv, p4_sharing.csv, p4_patterns.csv, p4_people.csv, p4_weights_folds_study.png
       and, with --course, p4_weights_folds_students.png
"""
import program

import p4_human_machine as p4  # before tensorflow: it sets its environment
import matplotlib.pyplot as plt
import numpy as np
from tensorflow import keras

FILTERS, WIDTH = 20, 6  # of the convolution
WINDOWS = p4.INPUTS - WIDTH + 1
# Glorot's limit for the convolution: the square root of 6 / (fan in + fan out).
LIMIT = (6 / (WIDTH + WIDTH * FILTERS)) ** 0.5


def build_shared(setting):
    """The convolution: its mean over the windows goes into a network like the homework's."""
    first = keras.initializers.RandomUniform(-LIMIT, LIMIT)
    return keras.Sequential([
        keras.Input((p4.INPUTS,)),
        keras.layers.Reshape((p4.INPUTS, 1)),
        keras.layers.Conv1D(FILTERS, WIDTH, activation="relu", kernel_initializer=first),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(p4.HIDDEN, "relu"),
        keras.layers.Dense(1, "sigmoid")])


def build_unshared(setting):
    """The same, but each window has weights of its own."""
    row = keras.Input((p4.INPUTS,))
    windows = []
    for start in range(WINDOWS):
        first = keras.initializers.RandomUniform(-LIMIT, LIMIT)
        filters = keras.layers.Dense(FILTERS, "relu", kernel_initializer=first)
        windows.append(filters(row[:, start:start + WIDTH]))
    hidden = keras.layers.Dense(p4.HIDDEN, "relu")(keras.layers.Average()(windows))
    return keras.Model(row, keras.layers.Dense(1, "sigmoid")(hidden))


def train_models(build, setting, rows):
    """A model for each fold, trained on the rows of the others, as p4.train_folds() does it."""
    models = []
    for fold in range(p4.FOLDS):
        keras.utils.set_random_seed(fold)
        models.append(build(setting))
        if setting.epochs:
            p4.train(models[-1], setting, fold, *p4.split(rows, fold))
    return models


def log_odds_of(model, x):
    """What any model gives to its last sigmoid, for rows x (n, 20): (n,)."""
    v, c = model.layers[-1].get_weights()
    before_output = keras.Model(model.inputs[0], model.layers[-1].input)
    parts = [before_output(rows).numpy() for rows in np.array_split(x, len(x) // 2 ** 14 + 1)]
    return (np.concatenate(parts) @ v + c)[:, 0]


def all_rows(coding):
    """Every row of 20 presses, (2^20, 20) float32; row i has the binary digits of i."""
    low, high = coding
    numbers = np.arange(2 ** p4.INPUTS)
    bits = [(numbers >> place) & 1 for place in reversed(range(p4.INPUTS))]
    return np.where(np.stack(bits, axis=1), np.float32(high), np.float32(low))


def walsh(f):
    """The coefficients of f (2^n,) as a sum of products of presses (a Walsh transform): the mean
    over all rows of f times the product. f[i] belongs to the row with the binary digits of i, 0 for
    a press of -1; coefficient i to the product of the presses that have a 1 in i."""
    n = f.size.bit_length() - 1
    f = f.astype(np.float64).reshape(n * (2,))
    for axis in range(n):
        low, high = f.take(0, axis), f.take(1, axis)
        f = np.stack([(low + high) / 2, (high - low) / 2], axis)
    return f.ravel()


def shares_of(f):
    """Which share of the variance of f (2^n,) the products of 1, 2, ... n presses hold, (n,).

    Products of different presses are uncorrelated over all rows, each with variance 1. So the
    squares of their coefficients add up to the variance of f (Parseval)."""
    coefficients = walsh(f)
    n = f.size.bit_length() - 1
    numbers = np.arange(f.size)
    presses = sum((numbers >> place) & 1 for place in range(n))  # in each product
    power = np.bincount(presses, coefficients ** 2)
    return power[1:] / power[1:].sum()


def spread_of_people(values, person):
    """How much the people's means of values (N,) vary, over what chance allows: 1 when rows of a
    person are no more alike than rows of different people.

    The variance of the means times the rows of a person, over the variance of the rows."""
    rows_of_person = np.bincount(person)
    means = np.bincount(person, values) / rows_of_person
    return means.var(ddof=1) * rows_of_person.mean() / values.var(ddof=1)


def plot_matrices(all_weights, path):
    """The matrices of all folds' networks on one scale, neurons sorted by their output weight."""
    limit = np.quantile(np.abs([weights[0] for weights in all_weights]), 0.97)
    figure, panels = plt.subplots(1, len(all_weights), figsize=(8.3, 3.2), sharey=True)
    for fold, (axes, (W, _, v, _)) in enumerate(zip(panels, all_weights)):
        image = axes.imshow(W[:, np.argsort(v[:, 0], kind="stable")], cmap="RdBu_r", vmin=-limit,
                            vmax=limit, aspect="auto")
        axes.axvline((v < 0).sum() - 0.5, color="black", linewidth=1.5)
        axes.set_xticks([])
        axes.set_yticks([0, 9, 19], [1, 10, 20])
        axes.set_title(f"fold {fold + 1}", size=10)
        axes.grid(False)
    panels[0].set_ylabel("input position")
    figure.colorbar(image, ax=panels, aspect=15, extend="both",
                    label=f"weight (beyond\n{limit:.1f}: no darker)")
    figure.supxlabel("hidden neurons by output weight, right of the line: for a human", size=10)
    p4.save(figure, path)


def shares_row(log_odds):
    """Means of the folds, lowest and highest. log_odds: of each fold's network, for every row."""
    four = 100 * np.array([shares_of(f)[:4] for f in log_odds])
    row = {}
    for column, of_folds in zip(("singles", "pairs", "threes", "fours"), four.T):
        row[f"{column} (%)"] = f"{of_folds.mean():.1f}"
        row[f"{column}: lowest fold (%)"] = f"{of_folds.min():.1f}"
        row[f"{column}: highest fold (%)"] = f"{of_folds.max():.1f}"
    return row


def pattern_rows(all_weights):
    """How the neurons of each fold's network look: how many have weights of one sign, how many a
    few stretches of one sign, how many alternate, of those that speak for a human or the machine.
    """
    rows = []
    for fold, (W, _, v, _) in enumerate(all_weights, start=1):
        changes = (W[1:] * W[:-1] < 0).sum(axis=0)  # of sign, from input to input
        for whom, spoken in (("human", v[:, 0] > 0), ("machine", v[:, 0] < 0)):
            of_these = changes[spoken]
            rows.append({"fold": fold, "speak for the": whom, "neurons": len(of_these),
                         "no change of sign": (of_these == 0).sum(),
                         "1 to 4 changes": ((of_these >= 1) & (of_these <= 4)).sum(),
                         "15 to 19 changes": (of_these >= 15).sum()})
    return rows


def networks():
    """How each network is built, and with which setting it is trained."""
    adam = p4.SETTINGS["Adam"]
    return {"20-20-1, untrained": (p4.build, adam._replace(epochs=0)),
            "20-20-1, Adam": (p4.build, adam),
            "20-20-1, Adam, L2 0.003": (p4.build, p4.SETTINGS["Adam, L2 0.003"]),
            "20-20-1, Adam, cyclic shifts": (p4.build, p4.SETTINGS["Adam, cyclic shifts"]),
            "windows, weights of their own, Adam": (build_unshared, adam),
            "windows, shared weights (convolution), Adam": (build_shared, adam)}


def ask_networks(file, rows, every_row, out):
    """Train each kind of network and draw the shifted ones.

    Returns {name: (parameters, log-odds of the rows (FOLDS, N), of every row (FOLDS, 2^20))}, and
    pattern_rows() of the shifted ones."""
    answers, patterns = {}, []
    for name, (build, setting) in networks().items():
        print(f"{file}: {name}", flush=True)
        models = train_models(build, setting, rows)
        answers[name] = (models[0].count_params(),
                         np.array([log_odds_of(model, rows.x) for model in models]),
                         np.array([log_odds_of(model, every_row) for model in models]))
        if setting.cyclic_shifts:
            weights = [model.get_weights() for model in models]
            plot_matrices(weights, out / f"p4_weights_folds_{file}.png")
            patterns = pattern_rows(weights)
    return answers, patterns


def ask_regressions(rows, every_row):
    """The same of the logistic regressions."""
    answers, features_of_every_row = {}, p4.features_of(every_row)
    for name, features in p4.features_of(rows.x).items():
        of_rows, of_every_row = [], []
        for fold in range(p4.FOLDS):
            seen = rows.fold != fold
            w = p4.fit_logistic(features[seen], rows.human[seen])
            of_rows.append(features @ w[:-1] + w[-1])
            of_every_row.append(features_of_every_row[name] @ w[:-1] + w[-1])
        answers[f"logistic regression, {name}"] = (len(w), np.array(of_rows),
                                                   np.array(of_every_row))
    return answers


def sharing_row(parameters, f, unshared, rows):
    """How good log-odds f (FOLDS, N) are, beside those of the windows with weights of their own."""
    row = {"parameters": parameters}
    for column, number in p4.judge(f, unshared, rows).items():
        column = column.replace("the first row", "windows with weights of their own")
        row[column] = f"{number:.4f}" if "entropy" in column else f"{number:.1f}"
    return row


def main():
    parser = program.make_parser("What problem 4's networks look at, from all 2^20 rows.")
    parser.add_argument("--course", type=program.path, help="the students' file")
    arguments = program.read(parser)
    if arguments.quick:
        p4.FOLDS = 2
        p4.SETTINGS = {name: setting._replace(epochs=1) for name, setting in p4.SETTINGS.items()}
    files = {"study": (p4.DATA_FILE, None)}
    if arguments.course:
        files["students"] = (arguments.course, 25)
    shares, sharing, patterns, people = [], [], [], []
    for file, (path, rows_per_person) in files.items():
        data, rows = p4.load(path, rows_per_person)
        every_row = all_rows(data.coding)
        if arguments.quick:
            every_row = every_row[::1024]
        answers, patterns_of_file = ask_networks(file, rows, every_row, arguments.out)
        patterns += [{"file": file, **row} for row in patterns_of_file]
        answers |= ask_regressions(rows, every_row)
        _, unshared, _ = answers["windows, weights of their own, Adam"]
        for name, (parameters, of_rows, of_every_row) in answers.items():
            row = {"file": file, "network": name}
            shares.append({**row, **shares_row(of_every_row)})
            sharing.append({**row, **sharing_row(parameters, of_rows, unshared, rows)})
        spread = spread_of_people(p4.changes(data.human), rows.person[rows.human])
        people.append({"file": file, "people": rows.people,
                       "changes of side vary, times chance": f"{spread:.1f}"})
    for name, table in (("p4_shares.csv", shares), ("p4_sharing.csv", sharing),
                        ("p4_patterns.csv", patterns), ("p4_people.csv", people)):
        p4.write_csv(arguments.out / name, table[0], [row.values() for row in table])


if __name__ == "__main__":
    program.run(main)

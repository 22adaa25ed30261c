"""README.md of an outputs folder: every question of the homework, its answer and the files, on one page.

Each script ends by calling write_index(); by hand: python outputs/index.py
"""

import json
import os
import tempfile
from pathlib import Path

TITLES = {1: "Backprop in numpy: training an MLP to classify MNIST", 2: "Confusion matrix for Fashion-MNIST",
          3: "Exploring regularization on Fashion-MNIST", 4: "MLP for the human/machine binary data"}


def section(folder, number):
    """The lines of one problem, from the "answers" of its p<number>_results.json."""
    results = json.loads((folder / f"p{number}_results.json").read_text(encoding="utf-8"))
    stand_in = "STAND-IN DATA: " if results["data"]["stand_in"] else ""
    lines = [f"## {number}. {stand_in}{TITLES[number]}", "",
             f"Full report: [p{number}_report.md](p{number}_report.md). Data: {results['data']['source']}."
             + (" **Quick run: a smoke test, not a result.**" if results["quick"] else ""), "",
             "| | question | answer | files |", "|---|---|---|---|"]
    figures = []
    for answer in results["answers"]:
        links = ", ".join(f"[{name}]({name})" for name in answer["files"])
        lines.append(f"| {answer['part']} | {answer['question']} | {answer['answer']} | {links} |".replace("\n", " "))
        figures += [name for name in answer["files"] if name.endswith(".png") and name not in figures]
    return lines + [""] + [f"![{name}]({name})\n" for name in figures]


def write_index(folder):
    """Write README.md into `folder` (Path) from the result files there; complete or not at all."""
    lines = ["# The homework's questions, in its order, with their answers", "",
             "Written by the scripts from their result files. Files marked STAND-IN DATA were not made from the original data.", ""]
    for number in TITLES:
        if (folder / f"p{number}_results.json").exists():
            try:
                lines += section(folder, number)
            except (ValueError, KeyError, TypeError):  # not the script's fault that now ends with this page
                lines += [f"## {number}. {TITLES[number]}", "", f"p{number}_results.json is damaged: run the script again.", ""]
    with tempfile.TemporaryDirectory(prefix=".index_", dir=folder) as staging:
        page = Path(staging) / "README.md"
        page.write_text("\n".join(lines), encoding="utf-8")
        os.replace(page, folder / "README.md")


if __name__ == "__main__":
    write_index(Path(__file__).resolve().parent)

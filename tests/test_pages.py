"""Each number quoted in a page is that of the committed files.

Asked only while git says that outputs/ is as committed: whoever ran the scripts has other last
digits. A page's numbers are compared in their order with a list, in which constants of the homework
stand as they are and what was measured is read from the files."""
import csv
import json
import re
import subprocess

import numpy as np
import pytest
from conftest import ROOT, SCRIPTS

OUT = ROOT / "outputs"
COURSE = OUT / "course_fall2020"
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", OUT / "README.md", COURSE / "README.md"]


def outputs_are_as_committed():
    """Whether git knows outputs/ and sees no change in what the scripts wrote there."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    try:
        tracked = git("ls-files", "outputs").stdout
        return bool(tracked) and git("diff", "--quiet", "HEAD", "--", "outputs",
                                     ":(exclude)outputs/*.md").returncode == 0
    except OSError:  # no git
        return False


as_committed = pytest.mark.skipif(not outputs_are_as_committed(),
                                  reason="outputs/ is not as committed, as far as git can tell")


def text_of(path):
    return path.read_text(encoding="utf-8")


def section(text, heading):
    """What stands below a heading, without what stands below the next one of its rank."""
    rank = heading.split()[0]
    start = text.index(f"\n{heading}") + len(heading) + 1
    start = text.index("\n", start)
    end = text.find(f"\n{rank} ", start)
    return text[start:] if end < 0 else text[start:end]


def numbers(text):
    """All numbers of a text as they stand there, with their signs; not those of links and code."""
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.S)
    return [number.replace("−", "-") for number in
            re.findall(r"(?:(?<=[\s(|])[+−-])?(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?", text)]


def results(number, folder=OUT):
    return json.loads(text_of(folder / f"p{number}_results.json"))


def table(name, folder=OUT):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_resolve(page):
    links = re.findall(r"\]\(([^)]+)\)", text_of(page))
    assert links
    for link in links:
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            headings = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
                        for heading in re.findall(r"^#+ (.*)", text_of(target), re.M)
                        ] if anchor else []
            assert not anchor or anchor in headings, link

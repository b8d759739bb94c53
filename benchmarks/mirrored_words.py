"""Counts what the words of RefCOCO's expressions become in a mirror, and how many name places and colours.

    python benchmarks/mirrored_words.py --refer REFER --json benchmarks/results/mirrored-words.json

REFER holds RefCOCO and RefCOCO+. No photo is needed. `--sample N` prints N expressions with a side or an hour beside
what becomes of them, to be checked by hand.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path

from m3att.data.augment.words import mirrored, names_colour, names_place
from m3att.data.refer.pickles import load_plain

PLAIN = re.compile(r"\b(?:left|right)\b")
INSIDE = re.compile(r"left|right")
MARK = re.compile(r"left|right|lft|rght|\blef|\brig|oght|clock|\b(?:l|r|east|west)\b|elft")
HOUR = re.compile(r"[0-9a-z] ?(?:o|0)? ?clock")
SEED = 17


def main() -> None:
    """Reads the arguments and counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refer", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    found = {}
    texts: list[str] = []
    for name in ("refcoco", "refcoco+"):
        refs = load_plain(next((arguments.refer / name).glob("refs*.p")))
        own = [sentence["sent"] for ref in refs for sentence in ref["sentences"]]
        found[name] = counts(own)
        texts += own
        print(name, found[name])
    marked = [text for text in texts if MARK.search(text)]
    for text in random.Random(SEED).sample(marked, arguments.sample):
        print(f"{text} => {mirrored(text)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def counts(texts: list[str]) -> dict[str, int]:
    """How many expressions are of each kind."""
    told = [mirrored(text) for text in texts]
    changed = [text for text, other in zip(texts, told, strict=True) if other not in (None, text)]
    return {
        "expressions": len(texts),
        "with left or right": sum(bool(INSIDE.search(text)) for text in texts),
        "changed": len(changed),
        "changed, left or right as a word of its own": sum(bool(PLAIN.search(text)) for text in changed),
        "changed, an hour": sum(bool(HOUR.search(text)) and not INSIDE.search(text) for text in changed),
        "unchanged, although left or right is in a word": sum(
            other == text and bool(INSIDE.search(text)) for text, other in zip(texts, told, strict=True)
        ),
        "not told": told.count(None),
        "not told, with left or right": sum(
            other is None and bool(INSIDE.search(text)) for text, other in zip(texts, told, strict=True)
        ),
        "name a place": sum(map(names_place, texts)),
        "name a colour": sum(map(names_colour, texts)),
    }


if __name__ == "__main__":
    main()

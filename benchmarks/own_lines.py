"""How long a large JSON Lines file takes to open: the first time, and again from the cache.

    mkdir before && git archive 05a67a7 src | tar x -C before
    python benchmarks/own_lines.py --before before/src --json benchmarks/results/own-lines.json

The file is made in a temporary folder: five expressions on each image, each with an outline of its own. Times are the
CPU seconds of one thread, each in a process of its own, and the median of several rounds. Another version of m3att is
measured in turn with this one, since other work on the machine changes the times of both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SOURCE = Path(__file__).resolve().parents[1] / "src"
PROBE = """
import sys, time
from pathlib import Path
from m3att.data.own.source import open_jsonl
begun = time.process_time()
source = open_jsonl(Path(sys.argv[1]), "train")
print(time.process_time() - begun, len(source))
"""


def write_file(folder: Path, lines: int) -> Path:
    """A file of that many lines, one in ten of them of split val, and one photo that makes its folder known."""
    Image.new("RGB", (64, 48)).save(folder / "1.jpg")
    path = folder / "own.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            line = {
                "image": f"{number % max(2, lines // 5)}.jpg",
                "expression": f"the thing number {number} on the left",
                "mask": [[1 + number % 9, 2, 30, 2, 30, 30, 12, 40, 1, 30]],
                "split": "train" if number % 10 else "val",
            }
            file.write(json.dumps(line) + "\n")
    return path


def open_once(path: Path, cache: str, source: Path = SOURCE) -> float:
    """CPU seconds of one opening in a fresh process, by the m3att of a source folder."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(path)],
        env={**os.environ, "M3ATT_CACHE": cache, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[0])


def main() -> None:
    """Measure, print, and write the figures where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="the source folder of another version, to compare with")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = write_file(Path(folder), given.lines)
        cache = str(Path(folder) / "cache")
        open_once(path, cache)
        for _ in range(given.rounds):
            if given.before is not None:
                times.setdefault("before", []).append(open_once(path, "", given.before.resolve()))
            times.setdefault("first", []).append(open_once(path, ""))
            times.setdefault("again", []).append(open_once(path, cache))
    middle = {name: statistics.median(values) for name, values in times.items()}
    found = {"lines": given.lines, **{name: round(value, 2) for name, value in middle.items()}}
    print(f"{given.lines:,} lines: {found['first']} s the first time, {found['again']} s from the cache")
    if given.before is not None:
        found["share"] = round(middle["first"] / middle["before"], 3)
        print(f"{found['before']} s by the other version: {found['share']} of that")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

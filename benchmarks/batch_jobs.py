"""Batch jobs: memory and speed at two sizes, and kills at random moments, with the bundled model.

    python benchmarks/batch_jobs.py --lines 100 1000 --kills 5

Runs `m3att predict --manifest` as a process and prints its peak memory and lines a second. Then runs the first size
again, ends it by SIGKILL at random moments, resumes it, and compares the results byte by byte.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

TEXTS = ["the person in yellow", "the red ball", "the largest box"]


def write_manifest(folder: Path, lines: int) -> Path:
    """A manifest of a few different images, asked in turn."""
    for number in range(8):
        pixels_HWC = np.random.default_rng(number).integers(0, 256, (240, 320 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels_HWC).save(folder / f"{number}.jpg")
    path = folder / f"{lines}.jsonl"
    rows = (json.dumps({"image": f"{at % 8}.jpg", "expressions": TEXTS[: 1 + at % 3]}) for at in range(lines))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def start(manifest: Path, out: Path, model: str) -> subprocess.Popen[bytes]:
    """A process that does the whole job."""
    options = ["--model", model, "--device", "cpu", "--lines-a-part", "8"]
    words = [sys.executable, "-m", "m3att", "predict", "--manifest", str(manifest), "--out", str(out), *options]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process. Returns the most memory that it had, in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * 1024


def count_parts(out: Path) -> int:
    """Parts of a job that are there."""
    return len(list(out.glob("parts/*.jsonl")))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--model", default="shaperef-tiny")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for lines in given.lines:
            begun = time.perf_counter()
            process = start(write_manifest(folder, lines), folder / f"out{lines}", given.model)
            peak, seconds = peak_of(process), time.perf_counter() - begun
            figures[str(lines)] = {"megabytes": peak / 1e6, "seconds": seconds, "code": process.returncode}
            print(f"{lines} lines: {peak / 1e6:.0f} MB at most, {lines / seconds:.1f} lines a second")
        first, chance, kills = given.lines[0], random.Random(1), 0
        out = folder / "killed"
        while kills < given.kills:
            process, done = start(folder / f"{first}.jsonl", out, given.model), count_parts(out)
            while count_parts(out) == done and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 1))
            if process.poll() is not None:
                break  # it was done before it could be killed
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            print(f"killed with {count_parts(out)} parts done")
        start(folder / f"{first}.jsonl", out, given.model).wait()
        same = [
            (out / file).read_bytes() == (folder / f"out{first}" / file).read_bytes()
            for file in ("predictions.jsonl", "errors.jsonl")
        ]
        figures["kills"], figures["same"] = kills, all(same)
        print(f"{kills} kills: results are {'the same' if all(same) else 'NOT the same'}, byte by byte")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

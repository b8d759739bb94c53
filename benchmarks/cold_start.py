"""What a cold `m3att predict` costs, beside `python -c 'import torch'`: CPU time and peak memory of whole processes.

python benchmarks/cold_start.py [--rounds 5] [--model photo] [--image examples/coffee.jpg] [--json FILE]

Each round runs all of them one after the other, so that what else the machine does meets them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def cost(words: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a Python process."""
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: python {' '.join(words)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--image", default=str(EXAMPLES / "coffee.jpg"))
    parser.add_argument("--expression", default="the cup")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as out:
        predict = ["-m", "m3att", "predict", given.image, given.expression, "--model", given.model, "--out", out]
        commands = {
            "import torch": ["-c", "import torch"],
            "predict, onnx": [*predict, "--backend", "onnx"],
            "predict, pytorch": [*predict, "--backend", "pytorch"],
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(given.rounds + 1):
            for name, words in commands.items():
                measured = cost(words)
                if number:  # the first round fills the caches of the disk
                    found[name].append(measured)
    base = statistics.median(seconds for seconds, _ in found["import torch"])
    print("| process | CPU s | of `import torch` | peak MB |\n|---|---|---|---|")
    for name, values in found.items():
        seconds = statistics.median(seconds for seconds, _ in values)
        peak = max(megabytes for _, megabytes in values)
        print(f"| {name} | {seconds:.2f} | {seconds / base:.2f} | {peak:.0f} |")
    if given.json is not None:
        rows = {
            name: [{"cpu_seconds": round(seconds, 3), "peak_mb": round(peak, 1)} for seconds, peak in values]
            for name, values in found.items()
        }
        text = json.dumps({"model": given.model, "rounds": rows}, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

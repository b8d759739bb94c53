"""Reads the same photos with expressions from files and from tar shards, in random order, and compares the time.

    python benchmarks/shards.py DATA --json benchmarks/results/shards.json

DATA is any data set of your own with a split `train`. A round reads every image with all of its expressions and masks.
Rounds from files and from shards take turns; the least time of each counts. Both are in the memory of the system after
the first round: what a disk or a network drive adds is not measured. If the library webdataset is installed, its stream
of the same shards is timed too, decoded by the same code, without expressions and masks.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from m3att.config import DataConfig
from m3att.data.images import decode_image
from m3att.data.open import open_source
from m3att.data.own.detect import detect
from m3att.data.own.shard_writer import write_shards

ROUNDS, IMAGES = 5, 100


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=str)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / "shards"
        written = timed(lambda: write_shards(Path(arguments.data), shards, IMAGES))
        root, dataset = detect(arguments.data)
        opened: dict[str, list[float]] = {"files": [], "shards": []}
        read: dict[str, list[float]] = {"files": [], "shards": [], "webdataset": []}
        for number in range(ROUNDS):
            order = np.random.default_rng(number)
            for name, data in (("files", DataConfig(root, dataset)), ("shards", DataConfig(str(shards), "shards"))):
                start = time.process_time()
                source = open_source(data, "train")
                opened[name].append(time.process_time() - start)
                indices = order.permutation(len(source)).tolist()
                read[name].append(timed(lambda: [source.read(index) for index in indices]))  # noqa: B023 - called at once
            if importlib.util.find_spec("webdataset"):
                read["webdataset"].append(timed(lambda: stream(shards)))
        images, tars = len(source), len(list(shards.iterdir()))
    found = {
        "images": images,
        "shards": tars,
        "rounds": ROUNDS,
        "clock": "seconds of the processor",
        "write_seconds": round(written, 3),
        "open_seconds": {name: round(min(seconds), 3) for name, seconds in opened.items()},
        "images_per_second": {name: round(images / min(seconds), 1) for name, seconds in read.items() if seconds},
    }
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def stream(shards: Path) -> None:
    """Reads all shards as the library webdataset streams them."""
    import webdataset

    names = sorted(str(path) for path in shards.iterdir())
    for sample in webdataset.WebDataset(names, shardshuffle=False):
        decode_image(sample["jpg"], sample["__key__"])


if __name__ == "__main__":
    main()

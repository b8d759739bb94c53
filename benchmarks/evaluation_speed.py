"""Speed of `m3att evaluate`, beside an older version: where its time goes, and how many pixel counts differ.

    python benchmarks/evaluation_speed.py ROOT [--before SRC] [--images N] [--rounds N] [--model NAME] [--json FILE]

Scores the first images of RefCOCO val, drawn layouts, with one thread for the network. With `--before SRC`, the `src`
folder of an older checkout (`git worktree add OLD be8ba5f^`), both versions take turns, each in a process of its own,
and a few images are scored before the clock starts.

CPU seconds count user and system time of the process, so other programs hardly matter. `waiting` is the share of the
elapsed time in which the network does not run. In an older version, which has one thread, that is reading and scoring.
Today both run beside the network if there is a second core. Elapsed times depend on the load, which is written down.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

Counts = dict[str, list[list[int]]]
"""By threshold, the intersections and the unions of all expressions."""

WARM = 10  # images before the clock starts


def measured(root: str, model: str, images: int) -> dict[str, Any]:
    """One evaluation in this process.

    Args:
        root: the data.
        model: a bundled model.
        images: how many of the split.
    """
    import torch

    try:
        from m3att.app.scoring import open_model
    except ImportError:  # an older version
        from m3att.app.evaluate import open_model  # type: ignore[no-redef, attr-defined]
    from m3att.data.batch import BatchReader
    from m3att.engine import evaluate as engine

    options = {"data": {"root": root, "dataset": "refcoco", "split": "val"}}
    scored = open_model({"model": model, "device": "cpu", "threads": 1, **options}, options)
    pretrained, config = scored.pretrained, scored.config
    spent = {"reading": 0.0, "network": 0.0, "scoring": 0.0}
    busy = [0.0]  # elapsed seconds in which the network runs

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            start, clock = time.thread_time(), time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                spent[name] += time.thread_time() - start
                busy[0] += time.perf_counter() - clock if name == "network" else 0.0

        return called

    BatchReader.__getitem__ = timed("reading", BatchReader.__getitem__)  # type: ignore[method-assign]
    engine.score_batch = timed("scoring", engine.score_batch)
    pretrained.network.forward = timed("network", pretrained.network.forward)  # type: ignore[method-assign]

    def evaluate(count: int) -> Any:
        data = replace(config.data, images=count)
        parts = (pretrained.network, pretrained.tokenizer, scored.source, config.input, config.evaluate, data)
        return engine.evaluate(*parts, 0, torch.device("cpu"), None, pretrained.calibration)

    evaluate(WARM)
    spent.update(dict.fromkeys(spent, 0.0))
    busy[0], load = 0.0, os.getloadavg()[0]
    cpu, clock = time.process_time(), time.perf_counter()
    scores = evaluate(images)
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - clock
    counts = {
        f"{protocol.name} {protocol.threshold}": [list(counted.intersections), list(counted.unions)]
        for protocol, counted in scores.counts.items()
    }
    return {
        "expressions": len(scores.expressions),
        "cpu_seconds": round(cpu, 3),
        **{name: round(seconds, 3) for name, seconds in spent.items()},
        "elapsed": round(elapsed, 3),
        "waiting": round(1 - busy[0] / elapsed, 4),
        "load": round(load, 2),
        "counts": counts,
    }


def in_own_process(given: argparse.Namespace, source: Path | None) -> dict[str, Any]:
    """`measured` in a new process.

    Args:
        given: the options.
        source: folder of the package; None: the one that is found.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if source is not None:
        environment["PYTHONPATH"] = str(source)
    words = [sys.executable, __file__, given.root, "--images", str(given.images), "--model", given.model, "--once"]
    done = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def differences(one: Counts, other: Counts) -> dict[str, int]:
    """How many counts of pixels differ between two versions, of how many, and by how much at most."""
    pairs = [
        (a, b)
        for name, columns in one.items()
        for column, beside in zip(columns, other[name], strict=True)
        for a, b in zip(column, beside, strict=True)
    ]
    apart = [abs(a - b) for a, b in pairs if a != b]
    return {"counts": len(pairs), "different": len(apart), "largest_difference": max(apart, default=0)}


def best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several runs the one with the least CPU time, with its rate and the share of reading and scoring."""
    one = min(runs, key=lambda run: run["cpu_seconds"])
    beside = one["reading"] + one["scoring"]
    return {
        **one,
        "expressions_per_cpu_second": round(one["expressions"] / one["cpu_seconds"], 1),
        "reading_and_scoring": round(beside / one["cpu_seconds"], 4),
    }


def ratios(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> dict[str, Any]:
    """How many times as many expressions are scored now: by the best CPU times, and in each round."""
    turns = list(zip(before, now, strict=True))
    return {
        "times_the_rate": round(best(before)["cpu_seconds"] / best(now)["cpu_seconds"], 3),
        "times_the_rate_of_rounds": [round(one["cpu_seconds"] / other["cpu_seconds"], 3) for one, other in turns],
        "times_the_rate_elapsed_of_rounds": [round(one["elapsed"] / other["elapsed"], 3) for one, other in turns],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="folder of the data set, as --data.root")
    parser.add_argument("--before", type=Path, help="folder src of an older checkout")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="refcoco-layout-tiny")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(measured(given.root, given.model, given.images)))
        return
    versions: dict[str, Path | None] = {"now": None}
    if given.before is not None:
        versions = {"before": given.before.resolve(), **versions}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in versions}
    counts: dict[str, Counts] = {}
    for _ in range(given.rounds):
        for name, source in versions.items():
            runs[name].append(in_own_process(given, source))
            every = runs[name][-1].pop("counts")
            if counts.setdefault(name, every) != every:
                raise SystemExit(f"{name}: two rounds counted differently")
            print(name, json.dumps(runs[name][-1]), flush=True)
    found: dict[str, Any] = {"model": given.model, "images": given.images, "cores": os.cpu_count()}
    found |= {name: best(measurements) for name, measurements in runs.items()}
    if given.before is not None:
        found |= ratios(runs["before"], runs["now"])
        found["different_counts"] = differences(counts["before"], counts["now"])
    found["runs"] = runs
    print(json.dumps({name: value for name, value in found.items() if name != "runs"}, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

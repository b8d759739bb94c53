"""Compares the speed of models, measured beside another network in the same run, with committed figures.

    m3att bench speed --preset refcoco-darknet53 refcoco-swin-b --peer clipseg --threads 2 --json FIGURES
    python benchmarks/speed_check.py FIGURES [--committed FILE] [--write]

Seconds differ between machines and with their load. So what is compared is a ratio: the shortest time of a model over
that of CLIPSeg, for the same number of expressions in the same run. The check fails (exit code 1) if a ratio is more
than 20 % over the committed one. `--write` stores the ratios of FIGURES as the committed ones.

Conditions: the types, threads and numbers of expressions of the committed run. `make bench-check` keeps to them.
Ratios also differ between kinds of CPU, so each kind has ratios of its own. For a kind that has none, measure an older
commit there with `--write`, and then compare.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PEER = "clipseg"
ALLOWED = 1.2  # a ratio over the committed one
COMMITTED = Path(__file__).parent / "results" / "speed-ratios.json"
CONDITIONS = ("dtype", "threads")


def ratios(figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Of each model: number of expressions -> its shortest time over the peer's.

    Args:
        figures: as `m3att bench speed --json` writes them.

    Raises:
        ValueError: if the peer was not timed.
    """
    contestants = figures["contestants"]
    if PEER not in contestants:
        raise ValueError(f"{PEER} was not timed: add --peer {PEER}")
    peer = contestants[PEER]["seconds"]
    return {
        name: {count: found["least"] / peer[count]["least"] for count, found in own["seconds"].items()}
        for name, own in contestants.items()
        if name != PEER
    }


def slower(found: Mapping[str, Mapping[str, float]], committed: Mapping[str, Mapping[str, float]]) -> list[str]:
    """One line for each committed ratio that was exceeded by more than is allowed, or not measured.

    Args:
        found: of `ratios`.
        committed: the same of an earlier run.
    """
    lines = []
    for name, counts in committed.items():
        for count, before in counts.items():
            now = found.get(name, {}).get(count)
            if now is None:
                lines.append(f"{name}, {count} expressions: not measured")
            elif now > ALLOWED * before:
                lines.append(
                    f"{name}, {count} expressions: {now:.3f} of {PEER}'s time, {before:.3f} before "
                    f"({100 * (now / before - 1):+.0f} %)"
                )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--committed", type=Path, default=COMMITTED)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    try:
        figures = json.loads(given.figures.read_text(encoding="utf-8"))
        found = ratios(figures)
        conditions = {key: figures[key] for key in CONDITIONS}
        kinds = json.loads(given.committed.read_text(encoding="utf-8")) if given.committed.is_file() else {}
        if given.write:
            kinds[figures["cpu"]] = {**conditions, "ratios": found}
            given.committed.write_text(json.dumps(kinds, indent=1) + "\n", encoding="utf-8")
            return 0
        if figures["cpu"] not in kinds:
            known = ", ".join(kinds) or "none"
            raise ValueError(f"no ratios for this kind of CPU, {figures['cpu']}, in {given.committed}; known: {known}")
        before = kinds[figures["cpu"]]
    except (OSError, ValueError, KeyError) as error:
        print(f"speed_check: {error}", file=sys.stderr)
        return 2
    for key, value in conditions.items():
        if before[key] != value:
            print(f"speed_check: {key} is {value}, and {before[key]} in {given.committed}", file=sys.stderr)
            return 2
    for name, counts in found.items():
        for count, ratio in counts.items():
            print(f"{name}, {count} expressions: {ratio:.3f} of {PEER}'s time")
    lines = slower(found, before["ratios"])
    for line in lines:
        print(f"slower: {line}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

"""The check of speed on figures that are made up: what it lets pass, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def figures(one: float, four: float, peer: float = 1.0, dtype: str = "float32", cpu: str = "AVX2") -> dict[str, Any]:
    """As `m3att bench speed --json` writes them; the median is never looked at."""
    own = {"1": {"least": one, "median": 99}, "4": {"least": four, "median": 99}}
    beside = {"1": {"least": peer, "median": 0.1}, "4": {"least": 4 * peer, "median": 0.1}}
    contestants = {"photo": {"seconds": own, "further": 0}, "clipseg": {"seconds": beside, "further": 0}}
    return {"cpu": cpu, "dtype": dtype, "threads": 1, "rounds": 3, "contestants": contestants}


def check(repository: Path, folder: Path, values: object, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "figures.json").write_text(json.dumps(values), encoding="utf-8")
    command = [sys.executable, str(repository / "benchmarks" / "speed_check.py"), "figures.json"]
    return subprocess.run(
        [*command, "--committed", "ratios.json", *options], capture_output=True, text=True, cwd=folder, check=False
    )


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    """With the ratios 0.5 and 0.25."""
    assert check(repository, tmp_path, figures(0.5, 1.0), "--write").returncode == 0
    kept = json.loads((tmp_path / "ratios.json").read_text(encoding="utf-8"))
    assert kept["AVX2"]["ratios"] == {"photo": {"1": 0.5, "4": 0.25}}
    return tmp_path


@pytest.mark.parametrize(
    "values", [figures(0.5, 1.0), figures(0.59, 1.19), figures(5.0, 10.0, peer=10), figures(0.1, 0.1)]
)
def test_up_to_a_fifth_slower_passes_on_a_machine_of_any_speed(repository: Path, folder: Path, values: object) -> None:
    done = check(repository, folder, values)
    assert (done.returncode, done.stderr) == (0, "")


def test_more_than_a_fifth_slower_fails_and_is_named(repository: Path, folder: Path) -> None:
    done = check(repository, folder, figures(0.5, 1.3))
    assert done.returncode == 1
    assert done.stderr == "slower: photo, 4 expressions: 0.325 of clipseg's time, 0.250 before (+30 %)\n"


def test_a_model_that_was_not_timed_fails(repository: Path, folder: Path) -> None:
    values = figures(0.5, 1.0)
    values["contestants"] = {"other": values["contestants"]["photo"], "clipseg": values["contestants"]["clipseg"]}
    done = check(repository, folder, values)
    assert done.returncode == 1 and done.stderr.count("not measured") == 2


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"contestants": {}}, "clipseg was not timed: add --peer clipseg"),
        (figures(0.5, 1.0, dtype="bfloat16"), "dtype is bfloat16, and float32 in ratios.json"),
        (figures(0.5, 1.0, cpu="AVX512"), "no ratios for this kind of CPU, AVX512, in ratios.json; known: AVX2"),
    ],
)
def test_figures_that_cannot_be_compared_are_refused(
    repository: Path, folder: Path, values: object, reason: str
) -> None:
    done = check(repository, folder, values)
    assert (done.returncode, done.stderr) == (2, f"speed_check: {reason}\n")


def test_each_kind_of_cpu_has_ratios_of_its_own(repository: Path, folder: Path) -> None:
    assert check(repository, folder, figures(5.0, 1.0, cpu="AVX512"), "--write").returncode == 0
    assert check(repository, folder, figures(5.0, 1.0, cpu="AVX512")).returncode == 0
    assert check(repository, folder, figures(5.0, 1.0)).returncode == 1

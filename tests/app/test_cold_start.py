"""Commands that need no network load no PyTorch, which takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from m3att.data.shaperef.writer import write_refer

PROBE = """
import sys
from m3att.app.cli import main
code = main(sys.argv[1:])
print(f"ended with {code}, torch loaded: {'torch' in sys.modules}", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cold")
    write_refer(root / "S", "shaperef", {"train": 2, "val": 1, "testA": 1, "testB": 1}, size=64)
    return root


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "models",
        "presets",
        "data check S --dataset shaperef --json report.json",
        "data convert S/shaperef --to jsonl --out lines",
        "data convert S/shaperef --to coco --out coco",
        "data mix S:shaperef --out mixed",
        "train --preset refcoco-swin-b --print-config",
        "train --help",
        "evaluate --help",
    ],
)
def test_no_pytorch_is_loaded(data: Path, line: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *line.split()], capture_output=True, text=True, cwd=data)
    assert done.stderr.splitlines()[-1] == "ended with 0, torch loaded: False", done.stderr


def cpu_seconds(*arguments: str) -> float:
    """CPU seconds of a Python process: the least of three, since the first may have to compile modules."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        seconds.append(after.children_user - before.children_user + after.children_system - before.children_system)
    return min(seconds)


def test_import_and_help_are_quick() -> None:
    start = cpu_seconds("-c", "pass")
    assert cpu_seconds("-c", "import m3att") - start < 0.1
    assert cpu_seconds("-m", "m3att", "--help") - start < 0.25

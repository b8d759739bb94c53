"""docs/extending.md: each example is taken from the page and runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.bounds import check_fit
from m3att.data import open as opening
from m3att.presets import PRESETS
from m3att.protocols import PROTOCOLS, Protocol
from m3att.settings import changed


def example(repository: Path, title: str) -> ModuleType:
    """The Python of a section, run as a module of its own."""
    page = (repository / "docs" / "extending.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    module = ModuleType(title.replace(" ", "_"))
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(code, "docs/extending.md", "exec"), module.__dict__)
    return module


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for split, count in (("train", 3), ("val", 2)):
        (tmp_path / split).mkdir()
        for number in range(count):
            image_HWC = np.full((40, 60, 3), 120, dtype=np.uint8)
            mask_HW = np.zeros((40, 60), dtype=np.uint8)
            image_HWC[5:20, 10 + number : 30] = (220, 30, 30)
            mask_HW[5:20, 10 + number : 30] = 255
            path = tmp_path / split / f"{number}.jpg"
            Image.fromarray(image_HWC).save(path)
            Image.fromarray(mask_HW).save(path.with_suffix(".png"))
            path.with_suffix(".txt").write_text("the red box\nred thing\n", encoding="utf-8")
    return tmp_path


def test_a_new_data_set(
    repository: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = example(repository, "A new data set")
    monkeypatch.setitem(opening.OWN, "pairs", module.open_pairs)
    data = ["--data.dataset", "pairs", "--data.root", str(pairs)]
    tiny = ["--train.batch_size", "4", "--train.steps", "2", "--input.size", "32", "--train.workers", "0"]
    flat = ["--train.early_sizes", "[]", "--train.early_steps", "[]", "--train.category_weight", "0"]
    run = tmp_path / "run"
    assert main(["train", "--preset", "shaperef-tiny-hour", *data, *tiny, *flat, "--out", str(run)]) == 0
    report = tmp_path / "scores.json"
    words = ["evaluate", "--model", str(run / "last"), *data, "--data.split", "val", "--json", str(report)]
    assert main(words) == 0
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert (found["pixels"], found["expressions"], found["images"]) == ("photos", 4, 2)
    model = json.loads((run / "last" / "config.json").read_text(encoding="utf-8"))
    assert model["world"] == ""  # it has seen photos, so it is not said to know ShapeRef
    capsys.readouterr()
    assert main(["evaluate", "--floor", "largest", *data]) == 2
    assert "annotations of all objects" in capsys.readouterr().err


def test_a_new_protocol(repository: Path) -> None:
    row = example(repository, "A new protocol").ROW
    assert isinstance(row, Protocol) and row.name not in PROTOCOLS
    assert row.counting == PROTOCOLS["lavt"].counting


def test_a_new_preset(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = example(repository, "A new preset").ROW
    check_fit(changed(row.config, {}))
    monkeypatch.setitem(PRESETS, "own-photos", row)
    assert main(["train", "--preset", "own-photos", "--print-config"]) == 0
    assert "dataset: jsonl" in capsys.readouterr().out

"""`m3att bench data`, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from m3att.app.cli import main
from m3att.data.shaperef.writer import write_refer


def test_a_data_set_is_opened_weighed_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_refer(tmp_path, "shaperef", {"train": 4}, seed=0, size=64)
    words = ["bench", "data", str(tmp_path), "--dataset", "shaperef", "--size", "32", "--workers", "1", "--images", "3"]
    assert main([*words, "--json", str(tmp_path / "bench.json")]) == 0
    output = capsys.readouterr().out
    assert "cold" in output and "floor: Pillow decodes" in output
    values = json.loads((tmp_path / "bench.json").read_text())
    assert values["opening"]["images"] == 4 and set(values["opening"]["workers"]) <= {"0", "1"}
    assert values["reading"]["images"] == 3 and values["reading"]["whole"] > 0


def test_what_cannot_be_measured_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "data", str(tmp_path)]) == 2
    assert "instances.json" in capsys.readouterr().err
    assert main(["bench", "data", str(tmp_path), "--images", "0"]) == 2
    assert "--images must be at least 1" in capsys.readouterr().err

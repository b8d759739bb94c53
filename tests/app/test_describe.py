"""`m3att data describe` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3att.app.cli import main


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """A COCO json of one image with two cars."""
    photo_HWC = np.full((60, 80, 3), 250, dtype=np.uint8)
    photo_HWC[10:40, 5:35], photo_HWC[10:40, 45:75] = (200, 20, 30), (30, 50, 190)
    Image.fromarray(photo_HWC).save(tmp_path / "a.png")
    outlines = [[[left, 10, left + 30, 10, left + 30, 40, left, 40]] for left in (5, 45)]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 3, "segmentation": outline}
            for number, outline in enumerate(outlines, start=1)
        ],
        "categories": [{"id": 3, "name": "car"}],
    }
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(content))
    return path


def test_it_writes_what_training_reads(objects: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["data", "describe", str(objects), "--out", str(out), "--style", "refcocog", "--split", "val"]
    assert main([*command, "--per-object", "2", "--seed", "3"]) == 0
    assert f"2 objects with 4 expressions on 1 image: {out / 'expressions.json'}" in capsys.readouterr().out
    content = json.loads((out / "expressions.json").read_text())
    texts = [text for entry in content["annotations"] for text in entry["expressions"]]
    assert len(texts) == 4 and all(text.startswith("the ") for text in texts)
    assert {entry["split"] for entry in content["annotations"]} == {"val"}


def test_an_image_that_cannot_be_read_is_told(
    objects: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(objects.read_text())
    content["images"].append({"id": 2, "file_name": "gone.png"})
    objects.write_text(json.dumps(content))
    assert main(["data", "describe", str(objects), "--out", str(tmp_path / "out")]) == 1
    assert "fault: image 2" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "message"), [("--per-object=0", "--per-object"), ("--seed=-1", "--seed")])
def test_numbers_out_of_range_are_refused(
    objects: Path, tmp_path: Path, refused: Callable[..., str], option: str, message: str
) -> None:
    assert message in refused("data", "describe", str(objects), "--out", str(tmp_path / "out"), option)


def test_styles_of_the_command_line_are_those_of_the_library() -> None:
    from m3att.app.describe import _STYLES
    from m3att.data.describe.say import STYLES

    assert _STYLES == STYLES

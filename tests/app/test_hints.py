"""Commands that are printed work when they are pasted into a shell."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.app.scoring import TRAINING_SETTINGS, evaluate_command
from m3att.config import DataConfig

ODD = "it's #1 & $HOME"


def own_data(folder: Path, photos: Path) -> Path:
    """Two own images, whose photos lie elsewhere."""
    photos.mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, split in enumerate(("train", "dev")):
        Image.fromarray(np.full((32, 48, 3), 90, dtype=np.uint8)).save(photos / f"{number}.png")
        mask = [4, 4, 20, 4, 20, 20]
        lines.append(json.dumps({"image": f"{number}.png", "expression": "the red dog", "mask": mask, "split": split}))
    path = folder / "own.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_command_at_the_end_of_a_training_works_as_it_is_printed(
    small_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, photos = own_data(tmp_path / ODD, tmp_path / "pictures of mine"), tmp_path / "pictures of mine"
    monkeypatch.chdir(tmp_path)
    data = ["--data.dataset", "jsonl", "--data.root", str(root), "--image-root", str(photos), "--data.split", "dev"]
    words = ["train", "--config", str(small_config), *data, "--out", f"{ODD}/run", "--train.steps", "1"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"data: jsonl; {root}; photos in {photos}; pixels: photos"
    command = out.splitlines()[-1].partition("score it with: ")[2]
    program, *rest = shlex.split(command)
    assert program == "m3att"
    assert rest[:3] == ["evaluate", "--model", f"{ODD}/run/last"]
    assert main(rest) == 0
    found, said = capsys.readouterr()
    assert "jsonl dev; 1 expression on 1 image" in found and said == ""
    # Without the folder that of the training is taken, and said, where it is still there.
    assert main(["evaluate", "--model", f"{ODD}/run/last"]) == 0
    assert capsys.readouterr().err.startswith(
        f"note: scored on the training's own --data.root {root} --data.image_root"
    )
    root.unlink()
    assert main(["evaluate", "--model", f"{ODD}/run/last"]) == 2
    assert "give its file or folder as --data.root" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"root": "-x", "dataset": "refcoco"},
        {"root": "a b", "image_root": "'", "fault_limit": 0, "seed": 3, "split": "testA"},
        {"root": "x", "pixels": "collage", "cutouts": ("a, b.json", "#c.json"), "collage_side": 64},
        {"images": 3, "grouped": False, "per_image": 2},
    ],
    ids=str,
)
def test_the_command_says_all_in_which_scoring_differs(changes: dict[str, Any]) -> None:
    from m3att.app.scoring import scored_data
    from m3att.settings import SettingsParser, add_settings, changed

    trained = replace(DataConfig(), **changes)
    words = shlex.split(evaluate_command(Path("run/last"), trained))
    parser = SettingsParser("m3att evaluate")
    add_settings(parser, DataConfig, "data", skip=TRAINING_SETTINGS)
    given = parser.parse_args(words[4:], defaults=False).as_dict().get("data", {})
    found = changed(scored_data(trained), given)
    free = {key.removeprefix("data.") for key in TRAINING_SETTINGS} | {"images"}
    assert replace(found, **{name: getattr(trained, name) for name in free}) == trained


def test_the_command_to_go_on_with_works_as_it_is_printed(
    small_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("m3att.app.live.figures_line", interrupted)
        assert (
            main(["train", "--config", str(small_config), "--out", f"{ODD}/run", "--train.validate_every", "1"]) == 130
        )
    said = capsys.readouterr().err.splitlines()[-1]
    assert "m3att: interrupted" in said
    command = said.partition("go on with: ")[2]
    assert main(shlex.split(command)[1:]) == 0
    assert "step 4 of 4" in capsys.readouterr().err

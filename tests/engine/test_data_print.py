"""A run that goes on notices that its data are others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from m3att.config import DataConfig, RunConfig
from m3att.data.held_out import ChosenImages, Portion
from m3att.data.open import MixedSource, open_training
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.writer import write_refer
from m3att.engine.data_print import data_print
from m3att.engine.run_folder import RunFolder
from m3att.engine.train import train
from m3att.errors import ConfigError


@pytest.fixture
def lines(tmp_path: Path, refer_folder: Path) -> Path:
    """Three images with two expressions each, in a JSON Lines file."""
    photo = next(path for path in sorted(refer_folder.rglob("*")) if path.suffix in (".png", ".jpg"))
    path = tmp_path / "data" / "own.jsonl"
    path.parent.mkdir()
    for name in "abcd":
        shutil.copy(photo, path.parent / f"{name}{photo.suffix}")
    outline = [[2, 2, 30, 2, 30, 30, 2, 30]]
    rows = [
        {"image": f"{name}{photo.suffix}", "expression": f"{text} {name}", "mask": outline, "split": split}
        for name, split in (("a", "train"), ("b", "train"), ("c", "train"), ("d", "val"))
        for text in ("the square", "that square")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def own(config: RunConfig, lines: Path, steps: int) -> RunConfig:
    data = DataConfig(root=str(lines), dataset="jsonl", split="val")
    return replace(config, data=data, train=replace(config.train, steps=steps, validate_every=100))


def longer(text: str) -> str:
    return text + text.splitlines()[0].replace("the square", "a square") + "\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (longer, "training data have changed since the run began: 7 expressions, not 6"),
        (lambda text: "\n".join(text.splitlines()[2:]), "training .*: 2 images, not 3, 4 expressions, not 6"),
        (lambda text: text.replace("the square b", "the box b"), "training .*: as many .*, but other texts"),
        (lambda text: "\n".join(reversed(text.splitlines())), "training .*: .* or another order"),
        (lambda text: text.replace("that square d", "it"), "validation data have changed .*: as many images"),
    ],
)
def test_data_that_changed_are_refused_with_what_changed(
    tiny_run: RunConfig, lines: Path, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    out, before = tmp_path / "run", lines.read_text("utf-8")
    train(own(tiny_run, lines, 1), out)
    lines.write_text(change(before), encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as caught:
        train(own(tiny_run, lines, 2), out, resume=True)
    assert "\n" not in str(caught.value) and str(RunFolder(out).data) in str(caught.value)
    lines.write_text(before, encoding="utf-8")
    train(own(tiny_run, lines, 2), out, resume=True)
    assert RunFolder(out).last_metrics()["step"] == 2


def test_without_the_file_a_run_goes_on_and_remembers_its_data_from_then_on(
    tiny_run: RunConfig, lines: Path, tmp_path: Path
) -> None:
    """Runs of earlier versions have none, and who deletes it wants the new data."""
    out = tmp_path / "run"
    train(own(tiny_run, lines, 1), out)
    lines.write_text(longer(lines.read_text("utf-8")), encoding="utf-8")
    RunFolder(out).data.unlink()
    train(own(tiny_run, lines, 2), out, resume=True)
    assert json.loads(RunFolder(out).data.read_text("utf-8"))["training"]["expressions"] == 7


def test_data_that_only_moved_are_the_same(tiny_run: RunConfig, lines: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(own(tiny_run, lines, 1), out)
    moved = tmp_path / "moved"
    lines.parent.rename(moved)
    train(own(tiny_run, moved / lines.name, 2), out, resume=True)
    assert RunFolder(out).last_metrics()["step"] == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_file_is_told(tiny_run: RunConfig, lines: Path, tmp_path: Path, content: str) -> None:
    out = tmp_path / "run"
    train(own(tiny_run, lines, 1), out)
    RunFolder(out).data.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data\.json: damaged; delete it to go on"):
        train(own(tiny_run, lines, 2), out, resume=True)


def test_a_print_has_ids_texts_and_pixels_but_no_place(refer_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(refer_folder, tmp_path / "copy")
    first, second = (
        open_training(DataConfig(root=str(root), split="val"), None)[0] for root in (refer_folder, tmp_path / "copy")
    )
    assert data_print(first) == data_print(second)
    assert data_print(first)["images"] == 6 and data_print(first)["pixels"] == "drawn"
    assert data_print(first)["expressions"] == len(list(first.texts()))
    write_refer(tmp_path / "other", "shaperef", {"train": 6, "val": 4}, seed=2, size=64)
    other = open_training(DataConfig(root=str(tmp_path / "other"), split="val"), None)[0]
    assert data_print(other)["sha256"] != data_print(first)["sha256"]
    texts = list(first.texts())
    assert (
        data_print(ChosenImages(first, [0, 1], ""))["sha256"] != data_print(ChosenImages(first, [0, 2], ""))["sha256"]
    )
    mixed = MixedSource([first, Portion(other, 4)])
    assert data_print(mixed)["images"] == 10
    assert data_print(mixed)["expressions"] == len(texts) + len(list(other.texts()))


def test_scenes_that_are_drawn_are_not_drawn_for_their_print(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ShapeRefSource("shaperef", "train", 10**9, 0)
    monkeypatch.setattr(ShapeRefSource, "texts", lambda self: pytest.fail("draws scenes"))
    assert data_print(source) == {"pixels": "drawn", "images": 10**9}

"""`--image-root` names the folder of the photos in every command that reads photos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from m3att.app.cli import main
from m3att.pretrained import load_model

from .conftest import SMALL


@pytest.fixture
def apart(shaperef: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Annotations, and photos where nobody would look for them."""
    root, photos = tmp_path / "annotations", tmp_path / "far" / "away" / "photos"
    shutil.copytree(shaperef / "shaperef", root / "shaperef")
    photos.parent.mkdir(parents=True)
    shutil.copytree(shaperef / "images/shaperef", photos)
    return root, photos


def test_training_scoring_and_going_on(
    apart: tuple[Path, Path], tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, photos = apart
    config, run = tmp_path / "small.yaml", tmp_path / "run"
    config.write_text(f"{SMALL}data: {{root: {root}, pixels: photos}}\n", encoding="utf-8")
    start = ["train", "--config", str(config), "--out", str(run)]
    assert "give their folder as --image-root" in refused(*start)
    shown = ["train", "--config", str(config), "--dry-run", "--image-root", str(photos), "--json"]
    assert main([*shown, str(tmp_path / "dry.json")]) == 0
    assert json.loads((tmp_path / "dry.json").read_text())["config"]["data"]["image_root"] == str(photos)
    assert main([*start, "--image-root", str(photos)]) == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["image_root"] == str(photos)
    moved = tmp_path / "moved" / "by" / "somebody"
    moved.parent.mkdir(parents=True)
    photos.rename(moved)
    capsys.readouterr()
    more = ["train", "--resume", "--out", str(run)]
    assert "no such folder of images; check --image-root" in refused(*more)
    assert main([*more, "--data.image_root", str(moved)]) == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["image_root"] == str(moved)

    # A model's own training folder is no expectation of where others have their photos.
    model = str(run / "last")
    scored = ["evaluate", "--model", model, "--data.root", str(root)]
    assert load_model(model).config.data.image_root == str(photos)
    capsys.readouterr()
    assert "give their folder as --image-root" in refused(*scored)
    assert main([*scored, "--image-root", str(moved)]) == 0
    assert "pixels: drawn" in capsys.readouterr().out
    assert main(["evaluate", "--floor", "largest", "--data.root", str(root), "--image-root", str(moved)]) == 0


def test_data_commands(apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, photos = apart
    word = ["--image-root", str(photos)]
    main(["data", "check", str(root), "--dataset", "shaperef", *word])
    assert f"photos: {photos}" in capsys.readouterr().out
    copied = ["data", "convert", str(root / "shaperef"), "--to", "jsonl", "--copy-images", "--out"]
    assert main([*copied, str(tmp_path / "without")]) == 1
    assert main([*copied, str(tmp_path / "lines"), *word]) == 0
    assert len(list((tmp_path / "lines/images").iterdir())) == len(list(photos.iterdir()))
    part = f"{root}:shaperef:unc"
    assert main(["data", "mix", part, "--incomplete", "--out", str(tmp_path / "mix"), "--copy-images", *word]) == 0
    assert any((tmp_path / "mix/images/mix/shaperef").iterdir())
    figures = tmp_path / "bench.json"
    words = ["bench", "data", str(root), "--dataset", "shaperef", "--workers", "0", "--images", "2", "--size", "32"]
    assert main([*words, *word, "--json", str(figures)]) == 0
    assert json.loads(figures.read_text())["reading"]["images"] == 2


def test_ablation_rows_get_it_too(apart: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, photos = apart
    config, out = tmp_path / "small.yaml", tmp_path / "out"
    config.write_text(f"{SMALL}data: {{root: {root}, pixels: photos}}\n", encoding="utf-8")
    orders: list[str | None] = []

    def noted(runs: list[object], *rest: object) -> None:
        orders.extend(run.config.data.image_root for run in runs)  # type: ignore[attr-defined]

    monkeypatch.setattr("m3att.app.ablation.command.run_all", noted)
    words = ["ablate", "--table", "1", "--rows", "1-shared", "--config", str(config), "--out", str(out)]
    main([*words, "--image-root", str(photos)])
    assert orders == [str(photos)]

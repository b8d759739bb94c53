"""Data that state no split are divided by image, the same way wherever they are opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3att.app.cli import main
from m3att.config import DataConfig
from m3att.data.held_out import ChosenImages, divide, held_out_images
from m3att.data.open import open_source, open_training

from .counted import CountedSource
from .own_files import square, write_lines, write_picture


class Undivided(CountedSource):
    stated_split = False


@pytest.fixture
def twenty(tmp_path: Path) -> Path:
    lines = []
    for number in range(20):
        write_picture(tmp_path / f"{number}.png")
        lines.append({"image": f"{number}.png", "mask": square(2, 2, 9), "expression": f"thing {number}"})
    return write_lines(tmp_path / "own.jsonl", lines)


@given(st.integers(0, 300), st.floats(0, 0.99), st.integers(0, 5))
def test_every_image_is_in_one_part(images: int, share: float, seed: int) -> None:
    source = Undivided([[1]] * images)
    held_out = held_out_images(images, share, seed)
    assert len(held_out) == int(share * images) == len(set(held_out))
    train, val = (divide(source, split, share, seed) for split in ("train", "val"))
    if held_out:
        assert isinstance(train, ChosenImages) and isinstance(val, ChosenImages)
        assert sorted([*train.images, *val.images]) == list(range(images))
        assert val.images == held_out
    else:
        assert train is val is source


def test_a_part_reads_its_own_images() -> None:
    source = Undivided([[2], [1, 1], [3], [1], [2, 2]])
    part = ChosenImages(source, (1, 4), "by hand")
    assert len(part) == 2
    assert part.expression_groups(1) == source.expression_groups(4)
    assert part.read(0).expressions == source.read(1).expressions
    assert list(part.texts()) == [text for at in (1, 4) for text in source.read(at).expressions]
    assert part.pixels == source.pixels and part.origin == "by hand"


def test_a_stated_split_is_left_as_it_is() -> None:
    source = CountedSource([[1]] * 50)
    assert divide(source, "train", 0.1, 0) is source


def test_training_and_validation_share_no_image(twenty: Path) -> None:
    data = DataConfig(root=str(twenty), dataset="jsonl")
    train, val = open_training(data, None)
    words = [set(source.texts()) for source in (train, val)]
    assert (len(words[0]), len(words[1])) == (18, 2) and not words[0] & words[1]
    assert "training holds out 2 of 20 images (data.held_out 0.1, data.seed 0)" in train.origin
    assert len(open_source(data, "val")) == 20  # scored whole where nothing says otherwise
    assert set(open_source(data, "val", divided=True).texts()) == words[1]
    other = open_training(DataConfig(root=str(twenty), dataset="jsonl", seed=3), None)[1]
    assert set(other.texts()) != words[1]
    assert [len(source) for source in open_training(DataConfig(str(twenty), "jsonl", held_out=0.0), None)] == [20, 20]


def test_check_train_and_evaluate_say_it_alike(
    twenty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(twenty), "--dataset", "jsonl"]) == 0
    assert "training holds out 2 of the 20 images" in capsys.readouterr().out
    run, report = tmp_path / "run", tmp_path / "scores.json"
    small = ["--train.batch_size", "4", "--train.steps", "1", "--input.size", "32", "--train.workers", "0"]
    flat = ["--train.early_sizes", "[]", "--train.early_steps", "[]", "--train.category_weight", "0"]
    data = ["--data.dataset", "jsonl", "--data.root", str(twenty)]
    assert main(["train", "--preset", "shaperef-tiny-hour", *data, *small, *flat, "--out", str(run)]) == 0
    assert "training holds out 2 of 20 images" in capsys.readouterr().out
    for words, images in (([], 2), (data, 2), ([*data, "--data.split", "train"], 18)):
        assert main(["evaluate", "--model", str(run / "last"), *words, "--json", str(report)]) == 0
        assert json.loads(report.read_text(encoding="utf-8"))["images"] == images
    capsys.readouterr()
    assert main(["evaluate", "--model", "shaperef-tiny", *data, "--json", str(report)]) in (0, 1)
    assert json.loads(report.read_text(encoding="utf-8"))["images"] == 20


@pytest.mark.parametrize("seed", range(4))
def test_images_of_one_photo_stay_together(tmp_path: Path, seed: int) -> None:
    """Label Studio's COCO export lists a photo once for each of its annotators; other files, for each expression."""
    photos = [f"{number}.png" for number in range(10)]
    for name in photos:
        write_picture(tmp_path / name)
    images = [{"id": at, "file_name": photos[at % 10], "width": 32, "height": 24} for at in range(30)]
    told = [{"id": at, "image_id": at, "segmentation": [square(2)], "caption": f"thing {at}"} for at in range(30)]
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"images": images, "annotations": told}), encoding="utf-8")
    data = DataConfig(root=str(path), dataset="coco", held_out=0.2, seed=seed)
    train, val = (open_source(data, split, divided=True) for split in ("train", "val"))
    assert len(train) + len(val) == 30 and len(val) >= 6
    texts = [{int(text.split()[1]) % 10 for text in source.texts()} for source in (train, val)]
    assert not texts[0] & texts[1] and texts[0] | texts[1] == set(range(10))
    assert any("20 images of photos that are listed before, under other ids: '0.png'" in note for note in val.notes)


def test_a_single_photo_is_not_held_out(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    images = [{"id": at, "file_name": "1.png"} for at in range(12)]
    told = [{"id": at, "image_id": at, "segmentation": [square(2)], "caption": "it"} for at in range(12)]
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"images": images, "annotations": told}), encoding="utf-8")
    for split in ("train", "val"):
        assert len(open_source(DataConfig(root=str(path), dataset="coco"), split, divided=True)) == 12

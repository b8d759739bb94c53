"""What a training says before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.config import DataConfig, RunConfig, TrainConfig
from m3att.data.open import open_training
from m3att.data.text import Coverage
from m3att.engine.batches import count_steps
from m3att.engine.checkpoint import Position
from m3att.engine.overview import idle_phases, overview
from m3att.engine.start import Start, start_run
from m3att.engine.train import train


def lines_of(config: RunConfig, position: Position = Position()) -> list[str]:  # noqa: B008 - it is frozen
    source, validation = open_training(config.data, config.train.validate_images)
    start = start_run(config, source)
    return overview(config, source, validation, start, count_steps(config, source), position)


def own(tiny_run: RunConfig, folder: Path, rows: list[dict[str, Any]], **settings: Any) -> RunConfig:
    """A run on own images."""
    for number in range(4):
        Image.fromarray(np.full((32, 48, 3), 40 * number, dtype=np.uint8)).save(folder / f"{number}.png")
    path = folder / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    train = replace(tiny_run.train, warmup=0, steps=None, epochs=2.0, batch_size=2, **settings)
    return replace(tiny_run, data=DataConfig(root=str(path), dataset="jsonl"), train=train)


MASK = [4, 4, 20, 4, 20, 20]
ROWS = [
    {"image": "0.png", "expressions": ["the red dog", "a dog"], "mask": MASK, "split": "train"},
    {"image": "0.png", "expression": "the cat", "mask": None, "split": "train"},
    {"image": "1.png", "expression": "the red " * 20, "mask": MASK, "split": "train"},
    {"image": "2.png", "expressions": ["the dog", "the wug", "wugs"], "mask": MASK, "split": "val"},
    {"image": "3.png", "expression": "a dog", "mask": MASK, "split": "val"},
]


def test_oddities_of_the_files_are_told_once(tiny_run: RunConfig, tmp_path: Path) -> None:
    own(tiny_run, tmp_path, ROWS)
    images = [{"id": number, "file_name": f"{number}.png", "split": "train"} for number in (0, 1)]
    annotation = {"id": 7, "image_id": 0, "segmentation": [MASK], "caption": "a dog"}
    path = tmp_path / "all.json"
    entries = [annotation, {**annotation, "image_id": 1}]
    path.write_text(json.dumps({"images": images, "annotations": [*entries, {**entries[0], "id": 8}, *range(9)]}))
    config = replace(tiny_run, data=DataConfig(root=str(path), dataset="coco", split="train"))
    notes = [line for line in lines_of(config) if line.startswith("note: ") and "train." not in line]
    assert notes == [
        *(f"note: {path}: entry {3 + number} of 'annotations' is {number}, no object of fields" for number in range(5)),
        "note: 5 more notes like these",
    ]


def test_data_words_and_length_are_told(tiny_run: RunConfig, tmp_path: Path) -> None:
    config = own(tiny_run, tmp_path, ROWS)
    path = config.data.root
    assert lines_of(config) == [
        f"data: jsonl; {path}; photos in {tmp_path}; pixels: photos",
        "train: 2 images, 4 expressions; of these: 1 without a target, 1 cut at 24 words",
        "validation on val: 2 images, 4 expressions; of these: 1 with unknown words, 1 without a known word",
        "vocabulary: 7 words",
        "run: 4 steps of up to 2 expressions, as train.epochs says: 2 of 2 steps each",
    ]
    fewer = replace(
        config,
        data=replace(config.data, images=1),
        train=replace(config.train, validate_images=1, steps=7),
    )
    found = lines_of(fewer, Position(step=3))
    assert found[1].startswith("train: the first 1 of 2 images (data.images), 3 expressions; in the whole split of 4:")
    assert found[2].startswith("validation on val: the first 1 of 2 images (train.validate_images), 3 expressions;")
    assert found[4] == "run: 7 steps of up to 2 expressions, 3 of them done, as train.steps says; an epoch has 2 steps"


def test_drawn_scenes_have_no_end(tiny_run: RunConfig) -> None:
    found = lines_of(replace(tiny_run, train=replace(tiny_run.train, warmup=0)))
    assert found[0] == "data: shaperef; pixels: drawn"
    assert found[1] == "train: scenes drawn without end"
    assert found[2] == "validation on val: 2 scenes drawn"
    assert found[4] == "run: 8 steps of up to 8 expressions, as train.steps says"


def test_folders_of_the_published_layout_are_named(tiny_run: RunConfig, refer_folder: Path) -> None:
    config = replace(tiny_run, data=replace(tiny_run.data, root=str(refer_folder)))
    assert lines_of(config)[0].startswith(f"data: shaperef; {refer_folder}")
    assert lines_of(config)[0].endswith("pixels: drawn")


def test_what_the_first_model_does_not_know_is_told(tiny_run: RunConfig, tmp_path: Path) -> None:
    config = own(tiny_run, tmp_path, ROWS, init="shaperef-tiny")
    source, validation = open_training(config.data, None)
    fresh = start_run(replace(config, train=replace(config.train, init=None)), source)
    start = Start(fresh.tokenizer, fresh.network, Coverage(4, 0, 2, 1), ("cat", "dog"))
    (line,) = (
        line for line in overview(config, source, validation, start, 4, Position()) if line.startswith("vocabulary")
    )
    assert line == (
        "vocabulary: 5 words of shaperef-tiny and 2 new: cat, dog; --train.new_words false leaves them out; "
        "shaperef-tiny knows no word of 1 of 4 training expressions, and not every word of 2 others"
    )


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"early_sizes": (16,), "early_steps": (9,)}, "it never reaches input.size 416"),
        ({"restarts": (3, 20)}, "train.restarts [20] have no effect: the run ends at step 9"),
        ({"warmup": 99}, "train.warmup 99 is not over when the run ends: the learning rate comes to 0.00045 of 0.005"),
        ({"early_sizes": (16,), "early_steps": (8,), "restarts": (3,), "warmup": 8}, None),
    ],
)
def test_phases_that_a_run_does_not_come_to_are_told(settings: dict[str, Any], note: str | None) -> None:
    train_config = TrainConfig(**{"warmup": 0, **settings})
    found = list(idle_phases(RunConfig(train=train_config), 9))
    assert len(found) == (note is not None)
    assert note is None or found[0].endswith(note)


def test_a_training_announces_it_before_its_first_step(tiny_run: RunConfig, tmp_path: Path) -> None:
    config = own(tiny_run, tmp_path, ROWS)
    events: list[str] = []
    train(
        config, tmp_path / "run", report=lambda *_: events.append("step"), announce=lambda lines: events.extend(lines)
    )
    assert events == [*lines_of(config), *["step"] * 4]

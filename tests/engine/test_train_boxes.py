"""A network learns from boxes alone, beside outlines, and from neither where it is told so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from m3att.config import RunConfig
from m3att.data.masks import mask_box
from m3att.engine.run_folder import RunFolder
from m3att.engine.train import train
from m3att.segmenter import Segmenter

SIDE = 32
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def write_discs(folder: Path, outlined: tuple[str, ...] = ()) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """Photos with a red and a blue disc, each with its box. Some colours have outlines. Returns the boxes."""
    chance = np.random.default_rng(0)
    lines, boxes = [], {}
    y_HW, x_HW = np.mgrid[:SIDE, :SIDE] + 0.5
    for number in range(6):
        photo_HWC = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
        for left, (name, colour) in zip((0, 16), sorted(COLOURS.items(), reverse=number % 2 == 1), strict=True):
            side = 2 * int(chance.integers(4, 7))
            x, y = left + int(chance.integers(0, 17 - side)), int(chance.integers(0, SIDE - side))
            inside_HW = (x_HW - x - side / 2) ** 2 + (y_HW - y - side / 2) ** 2 < (side / 2) ** 2
            photo_HWC[inside_HW] = colour
            place = {"mask": inside_HW.astype(int).tolist()} if name in outlined else {"bbox": [x, y, side, side]}
            lines.append({"image": f"{number}.png", "expression": f"the {name} one", **place})
            boxes[f"{number}.png", name] = (x, y, x + side, y + side)
        Image.fromarray(photo_HWC).save(folder / f"{number}.png")
    (folder / "discs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return boxes


def box_iou(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    overlap = max(across, 0) * max(down, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return overlap / (sum(areas) - overlap)


def config_of(run: RunConfig, folder: Path, steps: int, **changes: float) -> RunConfig:
    data = replace(run.data, dataset="jsonl", flip=False, root=str(folder / "discs.jsonl"), split="train")
    decoder = replace(run.model.decoder, dropout=0.0)
    language = replace(run.model.language, word_dropout=0.0)
    model = replace(run.model, decoder=decoder, language=language)
    settings = replace(
        run.train, steps=steps, learning_rate=5e-3, validate_every=steps, save_every=steps, log_every=steps, **changes
    )
    return replace(run, data=data, model=model, train=settings)


def test_a_network_learns_boxes_without_a_single_outline(tiny_run: RunConfig, tmp_path: Path) -> None:
    boxes = write_discs(tmp_path)
    segmenter = Segmenter.from_pretrained(train(config_of(tiny_run, tmp_path, 80), tmp_path / "run"))
    ious = []
    for (photo, name), box in boxes.items():
        (prediction,) = segmenter.encode(tmp_path / photo).segment([f"the {name} one"])
        ious.append(box_iou(mask_box(prediction.mask), box))
    assert np.mean(ious) > 0.7, ious


@pytest.mark.parametrize(("outlined", "attention"), [((), 0.1), (("red",), 0.1), (("red", "blue"), 0.0)])
def test_batches_of_one_kind_and_of_both_train(
    tiny_run: RunConfig, tmp_path: Path, outlined: tuple[str, ...], attention: float
) -> None:
    write_discs(tmp_path, outlined)
    run = tmp_path / "run"
    train(config_of(tiny_run, tmp_path, 2, attention_weight=attention), run)
    (step,) = [json.loads(line) for line in RunFolder(run).metrics.read_text().splitlines() if "loss/box" in line]
    assert all(np.isfinite(value) for name, value in step.items() if name.startswith("loss/"))
    assert (step["loss/box"] > 0) == (len(outlined) < 2) and (step["loss/mask"] > 0) == (len(outlined) > 0)
    assert (step["loss/attention"] > 0) == (attention > 0)


def test_without_weight_boxes_teach_masks_nothing(tiny_run: RunConfig, tmp_path: Path) -> None:
    write_discs(tmp_path)
    run = tmp_path / "run"
    changes = {"box_weight": 0.0, "attention_weight": 0.1, "reconstruction_weight": 0.0, "weight_decay": 0.0}
    train(config_of(tiny_run, tmp_path, 2, **changes), run)
    (step,) = [json.loads(line) for line in RunFolder(run).metrics.read_text().splitlines() if "loss/box" in line]
    assert step["loss/total"] == 0 and step["loss/attention"] == 0 and step["gradient_norm"] == 0
    assert torch.isfinite(torch.tensor(step["loss/box"]))

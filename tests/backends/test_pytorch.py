"""PyTorch behind the Python API: batches, and sums of half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from m3att import Segmenter
from m3att.backends.pytorch import split_images
from m3att.errors import ConfigError
from m3att.model.grid import Grid
from m3att.model.network import BackboneMaps, EncodedImages

PEOPLE = ["the person in yellow", "the person that is not yellow"]


@pytest.fixture(scope="module")
def masks(repository: Path) -> dict[str, list[np.ndarray]]:
    scene = repository / "examples" / "scene.jpg"
    found = {}
    for dtype in ("float32", "bfloat16", "float16"):
        predictions = Segmenter.from_pretrained("shaperef-tiny", "cpu", dtype).encode(scene).segment(PEOPLE)
        assert all(prediction.mask_logits.dtype == np.float32 for prediction in predictions)
        found[dtype] = [prediction.mask for prediction in predictions]
    return found


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same_masks(masks: dict[str, list[np.ndarray]], dtype: str) -> None:
    for full, half in zip(masks["float32"], masks[dtype], strict=True):
        assert (full & half).sum() / (full | half).sum() > 0.95


def test_half_precision_is_computed_at_all(repository: Path) -> None:
    scene = Segmenter.from_pretrained("shaperef-tiny", "cpu", "bfloat16").encode(repository / "examples" / "scene.jpg")
    full = Segmenter.from_pretrained("shaperef-tiny", "cpu").encode(repository / "examples" / "scene.jpg")
    logits, expected = (one.segment(PEOPLE)[0].mask_logits for one in (scene, full))
    assert np.abs(logits - expected).max() > 0


def test_a_wrong_type_is_named(tiny_model_folder: Path) -> None:
    with pytest.raises(ConfigError, match="dtype 'int8'"):
        Segmenter.from_pretrained(tiny_model_folder, "cpu", "int8")


def test_images_of_a_batch_are_split_into_copies() -> None:
    grid = Grid(16, 32, 16)
    vis_BPC = torch.arange(12.0).reshape(2, 2, 3)
    read_BCHW = torch.arange(4.0).reshape(2, 1, 1, 2)
    first, second = split_images(EncodedImages(vis_BPC, grid, (read_BCHW,)), 2)
    assert torch.equal(second.skips[0], read_BCHW[1:]) and second.skips[0].untyped_storage().nbytes() == 2 * 4
    assert torch.equal(first.vis_BPC, vis_BPC[:1]) and torch.equal(second.vis_BPC, vis_BPC[1:])
    assert second.vis_BPC.untyped_storage().nbytes() == vis_BPC[1:].numel() * 4
    maps = (torch.arange(8.0).reshape(2, 1, 2, 2), torch.arange(2.0).reshape(2, 1, 1, 1))
    _, last = split_images(BackboneMaps(maps, grid, (read_BCHW,)), 2)
    assert torch.equal(last.skips[0], read_BCHW[1:])
    assert [one.flatten().tolist() for one in last.maps] == [[4, 5, 6, 7], [1]]

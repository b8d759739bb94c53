"""A split's masks are rasterised once, whoever reads them, and what cannot be is told as before."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3att.data.annotation import read_segmentation
from m3att.data.open import MixedSource
from m3att.data.refer import mask_table
from m3att.data.refer import source as refer
from m3att.data.refer.source import ReferSource
from m3att.errors import DataError, ImageError


@pytest.fixture
def rasterised(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is rasterised, in order."""
    seen: list[Any] = []

    def noted(segmentation: Any, height: int, width: int, folders: Any = ()) -> Any:
        seen.append(segmentation)
        return read_segmentation(segmentation, height, width, folders)

    for module in (mask_table, refer):
        monkeypatch.setattr(module, "read_segmentation", noted)
    return seen


@pytest.fixture(params=["cache", "no cache"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("M3ATT_CACHE", str(tmp_path / "cache") if request.param == "cache" else "")
    return str(request.param)


def open_train(root: Path) -> ReferSource:
    return ReferSource(root, "refcoco", "unc", "train")


def test_each_mask_is_rasterised_once(write_folder: Any, rasterised: list[Any], cache: str) -> None:
    root = write_folder(photos=True)
    plain = [open_train(root).read(index).masks_MHW for index in range(2)]
    count = len(rasterised)
    assert count == 3  # two referents of one annotation share it
    source = open_train(root)
    MixedSource([source, source]).prepare()
    assert len(rasterised) == 2 * count
    copy = pickle.loads(pickle.dumps(source))  # as a reading process gets it
    for _ in range(2):
        for reader in (source, copy):
            for index, masks_MHW in enumerate(plain):
                assert np.array_equal(reader.read(index).masks_MHW, masks_MHW)
    assert len(rasterised) == 2 * count
    if cache == "cache":  # the next run finds them
        again = open_train(root)
        again.prepare()
        assert np.array_equal(again.read(0).masks_MHW, plain[0])
        assert len(rasterised) == 2 * count


def test_drawn_layouts_have_nothing_to_rasterise(write_folder: Any, rasterised: list[Any]) -> None:
    source = open_train(write_folder())
    source.prepare()
    source.read(0)
    assert rasterised == []


def test_a_changed_file_is_rasterised_anew(write_folder: Any, tiny_content: Any, rasterised: list[Any]) -> None:
    root = write_folder(photos=True)
    open_train(root).prepare()
    tiny_content[1]["annotations"][0]["segmentation"] = [[10, 10, 30, 10, 30, 20, 10, 20]]
    (root / "refcoco" / "instances.json").write_text(json.dumps(tiny_content[1]) + " ")
    source = open_train(root)
    source.prepare()
    assert source.read(0).masks_MHW[0].sum() == 200


def test_a_file_that_changes_after_it_was_read_leaves_no_stale_masks(
    write_folder: Any, tiny_content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3ATT_CACHE", str(tmp_path / "cache"))
    root = write_folder(photos=True)
    early = open_train(root)
    tiny_content[1]["annotations"][0]["segmentation"] = [[10, 10, 30, 10, 30, 20, 10, 20]]
    (root / "refcoco" / "instances.json").write_text(json.dumps(tiny_content[1]) + " ")
    early.prepare()  # as a validation that comes long after its source was opened
    assert early.read(0).masks_MHW[0].sum() == 600
    late = open_train(root)
    late.prepare()
    assert late.read(0).masks_MHW[0].sum() == 200


def test_each_split_and_split_maker_has_its_own(write_folder: Any, tiny_content: Any) -> None:
    root = write_folder(photos=True)
    whole = {split: ReferSource(root, "refcoco", "unc", split).read(0).masks_MHW for split in ("train", "val")}
    for _ in range(2):
        for split, masks_MHW in whole.items():
            source = ReferSource(root, "refcoco", "unc", split)
            source.prepare()
            assert np.array_equal(source.read(0).masks_MHW, masks_MHW)


@pytest.mark.parametrize(
    ("segmentation", "size", "message"),
    [
        ([[1, 2, 3, 4]], (60, 80), "annotation 5 of image 100: the segmentation has no polygon"),
        ([[500, 500, 600, 500, 600, 600]], (60, 80), "annotation 5 of image 100: its mask covers no pixel"),
        ([[10, 10, 30, 10, 30, 40, 10, 40]], (60, 81), "80 x 60, but the annotations say 81 x 60"),
        ([[10, 10, 30, 10, 30, 40]] * 2, (400_000, 400_000), "80 x 60, but the annotations say 400000 x 400000"),
    ],
)
def test_what_cannot_be_rasterised_is_told_when_it_is_read(
    write_folder: Any, tiny_content: Any, segmentation: Any, size: tuple[int, int], message: str
) -> None:
    root = write_folder(tiny_content, photos=True)
    tiny_content[1]["annotations"][0]["segmentation"] = segmentation
    tiny_content[1]["images"][0] |= {"height": size[0], "width": size[1]}
    (root / "refcoco" / "instances.json").write_text(json.dumps(tiny_content[1]))
    source = open_train(root)
    source.prepare()
    with pytest.raises((DataError, ImageError), match=message):
        source.read(0, [0])
    assert source.read(1).masks_MHW.any()


def test_an_image_without_a_size_is_rasterised_when_it_is_read(write_folder: Any, tiny_content: Any) -> None:
    root = write_folder(tiny_content, photos=True)
    for entry in tiny_content[1]["images"]:
        del entry["height"], entry["width"]
    (root / "refcoco" / "instances.json").write_text(json.dumps(tiny_content[1]))
    source = open_train(root)
    source.prepare()
    assert source.read(0).masks_MHW[0].sum() == 600

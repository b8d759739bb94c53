"""The writer: on disk lies what the stream draws, in the layout that RefCOCO has."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from m3att.data.refer.source import ReferSource
from m3att.data.shaperef import writer
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.world import KINDS
from m3att.errors import DataError
from m3att.files import unfinished

IMAGES = {"train": 4, "val": 3, "testA": 2, "testB": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    writer.write_refer(out, "shaperef+", IMAGES, seed=5, size=96)
    return out


def read_json(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "shaperef+" / "instances.json").read_text())
    return found


def read_refs(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pickle.loads((root / "shaperef+" / "refs(unc).p").read_bytes())
    return found


@pytest.mark.parametrize("split", sorted(IMAGES))
def test_disk_gives_what_the_stream_gives(root: Path, split: str) -> None:
    disk = ReferSource(root, "shaperef+", "unc", split)
    stream = ShapeRefSource("shaperef+", split, IMAGES[split], seed=5, size=96)
    assert disk.pixels == "drawn"
    assert len(disk) == len(stream)
    for index in range(len(disk)):
        one, other = disk.read(index), stream.read(index)
        assert np.array_equal(one.image_HWC, other.image_HWC)
        assert np.array_equal(one.masks_MHW, other.masks_MHW)
        for name in ("mask_index_N", "expressions", "expression_ids", "image_id", "skills"):
            assert getattr(one, name) == getattr(other, name)
        assert disk.expression_groups(index) == stream.expression_groups(index)


def test_refs_have_the_keys_of_refcoco(root: Path) -> None:
    raw = (root / "shaperef+" / "refs(unc).p").read_bytes()
    assert raw[:2] == b"\x80\x02", "protocol 2"
    sentences: list[int] = []
    refs = read_refs(root)
    for ref in refs:
        assert set(ref) == {
            "ref_id", "ann_id", "image_id", "split", "category_id", "file_name", "sent_ids", "sentences",
        }  # fmt: skip
        assert ref["sent_ids"] == [sentence["sent_id"] for sentence in ref["sentences"]]
        sentences += ref["sent_ids"]
        for sentence in ref["sentences"]:
            assert set(sentence) == {"tokens", "raw", "sent", "sent_id", "skills"}
            assert " ".join(sentence["tokens"]) == sentence["sent"]
    assert len(set(sentences)) == len(sentences)
    assert len({ref["ref_id"] for ref in refs}) == len(refs)
    assert {ref["split"] for ref in refs} == set(IMAGES)


def test_every_object_is_annotated_exactly(root: Path) -> None:
    instances = read_json(root)
    assert [category["name"] for category in instances["categories"]] == list(KINDS)
    assert len(instances["images"]) == sum(IMAGES.values())
    names = {category["id"]: category["name"] for category in instances["categories"]}
    of_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in instances["annotations"]:
        of_image.setdefault(annotation["image_id"], []).append(annotation)
    assert len({annotation["id"] for annotation in instances["annotations"]}) == len(instances["annotations"])
    for split, count in IMAGES.items():
        source = ShapeRefSource("shaperef+", split, count, seed=5, size=96)
        for index in range(count):
            scene, _ = source.described(index)
            annotations = of_image[source.image_id(index)]
            assert len(annotations) == len(scene.facts.objects)
            for annotation, thing, mask_HW in zip(annotations, scene.facts.objects, scene.masks_OHW, strict=True):
                assert isinstance(annotation["segmentation"]["counts"], str)
                assert np.array_equal(coco_mask.decode(annotation["segmentation"]).astype(bool), mask_HW)
                assert annotation["area"] == thing.visible_area
                assert coco_mask.toBbox(annotation["segmentation"]).tolist() == annotation["bbox"]
                assert names[annotation["category_id"]] == thing.kind
                assert annotation["iscrowd"] == 0
    referents = {(ref["ann_id"], ref["category_id"]) for ref in read_refs(root)}
    assert referents <= {(annotation["id"], annotation["category_id"]) for annotation in instances["annotations"]}
    assert len(referents) < len(instances["annotations"])


def test_images_lie_where_the_layout_has_them(root: Path) -> None:
    names = {entry["file_name"] for entry in read_json(root)["images"]}
    assert {path.name for path in (root / "images" / "shaperef+").iterdir()} == names
    assert not list(root.rglob("*.part"))


def test_a_folder_whose_writer_was_killed_is_filled_anew(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "root")
    left = unfinished(tmp_path / "root" / "shaperef+" / "instances.json")
    left.touch()
    writer.write_refer(tmp_path / "root", "shaperef+", IMAGES, seed=5, size=96)
    assert read_json(tmp_path / "root") == read_json(root)


def test_same_seed_same_files(root: Path, tmp_path: Path) -> None:
    writer.write_refer(tmp_path, "shaperef+", IMAGES, seed=5, size=96)
    for path in (path for path in root.rglob("*") if path.is_file()):
        assert (tmp_path / path.relative_to(root)).read_bytes() == path.read_bytes()


def test_progress_and_starting_anew(tmp_path: Path) -> None:
    writer.write_refer(tmp_path, "shaperef", {"val": 3}, size=64)
    steps: list[tuple[int, int]] = []
    with pytest.raises(DataError, match=r"holds a ShapeRef of other settings: .* --overwrite"):
        writer.write_refer(tmp_path, "shaperef", {"val": 2}, size=64)
    assert len(ReferSource(tmp_path, "shaperef", "unc", "val")) == 3  # nothing was touched
    writer.write_refer(
        tmp_path,
        "shaperef",
        {"val": 2},
        size=64,
        progress=lambda done, total: steps.append((done, total)),
        overwrite=True,
    )
    assert steps == [(1, 2), (2, 2)]
    assert len(list((tmp_path / "images" / "shaperef").iterdir())) == 2


def test_a_run_cut_short_is_no_data_set_and_can_be_taken_up(tmp_path: Path) -> None:
    def cut(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    writer.write_refer(tmp_path, "shaperef", {"val": 3}, size=64)
    with pytest.raises(KeyboardInterrupt):
        writer.write_refer(tmp_path, "shaperef", {"val": 3}, size=64, progress=cut)
    assert not (tmp_path / "shaperef" / "instances.json").exists()
    with pytest.raises(DataError):
        ReferSource(tmp_path, "shaperef", "unc", "val")
    writer.write_refer(tmp_path, "shaperef", {"val": 3}, size=64)
    assert len(ReferSource(tmp_path, "shaperef", "unc", "val")) == 3


@pytest.mark.parametrize("place", ["shaperef/notes.txt", "images/shaperef/holiday.jpg", "shaperef", "images/shaperef"])
def test_what_is_not_ours_is_left_alone(tmp_path: Path, place: str) -> None:
    foreign = tmp_path / place
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("mine")
    with pytest.raises(DataError, match=foreign.name) as caught:
        writer.write_refer(tmp_path, "shaperef", {"val": 1}, size=64)
    assert "\n" not in str(caught.value)
    assert foreign.read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [foreign]


def test_a_foreign_file_beside_ours_is_left_alone(tmp_path: Path) -> None:
    writer.write_refer(tmp_path, "shaperef", {"val": 1}, size=64)
    foreign = tmp_path / "images" / "shaperef" / "holiday.jpg"
    foreign.write_text("mine")
    with pytest.raises(DataError, match="holiday"):
        writer.write_refer(tmp_path, "shaperef", {"val": 1}, size=64)
    assert (tmp_path / "shaperef" / "instances.json").exists()


@pytest.mark.parametrize(("images", "named"), [({}, "no images"), ({"val": 0}, "no images"), ({"valid": 3}, "valid")])
def test_what_cannot_be_asked_for(tmp_path: Path, images: dict[str, int], named: str) -> None:
    with pytest.raises(DataError, match=named):
        writer.write_refer(tmp_path, "shaperef", images)
    assert list(tmp_path.iterdir()) == []

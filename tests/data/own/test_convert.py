"""Conversions lose nothing: what comes back equals what went in, entry by entry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3att.data.own.convert import convert
from m3att.data.own.read import read_content
from m3att.data.own.source import CustomSource, open_jsonl
from m3att.data.own.standard import FORMS, Form
from m3att.data.own.tools import open_coco
from m3att.data.refer.source import ReferSource
from m3att.errors import DataError

from ..own_files import HEIGHT, WIDTH, square, write_lines, write_mask, write_picture

WAYS = [("coco",), ("jsonl",), ("refer",), ("coco", "jsonl"), ("jsonl", "coco")]


def there_and_back(place: Path, way: tuple[Form, ...], out: Path) -> Path:
    """Converts along the way and to the REFER layout at last; returns the data set's folder there."""
    name = place.name
    for number, form in enumerate((*way, "refer")):
        convert(place, form, out / str(number))  # type: ignore[arg-type]
        place = out / str(number) / name if form == "refer" else out / str(number)
    return place


def facts(source: CustomSource | ReferSource) -> dict[str, list[tuple[str, bytes]]]:
    """Expressions and masks by photo."""
    found = {}
    for index in range(len(source)):
        sample = source.read(index)
        masks = [sample.masks_MHW[row].tobytes() for row in sample.mask_index_N]
        found[source.image_path(index).name] = sorted(zip(sample.expressions, masks, strict=True))
    return found


@pytest.mark.parametrize("way", WAYS)
def test_a_tiny_refer_set_comes_back(write_folder: Any, tiny_content: Any, tmp_path: Path, way: Any) -> None:
    refs, instances = tiny_content
    refs[2]["sentences"][0]["raw"] = "Car, on the RIGHT! 🚗"
    del refs[3]["sentences"][0]["sent"]  # only what was typed
    refs[4]["sentences"] = []  # a referent that nobody describes
    refs.append({**refs[0], "ref_id": 77, "ann_id": 5, "split": "val"})  # one annotation, two splits
    refs.append({**refs[0], "ref_id": 78, "ann_id": 4040})  # no such annotation
    instances["annotations"].append({**instances["annotations"][3], "id": 8})  # an id that stands twice
    instances["annotations"][1]["segmentation"] = {"size": [60, 80], "counts": [3, 2, 4795]}
    instances["licenses"] = [{"id": 3, "name": "CC"}]
    del instances["annotations"][3]["segmentation"]
    root = write_folder((refs, instances), photos=True)
    before = read_content(root / "refcoco")
    after = read_content(there_and_back(root / "refcoco", way, tmp_path / "out"))
    assert after.refs == refs == before.refs
    assert after.instances == instances
    assert (after.dataset, after.split_by) == ("refcoco", "unc")
    assert after.image_root.resolve() == before.image_root.resolve()  # a link leads there


@pytest.mark.parametrize("dataset", ["refcoco", "refcoco+"])
def test_real_photos_come_back(refer_photos: Path, tmp_path: Path, dataset: str) -> None:
    before = read_content(refer_photos / dataset)
    expected = facts(ReferSource(refer_photos, dataset, "unc", "train"))
    assert len(before.instances["annotations"]) == 107
    for way in WAYS:
        after = read_content(there_and_back(refer_photos / dataset, way, tmp_path / "-".join(way)))
        assert after.refs == before.refs
        assert after.instances == before.instances
    assert facts(open_coco(tmp_path / "coco" / "0", "train")) == expected
    assert facts(open_jsonl(tmp_path / "jsonl" / "0", "train")) == expected
    assert facts(ReferSource(tmp_path / "coco" / "1", dataset, "unc", "train")) == expected


def test_real_boxes_come_back(thin_boxes: Path, tmp_path: Path) -> None:
    before = read_content(thin_boxes / "refcoco")
    assert any(entry["id"] > 2**32 for entry in before.instances["annotations"])
    after = read_content(there_and_back(thin_boxes / "refcoco", ("coco", "jsonl"), tmp_path))
    assert after.refs == before.refs
    assert after.instances == before.instances


def own_coco() -> dict[str, Any]:
    return {
        "info": {"year": 2026},
        "images": [{"id": 4, "file_name": "0.png", "height": HEIGHT, "width": WIDTH, "licence": 1}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 7, "segmentation": [square(2)], "captions": ["left", "القطة"]},
            {"id": 2, "image_id": 4, "segmentation": [square(20)], "note": "x"},
            {"id": 3, "image_id": 4, "segmentation": [square(8)], "text": "middle 🐈", "split": "val"},
            {"id": 3, "image_id": 4, "segmentation": [square(9)]},
        ],
        "categories": [{"id": 7, "name": "dog"}],
        "more": {"a": [1, None]},
    }


@pytest.mark.parametrize("form", FORMS)
def test_an_own_coco_json_comes_back(tmp_path: Path, form: Form) -> None:
    data = own_coco()
    data["annotations"][0]["split"] = "train"
    write_picture(tmp_path / "in" / "0.png")
    (tmp_path / "in" / "own.json").write_text(json.dumps(data))
    convert(tmp_path / "in", form, tmp_path / "there")
    place = tmp_path / "there" / "custom" if form == "refer" else tmp_path / "there"
    written = convert(place, "coco", tmp_path / "back")
    assert json.loads(written.path.read_text()) == data
    if form == "refer":
        source = ReferSource(tmp_path / "there", "custom", "own", "val")
        assert (source.pixels, source.read(0).expressions) == ("photos", ("middle 🐈",))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("split", ["val", None])
def test_own_lines_come_back(tmp_path: Path, form: Form, split: str | None) -> None:
    folder = tmp_path / "in"
    for number in range(2):
        write_picture(folder / f"{number}.png", 50 * number)
    write_mask(folder / "masks" / "a.png", 20)
    stated = {"split": split} if split else {}
    lines = [
        {
            "image": "0.png",
            "expression": "left",
            "mask": [square(2)],
            "category": "cat",
            "author": {"name": "أ"},
            **stated,
        },
        {"image": "1.png", "captions": ["a", "b 🐈"], "mask": "masks/a.png", "id": [1, "k"], **stated},
        {"image": "0.png", "expression": "the left", "mask": [square(2)], "category": "cat", **stated},
        {"image": "0.png", "expression": "nothing here", "mask": None, **stated},
    ]
    path = write_lines(folder / "own.jsonl", lines)
    before = facts(open_jsonl(path, "val"))
    convert(path, form, tmp_path / "there", copy_images=form == "coco")
    place = tmp_path / "there" / "custom" if form == "refer" else tmp_path / "there"
    written = convert(place, "jsonl", tmp_path / "back")
    assert facts(open_jsonl(tmp_path / "back", "val")) == before
    back = [json.loads(line) for line in written.path.read_text(encoding="utf-8").splitlines()]
    for line, own in zip(back, lines, strict=True):
        assert Path(line.pop("image")).name == own["image"]
        mask = line.pop("mask")
        assert mask == own["mask"] or isinstance(own["mask"], str)
        assert line == {key: value for key, value in own.items() if key not in ("image", "mask")}
    if form == "refer":
        source = ReferSource(tmp_path / "there", "custom", "own", split or "train")
        assert facts(source) == before
    elif form == "coco":
        assert facts(open_coco(tmp_path / "there", "val")) == before


def test_images_are_copied_where_asked(tmp_path: Path) -> None:
    write_picture(tmp_path / "in" / "deep" / "0.png")
    write_picture(tmp_path / "beside.png")
    lines = [
        {"image": name, "expression": name, "mask": square(2)} for name in ("deep/0.png", "../beside.png", "gone.png")
    ]
    path = write_lines(tmp_path / "in" / "own.jsonl", lines)
    with pytest.raises(DataError, match=r"'\.\./beside\.png' lies outside .*: add --copy-images"):
        convert(path, "refer", tmp_path / "linked")
    assert not (tmp_path / "linked").exists()
    written = convert(path, "refer", tmp_path / "copied", copy_images=True)
    assert [fault.rpartition("/")[2] for fault in written.faults] == ["gone.png: no such image"]
    shutil.rmtree(tmp_path / "in")
    source = ReferSource(tmp_path / "copied", "custom", "own", "train")
    assert [source.read(index).expressions[0] for index in range(2)] == ["deep/0.png", "../beside.png"]


def test_nothing_stays_of_a_conversion_that_failed(
    tmp_path: Path, refer_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for form in FORMS:
        with pytest.raises(OSError, match="No space left"):
            convert(refer_photos / "refcoco", form, tmp_path / "out", copy_images=True)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, write_folder: Any) -> None:
    root = write_folder()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="holds something already"):
        convert(root / "refcoco", "coco", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    (tmp_path / "out.part").mkdir()  # somebody's own
    (tmp_path / "out" / "mine.txt").unlink()
    convert(root / "refcoco", "coco", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["expressions.json"]
    assert (tmp_path / "out.part").is_dir()


@pytest.mark.parametrize("name", ["file", "file/out", "file/new/out"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, write_folder: Any, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"/file: is a file; name a folder as --out$"):
        convert(write_folder() / "refcoco", "coco", tmp_path / name)


def test_a_link_to_an_empty_folder_is_filled_and_stays(tmp_path: Path, write_folder: Any) -> None:
    root = write_folder()
    (tmp_path / "store").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "store")
    convert(root / "refcoco", "coco", tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and (tmp_path / "store" / "expressions.json").is_file()


def test_the_folder_that_one_is_in_is_not_replaced(
    tmp_path: Path, write_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match=r"^\.: is the folder that you are in; name a new one as --out$"):
        convert(root / "refcoco", "coco", Path("."))
    assert (tmp_path / "here").samefile(".")


def test_what_is_no_data_set_is_told(tmp_path: Path, write_folder: Any) -> None:
    root = write_folder()
    with pytest.raises(DataError, match="name one of its data sets: refcoco"):
        read_content(root)
    shutil.copy(root / "refcoco" / "refs(unc).p", root / "refcoco" / "refs(google).p")
    with pytest.raises(DataError, match=r"has refs of google, unc; say which by --split-by"):
        read_content(root / "refcoco")
    assert read_content(root / "refcoco", "google").split_by == "google"
    with pytest.raises(DataError, match=r"has no refs\(umd\)\.p"):
        read_content(root / "refcoco", "umd")
    with pytest.raises(DataError, match="no such file"):
        read_content(tmp_path / "nowhere")


def test_a_changed_number_of_expressions_is_told(tmp_path: Path, write_folder: Any) -> None:
    written = convert(write_folder() / "refcoco", "coco", tmp_path / "out")
    data = json.loads(written.path.read_text())
    data["annotations"][0]["expressions"].append("one more")
    written.path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="remove 'refer' from all annotations"):
        read_content(written.path)
    data["annotations"][0]["expressions"] = ["changed", "the man", "person beside the car"]
    written.path.write_text(json.dumps(data))
    assert read_content(written.path).refs[0]["sentences"][0]["sent"] == "changed"


def test_an_annotation_with_a_field_of_ours(tmp_path: Path, write_folder: Any, tiny_content: Any) -> None:
    tiny_content[1]["annotations"][0]["caption"] = "someone's own"
    with pytest.raises(DataError, match="annotation 5 has a field 'caption' of its own"):
        convert(write_folder(tiny_content) / "refcoco", "coco", tmp_path / "out")


def test_masks_that_cannot_be_drawn_are_named_and_kept(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    lines = [{"image": "a.png", "expression": name, "mask": mask} for name, mask in (("x", [[1, 2]]), ("y", "no.png"))]
    written = convert(write_lines(tmp_path / "own.jsonl", lines), "coco", tmp_path / "out")
    assert len(written.faults) == 2
    assert read_content(written.path).instances["annotations"][0]["segmentation"] == [[1, 2]]
    assert np.array_equal(read_content(written.path).refs[0]["ann_id"], 1)


@pytest.mark.parametrize("way", WAYS)
def test_expressions_for_several_objects_or_none(
    write_folder: Any, tiny_content: Any, tmp_path: Path, way: Any
) -> None:
    """gRefCOCO: its referents are lists of annotations, in a file of their own."""
    refs, instances = tiny_content
    refs[0]["ann_id"], refs[1]["ann_id"], refs[1]["no_target"] = [5, 6], [-1], True
    for ref in refs[2:]:
        ref["ann_id"] = [ref["ann_id"]]
    root = write_folder((refs, instances), photos=True)
    (root / "refcoco").rename(root / "grefcoco")
    (root / "grefcoco" / "refs(unc).p").unlink()
    (root / "grefcoco" / "grefs(unc).json").write_text(json.dumps(refs))
    expected = facts(ReferSource(root, "grefcoco", "unc", "train"))
    place = there_and_back(root / "grefcoco", way, tmp_path / "out")
    assert (place / "grefs(unc).json").is_file()
    assert (read_content(place).refs, read_content(place).instances) == (refs, instances)
    first = tmp_path / "out" / "0"
    if way[0] != "refer":
        source = open_coco(first, "train") if way[0] == "coco" else open_jsonl(first, "train")
        assert facts(source) == expected
        assert source.faults == ()


def test_ids_of_text(write_folder: Any, tiny_content: Any, tmp_path: Path) -> None:
    """RefCLEF's annotations are numbered within their image, and have run lengths in a list."""
    refs, instances = tiny_content
    for annotation in instances["annotations"]:
        annotation["id"] = f"{annotation['image_id']}_{annotation['id'] % 10}"
        annotation["segmentation"] = [{"size": [60, 80], "counts": [3, 20, 4777]}]
    for ref in refs:
        ref["ann_id"] = f"{ref['image_id']}_{ref['ann_id']}"
    root = write_folder((refs, instances))
    for way in WAYS:
        after = read_content(there_and_back(root / "refcoco", way, tmp_path / "-".join(way)))
        assert (after.refs, after.instances) == (refs, instances)


def test_expressions_of_an_image_that_stands_twice_are_told(tmp_path: Path) -> None:
    outline = {"category_id": 1, "segmentation": [square(4)]}
    data = {
        "images": [{"id": 1, "file_name": "0.png"}, {"id": 2, "file_name": "1.png"}, {"id": 1, "file_name": "2.png"}],
        "annotations": [
            {"id": 1, "image_id": 1, "expression": "lost", **outline},
            {"id": 2, "image_id": 2, "expression": "kept", **outline},
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "own.json").write_text(json.dumps(data))
    written = convert(tmp_path / "own.json", "jsonl", tmp_path / "out")
    assert written.expressions == 1
    assert ["image id 1 stands twice: 0.png, 2.png" in fault for fault in written.faults] == [True]

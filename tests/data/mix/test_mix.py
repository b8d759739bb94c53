"""The union of data sets that share photos: what any of them is scored on is not trained on."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from m3att.data.mix import mix as mixing
from m3att.data.mix.mix import mix
from m3att.data.mix.parts import Part, find_holders
from m3att.data.refer.records import read_refs
from m3att.data.refer.source import ReferSource
from m3att.errors import DataError

from ..own_files import HEIGHT, WIDTH, square, write_picture

Ref = tuple[int, str]  # photo, split


def write_set(root: Path, dataset: str, split_by: str, refs: list[Ref], shift: float = 0) -> None:
    """A data set of one referent a row; each photo has a crowd region and an object that nobody names too."""
    folder = root / dataset
    folder.mkdir(parents=True, exist_ok=True)
    photos = sorted({photo for photo, _ in refs})
    entries, annotations = [], []
    for number, (photo, split) in enumerate(refs):
        text = f"{dataset} {split} {photo}"
        sentences = [{"sent_id": 2 * number + at, "sent": f"{text} {at}", "raw": text, "tokens": []} for at in range(2)]
        entries.append(
            {"ref_id": number, "ann_id": photo * 10, "image_id": photo, "category_id": 1, "split": split,
             "sent_ids": [2 * number, 2 * number + 1], "sentences": sentences, "file_name": f"x_{number}.jpg"}
        )  # fmt: skip
    for photo in photos:
        outline = square(2 + shift)
        annotations.append(
            {"id": photo * 10, "image_id": photo, "category_id": 1, "bbox": [2 + shift, 4, 10, 8], "area": 80,
             "iscrowd": 0, "segmentation": [outline]}
        )  # fmt: skip
        annotations.append({**annotations[-1], "id": 9 * 10**11 + photo, "iscrowd": 1})
    names = {photo: f"COCO_train2014_{photo:012d}.jpg" for photo in photos}
    if dataset == "refclef":
        names = {photo: f"{photo}.jpg" for photo in photos}
    images = [{"id": photo, "file_name": names[photo], "height": HEIGHT, "width": WIDTH} for photo in photos]
    categories = [{"id": 1, "name": "person" if dataset != "refclef" else "man"}]
    (folder / f"refs({split_by}).p").write_bytes(pickle.dumps(entries, protocol=2))
    (folder / "instances.json").write_text(
        json.dumps({"info": {"made": 1}, "images": images, "annotations": annotations, "categories": categories})
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """RefCOCO and RefCOCOg on photos 1 to 8, as leaky as the real ones."""
    write_set(
        tmp_path, "refcoco", "unc",
        [(1, "train"), (2, "train"), (3, "train"), (4, "train"), (5, "val"), (6, "testA"), (7, "testB")],
    )  # fmt: skip
    write_set(
        tmp_path, "refcocog", "umd",
        # 5 is scored by RefCOCO, 2 and 3 are scored here, 6 is validated on here and tested on there.
        [(1, "train"), (5, "train"), (8, "train"), (2, "val"), (6, "val"), (3, "test")],
    )  # fmt: skip
    return tmp_path


def parts(root: Path, *texts: str) -> list[Part]:
    return [Part.parse(f"{root}:{text}") for text in texts]


def test_no_photo_that_is_scored_on_is_trained_on(root: Path) -> None:
    for photo in range(1, 9):
        write_picture(root / "images/mscoco/images/train2014" / f"COCO_train2014_{photo:012d}.jpg", photo)
    report = mix(parts(root, "refcoco:unc", "refcocog"), root / "out")
    train = ReferSource(root / "out", "mix", "union", "train")
    val = ReferSource(root / "out", "mix", "union", "val")
    assert train.pixels == "photos"
    assert train.image_ids == [1, 4, 8]
    assert val.image_ids == [2, 5]
    texts = tuple(f"{name} train 1 {at}" for name in ("refcoco", "refcocog") for at in (0, 1))
    assert train.read(0).expressions == texts
    assert train.read(0).masks_MHW.shape[0] == 1  # the same annotation in both
    assert (report.train_leaks, report.val_leaks) == (0, 0)
    first, second = report.parts
    assert (first.train_before.images, first.train_after.images) == (4, 2)
    assert first.removed_for == {"refcocog (umd) test": 1, "refcocog (umd) val": 1}
    assert second.removed_for == {"refcoco (unc) val": 1}
    assert (second.val_before.refs, second.val_after.refs) == (2, 1)
    assert (report.train.refs, report.train.sentences, report.train.images) == (4, 8, 3)
    assert json.loads((root / "out" / "mix.json").read_text())["train"] == {"refs": 4, "sentences": 8, "images": 3}
    page = (root / "out" / "mix.md").read_text()
    assert "| refcoco (unc) | 4 / 8 / 4 | 2 / 4 / 2 | 1 / 2 / 1 | 1 / 2 / 1 |" in page
    assert "0 training images" in page


def test_ids_are_unique_and_say_where_they_come_from(root: Path) -> None:
    mix(parts(root, "refcoco", "refcocog:umd"), root / "out")
    refs, _ = read_refs(root / "out" / "mix" / "refs(union).p")
    assert len({ref["ref_id"] for ref in refs}) == len(refs)
    sent_ids = [sentence["sent_id"] for ref in refs for sentence in ref["sentences"]]
    assert len(set(sent_ids)) == len(sent_ids)
    assert [ref["sent_ids"] for ref in refs] == [[s["sent_id"] for s in ref["sentences"]] for ref in refs]
    assert refs[0]["extra"]["from"] == {"dataset": "refcoco", "split_by": "unc", "ref_id": 0, "sent_ids": [0, 1]}
    instances = json.loads((root / "out" / "mix" / "instances.json").read_text())
    ids = [entry["id"] for entry in instances["annotations"]]
    assert len(set(ids)) == len(ids) == 10  # two a photo
    assert instances["info"] == {"made": 1}


def test_annotations_that_differ_are_both_kept(root: Path) -> None:
    write_set(root, "refcoco+", "unc", [(1, "train"), (5, "val"), (6, "testA"), (7, "testB")], shift=5)
    mix(parts(root, "refcoco", "refcoco+"), root / "out")
    source = ReferSource(root / "out", "mix", "union", "train", pixels="layout")
    sample = source.read(source.image_ids.index(1))
    assert sample.masks_MHW.shape[0] == 2
    assert sample.mask_index_N == (0, 0, 1, 1)


def test_a_set_can_only_be_held_out(root: Path) -> None:
    held = Part.parse(f"{root}:refcocog:umd", trains=False)
    report = mix([*parts(root, "refcoco"), held], root / "out")
    assert ReferSource(root / "out", "mix", "union", "train").image_ids == [1, 4]
    assert ReferSource(root / "out", "mix", "union", "val").image_ids == [5]
    assert report.parts[1].train_after.refs == 0
    assert "refcocog (umd), held out only" in report.to_markdown()


def test_photos_of_other_families_keep_apart(root: Path) -> None:
    write_set(root, "refclef", "berkeley", [(1, "train"), (2, "train"), (3, "val"), (4, "test")])
    mix(parts(root, "refcoco", "refcocog", "refclef:berkeley"), root / "out")
    source = ReferSource(root / "out", "mix", "union", "train", pixels="layout")
    assert len(source) == 5  # RefCLEF's photos 1 and 2 are not COCO's
    assert len(set(source.image_ids)) == 5
    assert set(source.categories.values()) == {"person", "man"}


def test_a_missing_test_split_stops_it(root: Path) -> None:
    write_set(root, "refcoco", "unc", [(1, "train"), (5, "val"), (6, "testA")])
    with pytest.raises(DataError, match=r"refcoco \(unc\) has no testB: .* --incomplete"):
        mix(parts(root, "refcoco", "refcocog"), root / "out")
    report = mix(parts(root, "refcoco", "refcocog"), root / "out", incomplete=True)
    assert "**Not proven** for splits that the files do not hold: refcoco (unc): testB." in report.to_markdown()


def test_a_leak_would_be_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing.Mixture, "is_safe", lambda self, part, ref: ref["split"] in ("train", "val"))
    with pytest.raises(DataError, match=r"leaks 3 \+ 1 photos"):
        mix(parts(root, "refcoco", "refcocog"), root / "out")
    assert not (root / "out").exists()


def test_copied_photos_are_the_safe_ones_alone(root: Path) -> None:
    for photo in range(1, 9):
        write_picture(root / "images/mscoco/images/train2014" / f"COCO_train2014_{photo:012d}.jpg", photo)
    mix(parts(root, "refcoco", "refcocog"), root / "out", copy_images=True)
    copied = sorted(int(path.stem[-2:]) for path in (root / "out" / "images" / "mix" / "coco").iterdir())
    assert copied == [1, 2, 4, 5, 8]
    assert ReferSource(root / "out", "mix", "union", "train").pixels == "photos"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("refcoco", "write ROOT:DATASET:SPLIT_BY"),
        ("data:refcocoo:unc", "unknown data set"),
        ("data:refcoco:umd", "give one of unc, google"),
        (":refcoco:", "write ROOT"),
    ],
)
def test_what_names_no_data_set(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Part.parse(text)


def test_nothing_left_to_train_on(tmp_path: Path) -> None:
    write_set(tmp_path, "refcoco", "unc", [(1, "train"), (5, "val"), (6, "testA"), (7, "testB")])
    write_set(tmp_path, "refcocog", "umd", [(9, "train"), (1, "val"), (3, "test")])
    held = Part.parse(f"{tmp_path}:refcocog:umd", trains=False)
    with pytest.raises(DataError, match="no training referent is left"):
        mix([*parts(tmp_path, "refcoco"), held], tmp_path / "out")


def test_a_photo_under_a_wrong_name_is_told(root: Path) -> None:
    path = root / "refcoco" / "instances.json"
    content: dict[str, Any] = json.loads(path.read_text())
    content["images"][0]["file_name"] = f"COCO_train2014_{6:012d}.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="another photo of COCO"):
        mix(parts(root, "refcoco", "refcocog"), root / "out")


def test_the_real_union(thin_boxes: Path, tmp_path: Path) -> None:
    """All of it gives 84,682 + 7,616 referents, and no photo is lost: both sets were split by the same photos."""
    report = mix(parts(thin_boxes, "refcoco", "refcoco+"), tmp_path / "out", incomplete=True)
    before = [part.train_before for part in report.parts]
    assert report.train.refs == sum(tally.refs for tally in before) > 4000
    assert report.train.sentences == sum(tally.sentences for tally in before)
    assert report.val.images == max(part.val_before.images for part in report.parts)
    assert (report.train_leaks, report.val_leaks) == (0, 0)
    assert {part.absent for part in report.parts} == {("testA", "testB")}
    source = ReferSource(tmp_path / "out", "mix", "union", "val")
    assert (source.pixels, sum(1 for _ in source.texts())) == ("layout", report.val.sentences)


def test_a_referent_without_its_annotation_is_named_and_left_out(root: Path) -> None:
    path = root / "refcoco" / "instances.json"
    instances = json.loads(path.read_text())
    own = [entry for entry in instances["annotations"] if entry["id"] == 10]  # of photo 1, which is safe
    others = [entry for entry in instances["annotations"] if entry["id"] != 10]
    whole = mix(parts(root, "refcoco"), root / "whole", incomplete=True)
    faults = (
        ("stands twice", [*others, *own, *own]),
        ("its image does not have", others),
        ("its image does not have", [*others, {**own[0], "image_id": 2}]),
    )
    for number, (what, kept) in enumerate(faults):
        path.write_text(json.dumps({**instances, "annotations": kept}))
        report = mix(parts(root, "refcoco"), root / f"out{number}", incomplete=True)
        reason = f"refcoco (unc): referent 0 names annotation 10, which {what}"
        assert report.parts[0].left_out == (reason,)
        assert f"- {reason}" in report.to_markdown()
        assert report.train.refs == report.parts[0].train_after.refs == whole.train.refs - 1


def test_too_many_such_referents_stop_it(root: Path) -> None:
    path = root / "refcoco" / "instances.json"
    instances = json.loads(path.read_text())
    path.write_text(json.dumps({**instances, "annotations": instances["annotations"] * 2}))
    with pytest.raises(DataError, match=r"which stands twice; \d+ referents .* more than --fault-limit 0: mend them"):
        mix(parts(root, "refcoco"), root / "out", incomplete=True, fault_limit=0)
    assert not (root / "out").exists()


def test_phrasecut_is_refused() -> None:
    with pytest.raises(DataError, match="phrasecut cannot be mixed"):
        Part.parse("data:phrasecut")


def test_a_label_of_several_test_splits_stands_for_each(root: Path) -> None:
    write_set(root, "refclef", "unc", [(1, "train"), (2, "val"), (3, "testAB"), (4, "testBC")])
    assert find_holders(parts(root, "refclef:unc")).absent == {Part(root, "refclef", "unc"): ()}

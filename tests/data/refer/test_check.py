"""What ``data check`` finds in whole and in faulty data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from m3att.data.refer.check import check_dataset
from m3att.data.refer.splits import SPLITS, Counts
from m3att.errors import DataError
from m3att.report.tables import faults_of


def test_tiny_folder(write_folder: Any) -> None:
    report = check_dataset(write_folder(photos=True), "refcoco", "unc")
    train = report.splits["train"]
    assert (train.refs, train.sentences, train.images) == (4, 5, 2)
    assert train.words == len({"left", "person", "the", "man", "car", "on", "right", "beside", "dog"})
    assert (train.longest, train.over_limit) == (4, 0)
    assert (train.published, train.counts) == (Counts(42404, 120624, 16994), "differs")
    assert report.splits["testA"].counts == "absent"
    assert (report.pixels, report.annotations, report.crowds) == ("photos", 5, 1)
    assert (report.broken_segmentations.count, report.without_segmentation) == (0, 0)
    assert report.shared_images == {}
    assert not report.is_sound  # not the published counts
    assert json.loads(json.dumps(report.to_dict()))["splits"]["val"]["sentences"] == 1


def test_faults_are_counted_and_named(write_folder: Any, tiny_content: Any) -> None:
    refs, instances = tiny_content
    root = write_folder(photos=True)
    (root / "images/mscoco/images/train2014/COCO_train2014_000000000200.jpg").unlink()
    refs[3]["ann_id"] = 99
    refs[4]["image_id"] = 100
    refs[0]["sentences"][0]["sent"] = " ".join(["word"] * 16)
    refs[4]["sentences"][0]["sent"] = "?"
    refs.append({**refs[1], "ref_id": 9, "split": "minival"})
    instances["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    instances["annotations"][1]["segmentation"] = []
    instances["annotations"][3]["id"] = 6
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    train = report.splits["train"]
    assert train.missing_images.count == 1
    assert train.missing_images.first == ("COCO_train2014_000000000200.jpg",)
    assert train.missing_annotations.first == ("annotation 7", "annotation 6", "annotation 99")
    assert report.splits["val"].missing_annotations.first == ("annotation 8",)
    assert report.splits["val"].wordless.first == (f"sentence {refs[4]['sentences'][0]['sent_id']}",)
    assert train.wordless.count == 0
    assert (train.longest, train.over_limit) == (16, 1)
    assert report.unknown_splits == ("minival",)
    assert report.broken_segmentations.first == ("5", "6")
    assert report.repeated_ids.first == ("6",)
    assert report.shared_images == {"train/val": 1}
    assert not report.is_sound


def test_pixel_source(write_folder: Any, tiny_content: Any) -> None:
    assert check_dataset(write_folder(), "refcoco", "unc").pixels == "layout"
    del tiny_content[1]["annotations"][0]["bbox"]
    assert check_dataset(write_folder(tiny_content), "refcoco", "unc").pixels == "none"


def test_illegal_way_of_splitting(write_folder: Any) -> None:
    with pytest.raises(DataError, match="give one of unc, google"):
        check_dataset(write_folder(), "refcoco", "umd")


def test_real_boxes_agree_with_the_published_counts(refer_boxes: Path) -> None:
    for dataset in ("refcoco", "refcoco+"):
        report = check_dataset(refer_boxes, dataset, "unc")
        assert [report.splits[split].counts for split in ("train", "val", "testA")] == ["agrees", "agrees", "absent"]
        assert report.pixels == "layout"
        assert report.shared_images == {}
        assert report.is_sound
    assert (report.annotations, report.crowds) == (182274, 1588)


def test_words_are_counted(write_folder: Any, tiny_content: Any) -> None:
    refs, _ = tiny_content
    refs[0]["sentences"][0]["sent"] = " ".join(["word"] * 16)
    refs[1]["sentences"][0]["sent"] = " ".join(["word"] * 21)
    train = check_dataset(write_folder(tiny_content), "refcoco", "unc").splits["train"]
    assert train.lengths == {"50": 4, "90": 21, "95": 21, "99": 21, "100": 21}
    assert train.over == {"15": 2, "20": 1}
    assert train.over_limit == 2
    assert train.words == len({"word", "the", "man", "car", "on", "right", "person", "beside"})


def test_a_photo_of_two_splits_is_found_under_two_ids(write_folder: Any, tiny_content: Any) -> None:
    refs, instances = tiny_content
    lone = next(ref for ref in refs if ref["split"] != "train")
    first = next(entry for entry in instances["images"] if entry["id"] == refs[0]["image_id"])
    other = next(entry for entry in instances["images"] if entry["id"] == lone["image_id"])
    assert refs[0]["split"] == "train" and first["id"] != other["id"]
    other["file_name"] = first["file_name"]
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    assert report.shared_images == {f"train/{lone['split']}": 1}


def test_google_shares_images_by_design(write_folder: Any, tiny_content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refs, _ = tiny_content
    refs[2]["split"] = "val"  # of an image of train
    folder = write_folder(tiny_content, photos=True) / "refcoco"
    (folder / "refs(unc).p").rename(folder / "refs(google).p")
    monkeypatch.setitem(SPLITS, ("refcoco", "google"), dict.fromkeys(("train", "val", "test"), Counts()))
    report = check_dataset(folder.parent, "refcoco", "google")
    assert report.shared_images == {"train/val": 1}
    assert report.shared_by_design and report.is_sound
    (folder / "refs(google).p").rename(folder / "refs(unc).p")
    monkeypatch.setitem(SPLITS, ("refcoco", "unc"), dict.fromkeys(("train", "val"), Counts()))
    assert not check_dataset(folder.parent, "refcoco", "unc").is_sound


def test_images_that_the_annotations_lack_are_named(write_folder: Any, tiny_content: Any) -> None:
    tiny_content[1]["images"].pop(1)
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    assert report.splits["train"].missing_images.first[-1] == "image 200"
    assert report.splits["train"].images == 2
    assert report.without_image == 1
    assert not report.is_sound


def test_a_file_without_a_referent_is_not_sound(write_folder: Any, tiny_content: Any) -> None:
    report = check_dataset(write_folder(([], tiny_content[1])), "refcoco", "unc")
    assert not report.is_sound
    assert "the file holds no referent of any split" in faults_of(report.to_dict())


def test_images_whose_id_stands_twice_are_named(write_folder: Any, tiny_content: Any) -> None:
    tiny_content[1]["images"].append({**tiny_content[1]["images"][0], "file_name": "other.jpg"})
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    assert report.repeated_images.first == ("100",)
    assert "image ids that stand twice: 100" in faults_of(report.to_dict())


def test_words_are_those_of_the_tokenizer(write_folder: Any, tiny_content: Any) -> None:
    refs, _ = tiny_content
    refs[0]["sentences"][0]["sent"] = "हिन्दी शब्द"  # two words; Python takes the vowel signs for ends of words
    refs[0]["sentences"][1]["sent"] = "\u2776"  # a circled 1, which Python takes for a word
    train = check_dataset(write_folder(tiny_content), "refcoco", "unc").splits["train"]
    assert (train.longest, train.wordless.count) == (4, 1)
    assert train.lengths["50"] == 2


def test_masks_that_cannot_be_drawn_are_named(write_folder: Any, tiny_content: Any) -> None:
    _, instances = tiny_content
    root = write_folder(photos=True)
    for segmentation in (None, {"size": [60, 80], "counts": "zzz~~~"}, {"size": [10, 10], "counts": [0, 100]}):
        instances["annotations"][3]["segmentation"] = segmentation
        assert write_folder(tiny_content) == root
        report = check_dataset(root, "refcoco", "unc")
        assert report.splits["train"].unreadable_masks.first == ("annotation 7",)
        assert report.splits["val"].unreadable_masks.count == 0
        assert "train: referents whose mask cannot be drawn: annotation 7" in faults_of(report.to_dict())


@pytest.mark.parametrize("name", [None, 5, "/etc/passwd", "../a.jpg"])
def test_images_that_no_photo_can_be_found_for_are_named(write_folder: Any, tiny_content: Any, name: Any) -> None:
    tiny_content[1]["images"][2]["file_name"] = name
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    assert report.splits["val"].misnamed_images.first == ("image 300",)
    assert not report.is_sound
    assert any(fault.startswith("val: images without a file name") for fault in faults_of(report.to_dict()))


def test_photos_are_read_to_their_end_where_that_is_asked(write_folder: Any, tiny_content: Any) -> None:
    root = write_folder(photos=True)
    photos = sorted((root / "images/mscoco/images/train2014").iterdir())
    whole = photos[0].read_bytes()
    photos[0].write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (80, 59)).save(photos[1])
    steps: list[tuple[int, int]] = []
    report = check_dataset(root, "refcoco", "unc", None, lambda done, total: steps.append((done, total)))
    assert report.splits["train"].unreadable_photos.first == (photos[0].name, photos[1].name)
    assert steps == [(1, 2), (2, 2), (1, 1)]
    assert any(fault.startswith("train: photos that cannot be read") for fault in faults_of(report.to_dict()))
    for image in tiny_content[1]["images"]:
        del image["width"], image["height"]  # nothing is stated then
    write_folder(tiny_content)
    photos[0].write_bytes(whole[: len(whole) // 2])
    report = check_dataset(root, "refcoco", "unc", None, lambda done, total: None)
    assert report.splits["train"].unreadable_photos.first == (photos[0].name,)
    photos[0].write_bytes(b"")  # as a download that broke off leaves it: seen without opening anything
    report = check_dataset(root, "refcoco", "unc")
    assert report.splits["train"].unreadable_photos.first == (photos[0].name,)
    assert not report.is_sound

"""`data check` says of one's own data, in every form, what it says of published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from m3att.app.cli import main
from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.data.own.check import check_own
from m3att.data.own.hub import RowsSource
from m3att.data.refer.check_report import DatasetReport
from m3att.report.datasets import remarks_of

from ..own_files import square, write_lines, write_picture


def report_of(dataset: str, place: Path, read: bool = False) -> DatasetReport:
    def open_split(split: str) -> Any:
        return open_source(DataConfig(str(place), dataset), split)

    return check_own(dataset, place, open_split, (lambda done, all_: None) if read else None)


@pytest.fixture
def lines(tmp_path: Path) -> list[dict[str, Any]]:
    for number in range(4):
        write_picture(tmp_path / "photos" / f"{number}.png", 50 + number)
    return [
        {"image": "photos/0.png", "expression": ["the left one", "left"], "mask": square(2), "split": "train"},
        {"image": "photos/1.png", "expression": "a b c d", "mask": square(4), "split": "train"},
        {"image": "photos/2.png", "expression": "nothing here", "mask": None, "split": "train"},
        {"image": "photos/3.png", "expression": "it", "mask": square(2), "split": "val"},
    ]


def test_what_is_in_order(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = write_lines(tmp_path / "own.jsonl", lines)
    for read in (False, True):
        report = report_of("jsonl", path, read)
        assert report.is_sound and (report.pixels, list(report.splits)) == ("photos", ["train", "val"])
        train = report.splits["train"]
        assert (train.refs, train.sentences, train.images, train.no_target) == (3, 4, 3, 1)
        assert (train.words, train.longest, train.lengths["50"]) == (9, 4, 3)
        assert report.annotations == 3 and not report.shared_images


def test_boxes_are_counted_and_are_no_fault(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    del lines[0]["mask"]
    report = report_of("jsonl", write_lines(tmp_path / "own.jsonl", [{**lines[0], "bbox": [2, 4, 10, 8]}, *lines[1:]]))
    assert report.is_sound and report.splits["train"].boxed == 2
    assert "train: 2 expressions name what has a box and no mask" in remarks_of(report.to_dict())


def test_crowd_regions_are_counted(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    entry = {"image_id": 1, "category_id": 1, "segmentation": [square(2)]}
    told = [{**entry, "id": 1, "caption": "it"}, {**entry, "id": 2, "iscrowd": 1}, {**entry, "id": 3, "iscrowd": 1}]
    images = [{"id": 1, "file_name": "1.png", "width": 32, "height": 24}]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": told}), encoding="utf-8")
    report = report_of("coco", tmp_path / "a.json")
    assert (report.annotations, report.crowds) == (3, 2)


def test_objects_that_nobody_described_are_counted(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    entries = [{"id": at, "image_id": 1, "category_id": 1, "segmentation": [square(2)]} for at in (1, 2, 3)]
    data = {
        "images": [{"id": 1, "file_name": "1.png", "width": 32, "height": 24}],
        "annotations": [{**entries[0], "caption": ["a", "b"]}, *entries[1:]],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "own.json").write_text(json.dumps(data), encoding="utf-8")
    report = report_of("coco", tmp_path / "own.json")
    assert report.is_sound and report.splits["everything"].unnamed == 2
    remarks = remarks_of(report.to_dict())
    assert "everything: 2 objects without an expression; only the category loss uses them" in remarks
    # Training holds images out, so no remark may say that it validates on what it trains on.
    assert not any("sees the images of the training" in remark for remark in remarks)


@pytest.mark.parametrize("read", [False, True])
def test_every_fault_is_counted_and_named(tmp_path: Path, lines: list[dict[str, Any]], read: bool) -> None:
    (tmp_path / "photos/1.png").unlink()
    (tmp_path / "photos/2.png").write_bytes(b"")
    lines[0]["mask"] = [1, 2, 3, 4]
    lines[3]["expression"] = "?!"
    lines.append({**lines[3], "image": "photos/0.png", "expression": "the same photo"})
    report = report_of("jsonl", write_lines(tmp_path / "own.jsonl", lines), read)
    train, val = report.splits["train"], report.splits["val"]
    assert (train.missing_images.count, train.missing_images.first) == (1, ("photos/1.png",))
    assert train.unreadable_photos.count == 1 and "2.png: the file is empty" in train.unreadable_photos.first[0]
    assert train.unreadable_masks.count >= 1 and "'the left one': " in train.unreadable_masks.first[0]
    assert "three or more points" in train.unreadable_masks.first[0]
    assert val.wordless.count == 1
    assert report.shared_images == {"train/val": 1}
    assert not report.is_sound


def test_a_photo_cut_short_is_found_by_reading(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = write_lines(tmp_path / "own.jsonl", lines)
    picture = tmp_path / "photos/0.png"
    picture.write_bytes(picture.read_bytes()[:60])
    assert report_of("jsonl", path).splits["train"].unreadable_photos.count == 0
    assert report_of("jsonl", path, read=True).splits["train"].unreadable_photos.count == 1


def test_files_of_splits_and_entries_that_are_left_out(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/1.png")
    for split, image_id in (("train", 1), ("val", 9)):
        data = {
            "images": [{"id": 1, "file_name": "1.png"}],
            "annotations": [
                {"id": 1, "image_id": 1, "segmentation": [square(2)], "caption": "it"},
                {"id": 2, "image_id": image_id, "segmentation": [square(2)], "caption": "lost"},
            ],
        }
        (tmp_path / f"{split}.json").write_text(json.dumps(data))
    report = report_of("coco", tmp_path)
    assert list(report.splits) == ["train", "val"]
    assert [report.splits[split].left_out.count for split in ("train", "val")] == [0, 1]
    assert not report.is_sound
    assert main(["data", "check", str(tmp_path), "--dataset", "coco"]) == 1


def test_what_is_odd_and_costs_nothing_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(tmp_path / "images/1.png")
    annotation = {"id": 1, "image_id": 1, "segmentation": [square(2)], "caption": "it"}
    data = {
        "images": [{"id": 1, "file_name": "1.png"}, {"file_name": "2.png"}],
        "annotations": [annotation, {**annotation, "caption": "that"}, None, {**annotation, "caption": "x"}],
    }
    path = tmp_path / "train.json"
    path.write_text(json.dumps(data))
    assert main(["data", "check", str(path), "--dataset", "coco", "--json", str(tmp_path / "report")]) == 0
    expected = [
        "entry 1 of 'images' has no 'id', so no annotation can be of it",
        "entry 2 of 'annotations' is None, no object of fields",
        "annotation id 1 and 1 more stand twice; the later ones are read as 2 and so on",
    ]
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if str(path) + ":" in line] == [
        f"note: {path}: {one}" for one in expected
    ]
    assert out.splitlines()[-1] == "sound"
    assert json.loads((tmp_path / "report").read_text())["notes"]["count"] == 3


def test_of_many_notes_the_first_are_shown(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/1.png")
    annotation = {"id": 1, "image_id": 1, "segmentation": [square(2)], "caption": "it"}
    data = {"images": [{"id": 1, "file_name": "1.png"}], "annotations": [annotation, *range(9)]}
    (tmp_path / "train.json").write_text(json.dumps(data))
    remarks = remarks_of(report_of("coco", tmp_path).to_dict())
    assert remarks[-1] == "4 more notes like these" and remarks[-2].endswith(
        "entry 5 of 'annotations' is 4, no object of fields"
    )


def test_rows(tmp_path: Path) -> None:
    rows = [{"image": tmp_path, "expression": "a", "mask": None}]
    report = check_own("hf", tmp_path, lambda split: RowsSource(rows, split), lambda done, all_: None)
    assert report.splits["everything"].unreadable_photos.count == 1
    stated = check_own("hf", tmp_path, lambda split: RowsSource(rows, split, "rows", split))
    assert list(stated.splits)[:2] == ["train", "val"]
    assert stated.shared_images == {}  # the first row of train is not that of val


def test_rows_of_one_photo_are_found_under_other_ids(tmp_path: Path) -> None:
    def open_split(split: str) -> RowsSource:
        number = {"train": 1, "val": 7}[split] if split in ("train", "val") else 9
        row = {"image": "a.png" if number < 9 else "b.png", "image_id": number, "expression": "a", "mask": None}
        return RowsSource([row], split, "rows", split)

    assert check_own("hf", tmp_path, open_split).shared_images == {"train/val": 1}


@pytest.mark.parametrize("other", ["./photos/0.png", "photos\\0.png", "photos//0.png", "linked.png", "photos/0.PNG"])
def test_a_photo_of_two_splits_is_found_under_two_names(
    tmp_path: Path, lines: list[dict[str, Any]], other: str
) -> None:
    (tmp_path / "linked.png").symlink_to(tmp_path / "photos/0.png")
    lines.append({**lines[3], "image": other})
    lines.append({**lines[3], "image": "photos/0.png"})  # one more name, and still one photo
    report = report_of("jsonl", write_lines(tmp_path / "own.jsonl", lines))
    assert report.shared_images == {"train/val": 1} and not report.is_sound


def test_a_photo_is_found_under_two_ids(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    images = [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "./1.png"}, {"id": 3, "file_name": "1.png"}]
    told = [
        {"id": at, "image_id": at, "segmentation": [square(2)], "caption": "it", "split": split}
        for at, split in ((1, "train"), (2, "val"), (3, "train"))
    ]
    (tmp_path / "own.json").write_text(json.dumps({"images": images, "annotations": told}), encoding="utf-8")
    report = report_of("coco", tmp_path / "own.json")
    assert report.shared_images == {"train/val": 1} and not report.is_sound
    assert "2 images of photos that are listed before, under other ids: './1.png'" in report.notes.first[0]


def test_the_count_of_images_held_out_is_that_of_training(tmp_path: Path) -> None:
    """A photo that is listed twice is held out as a whole, so more images are held out than their share."""
    for number in range(10):
        write_picture(tmp_path / f"{number}.png")
    images = [{"id": at, "file_name": f"{at % 10}.png"} for at in range(30)]
    told = [{"id": at, "image_id": at, "segmentation": [square(2)], "caption": "it"} for at in range(30)]
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"images": images, "annotations": told}), encoding="utf-8")
    held_out = len(open_source(DataConfig(str(path), "coco"), "val", divided=True))
    report = report_of("coco", path)
    assert report.held_out == held_out > 3
    assert any(f"training holds out {held_out} of the 30 images" in one for one in remarks_of(report.to_dict()))


def test_the_command(tmp_path: Path, lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    path = write_lines(tmp_path / "own.jsonl", lines)
    json_path = tmp_path / "report.json"
    assert main(["data", "check", str(path), "--dataset", "jsonl", "--json", str(json_path)]) == 0
    out = capsys.readouterr().out
    assert "photos of all splits: 4 found, 0 missing" in out and out.rstrip().endswith("sound")
    assert json.loads(json_path.read_text())["splits"]["val"]["images"] == 1
    (tmp_path / "photos/3.png").unlink()
    assert main(["data", "check", str(path), "--dataset", "jsonl"]) == 2  # the only photo of val
    capsys.readouterr()
    (tmp_path / "photos/1.png").unlink()
    for line in lines:
        del line["split"]
    write_lines(path, lines)
    assert main(["data", "check", str(path), "--dataset", "jsonl"]) == 1
    out = capsys.readouterr().out
    assert "photos of all splits: 2 found, 2 missing" in out and "photos/1.png" in out
    assert "the data state no split" in out
    for words in (["--split-by", "unc"], ["--expression-field", "x"]):
        assert main(["data", "check", str(path), "--dataset", "jsonl", *words]) == 2
    assert main(["data", "check", str(tmp_path), "--dataset", "refcoco", "--expression-field", "x"]) == 2
    capsys.readouterr()
    for image in (tmp_path / "photos").iterdir():
        image.unlink()
    assert main(["data", "check", str(path), "--dataset", "jsonl"]) == 2
    assert "none of its 4 photos is there" in capsys.readouterr().err

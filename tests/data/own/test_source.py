"""Own images: JSON Lines, COCO json and rows, what is read of them and what is wrong with them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.config import DataConfig
from m3att.data.annotation import decode_segmentation
from m3att.data.masks import encode_rle
from m3att.data.open import OWN, open_source
from m3att.data.own.hub import RowsSource
from m3att.data.own.index import index_content
from m3att.data.own.jsonl import content_of_lines, read_lines
from m3att.data.own.source import CustomSource, open_jsonl
from m3att.data.own.tools import open_coco
from m3att.errors import ConfigError, DataError, ImageError

from ..own_files import HEIGHT, WIDTH, square, write_lines, write_mask, write_picture

RTL, EMOJI = "القطة على اليسار", "the 🐈‍⬛ left of 人"


@pytest.fixture
def lines(tmp_path: Path) -> list[dict[str, Any]]:
    """Two images with four referents: one polygon by two lines, a PNG, run lengths, and one that is not there."""
    for number in range(2):
        write_picture(tmp_path / "photos" / f"{number}.png", 50 * number)
    mask_HW = write_mask(tmp_path / "masks" / "a.png", 20)
    return [
        {"image": "photos/0.png", "expression": "the left one", "mask": square(2), "category": "cat", "split": "train"},
        {"image": "photos/1.png", "expression": [RTL, EMOJI], "mask": encode_rle(mask_HW), "split": "train", "id": "k"},
        {
            "image": "photos/0.png",
            "caption": "the right",
            "mask": "masks/a.png",
            "category": "dog",
            "split": "train",
        },
        {"image": "photos/0.png", "expression": "left", "mask": [square(2)], "category": "cat", "split": "train"},
        {"image": "photos/1.png", "expression": "a unicorn", "mask": None, "split": "val"},
    ]


def test_lines_of_one_mask_are_one_referent(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    source = open_jsonl(write_lines(tmp_path / "own.jsonl", lines), "train")
    assert len(source) == 2
    assert source.expression_groups(0) == ((0, 1), (2,))
    assert source.expression_groups(1) == ((0, 1),)
    assert list(source.texts()) == ["the left one", "left", "the right", RTL, EMOJI]
    sample = source.read(0)
    assert sample.expressions == ("the left one", "left", "the right")
    assert sample.mask_index_N == (0, 0, 1)
    assert np.array_equal(sample.masks_MHW[0], decode_segmentation([square(2)], HEIGHT, WIDTH))
    assert sample.masks_MHW[1].nonzero()[1].min() == 20
    some = source.read(0, [2])
    assert (some.expressions, some.masks_MHW.shape[0]) == (("the right",), 1)
    assert np.array_equal(some.masks_MHW[0], sample.masks_MHW[1])
    assert source.read(1).expressions == (RTL, EMOJI)
    assert len({*source.read(0).expression_ids, *source.read(1).expression_ids}) == 5
    assert source.category_names == ("object", "cat", "dog")
    categories_HW = source.read_categories(0)
    assert set(np.unique(categories_HW).tolist()) == {2, 3, 255}  # what is not annotated is unknown
    assert (categories_HW[sample.masks_MHW[0]] == 2).all()


def test_an_expression_that_names_nothing(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    source = open_jsonl(write_lines(tmp_path / "own.jsonl", lines), "val")
    assert not source.read(0).masks_MHW.any()
    assert source.read(0).masks_MHW.shape == (1, HEIGHT, WIDTH)


def test_splits(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = write_lines(tmp_path / "own.jsonl", lines)
    with pytest.raises(DataError, match=r"own\.jsonl: no expression of split 'testA', but train, val"):
        open_jsonl(path, "testA")
    assert len(list(open_jsonl(tmp_path, "train").texts())) == 5  # the only .jsonl of a folder
    for line in lines:
        del line["split"]
    write_lines(path, lines)
    assert [len(list(open_jsonl(path, split).texts())) for split in ("train", "val", "x")] == [6, 6, 6]
    write_lines(path, [{**lines[0], "split": "train"}, *lines[1:]])
    source = open_jsonl(path, "train")
    assert list(source.texts()) == ["the left one"]
    assert [(fault.reason.rpartition(": ")[2], fault.expressions) for fault in source.faults] == [
        ("'القطة على اليسار' and 3 more state no split, but others do; give all one, or none", 5)
    ]
    path.unlink()
    write_lines(tmp_path / "train.jsonl", lines[:3])
    with pytest.raises(DataError, match=r"has no val\.jsonl, but train\.jsonl"):
        open_jsonl(tmp_path, "val")
    write_lines(tmp_path / "val.jsonl", lines[3:])
    assert [len(list(open_jsonl(tmp_path, split).texts())) for split in ("train", "val")] == [4, 2]
    with pytest.raises(DataError, match="no such file or folder"):
        open_jsonl(tmp_path / "nowhere", "val")


def test_a_split_of_an_unusual_name_is_told(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = write_lines(tmp_path / "own.jsonl", [*lines, {**lines[0], "expression": "x", "split": "trian"}])
    note = f"{path}: 1 object of split 'trian' left out; the usual names are train, val and test, and another must be "
    assert open_jsonl(path, "train").notes == (f"{note}asked for",)
    assert open_jsonl(path, "trian").notes == ()
    assert list(open_jsonl(path, "trian").texts()) == ["x"]


@pytest.mark.parametrize("line", [b"{broken", b'{"image": "\xff", "expression": "x"}', b"[" * 100_000])
def test_a_line_that_is_no_json_stops_at_once(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"image": "a.png", "expression": "x", "mask": null}\n' + line + b"\n")
    with pytest.raises(DataError, match="line 2 is not JSON") as caught:
        open_jsonl(path, "val")
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([1], "entry 2 is [1], no JSON object"),
        ({"expression": "x"}, "entry 2 has no image (a path; image, image_path, file_name"),
        ({"image": 7, "expression": "x"}, "entry 2 has 7 as 'image' (a path"),
        ({"image": "a.png"}, "entry 2 has no expression (a text or a list of texts; expressions, expression"),
        ({"image": "a.png", "expression": None}, "entry 2 has None as 'expression', neither a text nor a list"),
        ({"image": "a.png", "expression": []}, "entry 2 has [] as 'expression', neither a text nor a list"),
        ({"image": "a.png", "expression": [3]}, "entry 2 has [3] as 'expression', neither a text nor a list"),
    ],
)
def test_an_odd_line_is_named_and_left_out(tmp_path: Path, line: Any, message: str) -> None:
    write_picture(tmp_path / "a.png")
    good = {"image": "a.png", "expression": "good", "mask": square(2)}
    path = write_lines(tmp_path / "own.jsonl", [good, line])
    source = open_jsonl(path, "val")
    assert list(source.texts()) == ["good"]
    (fault,) = source.faults
    assert fault.reason.startswith(f"{path}: {message}") and fault.expressions == 1
    with pytest.raises(DataError, match="entry 1 "):
        open_jsonl(write_lines(path, [line]), "val")


def test_odd_fields_that_nobody_uses_do_not_matter(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    odd = {"image": "a.png", "expression": "x", "mask": square(2), "split": 3, "category": [], "id": {}, "bbox": "?"}
    source = open_jsonl(write_lines(tmp_path / "own.jsonl", [odd, {**odd, "category": 7}]), "val")
    assert source.faults == () and source.read(0).expressions == ("x", "x")
    assert source.category_names == ("object", "7")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([], "empty"),
        ([[1, 2, 3, 4]], "no polygon of three"),
        (square(WIDTH + 5), "covers no pixel"),
        ({"size": [5, 5], "counts": [25]}, r"size \[5, 5\] on an image"),
        ({"size": [HEIGHT, WIDTH], "counts": [3]}, "cover 3 of"),
        ("masks/none.png", "no such file"),
        ("masks/small.png", "5 x 12, but the image 32 x 24"),
        ("masks/black.png", "covers no pixel"),
        ("masks/lossy.jpg", "cannot be a JPEG"),
        ("masks/torn.png", "damaged or cut short|cannot be read|not an image"),
        (7, "no polygon"),
        ({"a": 1}, "size None"),
    ],
)
def test_a_broken_mask_is_named_and_leaves_the_others(tmp_path: Path, mask: Any, message: str) -> None:
    write_picture(tmp_path / "a.png")
    write_mask(tmp_path / "masks" / "small.png", 0, (12, 5))
    write_mask(tmp_path / "masks" / "black.png", 2, value=0)
    write_picture(tmp_path / "masks" / "lossy.jpg")
    write_mask(tmp_path / "masks" / "torn.png", 2)
    torn = tmp_path / "masks" / "torn.png"
    torn.write_bytes(torn.read_bytes()[:60])
    good = {"image": "a.png", "expression": "good", "mask": square(2)}
    source = open_jsonl(
        write_lines(tmp_path / "own.jsonl", [good, {"image": "a.png", "expression": "bad one", "mask": mask}]), "train"
    )
    with pytest.raises(DataError, match=message) as caught:
        source.read(0)
    assert "a.png: 'bad one': " in str(caught.value)
    assert source.read(0, [0]).expressions == ("good",)
    assert source.read_categories(0).shape == (HEIGHT, WIDTH)


def test_masks_of_every_picture_format(tmp_path: Path) -> None:
    expected_HW = write_mask(tmp_path / "l.png", 5)
    grey = Image.open(tmp_path / "l.png")
    labels = Image.fromarray(expected_HW.astype(np.uint8), mode="P")
    labels.putpalette([255, 255, 255, 0, 0, 0])  # white is number 0, and number 0 is nothing
    labels.save(tmp_path / "p.png")
    grey.convert("1").save(tmp_path / "1.png")
    Image.fromarray(expected_HW.astype(np.uint16) * 300).save(tmp_path / "i.png")
    clear = Image.merge("RGBA", [Image.new("L", grey.size, 200)] * 3 + [grey])
    clear.save(tmp_path / "rgba.png")
    grey.convert("RGB").save(tmp_path / "rgb.png")
    write_picture(tmp_path / "a.png")
    names = ["l", "p", "1", "i", "rgba", "rgb"]
    lines = [{"image": "a.png", "expression": name, "mask": f"{name}.png"} for name in names]
    sample = open_jsonl(write_lines(tmp_path / "own.jsonl", lines), "train").read(0)
    for name, row in zip(sample.expressions, sample.mask_index_N, strict=True):
        assert np.array_equal(sample.masks_MHW[row], expected_HW), name


def test_a_missing_or_torn_image_is_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "torn.jpg")
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "torn.jpg").read_bytes()[:300])
    lines = [{"image": f"{name}.jpg", "expression": "x", "mask": square(2)} for name in ("missing", "torn")]
    source = open_jsonl(write_lines(tmp_path / "own.jsonl", lines), "train")
    for index, message in enumerate(("missing.jpg: no such file", "torn.jpg: ")):
        with pytest.raises(ImageError, match=message):
            source.read(index)


def coco(**changes: Any) -> dict[str, Any]:
    """Two images, three annotations of which two carry expressions."""
    base: dict[str, Any] = {
        "images": [{"id": 4, "file_name": "0.png", "height": HEIGHT, "width": WIDTH}, {"id": 9, "file_name": "1.png"}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 7, "segmentation": [square(2)], "expressions": ["left", RTL]},
            {"id": 2, "image_id": 4, "category_id": 3, "segmentation": [square(20)]},
            {"id": 3, "image_id": 9, "category_id": 3, "segmentation": [square(8)], "caption": "middle"},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    return base | changes


def write_coco(folder: Path, data: dict[str, Any], name: str = "own.json") -> Path:
    for number in range(2):
        write_picture(folder / "images" / f"{number}.png", 50 * number)
    (folder / name).write_text(json.dumps(data))
    return folder / name


def test_a_coco_json_with_expressions(tmp_path: Path) -> None:
    source = open_coco(write_coco(tmp_path, coco()), "val")
    assert (len(source), list(source.texts())) == (2, ["left", RTL, "middle"])
    assert source.expression_groups(0) == ((0, 1),)
    assert source.category_names == ("cat", "dog")
    categories_HW = source.read_categories(0)
    assert set(np.unique(categories_HW).tolist()) == {0, 1, 2}  # all objects are annotated: the rest is nothing
    assert source.read(1).masks_MHW[0].nonzero()[1].min() == 8
    assert source.has_every_object
    assert source.read_largest(0).sum() == max(source.read(0).masks_MHW.sum(axis=(1, 2)))
    assert len(open_coco(tmp_path, "val")) == 2


def test_splits_of_a_coco_json(tmp_path: Path) -> None:
    data = coco()
    data["annotations"][0]["split"] = "train"
    data["images"][1]["split"] = "val"
    path = write_coco(tmp_path, data)
    assert list(open_coco(path, "train").texts()) == ["left", RTL]
    assert list(open_coco(path, "val").texts()) == ["middle"]
    del data["images"][1]["split"]
    write_coco(tmp_path, data)
    with pytest.raises(DataError, match="no expression of split 'val', but train"):
        open_coco(path, "val")
    (fault,) = open_coco(path, "train").faults
    assert "'middle' states no split, but others do" in fault.reason and fault.expressions == 1


def test_ids_that_stand_twice_are_told_and_survived(tmp_path: Path) -> None:
    data = coco()
    data["annotations"][2]["id"] = 1
    data["images"].append({"id": 9, "file_name": "1.png"})
    source = open_coco(write_coco(tmp_path, data), "val")
    assert source.faults == ()
    assert [note.partition(": ")[2] for note in source.notes] == [
        "image id 9 stands twice: 1.png, 1.png",
        "annotation id 1 stands twice; the later one is read as 3",
    ]
    assert source.read(1).expressions == ("middle",)
    data["images"].append({"id": 9, "file_name": "other.png"})  # which of the two is meant, nobody knows
    source = open_coco(write_coco(tmp_path, data), "val")
    assert list(source.texts()) == ["left", RTL]
    assert sum(fault.expressions for fault in source.faults) == 1  # the one that is lost


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "no list 'images'"),
        ({"annotations": [5]}, "no annotation has expressions"),
        ({"annotations": [{"id": 1, "caption": "x"}]}, "annotation 1 is of image None, which is not listed"),
        ({"annotations": [{"id": 1, "image_id": 4}]}, "no annotation has expressions"),
        ({"annotations": [{"id": 1, "image_id": 5, "caption": "x"}]}, "image 5, which is not listed"),
        ({"annotations": [{"id": 1, "image_id": 4, "caption": 3}]}, "neither a text nor a list"),
        ({"m3att": 3}, "not what a conversion writes"),
    ],
)
def test_a_broken_coco_json_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_coco(write_coco(tmp_path, coco(**changes)), "val")


def test_an_image_of_another_size_than_stated(tmp_path: Path) -> None:
    data = coco()
    data["images"][0]["height"] = HEIGHT + 1
    with pytest.raises(ImageError, match=r"32 x 24, but the annotations say 32 x 25"):
        open_coco(write_coco(tmp_path, data), "val").read(0)


def test_rows(tmp_path: Path) -> None:
    mask_HW = write_mask(tmp_path / "m.png", 3)
    picture = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 9, dtype=np.uint8))
    rows = [
        {"image": picture, "expression": "a", "mask": Image.open(tmp_path / "m.png"), "image_id": 5},
        {"image": picture, "expression": ["b", RTL], "mask": square(2), "image_id": 5, "category": "cat"},
        {"image": np.asarray(picture), "expression": "c", "mask": mask_HW},
        {"image": picture, "expression": "d", "mask": mask_HW[:5]},
        {"image": None, "expression": "e", "mask": mask_HW},
    ]
    source = RowsSource(rows, "train", "mine")
    assert [source.expression_groups(index) for index in range(4)] == [((0,), (1, 2)), ((0,),), ((0,),), ((0,),)]
    sample = source.read(0)
    assert (sample.expressions, sample.mask_index_N) == (("a", "b", RTL), (0, 1, 1))
    assert np.array_equal(sample.masks_MHW[0], mask_HW)
    assert np.array_equal(source.read(1).masks_MHW[0], mask_HW)
    with pytest.raises(DataError, match=r"mine: row 3: .*the mask is 32 x 5"):
        source.read(2)
    with pytest.raises(ImageError, match="mine: row 4: 'image' is no picture"):
        source.read(3)
    with pytest.raises(DataError, match="entry 1 has no expression"):
        RowsSource([{"image": picture}], "train")


def test_rows_of_a_table_are_not_decoded_for_their_texts() -> None:
    class Table:
        """Has of `datasets.Dataset` what is used here."""

        column_names = ("image", "caption", "mask")

        def __init__(self, columns: tuple[str, ...] = column_names) -> None:
            self.columns = columns

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> dict[str, Any]:
            if index >= 2:
                raise IndexError(index)
            assert "image" not in self.columns, "a picture was decoded to read a text"
            return {"caption": f"text {index}"}

        def select_columns(self, columns: list[str]) -> Table:
            return Table(tuple(columns))

    assert list(RowsSource(Table(), "train").texts()) == ["text 0", "text 1"]


def test_a_source_can_be_sent_to_workers(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    source = open_jsonl(write_lines(tmp_path / "own.jsonl", lines), "train")
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.read(0).masks_MHW, source.read(0).masks_MHW)


@pytest.mark.parametrize("category", [[], {}, 1.5, True])
def test_a_category_that_is_no_id_is_none_in_converted_files_too(tmp_path: Path, category: Any) -> None:
    ref = {
        "position": 0,
        "ref": {"ref_id": 1, "image_id": 1, "split": "train"},
        "sentences": [{"sent_id": 1, "raw": "x"}],
    }
    annotation = {
        "id": 1, "image_id": 1, "category_id": category, "segmentation": [square(2)], "expressions": ["left"],
        "refer": [ref],
    }  # fmt: skip
    write_picture(tmp_path / "a.png")
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [annotation],
        "categories": [],
        "m3att": {"image_root": "", "dataset": "x", "refs": []},
    }
    source = open_coco(write_coco(tmp_path, data), "train")
    assert source.read(0).expressions == ("left",)
    assert (source.read_categories(0) == 255)[source.read(0).masks_MHW[0]].all()


def test_settings_open_own_data(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = write_lines(tmp_path / "own.jsonl", lines)
    source = open_source(DataConfig(root=str(path), dataset="jsonl"), "train")
    assert (len(source), source.pixels) == (2, "photos")
    with pytest.raises(ConfigError, match=r"--data\.root"):
        open_source(DataConfig(dataset="coco"), "train")
    assert set(OWN) == {"jsonl", "coco", "cvat", "datumaro", "label_studio", "labelme", "hf", "shards"}


def sample_of(source: CustomSource, index: int) -> tuple[object, ...]:
    sample = source.read(index)
    return (sample.expressions, sample.expression_ids, sample.masks_MHW.tolist(), sample.image_id, sample.skills)


def test_lines_are_read_once_and_then_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_picture(tmp_path / "one" / f"{name}.png")
    lines = [
        {"image": "a.png", "mask": square(2), "expression": ["left", "links"], "category": "cup"},
        {"image": "b.png", "no_target": True, "expression": "nothing"},
        {"image": "b.png", "mask": square(20), "expression": "right", "category": "tree"},
        {"image": "b.png", "expression": "of nothing that is said"},
        {"image": "c.png", "mask": square(3), "expression": "gone"},
    ]
    path = write_lines(tmp_path / "one" / "own.jsonl", lines)
    first = open_jsonl(path, "train")
    with monkeypatch.context() as patch:
        patch.setattr("m3att.data.own.source.read_lines", None)  # whoever calls it fails
        again = open_jsonl(path, "train")
        for name in ("faults", "notes", "category_names", "no_targets", "has_every_object", "stated_split", "origin"):
            assert getattr(again, name) == getattr(first, name), name
        assert list(again.texts()) == list(first.texts())
        assert sorted(again.texts()) == ["gone", "left", "links", "nothing", "of nothing that is said", "right"]
        assert [again.expression_groups(at) for at in range(3)] == [first.expression_groups(at) for at in range(3)]
        assert sample_of(again, 0) == sample_of(first, 0)
        assert np.array_equal(again.read_categories(1), first.read_categories(1))
        assert again.missing_images() == first.missing_images() == [2]
        # The cache holds what the file says, not where its photos lie.
        (tmp_path / "one" / "a.png").replace(tmp_path / "one" / "c.png")
        assert open_jsonl(path, "train").missing_images() == [0]
    write_lines(path, lines[2:3])
    assert list(open_jsonl(path, "train").texts()) == ["right"]


def test_a_source_needs_nothing_of_what_lines_are_written_again_from(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    whole, lean = (content_of_lines(lines, tmp_path, "own", for_writing=kept) for kept in (True, False))
    assert all("extra" in sentence for ref in whole.refs for sentence in ref["sentences"])
    assert not any("extra" in sentence for ref in lean.refs for sentence in ref["sentences"])
    for split in ("train", "val"):
        (arrays, notes), (others, same) = (index_content(content, split, "own") for content in (whole, lean))
        assert notes == same
        assert arrays.keys() == others.keys()
        assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


@pytest.mark.parametrize("end", ["\n", "\r\n", " \t\n", "\n\n"])
def test_spaces_around_a_line_do_not_count(tmp_path: Path, end: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_bytes("".join(f"  {json.dumps({'line': number})}{end}" for number in range(3)).encode())
    assert read_lines(path) == [{"line": number} for number in range(3)]


def test_run_lengths_are_one_mask_in_any_order_of_their_fields(tmp_path: Path) -> None:
    code = encode_rle(write_mask(tmp_path / "mask.png", 20))
    turned = dict(reversed(code.items()))
    write_picture(tmp_path / "a.png")
    lines = [{"image": "a.png", "mask": mask, "expression": text} for mask, text in ((code, "one"), (turned, "same"))]
    source = open_jsonl(write_lines(tmp_path / "own.jsonl", lines), "train")
    assert source.expression_groups(0) == ((0, 1),)


def test_a_cached_source_travels_to_another_process(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    path = write_lines(tmp_path / "own.jsonl", [{"image": "a.png", "mask": square(2), "expression": "left"}])
    for source in (open_jsonl(path, "train"), open_jsonl(path, "train")):
        assert sample_of(pickle.loads(pickle.dumps(source)), 0) == sample_of(source, 0)

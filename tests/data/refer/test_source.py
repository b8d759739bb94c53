"""The REFER layout: records, masks, drawn layouts, and everything that can be wrong with the files."""

from __future__ import annotations

import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3att.data.annotation import decode_segmentation
from m3att.data.refer.check import check_dataset
from m3att.data.refer.pickles import loads_plain
from m3att.data.refer.source import ReferSource
from m3att.errors import DataError, ImageError
from m3att.report.tables import faults_of


def open_tiny(root: Path, split: str = "train", **options: Any) -> ReferSource:
    return ReferSource(root, "refcoco", "unc", split, **options)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_layout_of_a_tiny_folder(write_folder: Any, protocol: int) -> None:
    source = open_tiny(write_folder(protocol=protocol))
    assert (source.dataset, source.split_by, source.split, source.pixels) == ("refcoco", "unc", "train", "layout")
    assert source.image_ids == [100, 200]
    assert len(source) == 2
    assert [source.expression_count(index) for index in range(2)] == [4, 1]
    assert source.expression_groups(0) == ((0, 1), (2,), (3,))
    assert source.expression_groups(1) == ((0,),)
    assert list(source.texts()) == ["left person", "the man", "car on the right", "person beside the car", "dog"]


def test_sample_shares_one_mask_between_referents_of_one_annotation(write_folder: Any) -> None:
    sample = open_tiny(write_folder()).read(0)
    assert sample.image_HWC.shape == (60, 80, 3)
    assert sample.masks_MHW.shape == (2, 60, 80)
    assert sample.mask_index_N == (0, 0, 1, 0)
    assert sample.expressions == ("left person", "the man", "car on the right", "person beside the car")
    assert sample.expression_ids == (0, 1, 3, 4)
    assert sample.image_id == 100
    assert sample.skills == ((), (), (), ())
    assert sample.masks_MHW[0, 10:40, 10:30].sum() == sample.masks_MHW[0].sum() > 200
    assert sample.masks_MHW[1, 10:30, 40:70].sum() == sample.masks_MHW[1].sum() > 200


def test_chosen_expressions_in_the_asked_order(write_folder: Any) -> None:
    source = open_tiny(write_folder())
    whole, some = source.read(0), source.read(0, [3, 2])
    assert some.expressions == ("person beside the car", "car on the right")
    assert some.mask_index_N == (0, 1)
    assert np.array_equal(some.masks_MHW, whole.masks_MHW)
    assert np.array_equal(some.image_HWC, whole.image_HWC)
    assert source.read(0, [2]).masks_MHW.shape == (1, 60, 80)
    assert open_tiny(write_folder()).read(1).skills == (("kind",),)


def test_photos_are_taken_where_they_are(write_folder: Any) -> None:
    root = write_folder(photos=True)
    source = open_tiny(root)
    assert source.pixels == "photos"
    sample = source.read(0)
    assert (sample.image_HWC == 0).all()
    expected = decode_segmentation([[10, 10, 30, 10, 30, 40, 10, 40]], 60, 80)
    assert np.array_equal(sample.masks_MHW[0], expected)
    drawn = open_tiny(root, pixels="layout")
    assert drawn.pixels == "layout"
    assert (drawn.read(0).image_HWC != 0).any()
    elsewhere = root / "not" / "looked" / "into"
    elsewhere.parent.mkdir(parents=True)
    os.rename(root / "images" / "mscoco" / "images" / "train2014", elsewhere)
    assert open_tiny(root).pixels == "layout"
    assert open_tiny(root, image_root=elsewhere).pixels == "photos"
    with pytest.raises(DataError, match=r"none of the 2 photos of split train is there.* as --image-root"):
        open_tiny(root, pixels="photos")
    with pytest.raises(DataError, match="refcoco: holds none of the 2 photos of refcoco, the first is 'COCO_"):
        open_tiny(root, image_root=root / "refcoco")
    with pytest.raises(DataError, match="nowhere: no such folder of images; check --image-root"):
        open_tiny(root, image_root=root / "nowhere")


def test_run_lengths_serve_as_masks(write_folder: Any, tiny_content: Any) -> None:
    counts = [3, 2, 4795]
    tiny_content[1]["annotations"][0]["segmentation"] = {"size": [60, 80], "counts": counts}
    mask = open_tiny(write_folder(tiny_content, photos=True)).read(0).masks_MHW[0]
    assert np.argwhere(mask).tolist() == [[3, 0], [4, 0]]


def test_largest_object_is_no_crowd_region(write_folder: Any) -> None:
    root = write_folder(photos=True)
    photo = open_tiny(root).read_largest(0)
    assert np.array_equal(photo, decode_segmentation([[40, 10, 70, 10, 70, 30, 40, 30]], 60, 80))
    drawn = open_tiny(root, pixels="layout")
    largest = drawn.read_largest(0)
    masks = drawn.read(0).masks_MHW
    assert np.array_equal(largest, masks[int(np.argmax(masks.sum(axis=(1, 2))))])


def test_a_source_can_be_sent_to_workers(write_folder: Any) -> None:
    source = open_tiny(write_folder())
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.read(0).image_HWC, source.read(0).image_HWC)


def test_missing_or_damaged_photo_is_named_when_read(write_folder: Any) -> None:
    root = write_folder(photos=True)
    source = open_tiny(root)
    source.image_path(0).unlink()
    with pytest.raises(ImageError, match=r"000000000100\.jpg: no such file"):
        source.read(0)
    assert source.read(1).expressions == ("dog",)


def test_photo_of_another_size_than_stated_is_named(write_folder: Any, tiny_content: Any) -> None:
    root = write_folder(photos=True)
    tiny_content[1]["images"][0]["height"] = 61
    write_folder(tiny_content)
    with pytest.raises(ImageError, match="80 x 60, but the annotations say 80 x 61"):
        open_tiny(root).read(0)


def test_referent_without_a_mask_is_named(write_folder: Any, tiny_content: Any) -> None:
    tiny_content[1]["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    with pytest.raises(DataError, match=r"annotation 5 of image 100: .*three"):
        open_tiny(write_folder(tiny_content, photos=True)).read(0)


Change = Callable[[list[dict[str, Any]], dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda refs, instances: refs.clear(), "no referent of split 'train'"),
        (lambda refs, instances: instances["images"].clear(), "is of image 100, which instances"),
        (lambda refs, instances: instances.pop("categories"), "no list 'categories'"),
        (lambda refs, instances: instances["annotations"][0].pop("bbox"), "nor a box for every annotation"),
        (lambda refs, instances: instances["images"][0].pop("height"), "neither photos"),
    ],
)
def test_faulty_annotations_are_named(write_folder: Any, tiny_content: Any, change: Change, message: str) -> None:
    change(*tiny_content)
    with pytest.raises(DataError, match=message) as caught:
        open_tiny(write_folder(tiny_content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": None}, "image 200 has no 'file_name'"),
        ({"file_name": "../../etc/x.jpg"}, "image 200 is named '../../etc/x.jpg', outside the image folder"),
        ({"file_name": "/etc/x.jpg"}, "image 200 is named '/etc/x.jpg', outside the image folder"),
    ],
)
def test_a_photo_without_a_proper_name_is_named(
    write_folder: Any, tiny_content: Any, change: dict[str, Any], message: str
) -> None:
    tiny_content[1]["images"][1].update(change)
    (fault,) = open_tiny(write_folder(tiny_content)).faults
    assert message in fault.reason
    assert open_tiny(write_folder(tiny_content), pixels="layout").faults == ()  # a drawing needs no name


def test_a_referent_that_is_none_is_named(write_folder: Any, tiny_content: Any) -> None:
    tiny_content[0].append(None)
    (fault,) = open_tiny(write_folder(tiny_content)).faults
    assert fault.reason.endswith("referent 5 is None, no object of fields") and fault.expressions == 1
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    assert report.splits["train"].odd.first == ("referent 5 is None, no object of fields",) and not report.is_sound
    tiny_content[0].pop()
    tiny_content[1]["images"].append(3)
    report = check_dataset(write_folder(tiny_content), "refcoco", "unc")
    assert report.odd_entries.first == ("an entry of 'images' is 3, no object of fields",) and not report.is_sound
    assert "entries of instances.json that cannot be read: an entry of 'images' is 3" in faults_of(report.to_dict())[0]


def test_odd_fields_that_are_not_needed_do_not_matter(write_folder: Any, tiny_content: Any) -> None:
    refs, instances = tiny_content
    refs[0] |= {"ref_id": 2**70, "category_id": [1, {}], "image_id": 100.0, "ann_id": "5", "split": " train "}
    refs[1].pop("ref_id")
    refs[0]["sentences"][0] |= {"skills": 5}
    refs[0]["sentences"][1].pop("sent_id")
    refs[3]["sentences"] = ["a plain text", {"sentence": "under another name"}, {"sent": None, "raw": "As typed"}, None]
    instances["annotations"][0] |= {"category_id": None}
    instances["annotations"][1] |= {"category_id": "car", "id": 6.0}
    instances["images"][0] |= {"height": "60", "width": 80.0}
    source = open_tiny(write_folder(tiny_content))
    assert source.faults == ()
    assert source.read(0).expressions == (
        "left person", "the man", "car on the right", "a plain text", "under another name", "As typed",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda refs, instances: refs[0].update(image_id=9), {"referent 0 is of image 9": 2}),
        (lambda refs, instances: refs[0].pop("image_id"), {"referent 0 has the image_id None": 2}),
        (lambda refs, instances: refs[0].update(split=None), {"referent 0 has the split None": 2}),
        (
            lambda refs, instances: refs[0]["sentences"][0].update(sent=3, raw=4),
            {"referent 0 has the sentence {'sent_id'": 1},
        ),
        (
            lambda refs, instances: instances["images"][1].pop("file_name"),
            {"instances.json": 1},
        ),
        (
            lambda refs, instances: instances["images"][1].update(file_name="../../etc/x.jpg"),
            {"instances.json": 1},
        ),
        (
            lambda refs, instances: instances["images"][1].update(file_name="/etc/x.jpg"),
            {"instances.json": 1},
        ),
        (lambda refs, instances: refs[0].update(ann_id=99), {"referent 0 points to annotation 99": 2}),
        (lambda refs, instances: refs[0].update(ann_id=7), {"referent 0 points to annotation 7": 2}),
        (
            lambda refs, instances: instances["annotations"].append({**instances["annotations"][0], "area": 1}),
            {"referent 0 points to annotation 5": 2, "referent 3 points to annotation 5": 1},
        ),
        (
            lambda refs, instances: instances["images"].append({**instances["images"][1], "file_name": "other.jpg"}),
            {"referent 1 is of image 200": 1},
        ),
    ],
)
def test_what_is_missing_or_stands_twice_is_left_out_and_counted(
    write_folder: Any, tiny_content: Any, change: Change, lost: dict[str, int]
) -> None:
    change(*tiny_content)
    source = open_tiny(write_folder(tiny_content))
    assert {fault.reason.split(": ")[1].split(", which")[0]: fault.entries for fault in source.faults} == lost
    assert len(list(source.texts())) == 5 - sum(lost.values())
    for index in range(len(source)):
        assert source.read(index).masks_MHW.any(axis=(1, 2)).all()


@pytest.mark.parametrize("photos", [True, False])
def test_an_object_outside_its_image_is_no_expression_that_means_nothing(
    write_folder: Any, tiny_content: Any, photos: bool
) -> None:
    outside = {"bbox": [200, 10, 5, 5], "segmentation": [[200, 10, 205, 10, 205, 15]]}
    tiny_content[1]["annotations"][0].update(outside)
    source = open_tiny(write_folder(tiny_content, photos=photos))
    with pytest.raises(DataError, match=r"annotation 5 of image 100: its (box lies outside|mask covers no pixel)"):
        source.read(0)
    assert source.read(0, (2,)).masks_MHW.any()
    assert source.read_largest(0).any()


def test_a_broken_outline_that_no_expression_names_stops_nothing(write_folder: Any, tiny_content: Any) -> None:
    source = open_tiny(write_folder(photos=True))
    assert (source.read_categories(1) == 0).any()
    tiny_content[1]["annotations"][3].update(segmentation=[[1, 2, 3, 4]])
    broken = open_tiny(write_folder(tiny_content))
    assert (broken.read_categories(1) == 255).all()
    assert not broken.read_largest(1).any()


def test_a_layout_larger_than_any_photo_is_refused(write_folder: Any, tiny_content: Any) -> None:
    tiny_content[1]["images"][0].update(width=10**6, height=10**6)
    with pytest.raises(DataError, match="image 100 is stated to be 1000000 x 1000000"):
        open_tiny(write_folder(tiny_content)).read(0)


def test_illegal_split_and_missing_folder(write_folder: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give one of train, val, testA, testB"):
        open_tiny(write_folder(), "test")
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: cannot be read"):
        open_tiny(tmp_path / "nowhere")
    with pytest.raises(DataError, match="none of auto, photos, layout"):
        open_tiny(write_folder(), pixels="picture")
    (tmp_path / "refcoco" / "instances.json").write_text("{broken")
    with pytest.raises(DataError, match=r"instances\.json: not JSON"):
        open_tiny(tmp_path)
    (tmp_path / "refcoco" / "instances.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match=r"instances\.json: holds no JSON object"):
        open_tiny(tmp_path)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch pwned",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malicious_pickle_is_refused_unrun(
    write_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_folder()
    (root / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps([Malicious()], protocol=protocol))
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: refused, it asks for (posix|nt)\.system"):
        open_tiny(root)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
        (b"(S'true'\nios\nsystem\n.", r"os\.system"),
        (b"cbuiltins\neval\n.", r"builtins\.eval"),
        (b"Pelsewhere\n.", "object from outside"),
        (pickle.dumps(np.array([{}])), "NumPy type 'O8', which is none of numbers"),
        (pickle.dumps(np.zeros(2, dtype=[("a", int)])), "NumPy type 'V8'"),
        (pickle.dumps(np.frombuffer), "numpy.*if you made the file, write int"),
        (pickle.dumps(np.zeros(3)).replace(b"K\x03", b"K\x04"), "bytes do not fit its shape"),
        (b"", "not a whole pickle"),
        (b"\x80\x02]q\x00(K\x01", "not a whole pickle"),
        (b"]R.", "not a whole pickle"),
        (b"<html>", "not a whole pickle"),
        (b"\x80\xff.", "not a whole pickle"),
        (b"}S'a'\nb.", "not a whole pickle"),
        (b"\x82\x01.", "not a whole pickle"),
    ],
)
def test_pickles_that_call_or_break(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        loads_plain(content, "refs.p")
    assert str(caught.value).startswith("refs.p: ")
    assert "\n" not in str(caught.value)


def test_python_2_pickles_are_read() -> None:
    old = b"(lp0\n(dp1\nS'caf\\xe9'\np2\nV\\u00e9\np3\nsS'n'\nL5L\nsS'b'\nI01\nsa."
    assert loads_plain(old, "refs.p") == [{"café": "é", "n": 5, "b": True}]


def test_texts_of_python_2_are_utf_8_or_else_latin_1() -> None:
    assert loads_plain(b"(lp0\nS'caf\\xc3\\xa9'\np1\naS'\\xe9t\\xe9'\np2\naS'plain'\np3\na.", "refs.p") == [
        "café",
        "été",
        "plain",
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numbers_of_numpy_are_numbers(protocol: int) -> None:
    values: list[Any] = [
        np.int64(-5),
        np.uint8(200),
        np.float32(0.5),
        np.bool_(True),
        np.array([[1, 2], [3, 4]]),
        np.asfortranarray([[1.5, 2.5], [3.5, 4.5]]),
        np.array([], dtype=np.int32),
        np.arange(3, dtype=">i4"),
        np.str_("é"),
        OrderedDict(a=np.int16(1)),
    ]
    found = loads_plain(pickle.dumps(values, protocol=protocol), "refs.p")
    assert found == [-5, 200, 0.5, True, [[1, 2], [3, 4]], [[1.5, 2.5], [3.5, 4.5]], [], [0, 1, 2], "é", {"a": 1}]
    assert [type(value) for value in found[:4]] == [int, int, float, bool]


def test_a_number_of_numpy_that_python_2_wrote_beside_text() -> None:
    number = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbS"
    old = b"(lS'caf\\xc3\\xa9'\na" + number + b"'\\xc3\\xa9\\x00\\x00\\x00\\x00\\x00\\x00'\ntRa."
    assert loads_plain(old, "refs.p") == ["café", 0xA9C3]


def test_referents_with_numbers_of_numpy(write_folder: Any, tiny_content: Any) -> None:
    for ref in tiny_content[0]:
        ref |= {"ann_id": np.int64(ref["ann_id"]), "sent_ids": np.array(ref["sent_ids"])}
    assert len(list(open_tiny(write_folder(tiny_content)).texts())) == 5


def test_damaged_pickles_never_surprise() -> None:
    whole = pickle.dumps([{"id": k, "sent": "the man", "box": [1.5, None, True]} for k in range(5)], protocol=2)
    damaged = [whole[:length] for length in range(len(whole))]
    rng = np.random.default_rng(0)
    for _ in range(500):
        content = bytearray(whole)
        # Not 114, the opcode that sets aside as much memory as the next four bytes say.
        content[int(rng.integers(2, len(whole)))] = int(rng.integers(0, 114))
        damaged.append(bytes(content))
    answers = []
    for content in damaged:
        try:
            answers.append(loads_plain(bytes(content), "refs.p"))
        except DataError as error:
            assert str(error).startswith("refs.p: ")
    assert len(answers) < len(damaged) / 2


def test_real_photos(refer_photos: Path) -> None:
    for dataset, sentences in (("refcoco", 103), ("refcoco+", 93)):
        source = ReferSource(refer_photos, dataset, "unc", "train")
        assert (source.pixels, len(source), len(list(source.texts()))) == ("photos", 13, sentences)
        samples = [source.read(index) for index in range(len(source))]
        assert sum(len(sample.expressions) for sample in samples) == sentences
        assert all(0.001 < mask.mean() < 0.9 for sample in samples for mask in sample.masks_MHW)
        assert all(source.read_largest(index).any() for index in range(len(source)))
    with pytest.raises(DataError, match="no referent of split 'val'"):
        ReferSource(refer_photos, "refcoco", "unc", "val")


def test_real_boxes_reproduce_the_published_counts(refer_boxes: Path) -> None:
    source = ReferSource(refer_boxes, "refcoco", "unc", "val")
    assert source.pixels == "layout"
    assert len(list(source.texts())) == 10834
    assert sum(len(source.expression_groups(index)) for index in range(len(source))) == 3811
    for index in range(0, len(source), 50):
        sample = source.read(index)
        assert sample.masks_MHW.any(axis=(1, 2)).all()
        assert len(sample.expressions) == source.expression_count(index)

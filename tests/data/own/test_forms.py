"""What one of JSONL, COCO json, hf and REFER reads, all read, before and after every conversion."""

from __future__ import annotations

import base64
import json
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from m3att.data.masks import encode_rle
from m3att.data.own.convert import convert
from m3att.data.own.hub import RowsSource
from m3att.data.own.source import open_jsonl
from m3att.data.own.tools import open_coco
from m3att.data.refer.source import ReferSource
from m3att.data.source import Source, find_readable
from m3att.errors import DataError, ImageError

from ..own_files import HEIGHT, WIDTH, square, write_lines, write_mask, write_picture

Form = Literal["jsonl", "coco", "hf", "refer"]
FORMS: tuple[Form, ...] = get_args(Form)
MASK_HW = np.zeros((HEIGHT, WIDTH), dtype=bool)
MASK_HW[4:12, 2:12] = True
BOX = [2, 4, 10, 8]
NOTHING = "nothing"


def png_text() -> str:
    file = BytesIO()
    Image.fromarray(MASK_HW).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def pairs() -> list[list[float]]:
    flat = square(2)
    return [flat[at : at + 2] for at in range(0, len(flat), 2)]


MASKS: dict[str, Any] = {
    "flat": square(2),
    "list": [square(2)],
    "pairs": pairs(),
    "list of pairs": [pairs()],
    "run lengths": encode_rle(MASK_HW),
    "counts": {"size": [HEIGHT, WIDTH], "counts": [52, *[8, 16] * 9, 8, 24 * 20 + 12]},
    "mixed": [square(2), encode_rle(MASK_HW)],
    "array": MASK_HW.astype(int).tolist(),
    "base64": png_text(),
    "file": "masks\\m.png",
    "JSON": json.dumps([square(2)]),
}
OTHER = {"mask": [square(20)], "text": "the other"}


def write(folder: Path, form: Form, entries: list[dict[str, Any]]) -> Path:
    """Entries of one image, each an object with a text under ``text`` and a mask under any name, in a form."""
    write_picture(folder / "a.png")
    write_mask(folder / "masks" / "m.png", 2)
    if form == "jsonl":
        return write_lines(folder / "own.jsonl", [{"image": "a.png", **entry} for entry in entries])
    instances: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, **entry}
            for number, entry in enumerate(entries, start=1)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    if form == "coco":
        (folder / "own.json").write_text(json.dumps(instances))
        return folder / "own.json"
    (folder / "custom").mkdir()
    write_mask(folder / "custom" / "masks" / "m.png", 2)
    refs = [
        {"ref_id": number, "ann_id": number, "image_id": 1, "split": "train", "sentences": [
            {"sent_id": number, "sent": entry["text"], "raw": entry["text"]}]}
        for number, entry in enumerate(entries, start=1)
    ]  # fmt: skip
    for entry in instances["annotations"]:
        entry.pop("text")
    (folder / "custom" / "instances.json").write_text(json.dumps(instances))
    (folder / "custom" / "refs(own).p").write_bytes(pickle.dumps(refs))
    write_picture(folder / "images" / "custom" / "a.png")
    return folder


def opened(place: Path, form: Form) -> Source:
    if form == "jsonl":
        return open_jsonl(place, "train")
    return open_coco(place, "train") if form == "coco" else ReferSource(place, "custom", "own", "train", "photos")


def answers(source: Source) -> dict[str, str | int]:
    """For each expression the pixels of its mask, or that it means nothing, or why it cannot be read."""
    found: dict[str, str | int] = {}
    texts = list(source.texts())
    place = 0
    for index in range(len(source)):
        for position in sorted(at for group in source.expression_groups(index) for at in group):
            try:
                mask_HW = source.read(index, (position,)).masks_MHW[0]
                found[texts[place]] = int(mask_HW.sum()) or NOTHING
            except (DataError, ImageError) as error:
                found[texts[place]] = str(error)
            place += 1
    for fault in source.faults:
        found[f"fault {len(found)}"] = fault.reason
    return found


def read(folder: Path, form: Form, entries: list[dict[str, Any]]) -> dict[str, str | int]:
    if form == "hf":
        picture = Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
        write_mask(folder / "masks" / "m.png", 2)
        return answers(
            RowsSource([{"image": picture, "image_id": 1, **entry} for entry in entries], "train", str(folder))
        )
    return answers(opened(write(folder, form, entries), form))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("field", ["mask", "segmentation"])
def test_every_form_reads_every_mask(tmp_path: Path, form: Form, name: str, field: str) -> None:
    assert read(tmp_path, form, [{"text": "it", field: MASKS[name]}, OTHER]) == {"it": 80, "the other": 80}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("entry", [{"no_target": True}, {"mask": None}, {"mask": None, "no_target": True, "bbox": BOX}])
def test_every_form_reads_what_states_that_nothing_is_named(tmp_path: Path, form: Form, entry: dict[str, Any]) -> None:
    assert read(tmp_path, form, [{"text": "it", **entry}, OTHER]) == {"it": NOTHING, "the other": 80}


ABSENT: dict[str, dict[str, Any]] = {
    "no mask": {},
    "null": {"segmentation": None},
    "null beside an area": {"mask": None, "area": 80},
    "null beside half a box": {"mask": None, "bbox": BOX[:2], "area": 80},
    "empty list": {"segmentation": []},
    "empty mask": {"mask": []},
    "empty run lengths": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}},
    "black": {"mask": (MASK_HW & False).astype(int).tolist()},
    "outside": {"segmentation": [square(WIDTH + 20)]},
    "half": {"segmentation": [square(2), [1, 2, 3, 4]]},
    "half of run lengths": {"segmentation": [square(2), {"size": [HEIGHT, WIDTH], "counts": [3]}]},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ABSENT)
def test_in_no_form_does_what_is_absent_mean_nothing(tmp_path: Path, form: Form, name: str) -> None:
    found = read(tmp_path, form, [{"text": "it", **ABSENT[name]}, OTHER])
    assert found["the other"] == 80
    assert isinstance(found["it"], str) and found["it"] != NOTHING
    assert len(found["it"]) < 500


@pytest.mark.parametrize("form", ["coco", "refer"])
def test_a_crowd_region_alone_is_what_is_meant(tmp_path: Path, form: Form) -> None:
    entry = {"text": "the crowd", "iscrowd": 1, "segmentation": encode_rle(MASK_HW)}
    assert read(tmp_path, form, [entry, OTHER]) == {"the crowd": 80, "the other": 80}


@pytest.mark.parametrize("before", ["jsonl", "coco", "refer"])
@pytest.mark.parametrize("after", ["jsonl", "coco", "refer"])
def test_answers_are_the_same_after_a_conversion(tmp_path: Path, before: Form, after: Form) -> None:
    entries = [{"text": name, **entry} for name, entry in ABSENT.items()]
    entries += [{"text": name, "segmentation": mask} for name, mask in MASKS.items()]
    entries += [{"text": "stated", "no_target": True}, {"text": "stated too", "mask": None}, OTHER]
    place = write(tmp_path, before, entries)
    first = {
        text: answer if isinstance(answer, int) else answer == NOTHING
        for text, answer in answers(opened(place, before)).items()
    }
    out = tmp_path / "out"
    written = convert(place / "custom" if before == "refer" else place, after, out, copy_images=True)
    assert written.faults
    found = answers(opened(out if after == "refer" else written.path, after))
    again = {text: answer if isinstance(answer, int) else answer == NOTHING for text, answer in found.items()}
    assert again == first


TEXTS = [
    "caption",
    "captions",
    "sentence",
    "expression",
    "expressions",
    "text",
    "phrase",
    "referring_expression",
    "query",
]


@pytest.mark.parametrize("form", ["jsonl", "coco", "hf"])
@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", ["it", ["it"], [{"raw": "IT", "sent": "it"}], ["it", None]])
def test_every_form_reads_texts_under_every_name(tmp_path: Path, form: Form, field: str, value: Any) -> None:
    assert read(tmp_path, form, [{field: value, "mask": square(2)}, {field: "other", "mask": square(20)}]) == {
        "it": 80,
        "other": 80,
    }


@pytest.mark.parametrize("form", ["jsonl", "coco", "hf"])
def test_names_of_splits(tmp_path: Path, form: Form) -> None:
    entries = [
        {"mask": square(2 * at), "text": name, "split": name} for at, name in enumerate(("training", "validation"))
    ]
    if form == "hf":
        picture = Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
        sources: list[Source] = [
            RowsSource([{"image": picture, **e} for e in entries], split) for split in ("train", "val")
        ]
    else:
        place = write(tmp_path, form, entries)
        sources = [(open_jsonl if form == "jsonl" else open_coco)(place, split) for split in ("train", "val")]
    assert [list(source.texts()) for source in sources] == [["training"], ["validation"]]


def get_mask(refer: dict[str, Any], ref: dict[str, Any]) -> np.ndarray:
    """As `REFER.getMask` of the refer toolbox gets at it, with its accesses and none of its own care."""
    annotation = refer["annotations"][ref["ann_id"]]
    image = refer["images"][ref["image_id"]]
    if type(annotation["segmentation"][0]) == list:  # noqa: E721 - as it stands there
        code = coco_mask.frPyObjects(annotation["segmentation"], image["height"], image["width"])
    else:
        code = annotation["segmentation"]
    return np.sum(coco_mask.decode(code), axis=2) > 0


@pytest.mark.parametrize("before", ["jsonl", "coco"])
def test_what_is_converted_passes_through_the_tools_of_the_field(tmp_path: Path, before: Form) -> None:
    texts = [name for name in MASKS if not (name == "counts" and before == "coco")]
    place = write(tmp_path, before, [{"text": name, "segmentation": MASKS[name]} for name in texts])
    if before == "coco":
        data = json.loads(place.read_text())
        for key in ("height", "width"):
            del data["images"][0][key]
        place.write_text(json.dumps(data))
    tool = COCO(str(convert(place, "coco", tmp_path / "c", copy_images=True).path))
    assert tool.loadImgs(1)[0]["height"] == HEIGHT and tool.loadImgs(1)[0]["width"] == WIDTH
    for annotation in tool.loadAnns(tool.getAnnIds()):
        assert np.array_equal(tool.annToMask(annotation) > 0, MASK_HW), annotation
    folder = convert(place, "refer", tmp_path / "r", copy_images=True).path / "custom"
    instances = json.loads((folder / "instances.json").read_text())
    refer = {key: {entry["id"]: entry for entry in instances[key]} for key in ("images", "annotations", "categories")}
    refs = pickle.loads((folder / "refs(own).p").read_bytes())
    assert sum(len(ref["sent_ids"]) for ref in refs) == len(texts)
    for ref in refs:
        assert np.array_equal(get_mask(refer, ref), MASK_HW), ref
        assert refer["categories"][ref["category_id"]]["name"]
        assert (tmp_path / "r/images/custom" / refer["images"][ref["image_id"]]["file_name"]).is_file()


@pytest.mark.parametrize("to", ["jsonl", "coco", "refer"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["images"].clear(), "image 1 is not there"),
        (lambda data: data["images"][0].pop("file_name"), "image 1 states no file"),
        (lambda data: data["annotations"].pop(0), "annotation 1 of image 1 is not there"),
        (lambda data: data["annotations"][0].update(id=None), "entry 0 of 'annotations' is left out: None is no 'id'"),
        (lambda data: data["annotations"][0].pop("segmentation"), "it has no mask"),
        (lambda data: data["annotations"].append(7), "entry 2 of 'annotations' is left out: 7 is no 'id'"),
    ],
)
def test_a_conversion_names_what_a_refer_folder_lacks(tmp_path: Path, to: Any, change: Any, message: str) -> None:
    entries = [{"text": "it", "segmentation": [square(2)]}, {"text": "other", "segmentation": [square(20)]}]
    folder = write(tmp_path, "refer", entries) / "custom"
    data = json.loads((folder / "instances.json").read_text())
    assert convert(folder, to, tmp_path / "whole").faults == ()
    change(data)
    (folder / "instances.json").write_text(json.dumps(data))
    faults = convert(folder, to, tmp_path / "out").faults
    assert any(message in fault for fault in faults), faults


def test_faults_of_one_image_cost_their_own_expressions_alone(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "jsonl", [{"text": "it", "segmentation": None}, OTHER]), "jsonl")
    with pytest.raises(DataError) as caught:
        source.read(0)
    good, faults = find_readable(source, 0, (0, 1), caught.value)
    assert good == (1,) and [fault.positions for fault in faults] == [(0,)]

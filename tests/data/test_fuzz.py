"""Whatever stands in the files, a reader gives a source or one of the errors that a user is told in one line."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from m3att.data.own.convert import convert
from m3att.data.own.read import read_content
from m3att.data.own.source import CustomSource, open_jsonl
from m3att.data.own.tools import open_coco
from m3att.data.refer.pickles import loads_plain
from m3att.data.refer.source import ReferSource
from m3att.data.source import Source
from m3att.errors import DataError, ImageError, M3AttError

from .own_files import HEIGHT, WIDTH, square, write_lines, write_picture

FUZZ = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NUMBERS = st.integers(-3, 12) | st.sampled_from([2**31, 2**63, -(2**70), 10**30]) | st.floats()
TEXTS = st.sampled_from(["a.png", "b.png", "..", "/", "", "\0", "left", "🐈", "ي", "\ud800", "train", "val"]) | st.text(
    max_size=4
)
POLYGONS = st.lists(st.lists(st.integers(-5, 40) | st.floats(), max_size=8), max_size=3)
RUNS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.just([HEIGHT, WIDTH]) | st.lists(NUMBERS, max_size=3),
        "counts": st.text(max_size=6) | st.lists(st.integers(-2, 800), max_size=6) | st.just([HEIGHT * WIDTH]),
        "png": TEXTS,
    },
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
ANYTHING = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXTS, part, max_size=3), max_leaves=6
)
MASKS = POLYGONS | RUNS | TEXTS | ANYTHING | st.just([square(3)])
IDS = st.sampled_from([1, 2, 3])
SPLIT = st.just("train")
NAMES = st.sampled_from(["left", "the one", "🐈", "ي", "\ud800", ""])


@st.composite
def entries(draw: Any, **fields: Any) -> dict[str, Any]:
    """Dicts of given fields, of which now and then one is missing or holds anything."""
    entry = {name: draw(value) for name, value in fields.items()}
    if draw(st.integers(0, 19)) == 19:
        name = draw(st.sampled_from(sorted(fields)))
        entry[name] = draw(ANYTHING)
        if draw(st.booleans()):
            del entry[name]
    return entry


LINES = entries(
    image=st.just("a.png"), expression=NAMES, mask=MASKS, split=SPLIT, category=NAMES, id=IDS, extra=ANYTHING
)
# Three images that annotations can belong to, one of them now and then strange, doubled or missing.
IMAGES = st.tuples(
    *(
        entries(id=st.just(n), file_name=st.just("a.png"), height=st.just(HEIGHT), width=st.just(WIDTH))
        for n in (1, 2, 3)
    )
).map(list) | st.lists(entries(id=IDS, file_name=TEXTS, height=NUMBERS, width=NUMBERS, split=TEXTS), max_size=3)
CATEGORIES = st.lists(entries(id=IDS, name=TEXTS), max_size=3)
OBJECT = {
    "id": st.integers(1, 9), "image_id": IDS, "category_id": IDS, "segmentation": MASKS, "iscrowd": st.integers(0, 1),
    "bbox": st.just([1, 2, 10, 8]) | st.lists(NUMBERS, max_size=5), "area": st.just(80) | NUMBERS,
}  # fmt: skip
SENTENCES = st.lists(entries(sent_id=IDS, sent=NAMES, raw=NAMES, tokens=ANYTHING), min_size=1, max_size=3)
REF = entries(
    ref_id=IDS, ann_id=st.integers(1, 9), image_id=IDS, category_id=IDS, split=SPLIT, sent_ids=ANYTHING,
    sentences=SENTENCES,
)  # fmt: skip
COCO = entries(
    images=IMAGES,
    annotations=st.lists(
        entries(**OBJECT, expressions=st.lists(NAMES, min_size=1, max_size=3), split=SPLIT), min_size=1, max_size=4
    ),
    categories=CATEGORIES,
)
CARRIED = st.lists(
    entries(
        position=st.integers(0, 5),
        ref=entries(ref_id=IDS, image_id=IDS, split=SPLIT),
        sentences=st.lists(entries(sent_id=IDS, raw=NAMES), min_size=1, max_size=1),
    ),
    min_size=1,
    max_size=2,
)
CONVERTED = entries(
    images=IMAGES,
    annotations=st.lists(
        entries(**OBJECT, expressions=st.lists(NAMES, min_size=1, max_size=2), refer=CARRIED), min_size=1, max_size=3
    ),
    categories=CATEGORIES,
    m3att=entries(
        image_root=st.just(""), dataset=TEXTS, refs=st.lists(st.tuples(st.integers(0, 9), REF | ANYTHING), max_size=1)
    ),
)
INSTANCES = entries(
    images=IMAGES, annotations=st.lists(entries(**OBJECT), min_size=1, max_size=4), categories=CATEGORIES
)
REFS = st.lists(REF, min_size=1, max_size=4)


def read_all(source: Source) -> None:
    """Every way to read a source, each image and expression for itself."""
    assert len(source) > 0
    for text in source.texts():
        assert isinstance(text, str)
    assert all(isinstance(name, str) for name in source.category_names)
    for index in range(len(source)):
        positions = [at for group in source.expression_groups(index) for at in group]
        assert sorted(positions) == list(range(len(positions)))
        for position in positions:
            try:
                sample = source.read(index, (position,))
                assert sample.masks_MHW.shape[0] == 1
                assert source.read_categories(index).shape == sample.image_HWC.shape[:2]
            except (DataError, ImageError) as error:
                assert str(error)


def survives(action: Any) -> Any:
    """What an action returns; None where it raises what a user is told."""
    try:
        found = action()
    except M3AttError as error:
        assert str(error)
        event("refused")
        return None
    event("read")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_picture(tmp_path / "a.png")
    return tmp_path


@FUZZ
@given(lines=st.lists(LINES, max_size=4))
def test_random_lines(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = survives(lambda: open_jsonl(folder / "own.jsonl", "train"))
    if source is not None:
        read_all(source)
    survives(lambda: read_content(folder / "own.jsonl"))


@FUZZ
@given(data=COCO | CONVERTED)
def test_random_coco_json(folder: Path, data: dict[str, Any]) -> None:
    (folder / "own.json").write_text(json.dumps(data))
    source = survives(lambda: open_coco(folder / "own.json", "train"))
    if source is not None:
        read_all(source)


@FUZZ
@given(refs=REFS | ANYTHING, instances=INSTANCES)
def test_random_refer_folder(folder: Path, refs: Any, instances: dict[str, Any]) -> None:
    place = folder / "refcoco"
    place.mkdir(exist_ok=True)
    (place / "refs(unc).p").write_bytes(pickle.dumps(refs))
    (place / "instances.json").write_text(json.dumps(instances))
    for pixels in ("photos", "layout"):
        source = survives(lambda: ReferSource(folder, "refcoco", "unc", "train", pixels=pixels, image_root=folder))  # noqa: B023
        if source is not None:
            read_all(source)
    survives(lambda: read_content(place))


def damaged(content: bytes, draw: Any) -> bytes:
    """A file with some bytes changed, or cut short."""
    changed = bytearray(content)
    # Not 114: in a pickle it sets aside as much memory as the next four bytes say.
    values = st.integers(0, 255).filter(lambda value: value != 114)
    for place, value in draw(st.lists(st.tuples(st.integers(0, len(content) - 1), values), max_size=3)):
        changed[place] = value
    return bytes(changed[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 3)) == 3 else changed)


@FUZZ
@given(data=st.data())
def test_damaged_bytes(folder: Path, data: st.DataObject) -> None:
    lines = [{"image": "a.png", "expression": "left 🐈", "mask": [square(2)], "split": "train", "category": "cat"}] * 2
    path = write_lines(folder / "own.jsonl", lines)
    path.write_bytes(damaged(path.read_bytes(), data.draw))
    for source in (survives(lambda: open_jsonl(path, "train")), survives(lambda: open_jsonl(path, "val"))):
        if isinstance(source, CustomSource):
            read_all(source)
    annotation = {"id": 1, "image_id": 4, "category_id": 7, "segmentation": [square(2)], "expressions": ["left"]}
    whole = {"images": [{"id": 4, "file_name": "a.png"}], "annotations": [annotation], "categories": [{"id": 7}]}
    path = folder / "own.json"
    path.write_bytes(damaged(json.dumps(whole).encode(), data.draw))
    source = survives(lambda: open_coco(path, "train"))
    if source is not None:
        read_all(source)


@FUZZ
@given(data=st.data())
def test_damaged_refer_files(write_folder: Any, tiny_content: Any, data: st.DataObject) -> None:
    place = write_folder(tiny_content) / "refcoco"
    for name in ("refs(unc).p", "instances.json"):
        (place / name).write_bytes(damaged((place / name).read_bytes(), data.draw))
    source = survives(lambda: ReferSource(place.parent, "refcoco", "unc", "train"))
    if source is not None:
        read_all(source)


@FUZZ
@given(data=st.data())
def test_a_damaged_picture(folder: Path, data: st.DataObject) -> None:
    for name in ("b.png", "b.jpg"):
        write_picture(folder / name)
        (folder / name).write_bytes(damaged((folder / name).read_bytes(), data.draw))
    lines = [
        {"image": "b.jpg", "expression": "x", "mask": [square(2)]},
        {"image": "a.png", "expression": "y", "mask": "b.png"},
    ]
    read_all(open_jsonl(write_lines(folder / "own.jsonl", lines), "train"))


@FUZZ
@given(lines=st.lists(LINES, min_size=1, max_size=3), form=st.sampled_from(["refer", "coco", "jsonl"]))
def test_whatever_can_be_read_comes_back_from_a_conversion(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]], form: Any
) -> None:
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = survives(lambda: read_content(folder / "own.jsonl"))
    out = tmp_path_factory.mktemp("converted")
    if before is None or survives(lambda: convert(folder / "own.jsonl", form, out / "there")) is None:
        return
    place = out / "there" / "custom" if form == "refer" else out / "there"
    after = read_content(place)
    texts = [[sentence["sent"] for sentence in ref["sentences"]] for ref in before.refs]
    assert [[sentence["sent"] for sentence in ref["sentences"]] for ref in after.refs] == texts
    assert [ref["split"] for ref in after.refs] == [ref["split"] for ref in before.refs]


@FUZZ
@given(st.binary(max_size=60).map(lambda content: content.replace(b"r", b"q")))
def test_random_pickles(content: bytes) -> None:
    survives(lambda: loads_plain(content, "refs.p"))

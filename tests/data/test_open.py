"""Which source a DataConfig opens, and several of them as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3att.config import DataConfig
from m3att.data.fields import OWN_FORMS
from m3att.data.open import DRAWN_IMAGES, ENDLESS, OWN, MixedSource, open_old, open_source, open_training
from m3att.data.refer.source import ReferSource
from m3att.data.sample import Sample
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.writer import write_refer
from m3att.data.source import Source
from m3att.errors import ConfigError, DataError

from .own_files import square, write_lines, write_picture


def test_the_forms_of_own_data_have_one_list() -> None:
    assert set(OWN_FORMS) == set(OWN)


class NumberedSource(Source):
    """A source of a given length whose images say which they are."""

    def __init__(self, name: int, length: int, pixels: str = "drawn") -> None:
        self.name, self.length, self.own_pixels = name, length, pixels

    @property
    def pixels(self) -> str:
        return self.own_pixels

    @property
    def category_names(self) -> tuple[str, ...]:
        return "thing", f"only {self.name}"

    def __len__(self) -> int:
        return self.length

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        return ((0,), (1, 2)) if self.name else ((0,),)

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        chosen = tuple(expressions or ())
        image_HWC = np.zeros((2, 2, 3), dtype=np.uint8)
        masks_MHW = np.zeros((1, 2, 2), dtype=bool)
        texts = (f"{self.name} {index}",) * len(chosen)
        return Sample(image_HWC, tuple(masks_MHW), (0,) * len(chosen), texts, chosen, index, ((),) * len(chosen))

    def read_categories(self, index: int) -> NDArray[np.uint8]:
        return np.array([[0, 1], [2, 255]], dtype=np.uint8)

    def texts(self) -> Iterator[str]:
        return iter([str(self.name)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_a_mixture_holds_every_image_once_and_takes_turns(lengths: list[int]) -> None:
    mixed = MixedSource([NumberedSource(name, length) for name, length in enumerate(lengths)])
    assert len(mixed) == sum(lengths)
    read = [mixed.read(index, (0,)).expressions[0].split() for index in range(len(mixed))]
    places = [(int(name), int(within)) for name, within in read]
    assert sorted(places) == [(name, at) for name, length in enumerate(lengths) for at in range(length)]
    # Taking turns: the first k rounds hold the first k images of each.
    assert [within for _, within in places] == sorted(within for _, within in places)
    for index, (name, _) in enumerate(places):
        assert mixed.expression_groups(index) == (((0,), (1, 2)) if name else ((0,),))
    assert list(mixed.texts()) == [str(name) for name in range(len(lengths))]


def test_a_mixture_numbers_the_categories_of_its_parts_as_one() -> None:
    mixed = MixedSource([NumberedSource(name, 1) for name in (7, 8)])
    assert mixed.category_names == ("thing", "only 7", "only 8")
    assert mixed.read_categories(0).tolist() == [[0, 1], [2, 255]]
    assert mixed.read_categories(1).tolist() == [[0, 1], [3, 255]]


def test_a_mixture_without_end_takes_turns_and_shows_no_image_twice() -> None:
    mixed = open_source(DataConfig(dataset="shaperef, shaperef+,shaperefg"), "train", training=True)
    assert isinstance(mixed, MixedSource) and len(mixed) == ENDLESS
    assert [mixed.place(index)[1] for index in range(6)] == list(range(6))
    variants = [mixed.place(index)[0].variant for index in range(6)]  # type: ignore[attr-defined]
    assert variants == ["shaperef", "shaperef+", "shaperefg"] * 2
    single = ShapeRefSource("shaperefg", "train", ENDLESS)
    assert mixed.read(5).expressions == single.read(5).expressions
    assert mixed.expression_groups(5) == single.expression_groups(5)
    assert mixed.pixels == "drawn"


def test_how_many_images_are_drawn() -> None:
    assert len(open_source(DataConfig(), "val")) == DRAWN_IMAGES
    assert len(open_source(DataConfig(images=7), "val")) == 7
    assert len(open_source(DataConfig(), "train", training=True)) == ENDLESS
    # A number of images means those and no others, in training too.
    assert len(open_source(DataConfig(images=7), "train", training=True)) == 7


def test_the_seed_reaches_the_scenes() -> None:
    first, again, other = (open_source(DataConfig(seed=seed), "val").read(0) for seed in (4, 4, 5))
    assert np.array_equal(first.image_HWC, again.image_HWC)
    assert not np.array_equal(first.image_HWC, other.image_HWC)


def test_a_root_is_read_and_says_what_its_pixels_are(tmp_path: Path) -> None:
    write_refer(tmp_path, "shaperef", {"train": 3, "val": 2}, size=64)
    source = open_source(DataConfig(root=str(tmp_path)), "val", training=True)
    assert isinstance(source, ReferSource)
    assert (len(source), source.split_by, source.pixels) == (2, "unc", "drawn")
    mixed = open_source(DataConfig(root=str(tmp_path), dataset="shaperef,shaperef"), "train", training=True)
    assert (len(mixed), mixed.pixels) == (6, "drawn")
    assert open_source(DataConfig(root=str(tmp_path), pixels="layout"), "val").pixels == "layout"


def test_a_mixture_says_of_its_parts_where_they_are_and_what_they_hold(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    lines = [{"image": "1.png", "expression": f"thing {at}", "mask": square(4) if at else None} for at in range(3)]
    own = open_source(DataConfig(root=str(write_lines(tmp_path / "a.jsonl", lines)), dataset="jsonl"), "val")
    drawn = open_source(DataConfig(images=2), "val")
    assert (own.origin, own.no_targets, own.lexicon) == (f"{tmp_path / 'a.jsonl'}; photos in {tmp_path}", 1, None)
    assert (drawn.origin, drawn.no_targets) == ("", None)
    assert drawn.lexicon is not None and "left" in drawn.lexicon
    mixed = MixedSource([own, drawn, own])
    assert (mixed.origin, mixed.no_targets, mixed.lexicon) == (own.origin, None, None)
    assert MixedSource([own, own]).no_targets == 2
    assert MixedSource([drawn, drawn]).lexicon == drawn.lexicon


def test_pixels_of_a_mixture_are_named_once_each() -> None:
    parts: list[Source] = [NumberedSource(1, 1, kind) for kind in ("layout", "photos", "layout")]
    assert MixedSource(parts).pixels == "layout+photos"


@pytest.mark.parametrize(("gone", "kinds"), [("train", ("layout", "drawn")), ("val", ("drawn", "layout"))])
def test_one_training_has_one_sort_of_pixels(tmp_path: Path, gone: str, kinds: tuple[str, str]) -> None:
    write_refer(tmp_path, "shaperef", {"train": 3, "val": 2}, size=64)
    data = DataConfig(root=str(tmp_path))
    sources = open_training(data, 1)
    assert [len(source) for source in sources] == [3, 2]
    assert sources[0].world == "ShapeRef's drawn scenes"
    source = open_source(data, gone)
    assert isinstance(source, ReferSource)
    for index in range(len(source)):
        source.image_path(index).unlink()
    with pytest.raises(DataError, match=f"split train would be {kinds[0]} and those of val {kinds[1]}; put the"):
        open_training(data, 1)
    layouts = open_training(replace(data, pixels="layout"), 1)
    assert layouts[0].world == "layouts drawn of shaperef's annotated boxes"


def test_whoever_has_seen_photos_knows_no_smaller_world() -> None:
    photos, layout, drawn = (
        NumberedSource(1, 1, "photos"),
        NumberedSource(1, 1, "layout"),
        ShapeRefSource("shaperef", "val", 1),
    )
    assert photos.world == MixedSource([layout, drawn, photos]).world == ""
    assert MixedSource([drawn, layout]).world == "ShapeRef's drawn scenes and layout pictures"
    assert drawn.world == "ShapeRef's drawn scenes"


@pytest.mark.parametrize(
    ("data", "split", "error", "message"),
    [
        (DataConfig(dataset="refcoco"), "val", ConfigError, "'refcoco' needs a folder: give --data.root"),
        (DataConfig(dataset="shaperef,nothing"), "val", ConfigError, "'nothing' needs a folder"),
        (DataConfig(), "testC", DataError, "no ShapeRef split 'testC'"),
        (DataConfig(root="/nowhere/at/all", dataset="refcoco"), "val", DataError, "/nowhere/at/all/refcoco"),
        (DataConfig(root="/nowhere/at/all", dataset="refcoco"), "test", DataError, "test"),
    ],
)
def test_what_cannot_be_opened_is_named(data: DataConfig, split: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as refusal:
        open_source(data, split)
    assert "\n" not in str(refusal.value)


def write_beside(folder: Path, images: int) -> str:
    """Own data of a few images in JSON Lines."""
    for number in range(images):
        write_picture(folder / f"{number}.png")
    lines = [{"image": f"{number}.png", "expression": "the square", "mask": [square(4)]} for number in range(images)]
    return str(write_lines(folder / "own.jsonl", lines))


def test_own_data_stand_beside_a_data_set_at_the_wanted_share(tmp_path: Path) -> None:
    write_refer(tmp_path / "refer", "shaperef", {"train": 24, "val": 2}, size=64)
    own = write_beside(tmp_path / "own", 2)
    data = DataConfig(root=str(tmp_path / "refer"), dataset="shaperef", beside=(own,), beside_share=0.5)
    source, validation = open_training(data, 4)
    main = len(open_source(data, "train"))
    assert len(source) == pytest.approx(2 * main, abs=2)
    read = [source.read(index) for index in range(len(source))]
    assert sum(sample.expressions == ("the square",) for sample in read) == pytest.approx(main, abs=1)
    assert (source.pixels, validation.pixels) == ("drawn+photos", "drawn")
    few, _ = open_training(replace(data, beside_share=0.01), 4)
    assert len(few) == main + 2  # each image once at least


def test_a_share_of_what_has_no_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.beside"):
        open_training(DataConfig(beside=(write_beside(tmp_path, 1),)), 4)


def write_old(folder: Path, lines: Sequence[tuple[int, dict[str, Any]]]) -> str:
    """Old data of ten images of which each says its number."""
    for number in range(10):
        write_picture(folder / f"{number}.png")
    rows = [{"image": f"{at}.png", "expression": f"old {at}", "mask": [square(4)], **more} for at, more in lines]
    return str(write_lines(folder / "old.jsonl", rows))


def said(source: Source) -> list[str]:
    """What the expressions of a source say, in the order of its images."""
    return [text for index in range(len(source)) for text in source.read(index).expressions]


def test_old_data_are_other_images_each_epoch_and_never_those_that_are_validated_on(tmp_path: Path) -> None:
    old = write_old(tmp_path / "old", [(at, {}) for at in range(10)])
    own = write_beside(tmp_path / "own", 3)
    data = DataConfig(own, "jsonl", old=(old,), old_share=0.5, held_out=0.2)
    source, validation = open_training(data, None)
    assert said(validation) == ["the square"] * 3
    (held_out,) = open_old(data, "val")
    kept = said(held_out)
    assert len(kept) == 2
    epochs = [said(source.at_epoch(epoch)) for epoch in range(8)]
    for texts in epochs:
        assert texts.count("the square") == 3 and len(texts) == 6  # as many old images as new ones
    seen = [text for texts in epochs for text in texts if text != "the square"]
    assert set(seen) == {f"old {at}" for at in range(10)} - set(kept)
    assert {seen.count(text) for text in seen} == {3}  # 8 x 3 pictures out of 8, one after the other
    assert set(source.texts()) >= set(seen)
    assert epochs[3] == said(open_training(data, None)[0].at_epoch(3))


@pytest.mark.parametrize("split", [{}, {"split": "train"}], ids=["no split", "training alone"])
def test_old_data_without_a_split_to_validate_on_are_divided(tmp_path: Path, split: dict[str, Any]) -> None:
    data = DataConfig(old=(write_old(tmp_path, [(at, split) for at in range(10)]),), held_out=0.3)
    (train,), (val,) = open_old(data, "train"), open_old(data, "val")
    assert (len(train), len(val)) == (7, 3) and not set(said(train)) & set(said(val))


def test_old_data_keep_the_split_that_they_state(tmp_path: Path) -> None:
    lines = [(at, {"split": "val" if at < 4 else "train"}) for at in range(10)]
    data = DataConfig(old=(write_old(tmp_path, lines),))
    (train,), (val,) = open_old(data, "train"), open_old(data, "val")
    assert said(val) == [f"old {at}" for at in range(4)] and len(train) == 6


def test_old_scenes_are_drawn(tmp_path: Path) -> None:
    data = DataConfig(write_beside(tmp_path / "own", 3), "jsonl", old=("shaperef", "shaperef+"), old_share=0.6)
    source, _ = open_training(data, None)
    assert source.pixels == "photos+drawn" and len(source) == 3 + 2 * 2
    (val, other) = open_old(data, "val")
    assert (len(val), val.world, len(other)) == (DRAWN_IMAGES, "ShapeRef's drawn scenes", DRAWN_IMAGES)


def test_old_data_beside_what_has_no_end_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.old: needs a data set of a known size"):
        open_training(DataConfig(old=("shaperef",)), 4)

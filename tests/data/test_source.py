"""The contract of a data set, on a source that this project has never seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from m3att.config import DataConfig, EvaluateConfig, InputConfig
from m3att.data.faults import Fault
from m3att.data.open import MixedSource
from m3att.data.sample import Sample
from m3att.data.source import UNKNOWN, Source
from m3att.engine.evaluate import about, evaluate_largest
from m3att.errors import ConfigError, DataError

DATA = DataConfig(dataset="satellites", split="val")


class Photographs(Source):
    """The least that somebody else's source has to say: two photos with one expression each."""

    pixels = "photos"

    def __len__(self) -> int:
        return 2

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        return ((0,),)

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        mask_HW = np.zeros((6, 8), dtype=bool)
        mask_HW[:3] = True
        return Sample(np.zeros((6, 8, 3), np.uint8), (mask_HW,), (0,), ("the airport",), (index,), index, ((),))

    def texts(self) -> Iterator[str]:
        return iter(["the airport"] * 2)


class Annotated(Photographs):
    """The same with all that a source may say beside it."""

    split_by = "nato"
    stated_split = False
    has_every_object = True
    faults = (Fault("3.jpg: lost", entries=2),)
    prepared = 0

    @property
    def category_names(self) -> tuple[str, ...]:
        return ("airport",)

    def prepare(self) -> None:
        self.prepared += 1

    def read_largest(self, index: int) -> np.ndarray:
        return np.asarray(self.read(index).masks_MHW[0])


def test_photos_of_a_foreign_source_are_reported_as_photos() -> None:
    source = Photographs()
    assert (source.pixels, source.world, source.faults, source.category_names) == ("photos", "", (), ())
    facts = about(source, DATA)
    assert (facts["pixels"], facts["split"], facts["split_by"], facts["mixed"]) == ("photos", "val", None, False)
    assert (source.read_categories(0) == UNKNOWN).all() and source.read_categories(0).shape == (6, 8)


def test_pixels_that_are_not_photos_name_a_world_of_their_own() -> None:
    class Rendered(Photographs):
        pixels = "rendered"

    assert Rendered().world == "rendered pictures"
    assert MixedSource([Rendered(), Photographs()]).world == ""
    assert MixedSource([Rendered(), Photographs()]).pixels == "rendered+photos"


def test_what_a_source_says_reaches_the_report() -> None:
    facts = about(Annotated(), DATA)
    assert (facts["split"], facts["split_by"]) == ("everything", "nato")
    scores = evaluate_largest(Annotated(), InputConfig(size=32), EvaluateConfig(), DATA)
    assert scores.mean_iou == 1.0
    assert scores.left_out == Annotated.faults


def test_a_mixture_hands_every_member_on() -> None:
    first, second = Annotated(), Annotated()
    mixed = MixedSource([first, second])
    mixed.prepare()
    assert (first.prepared, second.prepared) == (1, 1)
    assert mixed.parts == (first, second)
    assert mixed.faults == Annotated.faults * 2
    assert mixed.has_every_object and mixed.read_largest(3).sum() == 24
    assert not MixedSource([first, Photographs()]).has_every_object


def test_the_floor_is_refused_where_not_every_object_is_known() -> None:
    with pytest.raises(ConfigError, match="annotations of all objects"):
        evaluate_largest(Photographs(), InputConfig(size=32), EvaluateConfig(), DATA)
    with pytest.raises(DataError, match="does not say which objects"):
        Photographs().read_largest(0)


def test_a_source_without_pixels_cannot_be_made() -> None:
    class Mute(Photographs):
        pixels = Source.pixels  # type: ignore[assignment]

    with pytest.raises(TypeError, match="pixels"):
        Mute()  # type: ignore[abstract]

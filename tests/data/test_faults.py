"""Unreadable images, masks and expressions cost themselves and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from m3att.config import DataConfig, InputConfig
from m3att.data.augment.pictures import augmented
from m3att.data.batch import BatchReader
from m3att.data.faults import Fault, FaultLog
from m3att.data.order import Group
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.errors import DataError, ImageError

TOKENIZER = Tokenizer.from_texts(["one two three object"], 4)
TEXTS = ("one", "?!", "two", "three")


class FaultySource(Source):
    """Four expressions an image; image 1 is torn, and so is the mask of its third expression on image 2."""

    pixels = "drawn"

    def __len__(self) -> int:
        return 4

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        return ((0, 1), (2,), (3,))

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        chosen = tuple(range(4)) if expressions is None else tuple(expressions)
        if index == 1:
            raise ImageError("1.jpg: cut short")
        if index == 2 and 2 in chosen:
            raise DataError("2.jpg: 'two': no polygon")
        image_HWC = np.full((8, 8, 3), 10 * index, dtype=np.uint8)
        masks_MHW = np.ones((len(chosen), 8, 8), dtype=bool)
        texts = tuple(TEXTS[at] for at in chosen)
        rows = tuple(range(len(chosen)))
        return Sample(image_HWC, tuple(masks_MHW), rows, texts, chosen, index, ((),) * len(chosen))

    def texts(self) -> Iterator[str]:
        return iter(TEXTS)


def reader(**changes: bool) -> BatchReader:
    data = DataConfig(flip=True, **changes)  # type: ignore[arg-type]
    return BatchReader(FaultySource(), TOKENIZER, InputConfig(size=8), data, training=False)


def groups(*images: int) -> list[Group]:
    return [Group(image, (0, 1, 2, 3), 4, 7) for image in images]


def test_a_batch_holds_what_can_be_read() -> None:
    batch = reader()[groups(0, 1, 2, 3)]
    assert [(group.image, group.positions) for group in batch.groups] == [(0, (0, 2, 3)), (2, (0, 3)), (3, (0, 2, 3))]
    assert [sample.expressions for sample in batch.samples] == [
        ("one", "two", "three"),
        ("one", "three"),
        TEXTS[::2] + TEXTS[3:],
    ]
    assert batch.image_index_N.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert batch.pixels_BCHW[:, 0, 0, 0].tolist() == [0, 20, 30]
    wordless = "image {}: expression '?!' holds no word"
    assert batch.faults == (
        Fault(wordless.format(0), 0, (1,)),
        Fault("1.jpg: cut short", 1, (0, 1, 2, 3)),
        Fault("2.jpg: 'two': no polygon", 2, (2,)),
        Fault(wordless.format(2), 2, (1,)),
        Fault(wordless.format(3), 3, (1,)),
    )
    assert sum(fault.expressions for fault in batch.faults) + len(batch.word_ids_NL) == 16


def test_the_same_words_spare_expressions_without_one() -> None:
    batch = reader(same_words=True)[groups(0)]
    assert (batch.faults, batch.groups[0].positions) == ((), (0, 1, 2, 3))


def test_a_batch_of_nothing_is_empty() -> None:
    batch = reader()[[*groups(1), Group(2, (2,), 1, 0), Group(0, (1,), 1, 0)]]
    assert (batch.groups, batch.samples, len(batch.faults)) == ((), (), 3)
    assert batch.pixels_BCHW.shape == (0, 3, 8, 8)
    assert len(batch.mask_index_N) == len(batch.word_ids_NL) == 0


def test_positions_that_are_left_to_the_seed() -> None:
    whole = reader()[[Group(0, None, 4, seed) for seed in range(4)]]
    assert all(1 not in (group.positions or ()) for group in whole.groups)
    again = reader()[[Group(0, None, 4, seed) for seed in range(4)]]
    assert whole.groups == again.groups
    assert whole.faults == again.faults


def test_what_can_be_read_is_read_as_before() -> None:
    class Whole(FaultySource):
        def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
            sample = super().read(0, expressions)
            return replace(sample, image_HWC=np.random.default_rng(index).integers(0, 255, (8, 8, 3), dtype=np.uint8))

    data = DataConfig(flip=True)
    plain = BatchReader(Whole(), TOKENIZER, InputConfig(size=8), data, training=True)  # type: ignore[arg-type]
    for seed in range(4):
        group = Group(3, (0, 2), 2, seed)
        changed = augmented(plain.sample(group), data, seed)
        assert np.array_equal(plain[[group]].pixels_BCHW[0].permute(1, 2, 0).numpy(), changed.image_HWC)


def test_the_log_counts_each_reason_once_and_stops_past_the_limit() -> None:
    log = FaultLog(2, ["known"])
    assert log.add([Fault("a", 0, (0, 1)), Fault("a", 0, (2,)), Fault("known", 1, (0,))]) == ["a"]
    log.check()
    assert log.add([Fault("a", 0, (0,)), Fault("b")]) == ["b"]
    with pytest.raises(
        DataError, match=r"^b; with it 3 images or expressions cannot be read, more than --data.fault_limit 2"
    ):
        log.check()
    strict = FaultLog(0)
    strict.add([Fault("x.jpg: no such file")])
    with pytest.raises(DataError, match=r"^x\.jpg: no such file$"):
        strict.check()


@pytest.mark.parametrize("text", ["\u2776", "\u3289", "\U0001f44d", "\u200f", ""])
def test_numerals_and_signs_that_no_tokenizer_reads_are_no_words(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "TEXTS", ("one", text, "two", "three"))
    batch = reader()[groups(0)]
    kept = 3 if TOKENIZER.count_words(text) == 0 else 4
    assert len(batch.word_ids_NL) == kept
    assert sum(fault.expressions for fault in batch.faults) == 4 - kept

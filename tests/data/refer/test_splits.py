"""The table of legal splits and published counts."""

from __future__ import annotations

import pytest

from m3att.data.refer.splits import SPLITS, Counts, legal_splits, published_counts, require_legal, word_limit
from m3att.errors import DataError


def test_published_counts_are_those_of_the_paper_notes() -> None:
    assert published_counts("refcoco", "unc", "train") == Counts(42404, 120624, 16994)
    assert published_counts("refcoco+", "unc", "testB") == Counts(1798, 4889, 750)
    assert published_counts("refcocog", "umd", "val") == Counts(2573, 4896, 1300)
    assert published_counts("shaperef", "unc", "val") == Counts(None, None)


@pytest.mark.parametrize(
    ("dataset", "split_by", "sentences", "images"),
    [
        ("refcoco", "unc", 142210, 19994),  # as the data sets' papers give them
        ("refcoco+", "unc", 141564, 19992),
        ("refcocog", "umd", 95010, 25799),
        ("refcocog", "google", 95010, None),
        ("grefcoco", "unc", 259859, None),
        ("phrasecut", "official", 345486, 77262),
    ],
)
def test_splits_add_up_to_the_whole(dataset: str, split_by: str, sentences: int, images: int | None) -> None:
    counts = SPLITS[dataset, split_by].values()
    assert sum(split.sentences or 0 for split in counts) == sentences
    if images is not None:
        assert sum(split.images or 0 for split in counts) == images


def test_legal_combinations_pass() -> None:
    for (dataset, split_by), splits in SPLITS.items():
        assert legal_splits(dataset, split_by) == tuple(splits)
        for split in splits:
            require_legal(dataset, split_by, split)


@pytest.mark.parametrize(
    ("combination", "wrong", "listed"),
    [
        (("refcoc", "unc", "val"), "'refcoc'", "refcocog"),
        (("refcocog", "unc", "val"), "'unc'", "umd, google"),
        (("refcoco", "unc", "test"), "'test'", "train, val, testA, testB"),
        (("refcocog", "google", "test"), "'test'", "train, val"),
    ],
)
def test_illegal_combination_names_the_legal_ones(combination: tuple[str, str, str], wrong: str, listed: str) -> None:
    with pytest.raises(DataError) as caught:
        require_legal(*combination)
    assert wrong in str(caught.value)
    assert listed in str(caught.value)
    assert "\n" not in str(caught.value)


def test_long_expressions_have_the_higher_word_limit() -> None:
    assert (word_limit("refcoco"), word_limit("refcoco+"), word_limit("refcocog")) == (15, 15, 20)

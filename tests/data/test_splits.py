"""The table of legal splits and published counts."""

from __future__ import annotations

import pytest

from m3att.data.splits import SPLITS, Counts, legal_splits, published_counts, require_legal, word_limit
from m3att.errors import DataError


def test_published_counts_are_those_of_the_paper_notes() -> None:
    assert published_counts("refcoco", "unc", "train") == Counts(42404, 120624)
    assert published_counts("refcoco+", "unc", "testB") == Counts(1798, 4889)
    assert published_counts("refcocog", "umd", "val") == Counts(2573, None)
    assert published_counts("shaperef", "unc", "val") == Counts(None, None)
    for dataset, total in (("refcoco", 142210), ("refcoco+", 141564)):  # as the data sets' paper gives them
        assert sum(counts.sentences or 0 for counts in SPLITS[dataset, "unc"].values()) == total


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

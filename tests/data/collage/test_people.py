"""What expressions call a person, and what annotations say of one."""

from __future__ import annotations

import pytest

from m3att.data.collage.people import CALLED, MISFIT, PEOPLE, called, calls, person_of
from m3att.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("guy on left", "man"),
        ("the lady in the red coat", "woman"),
        ("kid next to the man", "child"),
        ("left one next to the woman", ""),
        ("the one with her back to us", "woman"),
        ("in white dress", "woman"),
        ("man with her", "man"),
        ("behind man", ""),
        ("person in red", ""),
        ("little girl", "girl"),
        ("Boy!", "boy"),
        ("human", ""),
        ("", ""),
    ],
)
def test_what_a_person_is_called(text: str, expected: str) -> None:
    assert called(text) == expected


def test_shares_of_several_expressions() -> None:
    assert calls(["man", "left guy", "in blue", "boy on left"]) == {"man": 2 / 3, "boy": 1 / 3}
    assert calls(["left", "red shirt"]) == {}


def test_the_table_of_misfits_is_whole() -> None:
    assert set(MISFIT) == set(CALLED) < set(PEOPLE)
    for said, row in MISFIT.items():
        assert set(row) == set(PEOPLE)
        assert row[said] == 0 and all(0 <= misfit <= 1 for misfit in row.values())
        assert 0 < row[""] < 1, "somebody unknown fits better than somebody wrong, and worse than somebody right"


def test_what_an_annotation_says() -> None:
    assert person_of({}) == "" and person_of({"attributes": {"occluded": False}}) == ""
    assert person_of({"attributes": {"person": "woman"}}) == "woman"
    with pytest.raises(DataError, match=r"attributes\.person is 'lady' and not one of man, woman"):
        person_of({"attributes": {"person": "lady"}})

"""The cut-out that stands in for an object fits it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from m3att.data.collage.choose import Place, choose
from m3att.data.collage.colours import COLOURS, PARTS, Demands
from m3att.data.collage.cutouts import Cutouts
from m3att.data.collage.people import PEOPLE


def make_cutouts(
    aspects: list[float],
    colours: list[str],
    sides: list[float] | None = None,
    wholeness: list[float] | None = None,
    people: list[str] | None = None,
) -> Cutouts:
    count = len(aspects)
    shares = np.zeros((count, len(PARTS), len(COLOURS)), dtype=np.float32)
    for number, colour in enumerate(colours):
        shares[number, :, COLOURS.index(colour)] = 1
    return Cutouts(
        np.arange(10, 10 + count),
        np.log(np.array(aspects, dtype=np.float32)),
        np.log(np.array(sides or [100.0] * count, dtype=np.float32)),
        np.zeros((count, 4), dtype=np.bool_),
        shares,
        np.array(wholeness or [1.0] * count, dtype=np.float32),
        np.array([PEOPLE.index(person) for person in people or [""] * count], dtype=np.uint8),
    )


FREE = (False, False, False, False)


def counted(cutouts: Cutouts, place: Place, used: tuple[int, ...] = ()) -> Counter[int]:
    """How often each is drawn in 200."""
    chance = np.random.default_rng(0)
    return Counter(choose(cutouts, place, used, chance)[0] for _ in range(200))


def test_proportions_decide() -> None:
    found = counted(make_cutouts([0.5, 1.0, 2.0], ["red"] * 3), Place(80, 40, FREE))
    assert found[12] > 190


def test_among_equals_chance_decides() -> None:
    found = counted(make_cutouts([1.0] * 4, ["red"] * 4), Place(40, 40, FREE))
    assert min(found[number] for number in range(10, 14)) > 30


def test_a_wanted_colour_outweighs_proportions() -> None:
    wanted: Demands = frozenset({("upper", "blue")})
    found = counted(make_cutouts([1.0, 1.5], ["red", "blue"]), Place(40, 40, FREE, wanted))
    assert found[11] > 190


def test_the_double_of_a_referent_is_avoided() -> None:
    unwanted: Demands = frozenset({("whole", "red")})
    found = counted(make_cutouts([1.0, 1.3], ["red", "blue"]), Place(40, 40, FREE, unwanted=unwanted))
    assert found[11] > 190


def test_a_person_is_one_whom_the_expression_may_mean() -> None:
    cutouts = make_cutouts([1.0, 1.2, 1.0], ["red"] * 3, people=["man", "woman", ""])
    for said, expected in (("woman", 11), ("man", 10), ("child", 12)):  # the unknown one may be a child
        assert counted(cutouts, Place(40, 40, FREE, called={said: 1.0}))[expected] > 150, said


def test_another_man_is_avoided_beside_the_man() -> None:
    cutouts = make_cutouts([1.0, 1.2], ["red"] * 2, people=["man", "woman"])
    assert counted(cutouts, Place(40, 40, FREE, others_called=frozenset({"man"})))[11] > 150


def test_what_stands_in_the_picture_is_not_used_again() -> None:
    assert counted(make_cutouts([1.0, 1.0], ["red", "red"]), Place(40, 40, FREE), used=(10,))[11] > 190


def test_a_large_object_is_no_enlarged_speck_and_not_in_pieces() -> None:
    assert counted(make_cutouts([1.0, 1.0], ["red"] * 2, sides=[20.0, 200.0]), Place(200, 200, FREE))[11] > 190
    assert counted(make_cutouts([1.0, 1.0], ["red"] * 2, wholeness=[0.4, 1.0]), Place(40, 40, FREE))[11] > 150


def test_an_object_at_the_edge_is_one_that_was_cut_off_there_mirrored_or_not() -> None:
    cutouts = make_cutouts([1.0, 1.0], ["red"] * 2)
    cutouts.cut_off[1] = [True, False, False, False]
    chance = np.random.default_rng(0)
    drawn = [choose(cutouts, Place(40, 40, (True, False, False, False)), (), chance) for _ in range(400)]
    found = Counter(drawn)
    assert found[11, False] > 2 * found[10, False]
    assert found[11, True] < 0.8 * found[10, True]

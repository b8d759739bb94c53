"""Which cut-out stands in for an annotated object: of its category, of about its shape, in the colours it is said to
have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from m3att.data.collage.colours import COLOURS, PARTS, Demands
from m3att.data.collage.cutouts import Cutouts
from m3att.data.collage.people import MISFIT, PEOPLE

NO_DEMANDS: Demands = frozenset()
ENOUGH = 0.4  # share of a part that makes it "red"; people say so of less than half
_ASPECT = 6.0  # cost of a difference of 1 in the logarithm of height over width
_BLUR = 1.5  # cost of enlarging by a factor of e more than is free
_FREE_ENLARGEMENT = math.log(1.3)
_CUT = 0.35  # cost of each side that is cut off in the photo and not in the picture, or the other way round
_COLOUR = 7.0  # cost of a demanded colour that is wholly absent
_CLASH = 5.0  # cost of all of a part in a colour that would make it the referent's double
_MISFIT = 9.0  # cost of a man where a woman is spoken of
_SAME = 2.5  # cost of a man where another one in the picture is told by being a man
_PIECES = 3.0  # cost of an object of which nothing hangs together
_USED = 3.0  # cost of one that stands in the picture already
_TEMPERATURE = 0.4  # costs that differ by this are chosen e times as seldom


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of the object that a cut-out shall stand for.

    Args:
        height: of its box, pixels.
        width: of its box, pixels.
        cut_off: whether it ends at the left, top, right and lower edge of the picture.
        wanted: colours that expressions give to it.
        unwanted: colours that expressions give to others of its category beside it.
        called: what expressions call it if it is a person, with the share of each word; see `calls`.
        others_called: what only others beside it are called.
    """

    height: float
    width: float
    cut_off: tuple[bool, bool, bool, bool]
    wanted: Demands = NO_DEMANDS
    unwanted: Demands = NO_DEMANDS
    called: Mapping[str, float] = field(default_factory=dict)
    others_called: frozenset[str] = frozenset()


def choose(cutouts: Cutouts, place: Place, used: Sequence[int], chance: np.random.Generator) -> tuple[int, bool]:
    """Draws a cut-out, the likelier the better it fits.

    Args:
        cutouts: of the object's category.
        place: the object.
        used: numbers of cut-outs that stand in the picture already, which are avoided.
        chance: decides among those that fit.

    Returns:
        Its number in the library, and whether it is to be mirrored.
    """
    mirrored = bool(chance.random() < 0.5)
    log_aspect = math.log(place.height / place.width)
    log_side = math.log(place.height * place.width) / 2
    cost_R = np.abs(cutouts.log_aspects - np.float32(log_aspect)) * np.float32(_ASPECT)
    cost_R += np.maximum(np.float32(log_side - _FREE_ENLARGEMENT) - cutouts.log_sides, 0) * np.float32(_BLUR)
    left, top, right, bottom = place.cut_off
    wanted_4 = np.array([right, top, left, bottom] if mirrored else [left, top, right, bottom])
    cost_R += (cutouts.cut_off != wanted_4).sum(axis=1, dtype=np.float32) * np.float32(_CUT)
    for part in PARTS:
        for demands, fits in ((place.wanted, True), (place.unwanted, False)):
            named = [COLOURS.index(colour) for demanded, colour in demands if demanded == part]
            if named:
                share_R = cutouts.colours[:, PARTS.index(part)][:, named].sum(axis=1)
                if fits:
                    cost_R += np.maximum(1 - share_R / np.float32(ENOUGH), 0) * np.float32(_COLOUR)
                else:
                    cost_R += share_R * np.float32(_CLASH)
    for said, share in place.called.items():
        cost_R += _misfits(said)[cutouts.people] * np.float32(_MISFIT * share)
    for said in place.others_called:
        cost_R += (1 - _misfits(said)[cutouts.people]) * np.float32(_SAME)
    cost_R += (1 - cutouts.wholeness) * np.float32(_PIECES)
    if used:
        cost_R[np.isin(cutouts.rows, used)] += np.float32(_USED)
    weight_R: NDArray[np.float64] = np.exp((cost_R.min() - cost_R.astype(np.float64)) / _TEMPERATURE)
    edges_R = np.cumsum(weight_R)
    at = int(np.searchsorted(edges_R, chance.random() * edges_R[-1], side="right"))
    return int(cutouts.rows[min(at, len(edges_R) - 1)]), mirrored


@cache
def _misfits(said: str) -> NDArray[np.float32]:
    """How badly each of `PEOPLE` fits a person who is called so."""
    return np.array([MISFIT[said][known] for known in PEOPLE], dtype=np.float32)

"""Relations to other objects, and the full sentences of `shaperefg` that are built of them."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from m3att.data.shaperef.extension import members
from m3att.data.shaperef.lexicon import (
    ORDER_PHRASES,
    ORDINALS,
    PLACE_PHRASES,
    RELATION_PHRASES,
)
from m3att.data.shaperef.meaning import View
from m3att.data.shaperef.negations import negate
from m3att.data.shaperef.phrases import RANK_PLACE, RANK_RELATION, Dice, Draft, part_phrase
from m3att.data.shaperef.world import PARTS

RELATIONS = tuple(RELATION_PHRASES)
ZONES = tuple(PLACE_PHRASES)


class Anchor(NamedTuple):
    """Words for an object that another is related to, and the skills that they take."""

    text: str
    skills: frozenset[str]


def anchor_phrase(view: View, dice: Dice, anchor: int, target: int, variant: str, rich: float = 0.25) -> Anchor | None:
    """Words that clearly name an anchor object.

    Args:
        view: the scene.
        dice: where choices come from.
        anchor: the object to be named.
        target: the referent, which the anchor is not.
        variant: one of ``world.VARIANTS``.
        rich: how likely a colour is named that is not needed.

    Returns:
        the words, or None where kind, colour and size do not tell it from the others.
    """
    draft = Draft(view, dice, anchor, variant)
    draft.name("kind")
    if dice.chance(rich):
        draft.add("colour")
    if anchor == target or not draft.clarify(("colour", "size")):
        return None
    short = 0.4 if variant == "shaperef" else 0.05
    text = draft.text("" if dice.chance(short) else dice.pick(("the", "the", "a")))
    return Anchor(text, frozenset(draft.skills))


def relate(draft: Draft, rich: float = 0.25) -> int | None:
    """Adds a relation that the target clearly stands in to an anchor.

    Args:
        draft: the expression in the making.
        rich: how likely the anchor's colour is named though it is not needed.

    Returns:
        the anchor, or None where no relation was found.
    """
    view, dice, target = draft.view, draft.dice, draft.target
    anchors = dice.shuffled(members(view.seen & ~(1 << target)))
    if dice.chance(0.25):
        anchor = _between(draft, anchors)
        if anchor is not None:
            return anchor
    relations = dice.shuffled(RELATIONS)
    if dice.chance(0.6):  # what hides what is rarely there, so it is looked for first
        relations = [*dice.shuffled(("behind", "front")), *relations]
    options = (
        (relation, anchor)
        for relation in dict.fromkeys(relations)
        for anchor in anchors
        if view.relations.holds(relation, target, anchor)
        for _ in range(relations.count(relation))  # where words for an anchor fail, others are tried
    )
    for relation, anchor in islice(options, 5):
        extension = view.relations.related(relation, anchor)
        if (draft.extension & extension) == draft.extension and not dice.chance(0.3):
            continue
        phrase = anchor_phrase(view, dice, anchor, target, draft.variant, rich)
        if phrase is not None and draft.narrow(extension, "relation", *phrase.skills):
            draft.after.append((RANK_RELATION, f"{dice.pick(RELATION_PHRASES[relation])} {phrase.text}"))
            return anchor
    return None


def _between(draft: Draft, anchors: list[int]) -> int | None:
    """Adds "between the tree and the house" for the first pair of anchors that it is true of; returns one of them."""
    view, target = draft.view, draft.target
    for second in range(1, len(anchors)):
        for first in range(second):
            pair = anchors[first], anchors[second]
            extension = view.relations.between(*pair)
            if not extension.certain >> target & 1:
                continue
            phrases = [anchor_phrase(view, draft.dice, anchor, target, draft.variant) for anchor in pair]
            told = [phrase for phrase in phrases if phrase is not None]
            if len(told) < 2 or not draft.narrow(extension, "relation", *told[0].skills, *told[1].skills):
                return None
            draft.after.append((RANK_RELATION, f"between {told[0].text} and {told[1].text}"))
            return pair[0]
    return None


def compose_sentence(draft: Draft) -> bool:
    """Says much of the target: attributes, where it stands, next to what, and more that is true of it.

    Args:
        draft: the expression in the making, empty so far.

    Returns:
        whether it came out long enough to be a sentence.
    """
    dice, spatial = draft.dice, draft.variant != "shaperef+"
    draft.name("kind")
    way = dice.roll()
    if spatial and way < 0.22 and _order(draft):
        return True
    negated = (way >= 0.62 if spatial else way >= 0.2) and negate(draft)
    for attribute, likely in (("colour", 0.75), ("size", 0.5), ("texture", 0.4), ("part", 0.5 if spatial else 0.9)):
        if dice.chance(likely):
            draft.add(attribute)
    if spatial and not draft.front and not draft.tail:
        if 0.22 < way < 0.45:
            _place(draft)
        _relate_at_length(draft, negated)
    return len(draft.text("the").split()) >= 7


def _order(draft: Draft) -> bool:
    dice, view = draft.dice, draft.view
    if draft.is_clear():
        draft.name("any")
    base = draft.extension
    if base.possible.bit_count() < 2 or not base.is_crisp():
        return False
    for direction in dice.shuffled(tuple(ORDER_PHRASES)):
        ranked = view.ranking(direction, base)
        if base.possible.bit_count() > 2 and draft.target in ranked[: len(ORDINALS)] and dice.chance(0.6):
            draft.before["order"] = ORDINALS[ranked.index(draft.target)][0]
            draft.after.append((RANK_PLACE, f"from the {direction}"))
        elif view.is_extreme(direction, base, draft.target):
            draft.before["order"] = dice.pick(ORDER_PHRASES[direction][0])
        else:
            continue
        draft.settle("order")
        _add_scenery(draft, draft.target)
        return True
    return False


def _place(draft: Draft) -> None:
    zones = [zone for zone in ZONES if draft.view.zone(zone).certain >> draft.target & 1]
    if zones:
        zone = draft.dice.pick(zones)
        stance = draft.dice.pick(_STANCES)
        draft.narrow(draft.view.zone(zone), "place")
        draft.after.append((RANK_PLACE, f"{stance} {draft.dice.pick(PLACE_PHRASES[zone][1][:3])}"))


_STANCES = (
    "that is",
    "that stands",
    "which is",
    "located",
    "placed",
    "standing",
    "that sits",
    "sitting",
    "that can be seen",
)


def _relate_at_length(draft: Draft, negated: bool) -> None:
    dice = draft.dice
    rank_before, phrase_before = max(draft.after, default=(-1, ""), key=lambda pair: pair[0])
    placed = rank_before == RANK_PLACE
    anchor = relate(draft, rich=0.6)
    if anchor is None:
        return
    rank, phrase = draft.after.pop()
    if placed:
        stance = "and"
    elif negated and phrase_before.startswith(("that ", "which ", "who ")):
        stance = dice.pick(("and is", "and stands"))
    else:
        stance = dice.pick(_STANCES)
    phrase = f"{stance} {phrase}"
    if dice.chance(0.4) and " between " not in phrase:
        phrase += _nested(draft, anchor)
    draft.after.append((rank, phrase))
    if dice.chance(0.3):
        _add_scenery(draft, anchor)


def _nested(draft: Draft, anchor: int) -> str:
    """A clause that is true of the anchor and not needed, since the anchor is clear without it."""
    view, dice = draft.view, draft.dice
    thing, part = view.objects[anchor], PARTS[view.objects[anchor].kind]
    if part is not None and thing.part_colour is not None and view.places.share[anchor] >= 0.6 and dice.chance(0.35):
        draft.skills.add("part")
        return " " + part_phrase(dice, part, thing.part_colour, draft.variant)
    others = dice.shuffled(members(view.seen & ~(1 << draft.target) & ~(1 << anchor)))
    for other in others[:3]:
        for relation in dice.shuffled(RELATIONS):
            if view.relations.holds(relation, anchor, other):
                phrase = anchor_phrase(view, dice, other, draft.target, draft.variant, 0.5)
                if phrase is not None:
                    draft.skills.update(phrase.skills)
                    return f" {dice.pick(RELATION_PHRASES[relation])} {phrase.text}"
    return ""


def _add_scenery(draft: Draft, told: int) -> None:
    """Adds a last clause that tells of another object around the target, not of the one told of already."""
    view, dice = draft.view, draft.dice
    others = dice.shuffled(members(view.seen & ~(1 << draft.target) & ~(1 << told)))
    for other in others[:4]:
        for relation in dice.shuffled(RELATIONS):
            if view.relations.holds(relation, other, draft.target):
                phrase = anchor_phrase(view, dice, other, draft.target, draft.variant, 0.5)
                if phrase is not None:
                    draft.skills.update(phrase.skills, {"relation"})
                    draft.tail = f", and there is {phrase.text} {dice.pick(RELATION_PHRASES[relation])} it"
                    return

"""ShapeRef's expressions: what people might type to point at one object of a scene."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from m3att.data.shaperef.extension import members
from m3att.data.shaperef.lexicon import (
    CLOSEST_PHRASES,
    MISSPELLINGS,
    ORDER_PHRASES,
    ORDINALS,
    PLACE_ALONE,
    PLACE_PHRASES,
    SIZE_COMPARATIVES,
    SIZE_SUPERLATIVES,
    TOKEN,
    split_words,
    vocabulary,
)
from m3att.data.shaperef.meaning import View
from m3att.data.shaperef.negations import negate
from m3att.data.shaperef.phrases import ATTRIBUTES, RANK_PLACE, RANK_RELATION, Dice, Draft
from m3att.data.shaperef.sentences import anchor_phrase, compose_sentence, relate
from m3att.data.shaperef.world import HELD_OUT, Description, SceneFacts

__all__ = ["describe", "vocabulary"]

LONG = 10  # words from which on an expression is long
MISSPELLED = 0.022  # of the words that can be
DIRECTIONS = tuple(ORDER_PHRASES)
ZONES = tuple(PLACE_PHRASES)


def _choose_noun(draft: Draft) -> None:
    """Names the kind mostly; where that alone would do, mostly an emptier word, so that the rest counts."""
    draft.name("kind")
    if draft.dice.chance(0.6 if draft.is_clear() else 0.1):
        draft.name("group" if draft.dice.chance(0.3) else "any")


def _by_kind(draft: Draft) -> bool:
    draft.name("group" if draft.dice.chance(0.1) else "kind")
    return draft.is_clear()


def _by_colour(draft: Draft) -> bool:
    _choose_noun(draft)
    return draft.add("colour")


def _by_size(draft: Draft) -> bool:
    _choose_noun(draft)
    dice, size = draft.dice, draft.thing.size
    if dice.chance(0.4):
        return draft.add("size")
    if size == "medium" and draft.level == "any":
        return False
    if dice.chance(0.3):
        draft.add(dice.pick(("colour", "texture", "part")))
    for extreme in dice.shuffled(("large", "small")):
        base = draft.extension
        if base.possible.bit_count() > 1 and draft.view.is_size_extreme(extreme, base, draft.target, draft.mixed):
            count = base.possible.bit_count()
            words = SIZE_COMPARATIVES if count == 2 and dice.chance(0.5) else SIZE_SUPERLATIVES
            return _pick_from_set(draft, dice.pick(words[extreme]), "size")
    return False


def _pick_from_set(draft: Draft, word: str, skill: str) -> bool:
    count = draft.extension.possible.bit_count()
    draft.before["order"] = word
    if draft.plural and draft.dice.chance(0.15) and not any("that" in phrase for _, phrase in draft.after):
        draft.of_set = count if count <= 6 and draft.dice.chance(0.6) else 0
    return draft.settle(skill)


def _by_part(draft: Draft) -> bool:
    _choose_noun(draft)
    if draft.thing.kind == "person" and draft.dice.chance(0.5):
        draft.name("kind")
        return draft.add("colour")
    return any(draft.add(attribute) for attribute in draft.dice.shuffled(("part", "part", "texture")))


def _by_place(draft: Draft) -> bool:
    dice, view = draft.dice, draft.view
    zones = [zone for zone in ZONES if view.zone(zone).certain >> draft.target & 1]
    if not zones:
        return False
    zone = dice.pick(zones)
    _choose_noun(draft)
    if zone == "middle":
        # "the car in the middle" of three cars could be the second of a row.
        base = draft.extension
        if base.possible.bit_count() > 2 and view.ranking("left", base)[1:2] != [draft.target]:
            return False
    before, after = PLACE_PHRASES[zone]
    if draft.level == "any" and dice.chance(0.4):
        draft.noun, draft.named = "", view.all
    if before and draft.noun and dice.chance(0.45):
        draft.before["place"] = dice.usual(before)
    else:
        phrase = (
            PLACE_ALONE[zone] if not draft.noun and zone in PLACE_ALONE and dice.chance(0.5) else dice.usual(after, 0.3)
        )
        draft.after.append((RANK_PLACE, phrase))
    return draft.narrow(view.zone(zone), "place")


def _by_order(draft: Draft) -> bool:
    dice, view = draft.dice, draft.view
    draft.name("kind")
    if draft.is_clear():
        draft.name("any" if dice.chance(0.7) else "group")
    if dice.chance(0.25):
        draft.add(dice.pick(("colour", "size", "texture")))
    base = draft.extension
    count = base.possible.bit_count()
    if count < 2 or not base.is_crisp():
        return False
    directions = dice.shuffled(DIRECTIONS)
    if count > 2 and dice.chance(0.6):
        for direction in directions:
            ranked = view.ranking(direction, base)
            # "first from the left" is but a long "leftmost".
            if draft.target in ranked[0 if dice.chance(0.35) else 1 : len(ORDINALS)]:
                return _count_off(draft, direction, ranked.index(draft.target), count)
    for direction in directions:
        if view.is_extreme(direction, base, draft.target):
            before, after = ORDER_PHRASES[direction]
            if dice.chance(0.8):
                if draft.level == "any" and dice.chance(0.15):
                    draft.noun = draft.plural = ""
                return _pick_from_set(draft, dice.usual(before, 0.4), "order")
            draft.after.append((RANK_PLACE, dice.pick(after)))
            return draft.settle("order")
    return False


def _count_off(draft: Draft, direction: str, place: int, count: int) -> bool:
    dice = draft.dice
    if count == 3 and place == 1 and direction in ("left", "right") and dice.chance(0.4):
        others = draft.extension.possible & ~(1 << draft.target)
        if not draft.view.zone("middle").certain & others:
            draft.before["order"] = "middle"
            return draft.settle("order")
    ordinal = dice.usual(ORDINALS[place], 0.7)
    side = f"from the {direction}" if dice.chance(0.7) else f"from {direction}"
    if draft.level == "any" and dice.chance(0.3):
        draft.noun = draft.plural = ""
    if dice.chance(0.25) or not draft.noun:
        draft.before["order"] = f"{ordinal} {side}"
    else:
        draft.before["order"] = ordinal
        draft.after.append((RANK_PLACE, side))
    return draft.settle("order")


def _by_relation(draft: Draft) -> bool:
    _choose_noun(draft)
    if draft.dice.chance(0.2):
        draft.add("colour")
    if draft.dice.chance(0.15) and draft.extension.possible.bit_count() > 1:
        base = draft.extension
        for anchor in draft.dice.shuffled(members(draft.view.seen & ~(1 << draft.target))):
            if draft.view.relations.is_closest(base, draft.target, anchor):
                phrase = anchor_phrase(draft.view, draft.dice, anchor, draft.target, draft.variant)
                if phrase is not None:
                    draft.after.append((RANK_RELATION, f"{draft.dice.pick(CLOSEST_PHRASES)} {phrase.text}"))
                    return draft.settle("relation", *phrase.skills)
    return relate(draft) is not None


def _by_negation(draft: Draft) -> bool:
    _choose_noun(draft)
    if draft.dice.chance(0.2):
        draft.add(draft.dice.pick(ATTRIBUTES))
    return negate(draft)


FORMS: dict[str, Callable[[Draft], bool]] = {
    "kind": _by_kind,
    "colour": _by_colour,
    "size": _by_size,
    "part": _by_part,
    "place": _by_place,
    "order": _by_order,
    "relation": _by_relation,
    "negation": _by_negation,
    "long": compose_sentence,
}
# How often a form is tried; forms that fit few objects are tried more.
WEIGHTS: dict[str, dict[str, int]] = {
    "shaperef": {
        "kind": 5, "colour": 8, "size": 14, "part": 9, "place": 13, "order": 17, "relation": 14, "negation": 14,
        "long": 4,
    },
    "shaperef+": {"kind": 6, "colour": 16, "size": 24, "part": 20, "negation": 26, "long": 20},
    "shaperefg": {"long": 1},
}  # fmt: skip
DRAWS: dict[str, tuple[str, ...]] = {
    variant: tuple(form for form, weight in weights.items() for _ in range(weight))
    for variant, weights in WEIGHTS.items()
}


def _attempt(draft: Draft, form: str) -> str | None:
    """Text of one draft by one form, or None where it does not come out clear."""
    dice = draft.dice
    if not FORMS[form](draft) or not draft.clarify():
        return None
    if form == "long":
        return draft.text(dice.pick(("the", "the", "a")))
    if form != "kind" and not draft.picked_from_set and dice.chance(0.12):
        draft.add(dice.pick(ATTRIBUTES))
    return draft.text("the" if dice.chance(0.5) and draft.noun else "")


def _typed(text: str, dice: Dice) -> str:
    """The text as people type it, sometimes with a typing error, a capital or a full stop."""

    def slip(match: re.Match[str]) -> str:
        word = match[0]
        wrong = MISSPELLINGS.get(word)
        return dice.pick(wrong) if wrong is not None and dice.chance(MISSPELLED) else word

    text = TOKEN.sub(slip, text)
    if dice.chance(0.06):
        text = text[0].upper() + text[1:]
    return text + "." if dice.chance(0.04) else text


def _finished(draft: Draft, text: str) -> Description:
    skills = set(draft.finished_skills())
    if len(split_words(text)) >= LONG:
        skills.add("long")
    return Description(draft.target, _typed(text, draft.dice), tuple(sorted(skills)))


def _last_resort(view: View, dice: Dice, targets: list[int], variant: str) -> Description | None:
    """All that can be said of an object at once, then counting off, for scenes where nothing shorter came out clear."""
    for target in targets:
        draft = Draft(view, dice, target, variant)
        draft.name("kind")
        for attribute in ATTRIBUTES:
            draft.add(attribute)
        if draft.is_clear():
            return _finished(draft, draft.text("the"))
        base = draft.extension
        if variant != "shaperef+" and base.is_crisp():
            for direction in DIRECTIONS:
                if view.is_extreme(direction, base, target):
                    draft.before["order"] = ORDER_PHRASES[direction][0][0]
                    draft.settle("order")
                    return _finished(draft, draft.text("the"))
    return None


def describe(facts: SceneFacts, rng: np.random.Generator, variant: str, split: str = "train") -> list[Description]:
    """Expressions for a scene, each clearly true of exactly one of its objects.

    Args:
        facts: what stands in the scene.
        rng: where all chance comes from; one draw is taken of it.
        variant: one of ``world.VARIANTS``.
        split: one of ``world.SPLITS``; in "testB" only held-out combinations of kind and colour are referents.

    Returns:
        4 to 10 expressions as a rule, no text twice, at most three an object; none where no object can be told from
        the others, and then the scene is to be drawn anew.
    """
    view, dice = View(facts), Dice(int(rng.integers(2**62)))
    targets = [
        index
        for index in members(view.seen)
        if split != "testB" or (facts.objects[index].kind, facts.objects[index].colour) in HELD_OUT
    ]
    if not targets:
        return []
    kinds = [facts.objects[index].kind for index in targets]
    # Objects of a kind that is there more than once are asked for more often: there the words decide.
    lots = [index for index, kind in zip(targets, kinds, strict=True) for _ in range(min(kinds.count(kind), 3))]
    wanted = min(4 + int(dice.roll() * 7), 3 * len(targets))
    found: list[Description] = []
    texts: set[str] = set()
    forms_of: dict[int, set[str]] = {index: set() for index in targets}
    for _ in range(4 * wanted):
        if len(found) >= wanted:
            break
        target, form = dice.pick(lots), dice.pick(DRAWS[variant])
        if len(forms_of[target]) >= 3 or (form in forms_of[target] and variant != "shaperefg"):
            continue
        draft = Draft(view, dice, target, variant)
        text = _attempt(draft, form)
        if text is not None and text not in texts:
            texts.add(text)
            forms_of[target].add(form if variant != "shaperefg" else text)
            found.append(_finished(draft, text))
    if not found:
        fallback = _last_resort(view, dice, targets, variant)
        return [] if fallback is None else [fallback]
    return found

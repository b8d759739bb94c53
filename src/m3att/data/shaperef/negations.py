"""Phrases that say what the referent is not: "that isn't red", "without a blue roof", "not the big one"."""

from __future__ import annotations

from m3att.data.shaperef.extension import Extension, members
from m3att.data.shaperef.lexicon import COLOUR_WORDS, NOUNS, PLACE_PHRASES, SIZE_WORDS, TEXTURE_MARKS, TEXTURE_WORDS
from m3att.data.shaperef.phrases import RANK_NEGATION, Draft, part_phrase, with_article
from m3att.data.shaperef.world import PARTS

_NOT_WEARING = ("not in", "not wearing", "who is not in", "who isn't in", "that isn't wearing")


def negate(draft: Draft) -> bool:
    """Adds a negation that rules out at least one object which the words so far leave in.

    Args:
        draft: the expression in the making; its noun is chosen.

    Returns:
        whether one was found that is clearly true of the target.
    """
    dice = draft.dice
    rivals = members(draft.extension.certain & ~(1 << draft.target))
    if not rivals:
        return False
    ways = ["colour", "colour", "texture", "size", "part"]
    if draft.mixed:
        ways += ["kind", "kind"]
    if draft.variant != "shaperef+":
        ways.append("place")
    for way in dice.shuffled(ways)[:4]:
        if _NEGATIONS[way](draft, dice.pick(rivals), rivals):
            draft.used.add(way)  # "the red cup that isn't blue" would say it twice
            return True
    return False


def _deny(draft: Draft, extension: Extension, *skills: str) -> bool:
    """Adds "not extension" if it holds of the target and rules something out."""
    denied = draft.view.negate(extension)
    if draft.extension.certain & denied.certain == draft.extension.certain:
        return False
    return draft.narrow(denied, "negation", *skills)


def _copula(draft: Draft) -> str:
    return draft.dice.pick(("that isn't", "that isn't", "that is not", "that's not", "which is not", "not"))


def _say(draft: Draft, adjective: str) -> None:
    """Words for a denied adjective: behind the noun, or as another one, before or after."""
    dice = draft.dice
    if dice.chance(0.65):
        draft.after.append((RANK_NEGATION, f"{_copula(draft)} {adjective}"))
    elif dice.chance(0.4) and draft.named.possible.bit_count() == 2:
        draft.front = f"not the {adjective} one, the other "
    else:
        draft.tail = f", not the {adjective} one"


def _not_colour(draft: Draft, rival: int, rivals: list[int]) -> bool:
    dice, view = draft.dice, draft.view
    colour = view.objects[rival].colour
    word = dice.usual(COLOUR_WORDS[colour], 0.6)
    if draft.thing.kind == "person" and draft.level == "kind" and dice.chance(0.5):
        if not _deny(draft, view.wearing(colour), "part"):
            return False
        draft.after.append((RANK_NEGATION, f"{dice.pick(_NOT_WEARING)} {word}"))
        return True
    others = [view.objects[index].colour for index in rivals if view.objects[index].colour != colour]
    if others and dice.chance(0.25):
        second = dice.pick(others)
        both = view.colour(colour), view.colour(second)
        if not _deny(
            draft, Extension(both[0].certain | both[1].certain, both[0].possible | both[1].possible), "colour"
        ):
            return False
        draft.after.append((RANK_NEGATION, f"that is neither {word} nor {COLOUR_WORDS[second][0]}"))
        return True
    if not _deny(draft, view.colour(colour), "colour"):
        return False
    _say(draft, word)
    return True


def _not_texture(draft: Draft, rival: int, rivals: list[int]) -> bool:
    dice, texture = draft.dice, draft.view.objects[rival].texture
    if draft.view.places.share[draft.target] < 0.5 or not _deny(draft, draft.view.texture(texture), "part"):
        return False
    if texture != "plain" and dice.chance(0.3):
        draft.after.append((RANK_NEGATION, f"{dice.pick(('without', 'with no'))} {dice.pick(TEXTURE_MARKS[texture])}"))
    else:
        _say(draft, dice.usual(TEXTURE_WORDS[texture]))
    return True


def _not_size(draft: Draft, rival: int, rivals: list[int]) -> bool:
    view, size = draft.view, draft.view.objects[rival].size
    # Of objects of several kinds no one can tell for sure which are "not big".
    if draft.mixed or size == "medium" or view.places.share[draft.target] < 0.6:
        return False
    if not _deny(draft, view.size(size, rival, mixed=False), "size"):
        return False
    _say(draft, draft.dice.pick(SIZE_WORDS[size][:2]))
    return True


def _not_part(draft: Draft, rival: int, rivals: list[int]) -> bool:
    view, thing = draft.view, draft.view.objects[rival]
    part, colour = PARTS[thing.kind], thing.part_colour
    if part is None or colour is None or view.places.share[draft.target] < 0.6 or thing.kind != draft.thing.kind:
        return False
    if not _deny(draft, view.part(part, colour), "part"):
        return False
    draft.after.append((RANK_NEGATION, part_phrase(draft.dice, part, colour, draft.variant, negative=True)))
    return True


def _not_kind(draft: Draft, rival: int, rivals: list[int]) -> bool:
    kind = draft.view.objects[rival].kind
    if not _deny(draft, draft.view.kinds(frozenset({kind}), frozenset({kind})), "kind"):
        return False
    noun = draft.dice.usual(NOUNS[kind])[0]
    if draft.dice.chance(0.7):
        draft.after.append((RANK_NEGATION, f"{_copula(draft)} {with_article(noun)}"))
    else:
        draft.tail = f", not the {noun}"
    return True


def _not_place(draft: Draft, rival: int, rivals: list[int]) -> bool:
    zones = [zone for zone in ("left", "right", "top", "bottom") if draft.view.zone(zone).certain >> rival & 1]
    if not zones:
        return False
    zone = draft.dice.pick(zones)
    if not _deny(draft, draft.view.zone(zone), "place"):
        return False
    phrase = PLACE_PHRASES[zone][1][0]
    if draft.dice.chance(0.7):
        draft.after.append((RANK_NEGATION, f"{_copula(draft)} {phrase}"))
    else:
        draft.tail = f", not the one {phrase}"
    return True


_NEGATIONS = {
    "colour": _not_colour,
    "texture": _not_texture,
    "size": _not_size,
    "part": _not_part,
    "kind": _not_kind,
    "place": _not_place,
}

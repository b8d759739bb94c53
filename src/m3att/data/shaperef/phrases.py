"""One expression in the making: the words chosen so far, and the objects that they are true of."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from m3att.data.shaperef.extension import Extension, members
from m3att.data.shaperef.lexicon import (
    ANYTHING,
    COLOUR_WORDS,
    GROUPS,
    NOUNS,
    NUMBERS,
    PART_WORDS,
    PLURAL_PARTS,
    SIZE_WORDS,
    TEXTURE_MARKS,
    TEXTURE_WORDS,
)
from m3att.data.shaperef.meaning import View
from m3att.data.shaperef.world import KINDS, PARTS

Choice = TypeVar("Choice")

# Where a phrase stands behind the noun; lower comes first.
RANK_COLOUR, RANK_PART, RANK_PLACE, RANK_NEGATION, RANK_RELATION = range(5)
NEGATION_WORDS = frozenset({"not", "isn't", "neither", "doesn't"})
ATTRIBUTES = ("colour", "size", "part", "texture")
GROUPS_OF = {kind: [word for word, (_, kinds, _) in GROUPS.items() if kind in kinds] for kind in KINDS}


class Dice:
    """Chance, by `random.random` alone, whose sequence Python promises never to change."""

    def __init__(self, seed: int) -> None:
        self.roll = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.roll() < probability

    def pick(self, options: Sequence[Choice]) -> Choice:
        """One of the options, all equally likely."""
        return options[int(self.roll() * len(options))]

    def usual(self, options: Sequence[Choice], share: float = 0.6) -> Choice:
        """The first option with this probability, else any."""
        return options[0] if self.roll() < share else self.pick(options)

    def shuffled(self, options: Sequence[Choice]) -> list[Choice]:
        """The options in random order."""
        return sorted(options, key=lambda _: self.roll())


def with_article(phrase: str) -> str:
    """The phrase behind "a" or "an"."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


class Draft:
    """An expression for one target object, built phrase by phrase.

    Args:
        view: the scene.
        dice: where choices come from.
        target: the object to be named.
        variant: one of ``world.VARIANTS``.
    """

    def __init__(self, view: View, dice: Dice, target: int, variant: str) -> None:
        self.view, self.dice, self.target, self.variant = view, dice, target, variant
        self.thing = view.objects[target]
        self.noun, self.plural, self.level = "", "", "any"
        self.named = view.all  # what the noun is true of
        self.rest = view.all  # what all other words are true of
        self.picked_from_set = False  # by order or extreme: the noun then says which set
        self.before: dict[str, str] = {}
        self.after: list[tuple[int, str]] = []
        self.front = self.tail = ""
        self.of_set = -1  # "the largest of the three cars": how many, 0 to leave out the number
        self.used: set[str] = set()
        self.skills: set[str] = set()

    @property
    def extension(self) -> Extension:
        """The objects that the words so far may name."""
        return self.named & self.rest

    @property
    def mixed(self) -> bool:
        """Whether the words name more than one kind of thing."""
        return self.level != "kind"

    def is_clear(self) -> bool:
        """Whether the words name the target and nothing else."""
        return self.extension.is_only(self.target)

    def name(self, level: str) -> None:
        """Chooses the noun: of the "kind", of a "group" of kinds, or one for "any" object (also none at all)."""
        dice, kind = self.dice, self.thing.kind
        groups = GROUPS_OF[kind]
        if level == "group" and not groups:
            level = "any"
        self.level = level
        if level == "kind":
            self.noun, self.plural = dice.usual(NOUNS[kind], 0.55)
            self.named = self.view.kinds(frozenset({kind}), frozenset({kind}))
        elif level == "group":
            self.noun = dice.pick(groups)
            self.plural, sure, maybe = GROUPS[self.noun]
            self.named = self.view.kinds(sure, maybe)
        else:
            self.noun = "one" if kind == "person" else dice.pick(("thing", "thing", "object", "object", "one"))
            self.plural, sure, maybe = ANYTHING[self.noun]
            self.named = self.view.kinds(sure, maybe)

    def narrow(self, extension: Extension, *skills: str) -> bool:
        """Adds a phrase's meaning; False, and nothing changed, where it is not clearly true of the target."""
        if not extension.certain >> self.target & 1:
            return False
        self.rest = self.rest & extension
        self.skills.update(skills)
        return True

    def settle(self, *skills: str) -> bool:
        """Ends the choice: an order or an extreme picks the target out of the set named so far."""
        self.rest = Extension(1 << self.target, 1 << self.target)
        self.picked_from_set = True
        self.skills.update(skills)
        return True

    def add(self, attribute: str) -> bool:
        """Adds one true attribute of the target; False where it has none that can be told."""
        if attribute in self.used:
            return False
        added = {
            "colour": self._add_colour,
            "size": self._add_size,
            "part": self._add_part,
            "texture": self._add_texture,
        }[attribute]()
        if added:
            self.used.add(attribute)
        return added

    def _add_colour(self) -> bool:
        dice, colour = self.dice, self.thing.colour
        word = dice.usual(COLOUR_WORDS[colour], 0.5)
        if self.level == "kind" and self.thing.kind == "person" and dice.chance(0.6):
            if dice.chance(0.3):
                phrase = dice.pick(
                    (f"in {with_article(word)} shirt", f"with {with_article(word)} shirt", f"in {word} shirt")
                )
                extension = self.view.shirt(colour)
            else:
                phrase = f"{dice.pick(('in', 'in', 'in', 'wearing', 'dressed in'))} {word}"
                extension = self.view.wearing(colour)
            if self.narrow(extension, "part"):
                self.after.append((RANK_PART, phrase))
                return True
            return False
        if not self.narrow(self.view.colour(colour), "colour"):
            return False
        if self.of_set < 0 and self.noun and dice.chance(0.1):
            self.after.append((RANK_COLOUR, f"{dice.pick(('that is', 'which is', 'that is'))} {word}"))
        else:
            self.before["colour"] = word
        return True

    def _add_size(self) -> bool:
        size = self.thing.size
        if size == "medium" or not self.narrow(self.view.size(size, self.target, self.mixed), "size"):
            return False
        self.before["size"] = self.dice.pick(SIZE_WORDS[size])
        return True

    def _add_part(self) -> bool:
        part, colour = PARTS[self.thing.kind], self.thing.part_colour
        if part is None or colour is None or not self.narrow(self.view.part(part, colour), "part"):
            return False
        phrase = part_phrase(self.dice, part, colour, self.variant)
        if part == "trousers" and any(rank == RANK_PART for rank, _ in self.after):
            phrase = "with " + phrase.split(" ", 1)[1] if phrase.startswith(("in ", "wearing ")) else phrase
        self.after.append((RANK_PART, phrase))
        return True

    def _add_texture(self) -> bool:
        texture = self.thing.texture
        if self.view.places.share[self.target] < 0.5 or (texture == "plain" and self.dice.chance(0.8)):
            return False
        if not self.narrow(self.view.texture(texture), "part"):
            return False
        if texture != "plain" and self.of_set < 0 and self.dice.chance(0.2):
            self.after.append((RANK_PART, f"with {self.dice.pick(TEXTURE_MARKS[texture])}"))
        else:
            self.before["texture"] = self.dice.usual(TEXTURE_WORDS[texture])
        return True

    def clarify(self, attributes: Sequence[str] = ATTRIBUTES) -> bool:
        """Adds attributes that rule something out until the words are clear; False where they do not suffice."""
        for attribute in self.dice.shuffled(attributes):
            if self.is_clear():
                return True
            kept = self.rest, dict(self.before), list(self.after), set(self.skills)
            if self.add(attribute) and (self.named & self.rest) == (self.named & kept[0]):
                self.rest, self.before, self.after, self.skills = kept
                self.used.discard(attribute)
        return self.is_clear()

    def finished_skills(self) -> tuple[str, ...]:
        """Tags that follow from the whole, with those of its phrases."""
        skills = set(self.skills)
        if self.level != "any" and (self.picked_from_set or not self.rest.is_only(self.target)):
            skills.add("kind")
        if len([1 for index in members(self.view.seen) if self.view.objects[index].kind == self.thing.kind]) >= 3:
            skills.add("crowd")
        return tuple(skills)

    def text(self, determiner: str) -> str:
        """The words in order, behind a determiner ("the", "a" or none)."""
        before = self.before
        adjectives = [before[slot] for slot in ("size", "texture", "colour") if slot in before]
        if len(adjectives) > 1 and self.dice.chance(0.15):
            adjectives = self.dice.shuffled(adjectives)
        if self.of_set >= 0:
            number = [NUMBERS[self.of_set]] if self.of_set else []
            words = ["the", before["order"], "of", "the", *number, *adjectives, self.plural]
        else:
            words = [before[slot] for slot in ("order", "place") if slot in before] + adjectives
            words += [self.noun] if self.noun else []
            head = " ".join(words)
            if determiner == "a" and not self.front and "order" not in before:
                words = [with_article(head)]
            elif determiner and head and not self.front:
                words = ["the", head]
        previous = ""
        for _, phrase in sorted(self.after, key=lambda pair: pair[0]):
            words.append(self._joined(phrase, previous))
            previous = phrase
        return self.front + " ".join(words) + self.tail

    def _joined(self, phrase: str, previous: str) -> str:
        """A phrase behind another, with the "and" that people put between two of a sort."""
        opener, _, remainder = phrase.partition(" ")
        if self.thing.kind == "person" and opener == "which":
            phrase, opener = f"who {remainder}", "who"
        last = previous.split(" ", 1)[0]
        if opener == last == "with":
            return f"and {remainder}"
        if opener in ("that", "which", "who") and last in ("that", "which", "who"):
            return f"and {remainder}"
        relative = opener in ("that", "that's", "which", "who", "whose")
        if (last == "whose" and (relative or opener == "with")) or (
            last and relative and NEGATION_WORDS & set(phrase.split())
        ):
            return f"and {phrase}"
        return phrase


def part_phrase(dice: Dice, part: str, colour: str, variant: str, negative: bool = False) -> str:
    """Words for a part's colour, such as "with a blue roof".

    Args:
        dice: where choices come from.
        part: a part of ``world.PARTS``.
        colour: its colour.
        variant: `shaperef+` has no part words that are words of place too.
        negative: whether to say that the part is not so.

    Returns:
        a phrase to stand behind the noun.
    """
    words = PART_WORDS[part][:1] if part == "centre" and variant == "shaperef+" else PART_WORDS[part]
    word, shade = dice.usual(words, 0.5), dice.usual(COLOUR_WORDS[colour], 0.5)
    plural = word in PLURAL_PARTS
    full = f"{shade} {word}" if plural else with_article(f"{shade} {word}")
    if negative:
        return dice.pick((f"without {full}", f"with no {shade} {word}", f"that doesn't have {full}"))
    if part == "trousers" and dice.chance(0.5):
        return f"{dice.pick(('in', 'wearing'))} {full}"
    return dice.pick(
        (f"with {full}", f"with {full}", f"with {full}", f"with {shade} {word}", f"that has {full}")
        + ((f"whose {word} {'are' if plural else 'is'} {shade}",) if dice.chance(0.5) else ())
    )

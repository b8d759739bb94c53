"""A second reader of ShapeRef's expressions: from the text and the facts alone to the objects that it may mean.

It shares nothing with the generator but the facts: its own dictionary, grammar and geometry. It is looser than the
generator everywhere, so that what the generator should have shunned as a near tie comes out as two objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from m3att.data.shaperef.world import PARTS, SceneFacts

from .evaluator_geometry import Geometry
from .evaluator_words import (
    COUNTS,
    FILLERS,
    GROUP_KINDS,
    LONGEST,
    MARKS,
    NOT_WORDS,
    PART_OF,
    PHRASES,
    REAL_GROUPS,
    RIGHT_WORDS,
)

Test = Callable[[int], bool]
Selector = Callable[[list[int]], list[int]]


class Unreadable(ValueError):
    """A text outside the grammar, or one that speaks of an anchor that is not there just once."""


@dataclass
class Reading:
    """What a text says: the objects it may mean, and what had to be understood on the way."""

    objects: set[int] = field(default_factory=set)
    skills: set[str] = field(default_factory=set)
    kind_word: bool = False
    objects_without_noun: set[int] = field(default_factory=set)
    selected: bool = False


class _Phrase:
    """A noun phrase: tests on single objects, and selectors on the set that they leave."""

    def __init__(self) -> None:
        self.noun: Test | None = None
        self.mixed = True
        self.tests: list[Test] = []
        self.selectors: list[Selector] = []
        self.last_tests: list[Test] = []
        self.rank: int | None = None
        self.count: int | None = None


class Evaluator:
    """Reads texts about one scene.

    Args:
        facts: the scene.
    """

    def __init__(self, facts: SceneFacts) -> None:
        self.things = facts.objects
        self.geometry = Geometry(facts)

    def read(self, text: str) -> Reading:
        """The objects that a text may mean."""
        tokens = [RIGHT_WORDS.get(word, word) for word in re.findall(r"\w+(?:'\w+)?|,", text.lower())]
        self.reading = Reading()
        front: list[str] = []
        if tokens[0] == "not":
            cut = tokens.index(",")
            front, tokens = tokens[1:cut], tokens[cut + 1 :]
            if tokens[:2] != ["the", "other"]:
                raise Unreadable(text)
            tokens = tokens[2:]
        cut = tokens.index(",") if "," in tokens else len(tokens)
        tokens, tail = tokens[:cut], tokens[cut + 1 :]
        phrase = self._parse(tokens)
        if front:
            self._exclude(phrase, front)
        if tail[:1] == ["not"]:
            self._exclude(phrase, tail[1:])
        elif tail[:3] == ["and", "there", "is"] and tail[-1] == "it":
            self._scenery(phrase, tail[3:-1])
        elif tail:
            raise Unreadable(text)
        self.reading.objects = set(self._denoted(phrase, range(len(self.things))))
        self.reading.selected = bool(phrase.selectors)
        phrase.noun = None
        self.reading.objects_without_noun = set(self._denoted(phrase, range(len(self.things))))
        return self.reading

    def _denoted(self, phrase: _Phrase, among: Iterable[int]) -> list[int]:
        found = [i for i in among if phrase.noun is None or phrase.noun(i)]
        found = [i for i in found if all(test(i) for test in phrase.tests)]
        if phrase.count is not None and len(found) != phrase.count:
            return []
        for select in phrase.selectors:
            found = select(found) if found else []
        return [i for i in found if all(test(i) for test in phrase.last_tests)]

    def _exclude(self, phrase: _Phrase, tokens: list[str]) -> None:
        """ "not the red one": the objects so meant (read strictly) are out."""
        self.reading.skills.add("negation")
        kind_word = self.reading.kind_word
        inner = self._parse(tokens, strict=True)
        if any(self._sort(word) == "kind" for word in tokens):
            self.reading.skills.add("kind")
        self.reading.kind_word = kind_word
        excluded = set(self._denoted(inner, range(len(self.things))))
        phrase.tests.append(lambda i: i not in excluded)

    def _scenery(self, phrase: _Phrase, tokens: list[str]) -> None:
        """ "and there is a cup next to it"."""
        self.reading.skills.add("relation")
        for start in range(1, len(tokens)):
            entry = PHRASES.get(tuple(tokens[start:]))
            if entry is not None and entry[0] == "relation":
                kind_word = self.reading.kind_word
                anchor = self._anchor(tokens[:start])
                self.reading.kind_word = kind_word
                phrase.last_tests.append(self._has_near(entry[1], anchor))
                return
        raise Unreadable(" ".join(tokens))

    def _has_near(self, relation: str, anchor: int) -> Test:
        return lambda i: i != anchor and self.geometry.relates(relation, anchor, i)

    def _is_between(self, tokens: list[str], more_tokens: list[str]) -> Test:
        first, second = self._anchor(tokens), self._anchor(more_tokens)
        return lambda i: self.geometry.between(i, first, second)

    def _add_relation(self, phrase: _Phrase, sort: str, relation: str, anchor: int) -> None:
        if sort == "closest":
            phrase.selectors.append(lambda found: self.geometry.closest(found, anchor))
        else:
            phrase.tests.append(lambda i: i != anchor and self.geometry.relates(relation, i, anchor))

    def _anchor(self, tokens: list[str]) -> int:
        kind_word = self.reading.kind_word
        found = self._denoted(self._parse(tokens), range(len(self.things)))
        self.reading.kind_word = kind_word
        if len(found) != 1:
            raise Unreadable(f"anchor {' '.join(tokens)!r} fits {found}")
        return found[0]

    def _parse(self, tokens: list[str], strict: bool = False) -> _Phrase:
        phrase = _Phrase()
        at = 0
        negated = False
        while at < len(tokens):
            word = tokens[at]
            if word in ("a", "an", "the"):
                at += 1
                if negated and self._sort(tokens[at]) == "kind":  # "that is not a cup"
                    phrase.tests.append(self._other_kind(PHRASES[(tokens[at],)][1]))
                    self.reading.skills.add("kind")
                    at, negated = at + 1, False
                continue
            if word == "of":  # "the leftmost of the three cars"
                at += 2
                if tokens[at] in COUNTS:
                    phrase.count = COUNTS[tokens[at]]
                    at += 1
                continue
            if word in NOT_WORDS:
                negated = True
                self.reading.skills.add("negation")
                at += 2 if tokens[at : at + 2] == ["that's", "not"] else 1
                continue
            if word == "between":
                self.reading.skills.add("relation")
                cut = tokens.index("and", at)
                phrase.tests.append(self._is_between(tokens[at + 1 : cut], tokens[cut + 1 :]))
                return phrase
            if word == "neither":
                self.reading.skills.add("negation")
                for offset in (1, 3):
                    self._add(phrase, "colour", PHRASES[(tokens[at + offset],)][1], True, strict)
                if tokens[at + 2] != "nor":
                    raise Unreadable(" ".join(tokens))
                at += 4
                continue
            if word in ("in", "wearing", "dressed") and self._clothes(phrase, tokens, at, negated):
                at, negated = self._after_clothes(tokens, at), False
                continue
            if word in ("with", "without", "has", "doesn't", "have"):
                at = self._having(phrase, tokens, at)
                continue
            if word == "whose":
                part, colour = PART_OF[tokens[at + 1]], PHRASES[(tokens[at + 3],)][1]
                self._add_part(phrase, part, colour, False)
                at += 4
                continue
            for length in range(min(LONGEST, len(tokens) - at), 0, -1):
                entry = PHRASES.get(tuple(tokens[at : at + length]))
                if entry is not None:
                    break
            else:
                if word not in FILLERS:
                    raise Unreadable(f"{word!r} in {' '.join(tokens)!r}")
                at += 1
                continue
            sort, value = entry
            at += length
            if word == "middle" and at < len(tokens):  # a lone "middle" is a place, "the middle red car" an order
                sort = "middle"
            if sort in ("kind", "group"):
                if phrase.noun is not None:
                    raise Unreadable(f"two nouns in {' '.join(tokens)!r}")
                self._add_noun(phrase, sort, value, strict)
            elif sort in ("relation", "closest"):
                self.reading.skills.add("relation")
                anchor = self._anchor(tokens[at:])
                self._add_relation(phrase, sort, value, anchor)
                return phrase
            else:
                self._add(phrase, sort, value, negated, strict)
                negated = False
        if negated:
            raise Unreadable(f"dangling negation in {' '.join(tokens)!r}")
        return phrase

    @staticmethod
    def _sort(word: str) -> str:
        return PHRASES.get((word,), ("", ""))[0]

    def _other_kind(self, kind: str) -> Test:
        return lambda i: self.things[i].kind != kind

    def _add_noun(self, phrase: _Phrase, sort: str, value: str, strict: bool) -> None:
        if sort == "kind":
            phrase.noun, phrase.mixed = (lambda i: self.things[i].kind == value), False
            self.reading.kind_word = True
            return
        sure, maybe = GROUP_KINDS[value]
        kinds = sure if strict else maybe
        phrase.noun = lambda i: self.things[i].kind in kinds
        self.reading.kind_word |= value in REAL_GROUPS

    def _add(self, phrase: _Phrase, sort: str, value: str, negated: bool, strict: bool) -> None:
        """One phrase's test or selector; a strict one where it is denied, so that its denial is loose."""
        strict = strict or negated
        tests: dict[str, Test] = {
            "colour": lambda i: self._coloured(i, value, strict),
            "texture": lambda i: self.things[i].texture == value,
            "size": lambda i: self.geometry.sized(i, value, phrase.mixed, strict),
            "zone": lambda i: self.geometry.in_zone(i, value, strict),
        }
        tags = {"colour": "colour", "texture": "part", "size": "size", "extreme": "size", "zone": "place"}
        self.reading.skills.add(tags.get(sort, "order"))
        if sort in tests:
            test = tests[sort]
            phrase.tests.append((lambda i: not test(i)) if negated else test)
        elif negated:
            raise Unreadable(f"not {sort} {value}")
        elif sort == "extreme":
            phrase.selectors.append(lambda found: self.geometry.extreme(found, value))
        else:
            if sort == "order":
                phrase.selectors.append(lambda found: self.geometry.counted(found, value, 0))
            elif sort == "middle":
                phrase.selectors.append(
                    lambda found: self.geometry.counted(found, "left", 1) if len(found) == 3 else []
                )
            elif sort == "ordinal":
                phrase.rank = int(value)
            elif sort == "from" and phrase.rank is not None:
                rank = phrase.rank
                phrase.selectors.append(lambda found: self.geometry.counted(found, value, rank))
            else:
                raise Unreadable(f"{sort} {value}")

    def _coloured(self, i: int, colour: str, strict: bool) -> bool:
        thing = self.things[i]
        return thing.colour == colour or (not strict and thing.kind == "person" and thing.part_colour == colour)

    def _clothes(self, phrase: _Phrase, tokens: list[str], at: int, negated: bool) -> bool:
        rest = [word for word in tokens[at + 1 :] if word not in ("in", "a", "an")]
        entry = PHRASES.get((rest[0],)) if rest else None
        if entry is None or entry[0] != "colour":
            return False
        colour, things = entry[1], self.things
        self.reading.skills.add("part")
        worn = rest[1] if len(rest) > 1 else ""

        def test(i: int) -> bool:
            shirt = worn not in PART_OF and things[i].colour == colour
            trousers = worn != "shirt" and things[i].part_colour == colour and not (negated and worn not in PART_OF)
            return things[i].kind == "person" and (shirt or trousers)

        phrase.tests.append((lambda i: not test(i)) if negated else test)
        return True

    def _after_clothes(self, tokens: list[str], at: int) -> int:
        at += 1
        while tokens[at] in ("in", "a", "an"):
            at += 1
        at += 1
        return at + 1 if at < len(tokens) and (tokens[at] == "shirt" or tokens[at] in PART_OF) else at

    def _having(self, phrase: _Phrase, tokens: list[str], at: int) -> int:
        """ "with a blue roof and stripes", "without a blue roof", "that doesn't have a blue roof"."""
        negated = False
        while tokens[at] in ("with", "without", "has", "have", "doesn't", "no", "a", "an", "the", "and"):
            if tokens[at] in ("without", "no", "doesn't"):
                negated = True
                self.reading.skills.add("negation")
            at += 1
        if tokens[at] in MARKS:
            self.reading.skills.add("part")
            texture = MARKS[tokens[at]]
            phrase.tests.append(lambda i: (self.things[i].texture == texture) != negated)
            at += 1
        else:
            colour = PHRASES[(tokens[at],)][1]
            if tokens[at + 1] == "shirt":
                self.reading.skills.add("part")
                phrase.tests.append(lambda i: self.things[i].kind == "person" and self.things[i].colour == colour)
            else:
                self._add_part(phrase, PART_OF[tokens[at + 1]], colour, negated)
            at += 2
        rest = (
            [word for word in tokens[at + 1 : at + 5] if word not in ("a", "an", "no")]
            if tokens[at : at + 1] == ["and"]
            else []
        )
        if rest and (rest[0] in MARKS or (len(rest) > 1 and (rest[1] in PART_OF or rest[1] == "shirt"))):
            return self._having(phrase, tokens, at)
        return at

    def _add_part(self, phrase: _Phrase, part: str, colour: str, negated: bool) -> None:
        self.reading.skills.add("part")
        phrase.tests.append(
            lambda i: (PARTS[self.things[i].kind] == part and self.things[i].part_colour == colour) != negated
        )

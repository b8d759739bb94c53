"""Reads words that a vocabulary does not have as their nearest known spelling, and says which.

Rules of grammar come first: the possessive, then singular and plural. After them comes the number of typing errors:
letters that are missing, too many, wrong or exchanged. PyTorch is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tokenizers import models

from m3att.data.text import SPECIAL, Tokenizer, encodable

if TYPE_CHECKING:
    from m3att.data.text import WordArrays

SHORTEST_KNOWN = 3  # letters of a word that another is read as
ONE_ERROR_FROM, TWO_ERRORS_FROM, LONGEST = 4, 8, 40  # letters of an unknown word
IRREGULAR = {
    "child": "children", "foot": "feet", "goose": "geese", "knife": "knives", "leaf": "leaves", "man": "men",
    "mouse": "mice", "person": "people", "tooth": "teeth", "woman": "women",
}  # fmt: skip
IRREGULAR |= {plural: singular for singular, plural in IRREGULAR.items()}
HISSING = ("s", "x", "z", "ch", "sh")


class Respelled(NamedTuple):
    """An expression as it is read.

    Args:
        text: the expression with known words in place of unknown ones.
        read_as: the replaced words as they were typed, each with the known word that it is read as.
    """

    text: str
    read_as: tuple[tuple[str, str], ...] = ()


class SpellingTokenizer(Tokenizer):
    """A tokenizer that reads unknown words as their nearest known spelling.

    Expressions whose words are all known get the same ids as before. A tokenizer of word pieces knows every word in
    pieces, so nothing changes there.

    Args:
        exact: the tokenizer that it stands on.
    """

    def __init__(self, exact: Tokenizer) -> None:
        super().__init__(exact.tokenizer, exact.word_limit)
        self._read: dict[str, str | None] = {}

    def arrays(self, expressions: Sequence[str]) -> WordArrays:
        """Tokenize N expressions, respelled.

        Raises:
            ExpressionError: where one holds no word at all.
        """
        return super().arrays([self.respell(text).text for text in expressions])

    def respell(self, expression: str) -> Respelled:
        """The expression with each unknown word replaced, if a known one is near enough; only words that are read."""
        if not isinstance(self.tokenizer.model, models.WordLevel):
            return Respelled(expression)
        encoding = self.tokenizer.encode(encodable(expression), add_special_tokens=False)
        read = zip(encoding.ids[: self.word_limit], encoding.offsets, strict=False)
        pieces: list[str] = []
        read_as: dict[str, str] = {}
        done = 0
        for number, (start, end) in read:
            typed = expression[start:end]
            known = self.nearest(self.normal(typed)) if number == self.unknown_id else None
            if known is not None:
                pieces += [expression[done:start], known]
                read_as[typed] = known
                done = end
        return Respelled("".join([*pieces, expression[done:]]), tuple(read_as.items()))

    def nearest(self, word: str) -> str | None:
        """The known word that an unknown one is read as, or None.

        Args:
            word: normalised as the tokenizer does.
        """
        if word not in self._read:
            self._read[word] = self.by_rule(word) or self.by_errors(word)
        return self._read[word]

    def by_rule(self, word: str) -> str | None:
        """Another form of the word that is known: without its possessive ending, its singular or its plural."""
        stem = without_possessive(word)
        forms = [stem] if stem != word else []
        return next((form for form in (*forms, *other_numbers(stem)) if form in self.ranks), None)

    def by_errors(self, word: str) -> str | None:
        """The known word with the fewest typing errors, at most one, or two in a long word; then the most frequent.

        The first letter must be right, or exchanged with the second. Words of three letters are too near to each other.
        """
        stem = without_possessive(word)
        if not stem.isalpha() or not ONE_ERROR_FROM <= len(stem) <= LONGEST:
            return None
        from rapidfuzz import process  # 45 ms, and most expressions do not need it
        from rapidfuzz.distance import OSA

        most = 2 if len(stem) >= TWO_ERRORS_FROM else 1
        found = process.extract(stem, self.ranks.keys(), scorer=OSA.distance, score_cutoff=most, limit=None)
        begins = (stem[0], stem[1::-1])
        near = [(errors, self.ranks[known], known) for known, errors, _ in found if known.startswith(begins)]
        return min(near)[2] if near else None

    @cached_property
    def ranks(self) -> dict[str, int]:
        """The known words that others may be read as; ids rise as words become rarer in the training expressions."""
        vocabulary = self.tokenizer.get_vocab()
        usable = (word for word in vocabulary if word.isalpha() and word not in SPECIAL)
        return {word: vocabulary[word] for word in usable if len(word) >= SHORTEST_KNOWN}

    def normal(self, word: str) -> str:
        """A word as the vocabulary writes it."""
        normalizer = self.tokenizer.normalizer
        return word if normalizer is None else str(normalizer.normalize_str(word))


def without_possessive(word: str) -> str:
    """The word without an ending 's."""
    return word.removesuffix("'s")


def other_numbers(word: str) -> Iterator[str]:
    """What may be the singular or the plural of a word, the likeliest first; most of these are no words."""
    if word in IRREGULAR:
        yield IRREGULAR[word]
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("ves"):
        yield word[:-3] + "f"
        yield word[:-3] + "fe"
    if word.endswith("es") and word[:-2].endswith((*HISSING, "o")):
        yield word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
    if word.endswith((*HISSING, "o")):
        yield word + "es"
    if word.endswith("y"):
        yield word[:-1] + "ies"
    yield word + "s"

"""The evaluator's dictionary: every set phrase of the lexicon, and what sort of phrase it is."""

from __future__ import annotations

from m3att.data.shaperef import lexicon

RIGHT_WORDS = {wrong: right for right, slips in lexicon.MISSPELLINGS.items() for wrong in slips}
FILLERS = frozenset(
    {
        "which",
        "that",
        "who",
        "is",
        "are",
        "stands",
        "standing",
        "sits",
        "sitting",
        "located",
        "placed",
        "can",
        "be",
        "seen",
    }
) | {"and"}
NOT_WORDS = {"not", "isn't", "that's"}


def _table() -> dict[tuple[str, ...], tuple[str, str]]:
    """All set phrases -> (sort, value)."""
    table: dict[tuple[str, ...], tuple[str, str]] = {}

    def put(phrase: str, sort: str, value: str) -> None:
        entry = (sort, value)
        known = table.setdefault(tuple(lexicon.split_words(phrase)), entry)
        assert known == entry, f"{phrase!r} is {known} and {entry}"

    for colour, words in lexicon.COLOUR_WORDS.items():
        for word in words:
            put(word, "colour", colour)
    for sort, sizes in (
        ("size", lexicon.SIZE_WORDS),
        ("extreme", lexicon.SIZE_COMPARATIVES),
        ("extreme", lexicon.SIZE_SUPERLATIVES),
    ):
        for size, words in sizes.items():
            for word in words:
                put(word, sort, size)
    for texture, words in lexicon.TEXTURE_WORDS.items():
        for word in words:
            put(word, "texture", texture)
    for zone, (before, after) in lexicon.PLACE_PHRASES.items():
        for phrase in (*before, *after):
            put(phrase, "zone", zone)
    for zone, phrase in lexicon.PLACE_ALONE.items():
        put(phrase, "zone", zone)
    for side, (before, after) in lexicon.ORDER_PHRASES.items():
        for phrase in (*before, *after):
            put(phrase, "order", side)
    for number, words in enumerate(lexicon.ORDINALS):
        for word in words:
            put(word, "ordinal", str(number))
    for side in lexicon.ORDER_PHRASES:
        put(f"from the {side}", "from", side)
        put(f"from {side}", "from", side)
    for relation, phrases in lexicon.RELATION_PHRASES.items():
        for phrase in phrases:
            put(phrase, "relation", relation)
    for phrase in lexicon.CLOSEST_PHRASES:
        put(phrase, "closest", "")
    for kind, nouns in lexicon.NOUNS.items():
        for pair in nouns:
            for word in pair:
                put(word, "kind", kind)
    for groups in (lexicon.GROUPS, lexicon.ANYTHING):
        for word, (plural, _, _) in groups.items():
            put(word, "group", word)
            put(plural, "group", word)
    return table


PHRASES = _table()
LONGEST = max(map(len, PHRASES))
PART_OF = {word: part for part, words in lexicon.PART_WORDS.items() for word in words}
MARKS = {word: texture for texture, words in lexicon.TEXTURE_MARKS.items() for word in words}
COUNTS = {word: number for number, word in lexicon.NUMBERS.items()}

"""What an expression says about sides, places and colours, so that a changed picture does not make it wrong.

The rules are for English. Of an expression in another script nothing is known, so it counts as one that speaks of
everything. docs/training.md says how often the rules are right on RefCOCO.
"""

from __future__ import annotations

import re

MIRRORED = {
    "left": "right", "leftmost": "rightmost", "lefthand": "righthand", "lft": "rght", "l": "r", "leftest": "rightest",
    "lefty": "righty", "lefts": "rights", "leftside": "rightside", "lt": "rt", "lhs": "rhs", "east": "west",
    "eastern": "western", "northeast": "northwest", "southeast": "southwest", "clockwise": "counterclockwise",
}  # fmt: skip
MIRRORED |= {there: here for here, there in MIRRORED.items()}
"""Words and their opposites in a mirror, both ways."""

_WRONG_LEFT = "lef laft lrft elft lefr lefy lfet lwft lefvt letf leaft leftist"
_WRONG_RIGHT = (
    "righ rigth rigt roght rgiht rihgt riht righr righy righit righjt rught rirght rigyht rigjt rigjy irght rgith "
    "righmost rightmsot roight ritght righgt righht rigiht rigtht riight rigght"
)
_MISSPELT = {word: "right" for word in _WRONG_LEFT.split()}
_MISSPELT |= {word: "left" for word in _WRONG_RIGHT.split()}
"""Misspellings of left and right that RefCOCO has, and the word that they become."""

# Words that hold "left" or "right" and say nothing of a side. "Bright" and "upright" are frequent.
_NO_SIDE = re.compile(r"^(?:.*[bf]right.*|upright\w*|copyright\w*|alright|outright|righteous\w*|leftovers?|"
                      r"overpriced|cleft)$")  # fmt: skip
_SIDE = re.compile(r"left|right")
_OPPOSITE = {"left": "right", "right": "left"}
# ASCII letters only: without regard to case a dotless i would pass for an i. The l of "l'oreal" and of "l8" is no word.
_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]+(?![A-Za-z]*[0-9]|['’][A-Za-z]{2})")

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_HOUR = r"(1[0-2]|[1-9]|" + "|".join(_NUMBERS) + r")"
_CLOCK = re.compile(
    rf"(?<![0-9a-z]){_HOUR}(?:(\s*(?:-|to|and|or)\s*){_HOUR})?(\s*:?\s*30)?(\s*[o0]?\s*['’`]?\s*clock(?:ish)?)\b",
    re.IGNORECASE,
)
_O_CLOCK = re.compile(r"\b[o0]\s*['’`]?\s*clock", re.IGNORECASE)

# "Right behind the man" may mean that somebody is there, or that he is on the right.
_NEXT = (
    r"next|beside|behind|above|below|under|underneath|beneath|over|there|here|in\s+front|on\s+top|in\s+the\s+middle|"
    r"by|near|against|before|after|around|inside|outside|across|up|at|between|now|away|side\s+up|way\s+up"
)
_BEFORE_SIDE = (
    "the|on|to|far|of|from|in|our|your|my|his|her|their|its|top|bottom|upper|lower|front|back|rear|middle|center|"
    "centre|mid|side|extreme|very|most|and|or|facing|looking|second|third|first|at"
)
_DIRECTLY = re.compile(rf"(?:\b({_BEFORE_SIDE})\s+)?\bright\s+(?:{_NEXT})\b", re.IGNORECASE)
_UNSURE = re.compile(
    r"\bleft\s+over\b|\b(?:right|left)side\s+up\b|\b(?:what'?s|that'?s|is|are)\s+left\s*$|\ball\s+right\b|\bright\s+(?:answer|angle|triangle)\b",
    re.IGNORECASE,
)
# "The third man" counts from the left, as English is read, if nothing else is said.
_ORDER = r"\b(?:1st|2nd|3rd|[4-9]th|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)\b"
_COUNTED = re.compile(_ORDER, re.IGNORECASE)
_COUNTED_FROM = re.compile(
    r"left|right|lft|rght|clock|\b(?:top|bottom|front|back|up|down|us|camera|shelf|row|above|below|behind)\b",
    re.IGNORECASE,
)

_PLACE = re.compile(
    r"left|right|lft|rght|clock|most\b|\b(?:l|r|lt|rt|lhs|rhs|righ|rigth|lef|mid|middle|middles?t|cent(?:er|re)\w*|top\w*|"
    r"bottom\w*|upper\w*|lower\w*|lowest|high|higher|highest|low|up|down|corner|edge|side|end|far|furthest|farthest|"
    r"east|west|north|south|northeast|northwest|southeast|southwest|between|row|column|next\s+to\s+last|in\s+line|"
    r"cut|cutoff|cropped|half|halfway|part|partial\w*|partly|barely|visible|see|seen|showing|shown|whole|full|fully|"
    r"entire|complete|out\s+of|frame|pic|picture|photo|image|screen|alone|only|both|all|[0-9]+)\b|" + _ORDER,
    re.IGNORECASE,
)
_COLOUR = re.compile(
    r"\b(?:black|white|gr[ae]y|red|orange|yellow|green|blue|purple|pink|brown|tan|beige|khaki|cream|teal|turquoise|"
    r"navy|maroon|violet|magenta|lavender|lilac|burgundy|gold|golden|silver|bronze|copper|aqua|cyan|lime|olive|peach|"
    r"salmon|rust|rusty|denim|ivory|charcoal|crimson|scarlet|indigo|fuchsia|mustard|blonde?|blondes?|brunette|redhead|"
    r"ginger|dark|light|pale|bright|dull|shiny|shade|shaded|shadow\w*|sunny|lit|unlit|faded|neon|pastel|colou?r\w*|"
    r"multicolou?red|rainbow|camo\w*|skin|skinned|asian|caucasian|african|vivid|ripe|rotten|burnt|burned|charred)"
    r"(?:d?ish|d?er|d?est|s|ed|y)?\b|black|white|orange|yellow|green|blue|purple|pink|brown|red(?:shirt|hair)",
    re.IGNORECASE,
)


def mirrored(text: str) -> str | None:
    """An expression as it is said of the mirrored picture, or None where nobody can tell.

    Sides change: left and right, also misspelt or grown together with another word, hours of a clock face, east and
    west. Words such as "bright" and "leftovers" stay. Nobody can tell what becomes of "right behind the man", of "the
    third man" without a side from which is counted, and of other scripts.
    """
    if not is_english(text) or _UNSURE.search(text):
        return None
    if any(match[1] is None for match in _DIRECTLY.finditer(text)):
        return None
    if _COUNTED.search(text) and not _COUNTED_FROM.search(text):
        return None
    told = _CLOCK.sub(_mirrored_clock, text)
    if len(_O_CLOCK.findall(text)) > len(_CLOCK.findall(text)):
        return None
    return _WORD.sub(_mirrored_word, told)


def names_place(text: str) -> bool:
    """Whether an expression may be wrong in a part of its picture: sides, places, order, numbers, what is cut off."""
    return not is_english(text) or _PLACE.search(text) is not None


def names_colour(text: str) -> bool:
    """Whether an expression may be wrong under another light: colours, and words such as "dark" and "blond"."""
    return not is_english(text) or _COLOUR.search(text) is not None


def is_english(text: str) -> bool:
    """Whether all letters are those of English, which the rules are for."""
    return all(letter.isascii() for letter in text if letter.isalpha())


def _mirrored_word(match: re.Match[str]) -> str:
    """What becomes of a word, in capitals where it is and with a capital where it has one."""
    word = match[0]
    low = word.lower()
    if low in MIRRORED:
        return _like(MIRRORED[low], word)
    if low in _MISSPELT:
        return _like(_MISSPELT[low], word)
    if _SIDE.search(low) and not _NO_SIDE.match(low):
        return _like(_SIDE.sub(lambda side: _OPPOSITE[side[0]], low), word)
    return word


def _like(word: str, model: str) -> str:
    if model.isupper() and (len(model) > 1 or len(word) == 1):
        return word.upper()
    return word.capitalize() if model[0].isupper() else word


def _mirrored_clock(match: re.Match[str]) -> str:
    first, link, second, half, clock = match.groups()
    hours = [_mirrored_hour(hour, half is not None) for hour in (first, second) if hour is not None]
    return (link or "").join(hours) + (half or "") + clock


def _mirrored_hour(hour: str, half: bool) -> str:
    """The hour that a hand shows in the mirror, as a word where it is one.

    Args:
        hour: 1 to 12.
        half: half an hour later.
    """
    number = int(hour) if hour.isdigit() else _NUMBERS.index(hour.lower()) + 1
    turned = ((11 if half else 12) - number) % 12 or 12
    return str(turned) if hour.isdigit() else _like(_NUMBERS[turned - 1], hour)

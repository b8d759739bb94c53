"""The evaluator's dictionary, written out by hand: it shares no table with the generator.

A word that the generator used in another sense would be read here in this one, and a word that stands only there would
not be read at all.
"""

from __future__ import annotations

# sort of phrase -> meaning -> the phrases that have it, divided by "|"
DICTIONARY: dict[str, dict[str, str]] = {
    "kind": {
        "person": "person|people|guy|guys|human|humans|figure|figures",
        "car": "car|cars|auto|autos|automobile|automobiles",
        "house": "house|houses|home|homes|building|buildings",
        "boat": "boat|boats|ship|ships|sailboat|sailboats",
        "fish": "fish",
        "bird": "bird|birds|birdie|birdies",
        "cup": "cup|cups|mug|mugs",
        "flower": "flower|flowers|blossom|blossoms",
        "mushroom": "mushroom|mushrooms|toadstool|toadstools",
        "lamp": "lamp|lamps|light|lights",
        "tree": "tree|trees",
        "ball": "ball|balls|sphere|spheres",
        "star": "star|stars",
        "box": "box|boxes|cube|cubes|crate|crates",
        "heart": "heart|hearts",
        "ring": "ring|rings|hoop|hoops",
    },
    "group": {
        "animal": "animal|animals",
        "vehicle": "vehicle|vehicles",
        "plant": "plant|plants",
        "thing": "thing|things|object|objects",
        "one": "one|ones",
    },
    "colour": {
        "red": "red",
        "orange": "orange",
        "yellow": "yellow",
        "green": "green",
        "blue": "blue",
        "purple": "purple|violet",
        "pink": "pink|rose",
        "brown": "brown",
        "black": "black",
        "white": "white",
        "grey": "grey|gray",
        "cyan": "cyan|turquoise",
    },
    "size": {"large": "big|large|huge", "small": "small|little|tiny"},
    "extreme": {"large": "bigger|larger|biggest|largest", "small": "smaller|smallest|tiniest"},
    "texture": {"plain": "plain", "striped": "striped|stripy", "dotted": "dotted|spotted"},
    "zone": {
        "left": "left|left side|on left|on the left|on the left side|at the left",
        "right": "right|right side|on right|on the right|on the right side|at the right",
        "top": "top|upper|on top|at top|at the top|up top|in the upper half",
        "bottom": "bottom|lower|on bottom|at bottom|at the bottom|in the lower half",
        "top left": "top left|upper left|top left corner|in the top left corner|in the upper left",
        "top right": "top right|upper right|top right corner|in the top right corner|in the upper right",
        "bottom left": "bottom left|lower left|bottom left corner|in the bottom left corner|in the lower left",
        "bottom right": "bottom right|lower right|bottom right corner|in the bottom right corner|in the lower right",
        "middle": "middle|in middle|in the middle|in the middle of the picture|in the centre|in the center",
    },
    "order": {
        "left": "leftmost|far left|furthest left|farthest left|farthest to the left",
        "right": "rightmost|far right|furthest right|farthest right|farthest to the right",
        "top": "highest|highest up|topmost|uppermost|nearest the top",
        "bottom": "lowest|lowest down|bottommost|lowermost|nearest the bottom",
    },
    "ordinal": {"0": "first|1st", "1": "second|2nd", "2": "third|3rd", "3": "fourth|4th"},
    "from": {
        "left": "from left|from the left",
        "right": "from right|from the right",
        "top": "from top|from the top",
        "bottom": "from bottom|from the bottom",
    },
    "relation": {
        "left": "left of|to the left of|on the left of",
        "right": "right of|to the right of|on the right of",
        "above": "above|higher than",
        "below": "below|beneath|lower than",
        "near": "near|beside|by|next to|close to",
        "behind": "behind|in back of",
        "front": "in front of",
    },
    "closest": {"": "closest to|nearest|nearest to"},
}
PHRASES: dict[tuple[str, ...], tuple[str, str]] = {
    tuple(phrase.split()): (sort, meaning)
    for sort, meanings in DICTIONARY.items()
    for meaning, phrases in meanings.items()
    for phrase in phrases.split("|")
}
LONGEST = max(map(len, PHRASES))

ALL_KINDS = frozenset(DICTIONARY["kind"])
# group -> what it surely means, and what somebody might mean by it
GROUP_KINDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "animal": (frozenset({"fish", "bird"}), frozenset({"fish", "bird", "person"})),
    "vehicle": (frozenset({"car", "boat"}), frozenset({"car", "boat"})),
    "plant": (frozenset({"tree", "flower"}), frozenset({"tree", "flower", "mushroom"})),
    "thing": (ALL_KINDS - {"person"}, ALL_KINDS),
    "one": (ALL_KINDS, ALL_KINDS),
}
REAL_GROUPS = frozenset({"animal", "vehicle", "plant"})  # the others say nothing of what a thing is

PART_OF = {
    "trousers": "trousers",
    "pants": "trousers",
    "roof": "roof",
    "sail": "sail",
    "tail": "tail",
    "wing": "wing",
    "wings": "wing",
    "band": "band",
    "core": "centre",
    "centre": "centre",
    "center": "centre",
    "stem": "stem",
    "stalk": "stem",
    "base": "base",
    "foot": "base",
}
MARKS = {"stripes": "striped", "dots": "dotted", "spots": "dotted"}
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
NOT_WORDS = frozenset({"not", "isn't", "that's"})
_FILLERS = "which that who is are stands standing sits sitting located placed can be seen and"
FILLERS = frozenset(_FILLERS.split())
# Words that the grammar itself knows.
_GRAMMAR = (
    "a an the of between neither nor in wearing dressed with without has have doesn't no whose other there it shirt "
    "from"
)
GRAMMAR = frozenset(_GRAMMAR.split())

RIGHT_WORDS = {
    wrong: right
    for right, slips in {
        "ball": "bal",
        "behind": "behnd",
        "bird": "brid",
        "black": "balck",
        "boat": "baot",
        "bottom": "botom",
        "brown": "bron",
        "dotted": "doted",
        "flower": "flwer",
        "green": "gren",
        "heart": "haert",
        "house": "hosue houes",
        "isn't": "isnt",
        "large": "lareg",
        "left": "lef",
        "middle": "midle",
        "mushroom": "mushrom",
        "orange": "ornage",
        "person": "peson perosn",
        "purple": "purpel",
        "right": "rigth rihgt",
        "second": "secnd",
        "small": "smal",
        "star": "satr",
        "striped": "stripped",
        "that's": "thats",
        "the": "teh",
        "third": "thrid",
        "tree": "tre",
        "trousers": "trowsers",
        "white": "whte",
        "with": "wiht",
        "yellow": "yelow yellwo",
    }.items()
    for wrong in slips.split()
}


def known_words() -> set[str]:
    """Every word that the evaluator reads."""
    spoken = {word for phrase in PHRASES for word in phrase}
    return spoken | {*PART_OF, *MARKS, *COUNTS, *NOT_WORDS, *FILLERS, *GRAMMAR, *RIGHT_WORDS}

"""ShapeRef's words: every noun, adjective, phrase and misspelling that an expression can be made of.

The generator takes all its words from these tables, so that the vocabulary is closed and known without sampling.
"""

from __future__ import annotations

import re

from m3att.data.shaperef.world import KINDS

TOKEN = re.compile(r"\w+(?:'\w+)?")

# (singular, plural); the first is what most people say.
NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "person": (("person", "people"), ("guy", "guys"), ("human", "humans"), ("figure", "figures")),
    "car": (("car", "cars"), ("auto", "autos"), ("automobile", "automobiles")),
    "house": (("house", "houses"), ("home", "homes"), ("building", "buildings")),
    "boat": (("boat", "boats"), ("ship", "ships"), ("sailboat", "sailboats")),
    "fish": (("fish", "fish"),),
    "bird": (("bird", "birds"), ("birdie", "birdies")),
    "cup": (("cup", "cups"), ("mug", "mugs")),
    "flower": (("flower", "flowers"), ("blossom", "blossoms")),
    "mushroom": (("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "lamp": (("lamp", "lamps"), ("light", "lights")),
    "tree": (("tree", "trees"),),
    "ball": (("ball", "balls"), ("sphere", "spheres")),
    "star": (("star", "stars"),),
    "box": (("box", "boxes"), ("cube", "cubes"), ("crate", "crates")),
    "heart": (("heart", "hearts"),),
    "ring": (("ring", "rings"), ("hoop", "hoops")),
}

# Words above the kinds: word -> (plural, kinds it surely means, kinds it may mean).
GROUPS: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {
    "animal": ("animals", frozenset({"fish", "bird"}), frozenset({"fish", "bird", "person"})),
    "vehicle": ("vehicles", frozenset({"car", "boat"}), frozenset({"car", "boat"})),
    "plant": ("plants", frozenset({"tree", "flower"}), frozenset({"tree", "flower", "mushroom"})),
}
# Words that any object may go by; a person is no thing, yet a listener would not rule it out.
ANYTHING: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {
    "thing": ("things", frozenset(KINDS) - {"person"}, frozenset(KINDS)),
    "object": ("objects", frozenset(KINDS) - {"person"}, frozenset(KINDS)),
    "one": ("ones", frozenset(KINDS), frozenset(KINDS)),
}

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red",),
    "orange": ("orange",),
    "yellow": ("yellow",),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rose"),
    "brown": ("brown",),
    "black": ("black",),
    "white": ("white",),
    "grey": ("grey", "gray"),
    "cyan": ("cyan", "turquoise"),
}

SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "large": ("big", "large", "huge"),
    "small": ("small", "little", "tiny"),
}
SIZE_COMPARATIVES: dict[str, tuple[str, ...]] = {"large": ("bigger", "larger"), "small": ("smaller",)}
SIZE_SUPERLATIVES: dict[str, tuple[str, ...]] = {"large": ("biggest", "largest"), "small": ("smallest", "tiniest")}

TEXTURE_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("plain",),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted"),
}
TEXTURE_MARKS: dict[str, tuple[str, ...]] = {"striped": ("stripes",), "dotted": ("dots", "spots")}

# "centre" and "middle" are words of place too, which `shaperef+` never uses: there the flower has a core.
PART_WORDS: dict[str, tuple[str, ...]] = {
    "trousers": ("trousers", "pants"),
    "roof": ("roof",),
    "sail": ("sail",),
    "tail": ("tail",),
    "wing": ("wing", "wings"),
    "band": ("band",),
    "centre": ("core", "centre", "center"),
    "stem": ("stem", "stalk"),
    "base": ("base", "foot"),
}
PLURAL_PARTS: frozenset[str] = frozenset({"trousers", "pants", "wings"})

# zone -> (before the noun, after the noun)
PLACE_PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "left": (("left",), ("on the left", "on left", "on the left side", "at the left", "left", "left side")),
    "right": (("right",), ("on the right", "on right", "on the right side", "at the right", "right", "right side")),
    "top": (("top", "upper"), ("at the top", "on top", "at top", "in the upper half", "up top")),
    "bottom": (("bottom", "lower"), ("at the bottom", "on bottom", "at bottom", "in the lower half")),
    "top left": (
        ("top left", "upper left"),
        ("in the top left corner", "top left", "in the upper left", "top left corner"),
    ),
    "top right": (
        ("top right", "upper right"),
        ("in the top right corner", "top right", "in the upper right", "top right corner"),
    ),
    "bottom left": (
        ("bottom left", "lower left"),
        ("in the bottom left corner", "bottom left", "in the lower left", "bottom left corner"),
    ),
    "bottom right": (
        ("bottom right", "lower right"),
        ("in the bottom right corner", "bottom right", "in the lower right", "bottom right corner"),
    ),
    "middle": ((), ("in the middle", "in the centre", "in the center", "in middle", "in the middle of the picture")),
}
# What a person types who leaves out the noun altogether.
PLACE_ALONE: dict[str, str] = {"middle": "middle"}

# direction -> (before the noun, after the noun)
ORDER_PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "left": (("leftmost", "furthest left", "farthest left", "far left"), ("furthest left", "farthest to the left")),
    "right": (
        ("rightmost", "furthest right", "farthest right", "far right"),
        ("furthest right", "farthest to the right"),
    ),
    "top": (("highest", "topmost", "uppermost"), ("highest up", "nearest the top")),
    "bottom": (("lowest", "bottommost", "lowermost"), ("lowest down", "nearest the bottom")),
}
ORDINALS: tuple[tuple[str, ...], ...] = (("first", "1st"), ("second", "2nd"), ("third", "3rd"), ("fourth", "4th"))
NUMBERS: dict[int, str] = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "left": ("left of", "to the left of", "on the left of"),
    "right": ("right of", "to the right of", "on the right of"),
    "above": ("above", "higher than"),
    "below": ("below", "beneath", "lower than"),
    "near": ("next to", "near", "beside", "by", "close to"),
    "behind": ("behind", "in back of"),
    "front": ("in front of",),
}
CLOSEST_PHRASES: tuple[str, ...] = ("closest to", "nearest to", "nearest")

# Words of the sentence frames, beyond the tables above.
FRAME_WORDS = (
    "a an the other of in with without no not isn't is are that that's which who and it has have doesn't whose neither",
    "nor wearing dressed shirt stands standing sits sitting located placed there from between can be seen",
)

# Words that tell where something is: `shaperef+` is free of them all.
PLACE_WORDS: frozenset[str] = frozenset(
    word
    for line in (
        "left right top bottom upper lower middle centre center corner side half up down leftmost rightmost topmost",
        "uppermost highest lowest bottommost lowermost furthest farthest far nearest closest first second third fourth",
        "1st 2nd 3rd 4th from above below beneath higher next near beside by close behind front back between on at to",
        "picture stands standing sits sitting located placed there",
    )
    for word in line.split()
)

MISSPELLINGS: dict[str, tuple[str, ...]] = {
    "tree": ("tre",),
    "house": ("hosue", "houes"),
    "yellow": ("yelow", "yellwo"),
    "purple": ("purpel",),
    "person": ("peson", "perosn"),
    "mushroom": ("mushrom",),
    "flower": ("flwer",),
    "green": ("gren",),
    "orange": ("ornage",),
    "brown": ("bron",),
    "white": ("whte",),
    "black": ("balck",),
    "striped": ("stripped",),
    "dotted": ("doted",),
    "left": ("lef",),
    "right": ("rigth", "rihgt"),
    "bottom": ("botom",),
    "middle": ("midle",),
    "second": ("secnd",),
    "third": ("thrid",),
    "behind": ("behnd",),
    "small": ("smal",),
    "large": ("lareg",),
    "trousers": ("trowsers",),
    "the": ("teh",),
    "with": ("wiht",),
    "isn't": ("isnt",),
    "that's": ("thats",),
    "bird": ("brid",),
    "boat": ("baot",),
    "heart": ("haert",),
    "ball": ("bal",),
    "star": ("satr",),
}


def split_words(text: str) -> list[str]:
    """Words of an expression, lower case, as the tokenizer cuts them.

    Args:
        text: an expression.

    Returns:
        its words without punctuation; a contraction stays one word.
    """
    return TOKEN.findall(text.lower())


def vocabulary() -> tuple[str, ...]:
    """Every word that an expression of any variant can hold.

    Returns:
        lower-case words, sorted, none twice.
    """
    phrases: list[str] = [*FRAME_WORDS, *CLOSEST_PHRASES, *NUMBERS.values(), *PLACE_ALONE.values()]
    for pairs in NOUNS.values():
        phrases += [word for pair in pairs for word in pair]
    for groups in (GROUPS, ANYTHING):
        for word, (plural, _, _) in groups.items():
            phrases += [word, plural]
    for table in (
        COLOUR_WORDS,
        SIZE_WORDS,
        SIZE_COMPARATIVES,
        SIZE_SUPERLATIVES,
        TEXTURE_WORDS,
        TEXTURE_MARKS,
        PART_WORDS,
    ):
        phrases += [word for words in table.values() for word in words]
    for before, after in (*PLACE_PHRASES.values(), *ORDER_PHRASES.values()):
        phrases += [*before, *after]
    phrases += [word for words in ORDINALS for word in words]
    phrases += [phrase for words in RELATION_PHRASES.values() for phrase in words]
    phrases += [word for words in MISSPELLINGS.values() for word in words]
    return tuple(sorted({word for phrase in phrases for word in split_words(phrase)}))

"""How each COCO category looks in a drawn layout: silhouette, colours and inner pattern, unique together.

Categories of one supercategory have neighbouring hues, so that related categories look alike.
"""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Look:
    """How one category is drawn.

    Args:
        silhouette: key of ``silhouette``.
        colour: RGB of the body.
        accent: RGB of the pattern and of parts in the second colour.
        pattern: number of the inner pattern, see ``layout``.
    """

    silhouette: str
    colour: tuple[int, int, int]
    accent: tuple[int, int, int]
    pattern: int


# Supercategory: first hue, last hue (turns of the colour circle), and its categories with their silhouettes.
_FAMILIES: tuple[tuple[float, float, str], ...] = (
    (0.56, 0.66, "bicycle:cycle car:car motorcycle:cycle airplane:plane bus:bus train:train truck:truck boat:boat"),
    (0.00, 0.02, "traffic_light:post fire_hydrant:hydrant stop_sign:sign parking_meter:post bench:bench"),
    (0.06, 0.13, "bird:bird cat:cat dog:dog horse:horse sheep:sheep cow:horse elephant:elephant bear:sheep zebra:horse"
                 " giraffe:giraffe"),
    (0.78, 0.84, "backpack:pack umbrella:umbrella handbag:pack tie:tie suitcase:case"),
    (0.28, 0.40, "frisbee:disc skis:stick snowboard:board sports_ball:disc kite:kite baseball_bat:stick"
                 " baseball_glove:blob skateboard:board surfboard:board tennis_racket:racket"),
    (0.48, 0.53, "bottle:bottle wine_glass:glass cup:cup fork:stick knife:stick spoon:stick bowl:bowl"),
    (0.14, 0.19, "banana:crescent apple:disc sandwich:slab orange:disc broccoli:tree carrot:wedge hot_dog:slab"
                 " pizza:disc donut:disc cake:cake"),
    (0.88, 0.95, "chair:chair couch:couch potted_plant:plant bed:bed dining_table:table toilet:toilet"),
    (0.68, 0.74, "tv:screen laptop:laptop mouse:blob remote:stick keyboard:slab cell_phone:case"),
    (0.42, 0.46, "microwave:screen oven:case toaster:slab sink:bowl refrigerator:fridge"),
    (0.20, 0.26, "book:slab clock:disc vase:bottle scissors:cross teddy_bear:teddy hair_drier:racket toothbrush:stick"),
)  # fmt: skip
_TONES = ((0.85, 0.95), (0.9, 0.6), (0.5, 0.95), (0.55, 0.6), (0.95, 0.8))  # saturation, value
_PATTERNS = 8


@cache
def look_of(category: str) -> Look:
    """The look of a category; unknown names get one of their own, drawn from the name.

    Args:
        category: a COCO category name.
    """
    if category == "person":
        return Look("person", (214, 48, 49), (150, 30, 40), 0)
    wanted = category.replace(" ", "_")
    for first, last, members in _FAMILIES:
        for position, member in enumerate(members.split()):
            name, silhouette_name = member.split(":")
            if name == wanted:
                count = len(members.split())
                hue = first + (last - first) * position / max(1, count - 1)
                return _look(silhouette_name, hue, position % len(_TONES), 1 + position % (_PATTERNS - 1))
    code = zlib.crc32(category.encode())
    return _look("slab", (code % 97) / 97, code // 97 % len(_TONES), code // 997 % _PATTERNS)


def _look(silhouette_name: str, hue: float, tone: int, pattern: int) -> Look:
    saturation, value = _TONES[tone]
    accent_value = 0.3 if value > 0.7 else 1.0
    return Look(
        silhouette_name, _rgb(hue, saturation, value), _rgb(hue + 0.04, saturation * 0.6, accent_value), pattern
    )


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (round(red * 255), round(green * 255), round(blue * 255))

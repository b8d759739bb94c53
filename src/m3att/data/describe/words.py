"""What people call the objects of COCO's categories."""

from __future__ import annotations

SYNONYMS: dict[str, tuple[str, ...]] = {
    "airplane": ("plane", "airplane"),
    "cell phone": ("phone", "cell phone"),
    "couch": ("couch", "sofa"),
    "dining table": ("table",),
    "donut": ("donut", "doughnut"),
    "motorcycle": ("motorcycle", "motorbike"),
    "potted plant": ("plant", "potted plant"),
    "refrigerator": ("fridge", "refrigerator"),
    "remote": ("remote", "remote control"),
    "sports ball": ("ball",),
    "tennis racket": ("racket", "tennis racket"),
    "tv": ("tv", "screen", "television"),
}
"""Words for a category that mean no other one; the category's own name where it is not listed."""

KINDS: dict[str, tuple[str, ...]] = {
    "animal": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    ),
    "vehicle": ("car", "motorcycle", "bus", "train", "truck"),
    "bike": ("bicycle", "motorcycle"),
    "bear": ("bear", "teddy bear"),
    "glass": ("wine glass", "cup"),
}  # fmt: skip
"""Words that mean several categories."""


def meanings(word: str) -> tuple[str, ...]:
    """The categories whose objects a word may mean."""
    if word in KINDS:
        return KINDS[word]
    return tuple(name for name, words in SYNONYMS.items() if word in words) or (word,)


def words_for(category: str) -> tuple[str, ...]:
    """The words that may mean an object of a category, those of its own first."""
    own = SYNONYMS.get(category, (category,))
    wider = tuple(word for word, names in KINDS.items() if category in names and word != category)
    # "bear" for a bear is a wider word, since a teddy bear may be meant too.
    return tuple(word for word in own if word not in KINDS) + tuple(
        dict.fromkeys((*(word for word in own if word in KINDS), *wider))
    )

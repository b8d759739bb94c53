"""Scenes: the same seed gives the same bytes, and what is said of a scene is what was painted."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from m3att.data.shaperef.draw import PALETTE, paint
from m3att.data.shaperef.kinds import BUILDERS, DESIGNS
from m3att.data.shaperef.scene import MIN_VISIBLE_FRACTION, MIN_VISIBLE_PIXELS, Scene, compose, decode_jpeg
from m3att.data.shaperef.world import COLOURS, HELD_OUT, KINDS, PARTS, SIZES, SPLITS, TEXTURES

SCENES = 60


def draw_scene(split: str, number: int, size: int = 160) -> Scene:
    return compose(np.random.default_rng([7, SPLITS.index(split), number]), split, size)


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {split: [draw_scene(split, number) for number in range(SCENES)] for split in SPLITS}


def test_same_seed_gives_same_bytes(scenes: dict[str, list[Scene]]) -> None:
    for split in SPLITS:
        for number in (0, 1, 2):
            again = draw_scene(split, number)
            assert again.jpeg == scenes[split][number].jpeg
            assert again.facts == scenes[split][number].facts
            assert np.array_equal(again.masks_OHW, scenes[split][number].masks_OHW)
    assert len({scene.jpeg for found in scenes.values() for scene in found}) == SCENES * len(SPLITS)


def test_image_is_the_decoded_jpeg(scenes: dict[str, list[Scene]]) -> None:
    for scene in scenes["train"][:5]:
        assert scene.image_HWC.shape == (160, 160, 3)
        assert scene.image_HWC.dtype == np.uint8
        assert np.array_equal(decode_jpeg(scene.jpeg), scene.image_HWC)


def test_facts_agree_with_masks(scenes: dict[str, list[Scene]]) -> None:
    for scene in (scene for found in scenes.values() for scene in found):
        assert scene.masks_OHW.shape == (len(scene.facts.objects), scene.facts.height, scene.facts.width)
        assert scene.masks_OHW.sum(axis=0).max() <= 1, "visible parts overlap"
        for depth, (thing, mask_HW) in enumerate(zip(scene.facts.objects, scene.masks_OHW, strict=True)):
            rows, columns = np.nonzero(mask_HW)
            assert thing.depth == depth
            assert thing.visible_area == len(rows)
            assert thing.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert thing.visible_area <= thing.full_area
            assert thing.visible_area >= MIN_VISIBLE_FRACTION * thing.full_area
            assert thing.visible_area >= MIN_VISIBLE_PIXELS
            assert 0 < thing.centre[0] < scene.facts.width
            assert 0 < thing.centre[1] < scene.facts.height


def test_the_foremost_object_is_whole_and_what_is_hidden_is_hidden_by_a_nearer_one(
    scenes: dict[str, list[Scene]],
) -> None:
    hidden = 0
    for scene in (scene for found in scenes.values() for scene in found):
        things = scene.facts.objects
        assert things[-1].visible_area == things[-1].full_area
        for depth, thing in enumerate(things):
            if thing.visible_area < thing.full_area:
                hidden += 1
                x, y = thing.centre
                reach = math.sqrt(thing.full_area) * 1.6
                nearer = things[depth + 1 :]
                assert any(
                    other.box[0] < x + reach and other.box[2] > x - reach
                    and other.box[1] < y + reach and other.box[3] > y - reach
                    for other in nearer
                )  # fmt: skip
    assert hidden > SCENES, "scenes without overlaps teach nothing about them"


def test_attributes_are_legal(scenes: dict[str, list[Scene]]) -> None:
    for thing in (thing for found in scenes.values() for scene in found for thing in scene.facts.objects):
        assert thing.kind in KINDS
        assert thing.colour in COLOURS
        assert thing.size in SIZES
        assert thing.texture in TEXTURES
        assert (thing.part_colour is None) == (PARTS[thing.kind] is None)
        assert thing.part_colour is None or (thing.part_colour in COLOURS and thing.part_colour != thing.colour)


def test_held_out_combinations_are_new_in_testb(scenes: dict[str, list[Scene]]) -> None:
    for split, found in scenes.items():
        for scene in found:
            combinations = {(thing.kind, thing.colour) for thing in scene.facts.objects}
            assert bool(combinations & HELD_OUT) == (split == "testB")


def test_counts_and_crowds(scenes: dict[str, list[Scene]]) -> None:
    for split, found in scenes.items():
        crowds = 0
        for scene in found:
            count = len(scene.facts.objects)
            most = Counter(thing.kind for thing in scene.facts.objects).most_common(1)[0][1]
            crowds += most >= 3
            assert (7 if split == "testA" else 3) <= count <= 9
            assert most >= 3 or split != "testA"
        assert crowds >= 0.1 * SCENES


def test_everything_occurs(scenes: dict[str, list[Scene]]) -> None:
    things = [thing for found in scenes.values() for scene in found for thing in scene.facts.objects]
    for name, options in (("kind", KINDS), ("colour", COLOURS), ("size", SIZES), ("texture", TEXTURES)):
        assert {getattr(thing, name) for thing in things} == set(options)


def test_sizes_are_clear_steps(scenes: dict[str, list[Scene]]) -> None:
    for scene in (scene for found in scenes.values() for scene in found):
        sides = {size: [math.sqrt(t.full_area) for t in scene.facts.objects if t.size == size] for size in SIZES}
        for smaller, larger in (("small", "medium"), ("medium", "large")):
            if sides[smaller] and sides[larger]:
                assert 1.2 * max(sides[smaller]) < min(sides[larger])


def test_main_and_part_look_like_their_colours() -> None:
    """In what is painted of a colour, most pixels are nearest to that colour's place in the palette."""
    rng = np.random.default_rng(3)
    palette_C3 = np.array([PALETTE[colour] for colour in COLOURS])
    for kind in KINDS:
        for number, colour in enumerate(COLOURS):
            part_colour = COLOURS[(number + 5) % len(COLOURS)] if PARTS[kind] else None
            sprite = paint(rng, kind, colour, part_colour, "large", "plain", 160)
            solid_HW = sprite.coverage_HW - sprite.rim_HW.astype(int) == 255
            for tone, wanted in ((1, colour), (2, part_colour)):
                if wanted is None:
                    continue
                pixels_P3 = sprite.paint_HW3[(sprite.tones_HW() == tone) & solid_HW].astype(float)
                assert len(pixels_P3) >= 0.05 * sprite.area, f"{kind}: too little of its {wanted} shows"
                median_3 = np.median(pixels_P3, axis=0)
                nearest = COLOURS[int(np.linalg.norm(palette_C3 - median_3, axis=1).argmin())]
                assert nearest == wanted, f"a {colour} {kind} with {part_colour}"


def test_parts_of_the_smallest_objects_can_be_seen() -> None:
    rng = np.random.default_rng(4)
    for kind in (kind for kind in KINDS if PARTS[kind]):
        for _ in range(4 * DESIGNS):
            sprite = paint(rng, kind, "red", "blue", "small", "plain", 160)
            assert np.count_nonzero(sprite.tones_HW() == 2) >= 18, kind


def test_every_kind_has_its_designs() -> None:
    assert set(BUILDERS) == set(KINDS)
    for kind, build in BUILDERS.items():
        designs = [build(number) for number in range(DESIGNS)]
        assert designs[0] != designs[1] != designs[2], kind
        for shapes in designs:
            assert "main" in {name for _, name in shapes}
            assert ("part" in {name for _, name in shapes}) == (PARTS[kind] is not None)


@pytest.mark.parametrize("size", [96, 320])
def test_other_sizes(size: int) -> None:
    for number in range(3):
        scene = draw_scene("train", number, size)
        assert scene.image_HWC.shape == (size, size, 3)
        least = MIN_VISIBLE_PIXELS * (size / 160) ** 2
        assert all(thing.visible_area >= least for thing in scene.facts.objects)

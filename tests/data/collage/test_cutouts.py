"""What is cut out of photos, and what is left of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3att.data.collage.colours import COLOURS, PARTS
from m3att.data.collage.cutouts import CutoutLibrary, open_cutouts
from m3att.errors import DataError, ImageError

from .conftest import GROUND


def changed(path: Path, change: Any) -> Path:
    """The file with its content changed by a function."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_each_object_is_cut_out_with_its_own_pixels(library: CutoutLibrary) -> None:
    assert len(library) == 8
    assert {name: len(found.rows) for name, found in library.of_category.items()} == {"person": 4, "car": 2, "dog": 2}
    rgba_HW4 = library.cutout(0)
    assert rgba_HW4.shape == (82, 32, 4)
    assert (rgba_HW4[[0, -1], :, 3] == 0).all() and (rgba_HW4[:, [0, -1], 3] == 0).all()
    assert (rgba_HW4[2:-2, 2:-2, 3] == 255).all()
    # No rim of the ground shows where the edge fades: the object's own colours go on to the margin.
    assert not (np.abs(rgba_HW4[:, :, :3].astype(int) - GROUND).sum(axis=2) < 30).any()


def test_colours_are_measured_by_part(library: CutoutLibrary) -> None:
    colours = library.of_category["person"].colours[0]
    assert colours[PARTS.index("upper"), COLOURS.index("red")] > 0.9
    assert colours[PARTS.index("lower"), COLOURS.index("blue")] > 0.9


def test_backgrounds_are_free_of_objects(library: CutoutLibrary) -> None:
    assert library.backgrounds == 4
    for number in range(4):
        photo_HWC = library.background(number)
        assert photo_HWC.shape == (216, 288, 3)
        assert np.abs(photo_HWC.astype(int) - GROUND).max() < 40


def test_an_object_at_the_edge_is_known_to_be_cut_off_and_ends_sharply(cutout_file: Path) -> None:
    def move(content: dict[str, Any]) -> None:
        content["annotations"][0]["segmentation"] = [[0, 60, 30, 60, 30, 120, 0, 120]]

    library = open_cutouts([changed(cutout_file, move)])
    assert library.of_category["person"].cut_off[0].tolist() == [True, False, False, True]
    alpha_HW = library.cutout(0)[:, :, 3]
    assert (alpha_HW[-1, 2:-2] == 255).all() and (alpha_HW[0] == 0).all() and (alpha_HW[:, -1] == 0).all()


def test_an_object_in_pieces_is_known_as_such(cutout_file: Path) -> None:
    def split(content: dict[str, Any]) -> None:
        content["annotations"][0]["segmentation"] = [
            [20, 10, 50, 10, 50, 40, 20, 40], [20, 60, 50, 60, 50, 90, 20, 90],
        ]  # fmt: skip

    wholeness = open_cutouts([changed(cutout_file, split)]).of_category["person"].wholeness
    assert wholeness[0] == pytest.approx(0.5, abs=0.05)
    assert wholeness[1:].tolist() == [1, 1, 1]


def test_crowds_and_specks_are_passed_over(cutout_file: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0]["iscrowd"] = 1
        content["annotations"][1]["segmentation"] = [[20, 10, 26, 10, 26, 16, 20, 16]]

    assert len(open_cutouts([changed(cutout_file, change)]).of_category["person"].rows) == 2


def test_photos_whose_objects_are_not_all_outlined_are_no_backgrounds(cutout_file: Path) -> None:
    with pytest.raises(DataError, match="a background needs free room"):
        open_cutouts([changed(cutout_file, lambda content: content.update(m3att={"every_object": False}))])


def test_several_files_are_one_library(cutout_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "cutouts" / "more.json"
    other.write_text(cutout_file.read_text())
    assert len(open_cutouts([cutout_file, other])) == 16


def test_a_library_travels_to_other_processes(library: CutoutLibrary) -> None:
    copy = pickle.loads(pickle.dumps(library))
    assert np.array_equal(copy.cutout(3), library.cutout(3))


def spoil_image(content: dict[str, Any]) -> None:
    content["images"][0]["file_name"] = "missing.png"


def spoil_category(content: dict[str, Any]) -> None:
    content["annotations"][0]["category_id"] = 77


def spoil_mask(content: dict[str, Any]) -> None:
    content["annotations"][0]["segmentation"] = [[1, 2]]


def no_objects(content: dict[str, Any]) -> None:
    content["annotations"] = []


def no_list(content: dict[str, Any]) -> None:
    del content["annotations"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (spoil_image, ImageError, "missing.png"),
        (spoil_category, DataError, "no known category"),
        (spoil_mask, DataError, "annotation 0 of image 1"),
        (no_objects, DataError, "no object that could be cut out"),
        (no_list, DataError, "not a COCO file"),
    ],
)
def test_faulty_files_are_named(cutout_file: Path, change: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_cutouts([changed(cutout_file, change)])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: cannot be read"):
        open_cutouts([tmp_path / "gone.json"])

"""RefCOCO's family as collages: a source like the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3att.config import DataConfig
from m3att.data.collage.painter import open_collages
from m3att.data.collage.source import CollageSource
from m3att.data.open import open_source
from m3att.errors import ConfigError, DataError


def open_tiny(root: Path, cutouts: Path, split: str = "train", side: int = 160, seed: int = 0) -> CollageSource:
    return CollageSource(root, "refcoco", "unc", split, open_collages([str(cutouts)], side, seed))


def test_expressions_are_those_of_the_data_set_and_pictures_of_the_wanted_size(
    write_folder: Any, cutout_file: Path
) -> None:
    source = open_tiny(write_folder(), cutout_file)
    assert (source.pixels, source.world, len(source), source.undrawn) == ("collage", "", 2, 0)
    sample = source.read(0)
    assert sample.expressions == ("left person", "the man", "car on the right", "person beside the car")
    assert sample.image_HWC.shape == (120, 160, 3)  # annotated at 60 x 80
    masks_MHW = sample.masks_MHW
    assert masks_MHW[0, 20:80, 20:60].sum() == masks_MHW[0].sum() > 500
    assert masks_MHW[1, 20:60, 80:140].sum() == masks_MHW[1].sum() > 500


def test_some_expressions_have_the_picture_of_all(write_folder: Any, cutout_file: Path) -> None:
    source = open_tiny(write_folder(), cutout_file)
    whole, some = source.read(0), source.read(0, [2])
    assert np.array_equal(whole.image_HWC, some.image_HWC)
    assert np.array_equal(whole.masks_MHW[1], some.masks_MHW[0])


def test_reading_depends_on_seed_and_epoch_alone(write_folder: Any, cutout_file: Path) -> None:
    root = write_folder()
    source = open_tiny(root, cutout_file)
    first = source.read(0).image_HWC
    source.read(1)
    assert np.array_equal(source.read(0).image_HWC, first)
    assert np.array_equal(open_tiny(root, cutout_file).read(0).image_HWC, first)
    assert np.array_equal(source.at_epoch(0).read(0).image_HWC, first)
    assert not np.array_equal(source.at_epoch(1).read(0).image_HWC, first)
    assert np.array_equal(source.at_epoch(1).read(0).image_HWC, source.at_epoch(1).read(0).image_HWC)
    assert not np.array_equal(open_tiny(root, cutout_file, seed=1).read(0).image_HWC, first)


def test_what_a_reader_does_to_a_picture_stays_with_it(write_folder: Any, cutout_file: Path) -> None:
    source = open_tiny(write_folder(), cutout_file)
    first = source.read(0)
    before = first.image_HWC.copy()
    first.image_HWC[:] = 0
    assert np.array_equal(source.read(0).image_HWC, before)


def test_categories_are_those_of_the_objects_that_are_seen(write_folder: Any, cutout_file: Path) -> None:
    source = open_tiny(write_folder(), cutout_file)
    categories_HW, masks_MHW = source.read_categories(0), source.read(0).masks_MHW
    assert source.category_names == ("person", "car", "dog")
    assert (categories_HW[masks_MHW[0]] == 1).all() and (categories_HW[masks_MHW[1]] == 2).all()
    assert (categories_HW[~masks_MHW.any(axis=0)] == 0).all()  # the crowd is not drawn


def test_the_largest_object_is_the_one_of_which_most_is_seen(write_folder: Any, cutout_file: Path) -> None:
    source = open_tiny(write_folder(), cutout_file)
    masks_MHW = source.read(0).masks_MHW
    assert source.read_largest(0).sum() == masks_MHW.sum(axis=(1, 2)).max()


def test_referents_of_kinds_without_a_cutout_are_counted_and_left_out(
    write_folder: Any, tiny_content: Any, cutout_file: Path
) -> None:
    refs, instances = tiny_content
    instances["categories"][1]["name"] = "unicorn"  # was: car
    source = open_tiny(write_folder((refs, instances)), cutout_file)
    assert source.undrawn == 1
    assert "car on the right" not in list(source.texts())
    instances["categories"] = [{**entry, "name": "unicorn"} for entry in instances["categories"]]
    with pytest.raises(DataError, match="show no category of split 'train'"):
        open_tiny(write_folder((refs, instances)), cutout_file)


def test_settings_open_it(write_folder: Any, cutout_file: Path) -> None:
    data = DataConfig(
        root=str(write_folder()), dataset="refcoco", pixels="collage", cutouts=(str(cutout_file),), collage_side=96
    )
    source = open_source(data, "train")
    assert isinstance(source, CollageSource)
    assert max(source.read(0).image_HWC.shape) == 96
    with pytest.raises(ConfigError, match=r"--data\.cutouts"):
        open_source(DataConfig(root=data.root, dataset="refcoco", pixels="collage"), "train")


def test_a_mixture_takes_its_parts_to_an_epoch(write_folder: Any, cutout_file: Path) -> None:
    data = DataConfig(
        root=str(write_folder()), dataset="refcoco,refcoco", pixels="collage", cutouts=(str(cutout_file),)
    )
    source = open_source(data, "train", training=True)
    assert len(source) == 4
    assert not np.array_equal(source.at_epoch(1).read(0).image_HWC, source.read(0).image_HWC)

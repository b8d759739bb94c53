"""Data sets of the library datasets: saved by it, read back as a source."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.data.own.hub import RowsSource, open_hub
from m3att.errors import ConfigError, DataError, ImageError

from ..own_files import square

datasets = pytest.importorskip("datasets")

HEIGHT, WIDTH = 24, 32


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library writes down stays in the test's folder, and it asks nobody."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.fixture
def rows() -> Any:
    """Three rows on two images; the masks are pictures."""
    mask_HW = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask_HW[3:9, 4:12] = 255
    pictures = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), shade, dtype=np.uint8)) for shade in (10, 10, 200)]
    return datasets.Dataset.from_dict(
        {
            "image": pictures,
            "mask": [Image.fromarray(mask_HW)] * 3,
            "expression": ["a cup", "the cup", "a plate"],
            "image_id": [1, 1, 2],
        },
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "mask": datasets.Image(),
                "expression": datasets.Value("string"),
                "image_id": datasets.Value("int64"),
            }
        ),
    )


def check(root: Path) -> None:
    source = open_hub(root, "train")
    assert list(source.texts()) == ["a cup", "the cup", "a plate"]
    assert len(source) == 2
    first, second = source.read(0), source.read(1)
    assert first.expressions == ("a cup", "the cup") and second.expressions == ("a plate",)
    assert (first.image_HWC == 10).all() and (second.image_HWC == 200).all()
    assert first.masks_MHW.sum(axis=(1, 2)).tolist() == [48] * len(first.masks)
    assert second.masks_MHW[0, 3:9, 4:12].all() and second.masks_MHW.sum() == 48
    copy = pickle.loads(pickle.dumps(source))  # as reading processes get it
    assert np.array_equal(copy.read(1).masks_MHW, second.masks_MHW)


def test_a_folder_of_splits(rows: Any, tmp_path: Path) -> None:
    datasets.DatasetDict({"train": rows, "val": rows.select([2])}).save_to_disk(str(tmp_path / "saved"))
    check(tmp_path / "saved")
    assert list(open_hub(tmp_path / "saved", "val").texts()) == ["a plate"]
    with pytest.raises(DataError, match="has no split 'test', but train, val"):
        open_hub(tmp_path / "saved", "test")


def test_a_folder_of_one_set(rows: Any, tmp_path: Path) -> None:
    rows.save_to_disk(str(tmp_path / "saved"))
    check(tmp_path / "saved")


def test_parquet_files_as_the_hub_has_them(rows: Any, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    rows.to_parquet(str(tmp_path / "files" / "train-00000-of-00001.parquet"))
    check(tmp_path / "files")


def test_outlines_and_several_expressions_in_a_row(rows: Any, tmp_path: Path) -> None:
    outlines = datasets.Dataset.from_dict(
        {
            "image": [row["image"] for row in rows],
            "mask": [[[1.0, 1.0, 9.0, 1.0, 9.0, 9.0, 1.0, 9.0]]] * 3,
            "captions": [["a", "b"], ["c"], ["d"]],
        }
    ).cast_column("image", datasets.Image())
    outlines.save_to_disk(str(tmp_path / "saved"))
    sample = open_source(DataConfig(root=str(tmp_path / "saved"), dataset="hf"), "train").read(0)
    assert sample.expressions == ("a", "b") and sample.masks_MHW.sum() == 64


def test_what_is_not_there_and_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"nothing: no such folder; give one, or the id of a data set on the Hub"):
        open_hub(tmp_path / "nothing", "train")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"nothing: no data set with a split 'train' to be had"):
        open_hub(tmp_path / "nothing", "train")
    offline = datasets.config.HF_HUB_OFFLINE
    monkeypatch.setattr("m3att.download.why_away", lambda *_: "the Hub is far")
    with pytest.raises(DataError, match=r"^nobody/nothing: neither a folder here nor .* \(the Hub is far\)$"):
        open_hub(Path("nobody/nothing"), "train")
    assert offline == datasets.config.HF_HUB_OFFLINE  # as it was
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"needs the library datasets: pip install 'm3att\[datasets\]'"):
        open_hub(tmp_path, "train")


def test_image_root_is_for_rows_that_have_names_of_files(rows: Any, tmp_path: Path) -> None:
    rows.save_to_disk(str(tmp_path / "pictures"))
    with pytest.raises(ConfigError, match="rows hold the pictures themselves; leave out --image-root"):
        open_hub(tmp_path / "pictures", "train", tmp_path)
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, dtype=np.uint8)).save(tmp_path / "photos" / "1.png")
    named = {"file_name": ["somewhere\\1.png"], "caption": ["it"], "segmentation": [[[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]]]}
    datasets.Dataset.from_dict(named).save_to_disk(str(tmp_path / "names"))
    data = DataConfig(str(tmp_path / "names"), "hf", image_root=str(tmp_path / "photos"))
    assert (open_source(data, "train").read(0).image_HWC == 7).all()


def test_rows_of_one_file_are_of_one_image(tmp_path: Path) -> None:
    """Names of files say so where there is no image_id; a file that may be any of two photos is neither."""
    for place, grey in (("left/1.png", 7), ("right/1.png", 90)):
        (tmp_path / place).parent.mkdir()
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), grey, dtype=np.uint8)).save(tmp_path / place)
    names = ["left/1.png", "right/1.png", "left\\1.png", "./left/1.png"]
    named = {"image": names, "expression": list("abcd"), "mask": [square(at) for at in (2, 4, 6, 8)]}
    for rows in (
        datasets.Dataset.from_dict(named),
        [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)],
    ):
        source = RowsSource(rows, "train", image_root=tmp_path)
        assert [source.read(at).expressions for at in range(len(source))] == [("a", "c", "d"), ("b",)]
        assert [int(source.read(at).image_HWC.max()) for at in range(len(source))] == [7, 90]
    (tmp_path / "left/1.png").rename(tmp_path / "1.png")
    with pytest.raises(ImageError, match=r"row 0: .*left/1\.png: no such file"):
        source.read(0)


def test_a_name_beside_the_picture_says_nothing_about_its_image(rows: Any) -> None:
    assert len(
        RowsSource(rows.remove_columns("image_id").add_column("path", ["image.jpg"] * len(rows)), "train")
    ) == len(rows)

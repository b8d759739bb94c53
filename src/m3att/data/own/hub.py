"""Own images as rows: a Hugging Face data set, or any sequence of dicts with an image, expressions and a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.data.annotation import read_segmentation
from m3att.data.images import to_rgb
from m3att.data.masks import Mask, unite
from m3att.data.own.content import text_field, texts_of
from m3att.data.own.jsonl import content_of_lines
from m3att.data.own.source import CustomSource
from m3att.errors import ConfigError, DataError, ImageError

_KEPT = ("image_id", "split", "category")


class Rows(Protocol):
    """What a `datasets.Dataset` and a list of dicts have in common."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...


class RowsSource(CustomSource):
    """Rows as a source: each an image, what is said of an object in it, and the object's mask.

    Rows of one ``image_id`` are one image; without that column each row is an image of its own. Images and masks are
    decoded when they are read, and only the texts are kept.

    Args:
        rows: a loaded `datasets.Dataset`, or any sequence of dicts. ``image`` is a picture (Pillow, or uint8 RGB),
            ``mask`` a picture, an array, polygons or run lengths, the expressions a text or a list of them in one of
            `content.TEXT_FIELDS`; ``split`` and ``category`` may be there.
        split: only rows of this split, where the rows state one.
        name: what messages call the data.

    Raises:
        DataError: where a row lacks what it needs.
    """

    def __init__(self, rows: Rows, split: str, name: str = "rows") -> None:
        self._row_data = rows
        lines: list[dict[str, Any]] = []
        self._first_row: dict[str, int] = {}
        for number, row in enumerate(_without_pictures(rows, name)):
            field = text_field(row)
            texts = None if field is None else texts_of(row[field])
            if field is None or texts is None:
                raise DataError(f"{name}: row {number} has no expression, a text or a list of texts")
            for key in ("split", "category"):
                if not isinstance(row.get(key), str | None):
                    raise DataError(f"{name}: row {number} has {key!r} that is not a text")
            image = str(row["image_id"]) if row.get("image_id") is not None else f"row {number}"
            self._first_row.setdefault(image, number)
            kept = {key: row[key] for key in ("split", "category") if row.get(key)}
            lines.append({"image": image, "mask": {"row": number}, "expressions": texts, **kept})
        if not lines:
            raise DataError(f"{name}: has no row")
        super().__init__(content_of_lines(lines, Path(name), name), split, name)

    @property
    def origin(self) -> str:
        """See Source; the pictures stand in the rows."""
        return self.name

    @property
    def no_targets(self) -> int | None:
        """See Source; masks are decoded when they are read."""
        return None

    def _image(self, index: int) -> NDArray[np.uint8]:
        number = self._first_row[self._files[index]]
        try:
            picture = self._row_data[number].get("image")
            if isinstance(picture, Image.Image):
                return to_rgb(picture)
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise ImageError(f"{self.name}: row {number}: the image cannot be read ({error})") from None
        pixels_HWC = np.asarray(picture)
        if pixels_HWC.ndim != 3 or pixels_HWC.shape[2] != 3 or pixels_HWC.dtype != np.uint8:
            raise ImageError(f"{self.name}: row {number}: 'image' is no picture")
        return pixels_HWC

    def _read_mask(self, mask: Any, height: int, width: int) -> Mask:
        number = int(mask["row"])
        try:
            value = self._row_data[number].get("mask")
            if value is None:
                return unite([], height, width)
            found = read_segmentation(value, height, width, (self.image_root,))
        except (OSError, ValueError, SyntaxError, DataError, ImageError) as error:
            raise DataError(f"{self.name}: row {number}: the mask cannot be read ({error})") from None
        if not found.any():
            raise DataError(f"{self.name}: row {number}: its mask covers no pixel; give none where nothing is named")
        return found


def open_hub(root: Path, split: str, image_root: Path | None = None) -> RowsSource:
    """A data set of the Hub by its id (``owner/name``), or one saved by ``save_to_disk``.

    Args:
        root: the id or the folder.
        split: which rows.
        image_root: no data set of the Hub has one.

    Raises:
        ConfigError: where the library ``datasets`` is not installed, or a folder of photos is named.
        DataError: where there is no such data set or split.
    """
    if image_root is not None:
        raise ConfigError("data.dataset hf brings its pictures along: leave out --image-root")
    try:
        import datasets
    except ImportError:
        raise ConfigError("data.dataset hf needs the library datasets: pip install 'm3att[datasets]'") from None
    try:
        if (root / "dataset_dict.json").is_file():
            rows = datasets.load_from_disk(str(root))[split]
        elif (root / "state.json").is_file():
            rows = datasets.load_from_disk(str(root))
        else:
            rows = datasets.load_dataset(str(root), split=split)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise DataError(
            f"{root}: no data set with a split {split!r} to be had ({str(error).splitlines()[0]})"
        ) from error
    return RowsSource(rows, split, str(root))


def _without_pictures(rows: Rows, name: str) -> Sequence[Mapping[str, Any]]:
    """The rows with their texts alone, so that no picture is decoded for it where that can be helped."""
    columns = getattr(rows, "column_names", None)
    if columns is None:
        return [rows[number] for number in range(len(rows))]
    field = text_field(dict.fromkeys(columns))
    if field is None:
        raise DataError(f"{name}: no column of expressions among {', '.join(columns)}")
    kept = [column for column in columns if column == field or column in _KEPT]
    chosen: Sequence[Mapping[str, Any]] = rows.select_columns(kept)  # type: ignore[attr-defined]
    return chosen

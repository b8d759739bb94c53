"""Own images as rows: a Hugging Face data set, or any sequence of dicts with an image, expressions and a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.data.annotation import as_path, read_segmentation
from m3att.data.boxes import BOX_FIELDS, CORNER_FIELDS, fill_box, stated_box
from m3att.data.fields import (
    IMAGE_FIELDS,
    MASK_FIELDS,
    TEXT_FIELDS,
    field_of,
    names_of_split,
    stated_mask,
    states_nothing,
    why_no_mask,
)
from m3att.data.images import read_image, to_rgb
from m3att.data.masks import Mask, unite
from m3att.data.own.content import without
from m3att.data.own.jsonl import content_of_lines
from m3att.data.own.source import CustomSource
from m3att.data.photos import PhotoFolder, photo_of, shared_ends
from m3att.download import UnreachableError, from_hub, may_be_on_hub
from m3att.errors import ConfigError, DataError, ImageError, SplitError

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
            `fields.TEXT_FIELDS`; ``split`` and ``category`` may be there. In the place of a mask ``bbox`` may stand.
            The other names of `fields` and `boxes` are read too.
        split: only rows of this split, where the rows state one.
        name: what messages call the data.
        stated: the split that all rows are of, where they do not say so themselves.
        image_root: folder that the names of image files start from, where rows have names and no pictures.

    Raises:
        DataError: where a row lacks what it needs.
    """

    def __init__(
        self,
        rows: Rows,
        split: str,
        name: str = "rows",
        stated: str | None = None,
        image_root: Path | None = None,
    ) -> None:
        self._row_data = rows
        lines: list[dict[str, Any]] = []
        paths: list[str] = []
        self._first_row: dict[str, int] = {}
        photos: dict[str, str] = {}
        for number, row in enumerate(_without_pictures(rows, name)):
            path = _path_of(row)
            # Rows of one image share it: what they have to say so is an id, or the name of its file.
            image = f"row {number}" if path is None else photo_of(path)
            image = image if row.get("image_id") is None else str(row["image_id"])
            paths += [] if path is None else [path]
            self._first_row.setdefault(image, number)
            if path is not None or row.get("image_id") is None:  # of a row of train and one of val only that is known
                photos.setdefault(image, f"{split}: {image}" if path is None else photo_of(path))
            kept = {key: value for key, value in row.items() if key in _KEPT or key in TEXT_FIELDS}
            lines.append({**without(kept, "image_id"), "image": image, "mask": {"row": number}})
        if not lines:
            raise DataError(f"{name}: has no row")
        content = content_of_lines(lines, image_root or Path(name), name, [stated] * len(lines), for_writing=False)
        super().__init__(content, split, name)
        self._photos = PhotoFolder(self.image_root, shared=shared_ends(paths))
        self._photo_names = tuple(photos.get(image, image) for image in self._files)

    @property
    def photo_names(self) -> Sequence[str]:
        """See Source: by the names of files where rows have them, whatever ids they state."""
        return self._photo_names

    @property
    def origin(self) -> str:
        """See Source; the pictures stand in the rows."""
        return self.name

    @property
    def no_targets(self) -> int | None:
        """See Source; masks are decoded when they are read."""
        return None

    @property
    def boxed(self) -> int | None:
        """See Source; masks are decoded when they are read."""
        return None

    def missing_images(self) -> list[int]:
        """See CustomSource; the pictures stand in the rows."""
        return []

    def mask_faults(self, index: int) -> list[str]:
        """See CustomSource; pictures and masks are decoded only when they are read."""
        return []

    def _image(self, index: int) -> NDArray[np.uint8]:
        number = self._first_row[self._files[index]]
        try:
            row = self._row_data[number]
            field = field_of(row, IMAGE_FIELDS)
            return _pixels(None if field is None else row[field], self._photos)
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise ImageError(f"{self.name}: row {number}: the image cannot be read ({error})") from None
        except ImageError as error:
            raise ImageError(f"{self.name}: row {number}: {error}") from None

    def _read_mask(self, mask: Any, height: int, width: int) -> tuple[Mask, bool]:
        number = int(mask["row"])
        try:
            row = self._row_data[number]
            if states_nothing(row):
                return unite([], height, width), False
            value = stated_mask(row)
            box = stated_box(row) if value is None else None
            if box is not None:
                return fill_box(box, height, width), True
            if value is None:
                raise DataError(why_no_mask(row))
            found = read_segmentation(value, height, width, (self.image_root,))
        except (OSError, ValueError, SyntaxError, DataError, ImageError) as error:
            raise DataError(f"{self.name}: row {number}: the mask cannot be read ({error})") from None
        if not found.any():
            raise DataError(f"{self.name}: row {number}: its mask covers no pixel; give none where nothing is named")
        return found, False


def _path_of(row: Mapping[str, Any]) -> str | None:
    """The name of a row's image file; None where the picture itself stands there."""
    field = field_of(row, IMAGE_FIELDS)
    return row[field] if field is not None and isinstance(row[field], str) and row[field] else None


def _pixels(picture: Any, photos: PhotoFolder) -> NDArray[np.uint8]:
    """A row's image as RGB, (H, W, 3).

    Raises:
        ImageError: where it is none, or a file that cannot be read.
    """
    if isinstance(picture, Mapping):  # not decoded
        picture = picture.get("bytes") or picture.get("path")
    if isinstance(picture, str):
        return read_image(photos.file(as_path(picture)))
    if isinstance(picture, bytes):
        picture = Image.open(BytesIO(picture))
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    pixels_HWC = np.asarray(picture)
    is_rgb = pixels_HWC.ndim == 3 and pixels_HWC.shape[2] == 3 and pixels_HWC.dtype.kind in "iu" and pixels_HWC.size > 0
    if is_rgb and (pixels_HWC.dtype == np.uint8 or (pixels_HWC.min() >= 0 and pixels_HWC.max() <= 255)):
        return pixels_HWC.astype(np.uint8, copy=False)
    raise ImageError(f"'image' is no picture; {', '.join(IMAGE_FIELDS)} are read")


def open_hub(root: Path, split: str, image_root: Path | None = None) -> RowsSource:
    """A data set of the Hub by its id (``owner/name``), or one saved by ``save_to_disk``.

    Args:
        root: the id or the folder.
        split: which rows.
        image_root: folder of the photos, where the rows have names of files and no pictures.

    Raises:
        ConfigError: where the library ``datasets`` is not installed, or a folder is named for pictures in the rows.
        DataError: where there is no such data set or split.
    """
    try:
        import datasets
    except ImportError:
        raise ConfigError("data.dataset hf needs the library datasets: pip install 'm3att[datasets]'") from None
    try:
        if (root / "dataset_dict.json").is_file():
            saved = datasets.load_from_disk(str(root))
            names = names_of_split(split, saved)
            if not names:
                raise SplitError(f"{root}: has no split {split!r}, but {', '.join(saved)}")
            rows = saved[names[0]]
        elif (root / "state.json").is_file():
            rows = datasets.load_from_disk(str(root))
        else:
            rows = _load(root, split)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{root}: no data set with a split {split!r} to be had ({reason})") from error
    field = field_of(rows[0], IMAGE_FIELDS) if len(rows) and image_root is not None else None
    if field is not None and not isinstance(rows[0][field], str):
        raise ConfigError(f"{root}: its rows hold the pictures themselves; leave out --image-root")
    return RowsSource(rows, split, str(root), None if (root / "state.json").is_file() else split, image_root)


def _load(root: Path, split: str) -> Any:
    """The rows of a split: of a data set of the Hub, or of a folder with files as the Hub has them.

    Raises:
        DataError: where there is neither.
        SplitError: where it has no such split.
    """
    import datasets

    def read(local: bool) -> Any:
        kept = datasets.config.HF_HUB_OFFLINE
        datasets.config.HF_HUB_OFFLINE = kept or local
        try:
            stated = datasets.get_dataset_split_names(str(root))
            names = names_of_split(split, stated)
            if not names:
                raise SplitError(f"{root}: has no split {split!r}, but {', '.join(stated)}")
            return datasets.load_dataset(str(root), split=names[0])
        finally:
            datasets.config.HF_HUB_OFFLINE = kept

    if root.exists():
        return read(local=False)
    if not may_be_on_hub(str(root)):
        raise DataError(f"{root}: no such folder; give one, or the id of a data set on the Hub, such as owner/name")
    try:
        return from_hub(str(root), read, "dataset")
    except UnreachableError as error:
        raise DataError(f"{root}: neither a folder here nor to be had from the Hub ({error})") from error


def _without_pictures(rows: Rows, name: str) -> Sequence[Mapping[str, Any]]:
    """The rows with their texts alone, so that no picture is decoded for it where that can be helped.

    Raises:
        DataError: where no column holds images, expressions or masks.
    """
    columns = getattr(rows, "column_names", None)
    if columns is None:
        return [rows[number] for number in range(len(rows))]
    features = getattr(rows, "features", None) or {}
    filled = [column for column in columns if getattr(features.get(column), "dtype", None) != "null"]
    for what, names in (
        ("images", IMAGE_FIELDS),
        ("expressions", TEXT_FIELDS),
        ("masks or boxes", (*MASK_FIELDS, "no_target", *BOX_FIELDS, *CORNER_FIELDS)),
    ):
        if not any(column in names for column in filled):
            there = ", ".join(map(str, columns))
            raise DataError(f"{name}: no column of {what} among {there:.200}; {', '.join(names)} are read")
    image = next(column for column in IMAGE_FIELDS if column in filled)
    named = image if getattr(features.get(image), "dtype", None) == "string" else None
    kept = [column for column in filled if column in TEXT_FIELDS or column in (*_KEPT, named)]
    chosen: Sequence[Mapping[str, Any]] = rows.select_columns(kept)  # type: ignore[attr-defined]
    return chosen

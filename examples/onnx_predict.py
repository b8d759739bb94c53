"""Segments an image with an exported model. Needs onnxruntime, NumPy, Pillow and tokenizers, and nothing of m3att.

    m3att export photo --out exported/photo
    python examples/onnx_predict.py exported/photo photo.jpg "the woman in red" "the dog on the left"

It writes photo_1.png, photo_2.png ... beside the image: 255 where the object is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tokenizers import Tokenizer

Place = tuple[int, int, int, int]


def place(height: int, width: int, size: int, resize: str) -> Place:
    """(top, left, height, width) of the image inside the square input."""
    if resize == "stretch":
        return 0, 0, size, size
    scale = size / max(height, width)
    inner_height, inner_width = (max(1, round(side * scale)) for side in (height, width))
    return (size - inner_height) // 2, (size - inner_width) // 2, inner_height, inner_width


def square_of(image: Image.Image, about: Mapping[str, Any]) -> tuple[NDArray[np.uint8], Place]:
    """The image in the square input, (1, size, size, 3), and its place there."""
    size = about["input_size"]
    top, left, height, width = where = place(image.height, image.width, size, about["resize"])
    # A side that shrinks is averaged, a side that grows is interpolated.
    shrunk = image.resize((min(width, image.width), min(height, image.height)), Image.Resampling.BOX)
    inner = shrunk.resize((width, height), Image.Resampling.BILINEAR)
    square = np.full((1, size, size, 3), about["letterbox_grey"], dtype=np.uint8)
    square[0, top : top + height, left : left + width] = np.asarray(inner)
    return square, where


def words_of(
    expressions: Sequence[str], tokenizer: Tokenizer, about: Mapping[str, Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Ids of the words, and which of them are words and not padding."""
    rows = [found.ids[: about["word_limit"]] for found in tokenizer.encode_batch(expressions, add_special_tokens=False)]
    if not all(rows):
        sys.exit("each expression needs at least one word")
    ids = np.full((len(rows), max(map(len, rows))), about["padding_id"], dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return ids, np.arange(ids.shape[1]) < np.array([[len(row)] for row in rows])


def around_peak(mask: NDArray[np.bool_], logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The connected region of a mask that holds its most probable cell."""
    found: NDArray[np.bool_] = mask & (logits == logits.max())
    while True:
        wide = np.pad(found, 1)
        rows, columns = found.shape
        near = [wide[down : down + rows, right : right + columns] for down in range(3) for right in range(3)]
        grown = np.logical_or.reduce(near) & mask
        if (grown == found).all():
            return found
        found = grown


def mask_of(
    logits: NDArray[np.float32], where: Place, size: tuple[int, int], about: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """The mask at the image's own size, from the logits over the square input."""
    top, left, height, width = where
    if about["region"] == "peak":
        over = logits > np.log(about["threshold"] / (1 - about["threshold"]))
        logits = np.where(over & ~around_peak(over, logits), logits.min(), logits)
    rows, columns = (round(cells * about["mask_stride"]) for cells in logits.shape)
    square = Image.fromarray(logits).resize((columns, rows), Image.Resampling.BILINEAR)
    inner = square.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BILINEAR)
    mask: NDArray[np.bool_] = 1 / (1 + np.exp(-np.asarray(inner))) > about["threshold"]
    return mask


def main(folder: Path, picture: Path, expressions: Sequence[str]) -> None:
    """Segments the picture."""
    about = json.loads((folder / "onnx.json").read_text(encoding="utf-8"))
    encoder, head = (
        onnxruntime.InferenceSession(folder / about[name]) for name in ("image_encoder", "expression_head")
    )
    tokenizer = Tokenizer.from_file(str(folder / about["tokenizer"]))

    image = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
    pixels, where = square_of(image, about)
    names = [output.name for output in encoder.get_outputs()]
    features = dict(zip(names, encoder.run(names, {"pixels": pixels}), strict=True))  # once for all expressions
    ids, mask = words_of(expressions, tokenizer, about)
    (logits,) = head.run(["mask_logits"], {**features, "word_ids": ids, "word_mask": mask})

    for number, (expression, found) in enumerate(zip(expressions, logits, strict=True), start=1):
        inside = mask_of(found, where, image.size, about)
        path = picture.with_name(f"{picture.stem}_{number}.png")
        Image.fromarray(inside.astype(np.uint8) * 255).save(path)
        print(f"{path}: {expression}, {100 * inside.mean():.1f} % of the image")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python onnx_predict.py FOLDER IMAGE EXPRESSION [EXPRESSION ...]")
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

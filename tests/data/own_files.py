"""Own images on disk for the tests: small pictures with a square that is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32


def write_picture(path: Path, colour: int = 100, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """A plain picture; PNG keeps it as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), colour, dtype=np.uint8)).save(path)


def write_mask(path: Path, left: int, size: tuple[int, int] = (HEIGHT, WIDTH), value: int = 255) -> np.ndarray:
    """A mask of 8 x 10 pixels as PNG; returns it."""
    mask_HW = np.zeros(size, dtype=np.uint8)
    mask_HW[4:12, left : left + 10] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask_HW).save(path)
    return mask_HW > 0


def square(left: float, top: float = 4, width: float = 10, height: float = 8) -> list[float]:
    """A polygon."""
    return [left, top, left + width, top, left + width, top + height, left, top + height]


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path

"""Reads image files into pixels, in the same way for training, evaluation and prediction."""

from __future__ import annotations

from m3att.data.images.files import (
    MAX_PIXELS,
    decode_image,
    decode_mask,
    decode_orientation,
    decode_size,
    read_image,
    read_mask,
    read_orientation,
    read_size,
)
from m3att.data.images.members import Member
from m3att.data.images.pixels import SIDEWAYS, to_mask, to_opaque, to_rgb

__all__ = [
    "MAX_PIXELS",
    "SIDEWAYS",
    "Member",
    "decode_image",
    "decode_mask",
    "decode_orientation",
    "decode_size",
    "read_image",
    "read_mask",
    "read_orientation",
    "read_size",
    "to_mask",
    "to_opaque",
    "to_rgb",
]

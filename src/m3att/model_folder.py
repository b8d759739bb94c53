"""Trained models as folders: where they lie, which files they hold, and the names of their weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from m3att.download import UnreachableError, from_hub, is_path, may_be_on_hub
from m3att.errors import ModelError

if TYPE_CHECKING:  # to list models takes no PyTorch
    from torch import Tensor, nn

BUNDLED = Path(__file__).parent / "bundled"
DEFAULT_MODEL = "photo"
BUNDLED_WORD = "bundled"  # names the default model
FORMER = {f"shaperef-tiny-{part}": "shaperef-tiny" for part in ("start", "middle", "late")}
"""Models that earlier versions came with, and what stands for each: it was trained further from them."""
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
ARCHITECTURES = {"vision": "vision.json", "language": "language.json"}
GRAPHS, ENCODER_GRAPH, HEAD_GRAPH = "onnx.json", "image_encoder.onnx", "expression_head.onnx"
"""The ONNX form of a model: what describes it, and its two halves."""
BACKBONE = "vision.backbone."  # what the backbone's weights begin with


def bundled_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    return tuple(sorted(folder.name for folder in BUNDLED.glob("*") if (folder / CONFIG).is_file()))


def has_graphs(model: str | Path) -> bool:
    """Whether a model has an ONNX form; False too for one that has to be found on the Hub first.

    Args:
        model: as `Segmenter.from_pretrained` takes it.
    """
    name = DEFAULT_MODEL if str(model) == BUNDLED_WORD else str(model)
    return any((folder / GRAPHS).is_file() for folder in (BUNDLED / name, Path(name)))


def find_model(name: str) -> Path:
    """The folder of a model by its name; it is downloaded from the Hub if it is neither bundled nor on this machine.

    Raises:
        ModelError: where there is no such model.
    """
    if name == BUNDLED_WORD:
        name = DEFAULT_MODEL
    if name in FORMER and not Path(name).exists():
        print(f"note: {name} is no longer bundled: {FORMER[name]} stands for it", file=sys.stderr)
        name = FORMER[name]
    if name in bundled_models():
        return BUNDLED / name
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(f"{name}: is a file; give the folder that holds {CONFIG}, {WEIGHTS} and {TOKENIZER}")
    if not may_be_on_hub(name):
        names, what = ", ".join(bundled_models()) or "none", "folder" if is_path(name) else "model"
        raise ModelError(f"{name}: no such {what}; bundled are {names}, or give a folder or a Hub id (owner/name)")
    from huggingface_hub import snapshot_download

    wanted = [CONFIG, WEIGHTS, TOKENIZER, *ARCHITECTURES.values(), GRAPHS, ENCODER_GRAPH, HEAD_GRAPH]
    try:
        return Path(
            from_hub(name, lambda local: snapshot_download(name, allow_patterns=wanted, local_files_only=local))
        )
    except UnreachableError as error:
        raise ModelError(f"{name}: neither a folder here nor to be had from the Hub ({error})") from error


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's weights under their present names; the merge of maps was once part of the backbone."""
    return {name.replace("vision.backbone.merge.", "vision.merge."): value for name, value in weights.items()}


def fill_backbone(backbone: nn.Module, name: str) -> None:
    """Fill a backbone with that of a trained model.

    Args:
        backbone: of the same architecture.
        name: of the model, as `find_model` takes it.

    Raises:
        ModelError: where there is no such model, it is broken, or its backbone is another one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = find_model(name) / WEIGHTS
    try:
        weights = current_names(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    found = {key.removeprefix(BACKBONE): value for key, value in weights.items() if key.startswith(BACKBONE)}
    own = backbone.state_dict()
    for key in sorted(own.keys() | found.keys()):
        if key not in own or key not in found or own[key].shape != found[key].shape:
            raise ModelError(f"{name}: its backbone is another one than this run's: {key} does not fit")
    backbone.load_state_dict(found)

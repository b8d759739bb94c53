"""A trained model as a folder: ``config.json``, ``model.safetensors``, ``tokenizer.json``.

A model with transformers encoders also has their architectures, as ``vision.json`` and ``language.json``. So it needs
neither their pretrained files nor a download. Bundled models come with the package. Other models are folders or Hub
ids.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from m3att.calibration import Calibration
from m3att.config import InputConfig, RunConfig
from m3att.data.text import Tokenizer
from m3att.encoders import halves_of
from m3att.errors import ConfigError, ModelError
from m3att.files import replace_file, replace_tensors
from m3att.model.architectures import Architectures, require_transformers
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.model_folder import ARCHITECTURES, CONFIG, TOKENIZER, WEIGHTS, current_names, find_model
from m3att.settings import config_from_dict, config_to_dict

TRAINING_PARTS = ("lfr.", "category_head.")  # parts that a model can be used without


@dataclass(frozen=True)
class Pretrained:
    """A network with everything that is needed to use it as it was trained.

    Args:
        network: in evaluation mode.
        tokenizer: its tokenizer.
        config: settings of the run that trained it; ``input`` and ``evaluate`` are also used in prediction.
        world: one line that says what kind of pictures it knows; empty if it is meant for photos.
        name: the name under which it was loaded.
        folder: folder of its files.
        calibration: of its scores; None where nobody fitted one.
    """

    network: M3AttNet
    tokenizer: Tokenizer
    config: RunConfig
    world: str
    name: str
    folder: Path
    calibration: Calibration | None = None

    @property
    def inputs(self) -> InputConfig:
        """Size and resize of its square input."""
        return self.config.input

    @property
    def threshold(self) -> float:
        """Probability over which a pixel belongs to a mask; it was scored with it."""
        return self.config.evaluate.threshold

    @property
    def region(self) -> str:
        """What of the pixels over the threshold is the mask; see `EvaluateConfig.region`."""
        return self.config.evaluate.region

    def weights_sha256(self) -> str:
        """SHA-256 of the file of weights in hexadecimal digits, with which a report identifies the weights."""
        digest = hashlib.sha256()
        with (self.folder / WEIGHTS).open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
        return digest.hexdigest()


def save_model(
    folder: Path,
    network: M3AttNet,
    tokenizer: Tokenizer,
    config: RunConfig,
    world: str = "",
    calibration: Calibration | None = None,
) -> None:
    """Write a model folder; each file is replaced as a whole, the weights last.

    Args:
        folder: made where it is missing.
        network: its weights are written as they are.
        tokenizer: its words.
        config: the run that trained it.
        world: see Pretrained.
        calibration: see Pretrained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fitted = {} if calibration is None else {"calibration": calibration.to_dict()}
    text = json.dumps({"m3att": 1, "world": world, **fitted, **config_to_dict(config)}, indent=1)
    replace_file(folder / CONFIG, text.encode())
    replace_file(folder / TOKENIZER, tokenizer.tokenizer.to_str(pretty=True).encode())
    write_architectures(folder, network)
    # The category head belongs to a training's data set, not to the model.
    weights = {name: value for name, value in network.state_dict().items() if not name.startswith("category_head.")}
    replace_tensors(folder / WEIGHTS, weights)


def write_calibration(folder: Path, calibration: Calibration, threshold: float, region: str) -> None:
    """Store the calibration of a model's scores in its ``config.json``, which is replaced as a whole.

    Args:
        folder: of the model.
        calibration: holds for masks of this threshold and region only, so they become the model's own.
        threshold: see EvaluateConfig.
        region: see EvaluateConfig.
    """
    values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    evaluated = {**values["evaluate"], "threshold": threshold, "region": region}
    text = json.dumps({**values, "evaluate": evaluated, "calibration": calibration.to_dict()}, indent=1)
    replace_file(folder / CONFIG, text.encode())


def write_architectures(folder: Path, network: M3AttNet) -> None:
    """Write the architectures of a network's encoders that settings do not describe; files of an older network go."""
    for half, found in (("vision", network.vision.backbone.architecture), ("language", network.language.architecture)):
        path = folder / ARCHITECTURES[half]
        if found is None:
            path.unlink(missing_ok=True)
        else:
            replace_file(path, json.dumps(dict(found), indent=1).encode())


def read_architectures(folder: Path) -> Architectures:
    """What `write_architectures` wrote; nothing where it wrote nothing.

    Raises:
        ModelError: where a file is broken.
    """
    found: dict[str, dict[str, Any]] = {}
    for half, name in ARCHITECTURES.items():
        path = folder / name
        if path.is_file():
            try:
                values = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ModelError(f"{path}: not the architecture of an encoder ({error})") from error
            if not isinstance(values, dict) or not isinstance(values.get("model_type"), str):
                raise ModelError(f"{path}: not the architecture of an encoder")
            found[half] = values
    return Architectures(found.get("vision"), found.get("language"))


def load_model(name: str | Path = "bundled", device: str | torch.device = "cpu") -> Pretrained:
    """Load a model by name.

    Args:
        name: `bundled` for the default one, the name of a bundled model, a folder, or a Hub id (`owner/name`).
        device: where the network goes.

    Raises:
        ModelError: if there is no such model, or its folder is incomplete or not one of m3att.
    """
    folder = find_model(str(name))
    for part in (CONFIG, WEIGHTS, TOKENIZER):
        if not (folder / part).is_file():
            if (folder / "last" / CONFIG).is_file():
                raise ModelError(
                    f"{folder}: is the folder of a run; its models are {folder / 'best'} and {folder / 'last'}"
                )
            raise ModelError(f"{folder}: has no {part}; a model folder holds {CONFIG}, {WEIGHTS} and {TOKENIZER}")
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.pop("m3att", None) != 1:
            raise ModelError(f"{folder / CONFIG}: not the config of an m3att model")
        world = str(values.pop("world", ""))
        fitted = values.pop("calibration", None)
        calibration = None if fitted is None else Calibration.from_dict(fitted)
        config = config_from_dict(values)
    except RecursionError as error:
        raise ModelError(f"{folder / CONFIG}: not the config of an m3att model") from error
    except (ValueError, ConfigError) as error:
        raise ModelError(f"{folder / CONFIG}: {error}") from error
    tokenizer = Tokenizer.from_file(folder / TOKENIZER, config.model.word_limit)
    network = build_saved(folder, config, tokenizer)
    load_weights(network, folder / WEIGHTS)
    return Pretrained(network.to(device).eval(), tokenizer, config, world, str(name), folder, calibration)


def build_saved(folder: Path, config: RunConfig, tokenizer: Tokenizer) -> M3AttNet:
    """The network of a model folder, with fresh weights.

    Args:
        folder: of the model.
        config: that it was trained by.
        tokenizer: its words.

    Raises:
        ConfigError: where the library transformers is needed and not installed.
        ModelError: where an architecture is missing or broken.
    """
    architectures = read_architectures(folder)
    halves = halves_of(config.model)
    for half, found in zip(halves, (architectures.vision, architectures.language), strict=True):
        if half.encoder.kind == "transformers":
            require_transformers()
            if found is None:
                file = ARCHITECTURES[half.name]
                raise ModelError(f"{folder}: has no {file}, the architecture of its {half.name} encoder")
    try:
        return build_network(config.model, config.input.size, tokenizer.size, architectures=architectures)
    except ConfigError as error:
        raise ModelError(f"{folder}: {error}") from error
    except (RuntimeError, MemoryError) as error:  # PyTorch says so where memory does not suffice
        raise ModelError(f"{folder / CONFIG}: such a network cannot be built here ({error})") from error


def load_weights(network: M3AttNet, path: Path) -> None:
    """Fill a network from a safetensors file; LFR's weights may be missing, since only training uses them.

    Raises:
        ModelError: where the file is broken or belongs to another network.
    """
    try:
        weights = current_names(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    if not any(name.startswith("lfr.") for name in weights):
        network.lfr = None
    own = network.state_dict()
    for what, names in (
        ("lacks", own.keys() - weights.keys()),
        ("has the foreign weight", weights.keys() - own.keys()),
        ("has another shape of", {key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape}),
    ):
        if names:
            raise ModelError(f"{path}: {what} {min(names)} ({len(names)} in all); it is of another network")
    spoilt = {
        name
        for name, weight in weights.items()
        if own[name].is_floating_point() and not (weight.is_floating_point() and bool(weight.isfinite().all()))
    }
    if spoilt:
        raise ModelError(f"{path}: {min(spoilt)} holds what is no finite fraction ({len(spoilt)} in all)")
    network.load_state_dict(weights)

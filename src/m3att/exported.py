"""A model as ONNX graphs with what it needs beside them, read without PyTorch.

`m3att export` writes its folder: ``image_encoder.onnx``, ``expression_head.onnx``, ``onnx.json``, ``tokenizer.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from m3att.calibration import Calibration
from m3att.config import InputConfig
from m3att.data.text import Tokenizer
from m3att.errors import ModelError
from m3att.model_folder import CONFIG, ENCODER_GRAPH, GRAPHS, HEAD_GRAPH, TOKENIZER, find_model
from m3att.regions import REGIONS


@dataclass(frozen=True)
class Exported:
    """An exported model without the sessions that run it.

    Args:
        tokenizer: its tokenizer.
        inputs: size and resize of its square input.
        threshold: probability over which a pixel belongs to a mask.
        world: one line that says what kind of pictures it knows; empty if it is meant for photos.
        mask_stride: pixels of the square input between the centres of two neighbouring mask logits.
        name: the name under which it was loaded.
        folder: folder of its files.
        calibration: of its scores; None where nobody fitted one.
        region: what of the pixels over the threshold is the mask; see `EvaluateConfig.region`.
    """

    tokenizer: Tokenizer
    inputs: InputConfig
    threshold: float
    world: str
    mask_stride: float
    name: str
    folder: Path
    calibration: Calibration | None = None
    region: str = "all"

    def weights_sha256(self) -> str:
        """SHA-256 of both graphs in hexadecimal digits, with which a report identifies the model."""
        import hashlib  # loads OpenSSL, which predicting does not need

        digest = hashlib.sha256()
        for path in (self.encoder, self.head):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def encoder(self) -> Path:
        """File of the image encoder."""
        return self.folder / ENCODER_GRAPH

    @property
    def head(self) -> Path:
        """File of the expression head."""
        return self.folder / HEAD_GRAPH


def load_exported(name: str | Path) -> Exported:
    """Read an exported model.

    Args:
        name: as `m3att.model_folder.find_model` takes it.

    Raises:
        ModelError: if there is no such model, or its folder holds no complete export.
    """
    folder = find_model(str(name))
    for part in (GRAPHS, ENCODER_GRAPH, HEAD_GRAPH, TOKENIZER):
        if not (folder / part).is_file():
            raise ModelError(f"{folder}: has no {part}; m3att export writes the ONNX form of a model")
    path = folder / GRAPHS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("m3att_onnx") != 1:
            raise ModelError(f"{path}: does not describe an exported model")
        return described({**values, **said_now(folder)}, name, folder)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: does not describe an exported model ({error!r})") from error


def said_now(folder: Path) -> dict[str, Any]:
    """What the ``config.json`` of a model folder says today, which may be newer than its ONNX form: no weights.

    Args:
        folder: one that `m3att export --in-place` wrote to; any other has no such file.
    """
    path = folder / CONFIG
    if not path.is_file():
        return {}
    values = json.loads(path.read_text(encoding="utf-8"))
    return {
        "threshold": values["evaluate"]["threshold"],
        "region": values["evaluate"].get("region", "all"),
        "world": values.get("world", ""),
        "calibration": values.get("calibration"),
    }


def described(values: Mapping[str, Any], name: str | Path, folder: Path) -> Exported:
    """The model that the values of ``onnx.json`` describe.

    Args:
        values: what the file holds.
        name: of the model.
        folder: of its files.

    Raises:
        ValueError: where a value cannot be; a missing one raises KeyError, one of a wrong kind TypeError.
    """
    resize: Literal["letterbox", "stretch"] = values["resize"]
    if resize not in ("letterbox", "stretch"):
        raise ValueError(f"resize is {resize!r}")
    size, threshold, stride = int(values["input_size"]), float(values["threshold"]), float(values["mask_stride"])
    if size < 1 or stride <= 0 or not 0.0 <= threshold < 1.0:
        raise ValueError(f"input_size {size}, mask_stride {stride} or threshold {threshold}")
    region = values.get("region", "all")  # earlier exports do not say
    if region not in REGIONS:
        raise ValueError(f"region is {region!r}")
    tokenizer = Tokenizer.from_file(folder / TOKENIZER, int(values["word_limit"]))
    inputs = InputConfig(size=size, resize=resize)
    fitted = values.get("calibration")
    calibration = None if fitted is None else Calibration.from_dict(fitted)
    return Exported(tokenizer, inputs, threshold, str(values["world"]), stride, str(name), folder, calibration, region)

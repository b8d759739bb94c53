"""The folder of an exported model: two graphs and all that a program needs beside them, compared with PyTorch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from m3att.backends.onnx import OnnxBackend
from m3att.data.transforms import GREY
from m3att.errors import ConfigError, ModelError
from m3att.export.compare import compare
from m3att.export.graphs import OPSET, write_graphs
from m3att.extras import require
from m3att.files import replace_file, unfinished_folder
from m3att.model_folder import ENCODER_GRAPH, GRAPHS, HEAD_GRAPH, TOKENIZER, WEIGHTS
from m3att.pretrained import Pretrained, load_model

MOST_DIFFERENT = 0.001
"""Largest share of mask pixels in which ONNX Runtime may differ from PyTorch."""


class Written(NamedTuple):
    """What an export wrote.

    Args:
        folder: the folder.
        differ: largest share of mask pixels in which the graphs differed from PyTorch, before they were made small.
        loss: difference of the features in 8 bits, as a share of their size; None where they are float32.
    """

    folder: Path
    differ: float
    loss: float | None


def export_model(name: str | Path, out: Path | None, photos: Sequence[Path] = ()) -> Written:
    """Write the ONNX form of a model.

    Args:
        name: see `m3att.pretrained.load_model`.
        out: the folder, made where it is missing. None: the model's own; the graphs then read the weights there.
        photos: if there are any, the vision half computes with 8 bits, by its ranges on these.

    Raises:
        ConfigError: if an optional library is missing, or the model fuses early.
        ModelError: if there is no such model, or the graphs differ from it.
    """
    require("onnx", "export", "m3att export")
    if photos and out is None:
        raise ConfigError("--int8 makes weights of its own, so it cannot be used with --in-place: give --out")
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a folder as --out")
    pretrained, traced = load_model(name), load_model(name)
    folder = pretrained.folder if out is None else out
    text = json.dumps(describe(pretrained) | {"int8": bool(photos)}, indent=1, ensure_ascii=False)
    loss: float | None = None
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the folder's other files, because graphs that share weights name them by their path from there.
    with unfinished_folder(folder / ".export") as made:
        encoder, head = made / ENCODER_GRAPH, made / HEAD_GRAPH
        write_graphs(traced.network, pretrained.inputs.size, encoder, head, fold=out is not None)
        if out is None:
            from m3att.export.share import share_weights

            shutil.copyfile(folder / WEIGHTS, made / WEIGHTS)
            for path in (encoder, head):
                share_weights(path, folder / WEIGHTS)
        worst = compare(pretrained, OnnxBackend(encoder, head, pretrained.network.mask_stride))
        if worst > MOST_DIFFERENT:
            raise ModelError(f"{name}: its graphs differ from PyTorch in {100 * worst:.2f} % of the pixels of masks")
        if photos:
            from m3att.export.int8 import to_int8

            loss = to_int8(encoder, photos, pretrained.inputs)
        for path in (encoder, head):
            replace_file(folder / path.name, path.read_bytes())
    if out is not None:
        replace_file(folder / TOKENIZER, (pretrained.folder / TOKENIZER).read_bytes())
    replace_file(folder / GRAPHS, text.encode())  # last: a folder with it is complete
    return Written(folder, worst, loss)


def describe(pretrained: Pretrained) -> dict[str, Any]:
    """What a program needs to know beside the graphs, for ``onnx.json``.

    Args:
        pretrained: the model.
    """
    vision, tokenizer = pretrained.network.vision, pretrained.tokenizer
    return {
        "m3att_onnx": 1,
        "opset": OPSET,
        "image_encoder": ENCODER_GRAPH,
        "expression_head": HEAD_GRAPH,
        "tokenizer": TOKENIZER,
        "input_size": pretrained.inputs.size,
        "resize": pretrained.inputs.resize,
        "letterbox_grey": GREY,
        "pixels": "RGB uint8 (images, height, width, 3); the encoder normalises them itself",
        "pixel_mean": [float(value) for value in vision.pixel_mean.flatten()],
        "pixel_std": [float(value) for value in vision.pixel_std.flatten()],
        "mask_stride": pretrained.network.mask_stride,
        "threshold": pretrained.threshold,
        "region": pretrained.region,
        "word_limit": tokenizer.word_limit,
        "padding_id": tokenizer.padding_id,
        "unknown_id": tokenizer.unknown_id,
        "world": pretrained.world,
        "calibration": None if pretrained.calibration is None else pretrained.calibration.to_dict(),
        "weights_sha256": pretrained.weights_sha256(),
    }

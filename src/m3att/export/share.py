"""Graphs that read the weights of a model folder, so that these need not lie there twice."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KINDS = {"F32": np.float32, "F16": np.float16}
"""Numbers of a safetensors file that a graph can read."""
LEAST = 1024  # bytes; naming the place of fewer saves nothing


class Place(NamedTuple):
    """Where the numbers of a tensor lie in a file.

    Args:
        offset: of the first byte.
        length: bytes.
        kind: as safetensors names it.
    """

    offset: int
    length: int
    kind: str


def share_weights(graph: Path, weights: Path) -> int:
    """Replace the weights in a graph by their place in a safetensors file beside it.

    A safetensors file holds plain numbers, as ONNX's external data do. What only the graph has stays in it.

    Args:
        graph: the file; it is written anew.
        weights: the safetensors file.

    Returns:
        Bytes that lie in the weights' file only.
    """
    content = weights.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    places = {name: entry for name, entry in json.loads(content[8 : 8 + length]).items() if name != "__metadata__"}
    found: dict[bytes, Place] = {}
    for entry in places.values():
        first, last = (8 + length + at for at in entry["data_offsets"])
        if entry["dtype"] in KINDS:
            numbers = np.frombuffer(content[first:last], KINDS[entry["dtype"]])
            found.setdefault(numbers.astype(np.float32).tobytes(), Place(first, last - first, entry["dtype"]))
    model = onnx.load(str(graph))
    drop_copies(model)
    casts = []
    shared = 0
    for tensor in model.graph.initializer:
        place = found.get(numpy_helper.to_array(tensor).tobytes())
        if place is None or place.length < LEAST:
            continue
        shared += place.length
        if place.kind == "F16":  # of the same value in float32
            half = f"{tensor.name}.half"
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
            tensor.name, tensor.data_type = half, TensorProto.FLOAT16
        refer(tensor, weights.name, place)
    for number, cast in enumerate(casts):
        model.graph.node.insert(number, cast)
    onnx.save(model, str(graph))
    return shared


def drop_copies(model: onnx.ModelProto) -> None:
    """Let what reads a copy of a weight read the weight; the exporter copies weights that are equal.

    Args:
        model: is changed.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    copies: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in weights:
            copies[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = copies.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def refer(tensor: TensorProto, file: str, place: Place) -> None:
    """Let a tensor lie in another file.

    Args:
        tensor: of ONNX; its own numbers go.
        file: beside the graph.
        place: in that file.
    """
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", place.offset), ("length", place.length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)

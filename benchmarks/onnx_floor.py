"""What the ONNX form of a model computes for an image and some expressions, and the least time that this can take.

    python benchmarks/onnx_floor.py [MODEL] [--expressions N ...] [--multiply-adds G] [--bytes G] [--json FILE]

ONNX Runtime's own profile of one thread names each node with its shapes and its time. A node takes about as long as
its multiply-adds or its bytes at the rates of the machine, whichever is longer; `benchmarks/machine_rates.py` measures
both rates. The floor is the sum over the nodes. Bytes that a cache holds move faster than that.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from m3att.exported import load_exported

RUNS = 12
BYTES = {"uint8": 1, "bool": 1, "int64": 8}  # of a number; all others have 4


class Node(NamedTuple):
    """One operation.

    Args:
        kind: convolution, depthwise convolution, matrix product or other.
        multiply_adds: their number.
        bytes: of all inputs and outputs.
        seconds: median of the runs.
    """

    kind: str
    multiply_adds: int
    bytes: int
    seconds: float


def tensors(shapes: list[dict[str, list[int]]]) -> list[tuple[str, list[int]]]:
    """Type and shape of each tensor that the profile names."""
    return [(kind, shape) for entry in shapes for kind, shape in entry.items()]


def counted(told: Mapping[str, Any], seconds: float) -> Node:
    """A node of the profile.

    Args:
        told: its arguments.
        seconds: that it takes.
    """
    read, written = tensors(told["input_type_shape"]), tensors(told["output_type_shape"])
    moved = sum(BYTES.get(kind, 4) * math.prod(shape) for kind, shape in (*read, *written))
    if told["op_name"].endswith("Conv"):
        kernel = read[1][1]
        kind = "depthwise convolutions" if kernel[1] == 1 else "other convolutions"
        return Node(kind, math.prod(written[0][1]) * math.prod(kernel[1:]), moved, seconds)
    if "MatMul" in told["op_name"]:
        return Node("matrix products", math.prod(written[0][1]) * read[0][1][-1], moved, seconds)
    return Node("everything else", 0, moved, seconds)


def profiled(graph: Path, feed: Mapping[str, Any]) -> tuple[list[Node], list[Any]]:
    """The nodes of a graph, and its outputs.

    Args:
        graph: the file.
        feed: its inputs.
    """
    with TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads, options.enable_mem_reuse = 4, 1, False
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        for _ in range(RUNS):
            outputs = session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    seconds: dict[str, list[float]] = defaultdict(list)
    told: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            seconds[event["name"]].append(event["dur"] / 1e6)
            told[event["name"]] = event["args"]
    return [counted(told[name], statistics.median(ones)) for name, ones in seconds.items()], outputs


def table(nodes: list[Node], rate: float, moved: float) -> dict[str, dict[str, float]]:
    """Sums by kind, and of all.

    Args:
        nodes: of a graph.
        rate: multiply-adds a second.
        moved: bytes a second.
    """
    found: dict[str, dict[str, float]] = {}
    for kind in (*sorted({node.kind for node in nodes}), "all"):
        ones = [node for node in nodes if kind in (node.kind, "all")]
        found[kind] = {
            "nodes": len(ones),
            "multiply_adds": sum(node.multiply_adds for node in ones),
            "bytes": sum(node.bytes for node in ones),
            "seconds": sum(node.seconds for node in ones),
            "floor": sum(max(node.multiply_adds / rate, node.bytes / moved) for node in ones),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="photo")
    parser.add_argument("--expressions", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--multiply-adds", type=float, default=64.8, help="of float32 a second, in G")
    parser.add_argument("--bytes", type=float, default=22.7, help="moved a second, in G")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    exported = load_exported(given.model)
    side, rates = exported.inputs.size, (given.multiply_adds * 1e9, given.bytes * 1e9)
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    nodes, (features, size) = profiled(exported.encoder, {"pixels": pixels})
    found = {"rates": list(rates), "image encoder": table(nodes, *rates)}
    for count in given.expressions:
        words = {"word_ids": np.full((count, 8), 7), "word_mask": np.ones((count, 8), dtype=bool)}
        nodes, _ = profiled(exported.head, {"features": features, "size": size, **words})
        found[f"expression head, {count}"] = table(nodes, *rates)
    for name, kinds in found.items():
        if name == "rates":
            continue
        print(f"{name}\n| part | nodes | G multiply-adds | MB | ms | least ms |\n|---|---|---|---|---|---|")
        for kind, sums in kinds.items():  # type: ignore[attr-defined]
            cells = (sums["bytes"] / 1e6, 1e3 * sums["seconds"], 1e3 * sums["floor"])
            counts = f"| {kind} | {sums['nodes']} | {sums['multiply_adds'] / 1e9:.3f} |"
            print(counts, " | ".join(f"{cell:.1f}" for cell in cells), "|")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

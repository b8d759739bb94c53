"""The network as ONNX Runtime runs it, on the CPU. Loads no PyTorch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.errors import ConfigError, ModelError
from m3att.extras import require


class OnnxBackend:
    """Runs the two graphs of an exported model. See `m3att.backends.Backend`.

    It uses all cores that the process may use. ``OMP_NUM_THREADS`` bounds its threads, as it does those of PyTorch.

    Args:
        encoder: file of the image encoder.
        head: file of the expression head.
        mask_stride: pixels of the square input between the centres of two neighbouring mask logits.

    Raises:
        ConfigError: if ONNX Runtime is not installed.
        ModelError: if a file is no graph that it can run.
    """

    def __init__(self, encoder: Path, head: Path, mask_stride: float) -> None:
        self._stride = mask_stride
        self.encoder, self.head = open_graph(encoder), open_graph(head)
        self.names = [output.name for output in self.encoder.get_outputs()]

    @property
    def mask_stride(self) -> float:
        """See `m3att.backends.Backend`."""
        return self._stride

    def encode(self, squares_BHWC: NDArray[np.uint8]) -> list[dict[str, NDArray[Any]]]:
        """See `m3att.backends.Backend`."""
        made = dict(zip(self.names, self.encoder.run(self.names, {"pixels": squares_BHWC}), strict=True))
        size_2 = made.pop("size")
        # Copies, so that one image does not keep all others in memory.
        return [
            {"size": size_2, **{name: values[at : at + 1].copy() for name, values in made.items()}}
            for at in range(len(squares_BHWC))
        ]

    def segment(
        self, features: dict[str, NDArray[Any]], word_ids_NL: NDArray[np.int64], word_mask_NL: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """See `m3att.backends.Backend`."""
        words = {"word_ids": word_ids_NL, "word_mask": word_mask_NL}
        logits_NHW: NDArray[np.float32] = self.head.run(["mask_logits"], {**features, **words})[0]
        return logits_NHW


def open_graph(path: Path) -> Any:
    """A session of ONNX Runtime.

    Raises:
        ConfigError: if ONNX Runtime is not installed.
        ModelError: if the file is no graph that it can run.
    """
    runtime = require("onnxruntime", "export", "an exported model")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what is wrong becomes our error
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a waiting thread leaves its core
    # To look for arrays that may use each other's memory takes a third of the time to open a graph. Without it, runs
    # are as fast and take no more memory, because an array that is no longer needed is freed in either case.
    options.enable_mem_reuse = False
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() and int(threads) > 0 else usable_cores()
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class of its own for each of its states
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: ONNX Runtime {runtime.__version__} cannot run it ({reason})") from error


def usable_cores() -> int:
    """Cores that this process may use; one that runs two threads counts once. 0 where the system does not tell.

    Left to itself, ONNX Runtime counts the cores of the whole machine. In a virtual machine with two cores it took one.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 0
    cores = set()
    for number in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        cores.add(siblings.read_text(encoding="ascii").strip() if siblings.is_file() else str(number))
    return len(cores)


def check_device(device: str, dtype: str) -> None:
    """Refuse what the graphs cannot do.

    Raises:
        ConfigError: unless the device is the CPU and the sums are float32.
    """
    if device not in ("auto", "cpu"):
        raise ConfigError(f"device {device!r}: the ONNX form runs on the CPU; give cpu, or the backend pytorch")
    if dtype != "float32":
        raise ConfigError(f"dtype {dtype!r}: the ONNX form computes in float32; give the backend pytorch")

"""The device that a network runs on, and the memory that this process has taken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from m3att.errors import ConfigError

if TYPE_CHECKING:
    import torch

_STATUS = Path("/proc/self/status")


def peak_resident() -> int | None:
    """Bytes; None on Windows.

    On Linux ru_maxrss is inherited from the process that started this one. A small child of a large process would look
    large. VmHWM starts with the program.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch on a CPU or PyTorch on a GPU had no memory left. Loads no PyTorch."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: where there is no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # fails on `meta`, which holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # PyTorch without CUDA asserts
        raise ConfigError(f"device {name!r} is not available here: give cpu, cuda or auto") from error
    return device

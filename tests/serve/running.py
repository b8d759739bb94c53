"""A running service, and pictures to send it."""

from __future__ import annotations

import subprocess
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image


class Server(NamedTuple):
    """A running service.

    Args:
        address: with its port.
        process: that listens.
    """

    address: str
    process: subprocess.Popen[str]

    def workers(self) -> list[int]:
        """Numbers of the processes that hold the models."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(number) for file in tasks for number in file.read_text().split()]
        return [number for number in children if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]


def picture_file(height: int = 40, width: int = 60, seed: int = 0, form: str = "PNG") -> bytes:
    """The file of a picture of soft random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(file, format=form)
    return file.getvalue()

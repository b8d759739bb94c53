"""A running service, and pictures to send it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def serving(line: str, log: Path) -> Iterator[Server]:
    """A service while a block runs.

    Args:
        line: what stands after `m3att serve`, without the port.
        log: file for what it writes to its standard error.
    """
    environment = {key: value for key, value in os.environ.items() if key != "M3ATT_TOKEN"}
    command = [sys.executable, "-m", "m3att", "serve", *line.split(), "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said.startswith("http://127.0.0.1:"), log.read_text()
            yield Server(said.split()[0].rstrip("/"), process)
        finally:
            process.terminate()
            process.wait(30)


def picture_file(height: int = 40, width: int = 60, seed: int = 0, form: str = "PNG") -> bytes:
    """The file of a picture of soft random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(file, format=form)
    return file.getvalue()

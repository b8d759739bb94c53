"""Fixtures of the service's tests: one service as a process, for all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Server


@pytest.fixture(scope="session")
def server(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with small limits and two models, as the command line starts it."""
    for library in ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx2"):
        pytest.importorskip(library)
    log = tmp_path_factory.mktemp("serve") / "log"
    line = (
        f"serve --model shaperef-tiny tiny={tiny_model_folder} --port 0 --megabytes 0.3 --megapixels 0.3 "
        "--expressions 5 --queue 12 --seconds 120"
    )
    environment = {key: value for key, value in os.environ.items() if key != "M3ATT_TOKEN"}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "m3att", *line.split()],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith("http://127.0.0.1:"), log.read_text()
    yield Server(said.split()[0].rstrip("/"), process)
    process.terminate()
    process.wait(30)
    process.stdout.close()

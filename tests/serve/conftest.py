"""Fixtures of the service's tests: one service as a process, for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Server, serving


@pytest.fixture(scope="session")
def server(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with small limits and two models, as the command line starts it."""
    for library in ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "httpx2"):
        pytest.importorskip(library)
    line = (
        f"--model shaperef-tiny tiny={tiny_model_folder} --megabytes 0.3 --megapixels 0.3 --expressions 5 --queue 12 "
        "--seconds 120"
    )
    with serving(line, tmp_path_factory.mktemp("serve") / "log") as running:
        yield running

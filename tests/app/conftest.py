"""Fixtures of the command line's tests: a small data set, a small run, and a command line that must be refused."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from m3att.app.cli import main

# A network that trains in a second: what it finds is worth nothing. Pictures for the trackers would take as long again.
SMALL = """
model:
  channels: 16
  vision: {widths: [8, 8, 16], blocks: [0, 0, 0], encoder_layers: 1}
  language: {word_channels: 8}
  decoder: {layers: 1, heads: 2, feedforward: 1}
  mask: {channels: 8, narrowing: 1, upsamplings: 1}
input: {size: 32, resize: stretch}
train: {steps: 4, batch_size: 8, workers: 0, threads: 1, log_every: 1, save_every: 1, validate_every: 4,
        validate_images: 2, tracked_images: 0}
"""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children can be interrupted, even where a shell started the tests in its background and so deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command line that must be refused; returns the one line that says why."""

    def run(*words: str) -> str:
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("m3att: error: ")
        assert err.count("\n") == 1
        return err.removeprefix("m3att: error: ").rstrip("\n")

    return run


@pytest.fixture(scope="session")
def shaperef(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    assert main(["data", "shaperef", "--out", str(root), "--images", "train=4,val=3", "--size", "64"]) == 0
    return root


@pytest.fixture(scope="session")
def small_config(shaperef: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    # From disk: the vocabulary of scenes without end takes seconds to gather.
    path.write_text(f"{SMALL}data: {{root: {shaperef}}}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def small_run(small_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    assert main(["train", "--config", str(small_config), "--out", str(out)]) == 0
    return out

"""The short form of benchmarks/kill_proof.py, and that its comparison sees what differs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture(scope="module")
def proof(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_proof", repository / "benchmarks" / "kill_proof.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and fork are not known there")
def test_a_training_that_is_killed_three_times_ends_as_one_that_was_left_alone(
    repository: Path, tmp_path: Path, proof: ModuleType
) -> None:
    """One kill while it starts, one between two saves, and one in the middle of a save."""
    words = ["benchmarks/kill_proof.py", "--kills", "3", "--steps", "50", "--json", str(tmp_path / "found.json")]
    done = subprocess.run([sys.executable, *words], cwd=repository, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["kills"] == sum(found["found"].values()) == 3
    assert {kill["asked"] for kill in found["record"]} == set(proof.MOMENTS)
    assert found["same_to_the_last_bit"] and len(found["same"]) == 11 and all(found["same"].values())


def test_a_bit_that_differs_is_seen(tmp_path: Path, proof: ModuleType) -> None:
    weight = torch.arange(6.0)
    save_file({"network.a": weight, "optimizer.0.b": weight.clone()}, tmp_path / "one")
    save_file({"network.a": weight, "optimizer.0.b": weight.nextafter(torch.tensor(9.0))}, tmp_path / "other")
    assert proof.same_tensors(tmp_path / "one", tmp_path / "other", "network.")
    assert not proof.same_tensors(tmp_path / "one", tmp_path / "other", "optimizer.")
    assert not proof.same_tensors(tmp_path / "one", tmp_path / "one", "random")  # nothing there is no proof

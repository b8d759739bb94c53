"""Commands that need no network load no PyTorch, which takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from m3att.backends.onnx import open_graph, usable_cores
from m3att.data.shaperef.writer import write_refer

PROBE = """
import sys
from m3att.app.cli import main
code = main(sys.argv[1:])
print(f"ended with {code}, torch loaded: {'torch' in sys.modules}", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cold")
    write_refer(root / "S", "shaperef", {"train": 2, "val": 1, "testA": 1, "testB": 1}, size=64)
    return root


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "models",
        "presets",
        "data check S --dataset shaperef --json report.json",
        "data convert S/shaperef --to jsonl --out lines",
        "data convert S/shaperef --to coco --out coco",
        "data mix S:shaperef --out mixed",
        "train --preset refcoco-swin-b --print-config",
        "train --help",
        "evaluate --help",
    ],
)
def test_no_pytorch_is_loaded(data: Path, line: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *line.split()], capture_output=True, text=True, cwd=data)
    assert done.stderr.splitlines()[-1] == "ended with 0, torch loaded: False", done.stderr


NEEDLESS = (
    "torch", "transformers", "huggingface_hub", "safetensors", "scipy", "pandas", "yaml", "matplotlib", "rapidfuzz",
    "rich.console", "rich.table", "m3att.config.model", "m3att.config.train", "m3att.report", "m3att.engine",
    "m3att.model", "m3att.export", "m3att.presets", "m3att.settings",
)  # fmt: skip
"""Modules that a cold `m3att predict` with ONNX Runtime does without."""
LOADED = """
import os, sys
from m3att.app.cli import main
early = "numpy" in sys.modules
code = main(sys.argv[2:])
found = [name for name in sys.argv[1].split(",") if name in sys.modules]
print(code, early, os.environ["OPENBLAS_THREAD_TIMEOUT"], found, file=sys.stderr)
"""


@pytest.mark.parametrize(("given", "kept"), [(None, "4"), ("20", "20")])
def test_a_cold_predict_loads_what_it_needs(repository: Path, tmp_path: Path, given: str | None, kept: str) -> None:
    line = [
        "predict",
        str(repository / "examples" / "coffee.jpg"),
        "the cup",
        "--backend",
        "onnx",
        "--out",
        str(tmp_path),
    ]
    own = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, ",".join(NEEDLESS), *line],
        env=own | ({} if given is None else {"OPENBLAS_THREAD_TIMEOUT": given}),
        capture_output=True,
        text=True,
    )
    # NumPy is loaded later than the command line sets how long the threads of its OpenBLAS wait.
    assert done.stderr.splitlines()[-1:] == [f"0 False {kept} []"], done.stderr


def test_a_graph_is_opened_without_the_search_for_shared_memory(repository: Path) -> None:
    graph = repository / "src/m3att/bundled/photo/expression_head.onnx"
    options = open_graph(graph).get_session_options()
    assert not options.enable_mem_reuse
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_graph_runs_on_all_cores_that_it_may_use(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = repository / "src/m3att/bundled/photo/expression_head.onnx"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert open_graph(graph).get_session_options().intra_op_num_threads == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert open_graph(graph).get_session_options().intra_op_num_threads == usable_cores()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell")
def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert usable_cores() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {10_000, 10_001})  # of which nothing else is known
    assert usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 0


def cpu_seconds(*arguments: str) -> float:
    """CPU seconds of a Python process: the least of three, since the first may have to compile modules."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        seconds.append(after.children_user - before.children_user + after.children_system - before.children_system)
    return min(seconds)


def test_import_and_help_are_quick() -> None:
    start = cpu_seconds("-c", "pass")
    assert cpu_seconds("-c", "import m3att") - start < 0.1
    assert cpu_seconds("-m", "m3att", "--help") - start < 0.25

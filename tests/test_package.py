"""What `import m3att` does, and above all what it does not do."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import m3att

# Run in a process of its own, because this one has long imported torch.
PROBE = """
import json, logging, os, sys, threading, time, warnings
def state():
    return [
        dict(os.environ), os.getcwd(), list(sys.path), [str(each) for each in warnings.filters],
        len(logging.getLogger().handlers), threading.active_count(), repr(sys.excepthook),
    ]
before = state()
start = time.process_time()
import m3att
seconds = time.process_time() - start
print(json.dumps({
    "seconds": seconds,
    "unchanged": state() == before,
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
    "version": m3att.__version__,
    "after_version": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


@pytest.fixture(scope="module")
def probe() -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()  # importing prints nothing of its own
    return dict(json.loads(line))


def test_import_is_fast(probe: dict[str, object]) -> None:
    assert isinstance(probe["seconds"], float)
    assert probe["seconds"] < 0.5  # of the processor, because other tests may run beside this one


@pytest.mark.parametrize("library", ["torch", "numpy", "cv2", "PIL", "rich", "jsonargparse", "pandas", "supervision"])
def test_import_loads_no_library(probe: dict[str, object], library: str) -> None:
    assert isinstance(probe["after_version"], list)
    assert "m3att" in probe["after_version"]
    assert library not in probe["after_version"]


def test_import_has_no_side_effect(probe: dict[str, object]) -> None:
    assert probe["unchanged"] is True


def test_version_is_that_of_the_installed_package() -> None:
    assert m3att.__version__ == importlib.metadata.version("m3att")


@pytest.mark.parametrize("name", m3att.__all__)
def test_public_names_load_on_first_use(name: str) -> None:
    assert getattr(m3att, name) is not None
    assert name in dir(m3att)


def test_lazy_classes_are_those_of_the_segmenter() -> None:
    import m3att.pipelines
    import m3att.prediction
    import m3att.segmenter

    assert m3att.Segmenter is m3att.segmenter.Segmenter
    assert m3att.Scene is m3att.segmenter.Scene
    assert m3att.Prediction is m3att.prediction.Prediction
    assert m3att.pipeline is m3att.pipelines.pipeline


def test_unknown_attribute_is_named() -> None:
    with pytest.raises(AttributeError, match="Segmentor"):
        _ = m3att.Segmentor


def test_console_command_is_the_module_command() -> None:
    (command,) = importlib.metadata.distribution("m3att").entry_points.select(group="console_scripts", name="m3att")
    assert command.value == "m3att.app.cli:main"
    done = subprocess.run([sys.executable, "-m", "m3att", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("train", "evaluate", "predict"):
        assert name in done.stdout


def array_functions(source: Path) -> Iterator[tuple[str, str]]:
    """Name and docstring of every public function of a file that returns a tensor or an array."""
    body = ast.parse(source.read_text(encoding="utf-8")).body
    for node in [*body, *(inner for outer in body if isinstance(outer, ast.ClassDef) for inner in outer.body)]:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.returns is not None:
            returned = ast.unparse(node.returns)
            if re.search(r"\b(Tensor|NDArray)\b", returned) and not returned.startswith(("dict", "Mapping")):
                yield f"{source.name}: {node.name}", ast.get_docstring(node) or ""


def test_what_returns_an_array_says_its_shape(repository: Path) -> None:
    found = [pair for path in (repository / "src" / "m3att").rglob("*.py") for pair in array_functions(path)]
    assert len(found) > 100
    silent = [name for name, text in found if not re.search(r"\([^)]*\)|scalar|[Ss]ee ", text)]
    assert silent == []

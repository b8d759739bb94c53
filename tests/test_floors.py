"""The floors of docs/architecture.md: who may import whom. The contracts stand in pyproject.toml."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint(repository: Path, source: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts on the package in ``source``, in a process that has imported nothing of it."""
    setup = f"import sys; sys.path.insert(0, {str(source)!r}); "
    return subprocess.run([sys.executable, "-c", setup + LINT], cwd=repository, capture_output=True, text=True)


def test_every_import_goes_down(repository: Path) -> None:
    done = lint(repository, repository / "src")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("engine/__init__.py", "import m3att.app", "Floors"),
        ("report/__init__.py", "import m3att.export", "Floors"),
        ("data/__init__.py", "import m3att.engine", "Floors"),
        ("errors.py", "import m3att.config", "Floors"),
        ("data/__init__.py", "import m3att.model", "Data knows nothing"),
        ("model/__init__.py", "import m3att.data.sample", "The network knows nothing"),
        ("model/__init__.py", "import m3att.config", "Within the network"),
        ("model/__init__.py", "import pathlib", "The network touches no file"),
        ("attic.py", "", "Floors"),
        ("data/transforms.py", "import torch", "Predicting with an exported model"),
        ("backends/onnx.py", "import m3att.pretrained", "Predicting with an exported model"),
    ],
)
def test_a_wrong_import_is_caught(repository: Path, tmp_path: Path, module: str, line: str, contract: str) -> None:
    package = tmp_path / "m3att"
    shutil.copytree(repository / "src" / "m3att", package, ignore=_not_code)
    path = package / module
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    done = lint(repository, tmp_path)
    assert done.returncode != 0
    broken = [row for row in done.stdout.splitlines() if " BROKEN" in row]
    assert any(row.startswith(contract) for row in broken), done.stdout + done.stderr


def module_imports(tree: ast.AST) -> list[int]:
    """Lines that reach for torch.nn, in whichever way it is spelled, except its plain functions."""
    lines = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                reached = [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names):
                reached = [f"{module}.{name.name}" for name in names]
            case ast.Attribute(value=ast.Name(id="torch"), attr="nn"):
                reached = ["torch.nn"]
            case _:
                continue
        in_nn = [f"{name}." for name in reached if f"{name}.".startswith("torch.nn.")]
        if any(not name.startswith("torch.nn.functional.") for name in in_nn):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("import torch.nn", True),
        ("import torch.nn.modules.conv", True),
        ("from torch.nn import Module", True),
        ("from torch import nn", True),
        ("x = torch.nn.ReLU()", True),
        ("import torch.nn.functional as F", False),
        ("from torch.nn.functional import interpolate", False),
        ("from torch import Tensor", False),
    ],
)
def test_every_spelling_of_torch_nn_is_seen(line: str, seen: bool) -> None:
    assert module_imports(ast.parse(f"import torch\n{line}\n")) == ([2] if seen else [])


def test_data_never_sees_a_network_module(repository: Path) -> None:
    files = sorted((repository / "src/m3att/data").rglob("*.py"))
    assert files
    found = {str(path.relative_to(repository)): module_imports(ast.parse(path.read_text("utf-8"))) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}


def _not_code(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".py") and not (Path(folder) / name).is_dir()}


def imports_of(tree: ast.Module, modules: set[str]) -> set[str]:
    """The modules of the package that a file imports when it is loaded."""
    found = set()
    for node in tree.body:  # neither those of functions nor those for types alone
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= names & modules or {node.module} & modules
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names} & modules
    return found


def test_no_modules_import_each_other_in_a_circle(repository: Path) -> None:
    root = repository / "src"
    paths = {".".join(path.relative_to(root).with_suffix("").parts): path for path in (root / "m3att").rglob("*.py")}
    modules = {name.removesuffix(".__init__"): ast.parse(path.read_text("utf-8")) for name, path in paths.items()}
    graph = {name: imports_of(tree, set(modules)) - {name} for name, tree in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)  # a circle raises CycleError
    with pytest.raises(CycleError):
        TopologicalSorter(graph | {"m3att.errors": {"m3att.data.open"}}).prepare()


def test_the_first_level_of_data_can_be_looked_over(repository: Path) -> None:
    files = [path for path in (repository / "src/m3att/data").glob("*.py") if path.name != "__init__.py"]
    assert 10 < len(files) <= 18


MOST_LINES = 350


def test_no_file_is_longer_than_one_reads_at_once(repository: Path) -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in (repository / "src").rglob("*.py")}
    assert len(lengths) > 200
    assert {str(path): length for path, length in lengths.items() if length > MOST_LINES} == {}

"""Every public class and function says what it is, and its arguments and errors where a reader cannot guess them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from m3att import errors

OURS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
FEW = 2  # arguments that a first sentence can explain

Node = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], outer: str = "") -> Iterator[tuple[str, Node]]:
    """Public classes and functions by their dotted names, those in public classes too."""
    for node in body:
        if isinstance(node, Node) and not node.name.startswith("_"):
            yield f"{outer}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


def arguments_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [one.arg for one in node.args.args + node.args.kwonlyargs if one.arg not in ("self", "cls")]


def raised_by(node: Node) -> set[str]:
    """Errors of this project that a function raises itself."""
    calls = [one.exc for one in ast.walk(node) if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)} & OURS


def faults_of(source: str) -> list[str]:
    """What is missing in the docstrings of a file."""
    found = []
    for name, node in public(ast.parse(source).body):
        text = ast.get_docstring(node)
        if not text:
            found.append(f"{name}: no docstring")
        elif isinstance(node, ast.ClassDef) or "See " in text:  # which another docstring says
            continue
        else:
            if len(arguments_of(node)) > FEW and "Args:" not in text:
                found.append(f"{name}: no Args")
            if raised_by(node) and "aises" not in text:
                found.append(f"{name}: no Raises, but {', '.join(sorted(raised_by(node)))}")
    return found


def test_docstrings_have_their_form(repository: Path) -> None:
    files = sorted((repository / "src" / "m3att").rglob("*.py"))
    assert len(files) > 100
    found = [f"{path.name}: {fault}" for path in files for fault in faults_of(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def shrink(a): pass", "shrink: no docstring"),
        ("class Box:\n    '''A box.'''\n    def area(self): pass", "Box.area: no docstring"),
        ("def fit(a, b, c):\n    '''Fits.'''", "fit: no Args"),
        ("def read(a):\n    '''Reads.'''\n    raise DataError(a)", "read: no Raises, but DataError"),
        ("def fit(a, b, c):\n    '''Fits. See Box.'''", None),
        ("def _hidden(a, b, c): pass", None),
    ],
)
def test_a_missing_part_is_found(source: str, fault: str | None) -> None:
    assert faults_of(source) == ([fault] if fault else [])

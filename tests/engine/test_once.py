"""The start of a run and the writing of its files stand in one place each, so a dry run tests what a training does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Who may call what, each caller by its file and function. Beside a run, networks are made of saved models and to be
# timed, and an optimiser is made to count its numbers; none of them is trained. `m3att bench train` times steps of a
# run that starts as a training does, and writes nothing.
CALLERS = {
    "build_network": {"bench/speed.py: Ours.of_preset", "engine/start.py: build", "pretrained.py: build_saved"},
    "build_optimizer": {"engine/costs.py: estimate_memory", "engine/start.py: make_optimizer"},
    "start_process": {
        "bench/training.py: measure_training",
        "engine/dry_run.py: dry_run",
        "engine/rehearsal.py: start_rehearsal",
        "engine/train.py: train",
    },
    "start_run": {
        "bench/training.py: measure_training",
        "engine/dry_run.py: dry_run",
        "engine/rehearsal.py: start_rehearsal",
        "engine/train.py: train",
    },
    "start_optimizer": {
        "bench/training.py: measure_training",
        "engine/dry_run.py: take_step",
        "engine/rehearsal.py: start_rehearsal",
        "engine/train.py: train",
    },
    "recording": {"engine/train.py: train"},
    "Recorder": {"engine/recorder.py: recording"},
    "RunFaults": {
        "bench/training.py: measure_training",
        "bench/training.py: measure_waiting",
        "engine/recorder.py: recording",
        "engine/rehearsal.py: find_rate",
    },
    "WeightAverage": {"engine/recorder.py: recording"},
    "SummaryWriter": {"engine/trackers.py: TensorBoard.__init__"},
    "tracking": {"engine/recorder.py: recording"},
    "save_model": {"engine/recorder.py: Recorder.save_models", "hub.py: save_pretrained"},
    "save_checkpoint": {"engine/recorder.py: Recorder.save_checkpoint", "engine/train.py: train"},
}
# Functions of the engine that write files: the recorder, what it is made of, and the lock of the folder.
WRITERS = {
    "engine/checkpoint.py: duplicate",
    "engine/checkpoint.py: save_checkpoint",
    "engine/faults.py: RunFaults.note",
    "engine/recorder.py: Recorder.log",
    "engine/recorder.py: Recorder.save_models",
    "engine/recorder.py: Recorder.skipped",
    "engine/lines.py: drop_later_lines",
    "engine/recorder.py: begin_folder",
    "engine/run_folder.py: RunFolder._locked",
    "engine/trackers.py: tracking",
}
WRITING = {
    "replace_file",
    "replace_tensors",
    "replacing",
    "save_model",
    "write_architectures",
    "write_bytes",
    "write_text",
}


@pytest.fixture(scope="module")
def sources(repository: Path) -> dict[str, str]:
    """The code of the package, by the names of its files."""
    root = repository / "src" / "m3att"
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in root.rglob("*.py")}


def calls_in(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.Call]]:
    """The calls below a node, each with the function, and its class, in which it stands."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield scope, child
        named = isinstance(child, ast.ClassDef | ast.FunctionDef)
        yield from calls_in(child, f"{scope}.{child.name}".lstrip(".") if named else scope)


def name_of(call: ast.Call) -> str:
    """The last part of what is called."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def writes(call: ast.Call) -> bool:
    """Whether a call writes a file: by its name, or as it opens one in another mode than for reading."""
    modes = [
        value.value
        for value in (*call.args, *(pair.value for pair in call.keywords))
        if isinstance(value, ast.Constant)
    ]
    opened = name_of(call) == "open" and any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes)
    return opened or name_of(call) in WRITING


def found_in(file: str, text: str) -> set[tuple[str, str]]:
    """What of `CALLERS` a file calls, and where; in the engine also where it writes files."""
    found = set()
    for scope, call in calls_in(ast.parse(text)):
        if name_of(call) in CALLERS:
            found.add((name_of(call), f"{file}: {scope}"))
        if file.startswith("engine/") and writes(call):
            found.add(("a file", f"{file}: {scope}"))
    return found


ALLOWED = {(name, caller) for name, callers in CALLERS.items() for caller in callers} | {
    ("a file", writer) for writer in WRITERS
}


def test_a_run_is_started_and_written_in_one_place(sources: dict[str, str]) -> None:
    assert set().union(*(found_in(file, text) for file, text in sources.items())) == ALLOWED


def test_no_import_hides_these_functions_behind_another_name(sources: dict[str, str]) -> None:
    imports = [
        node for text in sources.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
    ]
    names = [name for node in imports for name in node.names if name.name in {*CALLERS, *WRITING}]
    assert len(names) > 10
    assert [name.name for name in names if name.asname not in (None, name.name)] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("engine/train.py", "build_network(config.model, 64, 9)"),
        ("engine/dry_run.py", "optim.build_optimizer(network, config.train, ())"),
        ("app/train.py", "start_run(config, source)"),
        ("engine/dry_run.py", "recording(folder, config, tokenizer, network, optimizer, '', False, {}, print)"),
        ("app/train.py", "SummaryWriter('runs')"),
        ("engine/train.py", "folder.metrics.open('a')"),
        ("engine/overview.py", "open('note.txt', mode='w')"),
        ("engine/train.py", "replace_file(folder.config, b'')"),
    ],
)
def test_a_second_place_is_seen(sources: dict[str, str], file: str, line: str) -> None:
    second = f"{sources[file]}\n\ndef second():\n    {line}\n"
    ((_, caller),) = found_in(file, second) - ALLOWED
    assert caller == f"{file}: second"

"""What all commands share: a parser with errors of one line, tables, progress, JSON files."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from errno import EACCES, EISDIR, ENOTDIR
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, NoReturn
from unicodedata import category

from m3att.errors import ConfigError, M3AttError, StoppedError, WriteError, unknown_option
from m3att.files import is_stream
from m3att.launched import may_speak, process_count, process_rank

OK, TROUBLE, MISUSE, STOPPED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 75, 130, 141


class CommandParser(argparse.ArgumentParser):
    """A parser whose every complaint is a ConfigError of one line."""

    def __init__(self, prog: str, description: str, **options: Any) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Replace argparse's usage text.

        Raises:
            ConfigError: always.
        """
        options = [option for action in self._actions for option in action.option_strings]
        raise ConfigError(unknown_option(message, options, self.prog) or f"{message}; see {self.prog} --help")


JSON_HELP = "; - stands for standard output, and everything else that is printed then goes to standard error"
_asked: list[str] | None = None  # texts for standard output, while a command with `--json -` runs


@contextmanager
def json_alone(words: Sequence[str]) -> Iterator[None]:
    """Where `--json -` asks for it, keep standard output for the JSON: what else is printed goes to standard error.

    Args:
        words: of a command.
    """
    global _asked
    if json_word(words) != "-":
        yield
        return
    texts: list[str] = []
    _asked = texts
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _asked = None
        print("".join(texts[-1:]), end="")  # the last holds the most


def json_word(words: Sequence[str]) -> str | None:
    """The file that `--json` names; None where it names none.

    Args:
        words: of a command.
    """
    options = words[: words.index("--")] if "--" in words else words
    found: str | None = None
    for at, word in enumerate(options, start=1):
        if word == "--json":
            found = options[at] if at < len(options) else None
        elif word.startswith("--json="):
            found = word.partition("=")[2]
    return found


def is_output(path: Path) -> bool:
    """Whether a path of `write_json` stands for standard output."""
    return _asked is not None and str(path) == "-"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file as a whole, and make its folder if it is missing.

    Args:
        path: of the file. Where `is_output` says so, the values are printed when the command ends.
        values: of it.
    """
    from m3att.files import replace_file

    if _asked is not None and is_output(path):
        _asked.append(json.dumps(values, indent=1) + "\n")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(values, indent=1) + "\n").encode())


def probe_file(path: Path, option: str) -> None:
    """Check, before long work, that the file for its result can be written.

    Raises:
        WriteError: names the option that should say another.
    """
    if str(path) == "-" and option != "--json":
        raise WriteError(f"{option} -: only --json can write to standard output; give the name of a file")
    if is_output(path):
        return
    folder = path.parent
    while not (folder.exists() or folder.is_symlink()):
        folder = folder.parent
    if path.is_dir():
        place, fault = path, EISDIR
    elif is_stream(path):  # the folder of a device need not be writable
        if os.access(path, os.W_OK):
            return
        place, fault = path, EACCES
    elif not folder.is_dir():
        place, fault = folder, ENOTDIR
    elif not os.access(folder, os.W_OK | os.X_OK):
        place, fault = folder, EACCES
    else:
        return
    raise WriteError(f"{place}: cannot be written ({os.strerror(fault)}); give another {option}")


def printable(text: str) -> str:
    """A text with visible control characters, so that a terminal does not obey them.

    File names may hold bytes that are no UTF-8; each becomes a question mark.
    """
    shown = (letter if category(letter) != "Cc" else letter.encode("unicode_escape").decode() for letter in text)
    return "".join(shown).encode(errors="replace").decode()


def show(table: Any) -> None:
    """Print a rich table; where the output is no terminal, wide enough that nothing wraps."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=140, color_system=None)
    console.print(table)


def print_columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of words. On a terminal that is too narrow for it, long cells are folded.

    Rich, which folds them, takes as long to load as a network takes to read an image, so it is loaded only then.

    Args:
        heads: of the columns.
        rows: a cell for each column.
    """
    from rich.cells import cell_len  # a Chinese letter takes two places

    table = [[printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    if sys.stdout.isatty() and sum(widths) + 2 * (len(widths) - 1) > get_terminal_size().columns:
        from rich.markup import escape

        from m3att.report.tables import plain_table

        head, *cells = ([escape(cell) for cell in row] for row in table)
        show(plain_table(head, cells))
        return
    for row in table:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is moved by calling (done, total); nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def one_voice() -> Iterator[None]:
    """Of several processes, let the first print, and whichever finds an error first say it.

    Raises:
        SystemExit: in the place of an error that another process says, with its exit code.
    """
    if process_count() == 1:
        yield
        return
    try:
        with ExitStack() as stack:
            if process_rank():
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
            yield
    except BaseException as error:
        silent = isinstance(error, M3AttError | OSError | KeyboardInterrupt) and not may_speak()
        if not silent:
            raise
        raise SystemExit(exit_code(error)) from None


def exit_code(error: BaseException) -> int:
    """The exit code of an error that a command ends with; see `cli.main`."""
    if isinstance(error, StoppedError):
        return STOPPED
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else MISUSE

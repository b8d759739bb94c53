"""The command line: finds the command, and turns every error that a user can cause into one line."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from typing import NamedTuple

from m3att import __version__
from m3att.app.console import INTERRUPTED, MISUSE, OK, PIPE_CLOSED, STOPPED, json_alone, printable
from m3att.errors import ConfigError, M3AttError, StoppedError, clipped, did_you_mean
from m3att.launched import may_speak

# Writing to an open file fails with these, and then the system names no file.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PATIENCE = 10  # seconds in which a command must have ended after SIGTERM


class Command(NamedTuple):
    """One command.

    Args:
        run: takes the words behind the command's name and the name to show in help; returns the exit code.
        summary: one line for the overview.
    """

    run: Callable[[Sequence[str], str], int]
    summary: str


def later(module: str, function: str) -> Callable[[Sequence[str], str], int]:
    """A function of ``m3att.app`` that is imported when it is called: most commands need libraries that others do not.

    Args:
        module: its name below ``m3att.app``.
        function: its name.
    """

    def run(words: Sequence[str], prog: str) -> int:
        code: int = getattr(import_module(f"m3att.app.{module}"), function)(words, prog)
        return code

    return run


def stoppable(run: Callable[[Sequence[str], str], int]) -> Callable[[Sequence[str], str], int]:
    """A command that SIGTERM ends with `StoppedError` from its first moment on, before PyTorch is loaded.

    Args:
        run: the command.
    """

    def listen(words: Sequence[str], prog: str) -> int:
        with import_module("m3att.engine.stopping").Stopping().listening():
            return run(words, prog)

    return listen


COMMANDS: dict[str, Command] = {
    "predict": Command(later("predict", "predict"), "find the objects that expressions name, in one image or many"),
    "export": Command(later("export", "export"), "write a model as ONNX graphs, which run without PyTorch"),
    "serve": Command(later("serve", "serve"), "serve a page and a JSON service that find objects"),
    "models": Command(later("models", "models"), "list the models that come with the package"),
    "data shaperef": Command(later("shaperef", "data_shaperef"), "draw the ShapeRef data set to disk"),
    "data check": Command(later("check", "data_check"), "find faults in a data set on disk"),
    "data convert": Command(
        later("convert", "data_convert"), "convert between the REFER layout, COCO json and JSON Lines"
    ),
    "data describe": Command(
        later("describe", "data_describe"), "write expressions for the outlined objects of a COCO json"
    ),
    "data mix": Command(
        later("mix", "data_mix"), "join data sets into one to train on, without any photo of their test splits"
    ),
    "data shard": Command(later("shard", "data_shard"), "pack a data set into tar shards, for network drives"),
    "train": Command(stoppable(later("train", "train")), "train a network, or continue a run"),
    "finetune": Command(stoppable(later("finetune", "finetune")), "teach a trained model your own photos and words"),
    "search": Command(
        stoppable(later("search", "search")), "look for good settings: train with many, and report the best"
    ),
    "runs": Command(later("runs", "runs"), "list runs and compare them"),
    "presets": Command(later("presets", "presets"), "list the presets for training"),
    "evaluate": Command(later("evaluate", "evaluate"), "score a model, or a simple baseline, on a data set"),
    "report": Command(later("report.command", "report"), "write a page about runs: curves, figures, failures"),
    "report figure": Command(later("report.figure", "figure"), "draw Figure 7, 8, 9 or 10 of the paper for a model"),
    "ablate": Command(
        stoppable(later("ablation.command", "ablate")), "train rows of the paper's ablation tables and write the tables"
    ),
    "bench data": Command(later("bench", "bench_data"), "measure how fast data are opened and read on this machine"),
    "bench train": Command(
        later("bench", "bench_train"), "measure what a training waits for, its overhead and its memory"
    ),
    "bench speed": Command(later("bench", "bench_speed"), "measure how fast models are, beside other networks"),
}

OVERVIEW = """usage: m3att COMMAND [OPTION ...]

Referring image segmentation: finds the object that an expression names in an image.

commands:
{commands}

  m3att COMMAND --help  explains a command and its options
  m3att --version       prints the version
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: the words behind `m3att`; those of this process where None.

    Returns:
        The exit code: 0 done; 1 done in part, or a fault found; 2 an error of one line; 75 a training that SIGTERM
        stopped, and that can go on; 130 interrupted; 141 the reader of our output went away. SIGTERM ends the process
        of any other command, which a shell shows as 143.
    """
    # PyTorch reads it before its first tensor. Linux then hands out memory in large pages. A training step with tensors
    # of hundreds of MiB spends a third of its time on small ones (docs/performance.md).
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # NumPy's OpenBLAS reads it when NumPy is imported. Its threads then sleep while they have no work. Otherwise each
    # of them keeps a core busy for some 30 ms after the import, and after each use.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    for name in ("stdout", "stderr"):  # a shell may have closed them
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as we run
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without Arabic letters still gets its figures
    try:
        with closed_by_sigterm():
            code = dispatch(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
        return code
    except StoppedError as stop:
        say_end(f"m3att: {printable(one_line(stop))}")
        return STOPPED
    except M3AttError as error:
        return complain(one_line(error))
    except BrokenPipeError:
        forget_output()
        return PIPE_CLOSED
    except OSError as error:
        # The user can do something about a forbidden folder or a full disk. Other errors without a file are bugs.
        # If the disk is full during a copy, the system names the file that was read.
        if error.filename is not None and error.errno not in NO_ROOM:
            return complain(f"{error.filename}: {error.strerror}")
        if error.errno not in NO_ROOM:
            raise
        try:
            sys.stdout.flush()
        except OSError:
            forget_output()
        return complain(f"{error.strerror}: make room, or name another place to write to")
    except KeyboardInterrupt as interruption:
        advice = f"; {interruption}" if str(interruption) else ""
        say_end(f"\nm3att: interrupted{advice}")
        return INTERRUPTED
    except SystemExit as ending:  # --help
        return ending.code if isinstance(ending.code, int) else OK


class Terminated(BaseException):
    """SIGTERM has come. It is no Exception, so that nothing on the way takes it for a fault."""


@contextmanager
def closed_by_sigterm() -> Iterator[None]:
    """Let SIGTERM leave the block as Ctrl-C does, and then end by the signal.

    So what a command has opened is closed, and what it has not finished writing is removed. Without this, SIGTERM would
    end the process at once, and processes that it has started would go on. Some commands answer SIGTERM themselves
    (`stoppable`).
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before is not signal.SIG_DFL:
        yield  # Python lets only the main thread take signals
        return
    own = os.getpid()

    def terminate(number: int, _: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
        if os.getpid() != own:  # a copy of this process, such as one that reads data
            signal.raise_signal(signal.SIGTERM)
        if hasattr(signal, "alarm"):
            signal.alarm(PATIENCE)  # a library that is being loaded may drop the exception
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        if signal.getsignal(signal.SIGTERM) is terminate:  # one of several processes may ignore it from now on
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def dispatch(words: Sequence[str]) -> int:
    """Run the command that the first words name.

    Raises:
        ConfigError: where there is no such command.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        lines = [f"  {name:<22}{command.summary}" for name, command in COMMANDS.items()]
        print(OVERVIEW.format(commands="\n".join(lines)), end="", file=sys.stdout if words else sys.stderr)
        return OK if words else MISUSE
    if words[0] == "--version":
        print(f"m3att {__version__}")
        return OK
    for word in words:
        if "\0" in word:  # a shell cannot pass it, but a program that calls `main` can
            raise ConfigError(f"{word!r}: no name and no expression can hold the character NUL")
    for length in (2, 1):  # `report figure` before `report`
        name = " ".join(words[:length])
        if name in COMMANDS:
            with json_alone(words[length:]):
                return COMMANDS[name].run(words[length:], f"m3att {name}")
    group = [name for name in COMMANDS if name.startswith(words[0] + " ")]
    if group:
        raise ConfigError(f"{words[0]}: choose {' or '.join(group)}")
    raise ConfigError(f"no command {words[0]!r}{did_you_mean(words[0], COMMANDS) or '; see m3att --help'}")


def forget_output() -> None:
    """Drop the buffered output that cannot be written; otherwise the interpreter reports it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_end(text: str) -> None:
    """Say that a signal has ended the command; of several processes, one says it."""
    try:
        speaks = may_speak()
    except ConfigError:  # of a launcher's environment that makes no sense
        speaks = True
    if speaks:
        print(text, file=sys.stderr)


def complain(text: str) -> int:
    """Say what went wrong, and return the exit code for it."""
    print(f"m3att: error: {clipped(printable(text))}", file=sys.stderr)
    return MISUSE


def one_line(error: BaseException) -> str:
    """The message of an error in one line; for an error of a reading process, only its own message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if lines[0].startswith("Caught ") and len(lines) > 1:
        return lines[-1].partition(": ")[2]
    return " ".join(line.strip() for line in lines)

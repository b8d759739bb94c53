"""Errors that a user can cause: each message is one line that names the thing and says what to do."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_NEAR = 3  # most words that a message proposes

LONGEST = 480
"""Most characters of a message; what a command prints before it still fits into 500."""


class M3AttError(Exception):
    """Base of every error that the command line shows as one line with exit code 2.

    Args:
        message: what went wrong. A line that is too long loses its middle, because its beginning names the thing
            and its end says what to do.
    """

    def __init__(self, message: str = "") -> None:
        # Line by line: PyTorch raises the error of a reading process again, after the lines of its traceback.
        super().__init__(*([] if not message else ["\n".join(map(clipped, str(message).split("\n")))]))


def clipped(message: str, longest: int = LONGEST) -> str:
    """A message, shortened if it is too long.

    Args:
        message: any text.
        longest: most characters that are kept.

    Returns:
        The message; where it is longer, its beginning and its end with ``...`` between them.
    """
    if len(message) <= longest:
        return message
    tail = longest // 3
    return f"{message[: longest - tail - 5]} ... {message[-tail:]}"


def shown(value: object, longest: int = 60) -> str:
    """A value from a user's file as a message shows it.

    Args:
        value: any value; a text may be megabytes long.
        longest: most characters that are shown.

    Returns:
        Its representation; where it is longer, the beginning of it and ``...``.
    """
    if isinstance(value, str | bytes):
        value = value[: longest + 1]
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def counted(count: int, thing: str) -> str:
    """A number of things as a message shows it: ``1 image``, ``1,200 images``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word.

    Args:
        word: an option, the key of a setting, or a command.
        known: the words that there are.

    Returns:
        The settings of that name, if it lacks only its section; else the most similar known word, if there is one.
    """
    names = dict.fromkeys(known)
    by_end: dict[str, list[str]] = {}
    for name in names:
        by_end.setdefault(name.rpartition(".")[2], []).append(name)
    bare = word.lstrip("-")
    near = by_end.get(bare) or get_close_matches(word, names, n=1, cutoff=0.75)
    if not near:
        near = [name for end in get_close_matches(bare, by_end, n=1, cutoff=0.8) for name in by_end[end]]
    return f", did you mean {' or '.join(near[:_NEAR])}?" if near else ""


def unknown_option(message: str, known: Iterable[str], prog: str) -> str | None:
    """What to say of an option that a command does not have.

    Args:
        message: argparse's complaint.
        known: the options of the command.
        prog: the command.

    Returns:
        None where the complaint is about something else.
    """
    unknown = re.match(r"unrecognized arguments: (--?[^\s=]+)", message)
    if unknown is None:
        return None
    advice = did_you_mean(unknown[1], known) or f"; see {prog} --help"
    return f"unknown option {unknown[1]}{advice}"


class ConfigError(M3AttError):
    """A setting, preset or command-line value that does not fit."""


class DataError(M3AttError):
    """A data set, split or annotation file that cannot be used."""


class SplitError(DataError):
    """A split that a data set does not have."""


class ImageError(M3AttError):
    """An image file that cannot be read as a picture."""


class WriteError(M3AttError):
    """A file or folder that cannot be written."""


class ExpressionError(M3AttError):
    """An expression that is empty or has no known word."""


class ModelError(M3AttError):
    """A model folder or checkpoint that is missing, incomplete or not one of m3att."""


class StoppedError(M3AttError):
    """A training that the system asked to stop, as a computing cluster does that needs the machine for others."""


class LostError(M3AttError):
    """Work that several processes do together, one of which has ended."""


class DivergedError(ModelError):
    """A training whose loss or gradient became infinite or not a number."""

"""Errors that a user can cause: each message is one line that names the thing and says what to do."""

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


class DivergedError(ModelError):
    """A training whose loss or gradient became infinite or not a number."""

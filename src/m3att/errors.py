"""Errors that a user can cause: each message is one line that names the thing and the mend."""


class M3AttError(Exception):
    """Base of every error that the command line shows as one line with exit code 2."""


class ConfigError(M3AttError):
    """A setting, preset or command-line value that does not fit."""


class DataError(M3AttError):
    """A data set, split or annotation file that cannot be used."""


class ImageError(M3AttError):
    """An image file that cannot be read as a picture."""


class WriteError(M3AttError):
    """A file or folder that cannot be written."""


class ExpressionError(M3AttError):
    """An expression that names nothing: empty, or without one known word."""


class ModelError(M3AttError):
    """A model folder or checkpoint that is missing, incomplete or foreign."""


class DivergedError(ModelError):
    """A training whose loss or gradient stopped being a number."""

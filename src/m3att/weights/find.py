"""Finds a public weight file: a path, or one that the Hub has."""

from __future__ import annotations

from pathlib import Path

from m3att.errors import ModelError


def find_file(name: str, hub_file: str) -> Path:
    """The file of a name; it is downloaded from the Hub if it is not on this machine.

    Args:
        name: path of the file, of a folder that holds ``hub_file``, or a Hub id (`owner/name`).
        hub_file: name of the file in a folder or a Hub repository.

    Raises:
        ModelError: where there is none.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / hub_file).is_file():
            raise ModelError(f"{name}: is a folder without {hub_file}; give the weight file itself")
        return path / hub_file
    if path.is_file():
        return path
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(f"{name}: no such file; give the path of a weight file, or a Hub id such as owner/name")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, hub_file))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"{name}: neither a file here nor to be had from the Hub ({reason})") from error

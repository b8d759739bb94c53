"""Finds a public weight file: a path, or one that the Hub has."""

from __future__ import annotations

from pathlib import Path

from m3att.download import UnreachableError, from_hub, may_be_on_hub
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
    if not may_be_on_hub(name):
        raise ModelError(f"{name}: no such file; give the path of a weight file, or a Hub id such as owner/name")
    from huggingface_hub import hf_hub_download

    try:
        return Path(from_hub(name, lambda local: hf_hub_download(name, hub_file, local_files_only=local)))
    except UnreachableError as error:
        raise ModelError(f"{name}: neither a file here nor to be had from the Hub ({error})") from error

"""What the Hugging Face Hub has: which names may be ids of it, and downloads that fail at once where it is away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

FILE_ENDINGS = (
    *(".bin", ".ckpt", ".csv", ".gz", ".h5", ".json", ".jsonl", ".onnx", ".parquet", ".pt", ".pth", ".safetensors"),
    *(".tar", ".tgz", ".txt", ".weights", ".xml", ".yaml", ".yml", ".zip"),
)
"""What names of files end in, and ids of the Hub do not."""


def may_be_on_hub(name: str) -> bool:
    """Whether a name of something that is not on this machine can be an id of the Hub, `owner/name`.

    What looks like a path is none: it begins with a dot, a slash or `~`, ends as a file does, or its first part is a
    folder here.

    Args:
        name: as a user gave it.
    """
    owner, _, rest = name.partition("/")
    if not owner or not rest or "/" in rest or "\\" in name or name.startswith((".", "~")):
        return False
    return not name.lower().endswith(FILE_ENDINGS) and not Path(owner).is_dir()


def is_path(name: str) -> bool:
    """Whether a name has what only paths have; not every path has it.

    Args:
        name: as a user gave it.
    """
    return "/" in name or "\\" in name or name.startswith((".", "~"))


def from_hub(name: str, fetch: Callable[[bool], T], kind: str = "model") -> T:
    """Download something, or take the copy that an earlier download has left if the Hub cannot be reached.

    The library asks again and again for most of a minute where there is no network. So the Hub is first asked once.

    Args:
        name: id on the Hub, `owner/name`.
        fetch: downloads it; its argument says whether only copies on this machine may be used.
        kind: of what the Hub has under this id: `model` or `dataset`.

    Raises:
        UnreachableError: where the Hub has it not, does not answer, or refuses, and there is no copy here.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    away = why_away(name, kind)
    try:
        return fetch(away is not None)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UnreachableError(away or first_line(error)) from error


def why_away(name: str, kind: str) -> str | None:
    """Why the Hub cannot be reached, in a few words; None where it answers, if only to refuse.

    Args:
        name: id that it is asked about.
        kind: of what the id names: `model` or `dataset`.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    limit = constants.HF_HUB_ETAG_TIMEOUT  # seconds; a user's environment may set it
    found: list[str] = []

    def ask() -> None:
        try:
            HfApi().repo_info(name, repo_type=kind, timeout=limit)
        except (HfHubHTTPError, HFValidationError):
            pass  # the download says more
        except OfflineModeIsEnabled:
            found.append("HF_HUB_OFFLINE is set")
        except Exception as error:  # of its HTTP library, which is another one from release to release
            found.append(f"the Hub cannot be reached: {first_line(error)}")

    asking = Thread(target=ask, daemon=True)  # to look up an address has no limit of its own
    asking.start()
    asking.join(limit)
    return f"the Hub gave no answer in {limit} seconds" if asking.is_alive() else next(iter(found), None)


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class UnreachableError(Exception):
    """Something that the Hub does not give; who asked for it says what a user can do."""

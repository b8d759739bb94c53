"""What the words of `m3att report` name: trainings, ablations, models and files of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from m3att.errors import ConfigError

RUN, ABLATIONS, SCORES, MODEL = "training run", "ablations", "file of scores", "model"


class Target(NamedTuple):
    """What the command was asked to report on.

    Args:
        word: as it was given.
        name: what the report calls it.
        kind: RUN, ABLATIONS, SCORES or MODEL.
        model: what is scored; None where there is no model.
    """

    word: str
    name: str
    kind: str
    model: str | None


def find_targets(words: Sequence[str]) -> list[Target]:
    """What each word names, with a name of its own.

    Raises:
        ConfigError: where a word stands twice, or names a file or folder that is none of these.
    """
    if len(set(words)) < len(words):
        raise ConfigError(f"{next(word for word in words if words.count(word) > 1)}: is named twice")
    short = ["/".join(Path(word).parts[-2:]) for word in words]
    names = short if len(set(short)) == len(words) else list(words)
    return [find_target(word, name) for word, name in zip(words, names, strict=True)]


def find_target(word: str, name: str) -> Target:
    """What a word names.

    Args:
        word: as it was given.
        name: for the report.

    Raises:
        ConfigError: where it is a file or folder that is none of these.
    """
    from m3att.engine.run_folder import RunFolder
    from m3att.model_folder import CONFIG

    path = Path(word)
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise ConfigError(f"{word}: give a run's folder, a model, or a .json file of `m3att evaluate --json`")
        return Target(word, name, SCORES, None)
    if not path.is_dir():
        return Target(word, name, MODEL, word)
    folder = RunFolder(path)
    if folder.is_run:
        if any(path.glob("table-*/*/seed-*")):
            return Target(word, name, ABLATIONS, None)
        model = next((one for one in (folder.best, folder.last) if (one / CONFIG).is_file()), None)
        return Target(word, name, RUN, None if model is None else str(model))
    if (path / CONFIG).is_file():
        return Target(word, name, MODEL, word)
    raise ConfigError(f"{word}: is neither a run (it has no config.yaml) nor a model (it has no {CONFIG})")

"""What tells whether the data of a run are still those that it began with: a few numbers, without reading a picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from m3att.data.source import Source
from m3att.engine.distributed import ALONE, Processes
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError

DataPrint = dict[str, Any]
"""Of one split: its kind of pixels, numbers of images and expressions, and a hash of their ids and texts, in order."""


def data_print(source: Source) -> DataPrint:
    """The print of one split. Of scenes that are drawn it has no expressions and no hash: the settings decide them.

    Args:
        source: the split.
    """
    digest, expressions, drawn = hashlib.sha256(), 0, True
    for part in dict.fromkeys(source.parts):
        digest.update(json.dumps([len(part), *map(int, part.image_ids)]).encode())
        if part.lexicon is not None:  # to count its expressions is to draw its scenes
            continue
        drawn = False
        for text in part.texts():
            digest.update(json.dumps(text).encode())
            expressions += 1
    found: DataPrint = {"pixels": source.pixels, "images": len(source)}
    return found if drawn else found | {"expressions": expressions, "sha256": digest.hexdigest()}


def same_data(
    folder: RunFolder | None, source: Source, validation: Source, old: Source | None, processes: Processes = ALONE
) -> dict[str, DataPrint]:
    """The prints of the data of a run, which must be those that it began with, and the same in all processes.

    Args:
        folder: of the run that goes on. One of an earlier m3att holds no prints, and any data will do. None: a new run.
        source: the training split.
        validation: the split to validate on.
        old: the part of `data.old` to validate on.
        processes: that train together.

    Returns:
        The prints by the name of what the data are for.

    Raises:
        ConfigError: says what has changed.
    """
    before = {} if folder is None else read_prints(folder)
    parts = {"training": source, "validation": validation} | ({} if old is None else {"old": old})
    prints = {name: data_print(part) for name, part in parts.items()}
    seen = processes.joined([prints])
    for name, now in prints.items():
        other = next((found[name] for found in seen if found[name] != now), None)
        if other is not None:
            raise ConfigError(f"the processes see different {name} data: {difference(other, now)}")
        known = before.get(name)
        if folder is not None and isinstance(known, dict) and known != now:
            raise ConfigError(
                f"{folder.path}: the {name} data have changed since the run began: {difference(known, now)}. Give the "
                "old data back, start another run with --train.init and a model of this one, or delete "
                f"{folder.data} to go on nevertheless"
            )
    return prints


def read_prints(folder: RunFolder) -> dict[str, Any]:
    """What `engine.recorder` has written of the data of a run; nothing where it has not.

    Raises:
        ConfigError: where the file is damaged.
    """
    try:
        found = json.loads(folder.data.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{folder.data}: damaged; delete it to go on with the data as they are")
    return found


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two prints, in a few words.

    Args:
        before: of the data as they were.
        now: of the data as they are.
    """
    words = {"pixels": "pixels: {}, not {}", "images": "{} images, not {}", "expressions": "{} expressions, not {}"}
    pairs = {name: (now.get(name), before.get(name)) for name in words}
    changed = [words[name].format(*pair) for name, pair in pairs.items() if pair[0] != pair[1]]
    return ", ".join(changed) or "as many images and expressions, but other texts, other image ids or another order"

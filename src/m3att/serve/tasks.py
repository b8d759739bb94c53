"""What the service and its workers say to each other. Importing this loads no library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["encode", "segment", "attend"]


@dataclass(frozen=True)
class Task:
    """What one request asks.

    Args:
        number: of the task, by which its answer is known.
        kind: `encode` only encodes the image, `segment` finds masks, `attend` tells where the words look.
        model: name of a loaded model.
        digest: SHA-256 of the image file.
        content: of the image file.
        expressions: to be found; one for `attend`.
        threshold: probability over which a pixel belongs to a mask; None: the model's own.
        forms: of the masks: `rle`, `polygons`, `png`.
        layer: for `attend`.
    """

    number: int
    kind: Kind
    model: str
    digest: str
    content: bytes = field(repr=False)
    expressions: tuple[str, ...] = ()
    threshold: float | None = None
    forms: tuple[str, ...] = ("rle",)
    layer: int = -1


@dataclass(frozen=True)
class Answer:
    """The answer to a task.

    Args:
        number: of the task.
        values: for JSON, where the task was done.
        code: why it was not, a key of `m3att.serve.limits.STATUS`; empty where it was.
        message: one line on this.
    """

    number: int
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    code: str = ""
    message: str = ""

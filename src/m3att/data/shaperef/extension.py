"""Sets of objects that a phrase is true of, and questions about a scene that are answered once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


class Extension(NamedTuple):
    """Objects that a phrase is true of, as bit masks over the scene's objects."""

    certain: int
    possible: int

    def __and__(self, other: Extension) -> Extension:
        return Extension(self.certain & other.certain, self.possible & other.possible)

    def is_only(self, index: int) -> bool:
        """Whether the phrase is clearly true of this object and of no other."""
        return self.certain == self.possible == 1 << index

    def is_crisp(self) -> bool:
        """Whether no object is a borderline case."""
        return self.certain == self.possible


def members(mask: int) -> list[int]:
    """Positions of a mask's set bits, ascending."""
    return [index for index in range(mask.bit_length()) if mask >> index & 1]


def remembered(method: Method) -> Method:
    """Answers a question about a scene, put by position, once: drafts ask the same ones over and over.

    The object that is asked keeps its ``answers``.
    """

    @functools.wraps(method)
    def answer(self: Any, *question: Any) -> Any:
        key = (method, question)
        if key not in self.answers:
            self.answers[key] = method(self, *question)
        return self.answers[key]

    return cast(Method, answer)


def bits(indices: Iterable[int]) -> int:
    """The mask with these bits set."""
    mask = 0
    for index in indices:
        mask |= 1 << index
    return mask

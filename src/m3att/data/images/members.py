"""An image file that lies inside a tar, read without the rest of the tar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from m3att.errors import ImageError


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar that is not compressed.

    Args:
        tar: the tar.
        name: of the file in it.
        offset: of its first byte in the tar.
        size: in bytes.
    """

    tar: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.tar}/{self.name}"

    def read(self) -> bytes:
        """Its bytes; no other part of the tar is read.

        Raises:
            ImageError: where the tar is gone, or shorter than it was.
        """
        try:
            with self.tar.open("rb", buffering=0) as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise ImageError(f"{self}: cannot be read ({error.strerror})") from None
        if len(content) < self.size:
            raise ImageError(f"{self}: the tar ends within it; write the shards again")
        return content

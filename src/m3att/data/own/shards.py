"""Photos with their expressions in tar shards: the layout of WebDataset, read at any place.

A shard holds two files for each image, ``KEY.jpg`` (or another picture, as it was) and ``KEY.json`` with its
expressions and masks. A key has no dot, since WebDataset ends a key at the first one. Shards are read by their own
index of offsets and not as streams. So images come in the order of the seed, a training goes on in the middle of an
epoch without reading anything again, and processes share the images as they share files.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from m3att.data.fields import side_of
from m3att.data.images import Member
from m3att.data.own.content import Content
from m3att.data.own.jsonl import content_of_lines
from m3att.data.own.source import CustomSource
from m3att.errors import DataError, SplitError, counted

TAR = ".tar"


class ShardSource(CustomSource):
    """The images of one split in shards; a :class:`~m3att.data.source.Source`.

    Args:
        content: the records; the file names of their images are those in ``members``.
        split: only expressions of this split; all where the records state none.
        name: what messages call the data.
        members: where each image lies.
    """

    def __init__(self, content: Content, split: str, name: str, members: dict[str, Member]) -> None:
        super().__init__(content, split, name)
        self.members = {own: members[own] for own in map(self.image_name, range(len(self)))}

    @property
    def origin(self) -> str:
        """See Source."""
        return f"{self.name}; {len({member.tar for member in self.members.values()}):,} shards"

    def has_photos(self) -> bool:
        """Whether any of its images is there."""
        return bool(self.members)

    def missing_images(self) -> list[int]:
        """None: an image without its picture is left out when the shard is opened."""
        return []

    def image_path(self, index: int) -> Path:
        """The shard of image ``index`` with the image's name in it."""
        return Path(str(self.members[self.image_name(index)]))

    def _file(self, index: int) -> Path | Member:
        return self.members[self.image_name(index)]


def open_shards(root: Path, split: str, image_root: Path | None = None) -> ShardSource:
    """Shards that `shard_writer.write_shards` or another program wrote.

    Args:
        root: a shard, a folder of shards, or a pattern such as ``DIR/train-{000000..000009}.tar`` or ``DIR/*.tar``. Of
            a folder with shards that are named by their splits only those of the split are opened.
        split: which expressions.
        image_root: must be None, as shards hold their photos.

    Raises:
        DataError: where there is no such shard, one is broken, or the split holds no expression.
    """
    if image_root is not None:
        raise DataError(f"{root}: shards hold their photos; leave out --image-root")
    lines: list[dict[str, Any]] = []
    members: dict[str, Member] = {}
    sizes: dict[str, tuple[int, int]] = {}
    faults: dict[str, int] = {}
    paths = shards_of(root, split)
    for path in paths:
        shard = read_shard(path)
        if root.is_dir():  # a pattern may well leave some out
            require_siblings(path, shard.stated, paths)
        lines += shard.lines
        members |= shard.members
        sizes |= shard.sizes
        faults |= shard.faults
    if not lines:
        reason = f" ({next(iter(faults))})" if faults else ""
        raise DataError(f"{root}: its shards hold no image with expressions{reason}")
    content = content_of_lines(lines, root, str(root), for_writing=False)
    content.faults.update(faults)
    for image in content.instances["images"]:
        if image["file_name"] in sizes:
            image["height"], image["width"] = sizes[image["file_name"]]
    return ShardSource(content, split, str(root), members)


def shards_of(root: Path, split: str) -> list[Path]:
    """The shards that a path or pattern means, in the order of their names.

    Args:
        root: see `open_shards`.
        split: the one wanted.

    Raises:
        SplitError: where the shards of a folder are named by splits, and none by this one.
        DataError: where there is no shard.
    """
    if root.is_file():
        return [root]
    if root.is_dir():
        found = sorted(root.glob(f"*{TAR}"))
        splits = {path.name.rpartition("-")[0] for path in found}
        if split in splits:
            return [path for path in found if path.name.rpartition("-")[0] == split]
        if splits and splits <= {"train", "val", "test", "testA", "testB"}:
            raise SplitError(f"{root}: has no shard of split {split}, but of {', '.join(sorted(splits))}")
    else:
        names = expanded(str(root))
        found = sorted(path for name in names for path in Path(Path(name).anchor or ".").glob(relative(name)))
        missing = [name for name in names if not re.search(r"[*?\[]", name) and not Path(name).is_file()]
        if missing and len(names) > 1:
            raise DataError(f"{missing[0]}: no such shard")
    if not found:
        raise DataError(f"{root}: no such shard; give a .tar, a folder of them, or a pattern such as 'DIR/*.tar'")
    return found


def expanded(pattern: str) -> list[str]:
    """The names that a pattern with ranges in braces stands for, such as ``a-{000..012}.tar``."""
    parts = re.split(r"\{(\d+)\.\.(\d+)\}", pattern)
    ranges = [
        [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        for first, last in zip(parts[1::3], parts[2::3], strict=True)
    ]
    return ["".join(piece for pair in zip(parts[::3], (*chosen, ""), strict=True) for piece in pair)
            for chosen in product(*ranges)]  # fmt: skip


def relative(name: str) -> str:
    """A path below the root of its drive, or as it is."""
    return str(Path(name).relative_to(Path(name).anchor)) if Path(name).anchor else name


class Shard(NamedTuple):
    """What a shard holds.

    Args:
        lines: as `content_of_lines` takes them.
        members: where each image lies.
        sizes: height and width of an image, where they are stated.
        faults: what had to be left out, and how many lines it costs.
        stated: how many shards its split has, as it says; 0: it does not say.
    """

    lines: list[dict[str, Any]]
    members: dict[str, Member]
    sizes: dict[str, tuple[int, int]]
    faults: dict[str, int]
    stated: int = 0


def require_siblings(path: Path, count: int, paths: Sequence[Path]) -> None:
    """Refuse a folder in which shards are missing: a training would see fewer images, and in another order.

    Args:
        path: of a shard.
        count: of the shards of its split, as it states; 0: not known.
        paths: that are there.

    Raises:
        DataError: names the first that is missing.
    """
    names, split = {other.name for other in paths}, path.name.rpartition("-")[0]
    wanted = (shard_name(split, number) for number in range(count))
    missing = next((name for name in wanted if name not in names), None)
    if missing is not None:
        raise DataError(
            f"{path.parent / missing}: is missing, of {counted(count, 'shard')}; copy it, or give those that are there "
            f"as '{path.parent / f'{split}-*{TAR}'}'"
        )


def shard_name(split: str, number: int) -> str:
    """The name of the shard with a number, from 0."""
    return f"{split}-{number:06d}{TAR}"


def read_shard(path: Path) -> Shard:
    """The lines of a shard and where its images lie; no image is read.

    Args:
        path: of the shard.

    Raises:
        DataError: where it is no tar, a compressed one, or cut short.
    """
    pictures: dict[str, Member] = {}
    records: dict[str, Any] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                key, _, ending = Path(entry.name).name.partition(".")
                if not entry.isfile() or not key:
                    continue
                if ending == "json":
                    file = tar.extractfile(entry)
                    records[key] = record_of(file.read(), f"{path}/{entry.name}") if file is not None else None
                elif key not in pictures:
                    pictures[key] = Member(path, entry.name, entry.offset_data, entry.size)
            end = tar.offset  # where the mark of the end stands; a tar that was cut between two files has none
        if path.stat().st_size < end + tarfile.BLOCKSIZE:
            raise DataError(f"{path}: is cut short; copy it again")
    except tarfile.ReadError as error:
        packed = ": is a packed file; unpack it, or give WebDataset's .tar files, which are not packed"
        packed = f": no whole tar ({error})" if path.suffix == TAR else packed
        raise DataError(f"{path}{packed}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"{path}: holds what is no JSON ({error})") from None
    stated = [side_of(record.get("shards")) or 0 for record in records.values() if isinstance(record, dict)]
    shard = Shard([], {}, {}, {}, max(stated, default=0))
    for key, record in records.items():
        own = list(lines_of(record))
        if key not in pictures or not own:
            what = "no picture" if own else "no expressions"
            shard.faults[f"{path}: {key} has {what}"] = len(own)
            continue
        name = f"{path.name}/{pictures[key].name}"
        shard.members[name] = pictures[key]
        height, width = side_of(record.get("height")), side_of(record.get("width"))
        if height and width:
            shard.sizes[name] = (height, width)
        shard.lines.extend({**line, "image": name} for line in own)
    return shard


def record_of(content: bytes, name: str) -> Any:
    """What the JSON of an image says.

    Args:
        content: of its file.
        name: of the file, for messages.

    Raises:
        DataError: where it is damaged.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: is no JSON ({error})") from None


def lines_of(record: Any) -> Iterator[dict[str, Any]]:
    """The lines of the JSON of an image: those under ``lines``, or the one that it is itself."""
    if isinstance(record, dict):
        lines = record["lines"] if isinstance(record.get("lines"), list) else [record]
        yield from (line for line in lines if isinstance(line, dict))

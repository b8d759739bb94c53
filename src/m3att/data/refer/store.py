"""Arrays and texts of annotations in one flat file that processes share through the page cache.

Reading the files of a data set takes seconds and much memory. So their content is kept in this form in the user's cache
folder. It is made again if size or time of the files differ.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, overload
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from m3att.errors import DataError
from m3att.files import replacing

FORMAT = 8  # raise it whenever an array changes its name or meaning, or an outline is rasterised otherwise
_MAGIC = b"m3att annotations\n"
_ALIGNMENT = 64

Arrays = Mapping[str, NDArray[Any]]
Key = list[Any]


class Store:
    """Named read-only arrays, and plain notes beside them; see `cached`.

    A store that lies in the cache folder is sent to another process by its path, so that all share its pages.

    Args:
        arrays: numbers only, no objects.
        notes: what JSON can hold.
        path: its file, where it has one.
        key: what the file was made of.
    """

    def __init__(
        self, arrays: Arrays, notes: Mapping[str, Any], path: Path | None = None, key: Key | None = None
    ) -> None:
        self._arrays, self.notes, self.path, self.key = dict(arrays), dict(notes), path, key
        for array in self._arrays.values():
            array.setflags(write=False)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def texts(self, name: str) -> Texts:
        """Texts that `pack_texts` put away under a name."""
        return Texts(self[f"{name}_bytes"], self[f"{name}_starts"])

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            return (Store, (self._arrays, self.notes))
        return (_reopen, (self.path, self.key))


class Texts(Sequence[str]):
    """Many texts in one array of bytes, decoded one at a time."""

    def __init__(self, packed: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self._packed, self._starts = packed, starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._packed[self._starts[index] : self._starts[index + 1]].tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        packed, starts = self._packed.tobytes(), self._starts.tolist()
        for start, stop in pairwise(starts):
            yield packed[start:stop].decode("utf-8", "surrogatepass")


def pack_texts(name: str, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Puts T texts into two arrays, bytes and starts (T + 1,), from which `Store.texts` reads them."""
    packed = "".join(texts).encode("utf-8", "surrogatepass")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    if len(packed) != int(lengths.sum()):  # not all ASCII
        encoded = (len(text.encode("utf-8", "surrogatepass")) for text in texts)
        lengths = np.fromiter(encoded, dtype=np.int64, count=len(texts))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return {f"{name}_bytes": np.frombuffer(packed, dtype=np.uint8), f"{name}_starts": starts}


def cache_folder() -> Path | None:
    """Where stores are kept: $M3ATT_CACHE, or m3att in the user's cache folder; None where $M3ATT_CACHE is empty."""
    chosen = os.environ.get("M3ATT_CACHE")
    if chosen is not None:
        return Path(chosen) / "annotations" if chosen else None
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "m3att" / "annotations"


_open_stores: WeakValueDictionary[str, Store] = WeakValueDictionary()


def cached(name: str, files: Sequence[Path], build: Callable[[], tuple[Arrays, Mapping[str, Any]]]) -> Store:
    """The content of files, from the cache if it is up to date, otherwise built and stored there.

    A cache that is out of date or damaged is built again. If the cache cannot be written, the result is not stored.

    Args:
        name: what is built; two kinds may come of the same files.
        files: all files that it depends on.
        build: reads the files and returns arrays and notes.

    Returns:
        The store; the same one as long as somebody in this process holds it.

    Raises:
        DataError: whatever `build` raises.
    """
    key = _key(name, files)
    return Store(*build()) if key is None else kept(key, build)


def kept(key: Key, build: Callable[[], tuple[Arrays, Mapping[str, Any]]]) -> Store:
    """What `cached` gives, by its key."""
    words = json.dumps(key)
    known = _open_stores.get(words)
    if known is not None:
        return known
    folder = cache_folder()
    path = None if folder is None else folder / f"{sha256(json.dumps(key[:2]).encode()).hexdigest()[:24]}.arrays"
    store = None if path is None else read_store(path, key)
    if store is None:
        arrays, notes = build()
        if path is not None and write_store(path, key, arrays, notes):
            store = read_store(path, key)  # so that the arrays are those of the file, which other processes share
        store = store or Store(arrays, notes)
    _open_stores[words] = store
    return store


def _key(name: str, files: Sequence[Path]) -> Key | None:
    """Name and paths, and what shows a change of the files; None if a file is missing, which `build` reports better."""
    try:
        facts = [(str(path.resolve()), path.stat()) for path in files]
    except OSError:
        return None
    return [name, [place for place, _ in facts], FORMAT, [[fact.st_size, fact.st_mtime_ns] for _, fact in facts]]


def joined_key(name: str, stores: Sequence[Store]) -> Key | None:
    """The key of what is made of other stores: of the files as they were when those were made, whatever has happened to
    them since. None where one of them is not kept."""
    files: dict[str, Any] = {}
    for store in stores:
        if store.key is None:
            return None
        files.update(zip(store.key[1], store.key[3], strict=True))
    return [name, list(files), FORMAT, list(files.values())]


def write_store(path: Path, key: Key, arrays: Arrays, notes: Mapping[str, Any]) -> bool:
    """Writes a store in one step; False where the folder or the disk will not have it.

    Args:
        path: of the store.
        key: which files it was made of.
        arrays: by name.
        notes: plain values kept beside them.
    """
    places: dict[str, tuple[str, list[int], int]] = {}
    at = 0
    for name, array in arrays.items():
        places[name] = (array.dtype.str, list(array.shape), at)
        at += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    header = json.dumps({"key": key, "notes": notes, "arrays": places, "bytes": at}).encode()
    header += b" " * (-(len(_MAGIC) + 16 + len(header)) % _ALIGNMENT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("wb") as file:
            file.write(_MAGIC + len(header).to_bytes(8, "little") + bytes(8) + header)
            checksum = zlib.crc32(header)
            for array in arrays.values():
                content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
                padded = bytes(-len(content) % _ALIGNMENT)
                for piece in (content.data, padded):
                    file.write(piece)
                    checksum = zlib.crc32(piece, checksum)
            file.seek(len(_MAGIC) + 8)
            file.write(checksum.to_bytes(8, "little"))
    except OSError:  # read-only home or full disk: the cache is optional, so this is not an error
        return False
    return True


def read_store(path: Path, key: Key) -> Store | None:
    """Maps a store into memory; None where it is missing, damaged, or made of other files than the key says."""
    start = len(_MAGIC) + 16
    try:
        if path.stat().st_size < start:
            return None
        whole: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    except OSError:
        return None
    length, checksum = (int.from_bytes(whole[start - back : start - back + 8].tobytes(), "little") for back in (16, 8))
    if whole[: len(_MAGIC)].tobytes() != _MAGIC or length > len(whole) - start:
        return None
    if zlib.crc32(whole[start:].data) != checksum:
        return None
    header = json.loads(whole[start : start + length].tobytes())
    if header["key"] != json.loads(json.dumps(key)):
        return None
    payload = whole[start + length :]
    arrays = {}
    for name, (kind, shape, at) in header["arrays"].items():
        dtype = np.dtype(kind)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(payload[at : at + size], dtype=dtype).reshape(shape)
    return Store(arrays, header["notes"], path, key)


def _reopen(path: Path, key: Key) -> Store:
    """The store of another process."""
    words = json.dumps(key)
    store = _open_stores.get(words) or read_store(path, key)
    if store is None:
        raise DataError(f"{path}: the cached annotations changed while they were in use; start again")
    _open_stores[words] = store
    return store

"""Reads public word vectors: GloVe's text files (6B, 42B, 840B, Twitter; 25 to 300 channels), plain or zipped.

A line is a word and its D numbers, separated by single spaces. A few words of 840B contain spaces, so the numbers are
counted from the end of the line. Files are large (840B: 5.6 GB) and are read line by line. The vectors of a vocabulary
are cached, so that the next run with that vocabulary does not read the file again.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from m3att.errors import ConfigError, ModelError
from m3att.files import replace_tensors

BROKEN_LIMIT = 100  # broken lines that are skipped; a file with more is not a file of word vectors
Opener = Callable[[], BinaryIO]


def read_vectors(
    path: Path, vocabulary: Mapping[str, int], channels: int, cache: Path | None = None
) -> tuple[Tensor, Tensor]:
    """The vectors of a vocabulary's words.

    Args:
        path: a ``.txt`` file, or a ``.zip`` of such files, of which the one with ``channels`` channels is read.
        vocabulary: id of each word, from 0 on.
        channels: D that the network has.
        cache: folder of the cache; None: `cache_folder`.

    Returns:
        Vectors (V, D), zero for words that the file does not have, and bool (V,): whether it has them.

    Raises:
        ConfigError: where the file has another D.
        ModelError: where there is no such file, it holds no word vectors, or none of the vocabulary.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give GloVe's text file, or its zip, as model.language.weights")
    folder = cache or cache_folder()
    cached = None if folder is None else folder / cache_name(path, vocabulary, channels)
    rows = None if cached is None else read_cache(cached)
    if rows is None:
        rows = search(path, choose_file(path, channels), vocabulary, channels)
        if cached is not None:
            write_cache(cached, rows)
    numbers_R, vectors_RD = rows
    vectors_VD = torch.zeros(len(vocabulary), channels)
    vectors_VD[numbers_R] = vectors_RD
    found_V = torch.zeros(len(vocabulary), dtype=torch.bool)
    found_V[numbers_R] = True
    return vectors_VD, found_V


def choose_file(path: Path, channels: int) -> Opener:
    """How to open the text: the file itself, or the one inside a zip whose vectors have that many channels.

    Raises:
        ConfigError: where there is none of so many channels; names those that there are.
        ModelError: where the file is no text of word vectors.
    """
    openers: list[Opener] = [lambda: path.open("rb")]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".txt"))
        if not names:
            raise ModelError(f"{path}: holds no .txt file of word vectors")
        openers = [zipped(path, name) for name in names]
    sizes: dict[int, Opener] = {}
    for opener in openers:
        with reading(path, opener) as file:
            sizes.setdefault(count_channels(file.readline(), path), opener)
    if channels not in sizes:
        there = " or ".join(map(str, sorted(sizes)))
        raise ConfigError(
            f"model.language.word_channels: {channels}, but the vectors of {path} have {there}; give "
            f"--model.language.word_channels {min(sizes)}"
        )
    return sizes[channels]


def zipped(path: Path, name: str) -> Opener:
    """How to open a file inside a zip."""

    def opener() -> BinaryIO:
        archive = zipfile.ZipFile(path)
        return io.BufferedReader(cast(io.RawIOBase, archive.open(name)), 1 << 20)

    return opener


@contextmanager
def reading(path: Path, opener: Opener) -> Iterator[BinaryIO]:
    """Open a file of word vectors.

    Raises:
        ModelError: where what is read turns out to be cut short or broken.
    """
    try:
        with opener() as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); download it again") from error


def count_channels(line: bytes, path: Path) -> int:
    """D, as the first line has it.

    Raises:
        ModelError: where it is no line of word vectors.
    """
    fields = line.split()
    # word2vec's and fastText's text files begin with a line of two counts: words and channels.
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[1])
    if len(fields) < 3 or parse(fields[1:]) is None:
        raise ModelError(f"{path}: its first line is no word with its numbers; give GloVe's text file")
    return len(fields) - 1


def search(path: Path, opener: Opener, vocabulary: Mapping[str, int], channels: int) -> tuple[Tensor, Tensor]:
    """The ids (R,) of the words that a file has and their vectors (R, D); of a word that comes twice, the first.

    Args:
        path: of the file of word vectors.
        opener: opens it, compressed or not.
        vocabulary: word -> id.
        channels: of a vector.

    Raises:
        ModelError: where too many lines are broken, or no word of the vocabulary is there.
    """
    wanted = {word.encode(): number for word, number in vocabulary.items()}
    rows: dict[int, npt.NDArray[np.float32]] = {}
    broken: list[int] = []
    with reading(path, opener) as file:
        for count, line in enumerate(file, start=1):
            line = line.rstrip()
            if line.count(b" ") < channels:
                if count > 1:  # the line of counts
                    broken.append(count)
            # Words of the vocabulary have no spaces, so the text before the first space decides about most lines.
            elif line[: line.index(b" ")] in wanted:
                word, *numbers = line.rsplit(b" ", channels)
                vector = parse(numbers)
                if vector is None:
                    broken.append(count)
                elif word in wanted:
                    rows.setdefault(wanted[word], vector)
            if len(broken) > BROKEN_LIMIT:
                raise ModelError(
                    f"{path}: more than {BROKEN_LIMIT} lines are no word with {channels} numbers, the first of them "
                    f"line {broken[0]}; download it again"
                )
    if broken:
        warnings.warn(f"{path}: skipped {len(broken)} broken lines, the first of them line {broken[0]}", stacklevel=2)
    if not rows:
        raise ModelError(f"{path}: has none of the vocabulary's {len(vocabulary)} words; is it of this language?")
    return torch.tensor(list(rows)), torch.from_numpy(np.stack(list(rows.values())))


def parse(numbers: list[bytes]) -> npt.NDArray[np.float32] | None:
    """The numbers of a line, (C,), or None where they are none, or not finite."""
    try:
        vector = np.array(numbers, dtype=np.float32)
    except ValueError:
        return None
    return vector if np.isfinite(vector).all() else None


def cache_folder() -> Path | None:
    """Where found vectors are kept: $M3ATT_CACHE, else m3att in the user's cache; None where $M3ATT_CACHE is empty."""
    chosen = os.environ.get("M3ATT_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "m3att"


def cache_name(path: Path, vocabulary: Mapping[str, int], channels: int) -> str:
    """A name that changes with the file, the vocabulary, and the channels.

    Args:
        path: of the file of word vectors.
        vocabulary: word -> id.
        channels: of a vector.
    """
    state = path.stat()
    key = repr((path.name, state.st_size, state.st_mtime_ns, channels, sorted(vocabulary.items())))
    return f"words-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.safetensors"


def read_cache(cached: Path) -> tuple[Tensor, Tensor] | None:
    """Numbers (K,) and vectors (K, C) that were kept, or None where none were, or where they must be read anew."""
    if not cached.is_file():
        return None
    try:
        kept = load_file(cached)
        return kept["numbers"], kept["vectors"]
    except (SafetensorError, OSError, KeyError) as error:
        warnings.warn(f"{cached}: broken, so the word vectors are read anew ({error})", stacklevel=2)
        return None


def write_cache(cached: Path, rows: tuple[Tensor, Tensor]) -> None:
    """Cache the vectors; if the folder cannot be written, the next run reads the file again."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        replace_tensors(cached, {"numbers": rows[0], "vectors": rows[1]})
    except (ModelError, OSError) as error:
        warnings.warn(f"{cached}: the word vectors found are not kept ({error})", stacklevel=2)

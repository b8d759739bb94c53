"""GloVe's text files in each shape in which they come."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from m3att.errors import ConfigError, ModelError
from m3att.weights import glove
from m3att.weights.glove import BROKEN_LIMIT, cache_folder, read_vectors

WORDS = {"[PAD]": 0, "[UNK]": 1, "man": 2, "red": 3, "at": 4, "zebra's": 5, "café": 6}
# As 840B has them: words with spaces, of which two begin with a word of the vocabulary.
LINES = [
    ", 0.5 -1 2e-3",
    "man 1 2 3",
    "at name@domain.com 9 9 9",
    ". . . 8 8 8",
    "at 0.25 0.5 0.75",
    "café -1.5 0 1.5",
    "man 7 7 7",
    "other 0 0 0",
]
EXPECTED = {2: [1, 2, 3], 4: [0.25, 0.5, 0.75], 6: [-1.5, 0, 1.5]}


def glove_file(path: Path, lines: list[str] = LINES, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("M3ATT_CACHE", str(folder))
    return folder


def check(path: Path) -> None:
    vectors_VD, found_V = read_vectors(path, WORDS, 3)
    assert vectors_VD.shape == (7, 3) and vectors_VD.dtype == torch.float32
    assert found_V.nonzero().flatten().tolist() == sorted(EXPECTED)
    for number in range(7):
        assert vectors_VD[number].tolist() == EXPECTED.get(number, [0, 0, 0])


@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
def test_words_of_the_vocabulary_get_their_vectors(tmp_path: Path, end: str) -> None:
    check(glove_file(tmp_path / "glove.840B.300d.txt", end=end))


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("\n".join([", 1 2 3", "red 4 5 6"]))
    assert read_vectors(path, WORDS, 3)[0][3].tolist() == [4, 5, 6]


def test_the_line_of_counts_of_word2vec_is_passed_over(tmp_path: Path) -> None:
    check(glove_file(tmp_path / "wiki.vec", [f"{len(LINES)} 3", *LINES]))


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    path = glove_file(tmp_path / "glove.txt")
    path.write_bytes(path.read_bytes() + b"\xff\xfe\x85 1 2 3\n")
    check(path)


@pytest.mark.parametrize("channels", [50, 100, 200, 300])
def test_every_published_size(tmp_path: Path, channels: int) -> None:
    vector = [number / 7 - 3 for number in range(channels)]
    path = glove_file(tmp_path / "glove.txt", ["the" + " 0" * channels, "red " + " ".join(f"{v:.5f}" for v in vector)])
    vectors_VD, found_V = read_vectors(path, WORDS, channels)
    torch.testing.assert_close(vectors_VD[3], torch.tensor(vector), rtol=0, atol=1e-5)
    assert found_V.sum() == 1


def archive(path: Path, sizes: tuple[int, ...]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("readme.md", "not this one")
        for size in sizes:
            packed.writestr(f"glove.6B.{size}d.txt", f"the{' 0' * size}\nred{f' {size}' * size}\n")
    return path


def test_a_zip_gives_the_file_of_the_right_size(tmp_path: Path) -> None:
    path = archive(tmp_path / "glove.6B.zip", (50, 100, 200, 300))
    for channels in (50, 200):
        assert read_vectors(path, WORDS, channels)[0][3].tolist() == [channels] * channels


def test_another_size_names_the_mend(tmp_path: Path) -> None:
    plain = glove_file(tmp_path / "glove.txt")
    with pytest.raises(ConfigError, match=r"word_channels: 128, but the vectors of .*glove.txt have 3; give --model"):
        read_vectors(plain, WORDS, 128)
    packed = archive(tmp_path / "glove.6B.zip", (300, 50))
    with pytest.raises(ConfigError, match=r"have 50 or 300; give --model.language.word_channels 50"):
        read_vectors(packed, WORDS, 128)


def test_a_few_broken_lines_are_counted_and_many_are_an_error(tmp_path: Path) -> None:
    broken = ["red 1 2", "zebra's 1 x 3", "zebra's nan 1 2", ""]
    with pytest.warns(UserWarning, match=r"skipped 4 broken lines, the first of them line 9"):
        check(glove_file(tmp_path / "glove.txt", LINES + broken))
    with pytest.raises(ModelError, match=rf"more than {BROKEN_LIMIT} lines are no word with 3 numbers, .* line 9;"):
        read_vectors(glove_file(tmp_path / "other.txt", LINES + ["red 1"] * (BROKEN_LIMIT + 1)), WORDS, 3)


@pytest.mark.parametrize("content", ["", "\n", "hello\n", "a text of some words\n", "word 1 2 nan\n", "5 x\n"])
def test_files_without_vectors(tmp_path: Path, content: str) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(content)
    with pytest.raises(ModelError, match=r"its first line is no word with its numbers"):
        read_vectors(path, WORDS, 3)


def test_a_missing_file_a_foreign_language_and_an_empty_zip(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_vectors(tmp_path / "glove.txt", WORDS, 3)
    with pytest.raises(ModelError, match="none of the vocabulary's 7 words"):
        read_vectors(glove_file(tmp_path / "fr.txt", ["homme 1 2 3"]), WORDS, 3)
    with pytest.raises(ModelError, match=r"holds no \.txt file"):
        read_vectors(archive(tmp_path / "glove.zip", ()), WORDS, 3)


def test_a_broken_zip_is_one_line(tmp_path: Path) -> None:
    path = archive(tmp_path / "glove.zip", (300,))
    content = bytearray(path.read_bytes())
    start = content.index(b"300d.txt") + 8
    content[start : start + 30] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be read .* download it again"):
        read_vectors(path, WORDS, 300)


def test_a_second_run_reads_the_cache_and_not_the_file(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = glove_file(tmp_path / "glove.txt")
    check(path)
    assert [file.suffix for file in cache.iterdir()] == [".safetensors"]  # no part is left
    monkeypatch.setattr(glove, "search", lambda *_: pytest.fail("read the file again"))
    check(path)


def test_the_cache_knows_the_file_the_vocabulary_and_the_channels(tmp_path: Path, cache: Path) -> None:
    path = glove_file(tmp_path / "glove.txt")
    check(path)
    other = {word: len(WORDS) - 1 - number for word, number in WORDS.items()}
    assert read_vectors(path, other, 3)[0][4].tolist() == [1, 2, 3]
    with pytest.raises(ConfigError):
        read_vectors(path, WORDS, 4)
    glove_file(path, [*LINES, "red 4 4 4"])
    assert read_vectors(path, WORDS, 3)[0][3].tolist() == [4, 4, 4]
    glove_file(path, [*LINES, "red 5 5 5"])  # the same size
    os.utime(path, ns=(1, 1))
    assert read_vectors(path, WORDS, 3)[0][3].tolist() == [5, 5, 5]
    assert len(list(cache.iterdir())) == 4


def test_a_broken_cache_is_read_anew_and_mended(tmp_path: Path, cache: Path) -> None:
    path = glove_file(tmp_path / "glove.txt")
    check(path)
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:20])
    with pytest.warns(UserWarning, match="broken, so the word vectors are read anew"):
        check(path)
    check(path)


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("M3ATT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="are not kept"):
        check(glove_file(tmp_path / "glove.txt"))


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("M3ATT_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("M3ATT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "m3att"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "m3att"

"""Shards: the same samples as from files, in the same order, read from the middle without the rest."""

from __future__ import annotations

import importlib.util
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from m3att.app.cli import main
from m3att.config import DataConfig, InputConfig
from m3att.data.batch import Batch, BatchReader
from m3att.data.images import Member, read_image
from m3att.data.open import open_source
from m3att.data.order import TrainingOrder
from m3att.data.own.detect import Kind, detect
from m3att.data.own.shard_writer import add_file, write_shards
from m3att.data.own.shards import expanded, open_shards
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.errors import DataError, ImageError, SplitError

from ..own_files import square, write_lines, write_picture

COUNT = 11


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Eleven photos with names that have dots, two objects and three expressions each; the last two are of val."""
    lines: list[dict[str, Any]] = []
    for number in range(COUNT):
        name = f"photos/park.rf.{number}.PNG"
        write_picture(tmp_path / name, 20 * number, (24, 32 + number))
        split = "val" if number >= COUNT - 2 else "train"
        lines.append({"image": name, "expressions": [f"cup {number}", "the cup"], "mask": [square(2)], "split": split})
        lines.append({"image": name, "expression": f"dish {number}", "bbox": [4, 5, 9, 8], "split": split})
    return write_lines(tmp_path / "own.jsonl", lines)


@pytest.fixture
def shards(own: Path, tmp_path: Path) -> Path:
    written = write_shards(own, tmp_path / "shards", images=4)
    assert (written.refs, written.expressions, written.images, written.faults) == (22, 33, COUNT, ())
    return tmp_path / "shards"


def as_plain(source: Source) -> list[Any]:
    """What a source holds, image by image."""
    return [
        (sample.image_HWC.tobytes(), sample.masks_MHW.tobytes(), sample.mask_index_N, sample.expressions, sample.boxed)
        for sample in map(source.read, range(len(source)))
    ]


@pytest.mark.parametrize("split", ["train", "val"])
def test_shards_hold_what_the_files_hold(own: Path, shards: Path, split: str) -> None:
    assert sorted(path.name for path in shards.iterdir()) == [
        "train-000000.tar", "train-000001.tar", "train-000002.tar", "val-000000.tar",
    ]  # fmt: skip
    files = open_source(DataConfig(str(own), "jsonl"), split)
    packed = open_source(DataConfig(str(shards), "shards"), split)
    assert as_plain(packed) == as_plain(files)
    assert list(packed.texts()) == list(files.texts()) and packed.stated_split
    assert [packed.expression_groups(at) for at in range(len(packed))] == [
        files.expression_groups(at) for at in range(len(files))
    ]
    assert (packed.boxed, packed.no_targets) == (files.boxed, files.no_targets)


def batches(source: Source, start: int = 0, workers: int = 0) -> list[Batch]:
    data = DataConfig(per_image=2)
    tokenizer = Tokenizer.from_texts(source.texts(), 8)
    reader = BatchReader(source, tokenizer, InputConfig(size=16), data, training=True)
    order = list(TrainingOrder(source, 5, data, seed=3, epoch=2))
    return list(DataLoader(reader, sampler=order[start:], batch_size=None, num_workers=workers))


def test_the_order_is_that_of_files_under_any_number_of_workers(own: Path, shards: Path) -> None:
    files = batches(open_source(DataConfig(str(own), "jsonl"), "train"))
    for workers in (0, 2):
        packed = batches(open_shards(shards, "train"), workers=workers)
        assert len(packed) == len(files) == 6
        for one, other in zip(packed, files, strict=True):
            assert one.pixels_BCHW.equal(other.pixels_BCHW) and one.word_ids_NL.equal(other.word_ids_NL)
            assert one.masks_MHW.equal(other.masks_MHW)


def test_a_training_goes_on_in_the_middle_and_reads_no_image_again(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = Member.read

    def counted(self: Member) -> bytes:
        read.append(self.name)
        return whole(self)

    source = open_shards(shards, "train")
    monkeypatch.setattr(Member, "read", counted)
    all_of_it = batches(source)
    count = len(read)
    read.clear()
    rest = batches(source, start=4)
    assert [batch.ids for batch in rest] == [batch.ids for batch in all_of_it[4:]]
    # As many as the batches that are left have images: opening and skipping read none.
    assert len(read) == sum(len(batch.pixels_BCHW) for batch in rest) < count


def test_only_the_bytes_of_the_image_are_read(shards: Path) -> None:
    member = next(iter(open_shards(shards, "val").members.values()))
    with tarfile.open(member.tar) as tar:
        file = tar.extractfile(member.name)
        assert file is not None and file.read() == member.read()
    assert str(member) == f"{shards}/val-000000.tar/000000000.png"
    with pytest.raises(ImageError, match="the tar ends within it"):
        Member(member.tar, member.name, member.offset, 10**9).read()
    with pytest.raises(ImageError, match=r"gone\.tar/a\.png: cannot be read"):
        read_image(Member(shards / "gone.tar", "a.png", 0, 1))


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("train-{000000..000001}.tar", 8), ("train-*.tar", 9), ("train-000002.tar", 1), ("*-00000[12].tar", 5)],
)
def test_shards_are_named_by_patterns(shards: Path, pattern: str, count: int) -> None:
    assert len(open_source(DataConfig(str(shards / pattern), "shards"), "train")) == count


def test_ranges_keep_their_zeros() -> None:
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{1..2}/b-{0..1}.tar") == ["1/b-0.tar", "1/b-1.tar", "2/b-0.tar", "2/b-1.tar"]
    assert expanded("a.tar") == ["a.tar"]


def test_what_is_wrong_is_named(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such shard"):
        open_shards(tmp_path / "none-*.tar", "train")
    with pytest.raises(DataError, match=r"train-000003\.tar: no such shard"):
        open_shards(shards / "train-{000000..000003}.tar", "train")
    with pytest.raises(SplitError, match="has no shard of split testA, but of train, val"):
        open_shards(shards, "testA")
    with pytest.raises(DataError, match="shards hold their photos"):
        open_shards(shards, "train", tmp_path)
    whole = (shards / "train-000000.tar").read_bytes()
    (shards / "train-000000.tar").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DataError, match=r"train-000000\.tar"):
        open_shards(shards, "train")


def test_a_missing_shard_is_named_and_a_pattern_does_without(shards: Path) -> None:
    whole = len(open_shards(shards, "train"))
    for name in ("train-000001.tar", "train-000000.tar"):
        (shards / name).rename(shards / f"{name}.away")
        with pytest.raises(DataError, match=rf"{name}: is missing, of 3 shards; copy it, or give .*'.*/train-\*\.tar'"):
            open_shards(shards, "train")
        assert 0 < len(open_shards(shards / "train-*.tar", "train")) < whole
        (shards / f"{name}.away").rename(shards / name)
    (shards / "train-000002.tar").unlink()  # the last one leaves no gap
    with pytest.raises(DataError, match=r"train-000002\.tar: is missing"):
        open_shards(shards, "train")
    assert len(open_shards(shards, "val")) == 2


@pytest.mark.parametrize("damage", [b'{"lines": [', b"\xff\xfe", b"[" * 100_000])
def test_damaged_json_in_a_shard_is_named(tmp_path: Path, damage: bytes) -> None:
    with tarfile.open(tmp_path / "train-000000.tar", "w") as tar:
        add_file(tar, "7.json", damage)
    with pytest.raises(DataError, match=r"train-000000\.tar/7\.json: is no JSON"):
        open_shards(tmp_path, "train")


def test_shards_of_another_program_are_read(tmp_path: Path) -> None:
    """One line of JSON beside each picture is enough; what has no picture or no expression is left out."""
    write_picture(tmp_path / "a.png")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for key, record in (
            ("1", {"caption": "the cup", "mask": [square(3)]}), ("2", {"caption": "lost", "mask": [square(3)]}),
            ("3", [1]),
        ):  # fmt: skip
            if key != "2":
                tar.add(tmp_path / "a.png", f"deep/{key}.png")
            path = tmp_path / "record.json"
            path.write_text(json.dumps(record), encoding="utf-8")
            tar.add(path, f"deep/{key}.json")
    source = open_shards(tmp_path, "train")
    assert [source.read(at).expressions for at in range(len(source))] == [("the cup",)]
    assert [fault.reason.rpartition(": ")[2] for fault in source.faults] == ["2 has no picture"]
    assert [note.rpartition(": ")[2] for note in source.notes] == ["3 has no expressions"]  # which costs no expression
    assert detect(str(tmp_path / "x.tar")) == Kind(str(tmp_path / "x.tar"), "shards")


@pytest.mark.skipif(importlib.util.find_spec("webdataset") is None, reason="webdataset is not installed")
def test_webdataset_reads_them(shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    samples = list(webdataset.WebDataset(str(shards / "train-{000000..000002}.tar"), shardshuffle=False))
    assert len(samples) == COUNT - 2
    for at, sample in enumerate(samples):
        assert set(sample) >= {"png", "json"} and json.loads(sample["json"])["name"] == f"photos/park.rf.{at}.PNG"


def test_the_command_packs_and_trains_on_them(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "packed"
    assert main(["data", "shard", str(own), "--out", str(out), "--images", "5"]) == 0
    assert "22 objects with 33 expressions on 11 images" in capsys.readouterr().out
    assert main(["data", "shard", str(own), "--out", str(out)]) == 2  # not over something else
    assert main(["data", "shard", str(own), "--out", str(tmp_path / "b"), "--images", "0"]) == 2
    source = open_source(DataConfig(str(out), "shards"), "train")
    assert np.array_equal(source.read(1).image_HWC, np.full((24, 33, 3), 20, np.uint8))

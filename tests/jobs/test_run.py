"""Shards of a job: any number of them, killed at any moment, write what one undisturbed run writes."""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att import Segmenter
from m3att.data.annotation import decode_segmentation
from m3att.errors import DataError
from m3att.jobs.manifest import Manifest
from m3att.jobs.parts import Parts
from m3att.jobs.run import Work, run_shard

MAN, DOG = "the man in red", "the dog that is not black"
BAD = 3  # lines of the manifest with an error


@pytest.fixture(scope="module")
def segmenter(tiny_model_folder: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model_folder, device="cpu")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("manifest")
    lines: list[Any] = []
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (12 + number, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append({"image": f"{number}.png", "expressions": [MAN, DOG][: 1 + number % 2], "id": f"photo {number}"})
    lines[4] = {"image": "missing.png", "expression": MAN}
    lines[9] = {"image": "9.png", "expressions": [MAN, "Quokka zyx"]}
    texts = [json.dumps(line) for line in lines]
    texts[13] = "no JSON"
    (folder / "m.jsonl").write_text("\n\n".join(texts))
    return Manifest.open(folder / "m.jsonl")


def parts_in(folder: Path, manifest: Manifest, size: int = 3) -> Parts:
    job = {"manifest_sha256": manifest.sha256, "model_sha256": "", "threshold": 0.35, "region": "all"}
    return Parts(folder, job | {"dtype": "float32", "lines": manifest.lines, "lines_a_part": size})


@pytest.fixture(scope="module")
def expected(segmenter: Segmenter, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    parts = parts_in(tmp_path_factory.mktemp("expected"), manifest)
    tally = run_shard(segmenter, manifest, parts, Work())
    assert (tally.lines, tally.bad, tally.left, parts.missing()) == (20, BAD, 0, 0)
    return list(parts.records())


def test_a_record_is_what_the_segmenter_says(expected: list[Any], segmenter: Segmenter, manifest: Manifest) -> None:
    assert [record["line"] for record in expected] == list(range(1, 40, 2))
    for number, record in enumerate(expected):
        if number in (4, 9, 13):
            continue
        scene = segmenter.encode(manifest.path.parent / record["image"])
        found = scene.segment([entry["expression"] for entry in record["predictions"]])
        assert len(found) == 1 + number % 2 and record["id"] == f"photo {number}"
        for entry, prediction in zip(record["predictions"], found, strict=True):
            assert entry == prediction.to_dict()
            assert np.array_equal(decode_segmentation(entry["segmentation"], 12 + number, 20), prediction.mask)


def test_bad_lines_say_what_is_wrong(expected: list[Any]) -> None:
    missing, partly, no_json = (expected[number] for number in (4, 9, 13))
    assert missing["error"].endswith("missing.png: no such file") and "predictions" not in missing
    assert [entry["expression"] for entry in partly["predictions"]] == [MAN]
    assert [entry["expression"] for entry in partly["errors"]] == ["Quokka zyx"]
    assert set(no_json) == {"line", "error"} and "not JSON" in no_json["error"]


@pytest.mark.parametrize(("first", "second"), [(1, 3), (4, 2)])
def test_another_number_of_shards_may_go_on(
    segmenter: Segmenter, manifest: Manifest, expected: list[Any], tmp_path: Path, first: int, second: int
) -> None:
    parts = parts_in(tmp_path, manifest)
    run_shard(segmenter, manifest, parts, Work(shard=first, shards=max(2, first)))
    assert 0 < parts.missing() < parts.count
    tallies = [run_shard(segmenter, manifest, parts, Work(number + 1, second)) for number in range(second)]
    assert list(parts.records()) == expected
    assert sum(tally.lines for tally in tallies) == 20 and sum(tally.bad for tally in tallies) == BAD


def test_batches_give_nearly_the_same_masks(
    segmenter: Segmenter, manifest: Manifest, expected: list[Any], tmp_path: Path
) -> None:
    parts = parts_in(tmp_path, manifest, size=8)
    run_shard(segmenter, manifest, parts, Work(batch_size=4))
    found = list(parts.records())
    assert [record.get("error") for record in found] == [record.get("error") for record in expected]
    for record, other in zip(found, expected, strict=True):
        for entry, alone in zip(record.get("predictions", []), other.get("predictions", []), strict=True):
            assert entry["area"] == pytest.approx(alone["area"], abs=3)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_killed_at_any_moment_no_line_is_lost_or_doubled(
    segmenter: Segmenter, manifest: Manifest, expected: list[Any], tmp_path: Path
) -> None:
    parts = parts_in(tmp_path, manifest, size=3)
    fork = multiprocessing.get_context("fork")
    chance, kills, longest = random.Random(3), 0, 0.05
    target: Callable[..., Any] = run_shard
    while before := parts.missing():
        processes = [fork.Process(target=target, args=(segmenter, manifest, parts, Work())) for _ in range(2)]
        for process in processes:
            process.start()
        time.sleep(chance.uniform(0.0, longest))
        for process in processes:
            kills += process.is_alive()
            process.kill()
            process.join()
        longest *= 1.5 if parts.missing() == before else 1.0  # a busy machine takes longer to write a part
    assert kills >= 2
    assert list(parts.records()) == expected
    assert sorted(path.name for path in parts.path(0).parent.glob("*.jsonl")) == [
        parts.path(chunk).name for chunk in range(parts.count)
    ]


def test_a_damaged_part_is_named_before_any_work(segmenter: Segmenter, manifest: Manifest, tmp_path: Path) -> None:
    parts = parts_in(tmp_path, manifest)
    parts.path(0).write_text('{"line": 1, "image": "cut')
    with pytest.raises(DataError, match=r"part-000000\.jsonl: is damaged; remove it"):
        run_shard(segmenter, manifest, parts, Work())


def test_lines_with_an_error_are_tried_again_where_asked(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps({"image": "late.png", "expression": MAN}) + "\n")
    manifest = Manifest.open(tmp_path / "m.jsonl")
    parts = parts_in(tmp_path / "out", manifest)
    assert run_shard(segmenter, manifest, parts, Work()).bad == 1
    Image.new("RGB", (9, 9)).save(tmp_path / "late.png")
    assert run_shard(segmenter, manifest, parts, Work()).bad == 1
    assert run_shard(segmenter, manifest, parts, Work(retry=True)).bad == 0
    (record,) = parts.records()
    assert record["height"] == 9 and len(record["predictions"]) == 1


def test_an_image_beyond_the_memory_is_one_bad_line(
    segmenter: Segmenter, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = segmenter.backend.encode

    def scarce(squares_BHWC: np.ndarray) -> list[Any]:
        if len(squares_BHWC) > 1 or squares_BHWC[0, 16, 16, 0] % 4 == 0:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return encode(squares_BHWC)

    monkeypatch.setattr(segmenter.backend, "encode", scarce)
    parts = parts_in(tmp_path, manifest)
    run_shard(segmenter, manifest, parts, Work(batch_size=3))
    errors = [record.get("error", "") for record in parts.records()]
    assert len(errors) == 20 and 0 < sum("memory" in error for error in errors) < 17


def test_progress_counts_lines(segmenter: Segmenter, manifest: Manifest, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    parts = parts_in(tmp_path, manifest)
    run_shard(segmenter, manifest, parts, Work(2, 2), lambda done, total: said.append((done, total)))
    assert said[0] == (0, 9) and said[-1] == (9, 9) and said == sorted(said)

"""`m3att data convert`, `m3att data mix` and own images, from the command line and as the documentation shows them."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.data.refer.records import read_refs


def test_the_example_of_the_documentation_runs(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert block is not None
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(line) for line in block[1].splitlines()]
    assert [words[:2] for words in commands] == [
        ["m3att", "data"], ["m3att", "data"], ["m3att", "train"], ["m3att", "evaluate"]
    ]  # fmt: skip
    for words in commands:
        assert main(words[1:]) == 0
    out = capsys.readouterr().out
    assert "25 images: mine/expressions.jsonl" in out
    assert re.search(r"jsonl val; \d+ expressions on 5 images; pixels: photos", out)


def test_the_lines_of_the_documentation_are_read(repository: Path, tmp_path: Path) -> None:
    from m3att.data.own.source import open_jsonl

    page = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (\{\"image\".*\})$", page, re.MULTILINE)
    (tmp_path / "own.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "photos").mkdir()
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", (100, 100)).save(tmp_path / "photos" / name)
    assert list(open_jsonl(tmp_path / "own.jsonl", "train").texts()) == [
        "the cup on the left", "the plate", "الطبق", "the fork",
    ]  # fmt: skip
    assert list(open_jsonl(tmp_path / "own.jsonl", "val").texts()) == ["a cup"]


def test_scores_print_what_they_leave_out(
    shaperef: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "data",
                "convert",
                str(shaperef / "shaperef"),
                "--to",
                "coco",
                "--out",
                str(tmp_path / "own"),
                "--copy-images",
            ]
        )
        == 0
    )
    picture = sorted((tmp_path / "own" / "images").glob("shaperef_val_*"))[0]
    picture.write_bytes(picture.read_bytes()[:300])
    words = ["evaluate", "--model", str(small_run / "last"), "--data.root", str(tmp_path / "own")]
    words += ["--data.dataset", "coco", "--json", str(tmp_path / "scores.json")]
    capsys.readouterr()
    assert main(words) == 1
    out = capsys.readouterr().out
    found = json.loads((tmp_path / "scores.json").read_text())
    left_out = found["left_out"]
    assert f"{left_out['expressions']} expressions left out, unreadable" in out
    assert f"left out: {picture}: " in out
    assert found["images"] == 2
    assert main([*words, "--data.fault_limit", "0"]) == 2
    assert capsys.readouterr().err.startswith(f"m3att: error: {picture}: ")


def test_convert_tells_what_it_could_not_take_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"image": f"{number}.png", "expression": "x", "mask": [0, 0, 9, 0, 9, 9]} for number in range(7)]
    (tmp_path / "own.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    assert (
        main(
            [
                "data",
                "convert",
                str(tmp_path / "own.jsonl"),
                "--to",
                "coco",
                "--out",
                str(tmp_path / "o"),
                "--copy-images",
            ]
        )
        == 1
    )
    out = capsys.readouterr().out
    assert out.count("fault: ") == 5
    assert "... and 2 more" in out


def test_mix_prints_its_proof(shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "mix", f"{shaperef}:shaperef:unc", "--out", str(tmp_path / "mix")]
    assert main(words) == 2
    assert "has no testA, testB" in capsys.readouterr().err
    assert main([*words, "--incomplete"]) == 0
    out = capsys.readouterr().out
    assert "0 training images that any of these" in out
    assert f"--data.root {tmp_path / 'mix'} --data.dataset mix --data.split_by union" in out
    assert json.loads((tmp_path / "mix" / "mix.json").read_text())["train_leaks"] == 0
    words = ["evaluate", "--floor", "largest", "--data.root", str(tmp_path / "mix"), "--data.dataset", "mix"]
    assert main([*words, "--data.split_by", "union"]) == 0
    assert "mix val (union)" in capsys.readouterr().out


def test_mix_says_by_its_exit_code_that_something_was_left_out(
    shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(shaperef / "shaperef", root / "shaperef")
    path = root / "shaperef" / "instances.json"
    instances = json.loads(path.read_text())
    named = {ref["ann_id"] for ref in read_refs(root / "shaperef" / "refs(unc).p")[0] if ref["split"] == "train"}
    lost = min(named)
    kept = [entry for entry in instances["annotations"] if entry["id"] != lost]
    path.write_text(json.dumps({**instances, "annotations": kept}))
    words = ["data", "mix", f"{root}:shaperef:unc", "--incomplete", "--out", str(tmp_path / "mix")]
    assert main([*words, "--fault-limit", "0"]) == 2
    assert "more than --fault-limit 0: mend them, or allow more" in capsys.readouterr().err
    assert main(words) == 1
    assert f"names annotation {lost}, which its image does not have" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data convert nowhere --to coco --out o", "nowhere: no such file or folder"),
        ("data convert nowhere.jsonl --to coco --out o", "nowhere.jsonl: no such file or folder"),
        ("data convert a --to yaml --out o", "argument --to: invalid choice: 'yaml'"),
        ("data convert a --to coco", "the following arguments are required: --out"),
        ("data mix refcoco --out o", "'refcoco' names no data set: write ROOT:DATASET:SPLIT_BY"),
        ("data mix a:refcoco a:refcoco:unc --out o", "a data set is named twice"),
        ("data mix a:refcoco b/../a:refcoco --out o", "a data set is named twice"),
        ("data mix a:refcoco --hold-out a:refcoco --out o", "a data set is named twice"),
        ("data mix a:phrasecut --out o", "phrasecut cannot be mixed"),
        ("data mix a:refcoco --out o --fault-limit -1", "--fault-limit must be at least 0"),
        ("evaluate --floor largest --protocol lavt --evaluate.protocol vlt", "--protocol is short for --evaluate.pro"),
        ("data mix a:refcoco --out o", "a/refcoco/refs(unc).p: cannot be read"),
        ("evaluate --floor largest --data.dataset jsonl", "data set 'jsonl' is your own: give its file or folder"),
        ("evaluate --floor largest --data.dataset hf --data.root x", "pip install 'm3att[datasets]'"),
        ("train --preset shaperef-tiny --out run --data.fault_limit -1", "data.fault_limit: -1 is out of range"),
    ],
)
def test_misuse_is_answered_in_one_line(
    line: str, message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "hf" in line:
        monkeypatch.setitem(sys.modules, "datasets", None)  # as where it is not installed
    monkeypatch.chdir(tmp_path)
    assert message in refused(*line.split())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_gives_one_line_and_leaves_nothing(shaperef: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the system refuses the rest of a write alike."""
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); from m3att.app.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["data", "convert", str(shaperef / "shaperef"), "--to", "jsonl", "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", limited, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("m3att: error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_finds_no_room_does_not_blame_the_photo(
    shaperef: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    def full(source: Path, target: Path) -> None:  # as shutil.copyfile does it
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    words = ["data", "convert", str(shaperef / "shaperef"), "--to", "jsonl", "--out", str(tmp_path / "out")]
    assert refused(*words, "--copy-images") == "No space left on device: make room, or name another place to write to"
    assert list(tmp_path.iterdir()) == []


def test_what_is_said_of_half_a_letter_can_be_printed(tmp_path: Path) -> None:
    """A file name in JSON may hold half an emoji, and a terminal may know no letters but ASCII's."""
    lines = [
        {"image": "\ud83d.png", "expression": "x", "mask": None},
        {"image": "ا.png", "expression": "x", "mask": None},
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["data", "convert", str(tmp_path / "own.jsonl"), "--to", "coco", "--out", str(tmp_path / "out")]
    code = "import sys; from m3att.app.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert "fault: " in done.stdout and "\\ud83d.png" in done.stdout and "\\u0627.png" in done.stdout


def test_figures_of_nothing_are_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    data = {
        "images": [{"id": 1, "file_name": "gone.png"}],
        "annotations": [{"id": 1, "image_id": 1, "expression": "x", "segmentation": [[1, 1, 9, 1, 9, 9]]}],
    }
    (tmp_path / "own.json").write_text(json.dumps(data))
    (tmp_path / "gone.png").touch()
    words = ["evaluate", "--floor", "largest", "--data.dataset", "coco", "--data.root", str(tmp_path / "own.json")]
    assert "not one expression could be scored: " in (told := refused(*words)) and "gone.png: the file is empty" in told


def test_the_floor_says_what_was_left_out_at_the_opening(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "0.png")
    outline = {"segmentation": [[1, 1, 9, 1, 9, 9]]}
    data = {
        "images": [{"id": 1, "file_name": "0.png"}, {"id": 2, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [
            {"id": 1, "image_id": 1, "expression": "x", **outline},
            {"id": 2, "image_id": 2, "expressions": ["y", "z"], **outline},
        ],
    }
    (tmp_path / "own.json").write_text(json.dumps(data))
    (tmp_path / "gone.png").touch()
    words = ["evaluate", "--floor", "largest", "--data.dataset", "coco", "--data.root", str(tmp_path / "own.json")]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "1 expression on 1 image" in out and "2 expressions left out" in out
    assert "image id 2 stands twice: a.png, b.png" in out

"""`m3att predict`: what it writes, under which names, and how it goes on past what is bad."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m3att.app import predictions as predict
from m3att.app.console import print_columns
from m3att.app.predictions import run_predict
from m3att.data.annotation import decode_segmentation
from m3att.errors import ConfigError, ImageError, ModelError, WriteError
from m3att.segmenter import Segmenter

MAN, DOG = "the man in red", "the dog that is not black"


@pytest.fixture
def park(tmp_path: Path) -> Path:
    return make_image(tmp_path / "park.png", 60, 40)


def make_image(path: Path, width: int = 30, height: int = 20) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.effect_noise((width, height), 80).convert("RGB").save(path)
    return path


def read_report(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_masks_overlays_and_report_of_one_image(
    park: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out"
    assert run_predict([park], [MAN, DOG], model=str(tiny_model_folder), out=out, device="cpu") == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "park_1_the-man-in-red_mask.png",
        "park_1_the-man-in-red_overlay.png",
        "park_2_the-dog-that-is-not-black_mask.png",
        "park_2_the-dog-that-is-not-black_overlay.png",
        "predictions.json",
    ]
    report = read_report(out / "predictions.json")
    assert report["model"] == str(tiny_model_folder)
    assert report["threshold"] == 0.35
    assert report["errors"] == []
    (entry,) = report["images"]
    assert (entry["image"], entry["size"]) == (str(park), [40, 60])
    assert [found["expression"] for found in entry["predictions"]] == [MAN, DOG]
    for found in entry["predictions"]:
        with Image.open(out / found["mask"]) as picture:
            written = np.asarray(picture)
        assert written.shape == (40, 60) and written.dtype == np.uint8
        assert set(np.unique(written)) <= {0, 255}
        assert np.array_equal(written > 0, decode_segmentation(found["segmentation"], 40, 60))
        assert found["area"] == (written > 0).sum()
        assert 0 <= found["score"] <= 1
        assert found["box"] is None or len(found["box"]) == 4
        assert (found["unknown_words"], found["words_cut"]) == ([], 0)
        with Image.open(out / found["overlay"]) as picture:
            assert picture.width >= 280
    printed = capsys.readouterr()
    assert MAN in printed.out and "park_1_the-man-in-red_overlay.png" in printed.out
    assert printed.out.splitlines()[-1] == str(out / "predictions.json")
    # These weights know no photos, and one line says so.
    (note,) = printed.err.splitlines()
    assert "a world of its own" in note and "docs/training.md" in note and "--model" in note


def test_threshold_and_json_path_are_taken(park: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    report_path = tmp_path / "reports" / "found.json"
    model = str(tiny_model_folder)
    assert run_predict([park], [MAN], model, tmp_path / "out", report_path, threshold=0.99) == 0
    report = read_report(report_path)
    assert report["threshold"] == 0.99
    (found,) = report["images"][0]["predictions"]
    assert (found["box"], found["score"], found["area"]) == (None, 0.0, 0)
    assert (report_path.parent / found["mask"]).resolve() == tmp_path / "out" / "park_1_the-man-in-red_mask.png"
    assert not (tmp_path / "out" / "predictions.json").exists()
    with pytest.raises(ConfigError, match="threshold"):
        run_predict([park], [MAN], model, tmp_path / "out", threshold=1.5)


def test_a_batch_goes_on_past_bad_images_and_expressions(
    park: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(park.read_bytes()[:300])
    images = [
        tmp_path / "missing.png",
        park,
        tmp_path / "empty.png",
        tmp_path / "cut.png",
        make_image(tmp_path / "b.png"),
    ]
    out = tmp_path / "out"
    assert run_predict(images, [MAN, "", "zyx quokka", DOG], str(tiny_model_folder), out) == 1
    report = read_report(out / "predictions.json")
    assert [Path(entry["image"]).name for entry in report["images"]] == ["park.png", "b.png"]
    # Numbers are those of the command line, whatever was left out.
    assert (out / "b_4_the-dog-that-is-not-black_mask.png").is_file()
    note, *faults = capsys.readouterr().err.splitlines()
    assert note.startswith("m3att: note")
    assert len(faults) == len(report["errors"]) == 5
    for fault, word in zip(faults, ("no word", "quokka", "missing.png", "empty.png", "cut.png"), strict=True):
        assert fault.startswith("m3att: error: ") and word in fault


def test_only_bad_images_still_give_a_report(tiny_model_folder: Path, tmp_path: Path) -> None:
    assert run_predict([tmp_path / "a.png", tmp_path / "b.png"], [MAN], str(tiny_model_folder), tmp_path / "out") == 1
    assert len(read_report(tmp_path / "out" / "predictions.json")["errors"]) == 2


def test_the_only_image_being_bad_is_an_error_of_one_line(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageError, match=r"missing\.png: no such file"):
        run_predict([tmp_path / "missing.png"], [MAN], str(tiny_model_folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr() == ("", "")  # the command line prints the error, and nothing stands beside it


def test_no_readable_expression_is_an_error(
    park: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_predict([park], ["quokka"], str(tiny_model_folder), tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "quokka" in line
    assert not (tmp_path / "out").exists()


def test_what_was_not_read_is_told(
    park: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_predict([park], ["the quokka in red", "cat " * 10_000], str(tiny_model_folder), tmp_path) == 0
    printed = capsys.readouterr().out
    assert "unknown: quokka" in printed and "last 9,992 words not read" in printed
    first, second = read_report(tmp_path / "predictions.json")["images"][0]["predictions"]
    assert (first["unknown_words"], second["words_cut"]) == (["quokka"], 9992)


def test_what_was_read_as_another_word_is_told(
    park: Path, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_predict([park], ["the quokka and the mans"], str(tiny_model_folder), tmp_path) == 0
    assert "read 'mans' as 'man'; unknown: quokka" in capsys.readouterr().out
    (found,) = read_report(tmp_path / "predictions.json")["images"][0]["predictions"]
    assert found["read_as"] == {"mans": "man"} and "mans" not in found["unknown_words"]


def test_a_bad_model_is_an_error(park: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        run_predict([park], [MAN], str(tmp_path / "nowhere"), tmp_path / "out")


def test_same_names_in_several_folders_do_not_collide(tiny_model_folder: Path, tmp_path: Path) -> None:
    images = [
        make_image(tmp_path / "a" / "x.png"),
        make_image(tmp_path / "b" / "x.png", 40),
        make_image(tmp_path / "b" / "X.bmp", 50),
        make_image(tmp_path / "b" / "x-2.png", 60),
    ]
    images.append(images[0])
    out = tmp_path / "out"
    assert run_predict(images, [MAN, "The man, in RED!"], str(tiny_model_folder), out) == 0
    entries = read_report(out / "predictions.json")["images"]
    files = [found[kind] for entry in entries for found in entry["predictions"] for kind in ("mask", "overlay")]
    assert len({name.casefold() for name in files}) == len(files) == 5 * 2 * 2
    for entry in entries:
        for found in entry["predictions"]:
            with Image.open(out / found["mask"]) as picture:
                assert [picture.height, picture.width] == entry["size"]


def test_no_input_is_written_over(tiny_model_folder: Path, tmp_path: Path) -> None:
    first = make_image(tmp_path / "park.png")
    masked = make_image(tmp_path / "park_1_the-man-in-red_mask.png", 50)
    linked = tmp_path / "link.png"
    linked.symlink_to(make_image(tmp_path / "link_1_the-man-in-red_mask.png", 44))
    before = {path: path.read_bytes() for path in (first, masked, linked)}
    names = ["park.png", masked.name, "link.png"]
    assert run_predict([tmp_path / name for name in names], [MAN], str(tiny_model_folder), tmp_path) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "park-2_1_the-man-in-red_mask.png").is_file()
    with pytest.raises(ConfigError, match="is an input"):
        run_predict([first], [MAN], str(tiny_model_folder), tmp_path, json_path=tmp_path / "." / "park.png")


@pytest.mark.parametrize(
    "expression", ["../../man in red", "größter man", "man " * 500, "man\n[red]man[/red]", "狗 man"]
)
def test_any_expression_and_image_name_make_files(tiny_model_folder: Path, tmp_path: Path, expression: str) -> None:
    image = make_image(tmp_path / f"{'ü' * 100} [b].png")
    out = tmp_path / "out"
    assert run_predict([image], [expression], str(tiny_model_folder), out) == 0
    assert len(list(out.iterdir())) == 3


def test_a_run_killed_in_between_leaves_no_half_picture(
    park: Path, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert run_predict([park], [MAN], str(tiny_model_folder), out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    save = Image.Image.save

    def fail(self: Image.Image, path: Path, **options: Any) -> None:
        save(self, path, **options)
        path.write_bytes(path.read_bytes()[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(WriteError, match=r"mask\.png: cannot be written \(No space left"):
        run_predict([park], [MAN], str(tiny_model_folder), out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_picture_that_cannot_be_written_does_not_end_the_batch(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    images = [make_image(tmp_path / f"{name}.png") for name in "abc"]
    (out / "b_2_the-dog-that-is-not-black_mask.png").mkdir(parents=True)
    assert run_predict(images, [MAN, DOG], str(tiny_model_folder), out) == 1
    report = read_report(out / "predictions.json")
    assert [len(entry["predictions"]) for entry in report["images"]] == [2, 1, 2]  # what was written is named
    (fault,) = report["errors"]
    assert "b_2_the-dog-that-is-not-black_mask.png: cannot be written" in fault
    assert fault in capsys.readouterr().err
    assert not list(out.glob("*.part"))


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_an_image_that_memory_does_not_hold_does_not_end_the_batch(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    images = [make_image(tmp_path / f"{name}.png") for name in "ab"]
    encode = Segmenter.encode

    def exhausted(self: Segmenter, image: Any) -> Any:
        if Path(image).name == "a.png":
            raise error
        return encode(self, image)

    monkeypatch.setattr(Segmenter, "encode", exhausted)
    assert run_predict(images, [MAN], str(tiny_model_folder), tmp_path / "out") == 1
    report = read_report(tmp_path / "out" / "predictions.json")
    assert [entry["image"] for entry in report["images"]] == [str(images[1])]
    assert report["errors"] == [f"{images[0]}: too large for the memory that is left; shrink it first"]


def test_another_fault_of_the_network_is_not_taken_for_a_lack_of_memory(
    park: Path, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Segmenter, image: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Segmenter, "encode", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run_predict([park], [MAN], str(tiny_model_folder), tmp_path / "out")


def test_a_report_that_cannot_be_written_is_said_before_the_work(
    park: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    for path, place in ((tmp_path, tmp_path), (park / "deep" / "a.json", park), (Path(), Path())):
        with pytest.raises(WriteError, match=f"{place}: cannot be written .*; give another --json"):
            run_predict([park], [MAN], str(tiny_model_folder), tmp_path / "out", json_path=path)
    assert not (tmp_path / "out").exists()


def test_control_characters_are_shown_and_not_sent(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = make_image(tmp_path / "new\nline.png")
    assert run_predict([image], ["the man\x1b[31m in red", ""], str(tiny_model_folder), tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err and "the man\\x1b[31m in red" in printed.out


def test_an_output_folder_that_is_a_file_is_named(park: Path, tiny_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(WriteError, match="taken: cannot be written"):
        run_predict([park], [MAN], str(tiny_model_folder), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_long_table_is_cut(
    park: Path,
    tiny_model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predict, "ROWS_SHOWN", 2)
    assert run_predict([park], ["man", "red man", "dog"], str(tiny_model_folder), tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "... and 1 more" in printed and "3_dog" not in printed


def test_names_that_are_no_unicode_are_printed_somehow(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        make_image(tmp_path / "good.png").rename(image)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    assert run_predict([image, make_image(tmp_path / "b.png")], [MAN], str(tiny_model_folder), tmp_path / "out") == 0
    capsys.readouterr().out.encode()


def test_columns_are_folded_where_the_terminal_is_too_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["狗", "1"], ["[bold]a\tlong expression[/]", "22"]]
    print_columns(["expression", "score"], rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "expression" + 17 * " " + "  score",
        "狗" + 25 * " " + "  1",  # a Chinese letter takes two places
        "[bold]a\\tlong expression[/]  22",
    ]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "34")
    print_columns(["expression", "score"], rows)
    assert capsys.readouterr().out.splitlines() == lines
    monkeypatch.setenv("COLUMNS", "20")
    print_columns(["expression", "score"], rows)
    folded = capsys.readouterr().out
    assert len(folded.splitlines()) > 3 and "[bold]" in folded

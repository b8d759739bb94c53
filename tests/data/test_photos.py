"""Photos are found under the names that annotation tools give them, and in the folder that holds most of them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from m3att.data.photos import PhotoFolder, fullest_folder, shared_ends, spellings


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "train/a b.jpg",
        "./a b.jpg",
        "../elsewhere/a b.jpg",
        "/home/somebody/data/a b.jpg",
        "C:\\Users\\me\\photos\\a b.jpg",
        "photos\\a b.jpg",
        "https://storage.example/bucket/a%20b.jpg?token=1",
        "s3://bucket/folder/a b.jpg",
        "file:///home/me/a b.jpg",
        "/data/local-files/?d=photos/a%20b.jpg",
        "a%20b.jpg",
        "/data/upload/3/0a1b2c3d-a b.jpg",
    ],
)
def test_the_base_name_at_hand_is_found(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "a b.jpg")
    assert PhotoFolder(tmp_path).file(name) == tmp_path / "a b.jpg"
    assert not PhotoFolder(tmp_path).has(name.replace("b.jpg", "c.jpg"))


@pytest.mark.parametrize(("written", "stored"), [("x/a.JPG", "a.jpg"), ("a.jpg", "a.JPG"), ("a.Png", "a.png")])
def test_endings_in_capitals(tmp_path: Path, written: str, stored: str) -> None:
    touch(tmp_path / stored)
    assert PhotoFolder(tmp_path).file(written) in (tmp_path / stored, tmp_path / written)  # systems that see no case
    assert PhotoFolder(tmp_path).has(written)


def test_names_are_not_looked_up_where_no_picture_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "refcoco/instances.json", tmp_path / "refcoco/refs(unc).p")
    asked: list[str] = []
    monkeypatch.setattr(PhotoFolder, "find", lambda self, name: asked.append(name))
    names = [f"{number}.jpg" for number in range(10_000)]
    assert fullest_folder([tmp_path / "refcoco"], names) is None
    assert len(asked) < 100
    touch(tmp_path / "refcoco/inner/7.jpg")
    assert fullest_folder([tmp_path / "refcoco"], names) is None
    assert len(asked) > 10_000


def test_the_whole_name_goes_before_its_end(tmp_path: Path) -> None:
    touch(tmp_path / "val/1.jpg", tmp_path / "1.jpg", tmp_path / "0a1b2c3d-1.jpg")
    folder = PhotoFolder(tmp_path)
    assert folder.file("val/1.jpg") == tmp_path / "val/1.jpg"
    assert folder.file("x\\val\\1.jpg") == tmp_path / "val/1.jpg"
    assert folder.file("train/1.jpg") == tmp_path / "1.jpg"
    assert folder.file("0a1b2c3d-1.jpg") == tmp_path / "0a1b2c3d-1.jpg"
    assert folder.file("train/2.jpg") == tmp_path / "train/2.jpg"  # where it would be


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_another_system(tmp_path: Path, written: str, stored: str) -> None:
    name = "café.jpg"
    touch(tmp_path / unicodedata.normalize(stored, name))
    assert PhotoFolder(tmp_path).has(unicodedata.normalize(written, name))


def test_names_that_no_system_takes_are_not_there(tmp_path: Path) -> None:
    assert not PhotoFolder(tmp_path).has("x" * 5000)
    assert not PhotoFolder(tmp_path).has("a\0b.jpg")


@settings(max_examples=200)
@given(st.text(min_size=1))
@example("/À")
@example("/photos%2F1.JPG")
@example("%2e%2e/1.jpg")
def test_any_text_has_spellings(name: str) -> None:
    found = spellings(name)
    assert found[0] == name
    assert all(not one.startswith("/") and ".." not in one.split("/") for one in found[1:])


@pytest.mark.parametrize("missing", [0, 1, 70, 139])
def test_no_single_photo_decides(tmp_path: Path, missing: int) -> None:
    names = [f"{number}.jpg" for number in range(140)]
    touch(*(tmp_path / "images" / name for name in names))
    touch(tmp_path / names[missing])  # a lone copy in a likelier folder
    (tmp_path / "images" / names[missing]).unlink()
    found = fullest_folder([tmp_path, tmp_path / "images", tmp_path / "nowhere"], names)
    assert found == PhotoFolder(tmp_path / "images")


def test_a_few_photos_of_many_are_found_too(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(1000)]
    touch(tmp_path / "images" / "501.jpg")
    assert fullest_folder([tmp_path, tmp_path / "images"], names) == PhotoFolder(tmp_path / "images")
    assert fullest_folder([tmp_path], names) is None


def test_whole_names_decide_between_folders(tmp_path: Path) -> None:
    touch(tmp_path / "images/train/1.jpg", tmp_path / "images/val/1.jpg")
    candidates = [tmp_path / "images/val", tmp_path / "images"]
    assert fullest_folder(candidates, ["train/1.jpg"]) == PhotoFolder(tmp_path / "images")


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["a/1.jpg", "b/1.jpg", "b/2.jpg"], {"1.jpg"}),
        (["1.jpg", "b/1.jpg"], {"1.jpg"}),
        (["/x/a/c/1.jpg", "/x/b/c/1.jpg"], {"c/1.jpg", "1.jpg"}),
        (["a\\1.JPG", "b/1.jpg"], {"1.JPG", "1.jpg"}),
        (["/data/upload/1/0a1b2c3d-1.jpg", "/data/upload/1/1a1b2c3d-1.jpg"], {"1.jpg"}),
        (["https://host.example/a/1%202.jpg?t=1", "https://host.example/b/1%202.jpg?t=2"], {"1 2.jpg"}),
        (["/data/local-files/?d=a/1.jpg", "/data/local-files/?d=b/1.jpg"], {"1.jpg"}),
        (["https://host.example/a/1.jpg?t=1", "https://host.example/a/1.jpg?t=2"], set()),  # one photo
        (["./1.jpg", "1.jpg"], set()),
        (["a/1.jpg", "a/1.jpg", "a/2.jpg"], set()),
    ],
)
def test_ends_that_several_photos_share(names: list[str], shared: set[str]) -> None:
    assert {end for end in shared_ends(names) if "." in end} >= shared
    assert bool(shared_ends(names)) == bool(shared)


def test_a_file_that_may_be_any_of_several_photos_is_none_of_them(tmp_path: Path) -> None:
    names = [f"{folder}/{number}.jpg" for folder in ("left", "right") for number in range(9)]
    touch(*(tmp_path / "images" / name for name in names if name != "right/4.jpg"))
    candidates = [tmp_path / "images/left", tmp_path / "images", tmp_path / "images/right"]
    for prefix in ("", "/home/me/"):
        folder = fullest_folder(candidates, [prefix + name for name in names])
        assert folder is not None and folder.path == tmp_path / "images"
        lost = [name for name in names if folder.find(prefix + name) != tmp_path / "images" / name]
        assert lost == ["right/4.jpg"] and not folder.has(prefix + lost[0])
    touch(*(tmp_path / f"flat/{number}.jpg" for number in range(9)))
    assert fullest_folder([tmp_path / "flat"], names) is None
    found = fullest_folder([tmp_path / "flat"], names[:9])  # without the others it is clear
    assert found is not None and found.file("left/4.jpg") == tmp_path / "flat/4.jpg"

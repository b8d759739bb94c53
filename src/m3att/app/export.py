"""`m3att export`: a model as ONNX graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, printable
from m3att.app.predict import looks_like_image
from m3att.errors import ConfigError, counted


def export(words: Sequence[str], prog: str) -> int:
    """`m3att export`."""
    parser = CommandParser(
        prog, "Write a model as two ONNX graphs, which ONNX Runtime runs without PyTorch. See docs/onnx.md."
    )
    parser.add_argument("model", metavar="MODEL", help="a bundled model, a folder or a Hub id")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=Path, metavar="DIR", help="new folder for the graphs; they contain the weights")
    place.add_argument(
        "--in-place",
        action="store_true",
        help="write the graphs into MODEL's own folder; they read the weights from the file there",
    )
    parser.add_argument(
        "--int8",
        nargs="+",
        type=Path,
        metavar="PHOTO",
        help="let the image encoder compute in 8 bits, calibrated on these photos: files, or folders of them",
    )
    given = parser.parse_args(list(words))
    photos = find_photos(given.int8 or [])

    from m3att.export.folder import export_model
    from m3att.export.graphs import OPSET

    written = export_model(given.model, given.out, photos)
    print(f"{printable(str(written.folder))}: ONNX graphs of opset {OPSET}")
    print(f"compared with PyTorch: at most {100 * written.differ:.3f} % of the pixels of a mask differ")
    if written.loss is not None:
        print(f"8 bits on {counted(len(photos), 'photo')}: features differ by {100 * written.loss:.1f} % from float32")
    return 0


def find_photos(places: Sequence[Path]) -> list[Path]:
    """The photos that files and folders name, in the order of their names.

    Raises:
        ConfigError: where a folder holds none.
    """
    found: list[Path] = []
    for place in places:
        inside = sorted(path for path in place.iterdir() if looks_like_image(path.name)) if place.is_dir() else [place]
        if not inside:
            raise ConfigError(f"{place}: holds no photos; name photos to calibrate on")
        found += inside
    return found

"""The commands that need no settings of a run: predict, models, and those on data sets.

PyTorch and all that stands on it are imported inside the commands, so that help and errors come at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from errno import EACCES, EISDIR, ENOTDIR
from pathlib import Path
from typing import Any, NoReturn
from unicodedata import category

from m3att.errors import ConfigError, WriteError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
SHAPEREF_IMAGES = {"train": 4000, "val": 500, "testA": 500, "testB": 500}


class CommandParser(argparse.ArgumentParser):
    """A parser whose every complaint is a ConfigError of one line."""

    def __init__(self, prog: str, description: str, **options: Any) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Replace argparse's usage text."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def predict(words: Sequence[str], prog: str) -> int:
    """`m3att predict`."""
    parser = CommandParser(
        prog,
        "Write the mask of what each expression names, for each image: PNG masks, overlays and predictions.json.",
        usage=f'{prog} IMAGE [IMAGE ...] "EXPRESSION" ["EXPRESSION" ...] --out DIR [OPTION ...]',
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="IMAGE | EXPRESSION",
        help="the first is an image; of the others, files and what looks like one are images, the rest expressions",
    )
    parser.add_argument("--images", nargs="+", metavar="IMAGE", help="the images; all other words are expressions then")
    parser.add_argument(
        "--model", default="bundled", help="a bundled model, a folder or a Hub id (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the JSON instead of DIR")
    parser.add_argument(
        "--threshold", type=float, help="probability over which a pixel is masked (default: the model's)"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: %(default)s)")
    given = parser.parse_intermixed_args(list(words))
    images, expressions = (given.images, given.words) if given.images else split_words(given.words)
    if not images or not expressions:
        taken = f"; {images[-1]!r} was taken for an image: tell the images by --images" if len(images) > 1 else ""
        parser.error(f"{'an expression' if images else 'an image'} is missing{taken}")

    from m3att.app.predict import run_predict

    return run_predict(
        images,
        expressions,
        model=given.model,
        out=given.out,
        json_path=given.json,
        threshold=given.threshold,
        device=given.device,
    )


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell images from expressions.

    Args:
        words: as they stand on the command line.

    Returns:
        Images: the first word, and every other that is a file or looks like one. Expressions: the rest.
    """
    images = [word for number, word in enumerate(words) if number == 0 or looks_like_image(word)]
    expressions = [word for number, word in enumerate(words) if number > 0 and not looks_like_image(word)]
    return images, expressions


def looks_like_image(word: str) -> bool:
    """Whether a word is a file, ends like an image's name, or is a path."""
    path = Path(word)
    # People write "the man/woman" too, but hardly without a blank.
    is_path = "/" in word and not any(letter.isspace() for letter in word)
    return is_path or path.suffix.lower() in IMAGE_SUFFIXES or (len(word) < 256 and path.is_file())


def models(words: Sequence[str], prog: str) -> int:
    """`m3att models`."""
    CommandParser(prog, "List the models that come with the package; --model takes their names.").parse_args(words)

    from m3att.report.tables import plain_table
    from m3att.weights.models import BUNDLED, CONFIG, DEFAULT_MODEL, bundled_models

    rows = []
    for name in bundled_models():
        size = sum(path.stat().st_size for path in (BUNDLED / name).iterdir())
        config = json.loads((BUNDLED / name / CONFIG).read_text(encoding="utf-8"))
        default = " (bundled)" if name == DEFAULT_MODEL else ""
        rows.append((name + default, f"{size / 1e6:.1f} MB", config.get("world") or "photos"))
    if not rows:
        print("no model comes with this installation; train one: m3att train --preset shaperef-tiny-hour --out RUN")
        return 0
    show(plain_table(("model", "size", "knows"), rows))
    return 0


def data_shaperef(words: Sequence[str], prog: str) -> int:
    """`m3att data shaperef`."""
    counts = ",".join(f"{split}={count}" for split, count in SHAPEREF_IMAGES.items())
    parser = CommandParser(
        prog, "Draw ShapeRef to disk, in the layout that RefCOCO comes in. The same seed, the same bytes."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="root of the data sets")
    parser.add_argument(
        "--variant",
        choices=("shaperef", "shaperef+", "shaperefg"),
        default="shaperef",
        help="short expressions; those without words of place; long ones (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        type=images_per_split,
        default=SHAPEREF_IMAGES,
        metavar="N",
        help=f"images of every split, or those of single splits (default: {counts})",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another data set (default: %(default)s)")
    parser.add_argument("--size", type=int, default=160, help="side of the pictures in pixels (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier ShapeRef of other settings in DIR")
    given = parser.parse_args(words)

    from m3att.data.shaperef.writer import write_refer

    with progress_bar("drawing") as progress:
        write_refer(given.out, given.variant, given.images, given.seed, given.size, progress, given.overwrite)
    print(f"{sum(given.images.values()):,} images of {given.variant} in {given.out}")
    return 0


def images_per_split(text: str) -> dict[str, int]:
    """Read `500` or `train=4000,val=500`."""
    if text.isdecimal():
        return dict.fromkeys(SHAPEREF_IMAGES, int(text))
    counts: dict[str, int] = {}
    for part in text.split(","):
        split, _, count = part.partition("=")
        if split not in SHAPEREF_IMAGES or not count.isdecimal():
            raise argparse.ArgumentTypeError(f"{part!r} is neither a number nor like train=4000")
        if split in counts:
            raise argparse.ArgumentTypeError(f"{split} stands twice")
        counts[split] = int(count)
    return counts


def data_check(words: Sequence[str], prog: str) -> int:
    """`m3att data check`: exit code 1 where the data set has a fault."""
    parser = CommandParser(prog, "Compare a published data set with what was published, and find its faults.")
    parser.add_argument("root", type=Path, help="folder that holds the data set; docs/datasets.md lists the layouts")
    known = "refcoco, refcoco+, refcocog, refclef, grefcoco, phrasecut, shaperef ..."
    parser.add_argument("--dataset", required=True, help=known)
    parser.add_argument("--split-by", help="unc, google, umd or berkeley (default: the data set's usual one)")
    parser.add_argument("--image-root", type=Path, help="folder of the photos (default: looked for)")
    parser.add_argument("--read", action="store_true", help="read every photo to its end too, which takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    given = parser.parse_args(words)

    from m3att.data.refer.check import check_dataset
    from m3att.data.refer.splits import default_split_by
    from m3att.report.datasets import remarks_of, words_table
    from m3att.report.tables import faults_of, splits_table

    if given.json is not None:
        probe_file(given.json, "--json")
    split_by = given.split_by or default_split_by(given.dataset)
    with progress_bar("reading") if given.read else nullcontext() as progress:
        report = check_dataset(given.root, given.dataset, split_by, given.image_root, progress)
    values = report.to_dict()
    if given.json is not None:
        write_json(given.json, values)
    print(
        f"{report.dataset} ({report.split_by}): {report.annotations:,} annotations, {report.crowds:,} of them crowds; "
        f"pixels: {report.pixels}; expressions are cut at {report.word_limit} words"
    )
    found = report.image_root if report.pixels == "photos" else "none found"
    print(f"annotations: {report.annotation_root}; photos: {found}")
    show(splits_table(values))
    show(words_table(values))
    for remark in remarks_of(values):
        print(f"note: {remark}")
    for fault in faults_of(values):
        print(f"fault: {fault}")
    if report.pixels == "photos" and not given.read:
        print("note: no photo was opened; --read reads each to its end")
    print("sound" if report.is_sound else "not sound: see the faults above")
    return 0 if report.is_sound else 1


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file in one step; its folder is made where it is missing."""
    from m3att.files import replace_file

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(values, indent=1) + "\n").encode())


def probe_file(path: Path, option: str) -> None:
    """Make sure, as far as can be told, that a file can be written, before the work whose result it takes.

    Raises:
        WriteError: names the option that should say another.
    """
    folder = path.parent
    while not (folder.exists() or folder.is_symlink()):
        folder = folder.parent
    if path.is_dir():
        place, fault = path, EISDIR
    elif not folder.is_dir():
        place, fault = folder, ENOTDIR
    elif not os.access(folder, os.W_OK | os.X_OK):
        place, fault = folder, EACCES
    else:
        return
    raise WriteError(f"{place}: cannot be written ({os.strerror(fault)}); give another {option}")


def printable(text: str) -> str:
    """A text whose control characters, as names and expressions may hold, are shown and not obeyed by a terminal.

    File names may hold bytes that are no UTF-8; each becomes a question mark.
    """
    shown = (letter if category(letter) != "Cc" else letter.encode("unicode_escape").decode() for letter in text)
    return "".join(shown).encode(errors="replace").decode()


def show(table: Any) -> None:
    """Print a rich table; where the output is no terminal, wide enough that nothing wraps."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=140, color_system=None)
    console.print(table)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is moved by calling (done, total); nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)

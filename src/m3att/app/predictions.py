"""What `m3att predict` does: writes masks, overlays and one JSON file for images and expressions."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from PIL import Image

from m3att.app.console import is_output, print_columns, printable, probe_file, progress_bar, write_json
from m3att.device import is_lack_of_memory
from m3att.errors import ConfigError, ExpressionError, ImageError, WriteError, counted
from m3att.files import is_stream, replacing
from m3att.inputs import shorten
from m3att.model_folder import DEFAULT_MODEL, has_graphs
from m3att.prediction import Prediction
from m3att.segmenter import Scene, Segmenter

ROWS_SHOWN = 40  # of the table; the JSON has all
LABEL_BYTES, SLUG_LENGTH = 120, 40  # together well below the 255 bytes of a file name

Expression = tuple[int, str]  # its number on the command line, from 1, and its text
Files = tuple[Path, Path]  # mask and overlay


def run_predict(
    images: Sequence[str | Path],
    expressions: Sequence[str],
    model: str = "bundled",
    out: Path = Path("out"),
    json_path: Path | None = None,
    threshold: float | None = None,
    device: str = "auto",
    backend: str = "auto",
    region: str | None = None,
) -> int:
    """Segment each expression in each image and write what was found.

    Writes OUT/<image>_<n>_<expression>_mask.png (0 and 255, the image's own size), .._overlay.png, and one JSON file.
    Bad images and expressions are left out and reported at the end. An input is never written over.

    Args:
        images: files.
        expressions: asked of every image.
        model: see `Segmenter.from_pretrained`.
        out: folder, made where it is missing.
        json_path: the JSON file; None: OUT/predictions.json.
        threshold: probability over which a pixel belongs to a mask; None: the model's own.
        device: see `Segmenter.from_pretrained`.
        backend: `onnx`, `pytorch`, or `auto`: `onnx` where the model has an ONNX form and the device may be the CPU. It
            starts in a fraction of the time, because it loads no PyTorch.
        region: see `Scene.segment`; None: the model's own.

    Returns:
        0; or 1 where some images or expressions were bad; or 2 where no expression is left.

    Raises:
        M3AttError: where nothing can be done: a bad model, device, threshold or folder, or the only image is bad.
    """
    paths = [Path(image) for image in images]
    report_path = json_path or out / "predictions.json"
    base = Path() if is_stream(report_path) else report_path.parent
    inputs = {key for path in paths for key in file_keys(path)}
    if file_keys(report_path) & inputs:
        raise ConfigError(f"{report_path}: is an input; give another --json")
    if backend == "auto" and device in ("auto", "cpu") and has_graphs(model):
        backend = "onnx"
    segmenter = Segmenter.from_pretrained(model, device, backend=backend)
    good, faults = check_expressions(segmenter, expressions)
    if not good:
        return complain(faults, 2)
    option = "--json" if json_path else "--out"
    probe_file(report_path, option)
    names = name_files(paths, good, out, inputs | file_keys(report_path))
    entries: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    with progress_bar("predict") if len(paths) > 1 else nullcontext(ignore_progress) as progress:
        for done, (path, files) in enumerate(zip(paths, names, strict=True), start=1):
            try:
                scene = segmenter.encode(path)
                # Added to the report before its masks are written, so that the report names what was written.
                entries.append({"image": str(path), "size": list(scene.image.shape[:2]), "predictions": []})
                predict_image(entries[-1], scene, good, files, (threshold, region), base, rows)
            except (ImageError, WriteError) as error:
                if len(paths) == 1 and not rows:
                    complain(faults, 2)
                    raise
                faults.append(str(error))
            except (MemoryError, RuntimeError) as error:
                if not is_lack_of_memory(error):
                    raise
                faults.append(f"{path}: too large for the memory that is left; shrink it first")
            progress(done, len(paths))
    report = {
        "model": DEFAULT_MODEL if model == "bundled" else model,
        "threshold": segmenter.threshold if threshold is None else threshold,
        "region": region or segmenter.region,
        "images": entries,
        "errors": faults,
    }
    make_folder(report_path.parent)
    write(report_path, lambda: write_json(report_path, report), option)
    if entries and segmenter.world:
        advice = "for photos give --model photo (docs/photos.md), or train a model of your own (docs/training.md)"
        print(f"m3att: note: this model knows {printable(segmenter.world)}; {advice}", file=sys.stderr)
    print_rows(rows, many_images=len(paths) > 1)
    print(f"{printable(str(out))}: {counted(len(rows), 'mask')} and {counted(len(rows), 'overlay')}")
    if not is_output(report_path):
        print(printable(str(report_path)))
    return complain(faults, 1) if faults else 0


def check_expressions(segmenter: Segmenter, expressions: Sequence[str]) -> tuple[list[Expression], list[str]]:
    """The expressions that the model can read, with their numbers, and a line on each of the others."""
    good: list[Expression] = []
    faults: list[str] = []
    for number, text in enumerate(expressions, start=1):
        try:
            segmenter.check(text)
        except ExpressionError as error:
            faults.append(str(error))
        else:
            good.append((number, text))
    return good, faults


def predict_image(
    entry: dict[str, Any],
    scene: Scene,
    expressions: Sequence[Expression],
    files: Sequence[Files],
    decision: tuple[float | None, str | None],
    base: Path,
    rows: list[tuple[str, ...]],
) -> None:
    """Write the masks and overlays of one image.

    Args:
        entry: the image's of the JSON, which gets its predictions.
        scene: the image, encoded.
        expressions: what to find.
        files: where to write, one pair an expression.
        decision: threshold and region of the masks, each None for the model's own.
        base: folder that the JSON's file names are relative to.
        rows: gets a row of the printed table for each expression.

    Raises:
        WriteError: where a file cannot be written.
    """
    make_folder(files[0][0].parent)
    # Streamed: the masks of many expressions on a large image would not fit into memory together.
    stream = scene.stream([text for _, text in expressions], *decision)
    for prediction, (mask_path, overlay_path) in zip(stream, files, strict=True):
        write_picture(mask_path, prediction.mask_picture())
        write_picture(
            overlay_path, prediction.overlay(), level=1
        )  # it is for looking; level 6 takes as long as all else
        where = {"mask": os.path.relpath(mask_path, base), "overlay": os.path.relpath(overlay_path, base)}
        entry["predictions"].append(prediction.to_dict() | where)
        rows.append((entry["image"], *describe(prediction), str(overlay_path)))


def describe(prediction: Prediction) -> tuple[str, str, str, str, str]:
    """Expression, score, area, box and notes for the table."""
    notes = []
    if prediction.read_as:
        notes.append("read " + shorten(", ".join(f"{typed!r} as {known!r}" for typed, known in prediction.read_as)))
    if prediction.unknown_words:
        notes.append("unknown: " + shorten(", ".join(prediction.unknown_words), 40))
    if prediction.words_cut:
        notes.append(f"last {counted(prediction.words_cut, 'word')} not read")
    box = "empty mask" if prediction.box is None else ", ".join(map(str, prediction.box))
    area = f"{100 * prediction.area / prediction.mask.size:.1f} %"
    return shorten(prediction.expression), f"{prediction.score:.2f}", area, box, "; ".join(notes)


def print_rows(rows: Sequence[tuple[str, ...]], many_images: bool) -> None:
    """Print the table without empty columns."""
    if not rows:
        return
    heads = ("image", "expression", "score", "area", "box", "notes", "overlay")
    said = {"expression", "score", "area", "box", "overlay"}
    said |= {"image"} if many_images else set()
    said |= {"notes"} if any(row[heads.index("notes")] for row in rows) else set()
    columns = [number for number, head in enumerate(heads) if head in said]
    print_columns(
        [heads[column] for column in columns], [[row[column] for column in columns] for row in rows[:ROWS_SHOWN]]
    )
    if len(rows) > ROWS_SHOWN:
        print(f"... and {len(rows) - ROWS_SHOWN} more")


def name_files(
    images: Sequence[Path], expressions: Sequence[Expression], out: Path, reserved: set[str]
) -> list[list[Files]]:
    """Names for all that will be written, no two alike and none of the reserved ones.

    Args:
        images: inputs; several may have the same name in different folders.
        expressions: what will be asked of each.
        out: folder of the names.
        reserved: `file_keys` of what must not be written over.

    Returns:
        For each image a pair of names an expression.
    """
    used: set[str] = set()
    named = []
    for image in images:
        stem = re.sub(r"[^\w.-]+", "-", image.stem).encode()[:LABEL_BYTES].decode(errors="ignore") or "image"
        number = 1
        while True:
            label = stem if number == 1 else f"{stem}-{number}"
            files = [file_pair(out, label, expression) for expression in expressions]
            # Some file systems do not distinguish A from a.
            if label.casefold() not in used and not any(file_keys(file) & reserved for pair in files for file in pair):
                break
            number += 1
        used.add(label.casefold())
        named.append(files)
    return named


def file_pair(out: Path, label: str, expression: Expression) -> Files:
    """Mask and overlay of an expression.

    Args:
        out: folder to write to.
        label: of the image; empty where there is one image.
        expression: its number and text.
    """
    number, text = expression
    plain = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", errors="ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:SLUG_LENGTH].strip("-") or "expression"
    start = f"{label}_{number}_{slug}"
    return out / f"{start}_mask.png", out / f"{start}_overlay.png"


def file_keys(path: Path) -> set[str]:
    """What two paths to one file have in common: the place of its name, and of what a link behind that leads to."""
    return {os.path.join(os.path.realpath(path.parent), path.name).casefold(), os.path.realpath(path).casefold()}


def make_folder(folder: Path) -> None:
    """Make a folder.

    Raises:
        WriteError: if that is not possible.
    """
    write(folder, lambda: folder.mkdir(parents=True, exist_ok=True))


def write_picture(path: Path, picture: Image.Image, level: int = 6) -> None:
    """Write a PNG so that a reader sees the old file or the new, never a part.

    Args:
        path: the file.
        picture: what to write.
        level: of compression, 0 to 9.

    Raises:
        WriteError: if that is not possible.
    """

    def replace() -> None:
        with replacing(path) as part:
            picture.save(part, format="PNG", compress_level=level)

    write(path, replace)


def write(path: Path, action: Callable[[], object], option: str = "--out") -> None:
    """Do what writes a path, and say which one it was where it fails.

    Args:
        path: of the file or folder.
        action: writes it.
        option: that the message names.

    Raises:
        WriteError: where it cannot be written.
    """
    try:
        action()
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror or error}); give another {option}") from error


def complain(faults: Iterable[str], code: int) -> int:
    """Print a line for each fault on stderr; returns the exit code."""
    for fault in faults:
        print(f"m3att: error: {printable(' '.join(fault.split()))}", file=sys.stderr)
    return code


def ignore_progress(done: int, total: int) -> None:
    """Show nothing, because one image takes no time."""

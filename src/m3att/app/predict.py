"""`m3att predict`: which words are images and which are expressions."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import JSON_HELP, CommandParser

# Those that cannot be read are in it too: they are no expressions either.
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
IMAGE_SUFFIXES |= {".avif", ".heic", ".heif", ".jxl"}


def predict(words: Sequence[str], prog: str) -> int:
    """`m3att predict`."""
    parser = CommandParser(
        prog,
        "Find the object that each expression names, in each image. Write the masks as PNG, overlays, and "
        "predictions.json.",
        usage=f'{prog} IMAGE [IMAGE ...] "EXPRESSION" ["EXPRESSION" ...] --out DIR [OPTION ...]\n'
        f"       {prog} --manifest FILE --out DIR [--shard I/N] [OPTION ...]",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="IMAGE | EXPRESSION",
        help="images and expressions in any order, the first an image; a word that looks like a file name is an image",
    )
    parser.add_argument(
        "--images", nargs="+", metavar="IMAGE", help="name the images here; all other words are then expressions"
    )
    parser.add_argument(
        "--model",
        default="bundled",
        help="a bundled model, a folder or a Hub id (default: %(default)s, which is photo)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"write the results to this file instead of DIR/predictions.json{JSON_HELP}",
    )
    parser.add_argument(
        "--threshold", type=float, help="probability over which a pixel belongs to the mask (default: the model's)"
    )
    parser.add_argument(
        "--region",
        choices=("all", "peak"),
        help="which of the pixels over the threshold are the mask: all of them, or only the connected region around "
        "the most probable pixel (default: the model's)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: %(default)s)")
    parser.add_argument(
        "--backend",
        choices=("auto", "onnx", "pytorch"),
        help="what runs the network (default: auto: onnx if MODEL has an ONNX form and --device is not cuda, else "
        "pytorch)",
    )
    job = parser.add_argument_group("batch jobs", "Many images, each with expressions of its own; see docs/batch.md.")
    job.add_argument(
        "--manifest", type=Path, metavar="FILE", help="a JSON Lines file; each line is an image and its expressions"
    )
    job.add_argument(
        "--shard", metavar="I/N", help="divide the manifest into N shares, and process the I-th (default: 1/1)"
    )
    job.add_argument(
        "--format",
        choices=("jsonl", "coco", "parquet", "label_studio", "cvat"),
        help="format of the results (default: jsonl)",
    )
    job.add_argument(
        "--image-url", metavar="URL", help="for label_studio: address to put before the path of each image"
    )
    job.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="number type to compute in (default: float32)"
    )
    job.add_argument(
        "--batch-size", type=int, metavar="N", help="images that go through the network at once (default: 1)"
    )
    job.add_argument(
        "--lines-a-part",
        type=int,
        metavar="N",
        help="lines in a part; a killed process loses at most one part (default: 64)",
    )
    job.add_argument("--retry", action="store_true", help="process again the parts that contain an error")
    given = parser.parse_intermixed_args(list(words))
    if given.manifest is not None:
        return predict_manifest(parser, given)
    for option in JOB_OPTIONS:
        if getattr(given, option):
            parser.error(f"--{option.replace('_', '-')} needs --manifest")
    images, expressions = (given.images, given.words) if given.images else split_words(given.words)
    if not images or not expressions:
        taken = f"; {images[-1]!r} was taken for an image; name the images with --images" if len(images) > 1 else ""
        parser.error(f"{'an expression' if images else 'an image'} is missing{taken}")

    from m3att.app.predictions import run_predict

    return run_predict(
        images,
        expressions,
        model=given.model,
        out=given.out,
        json_path=given.json,
        threshold=given.threshold,
        device=given.device,
        backend=given.backend or "auto",
        region=given.region,
    )


JOB_OPTIONS = ("shard", "format", "image_url", "dtype", "batch_size", "lines_a_part", "retry")
"""Options that only a batch job has."""


def predict_manifest(parser: CommandParser, given: Namespace) -> int:
    """`m3att predict --manifest`.

    Args:
        parser: complains.
        given: the options.
    """
    if given.words or given.images:
        parser.error("--manifest: give images and expressions in the manifest, not on the command line")
    if given.json is not None:
        parser.error("--json cannot be used with --manifest; the results are in --out")

    from m3att.app.manifest import Options, run_manifest

    names = ("model", "threshold", "region", "device", "backend", *JOB_OPTIONS)
    chosen = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return run_manifest(Options(given.manifest, given.out, **chosen))


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
    # An expression may contain a slash ("the man/woman"), but hardly without a space.
    is_path = "/" in word and not any(letter.isspace() for letter in word)
    return is_path or path.suffix.lower() in IMAGE_SUFFIXES or (len(word) < 256 and path.is_file())

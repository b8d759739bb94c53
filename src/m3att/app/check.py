"""`m3att data check`: a data set beside what was published, and its faults."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from m3att.app.console import JSON_HELP, CommandParser, probe_file, progress_bar, show, write_json
from m3att.errors import counted

if TYPE_CHECKING:
    from m3att.data.own.source import CustomSource


def data_check(words: Sequence[str], prog: str) -> int:
    """`m3att data check`: exit code 1 where the data set has a fault."""
    parser = CommandParser(
        prog,
        "Find faults in a data set: of a published one, compare its counts with the published ones; of your own, "
        "look through the files.",
    )
    parser.add_argument(
        "root",
        type=Path,
        metavar="ROOT",
        help="folder of the data set, or your own file or folder (see docs/datasets.md)",
    )
    from m3att.data.fields import OWN_FORMS

    known = (
        "refcoco, refcoco+, refcocog, refclef, grefcoco, phrasecut, shaperef ..., any other data set in the REFER "
        f"layout, or the form of your own data: {', '.join(OWN_FORMS)}"
    )
    parser.add_argument("--dataset", required=True, help=known)
    parser.add_argument("--split-by", help="unc, google, umd or berkeley (default: the data set's usual one)")
    parser.add_argument(
        "--image-root", type=Path, help="folder of the photos (default: m3att looks for it near the annotations)"
    )
    parser.add_argument(
        "--expression-field",
        metavar="NAME",
        help="for your own data: the field of the expressions, as --data.expression_field of m3att train",
    )
    parser.add_argument("--read", action="store_true", help="also decode every photo, which takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write the report to this file{JSON_HELP}")
    given = parser.parse_args(words)

    from m3att.data.open import OWN
    from m3att.data.own.check import check_own
    from m3att.data.refer.check import check_dataset
    from m3att.data.refer.tables import find_split_by
    from m3att.report.datasets import remarks_of, words_table
    from m3att.report.tables import faults_of, splits_table

    if given.json is not None:
        probe_file(given.json, "--json")
    with progress_bar("reading") if given.read else nullcontext() as progress:
        if given.dataset in OWN:
            if given.split_by is not None:
                parser.error(f"--split-by: {given.dataset} has no authors of splits to choose from; leave it out")
            report = check_own(given.dataset, given.root, opener(given), progress)
        else:
            if given.expression_field is not None:
                parser.error(f"--expression-field: {given.dataset} has its expressions in the refs file; leave it out")
            split_by = find_split_by(given.root, given.dataset, given.split_by)
            report = check_dataset(given.root, given.dataset, split_by, given.image_root, progress)
    values = report.to_dict()
    if given.json is not None:
        write_json(given.json, values)
    print(
        f"{report.dataset} ({report.split_by}): {counted(report.annotations, 'annotation')}, "
        f"{report.crowds:,} of them crowds; pixels: {report.pixels}; expressions are cut at {report.word_limit} words"
    )
    wanted = sum(split.images for split in report.splits.values())
    missing = sum(split.missing_images.count for split in report.splits.values())
    place = report.image_root if report.pixels == "photos" else "none found"
    print(f"annotations: {report.annotation_root}; photos: {place}")
    print(f"photos of all splits: {wanted - missing:,} found, {missing:,} missing")
    show(splits_table(values))
    show(words_table(values))
    for remark in remarks_of(values):
        print(f"note: {remark}")
    for fault in faults_of(values):
        print(f"fault: {fault}")
    if report.pixels == "photos" and not given.read:
        print("note: no photo was opened; --read decodes every photo")
    print("sound" if report.is_sound else "not sound: see the faults above")
    return 0 if report.is_sound else 1


def opener(given: Namespace) -> Callable[[str], CustomSource]:
    """Opens splits of one's own data as training does.

    Args:
        given: the options of `data check`.

    Raises:
        ConfigError: when a split is opened whose records are not of this project's own forms.
    """
    from m3att.config import DataConfig
    from m3att.data.open import open_source
    from m3att.data.own.source import CustomSource
    from m3att.errors import ConfigError

    image_root = None if given.image_root is None else str(given.image_root)
    data = DataConfig(str(given.root), given.dataset, image_root=image_root, expression_field=given.expression_field)

    def open_split(split: str) -> CustomSource:
        source = open_source(data, split)
        if not isinstance(source, CustomSource):
            raise ConfigError(
                f"data check cannot look through data set {given.dataset!r}: it can read only the forms that come "
                f"with m3att"
            )
        return source

    return open_split

"""One training set of several data sets that share photos, without a photo that any of them is scored on."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from m3att.data.fields import NO_OBJECT
from m3att.data.mix.parts import Holders, Part, coco_number, find_holders, photo_of
from m3att.data.mix.report import MixReport, PartReport, tally
from m3att.data.own.content import Content, json_bytes, new_folder
from m3att.data.own.convert import write_refer_content
from m3att.data.own.read import read_refer_content
from m3att.data.refer.places import family_of
from m3att.data.refer.records import collector_paused
from m3att.errors import DataError, counted

DATASET, SPLIT_BY = "mix", "union"


def mix(
    parts: Sequence[Part],
    out: Path,
    incomplete: bool = False,
    copy_images: bool = False,
    fault_limit: int = 10,
    image_root: Path | None = None,
) -> MixReport:
    """Writes a root of the REFER layout with the data set ``mix`` (split by ``union``).

    Train holds the training referents of all data sets on photos that none of them has in another split; val the
    validation referents on photos that none of them has in a test split. What is written is read back and compared with
    the held-out photos once more; ``mix.json`` and ``mix.md`` beside it tell the outcome.

    Args:
        parts: the data sets.
        out: the new root.
        incomplete: go on where a data set's file lacks a split; its photos cannot be removed then.
        copy_images: copy the photos; else their folders are linked.
        fault_limit: most referents that are left out for want of their annotations.
        image_root: folder of the photos of all of them; None: looked for.

    Raises:
        DataError: where a data set cannot be read or is incomplete, has more faults than that, the root is not new, or
            a leak is found.
    """
    with collector_paused():
        holders = find_holders(parts)
        lacking = [f"{part.name} has no {', '.join(holders.absent[part])}" for part in parts if holders.absent[part]]
        if lacking and not incomplete:
            raise DataError(
                f"{'; '.join(lacking)}: their photos are unknown and cannot be removed; give files that hold them, or "
                "--incomplete to go on without"
            )
        with new_folder(out) as folder:
            mixture = Mixture(holders, folder / "images" / DATASET, copy_images, image_root)
            reports: list[PartReport] = []
            faults = 0
            for part in parts:
                reports.append(mixture.add(part))
                faults += len(reports[-1].left_out)
                if faults > fault_limit:
                    raise DataError(
                        f"{reports[-1].left_out[-1]}; {counted(faults, 'referent')} without an annotation of "
                        f"their own, more than --fault-limit {fault_limit}: mend them, or allow more"
                    )
            if not any(ref["split"] == "train" for ref in mixture.refs):
                what = ", or its annotation is missing" if faults else ""
                raise DataError(f"no training referent is left: each one's photo is held out by a data set{what}")
            write_refer_content(mixture.content(), folder)
            report = prove(folder, tuple(reports), holders)
            (folder / "mix.json").write_bytes(json_bytes(report.to_dict()) + b"\n")
            (folder / "mix.md").write_text(report.to_markdown(), encoding="utf-8")
    return report


class Mixture:
    """Collects what is safe, under ids of its own where those of two data sets collide.

    Args:
        holders: the photos that are scored on.
        photos: where photos go, a folder a family.
        copy_images: copy them; else their folders are linked.
        image_root: folder of the photos of all data sets; None: looked for.
    """

    def __init__(self, holders: Holders, photos: Path, copy_images: bool, image_root: Path | None = None) -> None:
        self.holders, self.photos, self.copy_images, self.image_root = holders, photos, copy_images, image_root
        self.refs: list[dict[str, Any]] = []
        self.sentences = 0
        self.images: dict[str, dict[str, Any]] = {}  # by photo
        self.annotations: dict[int, dict[str, Any]] = {}
        self.categories: dict[str, dict[str, Any]] = {}  # by name
        self.more: dict[str, Any] = {}

    def add(self, part: Part) -> PartReport:
        """Takes in what is safe of a data set."""
        content = read_refer_content(part.refs_file.parent, part.split_by, self.image_root)
        safe = [ref for ref in content.refs if part.trains and self.is_safe(part, ref)]
        faults = find_faults(safe, content.instances["annotations"])
        kept = [ref for ref, fault in zip(safe, faults, strict=True) if fault is None]
        left_out = tuple(f"{part.name}: {fault}" for fault in faults if fault is not None)
        report = self._report(part, content.refs, kept, left_out)
        if kept:
            photos = {ref["image_id"] for ref in kept}
            images = self._add_images(part, content, photos)
            categories = self._add_categories(content)
            annotations = self._add_annotations(content, images, categories)
            for ref in kept:
                self._add_ref(part, ref, images, categories, annotations)
            for key in ("info", "licenses"):
                if content.instances.get(key):
                    self.more.setdefault(key, content.instances[key])
        return report

    def is_safe(self, part: Part, ref: Mapping[str, Any]) -> bool:
        """Whether a referent may be trained on, or validated on."""
        photo = photo_of(part, ref["image_id"])
        if ref["split"] == "train":
            return photo not in self.holders.scored
        return ref["split"] == "val" and photo not in self.holders.tested

    def content(self) -> Content:
        """All that was taken in."""
        instances = {
            **self.more,
            "images": list(self.images.values()),
            "annotations": list(self.annotations.values()),
            "categories": list(self.categories.values()),
        }
        return Content(self.refs, instances, self.photos, DATASET, SPLIT_BY)

    def _report(
        self,
        part: Part,
        refs: Sequence[Mapping[str, Any]],
        kept: Sequence[Mapping[str, Any]],
        left_out: tuple[str, ...],
    ) -> PartReport:
        before, after = (
            {s: tally([r for r in some if r["split"] == s]) for s in ("train", "val")} for some in (refs, kept)
        )
        held: dict[str, set[int]] = {}
        for ref in refs:
            if ref["split"] != "train":
                held.setdefault(ref["split"], set()).add(ref["image_id"])
        training = {photo_of(part, ref["image_id"]) for ref in refs if ref["split"] == "train" and part.trains}
        removed = Counter(name for photo in training for name in self.holders.scored.get(photo, ()))
        return PartReport(
            part.name,
            part.trains,
            {split: len(images) for split, images in held.items()},
            self.holders.absent[part],
            before["train"],
            after["train"],
            before["val"],
            after["val"],
            dict(sorted(removed.items())),
            left_out,
        )

    def _add_images(self, part: Part, content: Content, wanted: set[int]) -> dict[int, int]:
        """Takes in photos; returns their new ids by the old ones."""
        family = family_of(part.dataset)
        taken = {entry["id"] for entry in self.images.values()}
        free = count(max({*taken, *wanted}) + 1)
        numbers: dict[int, int] = {}
        if content.image_root.is_dir() and not self.copy_images and not (self.photos / family).exists():
            self.photos.mkdir(parents=True, exist_ok=True)
            (self.photos / family).symlink_to(content.image_root.resolve(), target_is_directory=True)
        for entry in content.instances["images"]:
            if entry["id"] not in wanted:
                continue
            photo, name = photo_of(part, entry["id"]), entry.get("file_name")
            if not isinstance(name, str):
                raise DataError(f"{part.name}: image {entry['id']} has no 'file_name'")
            if family == "coco" and coco_number(name) != entry["id"]:
                raise DataError(f"{part.name}: image {entry['id']} is named {name!r}, another photo of COCO")
            if photo not in self.images:
                number = entry["id"] if entry["id"] not in taken else next(free)
                taken.add(number)
                path = content.image_file(name)
                found = path.relative_to(content.image_root).as_posix() if path.is_file() else name
                if self.copy_images and path.is_file():
                    (self.photos / family / found).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, self.photos / family / found)
                told = {"photo": photo, "id": entry["id"], "file_name": name}
                self.images[photo] = {**entry, "id": number, "file_name": f"{family}/{found}", "extra": told}
            numbers[entry["id"]] = self.images[photo]["id"]
        lost = wanted - numbers.keys()
        if lost:
            raise DataError(f"{part.name}: instances.json lacks image {min(lost)} that its referents name")
        return numbers

    def _add_categories(self, content: Content) -> dict[Any, int]:
        numbers: dict[Any, int] = {}
        taken = {entry["id"] for entry in self.categories.values()}
        for entry in content.instances["categories"]:
            name = str(entry.get("name"))
            if name not in self.categories:
                number = entry["id"] if entry["id"] not in taken else max(taken) + 1
                taken.add(number)
                self.categories[name] = {**entry, "id": number}
            numbers[entry["id"]] = self.categories[name]["id"]
        return numbers

    def _add_annotations(
        self, content: Content, images: Mapping[int, int], categories: Mapping[Any, int]
    ) -> dict[Any, int]:
        """Takes in all annotations of photos; one that another data set has brought already is not taken twice."""
        numbers: dict[Any, int] = {}
        known = {*self.annotations, *(entry["id"] for entry in content.instances["annotations"])}
        free = count(max((id_ for id_ in known if isinstance(id_, int)), default=0) + 1)
        for entry in content.instances["annotations"]:
            if entry["image_id"] not in images:
                continue
            own = {**entry, "image_id": images[entry["image_id"]]}
            if "category_id" in entry:
                own["category_id"] = categories.get(entry["category_id"], entry["category_id"])
            number = entry["id"] if isinstance(entry["id"], int) else None
            if number is None or self.annotations.get(number, own) != own:
                number = next(free)
            numbers[entry["id"]] = number
            self.annotations[number] = {**own, "id": number}
        return numbers

    def _add_ref(
        self,
        part: Part,
        ref: Mapping[str, Any],
        images: Mapping[int, int],
        categories: Mapping[Any, int],
        annotations: Mapping[Any, int],
    ) -> None:
        named, category = ref["ann_id"], ref.get("category_id")
        every = named if isinstance(named, list) else [named]
        numbers = [annotations.get(one, NO_OBJECT) for one in every]
        sentences = [{**s, "sent_id": self.sentences + at} for at, s in enumerate(ref["sentences"], start=1)]
        self.sentences += len(sentences)
        told = {"dataset": part.dataset, "split_by": part.split_by, "ref_id": ref["ref_id"]}
        told["sent_ids"] = [sentence["sent_id"] for sentence in ref["sentences"]]
        self.refs.append({
            **ref,
            "ref_id": len(self.refs) + 1,
            "ann_id": numbers if isinstance(named, list) else numbers[0],
            "image_id": images[ref["image_id"]],
            "category_id": category if isinstance(category, list) else categories.get(category, category),
            "sent_ids": [sentence["sent_id"] for sentence in sentences],
            "sentences": sentences,
            "extra": {**ref.get("extra", {}), "from": told},
        })  # fmt: skip


def find_faults(refs: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """What is wrong with each referent's annotations, in a line: one is not there, or not once. None: nothing."""
    images: dict[Any, list[Any]] = {}
    for entry in annotations:
        images.setdefault(entry["id"], []).append(entry["image_id"])
    faults: list[str | None] = []
    for ref in refs:
        named = ref["ann_id"] if isinstance(ref["ann_id"], list) else [ref["ann_id"]]
        lost = [one for one in named if images.get(one) != [ref["image_id"]]] if named != [NO_OBJECT] else []
        fault = None
        if lost:  # which of two is meant, nobody can know
            what = "stands twice" if len(images.get(lost[0], ())) > 1 else "its image does not have"
            fault = f"referent {ref['ref_id']} names annotation {lost[0]}, which {what}"
        faults.append(fault)
    return faults


def prove(root: Path, reports: tuple[PartReport, ...], holders: Holders) -> MixReport:
    """Reads what was written, and counts every photo in it that is scored on.

    Args:
        root: that was written.
        reports: what was taken of each part.
        holders: which photos each part has, and in which split.

    Raises:
        DataError: where there is one, or an annotation is missing.
    """
    written = read_refer_content(root / DATASET, SPLIT_BY)
    photos: dict[int, str] = {}
    for entry in written.instances["images"]:
        number = coco_number(entry["file_name"])  # from the name, whatever id it was given
        is_coco = entry["file_name"].startswith("coco/")
        photos[entry["id"]] = f"coco {number}" if is_coco else entry["extra"]["photo"]
    splits = {split: [ref for ref in written.refs if ref["split"] == split] for split in ("train", "val")}
    train_leaks = {photos[ref["image_id"]] for ref in splits["train"]} & holders.scored.keys()
    val_leaks = {photos[ref["image_id"]] for ref in splits["val"]} & holders.tested
    if train_leaks or val_leaks:
        raise DataError(f"the mixture leaks {len(train_leaks)} + {len(val_leaks)} photos: this is a bug, report it")
    return MixReport(reports, tally(splits["train"]), tally(splits["val"]), len(train_leaks), len(val_leaks))

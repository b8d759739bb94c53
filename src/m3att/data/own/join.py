"""Several files of one data set, one a split, as one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from m3att.data.annotation import as_path
from m3att.data.fields import plain_id
from m3att.data.own.content import NO_CATEGORY, Content, new_sentence, without
from m3att.data.own.entries import GIVEN
from m3att.data.own.files import with_found_names
from m3att.data.refer.records import sentence_text


def joined(contents: Sequence[Content], root: Path) -> Content:
    """The records of several files as those of one. All ids are numbered anew, since files number from 1 each.

    Args:
        contents: of annotation tools' files, with the folders of their photos; the splits are stated.
        root: the folder that the photos' names start from then.

    Returns:
        The records; categories of one name are one.
    """
    whole = _Whole(root)
    for content in contents:
        whole.add(with_found_names(content))
    rest = without(contents[0].instances, "images", "annotations", "categories")
    instances = {**rest, "images": whole.images, "annotations": whole.annotations, "categories": whole.categories}
    every_object = all(content.every_object for content in contents)
    faults = {reason: cost for content in contents for reason, cost in content.faults.items()}
    return Content(whole.refs, instances, root, every_object=every_object, faults=faults)


class _Whole:
    """The records so far.

    Args:
        root: see `joined`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.categories: list[dict[str, Any]] = []
        self.refs: list[dict[str, Any]] = []
        self._kinds: dict[str, int] = {}
        self._sentences = 0

    def add(self, content: Content) -> None:
        """Takes the records of a file behind those that are there."""
        kinds = {entry["id"]: self._kind(entry) for entry in content.instances["categories"]}
        images = self._numbered(content.instances["images"], self.images)
        annotations = self._numbered(content.instances["annotations"], self.annotations)
        folder = os.path.relpath(content.image_root, self._root)
        for entry in self.images[len(self.images) - len(content.instances["images"]) :]:
            if isinstance(name := entry.get("file_name"), str) and name:
                entry["file_name"] = PurePosixPath(os.path.normpath(Path(folder, name))).as_posix()
        for entry in self.annotations[len(self.annotations) - len(content.instances["annotations"]) :]:
            entry["image_id"] = images[entry["image_id"]]
            entry["category_id"] = kinds.get(entry.get("category_id"), NO_CATEGORY["id"])
            if isinstance(mask := entry.get("segmentation"), str):
                entry["segmentation"] = self._mask_file(mask, content)
        for ref in content.refs:
            sentences = []
            for sentence in ref["sentences"]:
                self._sentences += 1
                sentences.append(new_sentence(self._sentences, sentence_text(sentence)))
            self.refs.append({
                "ref_id": len(self.refs) + 1,
                "ann_id": annotations[ref["ann_id"]],
                "image_id": images[ref["image_id"]],
                "category_id": kinds.get(ref.get("category_id"), NO_CATEGORY["id"]),
                "split": ref["split"],
                "sent_ids": [sentence["sent_id"] for sentence in sentences],
                "sentences": sentences,
            })  # fmt: skip

    def _kind(self, entry: Mapping[str, Any]) -> int:
        """The number of a category."""
        if entry == NO_CATEGORY:
            if NO_CATEGORY not in self.categories:
                self.categories.insert(0, NO_CATEGORY)
            return int(NO_CATEGORY["id"])
        name = str(entry.get("name"))
        if name not in self._kinds:
            self._kinds[name] = len(self._kinds) + 1
            self.categories.append({**without(entry, GIVEN), "id": self._kinds[name]})
        return self._kinds[name]

    @staticmethod
    def _numbered(entries: Sequence[Mapping[str, Any]], all_of_them: list[dict[str, Any]]) -> dict[Any, int]:
        """Takes entries with new numbers; returns these by the old ones."""
        numbers: dict[Any, int] = {}
        for entry in entries:
            number = len(all_of_them) + 1
            numbers.setdefault(plain_id(entry["id"]), number)
            all_of_them.append({**without(entry, GIVEN), "id": number})
        return numbers

    def _mask_file(self, mask: str, content: Content) -> str:
        """The name of a mask's file from the root on; a text that names no file stays as it is."""
        places = (folder / as_path(mask) for folder in content.mask_roots)
        found = next((path for path in places if len(mask) < 256 and path.is_file()), None)
        return mask if found is None else Path(os.path.relpath(found, self._root)).as_posix()

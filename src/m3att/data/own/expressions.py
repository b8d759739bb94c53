"""Where annotation tools keep the expression of an object, and how it gets to the place where it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from m3att.data.fields import TEXT_FIELDS
from m3att.errors import DataError, shown

EXPRESSION_FIELDS = tuple(dict.fromkeys((*TEXT_FIELDS, "description")))
"""Fields of an annotation, and attributes of a label, that hold expressions; the first that holds a text is read."""

CATEGORY = "category"
"""The word that asks for the names of categories as expressions."""


def lines_of(value: Any) -> list[str]:
    """The expressions of a text, one a line, or of a list of texts; empty ones do not count."""
    texts = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return [line.strip() for text in texts if isinstance(text, str) for line in text.splitlines() if line.strip()]


def found_expressions(values: Mapping[str, Any], field: str | None = None) -> list[str]:
    """The expressions among the fields of an object.

    Args:
        values: the fields.
        field: the one that holds them; None: the first of EXPRESSION_FIELDS that holds a text, in capitals or not.
    """
    by_name = {str(name).lower(): value for name, value in values.items()}
    names = EXPRESSION_FIELDS if field is None else (field.lower(),)
    return next((lines for name in names if (lines := lines_of(by_name.get(name)))), [])


def with_attributes(data: Mapping[str, Any], path: Path, field: str | None = None) -> dict[str, Any]:
    """A COCO json whose expressions stand in the field ``expressions`` of its annotations.

    CVAT writes the attributes of a label into ``attributes``, where the expression is one of them, and calls every
    brush stroke a crowd, which it is not. Darwin writes the text of an object into ``extra``, and calls every object of
    several outlines a crowd.

    Args:
        data: a COCO json.
        path: of its file, for messages.
        field: the field, or attribute, that holds the expressions; ``category`` for the names of the categories. None:
            the usual names.

    Raises:
        DataError: where no annotation has an expression.
    """
    entries: list[Any] = data["annotations"]
    objects = [entry for entry in entries if isinstance(entry, dict)]
    categories = {
        entry["id"]: entry.get("name")
        for entry in data.get("categories") or []
        if isinstance(entry, dict) and isinstance(entry.get("id"), int | str)
    }
    # What is no object stays in its place: its reader tells of it.
    annotations = [
        _with_expressions(entry, categories, field) if isinstance(entry, dict) else entry for entry in entries
    ]
    told = (entry for entry in annotations if isinstance(entry, dict))
    if objects and not any(name in entry for entry in told for name in EXPRESSION_FIELDS):
        raise _no_expressions(path, (_attributes(entry) for entry in objects), field)
    return {**data, "annotations": annotations}


def no_expressions(path: Path, names: Iterable[str], field: str | None) -> DataError:
    """What is to be said of a file in which no object has an expression.

    Args:
        path: the file.
        names: of the texts that its objects have.
        field: the one that was asked for.
    """
    usual = "expressions (expression, caption, text, description ... are read)"
    looked = usual if field is None else f"a text {shown(field)}"
    others = [shown(name, 40) for name in dict.fromkeys(names)][:4]
    have = f"; they have {', '.join(others)}: name the right one as" if others else "; name another field as"
    return DataError(f"{path}: no annotation has {looked}{have} --data.expression_field, or category for the labels")


def _with_expressions(entry: dict[str, Any], categories: Mapping[Any, Any], field: str | None) -> dict[str, Any]:
    attributes = _attributes(entry)
    wrongly = "occluded" in attributes or ("extra" in entry and entry.get("area") == 0)  # by CVAT, or by Darwin
    if wrongly and entry.get("iscrowd") == 1 and isinstance(entry.get("segmentation"), dict):
        entry = {**entry, "iscrowd": 0}
    if field == CATEGORY:
        id_ = entry.get("category_id")
        found = lines_of(categories.get(id_)) if isinstance(id_, int | str) else []
    elif field is None and any(name in entry for name in TEXT_FIELDS):
        return entry  # as its reader takes it, and tells what is odd about it
    else:
        found = found_expressions(entry, field) or found_expressions(attributes, field)
    kept = {name: value for name, value in entry.items() if field is None or name not in EXPRESSION_FIELDS}
    return {**kept, "expressions": found} if found else kept


def _attributes(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    told = (entry.get(name) for name in ("attributes", "extra"))
    return next((values for values in told if isinstance(values, dict)), {})


def _no_expressions(path: Path, attributes: Iterable[Mapping[str, Any]], field: str | None) -> DataError:
    return no_expressions(path, (name for one in attributes for name in one if isinstance(one[name], str)), field)

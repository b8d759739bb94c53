"""The tables of docs/results.md, docs/lab-notes.md and README.md against the raw figures in benchmarks/results."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from m3att.model_folder import BUNDLED, bundled_models

REPOSITORY = Path(__file__).resolve().parent.parent
RAW = REPOSITORY / "benchmarks" / "results"
VARIANTS = ("shaperef", "shaperef+", "shaperefg")
SPLITS = ("val", "testA", "testB")
EARLIER = ("-late", "-middle", "-start")
AT = ("0.5", "0.7", "0.9")
TENTHS = ("0.5", "0.6", "0.7", "0.8", "0.9")


class Table(NamedTuple):
    """A table of a page: the heading that it stands under, its head, and the cells of each row."""

    heading: str
    head: list[str]
    rows: list[list[str]]


def cells_of(line: str) -> list[str]:
    """The cells of a line of a table, without emphasis."""
    return [cell.strip().replace("**", "").replace("`", "") for cell in line.strip("|").split("|")]


@cache
def tables_of(name: str) -> list[Table]:
    """All tables of a page, in order."""
    heading, found, inside = "", [], False
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            inside = False
        elif not inside:
            found.append(Table(heading, cells_of(line), []))
            inside = True
        elif not re.fullmatch(r"[|:\- ]+", line):
            found[-1].rows.append(cells_of(line))
    return found


def table(page: str, heading: str, *head: str) -> list[list[str]]:
    """The rows of the one table under this heading whose head is, or begins with, these cells."""
    found = [one.rows for one in tables_of(page) if one.heading == heading and one.head[: len(head)] == list(head)]
    assert len(found) == 1, f"{page}, {heading}, {head}: {len(found)} tables"
    return found[0]


def row_of(rows: list[list[str]], *starts: str) -> list[str]:
    """The one row whose first cells are these."""
    found = [row for row in rows if row[: len(starts)] == list(starts)]
    assert len(found) == 1, f"{starts}: {len(found)} rows"
    return found[0]


@cache
def raw(name: str) -> Any:
    return json.loads((RAW / f"{name}.json").read_text("utf-8"))


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def mean_iou(name: str) -> str:
    return percent(raw(name)["mean_iou"])


def figures(scores: Mapping[str, Any], *precisions: str) -> list[str]:
    """As a table has them: overall IoU, mean IoU, and precision at some thresholds."""
    return [percent(scores[name]) for name in ("overall_iou", "mean_iou")] + [
        percent(scores["precision"][at]) for at in precisions
    ]


RESULTS, NOTES = "docs/results.md", "docs/lab-notes.md"


@cache
def overview() -> dict[str, list[str]]:
    """Of each task in the tables of the overview: its target, its figure and its command."""
    section = (REPOSITORY / RESULTS).read_text(encoding="utf-8").partition("## Overview\n")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (.*)$", section, re.MULTILINE)
    found = [one for one in tables_of(RESULTS) if one.head == ["task", "target", "figure", "command"]]
    assert [one.heading for one in found] == headings and len(headings) > 5  # one table under each heading
    rows = [row for one in found for row in one.rows]
    tasks = {plain(row[0]): row[1:] for row in rows}
    assert len(tasks) == len(rows) == 50, "a task stands there twice, or a row was lost"
    return tasks


def plain(cell: str) -> str:
    """A cell without the link to more about it, and other links as their text."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", re.sub(r" \(\[more\]\([^)]+\)\)", "", cell))


def figure_of(task: str) -> str:
    """The figure of a task of the overview."""
    return overview()[task][1]


def measured_in(figure: str) -> float | None:
    """The number at the start of a figure; None where it is a word."""
    number = re.match(r"-?[\d.]+(e-?\d+)?", figure)
    return float(number[0]) if number else None


def test_figures_are_of_the_bundled_weights() -> None:
    read = {path.stem: raw(path.stem) for path in RAW.glob("*.json")}
    results = {name: values for name, values in read.items() if isinstance(values, dict) and "mean_iou" in values}
    for model in bundled_models():
        weights = hashlib.sha256((BUNDLED / model / "model.safetensors").read_bytes()).hexdigest()
        scored = {name: values["weights_sha256"] for name, values in results.items() if values.get("model") == model}
        assert len(scored) == (
            9 if model.startswith("shaperef") else {"photo": 4, "refcoco-layout-tiny": 3}.get(model, 2)
        )
        assert set(scored.values()) == {weights}, model


def test_the_overview() -> None:
    """Each task of the overview with its figure, from the raw figures where there are some."""
    layout, floor = raw("refcoco-layout-tiny-val"), raw("refcoco-layout-largest")
    blind, lines = raw("refcoco-layout-blind-val"), raw("own-lines")
    scores = raw("shaperef-tiny-shaperef-val")
    weakest = min(scores["by_skill"], key=lambda skill: scores["by_skill"][skill]["mean_iou"])
    expected = {
        "RefCOCO val as layouts, refcoco-layout-tiny: mean IoU": percent(layout["mean_iou"]),
        "this figure, divided by that of always answering with the largest object": (
            f"{layout['mean_iou'] / floor['mean_iou']:.2f}"
        ),
        "this figure, divided by that of a network that was trained without the words": (
            f"{layout['mean_iou'] / blind['mean_iou']:.2f}"
        ),
        "ShapeRef val, shaperef-tiny: mean IoU": percent(scores["mean_iou"]),
        "ShapeRef val, shaperef-tiny: Pr@0.5": percent(scores["precision"]["0.5"]),
        "ShapeRef val, shaperef-tiny: mean IoU of the weakest skill": (
            f"{percent(scores['by_skill'][weakest]['mean_iou'])} ({weakest})"
        ),
        "ShapeRef val, after at most 60 minutes of training on 2 cores: mean IoU": mean_iou(
            "shaperef-tiny-hour-shaperef-val"
        ),
        "13 photos that photo never saw: mean IoU": mean_iou("photo-refcoco-photos"),
        "these 13 photos, always answering with the largest object: mean IoU": mean_iou("photo-refcoco-largest"),
        "these 13 photos, with the image encoder of photo in 8 bits: loss of mean IoU": (
            percent(raw("int8")["scores"]["refcoco"]["loss"]["mean_iou"])
        ),
        "these 13 photos, memorised by a training on them: mean IoU": mean_iou("photos"),
        "the first opening of these lines: share of the CPU time at commit 05a67a7, "
        f"which was {lines['before']:.2f} seconds": f"{lines['share']:.3f}",
        "100,000 lines of JSON Lines: CPU seconds to open them for the first time": f"{lines['first']:.2f}",
        "these lines: CPU seconds to open them again, from the cache": f"{lines['again']:.2f}",
        "random kills (SIGKILL) of one training that ends, to the last bit, as one left alone": (
            str(raw("kill-proof")["kills"])
        ),
        "photos read in a second, with all their masks": f"{raw('bench-data-coco-photos')['reading']['whole']:.0f}",
        "refcoco-swin-b with train.recompute: memory of a training, estimate, GiB (30.05 without it)": (
            f"{raw('training-memory-swin-b-recompute')['batch'] / 2**30:.2f}"
        ),
    }
    step = raw("training-memory-darknet53")
    for name, row in (
        ("memory of a training, as a share of that of the layers as drawn, estimate", "batch"),
        ("peak memory of forward and backward pass, as the same share", "peak"),
    ):
        expected[f"refcoco-darknet53: {name}"] = f"{step['now'][row] / step['as drawn'][row]:.2f}"
    shared = raw("distributed")["equality"]
    assert shared["same_scores"] and shared["same_batches"]
    apart = [
        value
        for found in shared["largest_relative_difference"].values()
        for name, value in found.items()
        if "after" not in name
    ]
    expected["2 and 4 processes: losses and gradient norm of a step, largest relative difference from 1 process"] = (
        f"{max(apart):.0e}"
    )
    proof = raw("kill-proof")
    assert proof["same_to_the_last_bit"] and all(proof["found"].values())
    assert {task: figure_of(task) for task in expected} == expected


def test_a_figure_that_misses_its_target_is_bold() -> None:
    """And no other one is."""
    bold = set()
    for line in (REPOSITORY / RESULTS).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and re.fullmatch(r"\*\*.+\*\*", cells[2]):
            bold.add(plain(cells[0].replace("`", "")))
    missed = set()
    judged = 0
    for task, (target, figure, _) in overview().items():
        value, goal = measured_in(figure), re.fullmatch(r"at (least|most) ([\d.e-]+)", target)
        if goal is None:
            assert target in ("", figure), task
            continue
        judged += 1
        assert value is not None
        if value < float(goal[2]) if goal[1] == "least" else value > float(goal[2]):
            missed.add(task)
    assert missed == bold and judged > 35


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("split", SPLITS)
def test_shaperef(variant: str, split: str) -> None:
    scores = {leg: raw(f"shaperef-tiny{leg}-{variant}-{split}") for leg in ("", *EARLIER)}
    for leg, values in scores.items():
        assert (values["model"], values["dataset"], values["split"]) == (f"shaperef-tiny{leg}", variant, split)
    own = figures(scores[""], *AT)
    by_iou = table(RESULTS, "ShapeRef", "data set", "split", "expressions", "overall IoU", "mean IoU")
    by_precision = table(RESULTS, "ShapeRef", "data set", "split", "Pr@0.5", "Pr@0.7", "Pr@0.9")
    earlier = table(RESULTS, "The models that `shaperef-tiny` started from", "data set", "split", *legs(EARLIER))
    assert row_of(by_iou, variant, split)[2:] == [f"{scores['']['expressions']:,}", *own[:2]]
    assert row_of(by_precision, variant, split)[2:] == own[2:]
    assert row_of(earlier, variant, split)[2:] == [percent(scores[leg]["mean_iou"]) for leg in EARLIER]
    assert len(by_iou) == len(by_precision) == len(earlier) == len(VARIANTS) * len(SPLITS)


def legs(names: tuple[str, ...]) -> list[str]:
    return [f"shaperef-tiny{leg}" for leg in names]


def test_skills() -> None:
    scores = {leg: raw(f"shaperef-tiny{leg}-shaperef-val")["by_skill"] for leg in ("", "-hour", *EARLIER)}
    own = table(RESULTS, "By skill", "skill", "expressions", *legs(("", "-hour")))
    earlier = table(RESULTS, "The models that `shaperef-tiny` started from", "skill", *legs(EARLIER))
    skills = sorted(scores[""])
    assert len(skills) == 10
    assert own == [
        [skill, f"{scores[''][skill]['expressions']:,}"]
        + [percent(scores[leg][skill]["mean_iou"]) for leg in ("", "-hour")]
        for skill in skills
    ]
    assert earlier == [[skill, *(percent(scores[leg][skill]["mean_iou"]) for leg in EARLIER)] for skill in skills]


@pytest.mark.parametrize("leg", ["", *EARLIER])
def test_the_chain_of_models(leg: str) -> None:
    head = ("model", "starts from", "time", "mean IoU on val", "command")
    row = row_of(table(RESULTS, "The models that `shaperef-tiny` started from", *head), f"shaperef-tiny{leg}")
    assert row[3] == mean_iou(f"shaperef-tiny{leg}-shaperef-val")
    assert f"--preset shaperef-tiny{leg} " in row[4]


@pytest.mark.parametrize(
    ("column", "name", "threshold"),
    [
        ("refcoco-layout-tiny", "refcoco-layout-tiny-val", "0.5"),
        ("the same at threshold 0.35", "refcoco-layout-tiny-val", "0.35"),
        ("baseline: largest object", "refcoco-layout-largest", "0.5"),
        ("baseline: network without words", "refcoco-layout-blind-val", "0.5"),
    ],
)
def test_layouts(column: str, name: str, threshold: str) -> None:
    heading = "RefCOCO's language on drawn layouts"
    (found,) = [one for one in tables_of(RESULTS) if one.heading == heading]
    place = found.head.index(column)
    expected = dict(
        zip(
            ("overall IoU", "mean IoU", *(f"Pr@{at}" for at in AT)),
            figures(raw(name)["at"][threshold], *AT),
            strict=True,
        )
    )
    assert {row[0]: row[place] for row in found.rows} == expected


def test_photos() -> None:
    rows = table(RESULTS, "Real photos, memorised", "overall IoU", "mean IoU", "Pr@0.5", "Pr@0.7", "Pr@0.9")
    assert rows == [figures(raw("photos"), *AT)]


def test_reading() -> None:
    reading = raw("bench-data-coco-photos")["reading"]
    expected = {
        "lower bound: Pillow decodes": reading["floor"]["pillow"],
        "lower bound: OpenCV decodes": reading["floor"]["opencv"],
        "decode": reading["stages"]["decode"],
        "resize": reading["stages"]["resize"],
        "rasterise and resize all masks": reading["stages"]["masks"],
        "all three": reading["whole"],
    }
    rows = table(RESULTS, "Opening and reading data", "stage", "images a second", "ms an image")
    assert rows == [[stage, f"{pace:.0f}", f"{1000 / pace:.2f}"] for stage, pace in expected.items()]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("ShapeRef val, drawn scenes", "shaperef-tiny-shaperef-val"),
        ("RefCOCO val, drawn layouts", "refcoco-layout-tiny-val"),
        ("the same layouts, if the answer is always the largest object", "refcoco-layout-largest"),
        ("the same layouts, by a network trained without the words", "refcoco-layout-blind-val"),
        ("13 RefCOCO photos that photo never saw", "photo-refcoco-photos"),
        ("13 RefCOCO photos that were also trained on", "photos"),
    ],
)
def test_the_readme(row: str, name: str) -> None:
    rows = table("README.md", "Measured results", "data", "overall IoU", "mean IoU", "Pr@0.5")
    assert row_of(rows, row)[1:4] == figures(raw(name), "0.5")


def test_muon_on_layouts() -> None:
    rows = table(NOTES, "Does Muon help on RefCOCO's layouts?", "RefCOCO val, layouts", "steps")
    muon = row_of(rows, "Muon beside AdamW at 4e-4, the last 400 steps at 160 pixels")
    adamw = row_of(rows, "refcoco-layout-tiny: AdamW at 6e-4, 128 pixels")
    assert muon[2:] == figures(raw("muon-layout-refcoco-val"), *AT)
    assert adamw[2:] == figures(raw("muon-layout-adamw-val"), *AT)  # scored at the same commit


def test_muon_on_shaperef() -> None:
    rows = table(NOTES, "Does Muon help on ShapeRef?", "steps", "AdamW", "Muon (train.optimizer muon)")
    scores = [raw(f"muon-{name}-shaperef-val") for name in ("adamw", "muon")]
    assert row_of(rows, "1,200, all of val: mean IoU")[1:] == [percent(one["mean_iou"]) for one in scores]
    assert row_of(rows, "1,200, all of val: Pr@0.5")[1:] == [percent(one["precision"]["0.5"]) for one in scores]


@pytest.mark.parametrize(("name", "dataset"), [("RefCOCO", "refcoco"), ("RefCOCO+", "refcoco+")])
def test_the_photo_model(name: str, dataset: str) -> None:
    """The page of the photo model: figures with their intervals over photos, and the largest object beside them."""
    rows = table("docs/photos.md", "How good it is", "expressions", "answer")
    found = raw(f"photo-{dataset}-intervals")
    for answer, file, key in (("photo", "photos", "photo"), ("largest object", "largest", "largest object")):
        scores = raw(f"photo-{dataset}-{file}")
        expected = [percent(scores["overall_iou"])]
        for figure, value in (("mean IoU", scores["mean_iou"]), ("Pr@0.5", scores["precision"]["0.5"])):
            middle, low, high = found[key][figure]
            assert middle == pytest.approx(value, abs=1e-9)
            expected += [percent(value), f"{percent(low)} to {percent(high)}"]
        (row,) = [row for row in rows if row[:2] == [name, answer]]
        assert row[2:] == expected


def test_where_the_photo_model_fails() -> None:
    """The three tables of failures, of skills, and of answers that ignore the words, for both sets of expressions."""
    page, heading = "docs/photos.md", "Where it fails"
    both = [raw(f"photo-{dataset}-failures") for dataset in ("refcoco", "refcoco+")]
    digest = hashlib.sha256((BUNDLED / "photo/model.safetensors").read_bytes()).hexdigest()
    for found, dataset in zip(both, ("refcoco", "refcoco+"), strict=True):
        assert (found["model"], found["weights_sha256"], found["dataset"]) == ("photo", digest, dataset)
        own = raw(f"photo-{dataset}-photos")
        (mean, *_), (right, *_) = found["answers"]["model"].values()
        assert (found["expressions"], found["photos"]) == (own["expressions"], own["images"])
        # Here misspelt words are read as `predict` reads them, and `evaluate` does not do that.
        assert (mean, right) == pytest.approx((own["mean_iou"], own["precision"]["0.5"]), abs=0.002)

    def cells(interval: list[float]) -> list[str]:
        value, low, high = map(percent, interval)
        return [value, f"{low} to {high}"]

    def counted(row: Mapping[str, Any] | None, figure: str) -> list[str]:
        return ["0", "", ""] if row is None else [str(row["expressions"]), *cells(row[figure])]

    for part, head, figure in (("kinds", "answer", "share"), ("skills", "skill", "mean_iou")):
        rows = table(page, heading, head, "RefCOCO")
        assert {row[0] for row in rows} == {name for found in both for name in found[part]}
        for name, *figures in rows:
            assert figures == [cell for found in both for cell in counted(found[part].get(name), figure)], name
    rows = table(page, heading, "answer", "RefCOCO: mean IoU")
    assert len(rows) == 3
    for name, *figures in rows:
        answers = [found["answers"][name] for found in both]
        expected = [(*cells(one["mean_iou"]), percent(one["precision_0.5"][0])) for one in answers]
        assert figures == [cell for one in expected for cell in one], name


def test_what_the_words_add_on_photos() -> None:
    rows = table("docs/photos.md", "Without the words", "expressions", "pictures", "figure")
    for row, dataset in zip(rows[:2], ("refcoco", "refcoco+"), strict=True):
        (value, low, high), *_ = raw(f"photo-blind-{dataset}-intervals")["runs/photo-blind/last"].values()
        reading = raw(f"photo-{dataset}-photos")["mean_iou"]
        assert row[3:] == [percent(reading), percent(value), f"{percent(low)} to {percent(high)}"]
    for row, name in zip(rows[2:4], ("collages", "described"), strict=True):
        reading, blind = raw(f"photo-{name}"), raw(f"photo-blind-{name}")
        assert blind["same_words"] and not reading["same_words"]
        for key in ("expressions", "images", "pixels", "split", "threshold"):
            assert blind[key] == reading[key]
        assert row[3:] == [percent(reading["mean_iou"]), percent(blind["mean_iou"]), ""]
    reading, blind = (raw(f"photo-{part}human-boxes")["answers"] for part in ("", "blind-"))
    own, other = reading["photo"], blind["runs/photo-blind/last"]
    low, high = other["intervals"]["pointing_accuracy"]
    figures = [percent(one["pointing_accuracy"]) for one in (own, other)]
    assert rows[4][3:] == [*figures, f"{percent(low)} to {percent(high)}"]


def test_other_pictures_of_the_photo_model() -> None:
    rows = table("docs/photos.md", "How good it is", "expressions", "pictures")
    digest = hashlib.sha256((BUNDLED / "photo/model.safetensors").read_bytes()).hexdigest()
    for row, name in zip(rows, ("photo-collages", "photo-described"), strict=True):
        found = raw(name)
        assert found["weights_sha256"] == digest
        assert row[2:] == [percent(found["mean_iou"]), percent(found["precision"]["0.5"])]


def test_cold_start() -> None:
    """The overview repeats what the page of ONNX says of a whole command."""
    _, _, multiple, memory = row_of(table("docs/onnx.md", "In Python", "process"), "m3att predict, ONNX Runtime")
    whole = "a whole m3att predict with photo: "
    assert figure_of(f"{whole}CPU time, as a multiple of that of import torch") == multiple
    assert figure_of(f"{whole}peak memory, MB") == memory


def test_eight_bits() -> None:
    """The 8-bit form of the bundled model for photos beside the one in float32, and what it loses."""
    found = raw("int8")
    assert found["weights_sha256"] == hashlib.sha256((BUNDLED / "photo/model.safetensors").read_bytes()).hexdigest()
    rows = table("docs/onnx.md", "In 8 bits", "expressions", "form")
    for name, dataset in (("RefCOCO", "refcoco"), ("RefCOCO+", "refcoco+")):
        scores = found["scores"][dataset]
        lost, (low, high) = scores["loss"]["mean_iou"], scores["loss"]["interval"]
        assert lost == pytest.approx(scores["float32"]["mean_iou"] - scores["int8"]["mean_iou"])
        losses = {"float32": "", "int8": f"{percent(lost)} ({percent(low)} to {percent(high)})"}
        for form, loss in losses.items():
            told = [percent(scores[form]["mean_iou"]), percent(scores[form]["precision"]["0.5"]), loss]
            assert row_of(rows, name, form)[2:] == told
    sizes = table("docs/onnx.md", "In 8 bits", "form", "image encoder in MB")
    for form, told in found["encoder"].items():
        assert row_of(sizes, form)[1:] == [f"{told['megabytes']:.1f}", f"{1000 * told['seconds']:.0f}"]
    text = (REPOSITORY / "docs/onnx.md").read_text("utf-8")
    assert f"The features differ much more: by {100 * found['feature_difference']:.0f} % of their size." in text


def test_hard_expressions() -> None:
    """Figures of boxes with their intervals, for the bundled model and for two answers without language."""
    found = raw("photo-human-boxes")
    assert found["weights_sha256"] == hashlib.sha256((BUNDLED / "photo/model.safetensors").read_bytes()).hexdigest()
    rows = table(RESULTS, "Hard expressions on real photos, scored by boxes", "answer", "figure", "per cent")
    figures_of = {"pointing accuracy": "pointing_accuracy", "box IoU over 0.5": "box_iou_over_0.5"}
    figures_of["mean box IoU"] = "mean_box_iou"
    assert len(rows) == len(figures_of) * len(found["answers"])
    for answer, figure, value, interval in rows:
        scores, name = found["answers"][answer], figures_of[figure]
        low, high = scores["intervals"][name]
        assert [value, interval] == [percent(scores[name]), f"{percent(low)} to {percent(high)}"]
        assert low <= scores[name] <= high
    for task, name in (
        ("158 hard expressions on 143 photos, photo: pointing accuracy", "photo"),
        ("these 158 expressions, always pointing at the centre of the photo: pointing accuracy", "centre of the photo"),
    ):
        assert figure_of(task) == percent(found["answers"][name]["pointing_accuracy"])


@pytest.mark.parametrize("place", range(6))
def test_curves(place: int) -> None:
    """The tables are in the order of the models that the text before each names; a curve file may hold more steps."""
    order = ["refcoco-layout-tiny", *(f"shaperef-tiny{leg}" for leg in ("", "-late", "-hour", "-middle", "-start"))]
    section = (REPOSITORY / NOTES).read_text("utf-8").partition("## How fast the bundled models learned")[2]
    assert re.findall(r"^`([\w-]+)`: .*pixels", section.partition("\n## ")[0], re.MULTILINE) == order
    curves = [one for one in tables_of(NOTES) if one.heading == "How fast the bundled models learned"]
    rows = [one.rows for one in curves if one.head == ["step", "expressions", "minutes", "mean IoU"]][place]
    measured = {f"{point['step']:,}": point for point in raw(f"{order[place]}-curve")}
    for step, expressions, minutes, score in rows:
        point = measured[step]
        assert expressions == f"{point['expressions'] / 1000:.0f}k"
        assert float(minutes) == pytest.approx(point["seconds"] / 60, abs=0.51)
        assert score == percent(point["val/mean_iou"])


def test_looking() -> None:
    """Every seed has its own figure, in the order of the raw file."""
    rows = table(NOTES, "Why is generic attention ahead of M3Att?", "network", "mean IoU")
    networks = raw("looking")["networks"]
    assert len(rows) == len(networks)
    for name, seeds in networks.items():
        expected = [
            ", ".join(percent(one["mean_iou"][kind]) for one in seeds) for kind in ("whole", "mean", "another image")
        ]
        best = ", ".join(f"{max(0.0, *one['centre_r2']):.2f}" for one in seeds)
        (row,) = [row for row in rows if row[0] == name or row[0].startswith(f"{name}: two trainings")]
        assert row[1:] == [*expected, best]


def test_category_loss() -> None:
    rows = table(NOTES, "Does the category loss help?", "network", "step 500", "step 1,000")
    measured = raw("category-loss")
    assert rows == [
        [label, *(percent(point["val/mean_iou"]) for point in measured[key])]
        for label, key in (("with (train.category_weight 0.5)", "with"), ("without", "without"))
    ]


def test_starts() -> None:
    rows = table(NOTES, "How should the weights of the decoder start?", "start", "Dice loss")
    assert {row[0]: float(row[1]) for row in rows} == pytest.approx(raw("start"), abs=0.00051)


@pytest.mark.parametrize(
    ("heading", "place", "files"),
    [
        ("Can M3Att be made to look?", 0, ("ablation-table-1-attention", "ablation-table-open-attention")),
        ("Table II on ShapeRef val, three seeds", 0, ("ablation-table-2",)),
        ("Table I at three layers on ShapeRef val, two seeds", 0, ("ablation-table-1",)),
        ("Do the paper's rows differ on RefCOCO's layouts?", 0, ("ablation-table-2-refcoco",)),
        ("Do the paper's rows differ on RefCOCO's layouts?", 1, ("ablation-table-2-refcoco+",)),
        ("What do the open points of the paper change?", 0, ("ablation-table-open",)),
    ],
)
def test_ablations(heading: str, place: int, files: tuple[str, ...]) -> None:
    """Mean ± spread over seeds with the seeds' figures, difference and minutes, as the raw files have them."""
    head = ["model", "mean IoU", "seeds", "Pr@0.5", "overall IoU", "mean IoU, difference", "minutes"]
    rows = [one.rows for one in tables_of(NOTES) if one.heading == heading and one.head == head][place]
    measured = {}
    for file in files:
        for row in raw(file)["rows"]:
            label = f"{row['group']}, {row['label']}" if row["group"] else row["label"]
            measured.setdefault(label, row)
    for row in rows:
        one = measured[row[0]]
        values, difference = one["figures"]["mean_iou"]["values"], one["difference"]
        assert without_paper(row[1]) == spread_of(values)
        assert row[2] == ", ".join(map(percent, values))
        assert without_paper(row[3]) == spread_of(one["figures"]["precision_0.5"]["values"])
        assert row[4] == spread_of(one["figures"]["overall_iou"]["values"])
        assert without_paper(row[5]) == (spread_of(difference["values"], "+.1f") if difference else "")
        assert row[6] == f"{statistics.mean(one['seconds']) / 60:.1f}"


def without_paper(cell: str) -> str:
    """A cell without the paper's figure, which stands in brackets."""
    return cell.partition(" (")[0]


def spread_of(values: list[float], form: str = ".1f") -> str:
    text = format(100 * statistics.mean(values), form)
    return f"{text} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else text


@pytest.mark.parametrize("size", ["lite0", "lite1", "lite2"])
def test_imagenets_classes(size: str) -> None:
    rows = table(RESULTS, "EfficientNet-Lite", "backbone", "likeliest", "one of five", "chance")
    values = raw("imagenet-sanity")[size]
    assert row_of(rows, f"efficientnet-{size}")[1:] == [percent(values[key]) for key in ("top_1", "top_5", "chance")]
    assert values["top_5"] > 10 * values["chance"]


def test_speed_of_a_backbone() -> None:
    ways = ("plain", "channels_last", "folded", "bfloat16")
    rows = table(RESULTS, "EfficientNet-Lite", "images x pixels", *ways)
    expected = [
        [f"{row['images']} x {row['side']}", *(f"{row[way]:.1f}" for way in ways)]
        for row in raw("backbone-speed")["rows"]
    ]
    assert rows == expected


def test_training_steps() -> None:
    """docs/performance.md: the time and memory of a training step, and the speed, from the raw figures."""
    head = ("preset and way", "batch", "forward, CPU seconds", "with backward", "ratio", "peak", "estimate")
    rows = table("docs/performance.md", "Measured training steps", *head)
    ways = {"layers as drawn": "as drawn", "now": "now", "train.recompute": "recompute"}
    files = {"Darknet-53": ("darknet53", "darknet53-48"), "Swin-B": ("swin-b", "swin-b-48")}
    for row in rows:
        network, label = row[0].split(", ")
        runs = [raw(f"training-memory-{name}") for name in files[network]]
        (run,) = (run for run in runs if row[1] == f"{run['expressions']} on {run['images']} images")
        found = run[ways[label]]
        memory = [f"{found[key] / 2**30:.2f} GiB" for key in ("peak", "batch")]
        seconds = [f"{found[key]:.2f}" for key in ("forward", "step")]
        assert row[2:] == [*seconds, f"{found['step'] / found['forward']:.2f}", *memory]
    assert len(rows) == 7


def test_pace_of_two_processes() -> None:
    rows = table("docs/scaling.md", "Speed of two processes", "network", "batch", "round")
    found = raw("distributed")["pace"]
    for row, name in zip(rows, ("paper", "paper", "tiny", "tiny"), strict=True):
        paces = [values[int(row[2]) - 1] for values in found[name]["expressions_per_second"].values()]
        assert row[3:] == [f"{figure:.2f}" for figure in (*paces, paces[1] / (2 * paces[0]))]
    for network in found.values():
        best = [max(values) for values in network["expressions_per_second"].values()]
        assert network["efficiency"] == pytest.approx(best[1] / (2 * best[0]), abs=0.005)
    pace = "2 processes on 2 cores: pace, as a share of twice the pace of 1 process; "
    (task,) = (task for task in overview() if task.startswith(pace))
    assert figure_of(task) == f"{found['paper']['efficiency']:.2f}"


def test_a_step_of_swin_with_a_whole_batch() -> None:
    found = raw("training-memory-swin-b-48")["recompute"]
    step = "refcoco-swin-b with train.recompute, 48 expressions on 12 images: measured memory of a step, GiB"
    assert figure_of(step) == f"{found['peak'] / 2**30:.2f}"
    assert (
        figure_of("time of this step, as a multiple of its forward pass") == f"{found['step'] / found['forward']:.2f}"
    )


@pytest.mark.parametrize(
    ("section", "file", "counts"),
    [
        ("Measured speed", "speed", ("1", "10", "100")),
        ("bfloat16", "speed-bfloat16", ("1", "10")),
    ],
)
def test_speed_beside_other_networks(section: str, file: str, counts: tuple[str, ...]) -> None:
    rows = table("docs/performance.md", section, "network", *(f"{n} expression{'s' * (n != '1')}" for n in counts))
    labels = {
        "refcoco-darknet53": "preset refcoco-darknet53", "refcoco-swin-b": "preset refcoco-swin-b",
        "CLIPSeg, an image an expression": "clipseg",
        "bare Swin-B at 480 pixels and BERT, without masks": "swin-b+bert",
    }  # fmt: skip
    found = raw(file)["contestants"]
    assert len(rows) == len(found) == len(labels)
    for label, name in labels.items():
        seconds = [f"{found[name]['seconds'][n]['least']:.3f}" for n in counts]
        further = [f"{found[name]['further']:.3f}"] if file == "speed" else []
        assert row_of(rows, label)[1:] == [*seconds, *further]


def test_speed_of_the_photo_model() -> None:
    rows = table("docs/performance.md", "Measured speed", "model, backend", "1 expression", "10 expressions")
    found = raw("photo-speed")["contestants"]
    assert [row[1:] for row in rows] == [
        [f"{found[name]['seconds'][n]['least']:.3f}" for n in ("1", "10")]
        for name in ("photo, pytorch", "photo, onnx", "clipseg", "clipseg-16")
    ]


def test_ratios_of_speed() -> None:
    """The rows of the overview that are ratios of times of one run."""
    plain, lower, photo = (raw(name)["contestants"] for name in ("speed", "speed-bfloat16", "photo-speed"))

    def ratio(run: Any, one: tuple[str, str], other: tuple[str, str]) -> str:
        return f"{run[one[0]]['seconds'][one[1]]['least'] / run[other[0]]['seconds'][other[1]]['least']:.2f}"

    darknet, swin, bare = "preset refcoco-darknet53", "preset refcoco-swin-b", "swin-b+bert"
    pass_of_clipseg = plain["clipseg"]["seconds"]["1"]["least"]
    further = {name: f"{plain[name]['further'] / pass_of_clipseg:.2f}" for name in (darknet, swin)}
    expected = {
        "10 expressions: time of refcoco-darknet53 over that of CLIPSeg": ratio(
            plain, (darknet, "10"), ("clipseg", "10")
        ),
        "a further expression of refcoco-darknet53: time over that of a pass of CLIPSeg": further[darknet],
        "a further expression of refcoco-swin-b: time over that of a pass of CLIPSeg": further[swin],
        "10 expressions: time of refcoco-swin-b over that of the bare Swin-B and BERT": ratio(
            plain, (swin, "10"), (bare, "10")
        ),
        "100 expressions: time of refcoco-swin-b over that of 1 expression": ratio(plain, (swin, "100"), (swin, "1")),
        "100 expressions: time of refcoco-swin-b over that of CLIPSeg": ratio(plain, (swin, "100"), ("clipseg", "100")),
        "1 expression in bfloat16: time of refcoco-swin-b over that of the bare Swin-B and BERT": ratio(
            lower, (swin, "1"), (bare, "1")
        ),
        "1 expression: time of photo with ONNX Runtime over that of CLIPSeg": ratio(
            photo, ("photo, onnx", "1"), ("clipseg", "1")
        ),
        "10 expressions: time of photo with ONNX Runtime over that of CLIPSeg": ratio(
            photo, ("photo, onnx", "10"), ("clipseg", "10")
        ),
    }
    assert {task: figure_of(task) for task in expected} == expected


def test_speed_of_evaluation() -> None:
    """docs/performance.md and docs/results.md: evaluation beside an older version."""
    rows, found = table("docs/performance.md", "Evaluation", "", "50904a2", "now"), raw("evaluation-speed")
    versions = [found["before"], found["now"]]
    parts = ("reading", "network", "scoring", "cpu_seconds")
    expected = [[f"{one[part]:.2f}" for one in versions] for part in parts]
    expected.append([f"{one['expressions_per_cpu_second']:.0f}" for one in versions])
    expected += [[percent(one[share]) for one in versions] for share in ("reading_and_scoring", "waiting")]
    assert [row[1:] for row in rows] == expected
    told = {
        "expressions in a CPU second, as a multiple of those at commit 50904a2": f"{found['times_the_rate']:.2f}",
        "share of the elapsed time in which the network waits for reading and scoring, per cent": (
            percent(found["now"]["waiting"])
        ),
        "share of the CPU time that reading and scoring take, per cent": percent(found["now"]["reading_and_scoring"]),
    }
    assert {task: figure_of(task) for task in told} == told
    assert found["different_counts"]["largest_difference"] <= 1


def test_rates_of_the_machine() -> None:
    found = [f"{value / 1e9:.1f} G a second" for value in raw("machine-rates").values()]
    assert [row[1] for row in table("docs/performance.md", "Rates of the machine", "rate")] == found


def test_counts_of_words_in_the_mirror() -> None:
    rows = table("docs/training.md", "Random changes of the images", "", "RefCOCO", "RefCOCO+")
    counts = raw("mirrored-words")
    keys = [
        "expressions", "with left or right", "changed", "unchanged, although left or right is in a word", "not told",
        "name a place", "name a colour",
    ]  # fmt: skip
    assert len(rows) == len(keys)
    for row, key in zip(rows, keys, strict=True):
        assert row[1:] == [f"{counts[name][key]:,}" for name in ("refcoco", "refcoco+")]


def test_rates_of_files_and_shards() -> None:
    rows = table("docs/performance.md", "Files and shards", "", "files", "shards")
    found = raw("shards")
    ways = ("files", "shards")
    assert row_of(rows, "open, seconds")[1:] == [f"{found['open_seconds'][way]:.2f}" for way in ways]
    assert row_of(rows, "read, images a second")[1:] == [f"{found['images_per_second'][way]:.1f}" for way in ways]


def test_what_fine_tuning_learns_and_forgets() -> None:
    scores = raw("finetune")["scores"]
    rows = table("docs/finetuning.md", "What the model forgets", "model", "new words: mean IoU")
    ways = {"photo": "before", "fine-tuned with --old": "with old data", "fine-tuned without": "without"}
    for name, way in ways.items():
        found = [percent(scores[way][kind][key]) for kind in ("new", "old") for key in ("mean_iou", "precision_0.5")]
        assert row_of(rows, name)[1:] == found
    before, after, alone = (scores[way] for way in ways.values())
    old = "these 874 expressions, after fine-tuning"
    expected = {
        "290 expressions with the new words, before fine-tuning: mean IoU": before["new"],
        "these 290 expressions, after fine-tuning with old data: mean IoU": after["new"],
        "874 expressions of the old kind, before fine-tuning: mean IoU": before["old"],
        f"{old} with old data: mean IoU": after["old"],
        f"{old} without old data: mean IoU": alone["old"],
    }
    assert {task: figure_of(task) for task in expected} == {
        task: percent(score["mean_iou"]) for task, score in expected.items()
    }


def test_what_a_training_costs_beside_its_network() -> None:
    found = raw("bench-train-layout")
    rows = table("docs/performance.md", "What a training costs beside its network", "figure", "value")
    wait, overhead = percent(found["wait_share"]), percent(found["overhead"])
    assert row_of(rows, "overhead of the loop, per cent")[1] == overhead
    assert row_of(rows, "waiting for data, per cent")[1] == wait
    seconds = f"{found['step_seconds']:.3f}, {found['bare_seconds']:.3f}"
    assert row_of(rows, "seconds of a step in the loop, and of a bare step")[1] == seconds
    for one in found["memory"]:
        what = f"memory of {one['expressions']} expressions on {one['images']} images, GiB"
        assert row_of(rows, what)[1] == f"{one['peak_bytes'] / 2**30:.2f}"
    assert figure_of("refcoco-layout-tiny: share of the time that waits for data, per cent") == wait
    assert figure_of("refcoco-layout-tiny: time of the training loop over its bare steps, per cent") == overhead


def test_the_load_of_the_service() -> None:
    rows = table("docs/serving.md", "Load", "backend", "answers")
    for name, backend in (("serve-load", "pytorch"), ("serve-load-onnx", "onnx")):
        found = raw(name)
        assert (found["backend"], found["clients"], set(found["answers"])) == (backend, 50, {"200"})
        assert row_of(rows, backend)[1:] == [
            f"{found['answers']['200']}",
            f"{found['answers_a_second']:.1f}",
            f"{found['p50_seconds']:.1f}",
            f"{found['p95_seconds']:.1f}",
            f"{found['megabytes_in_the_second_third']}",
            f"{found['megabytes_in_the_last_third']}",
        ]


def test_the_same_predictions_under_each_protocol() -> None:
    """docs/evaluation.md: one row for each protocol, and `original` at the other usual threshold."""
    rows = table("docs/evaluation.md", "The same predictions under each protocol", "protocol", "overall IoU")
    found = raw("refcoco-layout-tiny-val-300-protocols")
    assert (found["expressions"], found["images"], found["model"]) == (2190, 300, "refcoco-layout-tiny")
    scores = {
        **found["protocols"], "original (at 0.5, the model's threshold)": found, "original at 0.35": found["at"]["0.35"]
    }  # fmt: skip
    names = [name for row in rows for name in (row[0].split(", ") if "(" not in row[0] else row[:1])]
    assert sorted(names) == sorted(scores.keys() - {"original"})
    for row in rows:
        for name in row[0].split(", ") if "(" not in row[0] else row[:1]:
            one = scores[name]
            precisions = [percent(one["precision"][at]) if at in one["precision"] else "-" for at in TENTHS]
            assert row[1:] == [percent(one["overall_iou"]), percent(one["mean_iou"]), *precisions], name


def test_how_well_the_photo_network_knows_its_training_data() -> None:
    found, heading = raw("photo-fit"), "Does the photo network know its own training data?"
    shown = table(NOTES, heading, "expressions", "model")
    assert shown == [
        [row["expressions_about"].replace("`", ""), row["model"], f"{row['expressions']:,}", percent(row["mean_iou"])]
        for row in found["fit"]
    ]
    seen, *others = (row["mean_iou"] for row in found["fit"][:3])
    assert seen < max(others), "the note says that it is no better on its training data"
    networks = ("photo", "3,600 steps more")
    assert table(NOTES, heading, "expressions", "photo: mean IoU") == [
        [
            row["expressions"].replace("`", ""),
            *(percent(row[name][key]) for name in networks for key in ("mean_iou", "precision_0.5")),
        ]
        for row in found["more_steps"]
    ]
    files = ("photo-refcoco-photos", "photo-refcoco+-photos", "photo-collages", "photo-described")
    for row, file in zip(found["more_steps"], files, strict=True):
        assert row["photo"]["mean_iou"] == raw(file)["mean_iou"]


def test_what_the_ranking_loss_changes() -> None:
    found = raw("photo-ranking")
    heading = "Does the photo network choose the right object more often with the ranking loss?"
    networks = ("photo", "with skip connections and the ranking loss")
    assert table(NOTES, heading, "expressions", "photo: mean IoU") == [
        [
            row["expressions"].replace("`", ""),
            *(
                percent(value)
                for name in networks
                for value in (row[name]["mean_iou"], *(row[name]["precision"][at] for at in ("0.5", "0.9")))
            ),
        ]
        for row in found["rows"]
    ]
    assert [row["photo"] for row in found["rows"]] == [row["photo"] for row in raw("photo-skips")["rows"]]
    gains = [100 * (row[networks[1]]["mean_iou"] - row["photo"]["mean_iou"]) for row in found["rows"]]
    assert [f"{gain:+.1f}" for gain in gains] == ["+0.6", "-2.7", "+2.6", "+1.0"]
    text = (REPOSITORY / NOTES).read_text("utf-8")
    *early, last = (percent(value) for _, value in found["validation_60_images"])
    assert f"had {', '.join(early)} after each 1,000 steps, and {last} at the end" in text
    pointing = percent(found["hard_expressions"]["pointing_accuracy"])
    assert f"this network points at the right box for {pointing} per cent, and `photo` for 19.0." in text


def test_what_skip_connections_change() -> None:
    found, heading = raw("photo-skips"), "Do skip connections to the backbone's finer maps give finer outlines?"
    networks = ("photo", "with skip connections")
    assert table(NOTES, heading, "expressions", "photo: mean IoU") == [
        [
            row["expressions"].replace("`", ""),
            *(
                percent(value)
                for name in networks
                for value in (row[name]["mean_iou"], *(row[name]["precision"][at] for at in ("0.5", "0.7", "0.9")))
            ),
        ]
        for row in found["rows"]
    ]
    files = ("photo-refcoco-photos", "photo-refcoco+-photos", "photo-collages", "photo-described")
    for row, file in zip(found["rows"], files, strict=True):
        assert row["photo"]["mean_iou"] == raw(file)["mean_iou"]
        assert row[networks[1]]["precision"]["0.9"] > row["photo"]["precision"]["0.9"], "the note says finer everywhere"
    gains = [100 * (row[networks[1]]["mean_iou"] - row["photo"]["mean_iou"]) for row in found["rows"]]
    assert [f"{gain:.1f}" for gain in gains] == ["-1.5", "-1.9", "0.9", "2.3"]
    hard = found["hard_expressions"]
    pointing = [percent(hard[name]["pointing_accuracy"]) for name in reversed(networks)]
    assert "points at the right box for {} per cent, and `photo` for {}.".format(*pointing) in (
        REPOSITORY / NOTES
    ).read_text("utf-8")

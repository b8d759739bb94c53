"""docs/reproduction.md: every interval and verdict follows from the raw files, and what was not run says so."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from m3att.ablations import TABLES
from m3att.report.seeds import paired_interval

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "reproduction.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
# The two rows of each claim, each with its raw file, in the order of the page; None: not run yet.
OLD, NEW, IMI = "ablation-table-2", "ablation-table-2-generic", "ablation-table-2-imi"
LAYERS, LAYERS_OLD = "ablation-table-1-layers", "ablation-table-1"
DECODERS = "ablation-table-3"
# What one name on the left stands for, where the runs of a table are in several raw files.
PARTS = {
    LAYERS: (LAYERS, "ablation-table-1-layers-2", "ablation-table-1-layers-3", "ablation-table-1-val"),
    DECODERS: (DECODERS, "ablation-table-3-seed-2"),
}
SMALL = "reproduce-small-table-1"
OURS = (NEW, "ours")
PAIRS: list[tuple[tuple[str, str], tuple[str, str]] | None] = [
    ((NEW, "baseline-m3att"), (NEW, "baseline-generic")), ((OLD, "baseline-m3att"), (OLD, "baseline-lav")),
    (OURS, (NEW, "baseline-generic")), ((OLD, "ours"), (OLD, "baseline-lav")), ((IMI, "imi"), (NEW, "baseline-m3att")),
    ((IMI, "imi"), (IMI, "imi-constant")), ((IMI, "imi-constant"), (NEW, "baseline-m3att")),
    (OURS, (IMI, "imi")), (OURS, (NEW, "baseline-m3att")), (OURS, (LAYERS, "3-independent")),
    ((LAYERS, "1-shared"), (LAYERS, "1-independent")), (OURS, (LAYERS, "3-generic")),
    ((LAYERS_OLD, "3-shared"), (LAYERS_OLD, "3-generic")), ((LAYERS, "2-shared"), (LAYERS, "2-generic")),
    ((LAYERS, "4-shared"), (LAYERS, "4-generic")),
    ((LAYERS, "1-shared"), (LAYERS, "1-generic")), (OURS, (LAYERS, "1-shared")),
    ((LAYERS, "4-shared"), OURS), ((LAYERS, "3-vision-query"), OURS), (OURS, (DECODERS, "decoder-only")),
    (OURS, (DECODERS, "concatenate")),
]  # fmt: skip
IN_WORDS = {18: -1.0}  # the sign of a difference that the paper claims without a figure, by the claim's place
# The same of the paper's own figures.
PAPER: list[tuple[str, str, str] | None] = [
    ("2", "baseline-m3att", "baseline-generic"), None, ("2", "ours", "baseline-generic"), None,
    ("2", "imi", "baseline-m3att"), ("2", "imi", "imi-constant"), ("2", "imi-constant", "baseline-m3att"),
    ("2", "ours", "imi"), ("2", "ours", "baseline-m3att"), ("1", "3-shared", "3-independent"),
    ("1", "1-shared", "1-independent"), ("1", "3-shared", "3-generic"), None, ("1", "2-shared", "2-generic"),
    ("1", "4-shared", "4-generic"), ("1", "1-shared", "1-generic"), ("1", "3-shared", "1-shared"),
    ("1", "4-shared", "3-shared"), None, ("3", "ours", "decoder-only"), ("3", "ours", "concatenate"),
]  # fmt: skip


def rows_of(section: str) -> list[list[str]]:
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def raw(name: str) -> Any:
    return json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def ends(interval: tuple[float, float] | list[float]) -> str:
    return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


def values_of(place: tuple[str, str], figure: str = "mean_iou") -> dict[int, float]:
    """A figure of a row for each of its seeds, from all raw files of its table; `seconds` is that of the training."""
    file, name = place
    found: dict[int, float] = {}
    for part in PARTS.get(file, (file,)):
        for row in raw(part)["rows"]:
            if row["name"] == name:
                values = row["seconds"] if figure == "seconds" else row["figures"][figure]["values"]
                new = dict(zip(row["seeds"], values, strict=True))
                assert not new.keys() & found.keys(), (place, "one seed in two files")
                found |= new
    return dict(sorted(found.items()))


def conditions(place: tuple[str, str]) -> list[Any]:
    """Budget and scored expressions of the raw files that hold a row."""
    files = [raw(part) for part in PARTS.get(place[0], (place[0],))]
    return [
        (file["budget"], file["scored_on"]) for file in files if any(row["name"] == place[1] for row in file["rows"])
    ]


def paired_differences(first: tuple[str, str], second: tuple[str, str]) -> list[float]:
    """Of two rows, the mean IoU of the first less that of the second, for each seed that both have.

    Raw files may be compared only if their runs had one budget and were scored on the same expressions.
    """
    known = [*conditions(first), *conditions(second)]
    assert all(one == known[0] for one in known), (first, second)
    one, other = values_of(first), values_of(second)
    return [one[seed] - other[seed] for seed in one if seed in other]


CLAIMS = rows_of("Claims of Sec. IV-B")


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_a_claim_has_the_figures_of_the_raw_file_and_the_verdict_that_follows(number: int) -> None:
    claim, paper, here, interval, verdict = CLAIMS[number]
    stated = PAPER[number]
    if stated is not None:
        table, first, second = stated
        one, other = (row.paper["mean_iou"] for row in (TABLES[table].find([name])[0] for name in (first, second)))
        assert paper == f"{one - other:+.2f}", claim
    else:
        assert paper == "", claim
    pair = PAIRS[number]
    if pair is None:
        assert (here, interval, verdict) == ("", "", "not run yet"), claim
        return
    differences = paired_differences(*pair)
    found = paired_interval(differences)
    assert here == f"{100 * statistics.mean(differences):+.1f}", claim
    if found is None:  # one seed
        assert (interval, verdict) == ("", "cannot be told"), claim
        return
    assert interval == ends(found), claim
    expected = IN_WORDS.get(number) or float(paper or here)
    sure = found[0] > 0 or found[1] < 0
    agrees = (found[0] > 0) == (expected > 0)
    assert verdict == ("cannot be told" if not sure else "holds" if agrees else "does not hold"), claim


def test_every_claim_is_judged() -> None:
    assert len(CLAIMS) == len(PAIRS) == len(PAPER)
    words = ("holds", "does not hold", "cannot be told", "not run yet")
    assert all(row[-1].startswith(words) for row in CLAIMS + rows_of("Claims of Sec. IV-C"))


def test_the_minimal_example_has_the_figures_of_its_file() -> None:
    measured = raw("minimal")["rows"]
    shown = rows_of("A minimal example")
    assert len(shown) == len(measured)
    for cells, row in zip(shown, measured, strict=True):
        assert cells[:2] == [row["module"], str(row["words"])]
        for cell, question in zip(cells[2:], ("what", "where"), strict=True):
            text = f"{100 * statistics.mean(row[question]):.1f}"
            difference = row.get(f"{question}_difference")
            assert cell == (f"{text} ({ends(difference['interval'])})" if difference else text)


def test_the_comparison_on_symbols_has_the_figures_of_its_file() -> None:
    measured = raw("symbolic")
    shown = rows_of("The main comparison on symbols")
    assert len(shown) == len(measured["rows"]) and measured["seeds"] == 8
    for cells, row in zip(shown, measured["rows"], strict=True):
        assert cells[0] == row["row"]
        figures = [", ".join(f"{100 * value:.1f}" for value in row[key]) for key in ("all", "match", "compare")]
        assert cells[1:4] == figures
        pairs = [own - first for own, first in zip(row["all"], measured["rows"][0]["all"], strict=True)]
        interval = paired_interval(pairs)
        assert interval is not None
        less = [f"{100 * statistics.mean(pairs):+.1f}", ends(interval)] if row["less_first"] else ["", ""]
        assert cells[4:] == less


NETWORKS = {
    "#0 generic attention": "baseline-generic", "#1 M3Att": "baseline-m3att", "#4 M3Att, IMI and LFR": "ours",
    "#2 M3Att and IMI": "imi", "#3 M3Att and IMI\\*": "imi-constant",
}  # fmt: skip


def test_the_main_comparison_has_the_figures_of_its_file() -> None:
    rows = {row["name"]: row for row in raw(NEW)["rows"]}
    shown = rows_of("The main comparison on ShapeRef")
    assert [cells[0] for cells in shown] == list(NETWORKS)[:3]
    for cells in shown:
        row = rows[NETWORKS[cells[0]]]
        values = row["figures"]["mean_iou"]["values"]
        assert cells[1] == ", ".join(f"{100 * value:.1f}" for value in values) and len(values) >= 3
        assert cells[2] == f"{100 * statistics.mean(values):.1f}"
        assert cells[3] == f"{100 * row['figures']['precision_0.5']['mean']:.1f}"
        if row["name"] == "baseline-generic":
            assert cells[4:] == ["", ""]
            continue
        differences = paired_differences((NEW, row["name"]), (NEW, "baseline-generic"))
        interval = paired_interval(differences)
        assert interval is not None
        assert cells[4:] == [f"{100 * statistics.mean(differences):+.1f}", ends(interval)]
    told = []
    for name in ("imi", "imi-constant"):
        scores = values_of((IMI, name)).values()
        told.append(f"{100 * statistics.mean(scores):.1f} ({', '.join(f'{100 * score:.1f}' for score in scores)})")
    assert f"they have {told[0]} and {told[1]}." in SECTIONS["The main comparison on ShapeRef"]


def test_the_lead_of_generic_attention_is_that_of_the_curves() -> None:
    rows = {row["name"]: row["curves"] for row in raw(NEW)["rows"]}
    generic, mutual = rows["baseline-generic"], rows["baseline-m3att"]
    assert generic.keys() == mutual.keys() and len(generic) == 5
    leads = {
        step: 100 * statistics.mean(dict(generic[seed])[step] - dict(mutual[seed])[step] for seed in generic)
        for step in (480, 720, 960, 1200)
    }
    text = "it is {:.1f} points after 480 steps, {:.1f} after 720, {:.1f} after 960 and {:.1f} after 1,200".format(
        *(round(lead, 1) + 0.0 for lead in leads.values())  # + 0.0: no minus before a zero
    )
    assert text in SECTIONS["The main comparison on ShapeRef"]


def test_the_main_part_has_the_figures_of_its_file() -> None:
    rows = {row["name"]: row["figures"]["mean_iou"]["values"] for row in raw(SMALL)["rows"]}
    mutual, generic = (", ".join(f"{100 * value:.1f}" for value in rows[name]) for name in ("3-shared", "3-generic"))
    assert f"({mutual} against {generic};" in SECTIONS["Repeat the main part"]


def layer_rows() -> list[tuple[str, str]]:
    """The raw file and the row of each line of Table I on the page."""
    names = (
        *("1-shared", "1-independent", "1-generic", "2-shared", "2-independent", "2-generic"),
        *("3-shared", "3-independent", "3-generic", "3-vision-query"),
        *("4-shared", "4-independent", "4-generic"),
    )
    return [OURS if name == "3-shared" else (LAYERS, name) for name in names]


def decoder_rows() -> list[tuple[str, str]]:
    return [(DECODERS, "decoder-only"), (DECODERS, "concatenate"), OURS]


@pytest.mark.parametrize(
    ("section", "table", "places", "before"),
    [
        ("Table I: layers and kinds of attention", "1", layer_rows(), 2),
        ("Table III: mask decoders", "3", decoder_rows(), 1),
    ],
)
def test_a_table_has_the_figures_of_its_files_and_of_the_paper(
    section: str, table: str, places: list[tuple[str, str]], before: int
) -> None:
    shown = rows_of(section)
    assert len(shown) == len(places)
    for cells, (file, name) in zip(shown, places, strict=True):
        in_table = "3-shared" if (table, name) == ("1", "ours") else name
        stated = TABLES[table].find([in_table])[0]
        values = list(values_of((file, name)).values())
        paper = f"{stated.paper['mean_iou']:.2f}" if stated.paper else stated.remark
        told = [
            ", ".join(f"{100 * value:.1f}" for value in values),
            f"{100 * statistics.mean(values):.1f}",
            f"{100 * statistics.mean(values_of((file, name), 'precision_0.5').values()):.1f}",
            paper,
        ]
        if table == "1":
            assert cells[0] == stated.label
            told.append(f"{statistics.mean(values_of((file, name), 'seconds').values()) / 60:.1f}")
        against = stated.against
        rival = OURS if against in ("3-shared", "ours") else (LAYERS, against or "")
        differences = paired_differences((file, name), rival) if against else []
        found = paired_interval(differences) if differences else None
        told += [f"{100 * statistics.mean(differences):+.1f}" if differences else "", ends(found) if found else ""]
        assert cells[before:] == told


def test_skills_have_the_figures_of_their_file() -> None:
    rows = {row["name"]: row["by_skill"] for row in raw(LAYERS)["rows"]}
    text = SECTIONS["Claims of Sec. IV-C"]
    for skill, form in (
        ("long", "{} on {} long expressions (95 % interval {})"),
        ("negation", "{} on {} negations ({})"),
    ):
        mutual, generic = (rows[name][skill] for name in ("3-independent", "3-generic"))
        pairs = [one - other for one, other in zip(mutual["mean_iou"], generic["mean_iou"], strict=True)]
        interval = paired_interval(pairs)
        assert interval is not None and len(pairs) == 3
        assert form.format(f"{100 * statistics.mean(pairs):+.1f}", mutual["expressions"], ends(interval)) in text
    shared = [100 * -rows["3-generic"][skill]["difference"]["mean"] for skill in ("long", "negation")]
    assert "for one seed only: {:+.1f} and {:+.1f}.".format(*shared) in text


def test_why_has_the_figures_of_its_file() -> None:
    models = raw("why-table-2")["models"]
    shown = rows_of("Why the rows differ")
    assert len(shown) == len(models) == 8
    changes: dict[bool, list[float]] = {True: [], False: []}
    for cells in shown:
        label, _, seed = cells[0].rpartition(", seed ")
        model = models[f"table-2/{NETWORKS[label]}/seed-{seed}"]
        scores = list(model["looks"]["mean_iou"].values())
        assert cells[1:4] == [f"{100 * value:.1f}" for value in scores]
        assert cells[4:6] == [f"{model['words'][key]:.2f}" for key in ("f_dec", "f_t")]
        assert cells[6] == ", ".join(f"{value:.2f}" for value in model["gradient"])
        changes[NETWORKS[label] == "baseline-generic"] += [scores[0] - value for value in scores[1:]]
    assert min(changes[True]) > 0.03 and max(map(abs, changes[False])) < 0.0015, "only generic attention uses the image"
    ranks = [layer["effective_rank"] for model in models.values() for layer in model["f_mul"]]
    assert f"Its effective rank is {min(ranks):.1f} to {max(ranks):.1f}" in SECTIONS["Why the rows differ"]


def test_learning_rates_have_the_figures_of_their_file() -> None:
    found = raw("ablation-table-1-tuned")
    mutual, generic = (found["rows"][name]["mean_iou"] for name in ("3-shared", "3-generic"))
    section = "A learning rate for each row"
    shown = rows_of(section)
    assert [cells[1:] for cells in shown] == [
        [f"{100 * one[rate]:.1f}" for one in (mutual, generic)] for rate in mutual
    ]
    assert [float(cells[0]) for cells in shown] == [float(rate) for rate in mutual]
    assert all(generic[rate] > mutual[rate] for rate in mutual) and min(mutual, key=float) == max(
        mutual, key=mutual.get
    )
    assert max(generic, key=generic.get) == "0.0004"
    lead = 100 * (max(generic.values()) - max(mutual.values()))
    text = SECTIONS[section]
    assert f"by {lead:.1f} points if each row has its best rate" in text and f"on {found['expressions']:,} exp" in text
    early = [100 * found["curves"][name]["0.0004"][0][2] for name in ("3-shared", "3-generic")]
    assert "it has {:.1f} after 240 steps, where generic attention has {:.1f}.".format(*early) in text
    again = found["table_runs"]["3-shared"]
    assert (again["learning_rate"], again["seed"]) == (0.0002, 0)
    known = f"{100 * again['mean_iou']:.1f} on val at 2e-4, and {100 * values_of(OURS)[0]:.1f} at 4e-4."
    assert f"seed 0 of Table I has {known}" in text
    table = [100 * value for value in values_of(OURS).values()]
    assert f"the seeds of Table I have {min(table):.1f} to {max(table):.1f} on val" in text


def test_why_of_table_1_has_the_figures_of_its_file() -> None:
    models = raw("why-table-1")["models"]
    text = SECTIONS["Why the rows differ"]
    lost: dict[str, list[list[float]]] = {"4-generic": [], "4-independent": []}
    words = []
    for name, model in models.items():
        row = name.split("/")[1]
        if row == "3-vision-query":
            words.append(model["words"])
            continue
        whole, *changed = model["looks"]["mean_iou"].values()
        lost[row].append([100 * (whole - value) for value in changed])
    assert [len(values) for values in lost.values()] == [3, 3] and len(words) == 2
    vector, other = ([f"{value:.1f}" for value in sorted(column)] for column in zip(*lost["4-generic"], strict=True))
    assert f"loses {vector[0]} to {vector[-1]} points with one vector, and {other[0]} to {other[-1]} with" in text
    assert f"loses at most {max(max(map(abs, values)) for values in lost['4-independent']):.1f}." in text
    shown = [" and ".join(f"{part[key]:.2f}" for part in words) for key in ("f_dec", "f_t")]
    assert f"with an R^2 of {shown[0]} (seeds 1 and 2), where F_t has {shown[1]}." in text
    measured = paired_differences((LAYERS, "3-vision-query"), (LAYERS, "3-generic"))
    interval = paired_interval(measured)
    assert interval is not None
    assert f"{100 * statistics.mean(measured):+.1f}, with an interval of {ends(interval)}." in PAGE


def test_links_and_raw_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (REPOSITORY / "docs" / target).is_file(), target
    for path in re.findall(r"`((?:benchmarks|tests)/[\w./-]+)`", PAGE):
        assert (REPOSITORY / path).exists(), path

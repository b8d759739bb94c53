"""`m3att report`: the page as a process writes it, read as a browser does; the paper's figures; what is refused."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from m3att.ablations import find_table
from m3att.app.ablation import run as ablation_run
from m3att.app.ablation.schedule import plan
from m3att.app.cli import main
from m3att.engine.stopping import Stopping
from m3att.report.failures import KINDS
from m3att.settings import config_from_file, config_to_dict, config_to_yaml

from ..data.own_files import square, write_lines, write_picture

ROWS = ("baseline-generic", "ours")
SECONDS = 180


class Page(HTMLParser):
    """What of a page the tests ask for: its elements with their attributes, and the text within each kind."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def said(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for text in self.texts.get(tag, [])]


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ablations(small_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows of Table II, one seed, trained for two steps."""
    out, base = tmp_path_factory.mktemp("ablations"), config_from_file(small_config)
    (out / "config.yaml").write_text(config_to_yaml(base), encoding="utf-8")
    table = find_table("2")
    for run in plan(base, table, table.find(ROWS), [0], out):
        order = {"folder": str(run.folder), "config": config_to_dict(run.config), "images": None, "name": ""}
        ablation_run.execute(order | {"parent": os.getppid()}, Stopping())
    return out


@pytest.fixture(scope="module")
def report(small_run: Path, shaperef: Path, ablations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of everything that can be reported on, written by a process."""
    folder = tmp_path_factory.mktemp("report")
    scores, out = folder / "scores.json", folder / "new" / "report.html"
    data = ["--data.root", str(shaperef), "--data.dataset", "shaperef"]
    assert main(["evaluate", "--model", "shaperef-tiny", *data, "--json", str(scores)]) == 0
    runs = [str(small_run), "shaperef-tiny", str(small_run / "last"), str(ablations), str(scores)]
    words = [*runs, *data, "--examples", "2", "--title", "Seven <b>scenes</b>", "--out", str(out), "--threads", "1"]
    done = subprocess.run([sys.executable, "-m", "m3att", "report", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"report: {out}\n") and "most frequent failure" in done.stdout
    assert list(out.parent.iterdir()) == [out]
    return out


def test_the_page_loads_nothing_from_anywhere(report: Path) -> None:
    page, html = page_of(report), report.read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\((?!#)|@import|<script", html)
    loaded = [value for _, attributes in page.elements for key in ("src", "href") if (value := attributes.get(key))]
    assert loaded and all(value.startswith(("data:", "#")) for value in loaded)
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [value[1:] for attributes in page.all("a") if (value := attributes["href"] or "").startswith("#")]
    assert links and set(links) <= anchors


def test_everything_on_the_page_can_be_heard(report: Path) -> None:
    page = page_of(report)
    assert page.all("html") == [{"lang": "en"}] and len(page.all("main")) == len(page.all("h1")) == 1
    pictures = page.all("img")
    assert len(pictures) > 20 and all((picture["alt"] or "").strip() for picture in pictures)
    charts = page.all("svg")
    assert len(charts) > 5 and all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.all("th"))


def test_pictures_are_real(report: Path) -> None:
    for picture in page_of(report).all("img"):
        head, _, content = (picture["src"] or "").partition(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(BytesIO(base64.b64decode(content))) as found:
            low, high = found.convert("L").getextrema()
            assert min(found.size) > 30 and high - low > 20


def test_every_run_has_its_part(report: Path, small_run: Path, ablations: Path) -> None:
    page = page_of(report)
    names = ["/".join(path.parts[-2:]) for path in (small_run, Path("shaperef-tiny"), small_run / "last", ablations)]
    heads = page.said("h2")
    assert heads[0] == "At a glance" and [name for name in names if name not in heads] == []
    assert page.said("h1") == ["Seven <b>scenes</b>"]  # as text
    text = page.said("main")[0]
    for part in ("Failures by kind", "By skill", "Calibration", "Best, median and worst answers", "Training"):
        assert part in page.said("h3"), part
    for title in ("Loss", "Validation", "Learning rate"):
        assert title in page.said("figcaption")
    assert "Table II: components" in text and "Table IV" in text and "Table V" in text
    assert "79.01 74.94 68.16 51.21 17.70" in text  # the paper's row of Table V
    assert "(67.88)" in text  # what the paper has for the row `ours` of Table II, beside ours


def test_the_page_has_the_figures_of_the_evaluation(report: Path) -> None:
    page, scores = page_of(report), json.loads((report.parent.parent / "scores.json").read_text())
    figures = [f"{100 * value:.1f}" for value in (scores["overall_iou"], scores["mean_iou"])]
    figures.append(f"{100 * scores['precision']['0.5']:.1f}")
    told = [text.split()[0] for text in page.said("dd")]
    assert told[3:6] == figures  # of shaperef-tiny, the second of the runs
    assert told[-3:] == figures  # of the file of scores
    rows = [row.split() for row in page.said("tr")]
    assert [
        "shaperef-tiny",
        "shaperef",
        "val",
        *(f"{100 * value:.2f}" for value in scores["precision"].values()),
    ] in rows
    for skill, found in scores["by_skill"].items():
        assert any(row[0] == skill.split()[0] and f"{100 * found['mean_iou']:.1f}" in row for row in rows), skill


def test_models_are_compared_where_they_answered_the_same(report: Path) -> None:
    page = page_of(report)
    rows = [row for row in page.said("tr") if row.count(" to ") == 3]
    assert len(rows) == 2  # shaperef-tiny and the last model beside the best one; the file of scores has no answers
    assert re.match(r"shaperef-tiny \+\d+\.\d ", rows[0])
    assert re.search(r"last \+0\.0 \+0\.0 to \+0\.0", rows[1])  # of four steps the last model is the best one
    assert "scores.json was not scored on the same expressions" in page.said("main")[0]


def test_kinds_of_failure_are_explained(report: Path) -> None:
    rows = page_of(report).said("tr")
    found = [kind for kind in KINDS if any(row.startswith(f"{kind} ") and KINDS[kind] in row for row in rows)]
    assert len(found) > 1


def test_the_page_fits_desks_and_phones_in_the_light_and_in_the_dark(report: Path, chromium: Any) -> None:
    """Set M3ATT_SCREENSHOTS to a folder to look at it."""
    grounds = set()
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)
        page, faults = context.new_page(), []
        page.set_default_timeout(1000 * SECONDS)
        page.on("pageerror", lambda error, faults=faults: faults.append(str(error)))
        page.on("console", lambda said, faults=faults: faults.append(said.text))
        page.on("request", lambda call, faults=faults: faults.append(call.url[:80]) if not is_own(call.url) else 0)
        page.goto(report.as_uri())
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.locator("details", has_text="Where the words look").first.locator("summary").click()
        for width in (1200, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width
            if folder := os.environ.get("M3ATT_SCREENSHOTS"):
                page.screenshot(path=Path(folder) / f"report-{width}-{scheme}.png", full_page=True)
        broken = page.evaluate("[...document.images].filter(one => !one.naturalWidth).length")
        assert (broken, faults) == (0, [])
        context.close()
    assert len(grounds) == 2


def is_own(address: str) -> bool:
    return address.startswith(("file:", "data:"))


@pytest.mark.parametrize("words", [("8", "--attention"), ("9",), ("10",), ("7", "--baseline", "RUN")])
def test_figures_of_the_paper_are_pictures(
    words: tuple[str, ...], small_run: Path, shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "figure.png"
    given = [str(small_run / "last") if word == "RUN" else word for word in words]
    model = "shaperef-tiny" if words[0] != "10" else str(small_run / "last")
    data = ["--data.root", str(shaperef), "--data.dataset", "shaperef", "--examples", "2"]
    assert main(["report", "figure", *given, "--model", model, *data, "--out", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"figure {words[0]}: {path}\n")
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert picture.width > 700 and picture.height > 300
        assert len(picture.getcolors(1 << 24)) > 500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report", "the following arguments are required: RUN; see m3att report --help"),
        ("report ./nowhere", "./nowhere: no such folder"),
        ("report FOLDER", "is neither a run (it has no config.yaml) nor a model"),
        ("report FILE", "give a run's folder, a model, or a .json file"),
        ("report OTHER", "not a file of `m3att evaluate --json`"),
        ("report shaperef-tiny shaperef-tiny", "shaperef-tiny: is named twice"),
        ("report shaperef-tiny --examples 101", "--examples: 101 is out of range, give 0 to 100"),
        ("report shaperef-tiny --exampels 3", "unknown option --exampels, did you mean --examples?"),
        ("report shaperef-tiny --threads 0", "--threads: 0 is out of range"),
        ("report shaperef-tiny --out FOLDER", "cannot be written"),
        ("report shaperef-tiny --data.images 0", "data.images"),
        ("report OTHER --out OTHER", "a.json: is what the report is about; give another file"),
        ("report figure 6 --model shaperef-tiny --out a.png", "no figure '6'; there are 7, 8, 9, 10"),
        ("report figure 8 --out a.png", "--model is missing"),
        ("report figure 8 --model shaperef-tiny", "--out is missing"),
        ("report figure 8 --model shaperef-tiny --out a.svg", "give a name that ends in .png"),
        ("report figure 7 --model shaperef-tiny --out a.png", "figure 7 compares with a model: give --baseline"),
        ("report figure 8 --model photo --baseline photo --out a.png", "--baseline is of figure 7"),
        ("report figure 10 --model photo --attention --out a.png", "--attention has no effect on figure 10"),
        ("report figure 8 --model photo --examples 0 --out a.png", "--examples: 0 is out of range, give 1 to 100"),
    ],
)
def test_bad_words_are_refused(words: str, message: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("{}")
    (tmp_path / "a.json").write_text("[]")
    places = {"FOLDER": tmp_path / "folder", "FILE": tmp_path / "a.txt", "OTHER": tmp_path / "a.json"}
    found = refused(*(str(places.get(word, word)) for word in words.split()))
    assert message in found


def test_a_figure_without_an_example_is_refused(
    small_run: Path, shaperef: Path, tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Four steps of training have taught nothing."""
    capsys.readouterr()
    words = ["--model", str(small_run / "last"), "--data.root", str(shaperef), "--out", str(tmp_path / "a.png")]
    assert "has no expression right" in refused("report", "figure", "8", *words)


def test_data_of_boxes_alone_have_a_page_and_no_figure_of_the_paper(
    small_run: Path, tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """So do the scores of `m3att evaluate --json`, and data with both kinds show both."""
    lines: list[dict[str, Any]] = []
    for number in range(3):
        write_picture(tmp_path / f"{number}.png", 50 + number)
        lines.append({"image": f"{number}.png", "expression": "the red ball", "bbox": [2, 4, 10, 8]})
    boxes = write_lines(tmp_path / "boxes.jsonl", lines)
    both = write_lines(tmp_path / "both.jsonl", [*lines, {**lines[0], "bbox": None, "mask": square(2)}])
    model, scores, out = str(small_run / "last"), tmp_path / "scores.json", tmp_path / "a.html"

    def data(path: Path) -> list[str]:
        return ["--data.root", str(path), "--data.dataset", "jsonl"]

    assert main(["evaluate", "--model", model, *data(boxes), "--json", str(scores)]) == 0
    figures = json.loads(scores.read_text(encoding="utf-8"))["boxes"]
    cells = [f"{100 * figures[name]:.1f}" for name in ("mean_box_iou", "box_iou_over_0.5", "pointing_accuracy")]
    assert main(["report", model, str(scores), *data(boxes), "--out", str(out)]) == 0
    page = page_of(out)
    assert page.said("tr").count(f"all 3 {' '.join(cells)}") == 2
    assert page.said("p").count("The data have boxes and no masks. All that a page says of masks is left out.") == 2
    assert not any("Failures by kind" in said for said in page.said("h3"))
    assert main(["report", model, *data(both), "--out", str(out)]) == 0
    said = page_of(out)
    assert f"all 3 {' '.join(cells)}" in said.said("tr") and "Failures by kind" in said.said("h3")
    capsys.readouterr()
    words = ["report", "figure", "8", "--model", model, *data(boxes), "--out", str(tmp_path / "a.png")]
    assert "the data have boxes and no masks, and the figures of the paper need masks" in refused(*words)


def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = refused("report", "shaperef-tiny", "--out", str(tmp_path / "a.html"))
    assert found == "m3att report needs matplotlib: pip install 'm3att[report]'"


def test_what_is_no_utf_8_does_not_keep_the_page_from_being_written(tmp_path: Path) -> None:
    figures = {"overall_iou": 0.5, "mean_iou": 0.5, "precision": {f"0.{tenths}": 0.5 for tenths in range(5, 10)}}
    about = {
        "dataset": "jsonl", "split_by": None, "split": "val", "pixels": "photos", "model": "m\udcff", "images": 1,
        "protocol": "original", "threshold": 0.5, "expressions": 2, "cut_expressions": 0, "same_words": False,
        "mixed": False, "unknown_words": {"expressions": 0, "without_known_word": 0}, "by_skill": {},
        "left_out": {"expressions": 0, "reasons": []},
    }  # fmt: skip
    (tmp_path / "scores.json").write_text(json.dumps({**figures, **about}))
    out = tmp_path / "report.html"
    assert main(["report", str(tmp_path / "scores.json"), "--title", "half \ud83d a letter", "--out", str(out)]) == 0
    assert "half ? a letter" in out.read_text(encoding="utf-8")


def test_a_run_at_work_is_shown_without_a_model(small_run: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "busy", tmp_path / "busy.html"
    run.mkdir()
    shutil.copy(small_run / "config.yaml", run)
    lines = (small_run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join([*lines[:2], lines[2][:20]]))
    assert main(["report", str(run), "--out", str(out)]) == 0
    page = page_of(out)
    assert "The run has written no model yet" in page.said("main")[0]
    assert "Loss" in page.said("figcaption") and "Calibration" not in page.said("h3")
    assert "Trained for 2 steps" in page.said("article")[0]

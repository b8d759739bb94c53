"""docs/paper.md names what exists: every symbol, test, setting and default, and every table row builds."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from m3att.ablations import TABLES
from m3att.app.cli import COMMANDS as COMMAND_LINE
from m3att.config import DecoderConfig, MaskDecoderConfig, ModelConfig, RunConfig, VisionConfig
from m3att.data.refer.splits import require_legal
from m3att.model.build import build_network
from m3att.model.generic import GenericLayer
from m3att.model.m3dec import M3DecLayer
from m3att.model.network import M3AttNet
from m3att.presets import LITERAL, MEASURE, PAPER_ROWS, PRESETS
from m3att.settings import config_from_dict, config_to_dict, flatten, nest, settings_of

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "paper.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
CODE = sorted(set(re.findall(r"`([^`]+)`", PAGE)))
SYMBOLS = [code for code in CODE if code.startswith("m3att.")]
TESTS = [code for code in CODE if "::" in code]
FILES = [code for code in CODE if re.fullmatch(r"[\w/.]+\.(py|md)", code)]
KNOWN = settings_of(RunConfig)
SETTINGS = [code for code in CODE if re.fullmatch(r"(model|input|data|train|evaluate)\.[\w.]+(=\S+)?", code)]
NAMES = [code for code in CODE if code in PRESETS]
COMMANDS = [code for code in CODE if code.startswith("m3att ")]
# A small network of the same parts, so that a row builds in a moment.
SMALL = RunConfig(
    model=ModelConfig(
        channels=16,
        vision=VisionConfig(widths=(4, 4), blocks=(0, 0)),
        decoder=DecoderConfig(heads=2, feedforward=1),
        mask=MaskDecoderConfig(channels=4, upsamplings=1),
    )
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small are slower on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows_of(section: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    lines = SECTIONS[section].splitlines()
    heads = {at for at, line in enumerate(lines) if at + 1 < len(lines) and re.fullmatch(r"[|-]+", lines[at + 1])}
    rows = [line for at, line in enumerate(lines) if line.startswith("|") and at not in heads | {n + 1 for n in heads}]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


def values_in(cell: str) -> dict[str, Any]:
    """The settings with values of a cell, as YAML reads them."""
    return {key: yaml.safe_load(value) for key, value in re.findall(r"`([\w.]+)=([^`]+)`", cell)}


def resolve(symbol: str) -> Any:
    """The module, or what it holds, by dotted name."""
    parts = symbol.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if error.name is not None and symbol.startswith(error.name):
                continue
            raise
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(symbol)


@cache
def names_of_tests(path: str) -> frozenset[str]:
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_all_code_on_the_page_is_of_a_kind_that_is_checked() -> None:
    free = {
        ">",
        ">=",
        "fuse",
        "-recommended",
        "-literal",
        "darknet53.conv.74",
        "decoder_only",
        "concatenate",
    }
    checked = [*SYMBOLS, *TESTS, *FILES, *SETTINGS, *NAMES, *COMMANDS]
    assert {code for code in CODE if code not in checked} == free
    assert len(SYMBOLS) > 20 and len(TESTS) > 50 and len(SETTINGS) > 30


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_symbol_can_be_imported(symbol: str) -> None:
    assert resolve(symbol) is not None


@pytest.mark.parametrize("symbol", ["m3att.model.m3att.M3At", "m3att.model.m4att.M3Att", "m3att.losses.IMI.forward"])
def test_a_symbol_that_does_not_exist_is_seen(symbol: str) -> None:
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolve(symbol)


@pytest.mark.parametrize("name", TESTS)
def test_every_test_exists(name: str) -> None:
    path, function = name.split("::")
    assert function in names_of_tests(path), f"{path} has no {function}"


@pytest.mark.parametrize("name", FILES)
def test_every_file_exists(name: str) -> None:
    assert (REPOSITORY / name).is_file()


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_exists(setting: str) -> None:
    assert setting.partition("=")[0] in KNOWN


def test_commands_are_the_command_lines_own() -> None:
    assert COMMANDS == ["m3att ablate", "m3att ablate --table open"]
    assert "open" in TABLES and "ablate" in COMMAND_LINE


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert target.startswith("https://") or (REPOSITORY / "docs" / target).exists(), target


@pytest.mark.parametrize("section", ["Equations", "Figures", "Stated numbers", "What the paper leaves open"])
def test_every_row_names_a_test(section: str) -> None:
    rows = rows_of(section)
    assert len(rows) > (40 if section == "What the paper leaves open" else 9)
    assert [row[0] for row in rows if "::" not in row[-1]] == []
    assert len({tuple(row) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ("Equations", ["Eq. 1", "Eq. 2a", "Eq. 2b", "F_mul", "Eq. 3", "Eq. 4", "Eq. 5"]),
        ("Figures", ["Fig. 2", "Fig. 3(a)", "Fig. 3(b)", "Fig. 3(c)", "Fig. 4", "Fig. 5", "Fig. 6"]),
        ("Table rows", ["Table I", "Table II", "Table III", "Sec. IV-B"]),
        ("Tables IV and V", ["Table IV", "Table V"]),
    ],
)
def test_nothing_numbered_is_left_out(section: str, named: list[str]) -> None:
    firsts = [re.split(r",| =", row[0])[0] for row in rows_of(section)]
    assert set(named) <= set(firsts)


def test_stated_numbers_are_the_defaults() -> None:
    defaults = flatten(config_to_dict(RunConfig()))
    stated = [values_in(row[1]) for row in rows_of("Stated numbers")]
    for values in stated:
        assert values == {key: defaults[key] for key in values}
    assert sum(map(len, stated)) > 15


def test_switches_of_open_points_stand_with_their_defaults() -> None:
    defaults = flatten(config_to_dict(RunConfig()))
    cells = [row[2] for row in rows_of("What the paper leaves open")]
    for cell in cells:
        switches = [code for code in re.findall(r"`([^`]+)`", cell) if code in KNOWN or "=" in code]
        values = values_in(cell)
        assert len(values) == len(switches), cell  # each with its value
        assert values == {key: defaults[key] for key in values}
    named = {key for cell in cells for key in values_in(cell)}
    named |= {key for row in rows_of("Departures from the paper's word") for key in values_in(row[1])}
    # What is measured both ways is an open point or a departure.
    assert {key for row in TABLES["open"].rows for key in row.changes} <= named


def test_departures_are_the_switches_of_the_literal_presets() -> None:
    defaults = flatten(config_to_dict(RunConfig()))
    lines = [line for line in SECTIONS["Departures from the paper's word"].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    switched = [row for row in rows[2:] if len(row) == 4]
    assert len(switched) == len(LITERAL)
    stated: dict[str, Any] = {}
    for _, here, there, tests in switched:
        ((key, default),) = values_in(here).items()
        assert "::" in tests and default == defaults[key]
        assert values_in(there).keys() == {key}
        stated |= values_in(there)
    assert stated == dict(LITERAL)
    assert all("::" in row[-1] for row in rows if len(row) == 3 and row[1] not in ("here", "---"))
    assert {len(row) for row in rows} == {3, 4}


@pytest.mark.parametrize("row", rows_of("Tables IV and V"), ids=lambda row: str(row[0]))
def test_a_row_of_the_papers_networks_is_its_preset(row: list[str]) -> None:
    label, name, settings, paper = row
    config = PRESETS[name.strip("`")].config
    found = flatten(config_to_dict(config))
    values = values_in(settings)
    assert len(values) > 1
    assert values == {key: found[key] for key in values}
    if label.startswith("Table IV"):
        data_set, _, backbone = name.strip("`").partition("-darknet53" if "CNN" in label else "-swin-b")
        assert not backbone
        figures = {split: float(value) for split, value in (pair.split() for pair in paper.split(", "))}
        expected = PAPER_ROWS[data_set]
        kind = "darknet53" if "CNN" in label else "swin-b"
        assert figures[expected.split] == pytest.approx(100 * expected.iou[kind])
        assert (expected.dataset, expected.split_by) == (values["data.dataset"], values["data.split_by"])
        for split in figures:
            require_legal(expected.dataset, expected.split_by, split)
        assert MEASURE[kind] == ("mean IoU" if "CNN" in label else "overall IoU")


def test_every_network_of_the_paper_has_its_row() -> None:
    rows = [(row[0].split(",")[0], row[1].strip("`")) for row in rows_of("Tables IV and V")]
    assert len(set(rows)) == len(rows)
    expected = {("Table IV", f"{name}-{backbone}") for name in PAPER_ROWS for backbone in MEASURE}
    assert set(rows) == {*expected, ("Table V", "refcoco-darknet53")}


def test_table_v_has_the_figures_that_the_ablations_repeat() -> None:
    (precisions,) = [row[-1] for row in rows_of("Tables IV and V") if row[0] == "Table V, Ours"]
    (ours,) = [row[-1] for row in rows_of("Table rows") if row[0] == "Table III, ours"]
    values = re.findall(r"Pr@\S+ ([\d.]+)", precisions)
    assert [values[0], values[-1]] == ours.split(", ")[1:]
    assert sorted(values, reverse=True) == values and len(values) == 5


def row_name(row: list[str]) -> str:
    return row[0]


@pytest.mark.parametrize("row", rows_of("Table rows"), ids=row_name)
def test_a_table_row_builds_the_network_that_it_names(row: list[str]) -> None:
    name, settings, _ = row
    values = values_in(settings)
    assert values or settings == "-"
    config = config_from_dict(nest(values), SMALL)
    network = build_network(config.model, 32, 20)
    decoder, kind = network.decoder, network.mask_decoder.kind
    layers = re.search(r"(\d) layer", name)
    assert len(decoder.layers) == (int(layers[1]) if layers else 3)
    attention = {
        "independent": "independent",
        "generic": "generic",
        "VAL alone": "vision_query",
        "LAV in": "lav",
        "VAL in": "val",
    }
    expected = next((kind for word, kind in attention.items() if word in name), "shared")
    assert {attention_of(layer) for layer in decoder.layers} == {expected}
    assert kind == {"Table III, VLT": "decoder_only", "Table III, concatenate": "concatenate"}.get(name, "dynamic")
    baseline = "baseline" in name or name == "Table II, LAV in M3Att's place"
    assert (network.lfr is None) == baseline
    assert bool(decoder.interactions) == ((not baseline or "IMI" in name) and len(decoder.layers) > 1)
    assert all(block.constant == ("IMI*" in name) for block in decoder.interactions)
    assert finite(network)


def attention_of(layer: torch.nn.Module) -> str:
    if isinstance(layer, GenericLayer):
        return "generic" if layer.query == "words" else "vision_query"
    assert isinstance(layer, M3DecLayer)
    return layer.mutual.attention


def finite(network: M3AttNet) -> bool:
    """Whether the network gives masks at all."""
    words = torch.ones(2, 3, dtype=torch.int64)
    pixels_BCHW = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    with torch.no_grad():
        output = network.eval()(pixels_BCHW, torch.zeros(2, dtype=torch.int64), words, words.bool())
    return bool(output.mask_logits_NHW.isfinite().all())


def test_rows_that_share_settings_share_their_figures() -> None:
    """What the paper says of one network it says wherever the network stands."""
    figures: dict[str, set[str]] = {}
    for _, settings, paper in rows_of("Table rows"):
        figures.setdefault(settings, set()).add(", ".join(paper.split(", ")[:2]))
    assert {settings: found for settings, found in figures.items() if len(found) > 1} == {}

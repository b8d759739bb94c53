"""The rows of the ablation tables: the paper's figures, one network a row, equal budgets."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from m3att.ablations import NOT_IN_THE_PAPER, OURS, TABLES, Row, Table, find_table, row_config
from m3att.config import DecoderConfig, MaskDecoderConfig, ModelConfig, RunConfig, VisionConfig
from m3att.errors import ConfigError
from m3att.model.build import build_network
from m3att.model.generic import GenericLayer
from m3att.model.m3dec import M3DecLayer
from m3att.model.network import M3AttNet
from m3att.presets import PRESETS
from m3att.settings import differences

# The tables as the paper prints them.
TABLE_1 = """
1 60.57 72.47 62.36 74.00 55.42 70.02
2 66.30 78.01 66.32 78.55 64.12 75.33
3 67.88 79.01 67.80 78.94 64.40 75.81
4 67.82 78.95 67.76 78.99 64.42 75.79
"""
TABLE_2 = """
#0 Baseline (Generic LAV) 62.04 73.52
#1 Baseline (M3Att) 65.56 76.66
#2 Baseline + IMI 66.70 77.62
#3 Baseline + IMI* 65.92 76.80
#4 Ours 67.88 79.01
"""
TABLE_3 = """
VLT 66.05 78.64 13.81
Concate 66.58 78.90 15.55
Ours 67.88 79.01 17.70
"""
BASE = PRESETS["ablation-tiny"].config
# A network of the same parts that is built in a moment.
SMALL = replace(
    BASE,
    model=ModelConfig(
        channels=16,
        vision=VisionConfig(widths=(4, 4), blocks=(0, 0)),
        decoder=DecoderConfig(heads=2, feedforward=1, reconstruction_stop_gradient=True),
        mask=MaskDecoderConfig(channels=4, upsamplings=1),
    ),
)
ROWS = [(table, row) for table in TABLES.values() for row in table.rows]
IDS = [f"{table.name}-{row.name}" for table, row in ROWS]


def printed(rows: tuple[Row, ...]) -> list[str]:
    return [" ".join([row.label, *(f"{value:.2f}" for value in row.paper.values())]) for row in rows]


def test_table_1_is_the_papers() -> None:
    table = TABLES["1"]
    for line, numbers in zip(range(1, 5), TABLE_1.strip().splitlines(), strict=True):
        rows = [row for row in table.rows if row.label == str(line) and row.paper]
        assert [row.group for row in rows] == ["Shared", "Independent", "Generic (LAV only)"]
        assert " ".join([str(line), *(f"{value:.2f}" for row in rows for value in row.paper.values())]) == numbers
        assert [dict(row.changes)["model.decoder.attention"] for row in rows] == ["shared", "independent", "generic"]
        assert {dict(row.changes)["model.decoder.layers"] for row in rows} == {line}
    val, *ours = (row for row in table.rows if not row.paper)
    assert (val.name, val.remark, val.group) == ("3-vision-query", "fails to converge", "VAL only")
    assert [(row.name, row.remark) for row in ours] == [("3-lav", NOT_IN_THE_PAPER), ("3-val", NOT_IN_THE_PAPER)]


@pytest.mark.parametrize(("name", "text"), [("2", TABLE_2), ("3", TABLE_3)])
def test_tables_2_and_3_are_the_papers(name: str, text: str) -> None:
    table = TABLES[name]
    rows = tuple(row for row in table.rows if row.remark != NOT_IN_THE_PAPER)
    assert printed(rows) == text.strip().splitlines()
    figures = ("mean_iou", "precision_0.5", "precision_0.9")[: len(table.figures)]
    assert all(tuple(row.paper) == figures == table.figures for row in rows)


def test_the_rows_are_those_of_the_page(repository: Path) -> None:
    """docs/paper.md states each row by itself; both must say the same."""
    section = (repository / "docs" / "paper.md").read_text(encoding="utf-8").partition("## Table rows")[2]
    lines = [line for line in section.partition("\n## ")[0].splitlines() if re.match(r"\| (Table|Sec)", line)]
    stated = []
    for line in lines:
        name, settings, paper = (cell.strip() for cell in line.strip("|").split("|"))
        values = {key: yaml.safe_load(value) for key, value in re.findall(r"`([\w.]+)=([^`]+)`", settings)}
        table = "1" if name.startswith("Sec.") else {"I": "1", "II": "2", "III": "3"}[name.split()[1].rstrip(",")]
        stated.append((table, {**OURS, **values}, paper))
    ours = [
        (
            table.name,
            {**OURS, **row.changes},
            ", ".join(f"{value:.2f}" for value in row.paper.values()) or row.remark,
        )
        for table, row in ROWS
        if table.name != "open"
    ]
    assert sorted(map(str, stated)) == sorted(map(str, ours))


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_a_row_differs_in_what_it_names_and_in_nothing_else(table: Table, row: Row) -> None:
    opposite = {
        "model.vision.early_fusion": True,
        "model.mask_padding": False,
        "data.grouped": False,
        "model.norm_everywhere": True,
        "model.mask.figure_6": True,
        "model.mask.unit_convolutions": 2,
        "model.decoder.interaction_code": False,
        "train.clip": 0.0,
        "model.decoder.fusion_norm": True,
        "model.decoder.fusion_vision": True,
        "model.decoder.reconstruction_stop_gradient": False,
    }
    config = row_config(BASE, row, seed=7)
    reference = row_config(BASE, Row("", "", {}), seed=7)
    found = {key: mine for key, (_, mine) in differences(reference, config).items()}
    # A change to what the reference is already, such as three layers, is none.
    switches = {key: not value for key, value in opposite.items() if isinstance(value, bool)}
    numbers = {"model.mask.unit_convolutions": 1, "train.clip": 1.0}
    defaults: dict[str, Any] = {**OURS, **switches, **numbers}
    assert found == {key: value for key, value in row.changes.items() if value != defaults[key]}
    assert config.train.seed == 7


def test_the_small_preset_is_the_papers_own_network() -> None:
    assert differences(BASE, row_config(BASE, Row("", "", {}), BASE.train.seed)) == {}


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_budgets_are_equal(table: Table, row: Row) -> None:
    config = row_config(BASE, row, BASE.train.seed)
    assert replace(config.train, clip=BASE.train.clip) == BASE.train
    assert (config.input, config.evaluate) == (BASE.input, BASE.evaluate)
    assert replace(config.data, grouped=BASE.data.grouped) == BASE.data


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_a_row_builds_and_gives_masks(table: Table, row: Row) -> None:
    config = row_config(SMALL, row, 0)
    network = build_network(config.model, 32, 20)
    words = torch.ones(2, 3, dtype=torch.int64)
    with torch.no_grad():
        output = network.eval()(
            torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), words, words.bool()
        )
    assert bool(output.mask_logits_NHW.isfinite().all())
    assert has_parts(network, {**OURS, **row.changes})


def attention_of(layer: nn.Module) -> str:
    if isinstance(layer, GenericLayer):
        return "generic" if layer.query == "words" else "vision_query"
    assert isinstance(layer, M3DecLayer)
    return layer.mutual.attention


def has_parts(network: M3AttNet, settings: dict[str, Any]) -> bool:
    layers = network.decoder.layers
    return (
        len(layers) == settings["model.decoder.layers"]
        and {attention_of(layer) for layer in layers} == {settings["model.decoder.attention"]}
        and (network.lfr is not None) == settings["model.decoder.reconstruction"]
        and bool(network.decoder.interactions) == (settings["model.decoder.interaction"] != "none" and len(layers) > 1)
        and network.mask_decoder.kind == settings["model.mask.kind"]
    )


def test_rows_state_their_network_whatever_the_preset() -> None:
    other = replace(RunConfig(), model=replace(ModelConfig(), decoder=DecoderConfig(layers=5, attention="val")))
    config = row_config(other, TABLES["2"].find(["imi"])[0], 0)
    assert (config.model.decoder.layers, config.model.decoder.attention) == (3, "shared")
    assert (config.model.decoder.interaction, config.model.decoder.reconstruction) == ("iterative", False)


def test_names_are_unique_and_compared_rows_exist() -> None:
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        assert {row.against for row in table.rows if row.against} <= set(names)
        assert {row.group for row in table.rows} == set(table.groups)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no table '4'; there are 1, 2, 3, open"):
        find_table("4")
    with pytest.raises(ConfigError, match="no row 'immi' in table 2, did you mean imi"):
        TABLES["2"].find(["immi"])
    with pytest.raises(ConfigError, match="no row 'x' in table 3; there are decoder-only, concatenate, ours"):
        TABLES["3"].find(["x"])
    assert [row.name for row in TABLES["2"].find(["ours", "imi"])] == ["imi", "ours"]

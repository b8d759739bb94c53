"""The rows of the paper's ablation tables as values: the settings of each row, and the paper's figures.

Each row states all settings that its table is about, so it is the same network with every preset. Everything else,
above all the budget, is that of the preset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from m3att.bounds import check_fit
from m3att.config import RunConfig
from m3att.errors import ConfigError, did_you_mean
from m3att.settings import changed, nest

# The paper's own network (Sec. IV-B). Every row is this network except for the settings that it names.
OURS: Mapping[str, Any] = {
    "model.decoder.layers": 3,
    "model.decoder.attention": "shared",
    "model.decoder.interaction": "iterative",
    "model.decoder.reconstruction": True,
    "model.mask.kind": "dynamic",
}

NOT_IN_THE_PAPER = "not in the paper"


@dataclass(frozen=True)
class Row:
    """One row, or in Table I one field, of an ablation table.

    Args:
        name: its name on the command line and in folders.
        label: its name in the paper.
        changes: settings in which it differs from OURS, by dotted name.
        paper: the paper's figures in per cent, by the names of `Table.figures`; none where the paper has none.
        remark: what the paper says in words.
        group: the columns that it stands under, in a table with groups.
        against: the row that it is compared with; None for the row that the others are compared with.
    """

    name: str
    label: str
    changes: Mapping[str, Any]
    paper: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""
    group: str = ""
    against: str | None = None


@dataclass(frozen=True)
class Table:
    """An ablation table.

    Args:
        name: its name on the command line.
        title: what it compares.
        head: head of the column of labels.
        figures: the paper's columns: `mean_iou`, or `precision_` with its bound.
        rows: in the paper's order.
        groups: groups of columns, in a table where a label has several rows.
    """

    name: str
    title: str
    head: str
    figures: tuple[str, ...]
    rows: tuple[Row, ...]
    groups: tuple[str, ...] = ("",)

    def find(self, names: Sequence[str]) -> tuple[Row, ...]:
        """The rows of these names, in the table's order.

        Raises:
            ConfigError: where there is no such row.
        """
        known = [row.name for row in self.rows]
        for name in names:
            if name not in known:
                advice = did_you_mean(name, known) or f"; there are {', '.join(known)}"
                raise ConfigError(f"no row {name!r} in table {self.name}{advice}")
        return tuple(row for row in self.rows if row.name in names)


def row_config(base: RunConfig, row: Row, seed: int) -> RunConfig:
    """The run of one row and seed.

    Args:
        base: the preset of the table.
        row: the row.
        seed: seed of weights, order and augmentation.

    Raises:
        ConfigError: if the settings of the row do not fit those of the preset.
    """
    config = changed(base, nest({**OURS, **row.changes}))
    config = replace(config, train=replace(config.train, seed=seed))
    check_fit(config)
    return config


def find_table(name: str) -> Table:
    """A table by its name.

    Raises:
        ConfigError: where there is none of that name; the message lists them.
    """
    if name not in TABLES:
        raise ConfigError(f"no table {name!r}; there are {', '.join(TABLES)}")
    return TABLES[name]


def _layers_table() -> Table:
    """Table I; it carries IMI and LFR, see docs/paper.md."""
    groups = {"shared": "Shared", "independent": "Independent", "generic": "Generic (LAV only)"}
    found = {
        1: {"shared": (60.57, 72.47), "independent": (62.36, 74.00), "generic": (55.42, 70.02)},
        2: {"shared": (66.30, 78.01), "independent": (66.32, 78.55), "generic": (64.12, 75.33)},
        3: {"shared": (67.88, 79.01), "independent": (67.80, 78.94), "generic": (64.40, 75.81)},
        4: {"shared": (67.82, 78.95), "independent": (67.76, 78.99), "generic": (64.42, 75.79)},
    }
    rows = [
        Row(
            f"{layers}-{attention}",
            str(layers),
            {"model.decoder.layers": layers, "model.decoder.attention": attention},
            _figures(*figures),
            group=groups[attention],
            against=None if attention == "shared" else f"{layers}-shared",
        )
        for layers, line in found.items()
        for attention, figures in line.items()
    ]
    # In words in Sec. IV-B, without a number of layers: the paper's default.
    others = (
        Row("3-vision-query", "3", {"model.decoder.attention": "vision_query"}, remark="fails to converge",
            group="VAL only", against="3-shared"),
        # Ours: half of M3Att in its place, with everything around it.
        Row("3-lav", "3", {"model.decoder.attention": "lav"}, remark=NOT_IN_THE_PAPER, group="LAV in M3Att's place",
            against="3-shared"),
        Row("3-val", "3", {"model.decoder.attention": "val"}, remark=NOT_IN_THE_PAPER, group="VAL in M3Att's place",
            against="3-shared"),
    )  # fmt: skip
    title = "Table I: layers of M3Dec, by kind of attention"
    columns = (*groups.values(), *(row.group for row in others))
    return Table("1", title, "Layers", ("mean_iou", "precision_0.5"), (*rows, *others), columns)


def _components_table() -> Table:
    """Table II."""
    no_lfr = {"model.decoder.reconstruction": False}
    bare = {"model.decoder.interaction": "none", **no_lfr}
    rows = (
        Row("baseline-generic", "#0 Baseline (Generic LAV)", {"model.decoder.attention": "generic", **bare},
            _figures(62.04, 73.52), against="ours"),
        Row("baseline-lav", "LAV in M3Att's place", {"model.decoder.attention": "lav", **bare},
            remark=NOT_IN_THE_PAPER, against="ours"),
        Row("baseline-m3att", "#1 Baseline (M3Att)", bare, _figures(65.56, 76.66), against="ours"),
        Row("imi", "#2 Baseline + IMI", no_lfr, _figures(66.70, 77.62), against="ours"),
        Row("imi-constant", "#3 Baseline + IMI*", {"model.decoder.interaction": "constant", **no_lfr},
            _figures(65.92, 76.80), against="ours"),
        Row("ours", "#4 Ours", {}, _figures(67.88, 79.01)),
    )  # fmt: skip
    return Table("2", "Table II: components", "Model", ("mean_iou", "precision_0.5"), rows)


def _mask_decoder_table() -> Table:
    """Table III."""
    rows = (
        Row("decoder-only", "VLT", {"model.mask.kind": "decoder_only"}, _figures(66.05, 78.64, 13.81), against="ours"),
        Row("concatenate", "Concate", {"model.mask.kind": "concatenate"}, _figures(66.58, 78.90, 15.55),
            against="ours"),
        Row("ours", "Ours", {}, _figures(67.88, 79.01, 17.70)),
    )  # fmt: skip
    figures = ("mean_iou", "precision_0.5", "precision_0.9")
    return Table("3", "Table III: settings of the mask decoder", "Model", figures, rows)


def _open_table() -> Table:
    """The points that the paper leaves open, each both ways; one of a pair is the preset's own network."""
    pairs = (
        ("model.vision.early_fusion", ("early-fusion-off", "Language meets the image after the encoder", False),
         ("early-fusion-on", "Early fusion, as VLT", True)),
        ("model.decoder.fusion_norm",
         ("fusion-norm-off", "F_mul projected as it is", False),
         ("fusion-norm-on", "F_mul normed over the positions", True)),
        ("model.decoder.fusion_vision",
         ("fusion-vision-off", "M3Att gives F_mul alone", False),
         ("fusion-vision-on", "M3Att gives F_mul and LAV", True)),
        ("model.decoder.reconstruction_stop_gradient",
         ("lfr-gradient-stopped", "LFR's target out of the gradient", True),
         ("lfr-gradient-through", "LFR's target trained, as Eq. 4 stands", False)),
        ("model.mask_padding", ("padding-masked", "Padding masked", True),
         ("padding-as-words", "Padding treated as words, as VLT", False)),
        ("model.norm_everywhere", ("norm-everywhere-off", "Word projections, M3Att's output and kernels plain", False),
         ("norm-everywhere-on", "BN and ReLU after all of them, as Sec. IV-A", True)),
        ("model.mask.figure_6", ("figure-6-off", "Residual, norm and projections in the mask decoder", False),
         ("figure-6-on", "Fig. 6 to the letter", True)),
        ("model.mask.unit_convolutions", ("unit-convolutions-1", "One convolution before each upsampling", 1),
         ("unit-convolutions-2", "Two, as the x2 of Fig. 6 may mean", 2)),
        ("model.decoder.interaction_code", ("interaction-code-on", "IMI reads F_t with its sine code", True),
         ("interaction-code-off", "IMI reads F_t alone, as Fig. 4", False)),
        ("train.clip", ("clip-on", "Gradients clipped at norm 1", 1.0), ("clip-off", "No clipping, as the paper", 0.0)),
        ("data.grouped", ("sampling-grouped", "Expressions grouped by image", True),
         ("sampling-single", "Expressions sampled one by one", False)),
    )  # fmt: skip
    rows = [
        Row(name, label, {key: value}, against=None if name == first[0] else first[0])
        for key, first, second in pairs
        for name, label, value in (first, second)
    ]
    return Table("open", "What the paper leaves open", "Network", ("mean_iou", "precision_0.5"), tuple(rows))


def _figures(*values: float) -> dict[str, float]:
    return dict(zip(("mean_iou", "precision_0.5", "precision_0.9"), values, strict=False))


TABLES: dict[str, Table] = {
    table.name: table for table in (_layers_table(), _components_table(), _mask_decoder_table(), _open_table())
}

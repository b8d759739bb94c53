"""What a run starts with: tokenizer, architectures, first weights, and the folder that it can be resumed from."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from m3att.config import RunConfig
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.faults import FAULTS
from m3att.errors import ConfigError, ModelError
from m3att.files import replace_file
from m3att.model.huggingface import Architectures
from m3att.model.network import M3AttNet
from m3att.model_folder import TOKENIZER, find_model
from m3att.pretrained import TRAINING_PARTS, load_model, read_architectures, write_architectures
from m3att.settings import config_to_yaml
from m3att.weights.huggingface import find_architectures
from m3att.weights.start import start_tokenizer

METRICS = "metrics.jsonl"
BY_GRID = ("mutual.output.weight", "fusion_norm.weight", "mask_decoder.maps.weight")  # as large as the grid is
ENCODERS = ("vision.backbone.", "language.")


def run_tokenizer(config: RunConfig, source: Source, out: Path, resume: bool) -> Tokenizer:
    """The run's own tokenizer when it goes on, that of the model it starts from, or a fresh one."""
    if resume:
        return Tokenizer.from_file(out / "tokenizer.json", config.model.word_limit)
    if config.train.init is not None:
        return Tokenizer.from_file(find_model(config.train.init) / TOKENIZER, config.model.word_limit)
    return start_tokenizer(config.model, source.texts)


def run_architectures(config: RunConfig, tokenizer: Tokenizer, out: Path, resume: bool) -> Architectures:
    """Of the encoders that come from transformers: the run's own when it goes on, else as `run_tokenizer` chooses."""
    if resume:
        return read_architectures(out)
    if config.train.init is not None:
        return read_architectures(find_model(config.train.init))
    return find_architectures(config.model, tokenizer)


def count_categories(config: RunConfig, source: Source) -> int:
    """Classes of the category head, "nothing" among them; none without a category loss.

    Raises:
        ConfigError: where the data set names no categories to learn.
    """
    if config.train.category_weight == 0:
        return 0
    if not source.category_names:
        raise ConfigError(
            f"train.category_weight: {config.data.dataset} has no categories to learn; give --train.category_weight 0"
        )
    return len(source.category_names) + 1


def start_from(network: M3AttNet, name: str, fresh: Sequence[str] = ()) -> None:
    """Fill a fresh network with a model's weights; LFR's and the category head's stay fresh where it has none.

    Args:
        network: to be filled.
        name: of the model.
        fresh: patterns of weights that are not filled; see TrainConfig.

    Raises:
        ConfigError: where a pattern meets no weight, or an encoder, which settings of its own fill.
        ModelError: where there is no such model, or its network is another one.
    """
    weights = load_model(name).network.state_dict()
    own = network.state_dict()
    left: set[str] = set()
    for pattern in fresh:
        met = {key for key in own if fnmatchcase(key, pattern) or fnmatchcase(key, f"{pattern}.*")}
        if not met:
            raise ConfigError(f"train.fresh: the network has no part {pattern}")
        if any(key.startswith(ENCODERS) for key in met):
            raise ConfigError(f"train.fresh: {pattern} holds an encoder, which train.init always fills")
        left |= met
    fitting = {
        key: value for key, value in weights.items() if key in own and key not in left and own[key].shape == value.shape
    }
    missing = [key for key in own if key not in fitting and key not in left and not key.startswith(TRAINING_PARTS)]
    if missing:
        advice = "; model.grid_size keeps the grid of another input.size" if missing[0].endswith(BY_GRID) else ""
        raise ModelError(f"{name}: its network is another one than this run's: {missing[0]} does not fit{advice}")
    network.load_state_dict(fitting, strict=False)


def start_folder(out: Path, config: RunConfig, tokenizer: Tokenizer, network: M3AttNet) -> None:
    """Write what a run is resumed from; figures of an earlier run that saved no checkpoint are dropped."""
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / "config.yaml", config_to_yaml(config).encode())
    tokenizer.save(out / "tokenizer.json")
    write_architectures(out, network)
    (out / METRICS).unlink(missing_ok=True)
    (out / FAULTS).unlink(missing_ok=True)

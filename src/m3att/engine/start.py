"""The start of a run or a dry run: process, words, network, first weights and optimiser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import cv2
import torch
from torch import Tensor

from m3att.config import ModelConfig, RunConfig, TrainConfig
from m3att.data.source import Source
from m3att.data.text import Coverage, Tokenizer
from m3att.encoders import PARTS, covers, fresh_halves
from m3att.engine.distributed import ALONE, Processes
from m3att.engine.optim import build_optimizer
from m3att.engine.origin import preset_before
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError, ModelError
from m3att.model.architectures import Architectures
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.model.recompute import recompute_layers
from m3att.model_folder import TOKENIZER, find_model
from m3att.pretrained import TRAINING_PARTS, load_model, read_architectures
from m3att.weights.start import fill_pretrained, pretrained_parts, start_tokenizer
from m3att.weights.transformers_checkpoint import find_architectures

BY_GRID = ("mutual.output.weight", "fusion_norm.weight", "mask_decoder.maps.weight")  # as large as the grid is
RARE = 0.05  # share of a list of words


@dataclass(frozen=True)
class Start:
    """What a run starts with.

    Args:
        tokenizer: its words.
        network: with the weights that it starts from, but for those of a checkpoint; on the CPU.
        known: how much of the training's expressions the model that it starts from knows; None without such a model.
        new_words: words that were added to the vocabulary of that model.
    """

    tokenizer: Tokenizer
    network: M3AttNet
    known: Coverage | None = None
    new_words: tuple[str, ...] = ()


def start_process(settings: TrainConfig, processes: Processes = ALONE) -> torch.device:
    """Seed this process and set its threads; returns the device to train on.

    Args:
        settings: of the run.
        processes: that train together.

    Raises:
        ConfigError: where there is no such device, or several processes are to compile the network.
    """
    if settings.compile and processes.count > 1:
        raise ConfigError("train.compile: only a process that is alone compiles; leave it out, or start one process")
    device = processes.device(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    cv2.setNumThreads(0)  # before OpenCV starts its own threads; a reading process forked after that would hang
    return device


def start_run(
    config: RunConfig, source: Source, resumed: RunFolder | None = None, filled: ModelConfig | None = None
) -> Start:
    """Make the words and the network of a run.

    Args:
        config: of the run.
        source: the training split.
        resumed: the run that goes on, whose checkpoint holds the weights; None: a new one.
        filled: says which pretrained weights the encoders get where that is not what the run says.

    Raises:
        ConfigError: where the settings do not fit the data or the weights.
        ModelError: where a model or weights are missing, broken or of another network.
    """
    if resumed is not None:
        tokenizer = Tokenizer.from_file(resumed.tokenizer, config.model.word_limit)
        return Start(tokenizer, build(config, source, tokenizer, read_architectures(resumed.path)))
    if config.train.init is not None:
        return start_from_model(config, source, config.train.init)
    tokenizer = start_tokenizer(config.model, source.texts)
    network = build(config, source, tokenizer, find_architectures(config.model, tokenizer))
    fill_pretrained(network, tokenizer, filled or config.model)
    return Start(tokenizer, network)


def start_from_model(config: RunConfig, source: Source, name: str) -> Start:
    """The words and the network of a run that starts from a model, and learns the words that the model does not know.

    Args:
        config: of the run.
        source: the training split.
        name: of the model.

    Raises:
        ConfigError: where the settings do not fit the data.
        ModelError: where there is no such model, or its network is another one.
    """
    if preset_before(config.train) is not None:
        raise ConfigError(f"train.init: {name} is trained first by m3att train alone; give the folder of its model")
    folder = find_model(name)
    own = Tokenizer.from_file(folder / TOKENIZER, config.model.word_limit)
    tokenizer, texts = own, () if knows_lexicon(own, source) else tuple(source.texts())
    if config.train.new_words and config.model.language.encoder == "birnn":
        tokenizer = own.extended(texts, config.model.language.word_minimum)
    halves = fresh_halves(config.train)
    found = find_architectures(config.model, tokenizer, halves)
    kept = read_architectures(folder)
    network = build(
        config, source, tokenizer, Architectures(found.vision or kept.vision, found.language or kept.language)
    )
    start_from(network, name, config.train.fresh)
    fill_pretrained(network, tokenizer, config.model, halves)
    return Start(tokenizer, network, own.coverage(texts), tuple(tokenizer.words_after(own.size)))


def knows_lexicon(tokenizer: Tokenizer, source: Source) -> bool:
    """Whether a vocabulary has the list of a source's words, if there is one, but for words too rare to have been met.

    Scenes that are drawn take a minute to tell their expressions, and a model that was trained on such scenes knows all
    of their words that 2,000 scenes say: 258 of ShapeRef's 263.
    """
    return source.lexicon is not None and tokenizer.coverage(source.lexicon).unknown <= RARE * len(source.lexicon)


def build(config: RunConfig, source: Source, tokenizer: Tokenizer, architectures: Architectures) -> M3AttNet:
    """The network of a run, with fresh weights.

    Args:
        config: of the run.
        source: the training split, whose categories a category head tells apart.
        tokenizer: the run's words.
        architectures: of encoders that come from transformers.
    """
    categories = count_categories(config, source)
    network = build_network(config.model, config.input.size, tokenizer.size, categories, architectures)
    if config.train.recompute:
        recompute_layers(network)
    if config.train.only:
        fix_others(network, config.train.only)
    return network


def fix_others(network: M3AttNet, only: Sequence[str]) -> None:
    """Keep every part of a network fixed but those that patterns name.

    Args:
        network: its other weights get no gradient, and its other parts stay in evaluation mode.
        only: the patterns; see TrainConfig.

    Raises:
        ConfigError: where a pattern meets no weight that learns.
    """
    weights = {key: weight for key, weight in network.named_parameters() if weight.requires_grad}
    learning: set[str] = set()
    for pattern in only:
        met = matching(weights, pattern)
        if not met:
            raise ConfigError(f"train.only: the network has no part {pattern} that learns")
        learning |= met
    for key, weight in weights.items():
        weight.requires_grad_(key in learning)
    network.keep_fixed_parts()


def matching(keys: Iterable[str], pattern: str) -> set[str]:
    """The names of weights that a pattern of `TrainConfig.fresh` or `only` meets.

    Args:
        keys: names of weights.
        pattern: names weights, or a part that holds them.
    """
    return {key for key in keys if fnmatchcase(key, pattern) or fnmatchcase(key, f"{pattern}.*")}


def start_optimizer(network: M3AttNet, config: RunConfig, device: torch.device) -> torch.optim.Optimizer:
    """Move a network to its device, choose the memory layout for convolutions, and make its optimiser.

    Args:
        network: with its first weights.
        config: of the run.
        device: where it trains.
    """
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return make_optimizer(network, config)


def make_optimizer(network: M3AttNet, config: RunConfig) -> torch.optim.Optimizer:
    """The optimiser of a network on its device, without any state."""
    return build_optimizer(network, config.train, pretrained_parts(network, config.model))


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


def with_new_words(weights: dict[str, Tensor], network: M3AttNet) -> dict[str, Tensor]:
    """A model's weights with rows for the words that a network's vocabulary has beyond the model's.

    Args:
        weights: of the model; its words come first in the larger vocabulary.
        network: fresh; its own rows for those words are brought to the spread of the model's.
    """
    own = network.state_dict()
    longer = dict(weights)
    for name in network.language.per_word:
        key = f"language.{name}"
        if key in own and key in weights and len(own[key]) > len(weights[key]):
            fresh = own[key][len(weights[key]) :]
            if fresh.is_floating_point():
                fresh = fresh * (weights[key].std() / own[key].std())
            longer[key] = torch.cat([weights[key], fresh])
    return longer


def start_from(network: M3AttNet, name: str, fresh: Sequence[str] = ()) -> None:
    """Fill a fresh network with a model's weights; LFR's and the category head's stay fresh where it has none.

    Args:
        network: to be filled.
        name: of the model, whose words come first in the network's vocabulary.
        fresh: patterns of weights that are not filled; see TrainConfig.

    Raises:
        ConfigError: where a pattern meets no weight, or only a part of an encoder.
        ModelError: where there is no such model, or its network is another one.
    """
    own = network.state_dict()
    weights = with_new_words(load_model(name).network.state_dict(), network)
    left: set[str] = set()
    for pattern in fresh:
        met = matching(own, pattern)
        if not met:
            raise ConfigError(f"train.fresh: the network has no part {pattern}")
        for part in PARTS.values():
            if any(key.startswith(f"{part}.") for key in met) and not covers(pattern, part):
                raise ConfigError(f"train.fresh: {pattern} is only a part of an encoder; name {part} as a whole")
        left |= met
    fitting = {
        key: value for key, value in weights.items() if key in own and key not in left and own[key].shape == value.shape
    }
    missing = [key for key in own if key not in fitting and key not in left and not key.startswith(TRAINING_PARTS)]
    if missing:
        advice = "; model.grid_size keeps the grid of another input.size" if missing[0].endswith(BY_GRID) else ""
        raise ModelError(f"{name}: its network is another one than this run's: {missing[0]} does not fit{advice}")
    network.load_state_dict(fitting, strict=False)

"""Pretrained encoders of the library transformers: a folder or a Hub id with config.json and model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from m3att.config import LanguageConfig, ModelConfig, VisionConfig
from m3att.data.text import Tokenizer
from m3att.download import UnreachableError, from_hub, may_be_on_hub
from m3att.encoders import HALVES, Half, halves_of
from m3att.errors import ConfigError, M3AttError, ModelError
from m3att.model.architectures import Architecture, Architectures, plain_architecture, require_transformers
from m3att.model.language import text_transformer as language
from m3att.model.vision import auto_backbone as vision
from m3att.model.vision.contract import IMAGENET_MEAN, IMAGENET_STD

CONFIG, INDEX, PREPROCESSOR = "config.json", "model.safetensors.index.json", "preprocessor_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt")
WANTED = (
    CONFIG, INDEX, PREPROCESSOR, *TOKENIZER_FILES, "special_tokens_map.json",
    "model.safetensors", "model-*.safetensors",
)  # fmt: skip
# What a known architecture says that a checkpoint may have otherwise: none of them is a size of a layer.
FREE = ("vocab_size", "image_size")
# Norms that a backbone puts before its outputs and that no checkpoint of a classifier has; they start as no change.
FRESH = ("hidden_states_norms.",)


def find_architectures(config: ModelConfig, tokenizer: Tokenizer, halves: Collection[str] = HALVES) -> Architectures:
    """The architectures of the encoders that are transformers'; none where they are not.

    Args:
        config: of the network.
        tokenizer: its words.
        halves: those to find.

    Raises:
        ConfigError: where settings and weights disagree, or say too little.
        ModelError: where weights cannot be had.
    """

    def wanted(half: Half) -> bool:
        return half.name in halves and half.encoder.kind == "transformers"

    vision_half, language_half = halves_of(config)
    return Architectures(
        vision_architecture(config.vision) if wanted(vision_half) else None,
        language_architecture(config.language, tokenizer) if wanted(language_half) else None,
    )


def vision_architecture(config: VisionConfig) -> Architecture:
    """Architecture of the vision backbone: that of its weights' config.json, or a known one by name.

    Raises:
        ConfigError: where neither is given, or both are and they disagree.
        ModelError: where the weights cannot be had.
    """
    if config.weights is None:
        return vision.find_architecture(config.architecture)
    folder = find_folder(config.weights)
    found = read_architecture(folder, config.weights)
    require_agreement("vision", config.architecture, vision.ARCHITECTURES, found, config.weights)
    return {**found, **read_pixels(folder)}


def language_architecture(config: LanguageConfig, tokenizer: Tokenizer) -> Architecture:
    """Architecture of the text encoder, with the ids of its tokenizer.

    Raises:
        ConfigError: where neither weights nor a name is given, or both are and they disagree.
        ModelError: where the weights cannot be had.
    """
    if config.weights is None:
        found: Architecture = {**language.find_architecture(config.architecture), "vocab_size": tokenizer.size}
    else:
        found = read_architecture(find_folder(config.weights), config.weights)
        require_agreement("language", config.architecture, language.ARCHITECTURES, found, config.weights)
    ids = (tokenizer.padding_id, tokenizer.unknown_id, *tokenizer.frame)
    return {**found, **dict(zip(language.IDS, ids, strict=True))}


def read_pixels(folder: Path) -> dict[str, list[float]]:
    """Means and deviations by which a checkpoint's images were normalised, where they are not ImageNet's.

    Raises:
        ModelError: where the file that says so is broken.
    """
    path = folder / PREPROCESSOR
    values = read_json(path) if path.is_file() else {}
    if values.get("do_normalize") is False:  # pixels in [0, 1] as they are
        return dict(zip(vision.PIXELS, ([0.0] * 3, [1.0] * 3), strict=True))
    given = {key: values[key] for key in vision.PIXELS if isinstance(values.get(key), list)}
    imagenet = dict(zip(vision.PIXELS, (IMAGENET_MEAN, IMAGENET_STD), strict=True))
    if any(len(value) != 3 or not all(isinstance(number, int | float) for number in value) for value in given.values()):
        raise ModelError(f"{path}: image_mean and image_std are not three numbers each")
    differs = any(
        abs(255 * mine - his) > 0.01 for key in given for mine, his in zip(given[key], imagenet[key], strict=True)
    )
    return given if differs else {}


def require_agreement(
    half: str, name: str | None, known: Mapping[str, Architecture], found: Architecture, weights: str
) -> None:
    """Refuse weights of another architecture than the named one.

    Args:
        half: vision or language.
        name: of the architecture in the settings; None agrees with all.
        known: architectures by name.
        found: architecture of the weights.
        weights: their name, for the message.

    Raises:
        ConfigError: names the first value in which they differ.
    """
    if name is None:
        return
    if name not in known:
        raise ConfigError(f"model.{half}.architecture: no {name!r}; there are {', '.join(known)}")
    for key, value in known[name].items():
        if key not in FREE and found.get(key) != value:
            raise ConfigError(
                f"model.{half}.architecture: {name} has {key} {value}, but {weights} has {found.get(key)}; "
                "leave one of the two out"
            )


def read_tokenizer(name: str, word_limit: int) -> Tokenizer:
    """The tokenizer that a text encoder was pretrained with.

    Args:
        name: folder or Hub id.
        word_limit: most word pieces of an expression.

    Raises:
        ModelError: where there is none, or it is none of a BERT-like encoder.
    """
    folder = find_folder(name)
    if not any((folder / part).is_file() for part in ("tokenizer.json", "vocab.txt", "vocab.json")):
        raise ModelError(f"{name}: has no tokenizer; put its tokenizer.json or vocab.txt beside {CONFIG}")
    library = require_transformers()
    with refusals(name, "its tokenizer cannot be read"):
        fast = library.AutoTokenizer.from_pretrained(str(folder), local_files_only=True).backend_tokenizer
    try:
        made = Tokenizer(fast, word_limit)
        _ = made.frame
    except ModelError as error:
        raise ModelError(f"{name}: its tokenizer is none of a BERT-like encoder ({error})") from error
    return made


def read_architecture(folder: Path, name: str) -> dict[str, Any]:
    """The architecture that a folder's config.json describes, every default spelled out.

    Raises:
        ModelError: where there is none, or transformers does not know it.
    """
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{name}: has no {CONFIG}; give a folder or Hub id of a transformers checkpoint")
    library = require_transformers()
    with refusals(name, f"its {CONFIG} is none that transformers {library.__version__} knows"):
        return plain_architecture(library.AutoConfig.from_pretrained(str(folder), local_files_only=True))


def fill_trunk(trunk: Any, name: str) -> None:
    """Fill the trunk of a backbone or text encoder by the library's own loader, which knows old checkpoints' names.

    Args:
        trunk: a model of transformers.
        name: folder or Hub id.

    Raises:
        ModelError: where the weights cannot be had, are pickled, or are of another network.
    """
    folder = find_folder(name)
    if not ((folder / "model.safetensors").is_file() or (folder / INDEX).is_file()):
        pickled = next(iter(sorted(folder.glob("*.bin"))), None)
        has = f"only {pickled.name}, a pickle, which can run any code" if pickled else "no model.safetensors"
        raise ModelError(
            f"{name}: has {has}; where you trust it, convert it: transformers' AutoModel.from_pretrained({name!r})"
            ".save_pretrained(FOLDER), and give FOLDER"
        )
    with refusals(name, "its weights cannot be read"):
        loaded, report = type(trunk).from_pretrained(
            str(folder), config=trunk.config, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    own = trunk.state_dict()
    missing = sorted(key for key in report["missing_keys"] if key in own and not key.startswith(FRESH))
    if missing:
        raise ModelError(f"{name}: lacks {missing[0]} ({len(missing)} in all); it is of another network")
    weights = loaded.state_dict()
    trunk.load_state_dict({key: weights[key] for key in own})


def find_folder(name: str) -> Path:
    """The folder of a transformers checkpoint, downloaded from the Hub where it is not here; never a pickle.

    Raises:
        ModelError: where there is none.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(f"{name}: is a file; give the folder that holds {CONFIG} and model.safetensors")
    if not may_be_on_hub(name):
        raise ModelError(f"{name}: no such folder; give one with {CONFIG} and model.safetensors, or a Hub id")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            from_hub(name, lambda local: snapshot_download(name, allow_patterns=list(WANTED), local_files_only=local))
        )
    except UnreachableError as error:
        raise ModelError(f"{name}: neither a folder here nor to be had from the Hub ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file.

    Raises:
        ModelError: where it is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: holds no JSON object")
    return values


@contextmanager
def refusals(name: str, what: str) -> Iterator[None]:
    """Turn what transformers says of a foreign or broken file into one line, and keep its own reports off the screen.

    Raises:
        ModelError: for whatever it raises.
    """
    logging: Any = require_transformers().utils.logging
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except M3AttError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{name}: {what} ({reason})") from error
    finally:
        logging.set_verbosity(before)

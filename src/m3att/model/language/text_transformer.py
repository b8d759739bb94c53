"""Any BERT-like text encoder that transformers' AutoModel knows: the language half of the paper's Transformer form."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from m3att.errors import ConfigError
from m3att.model.architectures import (
    Architecture,
    known_architecture,
    make_config,
    plain_architecture,
    require_transformers,
)
from m3att.model.language.contract import LanguageEncoder

# Published sizes; 30,522 is bert-base-uncased's vocabulary.
ARCHITECTURES: dict[str, Architecture] = {
    "bert-base": {
        "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "vocab_size": 30522,
    },
    "bert-small": {
        "model_type": "bert", "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8,
        "intermediate_size": 2048, "vocab_size": 30522,
    },
    "bert-tiny": {
        "model_type": "bert", "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 512, "vocab_size": 30522,
    },
    "distilbert-base": {
        "model_type": "distilbert", "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "vocab_size": 30522,
    },
}  # fmt: skip
# Ids of a vocabulary that this project builds itself; see m3att.data.text.
FRESH_IDS = {"pad_token_id": 0, "unk_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
# Ids that the encoder must know besides those of the words, and their meaning.
IDS = {
    "pad_token_id": "padding",
    "unk_token_id": "the unknown word",
    "bos_token_id": "the start ([CLS])",
    "eos_token_id": "the end ([SEP])",
}


class HuggingFaceEncoder(LanguageEncoder):
    """The last hidden states are the features of the words, and that of [CLS] is the sentence's; both projected to C.

    The encoder reads [CLS], the words and [SEP], as in its pretraining. Only the features of the words are returned, so
    ``word_mask`` refers to words, as everywhere.

    Paper: Table IV names BERT. Where Sec. III uses the final state of the recurrent network, this encoder has [CLS].
    Departs: both have a layer norm, because the decoder adds a positional code of amplitude 1 to them. BERT's pooler is
    left out, because it was trained to tell whether two sentences follow each other.

    Args:
        architecture: values of the encoder's transformers config, with the ids of its tokenizer.
        channels: C.
        word_dropout: share of words replaced by the unknown word while training.
        freeze: keep the encoder fixed and without dropout. The projections are always trained.

    Raises:
        ConfigError: if transformers is missing, or the architecture is not that of a text encoder.
    """

    architecture: Architecture

    def __init__(
        self, architecture: Architecture, channels: int, word_dropout: float = 0.0, freeze: bool = False
    ) -> None:
        super().__init__()
        self.channels, self.word_dropout, self.freeze = channels, word_dropout, freeze
        values = dict(architecture)
        for key, meaning in IDS.items():
            if not isinstance(values.get(key), int):
                raise ConfigError(f"the architecture of the text encoder lacks {key}, the id of {meaning}")
        self.padding_id, self.unknown_id, self.start_id, self.end_id = (values[key] for key in IDS)
        del values["unk_token_id"]  # transformers' configs do not have this one
        config = make_config(values)
        self.architecture = {**plain_architecture(config), **{key: values.get(key) for key in IDS}}
        self.architecture = {**self.architecture, "unk_token_id": self.unknown_id}
        self.trunk = make_trunk(config)
        self.word_limit = position_limit(config)
        self.project_words, self.project_sentence = (nn.Linear(config.hidden_size, channels) for _ in range(2))
        self.norm_words, self.norm_sentence = nn.LayerNorm(channels), nn.LayerNorm(channels)
        if freeze:
            self.trunk.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> HuggingFaceEncoder:
        """Set the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.freeze:
            self.trunk.eval()
        return self

    def forward(self, word_ids_NL: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        """See LanguageEncoder."""
        if self.training and self.word_dropout > 0:
            drop_NL = torch.rand(word_ids_NL.shape, device=word_ids_NL.device) < self.word_dropout
            word_ids_NL = word_ids_NL.masked_fill(drop_NL, self.unknown_id)
        ids_NS, mask_NS = self.frame(word_ids_NL, word_mask_NL)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            states_NSE = self.trunk(input_ids=ids_NS, attention_mask=mask_NS.long()).last_hidden_state
        words_NLC = self.norm_words(self.project_words(states_NSE[:, 1:-1])) * word_mask_NL.unsqueeze(2)
        return words_NLC, self.norm_sentence(self.project_sentence(states_NSE[:, 0]))

    def frame(self, word_ids_NL: Tensor, word_mask_NL: Tensor) -> tuple[Tensor, Tensor]:
        """[CLS], the words, [SEP] after the last word, then padding. Returns ids and mask (N, S = L + 2)."""
        ends_N1 = word_mask_NL.sum(dim=1, keepdim=True) + 1
        filled_NL = word_ids_NL.masked_fill(~word_mask_NL, self.padding_id)
        ids_NS = nn.functional.pad(filled_NL, (1, 1), value=self.padding_id)
        # 0 .. S - 1, counted along the words: after an `arange`, a trace for ONNX would take S for fixed.
        places_S = nn.functional.pad(torch.ones_like(word_ids_NL[0]), (1, 1), value=1).cumsum(0) - 1
        ids_NS = ids_NS.masked_fill(places_S == ends_N1, self.end_id).masked_fill(places_S == 0, self.start_id)
        return ids_NS, places_S <= ends_N1


def find_architecture(name: str | None) -> Architecture:
    """A known architecture by its name; see `known_architecture`."""
    return known_architecture("language", ARCHITECTURES, name)


def make_trunk(config: Any) -> nn.Module:
    """The text encoder with fresh weights and without a pooler, which is not used.

    Raises:
        ConfigError: if its kind is not a text encoder.
    """
    library = require_transformers()
    try:
        kind = library.MODEL_MAPPING[type(config)]
        parameters = inspect.signature(kind.__init__).parameters
        options = {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}
        trunk: nn.Module = library.AutoModel.from_config(config, **options)
    except (KeyError, ValueError, TypeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"architecture {config.model_type!r}: no encoder can be made of it ({reason})") from error
    if config.is_encoder_decoder or getattr(config, "is_decoder", False) or not hasattr(config, "hidden_size"):
        raise ConfigError(f"architecture {config.model_type!r}: is no BERT-like text encoder, as bert and roberta are")
    return trunk


def position_limit(config: Any) -> int:
    """Words that the encoder has positions for; without a limit, a very large number."""
    positions = getattr(config, "max_position_embeddings", None) or 10**6
    # RoBERTa and related encoders number positions from the padding id on, so they cannot use the first ones.
    shifted = config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl")
    return int(positions) - 2 - (config.pad_token_id + 1 if shifted else 0)

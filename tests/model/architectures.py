"""The smallest encoders of transformers that have every part of the real ones."""

from __future__ import annotations

from typing import Any

VISION: dict[str, dict[str, Any]] = {
    "swin": {
        "model_type": "swin", "embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 1, 2, 2], "window_size": 4,
        "image_size": 64, "drop_path_rate": 0.0,
    },
    "convnext": {
        "model_type": "convnext", "depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 8, 12], "layer_scale_init_value": 1.0,
        "image_size": 64,
    },
    "resnet": {
        "model_type": "resnet", "embedding_size": 8, "layer_type": "basic", "depths": [1, 1, 1, 1],
        "hidden_sizes": [8, 8, 8, 12],
    },
    "dinov2": {
        "model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2,
        "patch_size": 14, "image_size": 70,
    },
}  # fmt: skip
IDS = {"pad_token_id": 0, "unk_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
# Fresh weights are so small that a tiny encoder hears next to nothing; these are as large as a trained one's.
SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "initializer_range": 0.2,
}  # fmt: skip
LANGUAGE: dict[str, dict[str, Any]] = {
    "bert": {"model_type": "bert", "vocab_size": 30, "max_position_embeddings": 32, **SIZES, **IDS},
    "roberta": {
        "model_type": "roberta", "vocab_size": 30, "max_position_embeddings": 32, **SIZES,
        "pad_token_id": 1, "unk_token_id": 3, "bos_token_id": 0, "eos_token_id": 2,
    },
    "distilbert": {
        "model_type": "distilbert", "vocab_size": 30, "max_position_embeddings": 32, "dim": 16, "n_layers": 2,
        "n_heads": 2, "hidden_dim": 24, "initializer_range": 0.2, **IDS,
    },
}  # fmt: skip

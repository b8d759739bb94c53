"""What each setting of ModelConfig builds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from m3att.config import ModelConfig
from m3att.errors import ConfigError
from m3att.model.build import build_network
from m3att.model.grid import Grid
from m3att.model.language.birnn import BiRNN
from m3att.model.network import M3AttNet

from .inputs import INPUT_SIZE, WORDS, ask, small_config, small_network


@pytest.fixture(scope="module")
def papers() -> M3AttNet:
    """The network of the default settings, without memory for its weights."""
    with torch.device("meta"):
        return build_network(ModelConfig(), 416, 1000)


def test_defaults_build_the_papers_sizes(papers: M3AttNet) -> None:
    assert len(papers.vision.layers) == 2  # N_enc
    assert len(papers.decoder.layers) == 3 and len(papers.decoder.interactions) == 2  # N_dec, IMI between
    assert papers.language.channels == papers.vision.channels == papers.mask_decoder.channels == 256  # C
    heads = {part.num_heads for part in papers.modules() if isinstance(part, nn.MultiheadAttention)}
    assert heads == {8}
    convolutions = [part for part in papers.mask_decoder.stack if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == [512, 512, 512, 1]
    assert [part.kernel_size for part in convolutions] == [(1, 1)] * 4
    assert convolutions[0].in_channels == 15  # N_t maps
    assert papers.lfr is not None and len(papers.lfr.reconstruct) == 3
    layer = papers.decoder.layers[0]
    assert (layer.mutual.attention, layer.mutual.heads) == ("shared", 1)
    assert papers.training


def test_the_grid_covers_an_input_that_is_no_multiple_of_the_stride() -> None:
    for size, side in ((32, 8), (33, 9), (30, 8)):
        network = build_network(small_config(), size, WORDS)
        assert network.vision.grid == network.mask_decoder.grid == Grid(size, size, 4)
        assert network.vision.grid.cells == (side, side)
        assert network.decoder.layers[0].mutual.output.in_features == side * side
        output = network(*ask(size=size).arguments)
        assert output.mask_logits_NHW.shape == (4, 2 * side, 2 * side)
        assert output.grid == network.vision.grid and output.mask_stride == 2


def test_a_grid_of_another_size_than_the_inputs() -> None:
    fixed = replace(small_config(), grid_size=32)
    wide, narrow = build_network(fixed, 48, WORDS).eval(), build_network(fixed, 32, WORDS).eval()
    assert wide.vision.grid == wide.mask_decoder.grid == narrow.vision.grid == Grid(32, 32, 4)
    wide.load_state_dict(narrow.state_dict())  # the weights are those of the other size
    assert wide(*ask(size=48).arguments).mask_logits_NHW.shape == (4, 24, 24)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_one_imi_fewer_than_layers(layers: int) -> None:
    for interaction, blocks in (("iterative", layers - 1), ("constant", layers - 1), ("none", 0)):
        decoder = small_network(decoder={"layers": layers, "interaction": interaction}).decoder
        assert (len(decoder.layers), len(decoder.interactions)) == (layers, blocks)
        assert all(block.constant == (interaction == "constant") for block in decoder.interactions)


def part(network: M3AttNet, name: str) -> Any:
    found: Any = network
    for piece in name.split("."):
        found = found[int(piece)] if piece.isdigit() else getattr(found, piece)
    return found


@pytest.mark.parametrize(
    ("section", "field", "value", "place"),
    [
        ("vision", "widths", (4, 12), "vision.backbone.channels=(12,)"),
        ("vision", "encoder_layers", 3, "vision.layers.2.norm_first=False"),
        ("vision", "freeze", True, "vision.freeze=True"),
        ("vision", "early_fusion", True, "vision.fusion.sentence.linear.out_features=8"),
        ("language", "word_channels", 5, "language.word_vectors.embedding_dim=5"),
        ("language", "word_dropout", 0.25, "language.word_dropout=0.25"),
        ("decoder", "attention", "independent", "decoder.layers.1.mutual.attention=independent"),
        ("decoder", "attention", "lav", "decoder.layers.1.mutual.attention=lav"),
        ("decoder", "attention", "val", "decoder.layers.1.mutual.attention=val"),
        ("decoder", "mutual_heads", 4, "decoder.layers.1.mutual.heads=4"),
        ("decoder", "projection_norm", False, "decoder.layers.1.mutual.vision_key.out_features=16"),
        ("decoder", "fusion_norm", True, "decoder.layers.1.mutual.fusion_norm.normalized_shape=(64,)"),
        ("decoder", "fusion_vision", True, "decoder.layers.1.mutual.vision_output.in_features=16"),
        ("decoder", "heads", 4, "decoder.layers.1.self_attention.num_heads=4"),
        ("decoder", "heads", 4, "decoder.layers.1.cross_attention.num_heads=4"),
        ("decoder", "heads", 4, "vision.layers.0.self_attn.num_heads=4"),
        ("decoder", "heads", 4, "mask_decoder.self_attention.num_heads=4"),
        ("decoder", "feedforward", 3, "decoder.layers.1.feedforward.0.out_features=48"),
        ("decoder", "feedforward", 3, "vision.layers.0.linear1.out_features=48"),
        ("decoder", "dropout", 0.2, "decoder.layers.1.dropout.p=0.2"),
        ("decoder", "dropout", 0.2, "vision.layers.0.dropout.p=0.2"),
        ("decoder", "reconstruction", False, "lfr=None"),
        ("decoder", "reconstruction_stop_gradient", True, "lfr.stop_gradient=True"),
        ("mask", "kind", "decoder_only", "mask_decoder.kind=decoder_only"),
        ("mask", "kind", "concatenate", "mask_decoder.kind=concatenate"),
        ("mask", "channels", 10, "mask_decoder.stack.0.out_channels=10"),
        ("mask", "kernel", 3, "mask_decoder.stack.0.kernel_size=(3, 3)"),
        ("mask", "upsamplings", 3, "mask_decoder.stack.12.out_channels=1"),
        ("mask", "maps_per_word", 4, "mask_decoder.maps_in=24"),
    ],
)
def test_every_setting_reaches_its_part(section: str, field: str, value: Any, place: str) -> None:
    config = small_config(**{section: {field: value}})
    assert config != small_config()
    name, expected = place.split("=")
    assert str(part(build_network(config, 32, WORDS), name)) == expected


LITE = {"encoder": "efficientnet-lite1", "map_strides": (4, 8, 16)}


@pytest.mark.parametrize(("wanted", "stride", "channels"), [(None, 8, 40), (4, 4, 24), (16, 16, 112)])
def test_maps_and_the_grid_that_they_are_merged_to_are_chosen(wanted: int | None, stride: int, channels: int) -> None:
    network = build_network(small_config(vision={**LITE, "grid_stride": wanted}), 33, WORDS)
    assert network.vision.backbone.strides == (4, 8, 16)
    assert network.vision.stride == stride
    assert network.vision.grid == Grid(33, 33, stride)
    assert network.vision.projection.linear.in_features == channels  # 16, C, would be fewer
    wide = build_network(replace(small_config(vision={**LITE, "grid_stride": wanted}), channels=128), 33, WORDS)
    assert wide.vision.projection.linear.in_features == 128


@pytest.mark.parametrize(
    ("skips", "strides", "unmerged"),
    [((8,), (8, 16, 32), 0), ((4, 8), (4, 8, 16, 32), 1), ((2,), (2, 4, 8, 16, 32), 2)],
)
def test_finer_maps_for_the_mask_decoder_are_made_and_not_merged(
    skips: tuple[int, ...], strides: tuple[int, ...], unmerged: int
) -> None:
    config = small_config(
        vision={"encoder": "efficientnet-lite0"}, mask={"skip_strides": skips, "skip_channels": 3, "upsamplings": 3}
    )
    network = build_network(config, 64, WORDS)
    plain = build_network(replace(config, mask=replace(config.mask, skip_strides=())), 64, WORDS)
    assert network.vision.backbone.strides == strides and network.vision.unmerged == unmerged
    assert network.vision.stride == 16 and network.mask_stride == 2
    merge, other = network.vision.merge, plain.vision.merge
    assert merge is not None and other is not None
    shapes = [[(key, value.shape) for key, value in one.state_dict().items()] for one in (merge, other)]
    assert shapes[0] == shapes[1]
    assert [source.upsampling for source in network.mask_decoder.sources] == [{8: 0, 4: 1, 2: 2}[s] for s in skips]
    assert [strides[source.number] for source in network.mask_decoder.sources] == list(skips)


def test_a_skip_without_its_map_or_its_upsampling_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"skip_strides: 2; the strides of the backbone's maps are 4$"):
        build_network(small_config(mask={"skip_strides": (2,)}), INPUT_SIZE, WORDS)
    config = small_config(vision={"encoder": "efficientnet-lite0"}, mask={"skip_strides": (4,)})
    with pytest.raises(ConfigError, match=r"skip_strides: 4; the strides of the mask decoder's enlarged maps are 8$"):
        build_network(config, 64, WORDS)


def test_a_grid_of_no_map_is_refused() -> None:
    for vision, strides in (({**LITE, "grid_stride": 32}, "4, 8, 16"), ({"grid_stride": 16}, "4")):
        with pytest.raises(ConfigError, match=f"grid_stride: no map has stride .*; the backbone's maps have {strides}"):
            build_network(small_config(vision=vision), 32, WORDS)


def test_channels_words_and_the_cell_reach_their_parts() -> None:
    network = build_network(replace(small_config(language={"rnn": "gru"}), channels=32, word_limit=9), 32, 50)
    assert isinstance(network.language, BiRNN) and isinstance(network.language.rnn, nn.GRU)
    assert network.language.word_vectors.num_embeddings == 50
    assert network.decoder.layers[0].norm_out.normalized_shape == (32,)
    assert network.mask_decoder.maps_in == 9


def test_padding_is_nothing_unless_it_is_to_be_words() -> None:
    assert small_network().filled_words is None and small_network().vision.fusion is None
    config = replace(small_config(), word_limit=9, mask_padding=False)
    assert build_network(config, 32, WORDS).filled_words == 9


def test_the_stack_narrows_by_its_setting() -> None:
    stack = small_network(mask={"channels": 12, "upsamplings": 2, "narrowing": 3}).mask_decoder.stack
    assert [part.out_channels for part in stack if isinstance(part, nn.Conv2d)] == [12, 4, 1]


def test_layers_share_no_weights() -> None:
    network = small_network(decoder={"layers": 3})
    weights = list(network.parameters())
    assert len({weight.data_ptr() for weight in weights}) == len(weights)


@pytest.mark.parametrize("changes", [{"attention": "lav"}, {"interaction": "none"}, {"reconstruction": False}])
def test_with_one_seed_what_two_networks_share_starts_alike(changes: dict[str, Any]) -> None:
    made = []
    for decoder in ({}, changes):
        torch.manual_seed(4)
        made.append(build_network(small_config(decoder=decoder), 32, WORDS).state_dict())
    shared = [name for name in made[0] if name.startswith(("vision.", "language.", "mask_decoder."))]
    assert shared and all(torch.equal(made[0][name], made[1][name]) for name in shared)


def test_the_same_seed_builds_the_same_weights() -> None:
    made = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        made.append(small_network().state_dict())
    assert all(torch.equal(value, made[1][name]) for name, value in made[0].items())
    assert not torch.equal(
        made[0]["decoder.layers.0.mutual.output.weight"], made[2]["decoder.layers.0.mutual.output.weight"]
    )

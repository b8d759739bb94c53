"""What a network costs: every parameter in one part, operations by hand, memory as autograd keeps it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from m3att.config import (
    DecoderConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.engine.costs import (
    SHOWN,
    OperationMeter,
    Part,
    count_parts,
    estimate_memory,
    example_image,
    part_of,
    saved_bytes,
)
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.presets import PRESETS

LAYERS, C, L, SIDE = 3, 32, 6, 32
P = (SIDE // 4) ** 2
WORDS, MAPS, WIDTH = 20, 2, 16
MODEL = ModelConfig(
    channels=C,
    word_limit=L,
    vision=VisionConfig(widths=(8, 16), blocks=(0, 1), encoder_layers=2),
    language=LanguageConfig(word_channels=24),
    decoder=DecoderConfig(layers=LAYERS, heads=4, feedforward=2),
    mask=MaskDecoderConfig(channels=WIDTH, upsamplings=1, maps_per_word=MAPS),
)
CONFIG = RunConfig(model=MODEL, input=InputConfig(size=SIDE))


def counted(model: ModelConfig, categories: int = 0) -> tuple[M3AttNet, dict[str, Part]]:
    network = build_network(model, SIDE, WORDS, categories)
    return network, {part.name: part for part in count_parts(network, SIDE, L)}


def test_every_parameter_stands_in_exactly_one_part() -> None:
    network, parts = counted(MODEL, categories=5)
    assert tuple(parts) == SHOWN  # this network has all of them
    assert sum(part.trainable for part in parts.values()) == sum(weight.numel() for weight in network.parameters())
    assert all(part.frozen == 0 for part in parts.values())
    assert parts["category head"].trainable == 5 * C + 5


def test_a_frozen_backbone_is_counted_as_frozen() -> None:
    free = counted(MODEL)[1]["vision trunk"]
    frozen = counted(replace(MODEL, vision=replace(MODEL.vision, freeze=True)))[1]["vision trunk"]
    assert (frozen.trainable, frozen.frozen) == (0, free.trainable)


def test_a_part_that_the_network_does_not_have_has_no_row() -> None:
    decoder = replace(MODEL.decoder, interaction="none", reconstruction=False)
    parts = counted(replace(MODEL, decoder=decoder))[1]
    assert not {"IMI", "LFR", "category head"} & parts.keys()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("vision.backbone.trunk.stem.weight", "vision trunk"),
        ("vision.merge.fine.0.weight", "merge and projection"),
        ("vision.projection.linear.weight", "merge and projection"),
        ("vision.layers.0.linear1.weight", "transformer encoder"),
        ("decoder.layers.10.mutual.output.bias", "M3Att"),
        ("decoder.layers.10.norm_out.bias", "rest of M3Dec"),
        ("mask_decoder.stack.0.weight", "mask decoder"),
        ("vision", None),
        ("languages", None),
    ],
)
def test_the_part_of_a_name(name: str, part: str | None) -> None:
    assert part_of(name) == part


def test_operations_are_those_of_the_equations() -> None:
    parts = counted(MODEL)[1]
    m3att = parts["M3Att"]
    # F_V^k and F_V^v once an image; F_L^k, F_L^v, A_mut, LAV, F_mul and its projection an expression.
    assert m3att.per_image == LAYERS * 2 * P * C * C
    assert m3att.per_expression == LAYERS * (2 * L * C * C + 3 * L * P * C + L * L * C + L * L * P)
    hidden = C // 2
    assert parts["language"].per_expression == 2 * L * 4 * hidden * (24 + hidden)
    encoder_layer = 4 * P * C * C + 2 * P * P * C + 2 * P * C * 2 * C
    assert parts["transformer encoder"].per_image == 2 * encoder_layer
    attention = 4 * L * C * C + 2 * L * L * C
    assert parts["rest of M3Dec"].per_expression == LAYERS * (2 * attention + 2 * L * C * 2 * C)
    maps = L * C * MAPS * C + L * MAPS * C * P
    # The last 1x1 convolution runs before the upsampling, on P cells.
    assert parts["mask decoder"].per_expression == attention + maps + P * L * MAPS * WIDTH + P * WIDTH
    assert parts["mask decoder"].per_image == P * C * C
    assert parts["merge and projection"].per_image == P * 16 * C
    stem, down, block = (SIDE // 2) ** 2 * 9 * 3 * 8, P * 9 * 8 * 16, P * 9 * 16 * 16
    assert parts["vision trunk"].per_image == stem + down + 2 * block
    assert parts["LFR"].per_image == parts["LFR"].per_expression == 0


def trunk_operations(preset: str, size: int) -> int:
    """Multiply-adds of a trunk an image, counted on tensors without values."""
    config = PRESETS[preset].config
    with torch.device("meta"):
        network = build_network(config.model, size, WORDS).eval()
    with OperationMeter(network) as meter:
        network.encode(example_image(size).to("meta"))
    return meter.counts["vision trunk"]


def test_darknet53_costs_what_its_paper_says() -> None:
    operations = 2 * trunk_operations("refcoco-darknet53", 256)
    assert operations == pytest.approx(18.7e9, rel=0.01)  # YOLOv3, Table 2, which has the classifier too


def test_swin_b_costs_what_its_equations_say_with_windows_that_do_not_divide_the_grid() -> None:
    window, patches = 12, (480 // 4) ** 2
    operations = patches * 3 * 4 * 4 * 128
    for stage, layers in enumerate((2, 2, 18, 2)):
        side, channels = 120 >> stage, 128 << stage
        padded = (-(-side // window) * window) ** 2
        attention = 4 * channels * channels + 2 * window**2 * channels  # a position of a padded grid
        operations += layers * (padded * attention + side**2 * 8 * channels * channels)
        if stage:  # the merge of four patches before it
            operations += side**2 * 2 * channels * channels
    assert trunk_operations("refcoco-swin-b", 480) == operations


def test_early_fusion_costs_each_expression_its_own_encoding() -> None:
    model = replace(MODEL, vision=replace(MODEL.vision, early_fusion=True))
    parts = counted(model)[1]
    assert parts["transformer encoder"].per_image == 0
    assert parts["transformer encoder"].per_expression == counted(MODEL)[1]["transformer encoder"].per_image
    assert parts["vision trunk"].per_image > 0


def test_counting_leaves_the_network_as_it_was() -> None:
    network = build_network(MODEL, SIDE, WORDS).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = torch.backends.mha.get_fastpath_enabled()
    with OperationMeter(network) as meter:
        network.encode(example_image(SIDE))
    assert sum(meter.counts.values()) > 0
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    count_parts(network.train(), SIDE, L)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_memory_of_the_weights_is_theirs() -> None:
    network = build_network(replace(MODEL, vision=replace(MODEL.vision, freeze=True)), SIDE, WORDS)
    memory = estimate_memory(network, CONFIG)
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    everything = sum(value.numel() * value.element_size() for value in [*network.parameters(), *network.buffers()])
    assert (memory.weights, memory.gradients, memory.optimizer) == (everything, 4 * trained, 8 * trained)
    muon = estimate_memory(network, replace(CONFIG, train=replace(CONFIG.train, optimizer="muon")))
    assert 4 * trained < muon.optimizer < 8 * trained
    optimizer = torch.optim.Adam(network.parameters())
    assert memory.batch(3, 5) - memory.batch(0, 0) == 3 * memory.per_image + 5 * memory.per_expression
    assert optimizer.defaults["amsgrad"] is False  # which would keep a third number


def test_memory_of_a_batch_is_what_autograd_keeps_of_it() -> None:
    network = build_network(MODEL, SIDE, WORDS)
    memory = estimate_memory(network, CONFIG)
    images, each = 3, 4
    pixels_BCHW = torch.randint(0, 256, (images, 3, SIDE, SIDE), dtype=torch.uint8)
    index_N = torch.arange(images).repeat_interleave(each)
    word_ids_NL = torch.randint(2, WORDS, (images * each, L))
    own = [*network.parameters(), *network.buffers()]
    with saved_bytes(own) as kept:
        output = network(pixels_BCHW, index_N, word_ids_NL, torch.ones_like(word_ids_NL, dtype=torch.bool), True)
    fixed = memory.weights + memory.gradients + memory.optimizer
    assert memory.batch(images, images * each) - fixed == pytest.approx(sum(kept.values()), rel=0.05)
    assert output.mask_logits_NHW.shape[0] == images * each


def test_a_frozen_backbone_keeps_nothing_and_bfloat16_keeps_less() -> None:
    whole = estimate_memory(build_network(MODEL, SIDE, WORDS), CONFIG)
    frozen = replace(MODEL, vision=replace(MODEL.vision, freeze=True))
    assert estimate_memory(build_network(frozen, SIDE, WORDS), CONFIG).per_image < whole.per_image
    low = replace(CONFIG, train=TrainConfig(precision="bfloat16"))
    assert estimate_memory(build_network(MODEL, SIDE, WORDS), low).per_expression < whole.per_expression

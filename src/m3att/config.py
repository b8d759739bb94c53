"""Every setting of a run, as frozen dataclasses: each field's docstring is also its command-line help.

Defaults are the paper's where the paper states them (Sec. IV-A) and this project's tiny network where it does not;
``presets`` holds the named combinations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class VisionConfig:
    """The vision half: a backbone and the transformer encoder over its features."""

    encoder: Literal["tiny", "darknet53", "huggingface"] = "tiny"
    """Backbone: `tiny` is a small residual conv net without public weights, `darknet53` that of YOLOv3, `huggingface`
    any backbone that transformers' AutoBackbone knows (Swin, ConvNeXt, DINOv2, ResNet ...)."""
    weights: str | None = None
    """Pretrained weights of the backbone, a path or a Hub id, or for `tiny` a model whose backbone is taken (by name,
    folder or Hub id); none: fresh ones."""
    architecture: str | None = None
    """`huggingface`: a known architecture by name (`swin-b` ...), built without any file; none: what `weights` says."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of the tiny backbone's stages; each stage halves the grid, so three stages give stride 8."""
    blocks: tuple[int, ...] = (0, 1, 2)
    """Residual blocks in each stage of the tiny backbone."""
    freeze: bool = False
    """Keep the backbone's weights fixed and its BatchNorm in evaluation mode."""
    early_fusion: bool = False
    """Multiply the sentence into the backbone's coarsest features before its scales are merged, as VLT does; costs the
    once-only encoding: only the backbone's trunk still runs once an image, the merge and the transformer encoder run
    once an expression."""
    encoder_layers: int = 2
    """Layers of the transformer encoder that makes F_enc."""


@dataclass(frozen=True)
class LanguageConfig:
    """The language half: word features F_t and the sentence feature F'_t."""

    encoder: Literal["birnn", "huggingface"] = "birnn"
    """`birnn` is a bidirectional recurrent net over word vectors, `huggingface` any BERT-like text encoder of
    transformers."""
    weights: str | None = None
    """`birnn`: word vectors in GloVe's text format (a path); `huggingface`: the encoder's folder or Hub id; none:
    fresh ones."""
    architecture: str | None = None
    """`huggingface`: a known architecture by name (`bert-base` ...), built without any file; none: what `weights`
    says."""
    freeze: bool = False
    """Keep pretrained word vectors, or the whole pretrained encoder, fixed."""
    rnn: Literal["lstm", "gru"] = "lstm"
    """Recurrent cell: the paper's text says LSTM, its Table IV GRU."""
    word_channels: int = 128
    """Channels of a word vector."""
    word_minimum: int = 1
    """Times that a word must occur in the training expressions to enter the vocabulary."""
    word_dropout: float = 0.0
    """Share of words replaced by the unknown word while training."""


@dataclass(frozen=True)
class DecoderConfig:
    """M3Dec with its M3Att, IMI and LFR."""

    layers: int = 3
    """Stacked M3Dec layers (Table I)."""
    attention: Literal["shared", "independent", "lav", "val"] = "shared"
    """M3Att with one A_mut for both softmaxes, or with two; or generic attention: LAV alone, VAL alone (Table I)."""
    mutual_heads: int = 1
    """Heads of the mutual attention; Eq. 1 has one."""
    projection_norm: bool = True
    """BN and ReLU after M3Att's projections of vision; off: linear layers alone."""
    fusion_norm: bool = False
    """Layer norm of F_mul over the positions before its projection; the paper has none. Without it nearly all of F_mul
    is one number a word, the same at every position."""
    fusion_vision: bool = False
    """Add the projected LAV to M3Att's output; the paper has F_mul alone, in which a word's vision appears only through
    its products with the words."""
    heads: int = 8
    """Heads of self- and cross-attention and of the transformer encoder."""
    feedforward: int = 4
    """Width of feed-forward parts as a multiple of C."""
    interaction: Literal["iterative", "constant", "none"] = "iterative"
    """IMI between layers; `constant` is IMI* of Table II (each layer receives F_t); `none` removes it."""
    injection: float = 0.1
    """Where IMI's learnable weight w_ci starts."""
    reconstruction: bool = True
    """Language Feature Reconstruction (LFR), in training only."""
    reconstruction_stop_gradient: bool = False
    """Keep LFR's gradient out of its target F_proj."""
    dropout: float = 0.0
    """Dropout inside encoder and decoder layers."""


@dataclass(frozen=True)
class MaskDecoderConfig:
    """The mask decoder of Fig. 6 and the variants of Table III."""

    kind: Literal["dynamic", "decoder_only", "concatenate"] = "dynamic"
    """`dynamic`: F_dec's vectors are kernels over F_enc; `decoder_only` (VLT) and `concatenate` as in Table III."""
    channels: int = 512
    """Width of the stacked convolutions."""
    kernel: Literal[1, 3] = 1
    """Kernel of the stacked convolutions: Fig. 6 says 1x1."""
    upsamplings: int = 3
    """2x upsamplings between the convolutions; the logits' stride is the vision stride over 2 to this power."""
    narrowing: int = 1
    """Factor by which the width falls after each upsampling; the paper keeps it."""
    maps_per_word: int = 1
    """Maps that one word's vector makes of F_enc; the paper has one. More give finer outlines to short expressions."""


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    channels: int = 256
    """C, the width of encoder and decoder."""
    mask_padding: bool = True
    """Keep padding out of every softmax, mean and statistic; off: fill each expression up to `word_limit` and treat the
    filling as words, as VLT does."""
    word_limit: int = 15
    """Words of an expression that are read; the paper has 15 for RefCOCO and RefCOCO+, 20 for RefCOCOg."""
    vision: VisionConfig = field(default_factory=VisionConfig)
    """The vision half."""
    language: LanguageConfig = field(default_factory=LanguageConfig)
    """The language half."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """M3Dec, IMI and LFR."""
    grid_size: int | None = None
    """Side of the input in pixels whose grid F_mul is brought to before its projection, and positions are counted in;
    none: `input.size`. So that a network can go on at another size with the weights it has."""
    mask: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    """The mask decoder."""


@dataclass(frozen=True)
class InputConfig:
    """How an image becomes the network's input, the same in training, evaluation and use."""

    size: int = 416
    """Side of the square input in pixels, which is also the trained grid's size where `model.grid_size` is none."""
    resize: Literal["letterbox", "stretch"] = "letterbox"
    """`letterbox` keeps proportions on a grey square (MCN, VLT, CRIS); `stretch` fills it (LAVT, ReLA)."""


@dataclass(frozen=True)
class DataConfig:
    """Which images and expressions."""

    root: str | None = None
    """Folder of the data set in the REFER layout, or file or folder of your own (`jsonl`, `coco`, `hf`); none: ShapeRef
    is drawn on the fly and nothing repeats."""
    dataset: str = "shaperef"
    """refcoco, refcoco+, refcocog, refclef, grefcoco, phrasecut, shaperef, shaperef+, shaperefg, or your own: jsonl,
    coco, hf; several joined by a comma are mixed."""
    split_by: str | None = None
    """unc, google, umd or berkeley; none: the data set's usual one."""
    split: str = "val"
    """Split that `evaluate` scores and that training validates on."""
    pixels: Literal["auto", "photos", "layout", "collage"] = "auto"
    """Photos; drawn layouts of the annotated boxes; collages, in which each box is filled with a real object cut out of
    another photo; or photos where they are there and else layouts."""
    cutouts: tuple[str, ...] = ()
    """Collages: COCO files with outlines, whose objects are cut out; their photos lie beside a file, or in a folder of
    its name or `images` there."""
    collage_side: int = 320
    """Longer side of a collage in pixels."""
    images: int | None = None
    """Use only the first so many images of the split."""
    sentences: Literal["one", "all"] = "all"
    """Training: all expressions an epoch, or one a referent drawn at random, as the paper's lineage does."""
    grouped: bool = True
    """Put the expressions of an image into one batch, so that it is encoded once; off: sample them apart."""
    per_image: int = 8
    """Most expressions of one image in a training batch."""
    flip: bool = False
    """Mirror training images half of the time and swap left and right in their expressions."""
    same_words: bool = False
    """Replace every expression by one and the same word: the floor of a network that is blind to language."""
    fault_limit: int = 10
    """Images, masks and expressions that may turn out unreadable: each is named, counted and left out; with one more
    the run stops."""
    seed: int = 0
    """Seed of the drawn ShapeRef scenes."""


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation."""

    batch_size: int = 48
    """Expressions in a batch, as the paper counts them."""
    epochs: float = 50.0
    """Passes over the training split, where `steps` is not given."""
    steps: int | None = None
    """Optimiser steps; needed for data that is drawn on the fly."""
    early_sizes: tuple[int, ...] = ()
    """Sides of the input before `input.size`, in turn; a smaller one learns words and kinds in less time."""
    early_steps: tuple[int, ...] = ()
    """The step at which each of `early_sizes` ends."""
    optimizer: Literal["adam", "adamw", "muon"] = "adam"
    """Adam as the paper, AdamW with decoupled weight decay, or Muon for matrices and kernels of at least 16 inputs and
    outputs, but of encoders that `weights` filled, beside AdamW for the rest."""
    learning_rate: float = 0.005
    """Highest learning rate; beside `muon` that of AdamW's part, and Muon's is 1.6 times as high."""
    pretrained_rate: float = 1.0
    """Learning rate of encoders that `weights` filled, as a share of `learning_rate`; not of word vectors."""
    weight_decay: float = 0.0
    """Weight decay, never on norms, biases, positions and word vectors."""
    schedule: Literal["step", "cosine", "trapezoid", "constant"] = "step"
    """`step` divides by 10 at 80 and 90 per cent (epochs 40 and 45 of 50); `cosine` falls to zero; `trapezoid` stays
    constant and falls to zero in a line at the end (`fall`), so that a run can be lengthened while it is flat."""
    fall: float = 0.3
    """Share of the steps, or of each leg's between `restarts`, over which a trapezoid falls."""
    restarts: tuple[int, ...] = ()
    """Steps at which the schedule begins anew, warm-up included: a run that has ended can go on as if it were planned
    so (`--resume --train.steps N --train.restarts [M]`, M its length so far). One past the last step does nothing."""
    warmup: int = 200
    """Steps over which the learning rate rises from zero."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    mask_weight: float = 1.0
    """w_mask of Eq. 5."""
    reconstruction_weight: float = 0.1
    """w_rec of Eq. 5."""
    dice_weight: float = 0.0
    """Weight of an added Dice loss; the paper has none."""
    category_weight: float = 0.0
    """Weight of an added loss that has F_enc tell the category of the object in each cell, as the data set annotates
    it: for a backbone that learns from nothing, where the paper's comes pretrained."""
    attention_weight: float = 0.0
    """Weight of an added loss that has the decoder's attention over positions rest on the referent, in every layer:
    for short trainings, in which M3Att may never learn to look at the image (docs/lab-notes.md)."""
    mask_reduction: Literal["mean", "sum"] = "mean"
    """Binary cross-entropy over a mask's pixels: their mean, or their sum as VLT has it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: autocast; weights and sums stay float32."""
    compile: bool = False
    """Compile the network with torch.compile."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    workers: int = 1
    """Processes that read and draw; 0 reads in the training process."""
    threads: int | None = None
    """CPU threads of the training process; none: PyTorch's choice."""
    init: str | None = None
    """Model to start from, by name, folder or Hub id, with its vocabulary; none: fresh weights and a vocabulary built
    from the training split. The network must be the model's own but for what only training uses, and `fresh`."""
    fresh: tuple[str, ...] = ()
    """Parts of the network that `init` does not fill, encoders excepted; `*` stands for anything, as in
    `decoder.layers.*.mutual`."""
    seed: int = 0
    """Seed of weights, order and augmentation, and of which ShapeRef scenes a training draws."""
    log_every: int = 20
    """Steps between two lines of metrics.jsonl."""
    validate_every: int = 1000
    """Steps between two validations; the last step always validates."""
    validate_images: int = 300
    """Images of the validation split that a validation during training reads."""
    save_every: int = 500
    """Steps between two checkpoints."""


@dataclass(frozen=True)
class EvaluateConfig:
    """The protocol by which masks become figures."""

    threshold: float = 0.35
    """Probability over which a pixel belongs to the mask, in use and under protocol `original`, whose reports give
    0.35 and 0.5 too; every other protocol has a threshold of its own."""
    protocol: Literal["original", "lavt", "vlt", "mcn", "cris", "cris-val", "refer", "rela", "all"] = "original"
    """Whose rules turn masks into figures: `original` compares the masks that one gets at the image's own resolution,
    the others do as the public evaluator of that name; `all` puts them side by side."""
    batch_size: int = 64
    """Expressions at once."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """The network."""
    input: InputConfig = field(default_factory=InputConfig)
    """The network's input."""
    data: DataConfig = field(default_factory=DataConfig)
    """The data."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimisation."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """The protocol."""

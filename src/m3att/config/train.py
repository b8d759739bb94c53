"""The settings of the optimisation: `train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation."""

    batch_size: int = 48
    """Expressions in a batch. The paper counts expressions too."""
    accumulate: int = 1
    """Micro-batches in a batch. Their gradients add up to those of the batch, and only one of them is in memory at a
    time. Each is normalised by its own statistics of BatchNorm."""
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
    layer_decay: float = 1.0
    """Layer-wise decay of the learning rate of encoders that `weights` filled. The last layer learns at
    `pretrained_rate`, and each layer before it at this share of the rate of the next. Layers are those of BERT and of a
    ViT, and the stages of Swin, Darknet-53, EfficientNet and other backbones. 1: all learn alike."""
    weight_decay: float = 0.0
    """Weight decay. It is never applied to norms, biases, positions and word vectors."""
    schedule: Literal["step", "cosine", "polynomial", "trapezoid", "constant"] = "step"
    """How the learning rate falls. `step`: divided by 10 at 80 and 90 per cent of the run (epochs 40 and 45 of 50).
    `cosine`: along a cosine to zero. `polynomial`: as the share of the steps that is left, to the power 0.9 (LAVT).
    `trapezoid`: constant, then in a line to zero (`fall`); a run can be made longer while the rate is constant.
    `constant`: it does not fall."""
    fall: float = 0.3
    """Share of the steps over which a trapezoid falls. With `restarts` it is the share of each leg."""
    restarts: tuple[int, ...] = ()
    """Steps at which the schedule begins again, warm-up included. `--resume --train.steps N --train.restarts [M]` goes
    on with a run that ended after M steps, as if it had been planned so. A restart after the last step does nothing."""
    warmup: int = 200
    """Steps over which the learning rate rises from zero."""
    clip: float = 1.0
    """Largest norm of the gradient; a larger gradient is scaled down. 0: no limit."""
    ema: float = 0.0
    """Validate and save an exponential moving average of the weights and of the statistics of BatchNorm. The setting is
    the share of the average that a step keeps; the first steps keep less. 0: no average."""
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
    ranking_weight: float = 0.0
    """Weight of an additional loss: of the annotated objects of an image, the mask of an expression should have its
    highest logits on the object that the expression names. The paper has none."""
    focal_gamma: float = 0.0
    """Focal loss (Lin et al.) in place of binary cross-entropy: the loss of a pixel is multiplied by its error, as a
    probability, to this power. So pixels that are nearly right count less. Usual: 2. 0: binary cross-entropy."""
    mask_reduction: Literal["mean", "sum"] = "mean"
    """How binary cross-entropy is reduced over the pixels of a mask: their mean, or their sum as in VLT."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` uses autocast; weights and sums stay float32."""
    recompute: bool = False
    """Gradient checkpointing: compute the layers of F_enc and of the encoders of the library transformers again in the
    backward pass, instead of keeping what they computed. A step needs much less memory and takes longer."""
    shard: bool = False
    """With several processes, divide weights, gradients and the optimiser's state among them (PyTorch's FSDP2). Each
    process keeps a whole copy of the weights for validations. With one process it changes nothing."""
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
    only: tuple[str, ...] = ()
    """Train only these parts, named as in `fresh`, such as `mask_decoder`. All others keep their weights and stay in
    evaluation mode. A step is then cheaper. Empty: all parts learn that are not frozen."""
    seed: int = 0
    """Seed of the fresh weights, of the order of the data, of augmentation, and of the ShapeRef scenes to train on."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Where the figures of a training go beside metrics.jsonl: any of tensorboard, wandb and mlflow. The last two need
    the extras of their names."""
    tracked_images: int = 4
    """Images of each validation that are drawn for the trackers, with the true and the predicted masks. 0: none."""
    log_every: int = 20
    """Steps between two lines of metrics.jsonl."""
    validate_every: int = 1000
    """Steps between two validations. The last step always validates."""
    validate_start: bool = False
    """Validate before the first step too, so that metrics.jsonl says what the training changed."""
    validate_images: int = 300
    """Images of the validation split that each validation during training reads."""
    patience: int = 0
    """Early stopping: the run ends after this many validations in a row without a better mean IoU. 0: it does not."""
    save_every: int = 500
    """Steps between two checkpoints."""
    keep_last: int = 2
    """How many of the newest checkpoints are kept. If the newest is damaged, `--resume` uses the one before it."""
    keep_every: int = 0
    """Checkpoints whose step is a multiple of this are kept too. 0: none."""

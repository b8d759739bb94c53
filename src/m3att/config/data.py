"""The settings of the images and expressions: `input` and `data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    """Folder of the data set in the REFER layout, or your own file or folder (`jsonl`, `coco`, `shards` ...). None:
    ShapeRef scenes are drawn on the fly, and no scene repeats."""
    dataset: str = "shaperef"
    """A published data set: refcoco, refcoco+, refcocog, refclef, grefcoco, phrasecut. A drawn one: shaperef,
    shaperef+, shaperefg. Or your own: jsonl, coco, cvat, datumaro, label_studio, labelme, hf, shards. Several, joined
    by commas, are mixed."""
    split_by: str | None = None
    """Author of the split, such as unc, google, umd or berkeley. None: the usual one of the data set."""
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
    old: tuple[str, ...] = ()
    """Training: data of the kind that the model of `train.init` has learned from, so that it does not forget them.
    Files or folders of your own, folders in the REFER layout, or names of drawn data sets. They are trained on too, and
    each validation scores them, as `old/...` in metrics.jsonl."""
    old_share: float = 0.5
    """Share of an epoch's images that are of `old`. Each epoch takes other images of them."""
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
    """Mirror half of the training images at random, and swap left and right in their expressions. An image stays as it
    is where nobody can tell what one of its expressions means in the mirror (docs/training.md)."""
    crop: float = 1.0
    """Cut training images at random: each keeps a share of its area between this and 1, and all referents of its
    batch. Expressions of places in the image are dropped. 1: images are not cut."""
    jitter: float = 0.0
    """Change brightness, contrast, saturation and hue of training images at random, by up to this share (of hues, by
    up to a quarter of it). An image with an expression that names a colour stays as it is. 0: none is changed."""
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

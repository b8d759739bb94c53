"""What the JSON interface takes and gives. The OpenAPI document is made from these classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def valid_text(text: str) -> str:
    """The text, if it can be written as UTF-8; JSON may hold halves of characters.

    Raises:
        ValueError: if it cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not a valid text; give it in UTF-8") from None
    return text


Form = Literal["rle", "polygons", "png"]
Expression = Annotated[str, Field(max_length=1000), AfterValidator(valid_text)]
FORMS_HELP = (
    "How the masks are given: `rle` (COCO's compressed run lengths), `polygons`, `png` (base64, 1 bit a pixel)."
)


class Strict(BaseModel):
    """A request that may hold nothing unknown."""

    model_config = ConfigDict(extra="forbid")


class ImageSource(Strict):
    """An image: its file in base64, or the id of one that was sent before. Give one of the two."""

    image: str | None = Field(None, description="The image file in base64; a data URL is taken too.")
    image_id: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Id of an image that was sent before, as `/v1/images` gives it."
    )
    model: str | None = Field(None, max_length=200, description="Name of a model; without it the first one is used.")


class SegmentRequest(ImageSource):
    """Which objects to find in an image."""

    expressions: list[Expression] = Field(min_length=1, description="What to find, one object an expression.")
    threshold: float | None = Field(
        None, ge=0, lt=1, description="Probability over which a pixel belongs to a mask; without it the model's own."
    )
    forms: list[Form] = Field(["rle"], min_length=1, max_length=3, description=FORMS_HELP)


class AttentionRequest(ImageSource):
    """Which expression's words to follow."""

    expression: Expression
    layer: int = Field(-1, ge=-1000, le=1000, description="Decoder layer, from 0; negative ones count from the last.")


class ImageInfo(BaseModel):
    """An image that the service has read."""

    id: str = Field(description="SHA-256 of the file. Other requests take it as `image_id` while the image is kept.")
    width: int
    height: int
    cached: bool = Field(description="Whether the image had been encoded before this request.")


class RunLengths(BaseModel):
    """A mask as COCO's compressed run lengths."""

    size: tuple[int, int] = Field(description="Height and width.")
    counts: str


class Part(BaseModel):
    """One connected part of a mask: outlines along the edges of pixels, as x, y, x, y ..."""

    outer: list[int]
    holes: list[list[int]]


class Result(BaseModel):
    """What was found for one expression."""

    expression: str
    error: str | None = Field(None, description="Why the model cannot read this expression; then nothing else is set.")
    score: float | None = Field(
        None,
        description="How much to trust the mask, 0 to 1: of a calibrated model the IoU to expect, else the mean "
        "probability inside the mask; 0 if the mask is empty.",
    )
    area: int | None = Field(None, description="Pixels of the mask.")
    box: tuple[int, int, int, int] | None = Field(
        None, description="Left, top, right, bottom in pixels, the last two exclusive; null for an empty mask."
    )
    unknown_words: list[str] = Field(description="Words that the model does not know.")
    read_as: dict[str, str] = Field(description="Misspelt words, each with the known word that it was read as.")
    words_cut: int = Field(description="Words beyond the model's limit, which it did not read.")
    rle: RunLengths | None = None
    polygons: list[Part] | None = None
    png: str | None = None


class SegmentResponse(BaseModel):
    """Results in the order of the expressions."""

    model: str
    threshold: float
    image: ImageInfo
    results: list[Result]


class Region(BaseModel):
    """Where the image lies in a grid, in cells."""

    left: float
    top: float
    width: float
    height: float


class AttentionResponse(BaseModel):
    """Where the words of an expression look (Eq. 1, 2a and 2b of the paper)."""

    model: str
    image: ImageInfo
    expression: str
    words: list[str]
    layer: int
    layers: int
    rows: int
    columns: int
    region: Region
    lav: list[list[float]] = Field(description="A map a word, row by row: its weights over all positions, sum 1.")
    val: list[list[float]] = Field(description="A map a word, row by row: the share of each word at a position.")
    padding: list[float] = Field(
        description="The share of padding at each position, which with those of the words makes 1. It is 0 unless the "
        "model reads padding as words."
    )


class ModelInfo(BaseModel):
    """A model that can be chosen."""

    name: str
    world: str = Field(description="What kind of pictures it knows; empty if it is meant for photos.")
    threshold: float
    word_limit: int
    attention: bool = Field(description="Whether it can tell where the words look.")


class LimitsInfo(BaseModel):
    """What a request may take."""

    megabytes: float
    megapixels: float
    expressions: int
    seconds: float


class ServiceInfo(BaseModel):
    """Models, the first of which is used by default, and limits."""

    version: str
    models: list[ModelInfo]
    limits: LimitsInfo


class Health(BaseModel):
    """Whether the service can work."""

    status: Literal["ok", "no worker"]
    workers: int


class ErrorText(BaseModel):
    """Why a request was refused."""

    code: str = Field(description="For programs; see docs/serving.md.")
    message: str = Field(description="For people: one line.")


class ErrorResponse(BaseModel):
    """The answer to every request that is refused."""

    error: ErrorText

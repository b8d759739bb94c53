"""The web application: its paths, and how a request becomes a task for a worker."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from m3att import __version__
from m3att.errors import shown
from m3att.serve import schemas
from m3att.serve.cache import BoundedCache
from m3att.serve.guard import Guard, too_large
from m3att.serve.limits import STATUS, Limits, Refusal
from m3att.serve.metrics import Metrics
from m3att.serve.pool import Job, Pool
from m3att.serve.tasks import Kind, Task
from m3att.serve.texts import TextRoute

STATIC = Path(__file__).parent / "static"
DESCRIPTION = "Referring image segmentation: an image and expressions in, the mask of each referent out."
REASONS = {
    400: "The request is malformed, has too many expressions, or asks the model for what it cannot do",
    401: "The token is missing or wrong",
    404: "There is no such model, or the image of this id is not kept any more",
    413: "The file is too large",
    415: "The file is not an image that can be read",
    422: "The image has too many pixels",
    429: "Too many requests at once",
    500: "The service failed",
    503: "No worker is ready",
    504: "No answer in time",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ErrorResponse, "description": reason} for status, reason in REASONS.items()
}


class Service:
    """Makes tasks of requests and waits for their answers.

    Args:
        pool: does the tasks.
        models: what a worker says of each model; the first is the default.
        limits: of requests.
    """

    def __init__(self, pool: Pool, models: Sequence[dict[str, Any]], limits: Limits) -> None:
        self.pool, self.limits = pool, limits
        self.models = [schemas.ModelInfo(**model) for model in models]
        self.files: BoundedCache[str, bytes] = BoundedCache(limits.cache_bytes)
        self._numbers = count()

    def info(self) -> schemas.ServiceInfo:
        """Models and limits."""
        limits = self.limits
        shown = schemas.LimitsInfo(
            megabytes=limits.megabytes,
            megapixels=limits.megapixels,
            expressions=limits.expressions,
            seconds=limits.seconds,
        )
        return schemas.ServiceInfo(version=__version__, models=self.models, limits=shown)

    def choose(self, model: str | None) -> str:
        """The name of a model that is loaded.

        Raises:
            Refusal: where it is not.
        """
        names = [known.name for known in self.models]
        if model is None:
            return names[0]
        if model not in names:
            raise Refusal("unknown_model", f"no such model; there are {', '.join(names)}")
        return model

    def keep(self, content: bytes) -> tuple[str, bytes]:
        """The id of an image file, and the file as it is kept.

        Raises:
            Refusal: where it is too large.
        """
        if len(content) > self.limits.image_bytes:
            raise too_large(self.limits)
        digest = hashlib.sha256(content).hexdigest()
        kept = self.files.get(digest)
        if kept is None:
            self.files.put(digest, content, len(content))
        return digest, kept or content

    def source(self, request: schemas.ImageSource) -> tuple[str, bytes]:
        """The image of a JSON request.

        Raises:
            Refusal: where there is none, or two, or it is not kept.
        """
        if (request.image is None) == (request.image_id is None):
            raise Refusal("bad_request", "give one of image (base64) and image_id")
        if request.image_id is not None:
            content = self.files.get(request.image_id)
            if content is None:
                raise Refusal("unknown_image", "this image is not kept any more; send its file again")
            return request.image_id, content
        text = request.image or ""
        coded = "".join((text.partition(",")[2] if text.startswith("data:") else text).split())
        try:
            return self.keep(base64.b64decode(coded, validate=True))
        except (binascii.Error, ValueError):
            raise Refusal("bad_request", "image: is not base64") from None

    def check(self, expressions: Sequence[str]) -> None:
        """Hold the limit of expressions.

        Raises:
            Refusal: where there are too many.
        """
        most = self.limits.expressions
        if len(expressions) > most:
            raise Refusal("too_many_expressions", f"{len(expressions)} expressions; at most {most} are taken at once")

    async def ask(self, kind: Kind, model: str, image: tuple[str, bytes], **values: Any) -> dict[str, Any]:
        """Have a task done.

        Args:
            kind: of the task.
            model: name of a loaded model.
            image: id and file.
            values: other fields of the task.

        Raises:
            Refusal: where it is not done.
        """
        job = Job(Task(next(self._numbers), kind, model, *image, **values))
        self.pool.submit(job)
        answer = await asyncio.wrap_future(job.answer)
        if answer.code:
            raise Refusal(answer.code, answer.message)
        return dict(answer.values)


def image_info(digest: str, values: dict[str, Any]) -> schemas.ImageInfo:
    """What an answer says of its image; taken out of it."""
    return schemas.ImageInfo(id=digest, **{key: values.pop(key) for key in ("width", "height", "cached")})


def create_app(
    pool: Pool,
    models: Sequence[dict[str, Any]],
    limits: Limits,
    token: str | None = None,
    hosts: tuple[str, ...] = (),
) -> FastAPI:
    """The application.

    Args:
        pool: open, of workers that run `m3att.serve.worker.work`.
        models: what `Pool.open` returned.
        limits: of requests.
        token: see `m3att.serve.guard.Guard`.
        hosts: see `m3att.serve.guard.Guard`.
    """
    service = Service(pool, models, limits)
    metrics = Metrics(pool)
    # The documentation pages of FastAPI load scripts from elsewhere; /openapi.json is served all the same.
    app = FastAPI(title="m3att", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.router.route_class = TextRoute
    app.add_middleware(Guard, limits=limits, token=token, hosts=hosts, observe=metrics.observe)
    add_errors(app)
    bearer = [Depends(HTTPBearer(auto_error=False))] if token is not None else []

    @app.get("/healthz", responses={503: {"model": schemas.Health}}, tags=["operation"])
    async def healthz(response: Response) -> schemas.Health:
        """Whether a worker is ready."""
        response.status_code = 200 if pool.alive else 503
        return schemas.Health(status="ok" if pool.alive else "no worker", workers=pool.alive)

    @app.get("/metrics", tags=["operation"], response_class=Response, dependencies=bearer)
    async def prometheus() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/service", dependencies=bearer, tags=["masks"])
    async def info() -> schemas.ServiceInfo:
        """Models and limits."""
        return service.info()

    @app.post("/v1/images", responses=ERRORS, dependencies=[*bearer, only("image", "model")], tags=["masks"])
    async def send_image(
        image: Annotated[UploadFile, File(description="The image file.")],
        model: Annotated[str | None, Form(max_length=200)] = None,
    ) -> schemas.ImageInfo:
        """Send an image once, and ask about it by its id. It is encoded at once for the model."""
        kept = service.keep(await image.read())
        return image_info(kept[0], await service.ask("encode", service.choose(model), kept))

    @app.post("/v1/segment", responses=ERRORS, dependencies=[*bearer, only()], tags=["masks"])
    async def segment(request: schemas.SegmentRequest) -> schemas.SegmentResponse:
        """Find objects in an image that is given in base64 or by its id."""
        return await found(service.source(request), request)

    @app.post(
        "/v1/segment/upload",
        responses=ERRORS,
        dependencies=[*bearer, only("image", "model", "threshold", *LISTS)],
        tags=["masks"],
    )
    async def segment_upload(
        image: Annotated[UploadFile, File(description="The image file.")],
        expressions: Annotated[list[schemas.Expression], Form(min_length=1)],
        model: Annotated[str | None, Form(max_length=200)] = None,
        threshold: Annotated[float | None, Form(ge=0, lt=1)] = None,
        forms: Annotated[list[schemas.Form] | None, Form(max_length=3, description=schemas.FORMS_HELP)] = None,
    ) -> schemas.SegmentResponse:
        """Find objects in an image that is uploaded as a file, as an HTML form does."""
        request = schemas.SegmentRequest(
            image=None, image_id=None, expressions=expressions, model=model, threshold=threshold, forms=forms or ["rle"]
        )
        return await found(service.keep(await image.read()), request)

    async def found(image: tuple[str, bytes], request: schemas.SegmentRequest) -> schemas.SegmentResponse:
        service.check(request.expressions)
        model = service.choose(request.model)
        values = await service.ask(
            "segment",
            model,
            image,
            expressions=tuple(request.expressions),
            threshold=request.threshold,
            forms=tuple(request.forms),
        )
        return schemas.SegmentResponse(model=model, image=image_info(image[0], values), **values)

    @app.post("/v1/attention", responses=ERRORS, dependencies=[*bearer, only()], tags=["masks"])
    async def attention(request: schemas.AttentionRequest) -> schemas.AttentionResponse:
        """Where the words of an expression look."""
        image = service.source(request)
        model = service.choose(request.model)
        values = await service.ask("attend", model, image, expressions=(request.expression,), layer=request.layer)
        return schemas.AttentionResponse(model=model, image=image_info(image[0], values), **values)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        """The page."""
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


LISTS = ("expressions", "forms")
FORMS = ("/v1/segment/upload", "/v1/images")
"""Paths that take a form. The others take JSON."""
"""Fields of a form that may occur several times."""


def only(*names: str) -> Any:
    """A dependency that refuses what a path would not read, so that no misspelt option is lost in silence.

    Args:
        names: fields of the path's form; none where it takes JSON, whose fields pydantic checks.
    """

    async def check(request: Request) -> None:
        if request.query_params:
            raise Refusal("bad_request", "what stands behind the ? of the address is not read; put it into the body")
        given = [name for name, _ in (await request.form()).multi_items()] if names else []
        for at, name in enumerate(given):
            if name not in names:
                raise Refusal("bad_request", f"no such field: {shown(name, 40)}; there are {', '.join(names)}")
            if name not in LISTS and name in given[:at]:
                raise Refusal("bad_request", f"{name}: give it once")

    return Depends(check)


def wrong_kind(request: Request) -> str | None:
    """What to send, if a refused request has a ``Content-Type`` that its path does not take.

    FastAPI reads such a body as text and then misses fields in it. This is what ``curl -d`` does without the header.

    Args:
        request: that was refused.

    Returns:
        What to do, or None if the kind of the body is right.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if request.url.path in FORMS:
        return None if kind == "multipart/form-data" else "send a form with the file, as multipart/form-data"
    if kind in ("", "application/json") or kind.endswith("+json"):
        return None
    return "send JSON, with the header Content-Type: application/json"


def add_errors(app: FastAPI) -> None:
    """Give every refusal the same form."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.body, refusal.status, refusal.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        if first["type"] == "json_invalid":
            place, first["msg"] = "", "it is not JSON"
        elif wrong := wrong_kind(request):
            place, first["msg"] = "", wrong
        elif not place and first["type"] == "missing":
            first["msg"] = "it is empty; send a JSON object"
        elif not place and first["type"] == "model_attributes_type":
            first["msg"] = "it is JSON, but not a JSON object with the fields of the request"
        elif "UploadFile" in first["msg"]:  # FastAPI speaks of its own classes here
            first["msg"] = "send it as a file"
        message = " ".join(f"{place or 'the request'}: {first['msg']}"[:300].split())
        # A key that is not known may hold half a character.
        return await refused(request, Refusal("bad_request", message.encode("utf-8", "replace").decode()))

    @app.exception_handler(StarletteHTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        refusal = Refusal(code, str(error.detail)[:300])
        return JSONResponse(refusal.body, STATUS[code], dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        refusal = Refusal("failed", "the service failed on this request")
        return JSONResponse(refusal.body, refusal.status)

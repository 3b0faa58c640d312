"""The routes, and the document that describes them: /docs shows the contract's own columns."""

from __future__ import annotations

from functools import wraps
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from perenne.serving import answers
from perenne.serving.batcher import Busy, as_json
from perenne.serving.guard import Guard, Route, known
from perenne.serving.labels import as_labels, labels
from perenne.serving.log import LogUnavailable
from perenne.serving.problems import JSON, Refused, body, detail, problems
from perenne.serving.rows import asked, requests
from perenne.serving.service import Service

PREDICT = "/v1/predict"
CALLERS, KEEPERS = "For those who ask", "For those who run it"
REF = "#/components/schemas/{model}"
TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' own
DOCS = {"defaultModelsExpandDepth": 0, "defaultModelExpandDepth": 4}  # the columns are shown where they go
Said = dict[int | str, dict[str, Any]]
SAID: Said = {
    400: {"model": answers.Detail, "description": "The body is no JSON"},
    401: {"model": answers.Detail, "description": "A token is needed"},
    409: {
        "model": answers.Detail,
        "description": "Refused; the one that was served goes on",
    },
    413: {"model": answers.Detail, "description": "Too many rows or bytes"},
    415: {"model": answers.Detail, "description": "The body does not say that it is JSON"},
    422: {"model": answers.Problems, "description": "Not of the contract: the row, the field and why"},
    503: {"model": answers.Detail, "description": "Not now: the log does not commit, or too many wait"},
}


def said(*statuses: int) -> Said:
    """The answers of a route beside the good one."""
    return {status: SAID[status] for status in (401, *statuses)}


def build(service: Service) -> Guard:
    """The application around a service that has started."""
    title, version = f"Perenne: {service.name}", service.live.version.version
    app = FastAPIOffline(
        redoc_url=None, title=title, version=version, debug=False, swagger_ui_parameters=DOCS
    )
    reads = {
        "Request": requests(service.live.contract, service.settings.max_rows),
        "Labels": labels(service.settings.max_rows),
    }
    predict = _ask(app, service, reads)
    _tell(app, service)
    app.openapi = lambda: _document(app, service, reads)  # type: ignore[method-assign]  # FastAPI's way
    paths = {route.path for route in app.routes}  # type: ignore[attr-defined]  # all of ours have one
    return Guard(app, {("POST", PREDICT): predict}, service.metrics, service.settings.token_sha256, paths)


def refusing(route: Route) -> Route:
    """A route that answers what it refuses, too."""

    @wraps(route)
    async def answered(request: Request) -> Response:
        try:
            return await route(request)
        except Refused as error:
            return detail(error.status, str(error))
        except Busy:
            return detail(503, "too many rows wait already; try again")
        except LogUnavailable:
            return detail(503, "the log could not be written, so nothing is answered; try again")

    return answered


def _ask(app: FastAPI, service: Service, reads: dict[str, TypeAdapter[Any]]) -> Route:
    """The routes that take something; return that of predictions."""
    columns, most = list(asked(service.live.contract)), service.settings.max_body

    @app.post(
        PREDICT,
        summary="Score rows",
        tags=[CALLERS],
        responses=said(400, 413, 415, 422, 503),
        response_model=answers.Predictions,
        response_description="One prediction a row, in the rows' order",
    )
    @refusing
    async def predict(request: Request) -> Response:
        """A prediction that was answered is in the log, unless `serve.log` says `async`."""
        try:
            rows = reads["Request"].validate_json(await body(request, most))["rows"]
        except ValidationError as error:
            return problems(error, columns)
        return Response(as_json(await service.predict(rows), service.threshold), media_type=JSON)

    @app.post(
        "/v1/labels",
        summary="Tell outcomes",
        tags=[CALLERS],
        responses=said(400, 413, 415, 422, 503),
        response_model=answers.Labelled,
    )
    @refusing
    async def label(request: Request) -> Response:
        """By the ids of their predictions: late, again or several at once, all is well."""
        try:
            told = reads["Labels"].validate_json(await body(request, most))["labels"]
        except ValidationError as error:
            return problems(error, ["id", "value", "at"])
        result = await service.label(as_labels(told))
        return Response(to_json(result._asdict()), media_type=JSON)

    @app.post(
        "/admin/reload",
        summary="Ask the registry now",
        tags=[KEEPERS],
        responses=said(409),
        response_model=answers.Reloaded,
    )
    async def reload(request: Request) -> Response:
        """Also for what was refused before. It needs the token, on this machine too."""
        token = service.settings.token_sha256
        if not token or not known(request.scope, token):
            return detail(401, "this needs the token whose sha256 is serve.token_sha256", bearer=True)
        swapped = await service.reload()
        if service.refused():
            return detail(409, service.refused() or "")
        told = {"version": service.live.version.version, "swapped": swapped}
        return Response(to_json(told), media_type=JSON)

    return predict


def _tell(app: FastAPI, service: Service) -> None:
    """The routes that only tell."""

    @app.get(
        "/v1/model",
        summary="The model that answers",
        tags=[CALLERS],
        responses=said(),
        response_model=answers.Model,
    )
    async def model() -> Response:
        """What was measured, since when it is in use, and whether it still holds."""
        return Response(to_json(service.model()), media_type=JSON)

    @app.get("/healthz", summary="Does the process answer?", tags=[KEEPERS], response_model=answers.Health)
    async def health() -> Response:
        """If it does not, start it anew."""
        return Response(b'{"status":"ok"}', media_type=JSON)

    @app.get(
        "/readyz",
        summary="Are predictions answered?",
        tags=[KEEPERS],
        responses={503: {"model": answers.Ready}},
        response_model=answers.Ready,
    )
    async def ready(request: Request) -> Response:
        """If not, send requests elsewhere. Why is for those with the token."""
        state = service.ready()
        status, token = 200 if state["ready"] else 503, service.settings.token_sha256
        if token and not known(request.scope, token):
            state = {"ready": state["ready"]}
        return Response(to_json(state), status, media_type=JSON)

    @app.get("/metrics", summary="For Prometheus", tags=[KEEPERS], responses=said(), response_class=Response)
    async def metrics() -> Response:
        """Requests, latency, rows, scores, swaps, refusals and the log's lag, as text."""
        return Response(service.metrics.text(), media_type=TEXT)


def _document(app: FastAPI, service: Service, reads: dict[str, TypeAdapter[Any]]) -> dict[str, Any]:
    """OpenAPI, with what `predict` and `labels` read: their bodies are read quicker than FastAPI would."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, routes=app.routes, description=service.live.contract.row
    )
    schemas = document["components"]["schemas"]
    for path, name in ((PREDICT, "Request"), ("/v1/labels", "Labels")):
        schema = reads[name].json_schema(ref_template=REF)
        schemas |= schema.pop("$defs", {}) | {name: schema}
        content = {JSON: {"schema": {"$ref": REF.format(model=name)}}}
        document["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    everywhere: list[dict[str, list[str]]] = [{"token": []}] if service.settings.token_sha256 else []
    for path, methods in document["paths"].items():
        for method in methods.values():
            method["security"] = [{"token": []}] if path.startswith("/admin") else everywhere
    app.openapi_schema = document
    return document

"""The routes, and the OpenAPI document that /docs shows with the contract's own columns."""

from __future__ import annotations

import logging
from functools import partial, wraps
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from perenne.common.errors import PerenneError
from perenne.common.project_code import CodeError
from perenne.serving import answers
from perenne.serving.batcher import Busy
from perenne.serving.guard import INTERNAL, Guard, Route, raised_at, roles_of
from perenne.serving.labels import LabelRequest, as_labels, label_adapter
from perenne.serving.log import LogUnavailable
from perenne.serving.predictions import as_json, several
from perenne.serving.problems import JSON, RequestError, body, detail, problems
from perenne.serving.quick import QuickProtocol, QuickRoute
from perenne.serving.rows import PredictAdapter, request_keys
from perenne.serving.service import Service
from perenne.serving.settings import TokenRole
from perenne.serving.slices import checked

PREDICT, LABELS, RELOAD = "/v1/predict", "/v1/labels", "/admin/reload"
NEEDED: dict[str, TokenRole] = {PREDICT: "predict", LABELS: "label", RELOAD: "admin"}
STATIC = "/static-offline-docs"
CLIENTS, OPERATORS = "For clients", "For operators"
REF = "#/components/schemas/{model}"
TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' own
# The columns are shown at their route, and the page asks no other host whether the document is valid.
DOCS = {"defaultModelsExpandDepth": 0, "defaultModelExpandDepth": 4, "validatorUrl": None}
OWN = {"content-security-policy": "default-src 'self' 'unsafe-inline'; img-src 'self' data:"}

logger = logging.getLogger("perenne.serve")
Responses = dict[int | str, dict[str, Any]]  # fragments of OpenAPI, in FastAPI's own type
RESPONSES: Responses = {
    400: {"model": answers.Detail, "description": "The body is not JSON"},
    401: {"model": answers.Detail, "description": "The token is missing or wrong"},
    403: {"model": answers.Detail, "description": "The token has another role"},
    409: {
        "model": answers.Detail,
        "description": "The version was rejected; the current one keeps serving",
    },
    413: {"model": answers.Detail, "description": "Too many rows or bytes"},
    415: {"model": answers.Detail, "description": "Neither JSON in UTF-8 nor gzip of it"},
    422: {
        "model": answers.Problems,
        "description": "Does not match the contract: the row, the field and why",
    },
    500: {"model": answers.Detail, "description": "Code of the version's model or features fails"},
    503: {"model": answers.Detail, "description": "The log cannot commit, or too many rows wait; try again"},
}


class Adapters(NamedTuple):
    """The validators of the two request bodies."""

    predict: PredictAdapter
    labels: TypeAdapter[LabelRequest]


def responses(*statuses: int) -> Responses:
    """The error responses of a route, as OpenAPI documents them; 401 is always among them."""
    return {status: RESPONSES[status] for status in (401, *statuses)}


def build(service: Service) -> Guard:
    """Build the application around a service that has started.

    Parameters
    ----------
    service
        After `Service.start`: the contract of its version gives the columns.

    Returns
    -------
    Guard
        The ASGI application.

    """
    title, version = f"Perenne: {service.name}", service.live.version.version
    app = FastAPIOffline(docs_url=None, redoc_url=None, static_url=STATIC, title=title, version=version)
    app.router.redirect_slashes = False
    contract, max_rows = service.live.contract, service.settings.max_rows
    adapters = Adapters(PredictAdapter(contract, max_rows), label_adapter(contract, max_rows))
    predict = _post_routes(app, service, adapters)
    _get_routes(app, service)
    _docs_route(app)
    app.openapi = lambda: _document(app, service, adapters)  # type: ignore[method-assign]  # FastAPI's way
    guard = Guard(
        app,
        {("POST", PREDICT): predict},
        service.metrics,
        allowed=service.settings.allowed,
        needed=NEEDED,
        paths={route.path for route in app.routes},  # type: ignore[attr-defined]  # all of ours have one
        documented={*app.openapi()["paths"]},
    )
    route = QuickRoute(
        PREDICT,
        service.settings.max_body,
        adapters.predict,
        guard.refusal,
        service.give,
        lambda result: as_json(result, service.threshold),
        partial(failure, path=PREDICT),
        service.metrics,
    )
    service.connections.make = partial(QuickProtocol, route)
    return guard


def with_errors(route: Route) -> Route:
    """Wrap a route so that the errors of a request become responses.

    Returns
    -------
    Route
        It answers a `RequestError` with the status of the error, `Busy` and `LogUnavailable` with 503, and
        `CodeError` with 500: then the log has the place in the code, and the caller the row.

    """

    @wraps(route)
    async def answered(request: Request) -> Response:
        try:
            return await route(request)
        except (RequestError, Busy, LogUnavailable, CodeError) as error:
            return failure(error, request.url.path)

    return answered


def failure(error: Exception, path: str) -> Response:
    """The response to a request that data was posted with.

    Parameters
    ----------
    error
        What its route has raised.
    path
        Of the route.

    """
    match error:
        case RequestError():
            return detail(error.status, str(error))
        case Busy():
            return detail(503, "too many rows are waiting; try again")
        case LogUnavailable():
            return detail(503, "the log could not be written, so there is no answer; try again")
        case CodeError():  # its message may hold a caller's data
            place = "" if error.row is None else f"row {error.row}: "
            logger.error("POST %s: %s%s", path, place, error.brief)
            return detail(500, f"{place}code of this version fails; the service's own log has the place")
        case _:
            logger.error("POST %s: %s", path, raised_at(error))
            return detail(500, INTERNAL)


def _post_routes(app: FastAPI, service: Service, adapters: Adapters) -> Route:
    """Add the routes that take data; return that of predictions."""
    columns, max_bytes = request_keys(service.live.contract), service.settings.max_body

    @app.post(
        PREDICT,
        summary="Score rows",
        tags=[CLIENTS],
        responses=responses(400, 403, 413, 415, 422, 500, 503),
        response_model=answers.predictions(several(service.live.contract)),
        response_description="One prediction per row, in the order of the rows",
    )
    @with_errors
    async def predict(request: Request) -> Response:
        """A prediction is in the log before it is returned, unless `serve.log` is `async`."""
        try:
            rows = await checked(await body(request, max_bytes), adapters.predict, service.turn)
        except ValidationError as error:
            return problems(error, "rows", columns)
        return Response(as_json(await service.predict(rows), service.threshold), media_type=JSON)

    @app.post(
        LABELS,
        summary="Report outcomes",
        tags=[CLIENTS],
        responses=responses(400, 403, 413, 415, 422, 503),
        response_model=answers.Labelled,
    )
    @with_errors
    async def label(request: Request) -> Response:
        """Outcomes by the ids of their predictions. They may be sent late, repeated or in batches."""
        try:
            outcomes = adapters.labels.validate_json(await body(request, max_bytes))["labels"]
        except ValidationError as error:
            return problems(error, "labels", ["id", "value", "at"])
        result = await service.label(as_labels(outcomes))
        return Response(to_json(result._asdict()), media_type=JSON)

    @app.post(
        RELOAD,
        summary="Read the registry now",
        tags=[OPERATORS],
        responses=responses(403, 409, 503),
        response_model=answers.Reloaded,
    )
    async def reload() -> Response:
        """A rejected version is tried again. The token is required, also on this machine."""
        if not service.settings.allowed:
            return detail(401, "this needs a token; set serve.token_sha256 or serve.tokens", bearer=True)
        try:
            after = await service.reload()
        except PerenneError as error:
            return detail(503, str(error))
        if refused := service.refused():
            return detail(409, refused)
        answer = answers.Reloaded(version=after.version, swapped=after.swapped)
        return Response(to_json(answer), media_type=JSON)

    return predict


def _get_routes(app: FastAPI, service: Service) -> None:
    """Add the routes that only report."""

    @app.get(
        "/v1/model",
        summary="The model that answers",
        tags=[CLIENTS],
        responses=responses(),
        response_model=answers.ServedModel,
    )
    async def model() -> Response:
        """Its metrics, since when it is the champion, and whether monitoring found it degraded."""
        return Response(to_json(service.model()), media_type=JSON)

    @app.get("/healthz", summary="Is the process alive?", tags=[OPERATORS], response_model=answers.Health)
    async def health() -> Response:
        """If not, restart it."""
        return Response(b'{"status":"ok"}', media_type=JSON)

    @app.get(
        "/readyz",
        summary="Does it answer predictions?",
        tags=[OPERATORS],
        responses={503: {"model": answers.Ready}},
        response_model=answers.Ready,
    )
    async def ready(request: Request) -> Response:
        """If not, send requests elsewhere. The reason is shown only with the token."""
        state, allowed = service.ready(), service.settings.allowed
        status = 200 if state.ready else 503
        if allowed and not roles_of(request.scope, allowed):
            return Response(to_json({"ready": state.ready}), status, media_type=JSON)
        return Response(to_json(state), status, media_type=JSON)

    @app.get(
        "/metrics",
        summary="Metrics for Prometheus",
        tags=[OPERATORS],
        responses=responses(),
        response_class=Response,
    )
    async def metrics() -> Response:
        """Requests, latency, rows, scores, swaps, rejected versions and the log's lag, as text."""
        return Response(service.metrics.text(), media_type=TEXT)


def _docs_route(app: FastAPI) -> None:
    """Add /docs. Its addresses are relative, so that it works behind a proxy that adds a prefix."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        static = STATIC.removeprefix("/")
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"{static}/swagger-ui-bundle.js",
            swagger_css_url=f"{static}/swagger-ui.css",
            swagger_favicon_url=f"{static}/favicon.png",
            swagger_ui_parameters=DOCS,
        )
        page.headers.update(OWN)
        return page


# OpenAPI is anybody's schema: FastAPI builds and serves it as a plain dictionary.
def _document(app: FastAPI, service: Service, adapters: Adapters) -> dict[str, Any]:
    """OpenAPI with the bodies of the two POST routes, which FastAPI does not see: the routes read them."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, routes=app.routes, description=service.live.contract.row
    )
    schemas = document["components"]["schemas"]
    predict = adapters.predict.json_schema(ref_template=REF)
    labels = adapters.labels.json_schema(ref_template=REF)
    for path, name, schema in ((PREDICT, "Request", predict), (LABELS, "Labels", labels)):
        schemas |= schema.pop("$defs", {}) | {name: schema}
        content = {JSON: {"schema": {"$ref": REF.format(model=name)}}}
        document["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
    document["servers"] = [{"url": "."}]  # where the document itself is: a proxy may have added a prefix
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    everywhere: list[dict[str, list[str]]] = [{"token": []}] if service.settings.allowed else []
    for path, methods in document["paths"].items():
        for method in methods.values():
            method["security"] = [{"token": []}] if path.startswith("/admin") else everywhere
    app.openapi_schema = document
    return document

"""One log line for each request, with an id that every other line of the request carries too."""

import random
import time

import structlog
from flask import Response, g, request

log = structlog.get_logger()


def begin() -> None:
    g.started = time.perf_counter()
    g.request_id = f"{random.getrandbits(48):012x}"
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def finish(response: Response) -> Response:
    if request.endpoint != "static":
        log.info(
            "request",
            method=request.method,
            endpoint=request.endpoint,
            status=response.status_code,
            ms=round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
        )
    return response

"""Gzip for answers that hold no secret: files, and the public pages, whose whole weight is promised to be small.

Not for pages behind the sign-in: their forms carry tokens, and the size of a compressed answer tells of its content (BREACH).
A proxy in front may do all this as well; it leaves alone what has an encoding already.
"""

import gzip
from functools import lru_cache

from flask import Response, request

SMALLEST = 600
LARGEST = 2 * 1024 * 1024
TYPES = ("text/", "application/javascript", "application/json", "image/svg+xml")


def gzipped(response: Response) -> Response:
    """The answer, compressed where the browser takes that and it is worth it."""
    response.vary.add("Accept-Encoding")
    if (
        response.status_code != 200
        or not request.accept_encodings.quality("gzip")
        or "Content-Encoding" in response.headers
        or "Content-Range" in response.headers
        or not (response.mimetype or "").startswith(TYPES)
    ):
        return response
    response.direct_passthrough = False
    content = response.get_data()
    if not SMALLEST <= len(content) <= LARGEST:
        return response
    # Files are asked for again and again; pages are not worth remembering.
    pressed = _pressed(content) if request.endpoint == "static" else gzip.compress(content, 6)
    response.set_data(pressed)
    response.headers["Content-Encoding"] = "gzip"
    # The bytes differ, what they mean does not.
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(etag, weak=True)
    return response


def files_gzipped(response: Response) -> Response:
    return gzipped(response) if request.endpoint == "static" else response


@lru_cache(maxsize=128)
def _pressed(content: bytes) -> bytes:
    return gzip.compress(content, 9)

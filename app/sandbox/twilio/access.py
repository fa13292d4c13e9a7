"""What every Twilio view needs: the world, who calls, and pages of rows as both API styles write them."""

from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from flask import current_app, g, request

from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.lifecycle import Lifecycle
from app.sandbox.twilio.records import Account
from app.sandbox.twilio.world import TwilioWorld

API_PREFIX = "/twilio/api"
MAX_PAGE = 1000

Row = TypeVar("Row")


def world() -> TwilioWorld:
    return cast(TwilioWorld, current_app.extensions["twilio_world"])


def lifecycle() -> Lifecycle:
    return cast(Lifecycle, current_app.extensions["twilio_lifecycle"])


def sign_in() -> None:
    """Before each API call. Raises Refused(20003) for wrong or missing credentials."""
    login = request.authorization
    if login is None or login.type != "basic":
        raise Refused(20003)
    named = (request.view_args or {}).get("account_sid")
    g.account = world().authenticate(named, login.username or "", login.password or "")


def account() -> Account:
    return cast(Account, g.account)


def host_path() -> str:
    """The path as Twilio would know it, without our prefix."""
    return request.path.removeprefix(API_PREFIX)


def page_numbers() -> tuple[int, int]:
    """(page, page size) as asked for."""
    try:
        page = max(int(request.args.get("Page", 0)), 0)
        size = int(request.args.get("PageSize", 50))
    except ValueError:
        raise Refused(20001) from None
    return page, min(max(size, 1), MAX_PAGE)


def _window(rows: list[Row], sid_of: Callable[[Row], str]) -> tuple[list[Row], int, int, str]:
    """This page's rows, page, size and the token of the next page. Tokens keep pages steady while rows arrive."""
    page, size = page_numbers()
    token = request.args.get("PageToken", "")
    start = page * size
    if token.startswith("PA"):
        start = next((i + 1 for i, row in enumerate(rows) if sid_of(row) == token[2:]), start)
    chosen = rows[start : start + size]
    more = chosen and start + size < len(rows)
    return chosen, page, size, f"PA{sid_of(chosen[-1])}" if more else ""


def _address(page: int, size: int, token: str = "") -> str:
    args = [(k, v) for k, v in request.args.items(multi=True) if k not in ("Page", "PageSize", "PageToken")]
    args += [("PageSize", str(size)), ("Page", str(page))] + ([("PageToken", token)] if token else [])
    return "?" + urlencode(args)


def page_2010(
    key: str, rows: list[Row], write: Callable[[Row], dict[str, Any]], sid_of: Callable[[Row], str]
) -> dict[str, Any]:
    """A page of the 2010 API: addresses relative to the host."""
    chosen, page, size, token = _window(rows, sid_of)
    here = host_path()
    return {
        key: [write(row) for row in chosen],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(len(chosen) - 1, 0),
        "uri": here + _address(page, size),
        "first_page_uri": here + _address(0, size),
        "next_page_uri": here + _address(page + 1, size, token) if token else None,
        "previous_page_uri": here + _address(page - 1, size) if page else None,
    }


def page_v1(
    key: str, rows: list[Row], write: Callable[[Row], dict[str, Any]], sid_of: Callable[[Row], str]
) -> dict[str, Any]:
    """A page of the newer APIs: whole addresses under `meta`."""
    chosen, page, size, token = _window(rows, sid_of)
    here = request.base_url
    return {
        key: [write(row) for row in chosen],
        "meta": {
            "key": key,
            "page": page,
            "page_size": size,
            "url": here + _address(page, size),
            "first_page_url": here + _address(0, size),
            "next_page_url": here + _address(page + 1, size, token) if token else None,
            "previous_page_url": here + _address(page - 1, size) if page else None,
        },
    }

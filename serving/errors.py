"""Errors as answers: one JSON object with one line, `detail`, that says value, rule and remedy."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from models.errors import UserError

log = logging.getLogger("minutehand.serving")
N_SHOWN = 3
LONGEST_VALUE = 40
FIELDS = "GET /openapi.json lists the fields"


class NotFoundError(UserError):
    """The request names something that does not exist."""


class BusyError(UserError):
    """More requests wait than can be answered soon."""


class Problem(BaseModel):
    """Why a request was refused or could not be answered, and what to do."""

    detail: str


ANSWERS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)}
"""The errors of every route, for the schema."""


def add_errors(app: FastAPI) -> None:
    """Answer every error of an application in one shape."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": one_line(error.errors())}, 422)

    @app.exception_handler(NotFoundError)
    async def unknown(_: Request, error: NotFoundError) -> JSONResponse:
        return JSONResponse({"detail": visible(str(error))}, 404)

    @app.exception_handler(BusyError)
    async def busy(_: Request, error: BusyError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503, {"retry-after": "1"})

    @app.exception_handler(UserError)
    async def refused(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": visible(str(error))}, 422)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        log.exception("a request failed", exc_info=error)
        return JSONResponse({"detail": "internal error; the log of minutehand serve says more"}, 500)


def one_line(errors: Any) -> str:
    """What is wrong with a request, the first few things."""
    found = list(dict.fromkeys(map(_sentence, errors)))
    return "; ".join(found[:N_SHOWN]) + (f"; and {len(found) - N_SHOWN} more" if len(found) > N_SHOWN else "")


def _sentence(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0])
    kind, value = error["type"], error.get("input")
    if kind == "json_invalid":
        return 'the body is not JSON; send an object such as {"user_id": "42"}'
    if kind == "extra_forbidden":
        return f"unknown field {visible(place)}; {FIELDS}"
    if kind == "missing":
        return f"{place} is missing; {FIELDS}"
    rule = error["msg"].removeprefix("Input ").removeprefix("Value error, ").removeprefix("String ")
    return f"{visible(place)} is {shortened(value)}: {visible(rule[:1].lower() + rule[1:])}"


def shortened(value: Any) -> str:
    """A value as JSON, cut to a few characters."""
    text = visible(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def visible(text: str) -> str:
    """The text in one line, without control characters and halves of surrogate pairs."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)

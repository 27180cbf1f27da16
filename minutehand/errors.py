"""What the client raises. The message is the server's own sentence, which says what was wrong and what to do."""

from __future__ import annotations


class ApiError(Exception):
    """A request got no good answer. status: the HTTP status; None if there was no answer at all."""

    status: int | None = None


class UnreachableError(ApiError):
    """No answer: the server is not there, does not answer in time, or broke off."""


class RequestError(ApiError):
    """The server refused the request (4xx): an unknown key, a role that is missing, a wrong field, too many requests."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (HTTP {status})")
        self.status, self.detail = status, detail


class ServerError(RequestError):
    """The server cannot answer now (5xx), such as with a full disk. What it has acknowledged before is safe."""

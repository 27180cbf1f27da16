"""Errors of the registry, in a module without MLflow, which takes seconds to import."""

from __future__ import annotations

from models.errors import UserError


class RegistryError(UserError):
    """The registry cannot be used; the message says what to do."""


class DamagedError(RegistryError):
    """The files of a version differ from the registered ones: truncated, missing or changed. The version must not make lists."""

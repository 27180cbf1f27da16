"""The error of the registry, apart from MLflow, which takes seconds to import."""

from __future__ import annotations

from models.errors import UserError


class RegistryError(UserError):
    """The registry cannot be used; the message says what to do."""


class DamagedError(RegistryError):
    """The files of a version are not those that were registered: cut, missing or altered. It must not make lists."""

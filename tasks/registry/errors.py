"""The error of the registry, apart from MLflow, which takes seconds to import."""

from __future__ import annotations

from models.errors import UserError


class RegistryError(UserError):
    """The registry cannot be used; the message says what to do."""

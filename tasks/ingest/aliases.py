"""Which ids are the same person: the rules of merging one id into another."""

from __future__ import annotations

from collections.abc import Iterable

from models.errors import UserError


class MergeError(UserError):
    """The two ids cannot be merged."""


class Aliases:
    """The user of each alias. A user is never an alias: chains are resolved when a merge is added."""

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        """known: pairs of alias and user, as in raw.user_aliases."""
        self.user_of: dict[str, str] = {}
        self._aliases_of: dict[str, list[str]] = {}
        for alias, user_id in known:
            self.add(alias, user_id)

    def __len__(self) -> int:
        return len(self.user_of)

    def resolve(self, user_id: str) -> str:
        """The user that an id stands for; an id that is no alias stands for itself."""
        return self.user_of.get(user_id, user_id)

    def ids_of(self, user_id: str) -> list[str]:
        """All ids of the person: the user, then their aliases in the order of the merges."""
        user = self.resolve(user_id)
        return [user, *self._aliases_of.get(user, ())]

    def target(self, alias: str, user_id: str) -> str | None:
        """The user into whom a merge of the alias would lead; None if the alias is merged into this user already.

        Raises MergeError if both are the same, or if the alias belongs to somebody else.
        """
        user = self.resolve(user_id)
        if alias == user_id:
            raise MergeError(f"{alias!r} cannot be merged into itself; name two different ids")
        if alias == user:
            raise MergeError(f"{user_id!r} is already merged into {alias!r}, so {alias!r} cannot be merged into it; leave it as it is")
        before = self.user_of.get(alias)
        if before is not None and before != user:
            raise MergeError(f"{alias!r} is already merged into {before!r}; merge {before!r} into {user!r} if all are one person")
        return None if before == user else user

    def add(self, alias: str, user_id: str) -> list[str]:
        """Merge an alias into a user; returns the ids that now stand for this user: the alias and its own aliases."""
        moved = [alias, *self._aliases_of.pop(alias, ())]
        self.user_of |= dict.fromkeys(moved, user_id)
        self._aliases_of.setdefault(user_id, []).extend(moved)
        return moved

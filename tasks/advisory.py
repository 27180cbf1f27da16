"""Locks of a lake on PostgreSQL, for all machines that share it: advisory locks of the catalog's database.

Each lock has a connection of its own, and PostgreSQL releases it when that connection ends: with its block, with its process, or with its
machine. A small table of the database says who holds a lock since when, and whether the holder before finished.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UserError, without_secrets

if TYPE_CHECKING:
    import psycopg

SPACE = 1_835_953_773
"""The first half of the keys of all locks of minutehand in a database."""
KEYS = {"signing": 0, "writer": 1, "publisher": 2, "night": 3, "arrivals": 4}
"""The second half."""
SESSION = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "idle_session_timeout": "0"}
"""Settings of a session that holds a lock: the server ends it half a minute after its machine is gone, and never because it is idle."""
CLIENT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""The same for the client: a check of a lock whose server is gone ends, too."""


class LostError(UserError):
    """The connection of a held lock has ended, so another process may hold the lock now; the block must not commit."""


class UnreachableError(UserError):
    """The database of the locks cannot be reached, or does not do what a lock needs."""


class HeldError(Exception):
    """Another process holds the lock. holder: who, and since when; empty if it is not known."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@dataclass(frozen=True)
class Hold:
    """A held lock. was_finished: whether the holder before has signed off."""

    name: str
    shown: str
    con: psycopg.Connection
    was_finished: bool = True

    def check(self) -> None:
        """Raises LostError if the lock is not held any more."""
        import psycopg

        held = "select 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and classid = %s and objid = %s and granted"
        try:
            found = self.con.execute(held, (SPACE, KEYS[self.name])).fetchone()
        except psycopg.Error as error:
            raise LostError(f"{self._lost} ({_reason(error)}); nothing was committed, run this again") from error
        if found is None:
            raise LostError(
                f"{self._lost}: its session was exchanged, as a pooler such as PgBouncer does; nothing was committed; "
                "let MINUTEHAND_LAKE__CATALOG name PostgreSQL itself, or a pool in session mode"
            )

    def sign(self) -> None:
        """Write down who holds the lock, until sign_off."""
        import psycopg

        try:
            self.con.execute(
                "insert into public.minutehand_locks values (%s, %s, now()) "
                "on conflict (name) do update set holder = excluded.holder, since = excluded.since",
                (self.name, _own_name()),
            )
        except psycopg.Error as error:
            raise LostError(f"{self._lost} ({_reason(error)}); nothing was changed, run this again") from error

    def sign_off(self) -> None:
        """Take the signature away, as the holder has finished. If the connection is lost, it stays, and the next holder repairs."""
        import psycopg

        with suppress(psycopg.Error):
            self.con.execute("delete from public.minutehand_locks where name = %s", (self.name,))

    @property
    def _lost(self) -> str:
        return f"the {self.name}'s lock of {self.shown} was lost"


_held: dict[str, list[Hold]] = {}
_changing = threading.Lock()


def demand_held(catalog: str) -> None:
    """Raises LostError if a lock that this process holds in a catalog was lost. To be called right before a commit."""
    for hold in list(_held.get(catalog, ())):
        hold.check()


@contextmanager
def hold(catalog: str, name: str, wait_s: float) -> Iterator[Hold]:
    """Hold a lock, one of KEYS, for the duration of the block. Raises HeldError if it is not free within wait_s."""
    con = _connect(catalog, name)
    try:
        if not _take(con, name, wait_s):
            raise HeldError(_holder(con, name))
        mine = Hold(name, without_secrets(catalog), con, not _is_signed(con, name))
        with _changing:
            _held.setdefault(catalog, []).append(mine)
        try:
            yield mine
        finally:
            with _changing:
                _held[catalog].remove(mine)
    finally:
        con.close()


def is_signed(catalog: str, name: str) -> bool:
    """Whether the holder of a lock has signed."""
    con = _connect(catalog, name)
    try:
        row = _holders(con, name)
        return row is not None and row[1] is not None
    finally:
        con.close()


def address(catalog: str) -> str:
    """The address of a catalog's database, for psycopg."""
    return catalog.partition(":")[2] if catalog.startswith("postgres:") else catalog


def _connect(catalog: str, name: str) -> psycopg.Connection:
    try:
        import psycopg
    except ImportError as error:
        raise UnreachableError(
            "the locks of a lake on PostgreSQL need the package psycopg; install it: pip install 'minutehand[postgres]'"
        ) from error
    try:
        con = psycopg.connect(address(catalog), autocommit=True, application_name=f"minutehand {name}: {_own_name()}"[:63], **CLIENT)
        con.execute("select set_config(name, %s::jsonb ->> name, false) from pg_settings where name = any(%s)", _settings())
        with con.transaction():
            con.execute("select pg_advisory_xact_lock(%s, %s)", (SPACE, KEYS["signing"]))
            if con.execute("select to_regclass('public.minutehand_locks')").fetchone() == (None,):
                con.execute(
                    "create table public.minutehand_locks (name text primary key, holder text not null, since timestamptz not null)"
                )
    except psycopg.Error as error:
        shown = without_secrets(catalog)
        raise UnreachableError(
            f"cannot take the {name}'s lock of {shown}: {_reason(error)}; `minutehand doctor` looks for the cause"
        ) from None
    return con


def _settings() -> tuple[str, list[str]]:
    return json.dumps(SESSION), list(SESSION)


def _take(con: psycopg.Connection, name: str, wait_s: float) -> bool:
    """Whether the lock is held now. Waiting sessions get it in the order in which they came."""
    import psycopg

    key = (SPACE, KEYS[name])
    try:
        if con.execute("select pg_try_advisory_lock(%s, %s)", key).fetchone() == (True,):
            return True
        if wait_s <= 0:
            return False
        con.execute("select set_config('lock_timeout', %s, false)", (f"{max(wait_s, 0.001) * 1000:.0f}",))
        con.execute("select pg_advisory_lock(%s, %s)", key)
    except psycopg.errors.LockNotAvailable:
        return False
    except psycopg.Error as error:
        raise UnreachableError(f"the wait for the {name}'s lock was cut off: {_reason(error)}; run this again") from error
    return True


def _is_signed(con: psycopg.Connection, name: str) -> bool:
    return con.execute("select 1 from public.minutehand_locks where name = %s", (name,)).fetchone() is not None


def _holders(con: psycopg.Connection, name: str) -> tuple[str, str | None, str] | None:
    """The name of the connection that holds a lock, the time of its signature, and the time of its connection; None if nobody holds it.

    A signature of a killed holder is not that of the next one.
    """
    asked = """
        select
            held.application_name,
            to_char(signed.since at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            to_char(held.backend_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        from pg_locks as locks
        inner join pg_stat_activity as held using (pid)
        left join public.minutehand_locks as signed
            on signed.name = %(name)s and left('minutehand ' || signed.name || ': ' || signed.holder, 63) = held.application_name
        where locks.locktype = 'advisory' and locks.granted and locks.classid = %(space)s and locks.objid = %(key)s
            and locks.database = (select oid from pg_database where datname = current_database())
    """
    row = con.execute(asked, {"name": name, "space": SPACE, "key": KEYS[name]}).fetchone()
    return None if row is None else (str(row[0]), row[1], str(row[2]))


def _holder(con: psycopg.Connection, name: str) -> str:
    """Who holds the lock, and since when."""
    row = _holders(con, name)
    if row is None:
        return ""
    who = row[0].partition(": ")[2] or "another session"
    return f" ({who}, since {row[1]})" if row[1] else f" ({who}, connected since {row[2]})"


def _own_name() -> str:
    return f"process {os.getpid()} on {socket.gethostname()[:32]}"


def _reason(error: Exception) -> str:
    return without_secrets(" ".join(str(error).split()))

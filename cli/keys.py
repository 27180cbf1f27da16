"""`minutehand keys`: who may ask the API."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Command
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from serving.keys import Keys

app = typer.Typer(no_args_is_help=True, help="Keys of the API: add, list and revoke them. A running server notices at once.")


class Role(StrEnum):
    """What a key is for."""

    EVENTS = "events"
    READ = "read"
    ADMIN = "admin"


@app.command(cls=Command)
def add(
    roles: Annotated[list[Role], typer.Argument(help="events: post events, nothing else; read: lists and answers; admin: everything")],
    name: Annotated[str, typer.Option(help="What the key is for, such as shop-page", show_default=False)] = "",
) -> None:
    """Make a key and print it once; the home keeps only its hash."""
    secret, key = _keys().add([role.value for role in roles], name)
    say(f"key {key.id} with {', '.join(key.roles)}; it is shown only now:", err=True)
    say(secret)


@app.command("list", cls=Command)
def list_keys(as_json: AsJson = False) -> None:
    """Show the keys without their secret part."""
    rows = [
        {"id": key.id, "name": key.name, "roles": " ".join(key.roles), "created_at": f"{key.created_at:%Y-%m-%d %H:%M:%S}"}
        for key in _keys().all() or ()
    ]
    if as_json:
        say_json(rows)
    elif rows:
        show(rows, as_json=False)
    else:
        say("no keys; `minutehand keys add read` makes one")


@app.command(cls=Command)
def revoke(which: Annotated[str, typer.Argument(help="Id or name of the key")]) -> None:
    """Delete a key; requests with it are refused at once."""
    keys = _keys()
    gone = keys.revoke(which)
    say(f"key {gone.id} is revoked", err=True)
    if not keys.all():
        say(
            f"no key is left, so the API refuses every request; add one, or delete {keys.file} to answer this machine without keys",
            err=True,
        )


def _keys() -> Keys:
    from serving.keys import Keys
    from settings import load

    settings = load()
    return Keys(settings.home, settings.home_access)

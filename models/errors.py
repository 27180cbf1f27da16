"""The one exception whose message is meant for the user, and what no message may tell."""

import re
from traceback import format_exception
from types import TracebackType

from models.visible import visible

SECRET = re.compile(
    r"""
    (?P<name> (?:password|passwd|passphrase|pwd)     # also sslpassword, PGPASSWORD, MLFLOW_TRACKING_PASSWORD
        (?: ["']\s*:\s* (?=["'])                     # of JSON, and of a dict
          | \s*=\s* ) )
    (?: '' (?= [^\s);:,\]}&"'] )                     # libpq within a literal of SQL, where each quote is doubled
        (?: \\++ (?: '' | . ) | (?!'') [^\\] )*+ (?: '' | \\*$ )
      | (?P<quote>["'])
        (?: \\++ .                                   # an escaped quote, or anything else escaped
          | (?P=quote)(?P=quote)                     # doubled, as SQL has it
          | [^\\] )*?
        (?: (?P=quote) (?= [\s);:,\]}&"'] | $ ) (?!(?P=quote)) | \\*$ )
      | \\+ (?P<escaped>["']) .*? (?: \\+ (?P=escaped) (?= [\s);:,\]}&"'\\] | $ ) | $ )  # all of it in a string of a string
      | (?: \\. | [^\s\\] )+ \\? )
    | (?P<user> ://[^:/@\s]*: ) [^\s]+ (?=@)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""A password of libpq, SQL, a shell, JSON or a URI. Where its end is in doubt, more is taken rather than less."""


class UserError(Exception):
    """Something the user can mend; the message says value, rule and remedy. Never shown as a traceback.

    As a text it can be printed: without passwords, and with control characters spelt out.
    """

    def __str__(self) -> str:
        return visible(without_secrets(super().__str__()))


def error_text(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """Why a process ends, in lines that can be printed: the message alone where the user can mend it, else the traceback."""
    if isinstance(error, UserError):
        return f"error: {error}\n"
    return visible(without_secrets("".join(format_exception(kind, error, trace))))


def without_secrets(text: str) -> str:
    """The text with stars in place of passwords."""
    return SECRET.sub(lambda match: f"{match['name'] or match['user']}***", text)

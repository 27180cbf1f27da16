"""UserError, the exception whose message is meant for the user, and the removal of passwords from messages."""

import re
from traceback import format_exception
from types import TracebackType

from models.visible import visible

SECRET = re.compile(
    r"""
    (?P<name> (?:password|passwd|passphrase|pwd)     # also sslpassword, PGPASSWORD, MLFLOW_TRACKING_PASSWORD
        (?: ["']\s*:\s* (?=["'])                     # JSON or a dict
          | \s*=\s* ) )
    (?: '' (?= [^\s);:,\]}&"'] )                     # libpq within an SQL literal, where each quote is doubled
        (?: \\++ (?: '' | . ) | (?!'') [^\\] )*+ (?: '' | \\*$ )
      | (?P<quote>["'])
        (?: \\++ .                                   # an escaped quote or other escaped character
          | (?P=quote)(?P=quote)                     # doubled, as in SQL
          | [^\\] )*?
        (?: (?P=quote) (?= [\s);:,\]}&"'] | $ ) (?!(?P=quote)) | \\*$ )
      | \\+ (?P<escaped>["']) .*? (?: \\+ (?P=escaped) (?= [\s);:,\]}&"'\\] | $ ) | $ )  # a string nested in a string
      | (?: \\. | [^\s\\] )+ \\? )
    | (?P<user> ://[^:/@\s]*: ) [^\s]+ (?=@)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""A password of libpq, SQL, a shell, JSON or a URI. Where the end is ambiguous, the match is longer rather than shorter."""


class UserError(Exception):
    """An error that the user can repair; the message gives value, rule and remedy. Never shown as a traceback.

    str() is safe to print: it has no passwords, and control characters are escaped.
    """

    def __str__(self) -> str:
        return visible(without_secrets(super().__str__()))


def error_text(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """Printable reason why a process ends: only the message of a UserError, otherwise the traceback."""
    if isinstance(error, UserError):
        return f"error: {error}\n"
    return visible(without_secrets("".join(format_exception(kind, error, trace))))


def without_secrets(text: str) -> str:
    """The text with each password replaced by stars."""
    return SECRET.sub(lambda match: f"{match['name'] or match['user']}***", text)

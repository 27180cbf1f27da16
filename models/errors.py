"""The one exception whose message is meant for the user, and what no message may tell."""

import re

SECRET = re.compile(r"(password\s*=\s*)('[^']*'|\S+)|(://[^:/@\s]*:)[^@\s]+(?=@)", re.IGNORECASE)


class UserError(Exception):
    """Something the user can mend; the message says value, rule and remedy. Never shown as a traceback."""


def without_secrets(text: str) -> str:
    """The text with stars in place of passwords."""
    return SECRET.sub(lambda match: f"{match[1] or match[3]}***", text)

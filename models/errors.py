"""The one exception whose message is meant for the user."""


class UserError(Exception):
    """Something the user can mend; the message says value, rule and remedy. Never shown as a traceback."""

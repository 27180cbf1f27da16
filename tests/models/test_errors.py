"""Messages contain no passwords, in any notation."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import UserError, without_secrets

PRINTABLE = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
PASSWORDS = st.text(PRINTABLE, min_size=1).map(lambda text: f"SECRET{text}TERCES")
"""Recognisable at both ends, so that a test notices if only the middle is starred."""


def libpq(password: str) -> str:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"host=h password='it\'s secret' dbname=d", "host=h password=*** dbname=d"),
        ("password = 'a b'", "password = ***"),
        ("host=h password='it''s secret' dbname=d", "host=h password=*** dbname=d"),
        ("password='it's secret' dbname=d", "password=*** dbname=d"),
        ("password=a\\ b dbname=d", "password=*** dbname=d"),
        ("password='' host=h", "password=*** host=h"),
        ("password='ends\\\\' dbname=d", "password=***"),
        ("password='never ends", "password=***"),
        ("attach 'ducklake:postgres:host=h password=''a b''' as lake", "attach 'ducklake:postgres:host=h password=***' as lake"),
        ("sslpassword=x host=h", "sslpassword=*** host=h"),
        ("PGPASSWORD=x psql", "PGPASSWORD=*** psql"),
        ("PGPASSWORD='a b' psql", "PGPASSWORD=*** psql"),
        ('{"password": "a b", "port": 1}', '{"password": ***, "port": 1}'),
        ("postgresql://u:p%40ss%2Fw@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:p@ss/w@h/d", "postgresql://u:***@h/d"),
        ("postgresql+psycopg2://:p@h/d", "postgresql+psycopg2://:***@h/d"),
        ("postgresql://h/d?user=u&password=p%20w", "postgresql://h/d?user=u&password=***"),
    ],
)
def test_a_password_is_starred_whole(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "host=h dbname=d user=u",
        "postgresql://u@h:5432/d",
        "sqlite:////srv/home/mlflow.db",
        "http://127.0.0.1:5000/#/experiments/1",
        "models:/minutehand@live",
        "user 'x' has no password: ask for one",
    ],
)
def test_text_without_a_password_does_not_change(text: str) -> None:
    assert without_secrets(text) == text


@given(PASSWORDS)
@example("SECRET'''TERCES")
@example("SECRET' dbname='TERCES")
@example(r"SECRET\' \\' TERCES")
def test_no_part_of_a_password_is_left(password: str) -> None:
    conninfo = f"host=h password={libpq(password)} dbname=d"
    assert without_secrets(conninfo) == "host=h password=*** dbname=d"
    spaceless = password.replace("\\", "\\\\").replace(" ", "\\ ")
    in_sql = conninfo.replace("'", "''")
    for text in (
        f"cannot open postgres:{conninfo}: no such host",
        f"host=h password={spaceless} dbname=d",
        f"attach 'ducklake:postgres:{in_sql}' as lake (data_path '/srv')",
        json.dumps({"catalog": conninfo}),
        json.dumps({"password": password}),
        repr(conninfo),
        f"postgresql://u:{quote(password, safe='')}@h/d",
    ):
        shown = without_secrets(text)
        assert "SECRET" not in shown
        assert "TERCES" not in shown


def test_a_long_run_of_quotes_takes_no_time() -> None:
    assert without_secrets("password=" + "'" * 5000 + "\\" * 5000) == "password=***"


def test_the_text_of_an_error_has_no_password_and_no_control_character() -> None:
    assert str(UserError("no \x1b[2Jlake at password='a b'\nbut here")) == "no \\x1b[2Jlake at password=***\nbut here"

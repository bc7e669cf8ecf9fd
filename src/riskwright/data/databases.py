"""What a use case may do to a database: read one table, or run one SELECT, and write nothing.

The text of a SELECT comes from a YAML file, so it is not trusted. SQLite is opened with
``mode=ro``; PostgreSQL, and what else knows such a thing, gets a read-only transaction. Both hold
for one statement only (a second one could end the transaction), hence ``one_select``.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from riskwright.errors import InputRefused, Unavailable

if TYPE_CHECKING:
    import sqlalchemy as sa

# What a query calls a secret: a password, a key, or the signature of an address that is one.
_SECRET = re.compile(
    r"(pass(word|wd|phrase)?|pwd|secret|token|api_?key|access_?key(_?id)?|signature|credentials?"
    r"|authorization|(?<![a-z])(sig|key|auth|sas|jwt|bearer))\s*=",
    re.IGNORECASE,
)
# A value that nobody types: a link that opens for whoever knows it.
_UNGUESSABLE = re.compile(
    r"=(?=[^&;#=]*[a-z])(?=[^&;#=]*\d)[\w%.~+/-]{32,}=*(?=[&;#]|$)", re.IGNORECASE
)
_NOT_CODE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMENT = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*(?:(?!/\*).)*?\*/)", re.DOTALL)
_SELECT = re.compile(r"[\s(]*(select|with)\b", re.IGNORECASE)
# What may end a text earlier in one database than in another, and so hide a second statement.
_HIDING = re.compile(r"[\\$`#\[]|--|/\*")


def one_select(table: str) -> str | None:
    """Return the SELECT that ``source.table`` holds, None if it names a table.

    Comments and brackets before it are part of it.

    Raises
    ------
    InputRefused
        If there is a second statement, or one could be hidden.
    """
    written = table
    while found := _COMMENT.match(table):
        table = table[found.end() :]
    # The same with texts and names crossed out, and comments blanked.
    code = _NOT_CODE.sub(lambda f: ("x" if f[0][0] in "'\"" else " ") * len(f[0]), table)
    if _SELECT.match(code) is None:
        return None
    # Cut what ends it; a comment after that goes too.
    end = len(code.rstrip("; \t\r\n"))
    if not code[end:].strip():
        end = len(table)
    query, code = table[:end], code[:end]
    if ";" in code or (";" in query and _HIDING.search(query)):
        raise InputRefused(
            "the query holds more than one statement",
            where=f"source.table: {written[:80]}",
            expected="one SELECT; a ';' in a text goes with no comment and no escape",
            do="leave one SELECT",
        )
    return _unwrapped(query, code)


def _unwrapped(query: str, code: str) -> str:
    """Take the brackets around a whole query away: SQLite doesn't know them."""
    start, end = 0, len(code)
    while True:
        inner = code[start:end]
        start += len(inner) - len(inner.lstrip())
        end -= len(inner) - len(inner.rstrip())
        if not code[start:end].startswith("(") or _closing(code[start:end]) != end - start - 1:
            return query if start == 0 or code[start - 1] != "(" else query[start:end]
        start, end = start + 1, end - 1


def _closing(code: str) -> int:
    """Return where the bracket that opens a text is closed, -1 if nowhere."""
    depth = 0
    for place, sign in enumerate(code):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            return place
    return -1


def refuse_secrets(location: str) -> None:
    """Refuse a web address or a database's URL that holds a password, a key or a signature.

    Addresses are kept with each run, in several places, so none of them may be a secret. One in the
    path of a web address can't be known for one.

    Raises
    ------
    InputRefused
        Without the secret.
    """
    head, query = re.split(r"[?#]|$", location, maxsplit=1)
    web = location.lower().startswith(("http://", "https://"))
    try:
        parts = urlsplit(location)
        user, _, host = parts.netloc.rpartition("@")
        # Who signs in to a web server by a name alone signs in by a token.
        named = bool(user) if web else parts.password is not None
        bare = f"{parts.scheme}://{host}{parts.path}"
    except ValueError:
        named, bare = "@" in head, head.partition("://")[0] + "://…"
    query = unquote(query)
    if not named and not _SECRET.search(query) and not (web and _UNGUESSABLE.search(query)):
        return
    raise InputRefused(
        "the web address holds a password, a key or a signature"
        if web
        else "the database URL holds a password",
        where=bare,
        expected="an address without one: it is kept with each run and each bundle",
        do="get the file yourself, and name its path"
        if web
        else "put the password into PGPASSWORD or the file ~/.pgpass",
    )


def without_query(location: str) -> str:
    """Return an address as it may be shown: what stands after ``?`` is nobody's business."""
    head, mark, _ = location.partition("?")
    return head + "?…" * bool(mark)


def outage(error: Exception) -> bool:
    """Whether a database failed for a while, rather than that it was asked for the wrong thing."""
    from sqlalchemy.exc import DBAPIError, OperationalError

    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError):
        return False
    # SQLite calls a table that isn't there operational, too.
    code = getattr(error.orig, "sqlite_errorcode", None)
    lasting = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY)
    return code is None or code & 0xFF not in lasting


def unreachable(error: Exception, url: sa.URL) -> Unavailable:
    """Return the error for a database that can't be reached now; it is no fault of the input."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return Unavailable(
        f"the database can't be reached: {reason}",
        where=without_query(url.render_as_string(hide_password=True)),
        expected="a server that answers, and lets this user in",
        do="see that it is up, then run the same again",
    )


@contextmanager
def reading(url: sa.URL) -> Iterator[sa.Connection]:
    """Give a connection that can't write.

    Raises
    ------
    Unavailable
        If the database can't be reached.
    sqlalchemy.exc.SQLAlchemyError, ImportError
        If it knows no read-only transaction, or there is no driver for it.
    """
    import sqlalchemy as sa

    options: dict[str, Any] = {"stream_results": True, "no_parameters": True}
    backend = url.get_backend_name()
    if backend == "sqlite":
        place = Path(url.database or "").absolute().as_uri() + "?mode=ro"
        engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(place, uri=True))
    else:
        wait = {"connect_timeout": 10} if url.drivername.endswith("psycopg2") else {}
        engine = sa.create_engine(url, connect_args=wait)
    if backend == "postgresql":
        options["postgresql_readonly"] = True
    try:
        connected = engine.connect()
    except sa.exc.OperationalError as error:
        engine.dispose()
        raise unreachable(error, url) from None
    try:
        with connected.execution_options(**options) as connection:
            if backend not in ("sqlite", "postgresql"):
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection
    finally:
        engine.dispose()

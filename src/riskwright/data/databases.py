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
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from riskwright.errors import InputRefused, Unavailable

if TYPE_CHECKING:
    import sqlalchemy as sa

# Parameters that are a secret: a password, a key, a token, or the signature of an address that is
# one. Whole names, in lower case and without - and _ (`sort_key` and `page_token` are none).
_NAMES = (
    "password passwd passphrase passwort pass pwd secret clientsecret secretkey secretaccesskey "
    "token accesstoken authtoken bearertoken sastoken sessiontoken securitytoken idtoken jwt "
    "refreshtoken oauthtoken privatetoken jobtoken personalaccesstoken downloadtoken bearer "
    "apikey apitoken appkey accesskey accesskeyid awsaccesskeyid googleaccessid keypairid "
    "subscriptionkey ocpapimsubscriptionkey functionkey xfunctionskey privatekey sharekey authkey "
    "rlkey resourcekey tempauth code sig signature sas hmac auth authorization credential "
    "credentials"
)
_SECRETS = frozenset(_NAMES.split())
_SIGNED = ("xamz", "xgoog")  # how Amazon's and Google's parameters begin
_SECRETS_OF_DATABASES = frozenset(("sslpassword", "passfile", "authenticationtoken"))
# A value that nobody types: a link that opens for whoever knows it. ``key`` may name a column.
_UNGUESSABLE, _KEY = (
    re.compile(rf"(?=.*[a-z])(?=.*\d)[\w.~+-]{{{length},}}", re.IGNORECASE) for length in (32, 16)
)
# What is as long and open: a UUID (catalogues number their files so), words with numbers between
# them, and the name of a file; a path has a /.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WORDS = re.compile(r"([a-z]{1,15}|\d{1,15})([-_.+~]([a-z]{1,15}|\d{1,15}))+", re.IGNORECASE)
_FILE = re.compile(r".*\.[a-z][a-z0-9]{1,7}", re.IGNORECASE)


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
    if not named and not _secret_in(unquote(query), web):
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


def _secret_in(query: str, web: bool) -> bool:
    """Whether a parameter is a secret by its name; of a web address, by its value too."""
    secrets = _SECRETS if web else _SECRETS | _SECRETS_OF_DATABASES
    for part in re.split(r"[?&;#]", query):  # of an address within the address, too
        words = [word.strip() for word in part.split("=")]
        for name, value in pairwise(words):
            plain = re.sub(r"[-_]", "", name.lower())
            if plain in secrets or plain.startswith(_SIGNED):
                return True
            open_ = _UUID.fullmatch(value) or _WORDS.fullmatch(value) or _FILE.fullmatch(value)
            if plain == "key" and _KEY.fullmatch(value):
                return True
            if web and _UNGUESSABLE.fullmatch(value) and not open_:
                return True
    return False


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

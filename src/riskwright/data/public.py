"""Public data sets by name: publisher, licence, checksum; from a mirror or the publisher."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from riskwright.data.databases import refuse_secrets, without_query
from riskwright.errors import InputRefused, IntegrityError, Unavailable, closest
from riskwright.home import Home
from riskwright.store.writer import replacing

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """One public data set and the file of it that our use cases read.

    ``path`` is the file's path in a mirror; ``url`` is the publisher's download if it leads to that
    very file (inside the zip member ``member``), else empty and ``note`` says why.
    """

    title: str
    page: str
    licence: str
    path: str
    sha256: str
    bytes: int
    usecase: str
    url: str = ""
    member: str = ""
    note: str = ""

    @property
    def file(self) -> str:
        """Name of the file."""
        return Path(self.path).name

    @property
    def comes_from(self) -> str:
        """Where ``fetch`` can bring it from."""
        return "its publisher, or a mirror" if self.url else f"a mirror alone: {self.note}"


CATALOGUE: dict[str, Dataset] = {
    "taiwan-card-default": Dataset(
        title="Default of credit card clients, Taiwan (Yeh and Lien 2009)",
        page="https://archive.ics.uci.edu/dataset/350/default+of+credit+card+clients",
        licence="CC BY 4.0 by UCI's listing (not verified by us)",
        path="taiwan_credit_card/UCI_Credit_Card.csv",
        sha256="f7b7d22d1f8dd27dadb25d4b78d8a4ae7c441ab6cc12d1ea58c0efc54d4d1788",
        bytes=2_867_208,
        usecase="credit_assessment",
        note="the publisher serves an Excel workbook; the CSV form comes from a mirror",
    ),
    "statlog-german-credit": Dataset(
        title="Statlog German credit (Hofmann 1994)",
        page="https://archive.ics.uci.edu/dataset/144/statlog+german+credit+data",
        licence="CC BY 4.0 by UCI's listing (not verified by us)",
        path="german_credit/german.data",
        sha256="b21f3d81db8071257d5ff1deaeba1fd4303b62712e6fcc9715c7a86202cb5871",
        bytes=79_793,
        usecase="german_credit",
        url="https://archive.ics.uci.edu/static/public/144/statlog+german+credit+data.zip",
        member="german.data",
    ),
    "polish-bankruptcy-1year": Dataset(
        title="Polish companies bankruptcy, first of five horizons (Zieba et al. 2016)",
        page="https://archive.ics.uci.edu/dataset/365/polish+companies+bankruptcy+data",
        licence="CC BY 4.0 by UCI's listing (not verified by us)",
        path="polish_bankruptcy/1year.arff",
        sha256="978ce71a4809e964dda43d46a368c27a1a36df1e0b6345f215473ec9c3b12add",
        bytes=3_432_892,
        usecase="company_credit",
        url="https://archive.ics.uci.edu/static/public/365/polish+companies+bankruptcy+data.zip",
        member="1year.arff",
    ),
    "give-me-some-credit": Dataset(
        title="Give Me Some Credit, training file (Kaggle competition 2011)",
        page="https://www.kaggle.com/c/GiveMeSomeCredit",
        licence="none stated; the terms of the competition apply",
        path="give_me_some_credit/cs-training.csv.gz",
        sha256="af451a1ef057cba625581c4be556cde51043f605b6334988b86149cd4d6e8288",
        bytes=2_705_591,
        usecase="give_me_some_credit",
        note="the publisher asks for a sign-in, so there is no public address",
    ),
}


def fetch(name: str, home: Home) -> Path:
    """Return the file of a public data set, from the home's cache, the mirror or its publisher.

    The mirror is ``RISKWRIGHT_DATA``: a folder or base URL with the catalogue's paths. Where one is
    set, the publisher is never asked.

    Raises
    ------
    InputRefused
        If no data set has that name.
    Unavailable
        If it can't be reached; the message names the mirror variable.
    IntegrityError
        If what came is not the file of the catalogue. Nothing is kept.
    """
    if name not in CATALOGUE:
        raise InputRefused(
            f"no public data set is called {name!r}",
            expected=", ".join(CATALOGUE),
            do=closest(name, CATALOGUE) or "run 'riskwright data list'",
        )
    entry = CATALOGUE[name]
    target = home.root / "datasets" / name / entry.file
    if target.is_file() and _digest(target) == entry.sha256:
        return target
    mirror = home.data_mirror
    if mirror is None and not entry.url:
        raise Unavailable(
            f"{name} can't be downloaded: {entry.note}",
            where=entry.page,
            do=f"get the file there, put it at {entry.path} in a folder, and set RISKWRIGHT_DATA "
            "to that folder (or give the file with --data)",
        )
    home.create()
    target.parent.mkdir(parents=True, exist_ok=True)
    if mirror is None:
        return _from_publisher(entry, target)
    if mirror.lower().startswith(("http://", "https://")):
        url = f"{mirror.rstrip('/')}/{quote(entry.path)}"
        return download(url, target, sha256=entry.sha256, size=entry.bytes)
    return _from_folder(entry, Path(mirror).expanduser() / entry.path, target)


def _from_folder(entry: Dataset, found: Path, target: Path) -> Path:
    if not found.is_file():
        raise Unavailable(
            "the mirror doesn't hold the file",
            where=str(found),
            expected="a folder or base URL in RISKWRIGHT_DATA with the catalogue's paths",
            do="put the file there, or unset RISKWRIGHT_DATA to ask the publisher",
        )
    with replacing(target) as part:
        shutil.copyfile(found, part)
        _check(part, entry.sha256, str(found))
    return target


def _from_publisher(entry: Dataset, target: Path) -> Path:
    archive = target.with_name("publisher.zip")
    try:
        download(entry.url, archive)
        with replacing(target) as part:
            try:
                with (
                    zipfile.ZipFile(archive) as opened,
                    opened.open(entry.member) as member,
                    part.open("wb") as out,
                ):
                    shutil.copyfileobj(member, out)
            except (zipfile.BadZipFile, KeyError) as error:
                raise IntegrityError(
                    f"the publisher's archive can't be used: {error}",
                    where=entry.url,
                    expected=f"a zip file that holds {entry.member}",
                    do="try again later, or set RISKWRIGHT_DATA to a mirror",
                ) from None
            _check(part, entry.sha256, entry.url)
    finally:
        archive.unlink(missing_ok=True)
    return target


def download(
    url: str, target: Path, *, sha256: str | None = None, size: int = 0, timeout: float = 30.0
) -> Path:
    """Download a file whole or not at all.

    Parameters
    ----------
    url, target
        Web address, and the path to write (through a temporary file beside it).
    sha256, size
        Expected digest and number of bytes; not checked if left out (or 0).
    timeout
        Seconds without a byte before giving up.

    Raises
    ------
    Unavailable
        If the server can't be reached, answers with an error, or breaks off.
    IntegrityError
        If the digest differs.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InputRefused("not a web address", where=url, expected="http:// or https://")
    refuse_secrets(url)
    shown = without_query(url)
    do = "check the network, or set RISKWRIGHT_DATA to a mirror folder or base URL"
    with replacing(target) as part:
        try:
            with (
                urllib.request.urlopen(url, timeout=timeout) as answer,  # noqa: S310 (http only)
                part.open("wb") as out,
            ):
                promised = int(answer.headers.get("Content-Length") or 0)
                while block := answer.read(_BLOCK):
                    out.write(block)
        except urllib.error.HTTPError as error:
            error.close()
            raise Unavailable(
                f"the server answers {error.code} {error.reason}", where=shown, do=do
            ) from None
        except ValueError as error:
            raise InputRefused(f"not a web address: {error}", where=shown) from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unavailable(f"no connection: {reason}", where=shown, do=do) from None
        except ConnectionError as error:
            raise Unavailable(f"the connection broke: {error}", where=shown, do=do) from None
        got, expected = part.stat().st_size, size or promised
        if (promised and got != promised) or (expected and got < expected):
            raise Unavailable(
                f"the download broke off: {got:,} of {expected:,} bytes came",
                where=shown,
                do="try again; nothing was kept",
            )
        if sha256 is not None:
            _check(part, sha256, shown)
    return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, sha256: str, where: str) -> None:
    found = _digest(path)
    if found != sha256:
        raise IntegrityError(
            f"the checksum is wrong: SHA-256 {found}",
            where=where,
            expected=f"SHA-256 {sha256}",
            do="get the file again, or from another mirror; nothing was kept",
        )

"""Public data by name, against a real server on the loopback that serves, breaks off and lies."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from riskwright.case.usecase import Source, shipped
from riskwright.data import public
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused, IntegrityError, Unavailable
from riskwright.home import Home

BODY = b"a,b\n1,2\n3,4\n" * 1000


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; a path under ``cut/`` breaks off half-way."""

    files: dict[str, bytes]
    asked: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        cut = self.path.startswith("/cut/")
        body = self.server.files.get(self.path.removeprefix("/cut").removeprefix("/unsized"))
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        if not self.path.startswith("/unsized/"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files = {"/some/data.csv": BODY}
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def address(server: Server, path: str = "") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> public.Dataset:
    """Add a small data set to the catalogue, with no publisher."""
    made = public.Dataset(
        title="Small",
        page="http://127.0.0.1/page",
        licence="none",
        path="some/data.csv",
        sha256=hashlib.sha256(BODY).hexdigest(),
        bytes=len(BODY),
        usecase="small",
        note="there is no public address",
    )
    monkeypatch.setitem(public.CATALOGUE, "small", made)
    return made


def mirrored(monkeypatch: pytest.MonkeyPatch, home: Home, mirror: str) -> Home:
    monkeypatch.setenv("RISKWRIGHT_DATA", mirror)
    return Home(home.root)


def files(home: Home) -> list[str]:
    return [p.name for p in home.root.rglob("*") if p.is_file()] if home.root.exists() else []


def test_catalogue_names_shipped_use_cases_and_whole_checksums() -> None:
    for entry in public.CATALOGUE.values():
        assert entry.usecase in shipped()
        assert len(entry.sha256) == 64
        assert entry.bytes > 0
        assert entry.page.startswith("https://")
        assert bool(entry.url) != bool(entry.note)


def test_catalogue_is_of_the_real_files(
    shared_data: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = mirrored(monkeypatch, home, str(shared_data))
    for name, entry in public.CATALOGUE.items():
        path = public.fetch(name, there)
        assert path.stat().st_size == entry.bytes


def test_real_file_over_http(
    shared_data: Path, home: Home, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    entry = public.CATALOGUE["statlog-german-credit"]
    server.files = {f"/base/{entry.path}": (shared_data / entry.path).read_bytes()}
    there = mirrored(monkeypatch, home, address(server, "/base/"))
    first = public.fetch("statlog-german-credit", there)
    assert first == home.root / "datasets" / "statlog-german-credit" / "german.data"
    assert public.fetch("statlog-german-credit", there) == first
    assert server.asked == 1  # the second came from the home
    first.write_bytes(b"altered")
    public.fetch("statlog-german-credit", there)
    assert server.asked == 2


@pytest.mark.parametrize("path", ["", "/unsized"])
def test_mirror_over_http(
    home: Home, monkeypatch: pytest.MonkeyPatch, server: Server, entry: public.Dataset, path: str
) -> None:
    found = public.fetch("small", mirrored(monkeypatch, home, address(server, path)))
    assert found.read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "body", "error", "what"),
    [
        ("/cut", BODY, Unavailable, f"broke off: {len(BODY) // 2:,} of {len(BODY):,} bytes"),
        ("/unsized", BODY[:-1], Unavailable, "broke off"),
        ("/elsewhere", BODY, Unavailable, "the server answers 404"),
        ("", BODY[:-1] + b"5", IntegrityError, "checksum is wrong"),
        ("", BODY + b"5", IntegrityError, "checksum is wrong"),
    ],
)
def test_broken_downloads_keep_nothing(
    *,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    entry: public.Dataset,
    path: str,
    body: bytes,
    error: type[Exception],
    what: str,
) -> None:
    server.files["/some/data.csv"] = body
    there = mirrored(monkeypatch, home, address(server, path))
    with pytest.raises(error, match=what) as raised:
        public.fetch("small", there)
    assert files(home) == []
    if error is IntegrityError:
        assert hashlib.sha256(body).hexdigest() in str(raised.value)
        assert entry.sha256 in str(raised.value)


def test_nobody_answers(
    home: Home, monkeypatch: pytest.MonkeyPatch, server: Server, entry: public.Dataset
) -> None:
    closed = address(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(Unavailable, match="no connection") as raised:
        public.fetch("small", mirrored(monkeypatch, home, closed))
    assert "RISKWRIGHT_DATA" in raised.value.do
    assert files(home) == []


def test_a_server_that_falls_silent(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(Unavailable, match="no connection: timed out"):
            public.download(url, tmp_path / "x", timeout=0.2)
    assert list(tmp_path.iterdir()) == []


def test_no_public_address_says_so_and_names_the_mirror(home: Home) -> None:
    for name in ("give-me-some-credit", "taiwan-card-default"):
        with pytest.raises(Unavailable, match=f"{name} can't be downloaded") as raised:
            public.fetch(name, home)
        assert "RISKWRIGHT_DATA" in raised.value.do
        assert public.CATALOGUE[name].path in raised.value.do
    assert not home.root.exists()


def test_unknown_name_offers_the_closest(home: Home) -> None:
    with pytest.raises(InputRefused, match="no public data set") as refused:
        public.fetch("german-credit", home)
    assert "statlog-german-credit" in refused.value.do


def test_mirror_folder(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch, entry: public.Dataset
) -> None:
    there = mirrored(monkeypatch, home, str(tmp_path / "mirror"))
    with pytest.raises(Unavailable, match="mirror doesn't hold the file"):
        public.fetch("small", there)
    place = tmp_path / "mirror" / entry.path
    place.parent.mkdir(parents=True)
    place.write_bytes(BODY[:-1])
    with pytest.raises(IntegrityError, match="checksum is wrong"):
        public.fetch("small", there)
    assert files(home) == []
    place.write_bytes(BODY)
    assert public.fetch("small", there).read_bytes() == BODY


def archive(member: str, body: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr(member, body)
    return made.getvalue()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (archive("data.csv", BODY), None),
        (archive("other.csv", BODY), "archive can't be used"),
        (archive("data.csv", BODY[:-1]), "checksum is wrong"),
        (b"no archive", "archive can't be used"),
    ],
)
def test_publishers_archive(
    *,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    entry: public.Dataset,
    body: bytes,
    what: str | None,
) -> None:
    server.files["/all.zip"] = body
    made = replace(entry, url=address(server, "/all.zip"), member="data.csv", note="")
    monkeypatch.setitem(public.CATALOGUE, "small", made)
    if what is None:
        assert public.fetch("small", home).read_bytes() == BODY
        assert files(home) == ["data.csv"]
        return
    with pytest.raises(IntegrityError, match=what):
        public.fetch("small", home)
    assert files(home) == []


def test_a_web_address_is_a_source_too(server: Server) -> None:
    url = address(server, "/some/data.csv?version=2")
    server.files["/some/data.csv?version=2"] = BODY
    frames = list(read_chunks(Source(), url, columns=["a", "b"]))
    assert sum(map(len, frames)) == BODY.count(b"\n") - 1


def test_readme_promises_what_can_be_fetched() -> None:
    """The Taiwan file is published as an Excel workbook, which nothing in the lock reads."""
    told = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    bare = {name for name, entry in public.CATALOGUE.items() if not entry.url}
    assert bare == {"taiwan-card-default", "give-me-some-credit"}
    assert "The Taiwan file comes from a mirror alone" in told
    assert all(public.CATALOGUE[name].comes_from.startswith("a mirror alone: ") for name in bare)
    assert "data fetch taiwan-card-default" not in told

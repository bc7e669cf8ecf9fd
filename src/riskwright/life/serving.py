"""Serve the live version: every file is checked against the ledger before anything is read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from riskwright.errors import InputRefused, IntegrityError, Unavailable
from riskwright.home import Home
from riskwright.ledger import Ledger, Version
from riskwright.life.bundles import open_bundle
from riskwright.life.system import Served
from riskwright.life.tracking import model_folder
from riskwright.store import manifest

BUNDLE = Path("artifacts") / "bundle"
GRACE = 5  # seconds


@contextmanager
def checked_copy(home: Home, version: Version, model: str) -> Iterator[Path]:
    """Give a private copy of a model's folder, each file checked as it was copied.

    Nobody can alter a file between its check and its reading, and files that the ledger doesn't
    name aren't copied.

    Raises
    ------
    IntegrityError
        If a file is altered or missing. Of a version made before the code beside its bundle was
        sealed, the bundle alone is copied: nothing else of it is ever run here.
    """
    ref = version.models[model]
    sealed = version.evidence.get("served", {}).get(model)
    with model_folder(ref, home) as folder, TemporaryDirectory(prefix="riskwright-") as place:
        wanted = sealed
        if wanted is None:
            files = manifest.file_digests(folder / BUNDLE)
            names = [*files, manifest.MANIFEST]
            wanted = {f"{BUNDLE.as_posix()}/{name}": "" for name in names}
        for name, digest in wanted.items():
            copy = Path(place) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                content = (folder / name).read_bytes()
            except OSError as error:
                raise _refused(folder / name, f"is missing ({error.strerror})") from None
            copy.write_bytes(content)
            if digest and manifest.file_digest(copy) != digest:
                raise _refused(folder / name, "was altered")
        try:
            manifest.verify(Path(place) / BUNDLE, ref.digest)
            yield Path(place)
        except IntegrityError as error:  # of the copy, which nobody can look at afterwards
            said = (error.what, error.where, error.expected, error.do)
            what, where, expected, do = (text.replace(place, str(folder)) for text in said)
            raise IntegrityError(what, where=where, expected=expected, do=do) from None


def load_live(
    home: Home, ledger: Ledger, usecase: str, model: str | None = None
) -> tuple[Served, int]:
    """Return a model of the champion after the check, and its version.

    Raises
    ------
    InputRefused
        If nothing is live, or the champion has no such model.
    IntegrityError
        If a file of the model's folder isn't what was registered.
    """
    champion = ledger.champion(usecase)
    if champion is None:
        raise InputRefused(
            f"{usecase} has no champion",
            expected="a version that was promoted",
            do=f"run 'riskwright retrain {usecase}', then 'riskwright challengers {usecase}'",
        )
    chosen = model or next(iter(champion.models))
    if chosen not in champion.models:
        raise InputRefused(
            f"version {champion.version} of {usecase} has no model {chosen!r}",
            where="--model",
            expected=", ".join(champion.models),
        )
    version = ledger.version(usecase, champion.version)
    with checked_copy(home, version, chosen) as folder:
        bundle = open_bundle(folder / BUNDLE, version.models[chosen].digest)
    if bundle.version != champion.version:
        raise IntegrityError(f"the bundle of version {champion.version} says {bundle.version}")
    return bundle, champion.version


def application(bundle: Any, name: str, version: int) -> Any:
    """Return the web application that answers for a bundle: ``/invocations``, ``/ping``.

    A request is JSON with ``dataframe_records`` or ``dataframe_split``, as MLflow's servers take
    it; the answer is ``{"predictions": [...]}``. What can't be scored is refused with status 400
    and the four parts of an error, never with a traceback.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from riskwright.life.requests import MOST_BYTES, answer, read_request

    async def ping(request: Request) -> JSONResponse:
        return JSONResponse({"usecase": name, "version": version})

    async def invocations(request: Request) -> JSONResponse:
        try:
            body = bytearray()
            async for part in request.stream():
                if len(body) <= MOST_BYTES:  # of more the rest is let go: the client is told why
                    body += part
            frame, reasons = await run_in_threadpool(read_request, bytes(body))
            rows = await run_in_threadpool(answer, bundle, frame, reasons)
            return JSONResponse({"predictions": rows})
        except InputRefused as error:
            return JSONResponse(error.as_dict(), status_code=400)
        except Exception as error:  # noqa: BLE001  (a client sees no traceback)
            told = f"something failed that riskwright didn't foresee: {type(error).__name__}"
            return JSONResponse({"error": type(error).__name__, "what": told}, status_code=500)

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/invocations", invocations, methods=["POST"]),
        ]
    )


def serve(bundle: Any, name: str, version: int, port: int) -> None:
    """Answer on loopback until stopped; what is being answered then has ``GRACE`` seconds.

    A request's computation is a thread, which nothing but the end of the process stops.
    """
    import uvicorn

    app = application(bundle, name, version)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=GRACE,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            timer = threading.Timer(GRACE + 1, os._exit, [128 + sig])
            timer.daemon = True
            timer.start()
            super().handle_exit(sig, frame)

    server = Server(config)
    try:
        server.run()
    except SystemExit:
        if server.started:
            raise
        raise Unavailable(
            "the server can't be started",
            where=f"127.0.0.1:{port}",
            do="see whether another process has the port, or choose one with --port",
        ) from None


def _refused(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path.name} {why}: nothing is served",
        where=str(path),
        expected="the file whose SHA-256 the ledger holds",
        do="restore it from a backup, or roll back; 'riskwright verify' lists what was touched",
    )

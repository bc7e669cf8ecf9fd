"""Runs of flows, so that one that died without a word is found and marked crashed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import audit, tables
from riskwright.ledger.leases import Leases, alive, assure
from riskwright.ledger.records import Run
from riskwright.ledger.tables import MACHINE, now, number, stamp, text


class Runs(Leases):
    """The part of the ledger about runs."""

    def start_run(
        self,
        use_case: str,
        kind: str,
        run_key: str,
        owner: str,
        mlflow_run_id: str | None = None,
    ) -> Run:
        """Write down that a run is at work; its key started again is the next attempt.

        The owner must hold a lease while it works (``held``), else it is taken for dead after
        two minutes. The same owner may call again to add the MLflow run.

        Raises
        ------
        Conflict
            If a live owner is running the same key.
        """
        use_case, kind = text("use case", use_case), text("kind", kind)
        run_key, owner = text("run key", run_key), text("owner", owner)
        t = tables.runs
        with self._write() as connection:
            query = select(t).where(
                t.c.use_case == use_case, t.c.kind == kind, t.c.run_key == run_key
            )
            held = connection.execute(query).one_or_none()
            running = held is not None and _is_own(connection, held, owner)
            assure(connection, owner)
            attempt = (held.attempt if held else 0) + (not running)
            mlflow_run_id = mlflow_run_id or (held.mlflow_run_id if held else None)
            event = audit.append(
                connection,
                "run.started",
                actor=owner,
                use_case=use_case,
                payload={
                    "kind": kind,
                    "run_key": run_key,
                    "attempt": attempt,
                    "mlflow_run_id": mlflow_run_id,
                },
            )
            values: dict[str, Any] = {
                "owner": owner,
                "mlflow_run_id": mlflow_run_id,
                "status": "running",
                "attempt": attempt,
                "started": held.started if held is not None and running else event.at,
                "finished": None,
                "detail": "",
            }
            if held is None:
                key = {"use_case": use_case, "kind": kind, "run_key": run_key}
                connection.execute(insert(t).values(**key, **values))
            else:
                connection.execute(update(t).where(t.c.id == held.id).values(**values))
            return Run(**connection.execute(query).mappings().one())

    def finish_run(
        self, id: int, status: Literal["finished", "failed"] = "finished", detail: str = ""
    ) -> Run:
        """Write down how a run ended; the same again changes nothing.

        Raises
        ------
        Conflict
            If it ended otherwise, or was marked crashed because its owner held no lease.
        """
        with self._write() as connection:
            held = _run(connection, id)
            if held.status == status:
                return held
            if held.status != "running":
                raise Conflict(
                    f"run {id} is {held.status} already",
                    where=f"at {held.finished}: {held.detail}",
                    do="hold a lease while a run is at work" if held.status == "crashed" else "",
                )
            return _end(connection, held, status, detail, actor=held.owner)

    def runs(self, use_case: str | None = None, status: str | None = None) -> list[Run]:
        """Return runs, oldest first: all, or those of a use case or a status."""
        t = tables.runs
        query = select(t).order_by(t.c.id)
        if use_case is not None:
            query = query.where(t.c.use_case == use_case)
        if status is not None:
            query = query.where(t.c.status == status)
        with self._read() as connection:
            return [Run(**row) for row in connection.execute(query).mappings()]

    def stale_runs(self, now: datetime | None = None) -> list[Run]:
        """Return the runs that say they are running while their owner holds no lease."""
        with self._read() as connection:
            return _stale(connection, None if now is None else stamp(now))

    def reap(self) -> list[Run]:
        """Mark the stale runs crashed and return them, for the caller to close in MLflow."""
        with self._write() as connection:
            return [
                _end(connection, run, "crashed", f"{run.owner} held no lease", actor=MACHINE)
                for run in _stale(connection, None)
            ]


def _stale(connection: Connection, at: str | None) -> list[Run]:
    t = tables.runs
    query = select(t).where(t.c.status == "running").order_by(t.c.id)
    running = [Run(**row) for row in connection.execute(query).mappings()]
    return [run for run in running if not alive(connection, run.owner, at or now())]


def _end(connection: Connection, run: Run, status: str, detail: str, *, actor: str) -> Run:
    t = tables.runs
    event = audit.append(
        connection,
        f"run.{status}",
        actor=actor,
        use_case=run.use_case,
        payload={"run": run.id, "run_key": run.run_key, "detail": detail},
    )
    connection.execute(
        update(t).where(t.c.id == run.id).values(status=status, finished=event.at, detail=detail)
    )
    return _run(connection, run.id)


def _run(connection: Connection, id: int) -> Run:
    t, id = tables.runs, number("run", id)
    row = connection.execute(select(t).where(t.c.id == id)).mappings().one_or_none()
    if row is None:
        raise InputRefused(f"there is no run {id}")
    return Run(**row)


def _is_own(connection: Connection, held: Row[Any], owner: str) -> bool:
    """Whether a run is still running, by this owner; by another one that lives it can't start."""
    if held.status != "running" or held.owner == owner:
        return bool(held.status == "running")
    if alive(connection, held.owner, now()):
        raise Conflict(
            f"the same {held.kind} of {held.use_case} is running",
            where=f"since {held.started}, by {held.owner}",
            do="wait until it ends",
        )
    return False

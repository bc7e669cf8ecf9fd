"""Versions, their models and gates, and the readings of test snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from riskwright.account import Account
from riskwright.errors import Conflict, InputRefused
from riskwright.ledger import audit, tables
from riskwright.ledger.eyes import acting
from riskwright.ledger.records import Gate, ModelRef, Reading, Status, Version
from riskwright.ledger.requests import claimed_in
from riskwright.ledger.store import Store
from riskwright.ledger.tables import MACHINE, canonical, number, plain, text

ADDED = ("trainer", "asked")  # to the evidence, by the ledger itself


class Versions(Store):
    """The part of the ledger about versions."""

    def reserve_version(self, use_case: str, run_key: str) -> int:
        """Return the version number of a run: the next one, or the one it has already."""
        use_case, run_key = text("use case", use_case), text("run key", run_key)
        t = tables.versions
        with self._write() as connection:
            mine = select(t.c.version).where(t.c.use_case == use_case, t.c.run_key == run_key)
            if (known := connection.execute(mine).scalar_one_or_none()) is not None:
                return int(known)
            last = select(func.max(t.c.version)).where(t.c.use_case == use_case)
            version = int(connection.execute(last).scalar_one() or 0) + 1
            event = audit.append(
                connection,
                "version.reserved",
                actor=MACHINE,
                use_case=use_case,
                payload={"version": version, "run_key": run_key},
            )
            connection.execute(
                insert(t).values(
                    use_case=use_case,
                    version=version,
                    status="reserved",
                    run_key=run_key,
                    models={},
                    evidence={},
                    at=event.at,
                )
            )
            return version

    def register(
        self,
        use_case: str,
        version: int,
        *,
        models: Mapping[str, ModelRef],
        actor: str | Account,
        run_id: str,
        evidence: Mapping[str, Any],
    ) -> None:
        """Make a reserved version a challenger; the same content again changes nothing.

        Parameters
        ----------
        models
            Model name of the use case to where its bundle is.
        actor
            Who trained it, and so may not approve it.
        evidence
            What gates and approvals rest on; ``{"baseline": true}`` marks a fallback. ``approval``
            and ``alert_policy`` are the use case's policies, ``author`` who owned its file. The
            ledger adds ``trainer`` (how the actor is known) and ``asked`` (who made the requests
            that are being served).

        Raises
        ------
        InputRefused
            If the version was never reserved, or there are no models.
        Conflict
            If it is registered with other content, or rejected.
        """
        by, version = acting(actor), number("version", version)
        if not models:
            raise InputRefused(f"version {version} of {use_case} has no models")
        content = {
            "models": self.short({name: asdict(ref) for name, ref in models.items()}),
            "run_id": text("run id", run_id),
            "evidence": self.short(plain(evidence)),
        }
        with self._write() as connection:
            if self._is_registered(find_version(connection, use_case, version), content):
                return
            content["evidence"] |= _people(connection, use_case, by)
            event = audit.append(
                connection,
                "version.registered",
                actor=by,
                use_case=use_case,
                payload={"version": version, **content},
            )
            set_version(
                connection,
                use_case,
                version,
                status="challenger",
                trained_by=by.name,
                at=event.at,
                **content,
            )

    def _is_registered(self, held: Row[Any], content: Mapping[str, Any]) -> bool:
        """Whether a version is registered with this content; with other content it can't be."""
        if held.status == "reserved":
            return False
        if held.trained_by is not None and self._same(held, content):
            return True
        raise Conflict(
            f"version {held.version} of {held.use_case} is {held.status} with other content",
            expected="a version is registered once",
            do="reserve a new version",
        )

    def _same(self, held: Row[Any], content: Mapping[str, Any]) -> bool:
        """Whether a version holds this content, wherever the home was when it was written.

        What a later riskwright adds to the evidence, and the ledger itself, isn't compared.
        """
        known = [k for k in held.evidence if k in content["evidence"] and k not in ADDED]

        def told(models: Any, run_id: Any, evidence: Any) -> str:
            said = {"models": models, "run_id": run_id, "evidence": {k: evidence[k] for k in known}}
            return canonical(self.short(self.found(said)))

        return told(held.models, held.run_id, held.evidence) == told(**content)

    def as_version(self, row: Row[Any]) -> Version:
        """Return a row of the table of versions as a record, with paths as they are today."""
        models = {name: ModelRef(**self.found(ref)) for name, ref in row.models.items()}
        told = {**row._mapping, "models": models, "evidence": self.found(row.evidence)}
        return Version(**told)

    def version(self, use_case: str, version: int) -> Version:
        """Return one version.

        Raises
        ------
        InputRefused
            If there is no such version.
        """
        with self._read() as connection:
            return self.as_version(find_version(connection, use_case, version))

    def versions(self, use_case: str, status: Status | None = None) -> list[Version]:
        """Return the versions of a use case in their order, all or those of one status."""
        t = tables.versions
        query = select(t).where(t.c.use_case == use_case).order_by(t.c.version)
        if status is not None:
            query = query.where(t.c.status == status)
        with self._read() as connection:
            return [self.as_version(row) for row in connection.execute(query)]

    def use_cases(self) -> list[str]:
        """Return the names of the use cases that anything was trained of, in their order."""
        with self._read() as connection:
            query = select(tables.versions.c.use_case).distinct().order_by("use_case")
            return list(connection.execute(query).scalars())

    def challengers(self, use_case: str) -> list[Version]:
        """Return what waits for a decision, oldest first; a baseline on standby doesn't wait."""
        waiting = self.versions(use_case, "challenger")
        return [v for v in waiting if not v.evidence.get("standby")]

    def record_gates(self, use_case: str, version: int, gates: Sequence[Gate]) -> None:
        """Write the gates of a version, once; the same ones again change nothing.

        Raises
        ------
        Conflict
            If other gates are recorded already.
        InputRefused
            If there are none, two of a name, or no such version.
        """
        version, names = number("version", version), [g.name for g in gates]
        if not gates or len(set(names)) < len(names):
            raise InputRefused(
                f"the gates of version {version} of {use_case} can't be recorded",
                where=", ".join(names),
                expected="at least one gate, each with its own name",
            )
        content = plain([asdict(g) for g in gates])
        with self._write() as connection:
            find_version(connection, use_case, version)
            known = held_gates(connection, use_case, version)
            if known:
                if canonical([asdict(g) for g in known]) == canonical(content):
                    return
                raise Conflict(
                    f"the gates of version {version} of {use_case} are recorded already",
                    expected="gates are judged once",
                    do="train a new version to be judged anew",
                )
            event = audit.append(
                connection,
                "gates.recorded",
                actor=MACHINE,
                use_case=use_case,
                payload={"version": version, "gates": content},
            )
            connection.execute(
                insert(tables.gates).values(
                    use_case=use_case, version=version, gates=content, at=event.at
                )
            )

    def gates(self, use_case: str, version: int) -> list[Gate]:
        """Return the recorded gates of a version, empty if none are.

        Raises
        ------
        InputRefused
            If the version is no whole number.
        """
        version = number("version", version)
        with self._read() as connection:
            return held_gates(connection, use_case, version)

    def count_reading(self, snapshot_hash: str, use_case: str, purpose: str, run_key: str) -> int:
        """Count a reading of a test snapshot; a resumed run counts once.

        Returns
        -------
        int
            How often this snapshot has been read, this time included.
        """
        t = tables.readings
        key = {
            "snapshot_hash": text("snapshot", snapshot_hash),
            "use_case": text("use case", use_case),
            "purpose": text("purpose", purpose),
            "run_key": text("run key", run_key),
        }
        with self._write() as connection:
            known = select(t).filter_by(**key)
            if connection.execute(known).one_or_none() is None:
                event = audit.append(
                    connection, "test.read", actor=MACHINE, use_case=use_case, payload=key
                )
                connection.execute(insert(t).values(**key, at=event.at))
            times = select(func.count()).where(t.c.snapshot_hash == key["snapshot_hash"])
            return connection.execute(times).scalar_one()

    def readings(self, snapshot_hash: str) -> list[Reading]:
        """Return every reading of a test snapshot, oldest first."""
        t = tables.readings
        query = select(t).where(t.c.snapshot_hash == snapshot_hash).order_by(t.c.at)
        with self._read() as connection:
            return [Reading(**row) for row in connection.execute(query).mappings()]


def _people(connection: Connection, use_case: str, by: Account) -> dict[str, Any]:
    """Who has a part in what is trained now, beside the name of who runs it."""
    found: dict[str, Any] = {} if by.method == "program" else {"trainer": by.record()}
    asked = [
        {"host": "", "uid": None, "method": "program", **(request.by or {}), "name": request.actor}
        for request in claimed_in(connection, use_case)
    ]
    return found | ({"asked": asked} if asked else {})


def set_version(connection: Connection, use_case: str, version: int, **values: Any) -> None:
    """Change the row of a version; the caller writes the event."""
    t = tables.versions
    where = (t.c.use_case == use_case, t.c.version == version)
    connection.execute(update(t).where(*where).values(**values))


def held_gates(connection: Connection, use_case: str, version: int) -> list[Gate]:
    """Return the gates of a version inside a transaction."""
    t = tables.gates
    query = select(t.c.gates).where(t.c.use_case == use_case, t.c.version == version)
    return [Gate(**gate) for gate in connection.execute(query).scalar_one_or_none() or []]


def seek_version(connection: Connection, use_case: str, version: int) -> Row[Any] | None:
    """Return the row of a version, None if there is none."""
    t, version = tables.versions, number("version", version)
    query = select(t).where(t.c.use_case == use_case, t.c.version == version)
    return connection.execute(query).one_or_none()


def find_version(connection: Connection, use_case: str, version: int) -> Row[Any]:
    """Return the row of a version; an unknown one is refused with those that there are."""
    t = tables.versions
    row = seek_version(connection, use_case, version)
    if row is None:
        numbers = connection.execute(
            select(t.c.version).where(t.c.use_case == use_case).order_by(t.c.version)
        ).scalars()
        known = ", ".join(map(str, numbers))
        raise InputRefused(
            f"{use_case} has no version {version}",
            expected=f"one of {known}" if known else "a use case that has versions",
            do=f"run 'riskwright challengers {use_case}' or 'riskwright history {use_case}'",
        )
    return row

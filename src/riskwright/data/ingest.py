"""Ingestion: a source becomes a raw snapshot, a clean snapshot and a quarantine file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import losses, public, sources, splits
from riskwright.data.contract import Contract, target_of
from riskwright.data.outgoing import formulas, write_csv
from riskwright.data.plausible import check_outcomes
from riskwright.data.telltale import leaks_told, telltales
from riskwright.data.train_test import divided, kinship, told, uneven, unused, usable
from riskwright.errors import InputRefused, RiskwrightError
from riskwright.home import Home
from riskwright.store import snapshots, writer
from riskwright.store.snapshots import Snapshot
from riskwright.version import __version__


@dataclass(frozen=True)
class Ingested:
    """What ingestion made: two snapshots, the refused rows (if any), counts and warnings."""

    raw: Snapshot
    clean: Snapshot
    quarantine: Path | None
    report: dict[str, Any]
    warnings: list[str]


def ingest(
    usecase: UseCase,
    location: str | None,
    home: Home,
    *,
    progress: Callable[[int], None] | None = None,
) -> Ingested:
    """Read the training data of a use case, check it and store it.

    A file that was ingested before, with the same use case and the same library, isn't read again:
    its snapshots are verified by hash and returned.

    Parameters
    ----------
    usecase
        The specification.
    location
        Path, web address or SQLAlchemy URL; the use case's own source if None.
    home
        Where snapshots and quarantine go.
    progress
        Called with the number of rows read so far.

    Raises
    ------
    InputRefused
        If the data can't be read, break the contract beyond its limit, or are too few to split.
        Nothing is kept.
    Unavailable
        If a download fails or the disk is full.
    """
    with ExitStack() as stack:
        place = location or usecase.source.location
        if place is None and usecase.source.dataset is not None:
            place = str(public.fetch(usecase.source.dataset, home))
        if place is None:
            return _run(usecase, _simulated(usecase), home, None, progress)
        if not sources.is_file(usecase.source, place):
            return _run(usecase, _chunks(usecase, place), home, None, progress)
        path = stack.enter_context(sources.local_file(place))
        note = home.root / "ingested" / f"{_key(usecase, path, place)}.json"
        known = _known(note, home)
        if known is not None:
            return known
        source = usecase.source.model_copy(
            update={"format": sources.format_of(usecase.source, place)}
        )
        chunks = sources.read_chunks(source, str(path), columns=usecase.columns)
        return _run(usecase, chunks, home, note, progress)


def _chunks(usecase: UseCase, place: str) -> Iterator[pd.DataFrame]:
    return sources.read_chunks(usecase.source, place, columns=usecase.columns)


def _simulated(usecase: UseCase) -> Iterator[pd.DataFrame]:
    source = usecase.source
    if source.simulator is None:
        raise InputRefused(
            "no data is named, and the use case has no source of its own",
            where=f"use case {usecase.name!r}",
            expected="a file, web address or database URL",
            do="give one with --data, or set 'source' in the use case",
        )
    from riskwright.data import simulators

    frame = simulators.simulate(source.simulator, source.rows, source.seed).frame
    frame.index = pd.RangeIndex(len(frame), name="row")
    yield frame


def _run(
    usecase: UseCase,
    chunks: Iterable[pd.DataFrame],
    home: Home,
    note: Path | None,
    progress: Callable[[int], None] | None,
) -> Ingested:
    contract = Contract(usecase, "train")
    with snapshots.Writer(home, kind="raw", meta={"usecase": usecase.name}) as raw_writer:
        clean, refused, warnings = _read(contract, chunks, raw_writer, progress)
        clean, repeats = _duplicates(usecase, clean)
        if usecase.loan is not None:
            check_outcomes(usecase, clean)
        y = target_of(usecase, clean)
        ready = usable(usecase, clean)
        outcome = target_of(usecase, ready)
        parts = divided(usecase, clean, ready)
        train = splits.train_mask(usecase, ready)
        losses.check(usecase, ready[train], clean)
    warnings += unused(usecase, clean, ready)
    if repeats:
        warnings.append(
            f"{repeats:,} rows repeat another one in all but the id: "
            + ("dropped" if usecase.duplicate_rows == "drop" else "kept")
        )
    kin = kinship(usecase, ready)
    warnings += [*uneven(usecase, parts), *told(usecase, kin)]
    raw = raw_writer.snapshot
    report = contract.report() | {"duplicates": repeats, "rows": len(clean), "bads": int(y.sum())}
    report |= {"kin": kin, "parts": parts}
    report["telltales"] = telltales(
        usecase.schema_, ready[train][usecase.feature_names], outcome[train]
    )
    warnings += leaks_told(report["telltales"])
    cleaned = snapshots.write(
        clean,
        home,
        kind="clean",
        parents=[raw.hash],
        meta={"usecase": usecase.name, "specification": usecase.digest},
    )
    quarantine = None
    if contract.refused:
        quarantine = home.root / "quarantine" / usecase.name / f"{raw.hash}.csv"
        changed = _keep_refused(refused, quarantine)
        warnings.append(f"{contract.refused:,} rows refused, see {quarantine}")
        warnings += [formulas(changed, "the quarantine file")] * bool(changed)
    # Chunks say the same of a file each.
    found = Ingested(raw, cleaned, quarantine, report, list(dict.fromkeys(warnings)))
    if note is not None:
        _remember(note, found)
    return found


def _read(
    contract: Contract,
    chunks: Iterable[pd.DataFrame],
    raw: snapshots.Writer,
    progress: Callable[[int], None] | None,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Keep the rows as they came; return those accepted, those refused, and warnings."""
    accepted, refused, warnings = [], [], []
    for chunk in chunks:
        checked = contract.apply(chunk)
        raw.add(chunk.drop(columns=sources.FAULT, errors="ignore"))
        accepted.append(checked.accepted)
        refused.append(checked.refused)
        warnings += checked.warnings
        if progress is not None:
            progress(contract.read)
    warnings += contract.close()
    return pd.concat(accepted), pd.concat(refused), warnings


def _keep_refused(refused: pd.DataFrame, path: Path) -> int:
    """Write the refused rows with their reasons; count the cells that looked like formulas."""
    with writer.replacing(path, private=True) as part:
        return write_csv(refused, part)


def _duplicates(usecase: UseCase, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Count rows that equal an earlier one in all but the id; drop them if the use case says so."""
    content = frame.drop(columns=usecase.id) if usecase.id else frame
    repeated = content.duplicated()
    kept = frame[~repeated] if usecase.duplicate_rows == "drop" else frame
    return kept, int(repeated.sum())


def _key(usecase: UseCase, path: Path, place: str) -> str:
    """Return what decides the result: the file's bytes, how it is read, the use case, our code."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    suffixes = "".join(Path(place.partition("?")[0]).suffixes[-2:]).lower()
    code = hashlib.sha256(__version__.encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):
        code.update(module.read_bytes())
    parts = (content, suffixes, usecase.digest, code.hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _remember(note: Path, found: Ingested) -> None:
    plain = {
        "raw": found.raw.hash,
        "clean": found.clean.hash,
        "quarantine": str(found.quarantine) if found.quarantine else None,
        "report": found.report,
        "warnings": found.warnings,
    }
    writer.write_json(note, plain, indent=2)


def _known(note: Path, home: Home) -> Ingested | None:
    """Return an earlier result if all of it is still there and unaltered."""
    try:
        plain = json.loads(note.read_text(encoding="utf-8"))
        raw, clean = (snapshots.find(plain[kind], home) for kind in ("raw", "clean"))
        snapshots.verify(raw.path, raw.hash)
        snapshots.verify(clean.path, clean.hash)
        quarantine = Path(plain["quarantine"]) if plain["quarantine"] else None
        if quarantine is not None and not quarantine.is_file():
            return None
        return Ingested(raw, clean, quarantine, plain["report"], plain["warnings"])
    except (OSError, ValueError, KeyError, TypeError, RiskwrightError):
        return None  # read again: what was lost or altered is written anew

"""Batch scoring of a file: streamed, in order, nothing half-written, nothing lost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from riskwright.data import novel
from riskwright.data.contract import Checked, Contract
from riskwright.data.outgoing import formulas, write_csv
from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused
from riskwright.life.system import Reasons
from riskwright.stats.disagreement import told_share
from riskwright.store import writer
from riskwright.systems.credit.bundle import Bundle

CHUNK = 50_000  # rows; at most THREADS + 1 chunks are in memory
THREADS = 2


@dataclass(frozen=True)
class Scored:
    """What a scoring run did; ``accepted + refused == read``.

    ``disagreement``: ``referred`` rows for which members disagree beyond the limit, their ``share``
    and what was ``planned``; None where nobody is referred for it.
    """

    read: int
    accepted: int
    refused: int
    decisions: dict[str, int]
    output: Path
    quarantine: Path | None
    model_version: int
    warnings: list[str]
    disagreement: dict[str, float] | None = None


class TableWriter:
    """Writes frames to a CSV or Parquet file (by extension) that appears only when complete.

    Raises
    ------
    InputRefused
        If the extension is neither ``.csv`` nor ``.parquet``, or the folder doesn't exist.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix not in (".csv", ".parquet"):
            raise InputRefused(
                f"can't write a {path.suffix or 'file without extension'}",
                where=str(path),
                expected="an output that ends in .csv or .parquet",
            )
        if not path.parent.is_dir():
            raise InputRefused("the output's folder doesn't exist", where=str(path.parent))
        self.path = path
        self._part: Path | None = None
        self.changed = 0  # cells that begin like a formula
        self._parquet: Any = None

    def __enter__(self) -> Self:
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Append a frame; all frames have the same columns."""
        first = self._part is None
        part = self._part = self._part or writer.begin(self.path)
        with writer.writing(self.path):
            if self.path.suffix == ".csv":
                self.changed += write_csv(frame, part, mode="a", header=first)
                return
            import pyarrow as pa
            import pyarrow.parquet as pq

            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(part, table.schema)
            self._parquet.write_table(table.cast(self._parquet.schema))

    def __exit__(self, failed: object, *_: object) -> None:
        if self._part is None:
            return
        try:
            with suppress(OSError) if failed else writer.writing(self.path):
                if self._parquet is not None:
                    self._parquet.close()
            if not failed:
                writer.place(self._part, self.path)
        finally:
            writer.drop(self._part)


def score_file(
    bundle: Bundle,
    source: str,
    output: Path,
    *,
    reasons: Reasons = "adverse",
    price: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scored:
    """Score every row of a file; refused rows go to ``<output>.quarantine.csv`` beside it.

    Parameters
    ----------
    bundle
        A loaded bundle.
    source
        Path or URL in any format that ingestion reads.
    output
        ``.csv`` or ``.parquet``.
    price
        Of accepted rows: the columns with what each has to pay, added to its scores.
    progress
        Called with the number of rows read so far.

    Raises
    ------
    InputRefused
        If the file can't be read or lacks a required column; no output is written then.
    """
    usecase = bundle.usecase
    contract = Contract(usecase, "score")
    refusals = _quarantine_beside(output, source)
    counts = Counts(bundle)
    with TableWriter(output) as scores, TableWriter(refusals) as quarantine:
        columns, target = usecase.columns, usecase.target.column
        raw = read_chunks(usecase.source, source, columns=columns, rows=CHUNK, target=target)
        for checked, out in _scored(bundle, map(contract.apply, raw), reasons):
            _name_rows(out, checked.accepted, usecase.id)
            scores.write(out if price is None else out.join(price(checked.accepted)))
            if len(checked.refused):
                quarantine.write(checked.refused)
            counts.add(checked, out)
            if progress:
                progress(counts.read)
    changed = {output.name: scores.changed, refusals.name: quarantine.changed}
    refused = counts.read - counts.accepted
    if not refused:
        refusals.unlink(missing_ok=True)  # of an earlier run: it would belie this one
    return Scored(
        read=counts.read,
        accepted=counts.accepted,
        refused=refused,
        decisions=counts.decisions,
        output=output,
        quarantine=refusals if refused else None,
        model_version=bundle.version,
        warnings=counts.notes(changed, contract),
        disagreement=counts.disagreement,
    )


def _name_rows(scores: pd.DataFrame, accepted: pd.DataFrame, id: str | None) -> None:
    """Begin each row of scores with its case's id, or else with its place in the file."""
    if id in accepted:
        scores.insert(0, str(id), accepted[id])
    else:
        scores.insert(0, "row", accepted.index)


def _quarantine_beside(output: Path, source: str) -> Path:
    """Where refused rows go; neither file may replace the input."""
    refusals = output.with_name(output.name + ".quarantine.csv")
    if Path(source).exists() and Path(source).resolve() in (output.resolve(), refusals.resolve()):
        raise InputRefused(
            "the output, or its quarantine file, would replace the input",
            where=f"{source} and {output}",
            do="choose another output",
        )
    return refusals


class Counts:
    """What a file's scores come to, chunk by chunk."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.read = self.accepted = self.apart = 0
        self.decisions: dict[str, int] = {}
        self.warnings: list[str] = []
        self.unseen: Counter[tuple[str, str | None]] = Counter()

    def add(self, checked: Checked, out: pd.DataFrame) -> None:
        """Count a chunk and its scores."""
        limit = self.bundle.limits.refer_above
        novel.count(self.bundle.ensemble.seen, checked.accepted, into=self.unseen)
        self.read += len(checked.accepted) + len(checked.refused)
        self.accepted += len(checked.accepted)
        self.apart += 0 if limit is None else int((out["disagreement"] > limit).sum())
        for decision, count in out["decision"].value_counts().items():
            self.decisions[str(decision)] = self.decisions.get(str(decision), 0) + int(count)
        self.warnings += [w for w in checked.warnings if w not in self.warnings]

    @property
    def disagreement(self) -> dict[str, float] | None:
        """How many were referred since the members disagree; None without such a limit."""
        if self.bundle.limits.refer_above is None:
            return None
        share = self.apart / max(self.accepted, 1)
        planned = self.bundle.usecase.ensemble.refer_share
        return {"referred": self.apart, "share": share, "planned": planned}

    def notes(self, changed: dict[str, int], contract: Contract) -> list[str]:
        """What a reader has to know; ``changed`` counts a file's cells that look like formulas."""
        notes = [*self.warnings, *(formulas(n, name) for name, n in changed.items() if n)]
        notes += novel.notes(self.unseen)
        rows, names = self.accepted, self.bundle.schema.names
        if blank := [n for n in names if rows and contract.missing[n] == rows]:
            notes.append(f"missing in every row: {', '.join(blank)}; compare with the trained data")
        if (found := self.disagreement) is not None and (
            much := told_share(self.apart, rows, found["planned"])
        ):
            notes.append(much)
        return notes


def _scored(
    bundle: Bundle, chunks: Iterable[Checked], reasons: Reasons
) -> Iterator[tuple[Checked, pd.DataFrame]]:
    """Score chunks in threads, while the next one is read; return them in their order.

    What is slow runs without Python's lock: the members, NumPy's large arrays, Arrow.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[tuple[Checked, Future[pd.DataFrame]]] = deque()
        for checked in chunks:
            waiting.append((checked, pool.submit(bundle.score, checked.accepted, reasons)))
            if len(waiting) > THREADS:
                ready, scores = waiting.popleft()
                yield ready, scores.result()
        for ready, scores in waiting:
            yield ready, scores.result()

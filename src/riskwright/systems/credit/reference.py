"""What a batch is held against: rows that the model was not trained on, with PDs and outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame, read_parquet

from riskwright.case.usecase import UseCase
from riskwright.data.units import clusters
from riskwright.errors import IntegrityError
from riskwright.home import Home
from riskwright.stats.estimates import Clusters
from riskwright.store import snapshots

MAX_ROWS = 50_000
_PD, _Y, _VERSION = "riskwright.pd", "riskwright.y", "riskwright.version"
_GROUP = "riskwright.group"


@dataclass(frozen=True)
class Reference:
    """An immutable sample of the test part.

    Parameters
    ----------
    frame
        Canonical columns, shape (n, k), index 0 to n - 1.
    pd
        PD of the champion for these rows, shape (n,).
    y
        Their outcomes, shape (n,), 1 = bad.
    version
        Which model version the PDs are of.
    groups
        Numbers of the rows' declared groups, shape (n,), as ``units.clusters`` gives them; or None.
    """

    frame: DataFrame
    pd: NDArray[np.float64]
    y: NDArray[np.int8]
    version: str
    groups: Clusters | None = None

    @classmethod
    def build(
        cls,
        usecase: UseCase,
        frame: DataFrame,
        pd: ArrayLike,
        y: ArrayLike,
        version: object = "",
        *,
        seed: int = 0,
    ) -> Reference:
        """Keep what a monitor needs of the test part.

        Parameters
        ----------
        frame
            Canonical frame of rows that the model was not trained on, shape (n, k). The id, the
            target and columns known only after the decision are left out.
        pd, y
            PDs and outcomes of the same rows, shape (n,).
        seed
            Of the sample that is drawn when there are more than ``MAX_ROWS`` rows.
        """
        names = [name for name in watched(usecase) if name in frame]
        groups = clusters(usecase, frame)
        keep = np.arange(len(frame))
        if len(frame) > MAX_ROWS:
            keep = np.sort(np.random.default_rng(seed).choice(len(frame), MAX_ROWS, replace=False))
        return cls(
            frame[names].iloc[keep].reset_index(drop=True),
            np.asarray(pd, dtype=np.float64)[keep],
            np.asarray(y, dtype=np.int8)[keep],
            str(version),
            None if groups is None else groups[keep],
        )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def missing(self) -> dict[str, float]:
        """Share of missing cells by column."""
        return {str(name): float(share) for name, share in self.frame.isna().mean().items()}

    def to_frame(self) -> DataFrame:
        """Return one plain table that Parquet can hold; ``from_frame`` reads it back."""
        stored: dict[str, Any] = {_PD: self.pd, _Y: self.y, _VERSION: self.version}
        if self.groups is not None:
            stored[_GROUP] = self.groups.astype(np.int64)
        return self.frame.assign(**stored)

    @classmethod
    def from_frame(cls, table: DataFrame) -> Reference:
        """Read what ``to_frame`` returned.

        Raises
        ------
        IntegrityError
            If the table is something else.
        """
        lacking = [name for name in (_PD, _Y, _VERSION) if name not in table]
        if lacking or table.empty:
            raise IntegrityError(
                "this table is not a monitor's reference",
                where=", ".join(lacking) or "no rows",
                expected=f"canonical columns with {_PD}, {_Y} and {_VERSION}",
                do="retrain, or restore the snapshot from a backup",
            )
        return cls(
            table.drop(columns=[_PD, _Y, _VERSION, _GROUP], errors="ignore").reset_index(drop=True),
            table[_PD].to_numpy(dtype=np.float64),
            table[_Y].to_numpy(dtype=np.int8),
            str(table[_VERSION].iloc[0]),
            table[_GROUP].to_numpy(dtype=np.intp) if _GROUP in table else None,
        )


def watched(usecase: UseCase) -> list[str]:
    """Columns that a monitor looks at: all but id, group, target, text and what comes later."""
    return [
        name
        for name, column in usecase.columns.items()
        if name not in (usecase.id, usecase.group, usecase.target.column)
        and column.type != "text"
        and not column.after_decision
    ]


def of_type(usecase: UseCase, names: Sequence[str], *, numeric: bool) -> list[str]:
    """Those of ``names`` that are numbers, or those that are categories."""
    if numeric:
        return [name for name in names if usecase.columns[name].numeric]
    return [name for name in names if usecase.columns[name].type == "category"]


def make_reference(
    usecase: UseCase, home: Home, *, test: str, folder: Path, kind: str
) -> snapshots.Snapshot:
    """Store the reference of a challenger as a snapshot.

    Parameters
    ----------
    test
        Hash of the test snapshot.
    folder
        The evidence, whose ``predictions.parquet`` holds the outcomes ``y`` and the PDs of
        ``kind`` (``ensemble`` or ``baseline``), row by row of the test part.

    Raises
    ------
    IntegrityError
        If predictions and test part don't match.
    """
    frame = snapshots.read(test, home)
    predictions = read_parquet(folder / "predictions.parquet")
    if len(predictions) != len(frame) or not {"y", kind} <= set(predictions.columns):
        raise IntegrityError(
            "the predictions don't belong to the test part",
            where=str(folder / "predictions.parquet"),
            expected=f"{len(frame):,} rows with the columns 'y' and {kind!r}",
            do="run 'riskwright retrain' again",
        )
    reference = Reference.build(usecase, frame, predictions[kind], predictions["y"], version=kind)
    return snapshots.write(reference.to_frame(), home, kind="reference", parents=[test])

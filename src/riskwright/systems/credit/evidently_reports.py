"""Evidently's own reports, beside ours: pictures, never the alarm, and never the end of a run.

Its presets decide by rules that change with the size of the reference, leave out missing columns
in silence, and abort wholly on one bad column (docs/reference/monitoring.md). So the frames are
filtered first, the methods are named, and whatever still goes wrong becomes a sentence.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.home import TELEMETRY_OFF
from riskwright.store.writer import replacing

LEAST_ROWS = 200
MAX_COLUMNS = 8  # of the drift report: each costs tenths of a second and of a megabyte
PSI_LIMIT = 0.1  # the industry's; for the picture alone
SEED = 0


def drift_report(
    usecase: UseCase,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    columns: Sequence[str],
    path: Path,
) -> Path | str:
    """Write Evidently's drift report on at most ``MAX_COLUMNS`` of the columns named.

    Returns
    -------
    The path, or a sentence that says why there is no report.
    """
    fewest = min(len(reference), len(current))
    if fewest < LEAST_ROWS:
        return f"no Evidently report: {fewest:,} rows, at least {LEAST_ROWS} are needed"
    both = [c for c in columns if c in reference and c in current]
    rows = usecase.monitor.report_rows
    try:
        before, now = _plain(usecase, reference, both, rows), _plain(usecase, current, both, rows)
        kept = [c for c in both if c in before and c in now][:MAX_COLUMNS]
        if not kept:
            return "no Evidently report: no column has values in both samples"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Evidently's own dependencies, not our use of it
            _quiet()
            from evidently import Report
            from evidently.metrics import ValueDrift

            # Named methods: the defaults change when the reference passes 1,000 rows.
            level = usecase.monitor.column_fdr
            metrics = [
                ValueDrift(column=c, method="psi", threshold=PSI_LIMIT)
                if now[c].dtype == "object"
                else ValueDrift(column=c, method="ks", threshold=level)
                for c in kept
            ]
            return _save(Report(metrics).run(_dataset(now[kept]), _dataset(before[kept])), path)
    except Exception as error:  # noqa: BLE001 - any failure of the picture must not end the run
        return _sentence(error)


def summary_report(usecase: UseCase, frame: pd.DataFrame, path: Path) -> Path | str:
    """Write Evidently's data summary of a canonical frame; the path, or why there is none."""
    try:
        plain = _plain(usecase, frame, list(usecase.columns), usecase.monitor.report_rows)
        if plain.empty:
            return "no Evidently report: no column has values"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            _quiet()
            from evidently import Report
            from evidently.presets import DataSummaryPreset

            # With its tests: without them 0.7.23 fails on two-valued categories (KeyError).
            return _save(Report([DataSummaryPreset()]).run(_dataset(plain), None), path)
    except Exception as error:  # noqa: BLE001 - as above
        return _sentence(error)


def _quiet() -> None:
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)


def _plain(usecase: UseCase, frame: pd.DataFrame, names: Sequence[str], rows: int) -> pd.DataFrame:
    """Return a sample that Evidently can read: float64 and object columns with some value in them.

    Infinity becomes missing (quality has reported it); ids, texts and dates are left out.
    """
    kept: dict[str, Any] = {}
    at = np.arange(len(frame))
    if len(frame) > rows:
        at = np.sort(np.random.default_rng(SEED).choice(len(frame), rows, replace=False))
    for name in names:
        column = usecase.columns.get(name)
        if harmless(name) != name:
            continue  # its name would be markup in Evidently's page
        if name not in frame or (column is not None and column.type in ("text", "date")):
            continue
        if name in (usecase.id, usecase.group):
            continue
        cells = frame[name].iloc[at]
        if column is not None and column.type == "category":
            values = pd.Series(cells.to_numpy(dtype=object), dtype="object")
            values = values.map(harmless, na_action="ignore").astype("object")
        else:
            values = cells.astype("float64").replace([np.inf, -np.inf], np.nan)
        if values.notna().any():
            kept[name] = values.reset_index(drop=True)
    return pd.DataFrame(kept)


# Evidently's page writes texts into HTML and into scripts as they are. What could end or begin
# either is replaced by a character that looks like it and means nothing to a browser.
_ALIKE = dict(zip("<>&\"'`\\", "\u2039\u203a\uff06\u201d\u2019\u02cb\u29f5", strict=True))
_CONTROL = dict.fromkeys(map(chr, (*range(32), 127, 0x2028, 0x2029)), "\ufffd")
_HARMLESS = str.maketrans(_ALIKE | _CONTROL)


def harmless(text: object) -> str:
    """Return a text that no page can take for markup or script, alike to the eye."""
    return str(text).translate(_HARMLESS)


def _dataset(frame: pd.DataFrame) -> Any:
    from evidently import DataDefinition, Dataset

    texts = [str(c) for c in frame if frame[c].dtype == "object"]
    numbers = [str(c) for c in frame if c not in texts]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    return Dataset.from_pandas(frame, data_definition=definition)


def _save(shown: Any, path: Path) -> Path:
    with replacing(path) as part:
        shown.save_html(str(part))
    return path


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"evidently report failed: {type(error).__name__}: {lines[0] if lines else ''}"

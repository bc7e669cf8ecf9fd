"""The page about one batch, and the data-quality report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pandas import DataFrame

from riskwright.case.usecase import UseCase
from riskwright.life.alert_advice import advice
from riskwright.life.charts import histogram, vintage_chart
from riskwright.life.findings import Finding, Result
from riskwright.systems.credit.charts import column_chart
from riskwright.systems.credit.evidently_reports import MAX_COLUMNS, drift_report, summary_report
from riskwright.systems.credit.history import Judged
from riskwright.systems.credit.reference import Reference

EVIDENTLY = "evidently.html"
MAX_CHARTS, MAX_SHOWN = 8, 200

# Measured by benchmarks/monitor_power.py on windows without change (docs/reference/monitoring.md):
# 0 of 400 of 200 and 1,000 rows alarmed in any family, so at most 1 % of them do (95 % interval).
MEASURED = (
    "not measured on this use case; with the default limits 0 of 400 windows without change of "
    "Taiwan's card holders and of simulated ones (at most 1 %, 95 % interval)"
)
CHANCE = {
    "quality": f"{MEASURED}; each test on a column fires in at most 1 of 10,000 windows",
    "columns": f"{MEASURED}; the tests are corrected for the number of columns",
    "score": f"{MEASURED}; the KS test alone fires in at most 1 of 1,000 windows",
    "labels": f"{MEASURED}; each z of 3.3 alone is reached in 1 of 1,000 windows, either way",
    "own": "as its checks say; their tests are corrected for their number (Holm)",
    "book": "not measured on this use case; with the default limits in 1 of 300 simulated books "
    "without change (at most 1.9 %, 95 % interval); the tests are corrected for their number",
}
BLIND = (
    "A change in how the inputs lead to default, while inputs and PDs look as before (concept "
    "drift). In measurements, outcomes reversed in a quarter of the book cost 0.08 of ROC AUC and "
    "no check without outcomes saw it, nor did estimates of performance without labels. A change "
    "in how columns go together, each unchanged by itself, is not looked for either."
)
BLIND_LABELLED = (
    "Segments with too few bads, and segments other than the quartiles of the first numeric "
    "feature and the groups of each category. A change in how columns go together, each unchanged "
    "by itself, shows only in its effect on the outcomes."
)


def draw_report(
    usecase: UseCase,
    reference: Reference,
    current: DataFrame,
    pd: ArrayLike | None,
    result: Result,
    folder: Path,
    *,
    book: Judged | None = None,
) -> Callable[[Mapping[str, Any]], str]:
    """Draw the pictures, Evidently's own beside the page if it can; return what makes the page.

    Parameters
    ----------
    current
        Accepted rows of the batch, canonical, shape (n, k).
    pd
        Their PDs, shape (n,), or None.
    result
        What ``check_batch`` found. If Evidently's report fails, a finding that says so (no alarm)
        is appended to ``result.findings``.
    folder
        Made if it is missing.
    book
        Of a history of loans, what ``judge_book`` found.

    Returns
    -------
    Gives the page's text, one file without outside resources, from what ``monitor_batch`` tells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = _evidently(usecase, reference, current, result, folder / EVIDENTLY)
    charts = _charts(usecase, reference, current, pd, result)
    vintages = [
        _drawn(partial(vintage_chart, table, f"{name} loans: defaults by quarter of issue"))
        for name, table in (book.tables if book else {}).items()
    ]
    shown = sorted(result.findings, key=lambda f: not (f.alarm or f.verdict == "failed"))
    labelled = result.verdicts["labels"] in ("ok", "alarm")
    return partial(
        _render,
        _template(),
        usecase=usecase,
        result=result,
        reference_rows=len(reference),
        kind=reference.version,
        chance=CHANCE,
        advice=advice(f.as_dict() for f in result.alarms).words,
        blind=BLIND_LABELLED if labelled else BLIND,
        labelled=labelled,
        charts=charts,
        book=book,
        vintages=vintages,
        shown=shown[:MAX_SHOWN],
        left_out=max(len(shown) - MAX_SHOWN, 0),
        evidently="" if isinstance(drawn, str) else drawn.name,
        no_evidently=drawn if isinstance(drawn, str) else "",
        css=lambda verdict: verdict if verdict in ("alarm", "failed", "ok") else "unsure",
        number=_number,
    )


def _template() -> Any:
    from importlib.resources import files

    from jinja2 import Environment

    # Autoescaped: column names and codes come from files that others wrote.
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(
        files("riskwright.systems.credit").joinpath("report.html.j2").read_text(encoding="utf-8")
    )


def _render(template: Any, told: Mapping[str, Any], **more: Any) -> str:
    return str(template.render(told=told, **more))


def _evidently(
    usecase: UseCase, reference: Reference, current: DataFrame, result: Result, path: Path
) -> Path | str:
    """Draw Evidently's report, or say why there is none; one that failed is a finding."""
    drawn = drift_report(usecase, reference.frame, current, _wanted(result), path)
    if isinstance(drawn, str):
        path.unlink(missing_ok=True)
        if "failed" in drawn:
            result.findings.append(
                Finding("columns", "evidently_report", None, "failed", detail=drawn)
            )
    return drawn


def data_quality_report(usecase: UseCase, frame: DataFrame, path: Path) -> Path | str:
    """Write Evidently's data summary of a canonical frame.

    Returns
    -------
    The path, or a sentence that says why there is no report; never raises for the data.
    """
    return summary_report(usecase, frame, path)


def _wanted(result: Result) -> list[str]:
    """Columns worth a picture: those that alarm, then those that moved most."""
    alarmed = [f.column for f in result.alarms if f.column]
    moved = sorted(
        (f for f in result.findings if f.family == "columns" and f.column),
        key=lambda f: -(f.effect or 0.0),
    )
    names = dict.fromkeys([*alarmed, *(f.column for f in moved if f.column)])
    return list(names)[:MAX_COLUMNS]


def _charts(
    usecase: UseCase,
    reference: Reference,
    current: DataFrame,
    pd: ArrayLike | None,
    result: Result,
) -> list[Any]:
    names = dict.fromkeys(f.column for f in result.alarms if f.column)
    drawable = [
        name
        for name in names
        if name in reference.frame
        and name in current
        and usecase.columns[name].type != "date"
        and current[name].notna().any()
    ]
    charts = []
    for name in drawable[:MAX_CHARTS]:
        samples = reference.frame[name], current[name]
        charts.append(_drawn(partial(column_chart, usecase.columns[name], *samples, name)))
    scores = np.asarray([] if pd is None else pd, dtype=np.float64)
    scores = scores[np.isfinite(scores)]
    if len(scores):
        charts.append(_drawn(partial(histogram, reference.pd, scores, "PD")))
    return charts


def _drawn(draw: Callable[[], str]) -> Any:
    """Return the picture as markup; one that fails must not hide the page."""
    from markupsafe import Markup

    try:
        return Markup(draw())  # noqa: S704 - matplotlib escapes its texts
    except Exception as error:  # noqa: BLE001 - as said above
        return f"a picture failed: {type(error).__name__}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"

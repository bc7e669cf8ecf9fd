"""The report of a book: one page that opens without a network, and the same figures as files."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.data.outgoing import write_csv
from riskwright.systems.loans.portfolio import plots
from riskwright.systems.loans.portfolio.summary import Summary

PAGE = "report.html"
ROWS = 12  # of a table on the page; the CSV has all
SHARES = (
    "pd", "lgd", "el_rate", "share", "share_of_var", "share_of_base", "coverage", "rate", "price",
    "price_cautious", "share_that_earns", "cutoff", "approved", "mean_pd", "cumulative",
    "weight",
)  # fmt: skip
PLAIN = ("times_base", "pd_over_rate", "of_booked", "lift", "herfindahl")


def write(
    folder: Path,
    summary: Summary,
    *,
    title: str,
    facts: dict[str, str],
    compared: str = "",
    vintages: pd.DataFrame | None = None,
) -> Path:
    """Write the page, its pictures and its tables into a folder that exists and is empty.

    Parameters
    ----------
    title
        Of the page.
    facts
        Where the figures come from: version, date, file.
    compared
        Which report the waterfall starts from.
    vintages
        ``maturity.calendar``'s table, where the source says how loans ended.

    Returns
    -------
    Path of ``report.html``.
    """
    pictures = folder / "plots"
    pictures.mkdir()
    currency = summary.headline["currency"]
    drawn = [
        plots.plot_losses(summary.distribution, currency, pictures / "losses.png"),
        plots.plot_groups(next(iter(summary.groups.items())), currency, pictures / "groups.png"),
        plots.plot_stress(summary.tables["Stress"], currency, pictures / "stress.png"),
    ]
    if summary.steps is not None:
        drawn.append(plots.plot_waterfall(summary.steps, currency, pictures / "waterfall.png"))
    if vintages is not None:
        drawn.append(plots.plot_vintages(vintages, pictures / "vintages.png"))
    tables = {f"Expected loss by {n}": t for n, t in summary.groups.items()} | summary.tables
    kept = folder / "tables"
    kept.mkdir()
    for name, table in tables.items():
        write_csv(table, kept / f"{_file(name)}.csv", index=True)
    if vintages is not None:
        write_csv(vintages, kept / "vintages.csv", index=True)
    if summary.steps is not None:
        write_csv(summary.steps, kept / "waterfall.csv", index=True)
    plain = json.dumps(summary.headline, indent=1, default=_plain)
    (folder / "summary.json").write_text(plain, encoding="utf-8")
    page = folder / PAGE
    page.write_text(_page(summary, title, facts, compared, tables, drawn), encoding="utf-8")
    return page


def _page(
    summary: Summary,
    title: str,
    facts: dict[str, str],
    compared: str,
    tables: dict[str, pd.DataFrame],
    drawn: list[Path],
) -> str:
    from jinja2 import Environment
    from markupsafe import Markup

    # Autoescaped: segment names come from files that others wrote.
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        files("riskwright.systems.loans.portfolio")
        .joinpath("report.html.j2")
        .read_text(encoding="utf-8")
    )
    first = next(iter(summary.groups))
    return template.render(
        title=title,
        facts=facts,
        compared=compared,
        h=summary.headline,
        notes=summary.notes,
        worst=_cells(summary.groups[first].head(5)),
        worst_by=first,
        stress=_cells(summary.tables["Stress"]),
        steps=[] if summary.steps is None else list(summary.steps.items()),
        tables={name: _cells(table.head(ROWS)) for name, table in tables.items()},
        left_out={name: max(0, len(table) - ROWS) for name, table in tables.items()},
        pictures=[
            Markup("data:image/png;base64,") + base64.b64encode(p.read_bytes()).decode()
            for p in drawn
        ],
        money=_money,
        percent=_percent,
    )


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Header and rows as text: shares in percent, money without cents."""
    head = [str(table.index.name or ""), *(str(c).replace("_", " ") for c in table.columns)]
    rows = [head]
    for name, row in zip(table.index, table.itertuples(index=False), strict=True):
        cells = [_text(c, v) for c, v in zip(table.columns, row, strict=True)]
        rows.append([str(name), *cells])
    return rows


def _text(column: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else ""
    if not isinstance(value, (int, float, np.number)):
        return str(value)
    if column in SHARES:
        return _percent(float(value))
    if column in PLAIN:
        return f"{float(value):.3g}" if np.isfinite(value) else "not known"
    return _money(float(value))


def _money(value: float) -> str:
    return "not known" if value is None or not np.isfinite(value) else f"{value:,.0f}"


def _percent(value: float) -> str:
    return "not known" if not np.isfinite(value) else f"{100 * value:.2f} %"


def _file(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)

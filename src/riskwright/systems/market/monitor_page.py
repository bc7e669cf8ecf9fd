"""The page about a market forecast since its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from riskwright.life.alert_advice import advice
from riskwright.life.charts import history_chart, outcome_chart
from riskwright.systems.market.case import MarketCase
from riskwright.systems.market.panel import Panel
from riskwright.systems.market.predictors import PREDICTORS

MOST_CHARTS, YEARS_SHOWN = 6, 30

# Measured by benchmarks/market_alarms.py (docs/reference/market.md).
MEASURED = "see docs/reference/market.md for the rate that was measured"
CHANCE = {
    "predictors": f"{MEASURED}; the tests are corrected for their number",
    "error": f"{MEASURED}; the tests are corrected for the number of models",
    "coverage": f"{MEASURED}; the limit is shared by models and levels",
    "own": "as its checks say; their tests are corrected for their number (Holm)",
}


@dataclass(frozen=True)
class Since:
    """One model since training.

    Attributes
    ----------
    before, now
        Index origin: ``forecast``, ``sd``, the bounds and ``actual``: where the outcome was known
        in training, and where it came after it (outcomes that are over alone).
    h
        Horizon in months.
    """

    before: pd.DataFrame
    now: pd.DataFrame
    h: int


def draw_page(
    case: MarketCase,
    told: Mapping[str, Any],
    since: Mapping[str, Since],
    trained: Panel,
    panel: Panel,
) -> Callable[[Mapping[str, Any]], str]:
    """Draw the pictures; return what makes the page: one file, no outside resources.

    Parameters
    ----------
    told
        What ``monitor_market`` answers.
    since
        Each model since training.
    trained, panel
        The data of the training, and as they are now.
    """
    from importlib.resources import files

    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        files("riskwright.systems.market").joinpath("monitor.html.j2").read_text(encoding="utf-8")
    )
    return partial(
        _render,
        template,
        case=case,
        chance=CHANCE,
        advice=advice(f for f in told["findings"] if f["alarm"]).words,
        charts=_charts(told, since, trained, panel),
        css=lambda verdict: verdict if verdict in ("alarm", "failed", "ok") else "unsure",
    )


def _render(template: Any, told: Mapping[str, Any], **more: Any) -> str:
    return str(template.render(told=told, **more))


def _charts(
    told: Mapping[str, Any], since: Mapping[str, Since], trained: Panel, panel: Panel
) -> list[Any]:
    columns = pd.concat([panel.X, panel.context], axis=1)
    alarmed = dict.fromkeys(
        f["column"] for f in told["findings"] if f["alarm"] and f["column"] in columns
    )
    drawn = [
        _drawn(partial(outcome_chart, one.now, f"{model}: outcomes since training"))
        for model, one in since.items()
        if len(one.now) > 1
    ]
    for name in list(alarmed)[:MOST_CHARTS]:
        values = columns[name].iloc[-12 * YEARS_SHOWN :]
        drawn.append(_drawn(partial(history_chart, values, trained.as_of, PREDICTORS[name].label)))
    return drawn


def _drawn(draw: Callable[[], str]) -> Any:
    """Return the picture as markup; one that fails must not hide the page."""
    from markupsafe import Markup

    try:
        return Markup(draw())  # noqa: S704 - matplotlib escapes its texts
    except Exception as error:  # noqa: BLE001 - as said above
        return f"a picture failed: {type(error).__name__}"

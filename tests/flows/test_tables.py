"""Tables at 80 columns and in a pipe: no word is broken, no line is too long."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tiny import Live

from riskwright_flows import say, say_credit, say_market, tables
from riskwright_flows.cli import app

METRIC = {"value": 0.7654, "low": 0.6981, "high": 0.8321}
FOUND = dict.fromkeys(say_credit.FIGURES, METRIC)
MARKET = {
    "r2": 0.045,
    "r2_low": -0.0453,
    "r2_high": 0.1361,
    "robust_p": 0.0591,
    "rmse": 0.1634,
    "mae": 0.1273,
    "hit_rate": 0.72,
}


def words(text: str) -> set[str]:
    return set(text.split())


def rendered(monkeypatch: pytest.MonkeyPatch, width: int, tell: Callable[[], None]) -> str:
    seen = io.StringIO()
    out = Console(file=seen, width=width, highlight=False, soft_wrap=True, color_system=None)
    for module in (say, say_credit, say_market):
        monkeypatch.setattr(module, "out", out)
    tell()
    return seen.getvalue()


def tell_candidates() -> None:
    families = [{"name": "gru", "skipped": "needs a sequence of at least three months"}]
    names = ("logistic", "scorecard", "xgboost", "article_mlp", "baseline", "ensemble")
    say_credit.candidates(dict.fromkeys(names, FOUND), families, "ensemble")


def tell_market() -> None:
    names = ("historical_mean", "restricted_mean_combination", "ensemble")
    found = {"h": 12, "metrics": dict.fromkeys(names, MARKET)}
    say_market.skill("m12", found, "ensemble", ["1965-01", "2018-11"])


def tell_portfolio_tables() -> None:
    rows = [
        {
            "group": "home improvement of owners with a mortgage",
            "loans": "12,345",
            "balance": "123,456,789",
            "pd": "0.04512",
            "lgd": "0.8123",
            "el": "4,523,456",
            "el_rate": "0.03664",
        }
    ]
    say.table("where it is lost", rows)


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("tell", [tell_candidates, tell_market, tell_portfolio_tables])
def test_a_table_fits_and_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch, width: int, tell: Callable[[], None]
) -> None:
    shown = rendered(monkeypatch, width, tell)
    wide = rendered(monkeypatch, 1000, tell)
    assert words(shown) >= words(wide)
    assert max(len(line) for line in shown.splitlines()) <= width


@pytest.mark.parametrize(
    "command",
    [
        ["usecases"],
        ["data", "list"],
        ["doctor"],
        ["history", "tiny"],
        ["challengers", "tiny"],
        ["alerts", "--all"],
    ],
    ids=" ".join,
)
def test_every_commands_table_at_80_columns(
    live: Live, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def tell() -> None:
        with pytest.raises(SystemExit):
            app(command)

    shown = rendered(monkeypatch, 80, tell)
    wide = rendered(monkeypatch, 1000, tell)
    header = words(next((line for line in wide.splitlines()[1:] if line.strip()), ""))
    assert words(shown) >= words(wide) - header  # a row's empty cells are left out
    long = [line for line in shown.splitlines() if len(line) > 80]
    # A word that is longer than the terminal is shown whole: a path can be copied.
    assert [line for line in long if max(map(len, line.split())) < 50] == []


@given(
    st.lists(
        st.lists(st.text("ab ", max_size=30), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    ),
    st.integers(40, 120),
)
def test_no_word_is_lost_at_any_width(rows: list[list[str]], width: int) -> None:
    seen = io.StringIO()
    tables.show(Console(file=seen, width=width), "a title", ["name", "b c", "d"], rows)
    shown = words(seen.getvalue())
    assert {w for row in rows for cell in row for w in cell.split() if len(w) < 30} <= shown

"""The predictors: each a function of series as they were known at the end of each month.

A predictor is computed by the months that its values belong to, from those months and earlier ones
alone, and then moved to the month by whose end the latest of them was published (``View.seen``).
Logarithms throughout, as in Welch and Goyal (Review of Financial Studies 21, 2008), whose
definitions these follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskwright.systems.market.series_spec import Series

YEAR = 12
CAPE_YEARS = 10  # of earnings in the cyclically adjusted price-earnings ratio (Shiller)
TRADING_DAYS = 252  # a year
FEWEST_DAYS = 10  # daily returns in a month, for its volatility
HISTORY = "bill_history"  # ends some day, and needn't go on
MARKET = "market"  # stands for 'returns' or 'price', whichever the target is made of

# What a case may declare: name, kinds it may have, what it is.
SERIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "returns": (("return",), "total return of the market over the month"),
    "price": (("price_average", "price_close"), "price of the market index"),
    "dividend": (("flow",), "dividends of the index over the past year"),
    "earnings": (("flow",), "earnings of the index over the past year"),
    "cpi": (("index",), "consumer prices"),
    "long_rate": (("yield",), "yield of the 10-year government bond"),
    "bill_rate": (("yield", "return"), "Treasury bill: yearly yield, or return over the month"),
    "bill_history": (("yield", "return"), "Treasury bill before 'bill_rate' begins"),
    "aaa": (("yield",), "yield of AAA corporate bonds"),
    "baa": (("yield",), "yield of BAA corporate bonds"),
    "size": (("return",), "return of small less large firms (SMB)"),
    "value": (("return",), "return of cheap less dear firms (HML)"),
    "production": (
        ("return", "index"),
        "industrial production: monthly log change, or level",
    ),
    "daily_price": (("price_close",), "daily closes of the index"),
    "implied_volatility": (("index",), "volatility implied by options (VIX)"),
}
DAILY = ("daily_price",)  # these are daily; implied_volatility may be either


@dataclass(frozen=True)
class View:
    """Series, and the months at whose ends somebody looks at them.

    Attributes
    ----------
    store
        Checked series by name.
    origins
        Months, one after the other, shape (n,).
    """

    store: Mapping[str, Series]
    origins: pd.PeriodIndex

    def monthly(self, name: str) -> pd.Series:
        """Return a monthly series by the month it belongs to, NaN where a month is missing."""
        values = self.store[name].values
        if values.empty:  # it hadn't begun
            return values
        months = pd.period_range(values.index[0], values.index[-1], freq="M")
        return values.reindex(months)

    def seen(self, values: pd.Series, *names: str) -> pd.Series:
        """Return by origin what was seen there of values that were computed by month, shape (n,).

        Parameters
        ----------
        values
            By the month they belong to.
        names
            Series they were made of: the one published last decides, and the most impatient one
            decides for how long a value may stand in for a missing newer one.
        """
        made_of = [self.store[name] for name in names]
        known = values.dropna()
        late = max(s.spec.lag_months for s in made_of)
        known.index = pd.PeriodIndex(known.index).shift(late)
        return self.at_origins(known, min(s.stale for s in made_of))

    def at_origins(self, known: pd.Series, stale: int) -> pd.Series:
        """Return by origin the newest of values by month of publication, if fresh enough."""
        if known.empty:
            return pd.Series(np.nan, index=self.origins)
        first = min(known.index[0], self.origins[0])
        months = pd.period_range(first, self.origins[-1], freq="M")
        spread = known.reindex(months)
        return (spread.ffill(limit=stale) if stale else spread).reindex(self.origins)

    def level(self, name: str) -> pd.Series:
        """Return a monthly series as it was seen at each origin, shape (n,)."""
        return self.seen(self.monthly(name), name)

    @property
    def market(self) -> str:
        """Name of the series that the market's own history is read from."""
        return "returns" if "returns" in self.store else "price"

    def wealth(self) -> pd.Series:
        """Return the log of the market's price, or of what its returns made of 1, by month."""
        values = self.monthly(self.market)
        return log(1 + values).cumsum() if self.market == "returns" else log(values)

    def by_day(self, name: str, compute: Callable[[pd.Series, pd.Index], pd.Series]) -> pd.Series:
        """Return by origin what ``compute`` makes of daily values and their publication months."""
        series = self.store[name]
        return self.at_origins(compute(series.values, series.published), series.stale)


def log(values: pd.Series) -> pd.Series:
    """Return logarithms, missing where there is none (earnings can be negative)."""
    return pd.Series(np.log(values.where(values > 0)), index=values.index)


def _ratio(view: View, over: str, under: str) -> pd.Series:
    return log(view.level(over)) - log(view.level(under))


def _cape_yield(view: View) -> pd.Series:
    """Ten-year mean of real earnings over the real price, at the newest known consumer prices."""
    real = (view.monthly("earnings") / view.monthly("cpi")).rolling(CAPE_YEARS * YEAR).mean()
    return view.seen(real, "earnings", "cpi") * view.level("cpi") / view.level("price")


def _log_cape_yield(view: View) -> pd.Series:
    return log(_cape_yield(view))


def _change(values: pd.Series, months: int = YEAR) -> pd.Series:
    return values - values.shift(months)


def _inflation(view: View) -> pd.Series:
    return view.seen(_change(log(view.monthly("cpi"))), "cpi")


def _real_rate_gap(view: View) -> pd.Series:
    prices = view.monthly("cpi")
    yearly = (prices / prices.shift(CAPE_YEARS * YEAR)) ** (1 / CAPE_YEARS) - 1
    return _cape_yield(view) - (view.level("long_rate") - view.seen(yearly, "cpi"))


def _bill_rate(view: View) -> pd.Series:
    rate = view.level("bill_rate")
    return rate * YEAR if view.store["bill_rate"].spec.kind == "return" else rate


def _momentum(view: View) -> pd.Series:
    return view.seen(_change(view.wealth()), view.market)


def _volatility(view: View) -> pd.Series:
    monthly = _change(view.wealth(), 1)
    return view.seen(monthly.rolling(YEAR).std() * np.sqrt(YEAR), view.market)


def _volatility_daily(view: View) -> pd.Series:
    def compute(closes: pd.Series, published: pd.Index) -> pd.Series:
        squares = log(closes).diff() ** 2
        by_month = squares.groupby(published).agg(["mean", "count"])
        enough = by_month["mean"].where(by_month["count"] >= FEWEST_DAYS)
        return (TRADING_DAYS * enough).dropna() ** 0.5

    return view.by_day("daily_price", compute)


def _implied_volatility(view: View) -> pd.Series:
    if view.store["implied_volatility"].spec.frequency == "monthly":
        return view.level("implied_volatility")
    return view.by_day("implied_volatility", lambda v, published: v.groupby(published).last())


def _production(view: View) -> pd.Series:
    values = view.monthly("production")
    if view.store["production"].spec.kind == "return":
        return view.seen(values.rolling(YEAR).sum(), "production")
    return view.seen(_change(log(values)), "production")


def _trailing(name: str) -> Callable[[View], pd.Series]:
    return lambda view: view.seen(log(1 + view.monthly(name)).rolling(YEAR).sum(), name)


@dataclass(frozen=True)
class Predictor:
    """One predictor: words for reasons and reports, the series it needs, and how it is made."""

    label: str
    unit: str
    needs: tuple[str, ...]
    compute: Callable[[View], pd.Series]


PREDICTORS: Mapping[str, Predictor] = {
    "log_dp": Predictor(
        "dividend yield", "log", ("dividend", "price"), lambda v: _ratio(v, "dividend", "price")
    ),
    "log_ep": Predictor(
        "earnings yield", "log", ("earnings", "price"), lambda v: _ratio(v, "earnings", "price")
    ),
    "log_de": Predictor(
        "payout ratio", "log", ("dividend", "earnings"), lambda v: _ratio(v, "dividend", "earnings")
    ),
    "log_cape_yield": Predictor(
        "10-year real earnings yield (1/CAPE)", "log", ("earnings", "price", "cpi"), _log_cape_yield
    ),
    "long_rate": Predictor(
        "10-year yield", "a year", ("long_rate",), lambda v: v.level("long_rate")
    ),
    "aaa_yield": Predictor("AAA yield", "a year", ("aaa",), lambda v: v.level("aaa")),
    "bill_rate": Predictor("Treasury bill rate", "a year", ("bill_rate",), _bill_rate),
    "term_spread": Predictor(
        "term spread", "a year", ("long_rate", "bill_rate"),
        lambda v: v.level("long_rate") - _bill_rate(v),
    ),
    "default_spread": Predictor(
        "default spread (BAA less AAA)", "a year", ("aaa", "baa"),
        lambda v: v.level("baa") - v.level("aaa"),
    ),
    "inflation": Predictor("inflation, 12 months", "log", ("cpi",), _inflation),
    "momentum": Predictor("momentum, 12 months", "log", (MARKET,), _momentum),
    "volatility": Predictor("volatility of 12 monthly returns", "a year", (MARKET,), _volatility),
    "volatility_daily": Predictor(
        "volatility of the month's daily returns", "a year", ("daily_price",), _volatility_daily
    ),
    "implied_volatility": Predictor(
        "implied volatility", "a year", ("implied_volatility",), _implied_volatility
    ),
    "production_growth": Predictor(
        "growth of industrial production, 12 months", "log", ("production",), _production
    ),
    "real_rate_gap": Predictor(
        "1/CAPE less the real 10-year yield", "a year", ("earnings", "price", "cpi", "long_rate"),
        _real_rate_gap,
    ),
    "size": Predictor("small less large firms, 12 months", "log", ("size",), _trailing("size")),
    "value": Predictor("cheap less dear firms, 12 months", "log", ("value",), _trailing("value")),
}  # fmt: skip


def features(view: View, names: Iterable[str]) -> pd.DataFrame:
    """Return predictors by origin, shape (n, k), NaN where one isn't known.

    Parameters
    ----------
    view
        Series and origins.
    names
        Of ``PREDICTORS``.
    """
    columns = {name: PREDICTORS[name].compute(view) for name in names}
    return pd.DataFrame(columns, index=view.origins, dtype=float)

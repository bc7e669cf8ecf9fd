"""What each loan of a book is worth: PD, LGD, EAD, expected loss, stage, price.

Loans are valued in chunks, so that memory doesn't grow with the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from riskwright.data import maturity
from riskwright.errors import InputRefused
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.loans.impairment import SMALLEST, YEAR, Outlook, impair
from riskwright.systems.loans.loss_bundle import LossBundle
from riskwright.systems.loans.portfolio import basel, pricing, staging, stress
from riskwright.systems.loans.portfolio.checks import FloatArray
from riskwright.systems.loans.portfolio.status import Status, overlay, pd_with_margin

CHUNK = 50_000  # loans …
LONGEST = 60  # … of so many months; of longer ones fewer are valued at a time
SAMPLE = 5_000  # loans on which the error of the term structure is measured
STEP = 1e-4


@dataclass(frozen=True)
class Valued:
    """A valued book.

    Attributes
    ----------
    loans
        One row a loan: ``balance``, ``ead`` (mean exposure if it defaults within a year), ``pd``
        (within a year), ``pd_lifetime``, ``lgd``, ``el`` (= pd x ead x lgd), ``pd_status`` and
        ``el_status`` (with the margin of the model's status), ``overlay``, ``stage``, ``ecl``
        (weighted over scenarios), ``ecl_12m``, ``ecl_lifetime``, ``price``, ``price_cautious``,
        ``worth`` (present value of lending a unit at the loan's own rate, less the unit).
    members_el
        Expected loss by each member of the ensemble, shape (members, n).
    weights
        Of the members.
    errors
        Relative standard errors of what all loans share: ``pd``, ``lgd``, ``ead``.
    scenario_ecl
        Expected credit loss by scenario, in money.
    """

    loans: pd.DataFrame
    members_el: FloatArray
    weights: FloatArray
    errors: dict[str, float]
    scenario_ecl: dict[str, float]


def value_loans(
    bundle: Bundle,
    lgd: LossBundle,
    ead: LossBundle,
    book: pd.DataFrame,
    *,
    status: Status,
    scenarios: Iterable[stress.Scenario],
    progress: Callable[[float], None] | None = None,
) -> Valued:
    """Value live loans.

    Parameters
    ----------
    book
        ``data.book.Book.frame``.
    status
        Of the model; moves ``pd_status``, ``el_status``, ``stage`` and ``ecl``.
    scenarios
        With weights that sum to one.

    Raises
    ------
    InputRefused
        If the version's PD has no term structure (it isn't of a loan book).
    """
    if bundle.hazard is None:
        raise InputRefused(
            f"version {bundle.version} of {bundle.usecase.name} doesn't say when loans fail",
            expected="a version that was trained with a 'loan' section",
            do="retrain",
        )
    weighed = list(scenarios)
    if abs(sum(s.weight for s in weighed) - 1) > 1e-9:
        raise InputRefused("the weights of the scenarios don't sum to 1", expected="1 in all")
    parts, members = [], []
    weights: FloatArray = np.empty(0)
    step = max(1, int(CHUNK * LONGEST / max(LONGEST, book["months_left"].max())))
    for start in range(0, len(book), step):
        chunk = book.iloc[start : start + step]
        table, members_el, weights = _value(bundle, lgd, ead, chunk, status, weighed)
        parts.append(table)
        members.append(members_el)
        if progress is not None:
            progress((start + len(chunk)) / len(book))
    loans = pd.concat(parts)
    performing = book[(loans["stage"] < 3).to_numpy()]
    sample = performing.sample(min(SAMPLE, len(performing)), random_state=0)
    share = loans.loc[loans["stage"] < 3, "el"].sum() / max(loans["el"].sum(), SMALLEST)
    errors = {
        "pd": _term_structure_error(bundle, ead, sample) * float(share),
        "lgd": lgd.relative_error,
        "ead": ead.relative_error,
    }
    names = [f"ecl of {s.name}" for s in weighed]
    by_scenario = {s.name: float(loans[n].sum()) for s, n in zip(weighed, names, strict=True)}
    return Valued(
        loans.drop(columns=names), np.concatenate(members, axis=1), weights, errors, by_scenario
    )


@dataclass(frozen=True)
class _Lives:
    """Where each loan of a chunk stands in its life, in months, shape (n,).

    ``impaired`` are the positions of loans that have failed already, ``months`` how far the chunk
    has to be looked ahead.
    """

    age: FloatArray
    left: FloatArray
    impaired: npt.NDArray[np.intp]

    @classmethod
    def of(cls, chunk: pd.DataFrame) -> Self:
        late = chunk["days_past_due"].to_numpy() >= staging.STAGE_3_DAYS
        age, left = chunk["months_on_book"].to_numpy(), chunk["months_left"].to_numpy()
        return cls(age, left, np.flatnonzero(late))

    @property
    def term(self) -> FloatArray:
        return self.age + self.left

    @property
    def months(self) -> int:
        return max(YEAR, int(self.left.max()))

    def marginal(self, bundle: Bundle, margin: FloatArray) -> FloatArray:
        """Chance of failing in each month to come, shape (n, months)."""
        hazard = bundle.hazard
        assert hazard is not None  # noqa: S101  (``value_loans`` has refused a bundle without)
        found = hazard.marginal_pd(margin, self.term, self.age, self.months)
        found[self.impaired] = 0.0
        found[self.impaired, 0] = 1.0  # it has happened
        return found


def _value(
    bundle: Bundle,
    lgd: LossBundle,
    ead: LossBundle,
    chunk: pd.DataFrame,
    status: Status,
    scenarios: list[stress.Scenario],
) -> tuple[pd.DataFrame, FloatArray, FloatArray]:
    held = maturity.loan_of(bundle.usecase)
    x = chunk[bundle.schema.names]
    member_margins, weights = bundle.ensemble.members(x)
    margin = bundle.ensemble.margin(x)  # weighted in log-odds, as the deployed PD is
    lives = _Lives.of(chunk)
    share = chunk["lgd_assessed"].fillna(pd.Series(lgd.score(chunk), chunk.index)).to_numpy()
    outlook, mean_ead = _outlook(chunk, lives, ead, lives.marginal(bundle, margin), share)
    members_el = np.stack(
        [
            (lives.marginal(bundle, m) * outlook.owed)[:, :YEAR].sum(axis=1) * share
            for m in member_margins
        ]
    )
    found = impair(
        outlook,
        pd_then=_as_made(bundle, chunk, lives, outlook.pd_lifetime),
        days_past_due=chunk["days_past_due"].to_numpy(),
        # What a nominal rate, paid monthly, comes to in a year.
        discount=np.expm1(YEAR * np.log1p(chunk[held.rate].to_numpy() / YEAR)),
        status=status,
        scenarios=scenarios,
    )
    pd_status = pd_with_margin(outlook.pd, status)
    el_status = pd_status * mean_ead * share
    table = pd.DataFrame(
        {
            "balance": chunk["balance"].to_numpy(),
            "ead": mean_ead,
            "pd": outlook.pd,
            "pd_lifetime": outlook.pd_lifetime,
            "lgd": share,
            "el": outlook.pd * mean_ead * share,
            "pd_status": pd_status,
            "el_status": el_status,
            "overlay": overlay(el_status, status),
            "stage": found.stage,
            "ecl": found.ecl,
            "ecl_12m": found.ecl_12m,
            "ecl_lifetime": found.ecl_lifetime,
            **_worth(bundle, chunk, lives, (margin, member_margins), share),
            **{f"ecl of {name}": ecl for name, ecl in found.by_scenario.items()},
        },
        index=chunk.index,
    )
    return table, members_el, weights


def _outlook(
    chunk: pd.DataFrame, lives: _Lives, ead: LossBundle, marginal: FloatArray, share: FloatArray
) -> tuple[Outlook, FloatArray]:
    """What is expected of the loans, and the mean exposure of those that fail within a year."""
    owed, year = ead.profile(chunk, lives.months), marginal[:, :YEAR].sum(axis=1)
    at_default = (marginal * owed)[:, :YEAR].sum(axis=1)
    mean_ead = np.where(year > SMALLEST, at_default / np.maximum(year, SMALLEST), owed[:, 0])
    mean_ead[lives.impaired] = chunk["balance"].to_numpy()[lives.impaired]
    owed[lives.impaired, 0] = mean_ead[lives.impaired]
    return Outlook(marginal, owed, share, lives.left / YEAR), mean_ead


def _worth(
    bundle: Bundle,
    chunk: pd.DataFrame,
    lives: _Lives,
    margins: tuple[FloatArray, FloatArray],
    share: FloatArray,
) -> dict[str, FloatArray]:
    """The rate that each loan has to bear, and what lending at its own rate is worth."""
    held = maturity.loan_of(bundle.usecase)
    runs = np.maximum(lives.left, 1.0)
    paths = _paths(bundle, margins, lives.term, lives.age, runs, lives.impaired)
    outlay, price, cautious = _prices(bundle, share, runs, *paths)
    fails, repaid = paths[0]
    worth = pricing.value(chunk[held.rate], fails, share, runs, outlay, repaid, held.grace_months)
    return {"price": price, "price_cautious": cautious, "worth": worth}


def _as_made(
    bundle: Bundle,
    chunk: pd.DataFrame,
    lives: _Lives,
    today: FloatArray,
) -> FloatArray:
    """Lifetime PD over the rest of the loan's life as it was seen when the loan was made."""
    known = chunk["pd_at_origination"].notna().to_numpy()
    then = today.copy()
    if known.any():
        p = chunk["pd_at_origination"].to_numpy()[known]
        margin = logit(np.clip(p, 1e-6, 1 - 1e-6))
        term, age = lives.term[known], lives.age[known]
        found = bundle.hazard.marginal_pd(margin, term, age, lives.months)  # type: ignore[union-attr]
        then[known] = np.minimum(found.sum(axis=1), 1.0)
    return then


Paths = tuple[FloatArray, FloatArray]  # to fail, and to be repaid early, by month


def _paths(
    bundle: Bundle,
    margins: tuple[FloatArray, FloatArray],
    term: FloatArray,
    age: FloatArray,
    left: FloatArray,
    impaired: npt.NDArray[np.intp],
) -> tuple[Paths, Paths]:
    """The term structures of the deployed PD and of the most cautious member's."""
    hazard = bundle.hazard
    assert hazard is not None  # noqa: S101  (``value_loans`` has refused a bundle without)
    margin, members = margins
    out = []
    for of_margin in (margin, np.maximum(members.max(axis=0), margin)):
        fails, repaid = hazard.paths(of_margin, np.maximum(term, age + left), age, int(left.max()))
        fails[impaired], repaid[impaired] = 0.0, 0.0
        fails[impaired, 0] = 1.0  # it has happened
        out.append((fails, repaid))
    return out[0], out[1]


def _prices(
    bundle: Bundle, share: FloatArray, left: FloatArray, deployed: Paths, cautious: Paths
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What the balance costs a year, and the rates that a loan has to bear by both structures."""
    held = maturity.loan_of(bundle.usecase)
    costs = held.pricing
    rates, outlays = [], []
    for fails, repaid in (deployed, cautious):
        year = np.minimum(fails[:, :YEAR].sum(axis=1), 1.0)
        k = basel.capital_requirement(year, share, held.exposure, left / YEAR)
        outlays.append(costs.funding + costs.cost + k * costs.hurdle)
        rates.append(
            pricing.required_rate(
                fails,
                share,
                left,
                funding=costs.funding,
                cost=costs.cost,
                capital=k,
                hurdle=costs.hurdle,
                margin=costs.margin,
                repaid=repaid,
                grace=held.grace_months,
            )
        )
    return outlays[0], rates[0], rates[1]


def price_applications(bundle: Bundle, lgd: LossBundle, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rate a year that each application has to bear.

    Parameters
    ----------
    frame
        (n,) canonical applications; one without a term gets no price.

    Returns
    -------
    DataFrame
        ``price`` by the deployed PD and ``price_cautious`` by the most cautious member's, with
        the index of ``frame``; NaN where no rate up to 500 % is enough.
    """
    held = maturity.loan_of(bundle.usecase)
    out = pd.DataFrame({"price": np.nan, "price_cautious": np.nan}, index=frame.index)
    if held.term not in frame or bundle.hazard is None:
        return out
    known = frame[frame[held.term] >= 1]
    if known.empty:
        return out
    x, term = known[bundle.schema.names], known[held.term].to_numpy(dtype=float)
    members, _ = bundle.ensemble.members(x)
    margins, nobody = (bundle.ensemble.margin(x), members), np.empty(0, dtype=np.intp)
    paths = _paths(bundle, margins, term, np.zeros(len(x)), term, nobody)
    _, out.loc[known.index, "price"], out.loc[known.index, "price_cautious"] = _prices(
        bundle, lgd.score(known), term, *paths
    )
    return out


def _term_structure_error(bundle: Bundle, ead: LossBundle, sample: pd.DataFrame) -> float:
    """Relative standard error of the year's loss by the estimated term structure (delta method)."""
    hazard = bundle.hazard
    if hazard is None or not len(hazard.covariance) or sample.empty:
        return 0.0
    margin = bundle.ensemble.margin(sample[bundle.schema.names])
    age, left = sample["months_on_book"].to_numpy(), sample["months_left"].to_numpy()
    owed = ead.profile(sample, YEAR)

    def loss(fails: FloatArray) -> float:
        moved = hazard.with_fails(fails)
        return float((moved.marginal_pd(margin, age + left, age, YEAR) * owed).sum())

    at = np.array(hazard.fails)
    base = loss(at)
    gradient = np.array([(loss(at + STEP * e) - base) / STEP for e in np.eye(len(at))])
    covariance = np.array(hazard.covariance)
    return float(np.sqrt(gradient @ covariance @ gradient)) / base if base else 0.0

"""What each loan of a book is worth: PD, LGD, EAD, expected loss, stage, price.

Loans are valued in chunks, so that memory doesn't grow with the book. All scenarios rest on one
term structure: a scenario moves the log-odds of the PD within twelve months and of the rest of the
loan's life, and of the LGD (``portfolio.stress``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from riskwright.bundle.bundle import Bundle
from riskwright.bundle.loss_bundle import LossBundle
from riskwright.data import maturity
from riskwright.errors import InputRefused
from riskwright.portfolio import basel, pricing, staging, stress
from riskwright.portfolio.checks import FloatArray
from riskwright.portfolio.status import Status, overlay, pd_with_margin

CHUNK = 50_000
YEAR = 12
SMALLEST = 1e-9
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
        (weighted over scenarios), ``ecl_12m``, ``ecl_lifetime``, ``price``, ``price_cautious``.
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
    for start in range(0, len(book), CHUNK):
        chunk = book.iloc[start : start + CHUNK]
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
    names = [f"ecl_{s.name}" for s in weighed]
    by_scenario = {s.name: float(loans[n].sum()) for s, n in zip(weighed, names, strict=True)}
    return Valued(
        loans.drop(columns=names), np.concatenate(members, axis=1), weights, errors, by_scenario
    )


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
    # Weighted in log-odds, as the deployed PD is.
    margin = bundle.ensemble.margin(x)
    age, left = chunk["months_on_book"].to_numpy(), chunk["months_left"].to_numpy()
    term = age + left
    months = max(YEAR, int(left.max()))
    impaired = chunk["days_past_due"].to_numpy() >= staging.STAGE_3_DAYS
    share = chunk["lgd_assessed"].fillna(pd.Series(lgd.score(chunk), chunk.index)).to_numpy()
    owed = ead.profile(chunk, months)
    rows = np.flatnonzero(impaired)

    def marginal_of(of_margin: FloatArray) -> FloatArray:
        found = bundle.hazard.marginal_pd(of_margin, term, age, months)  # type: ignore[union-attr]
        found[rows] = 0.0
        found[rows, 0] = 1.0  # it has happened
        return found

    marginal = marginal_of(margin)
    year, life = marginal[:, :YEAR].sum(axis=1), np.minimum(marginal.sum(axis=1), 1.0)
    at_default = (marginal * owed)[:, :YEAR].sum(axis=1)
    mean_ead = np.where(year > SMALLEST, at_default / np.maximum(year, SMALLEST), owed[:, 0])
    mean_ead[rows] = chunk["balance"].to_numpy()[rows]
    owed[rows, 0] = mean_ead[rows]
    el = year * mean_ead * share
    members_el = np.stack(
        [(marginal_of(m) * owed)[:, :YEAR].sum(axis=1) * share for m in member_margins]
    )
    pd_status = pd_with_margin(year, status)
    life_status = pd_with_margin(life, status)
    then = _as_made(bundle, chunk, term, age, months, life)
    # What a nominal rate, paid monthly, comes to in a year.
    discount = np.expm1(YEAR * np.log1p(chunk[held.rate].to_numpy() / YEAR))
    ecl = {}
    weighted_life, weighted_then = np.zeros(len(chunk)), np.zeros(len(chunk))
    scaled: dict[str, tuple[FloatArray, FloatArray]] = {}
    for scenario in scenarios:
        soon, lost = stress.stressed(pd_status, share, scenario)
        ever, _ = stress.stressed(life_status, share, scenario)
        scaled[scenario.name] = (_scale(marginal, year, life, soon, ever), lost)
        weighted_life += scenario.weight * ever
        # Like with like: the scenarios weigh on both sides.
        weighted_then += scenario.weight * stress.stressed(then, share, scenario)[0]
    years = left / YEAR
    stage = staging.stages(
        np.clip(weighted_life, 0, 1),
        np.clip(weighted_then, 0, 1),
        years,
        chunk["days_past_due"].to_numpy(),
    )
    one_year, lifetime = np.zeros(len(chunk)), np.zeros(len(chunk))
    for scenario in scenarios:
        moved, lost = scaled[scenario.name]
        by_stage = [
            staging.expected_credit_loss(moved, owed, lost, discount, np.full(len(chunk), s))
            for s in (1, 2, 3)
        ]
        ecl[f"ecl_{scenario.name}"] = np.choose(stage - 1, by_stage)
        one_year += scenario.weight * by_stage[0]
        lifetime += scenario.weight * by_stage[1]
    weights_of = [s.weight for s in scenarios]
    booked = sum(w * v for w, v in zip(weights_of, ecl.values(), strict=True))
    el_status = pd_status * mean_ead * share
    price, cautious = _prices(bundle, share, left, life, member_margins, marginal_of)
    table = pd.DataFrame(
        {
            "balance": chunk["balance"].to_numpy(),
            "ead": mean_ead,
            "pd": year,
            "pd_lifetime": life,
            "lgd": share,
            "el": el,
            "pd_status": pd_status,
            "el_status": el_status,
            "overlay": overlay(el_status, status),
            "stage": stage,
            "ecl": booked,
            "ecl_12m": one_year,
            "ecl_lifetime": lifetime,
            "price": price,
            "price_cautious": cautious,
            **ecl,
        },
        index=chunk.index,
    )
    return table, members_el, weights


def _scale(
    marginal: FloatArray, year: FloatArray, life: FloatArray, soon: FloatArray, ever: FloatArray
) -> FloatArray:
    """The term structure, moved so that the year's PD is ``soon`` and the lifetime's ``ever``."""
    moved = marginal.copy()
    ever = np.maximum(ever, soon)
    moved[:, :YEAR] *= (soon / np.maximum(year, SMALLEST))[:, None]
    moved[:, YEAR:] *= ((ever - soon) / np.maximum(life - year, SMALLEST))[:, None]
    return moved


def _as_made(
    bundle: Bundle,
    chunk: pd.DataFrame,
    term: FloatArray,
    age: FloatArray,
    months: int,
    today: FloatArray,
) -> FloatArray:
    """Lifetime PD over the rest of the loan's life as it was seen when the loan was made."""
    known = chunk["pd_at_origination"].notna().to_numpy()
    then = today.copy()
    if known.any():
        p = chunk["pd_at_origination"].to_numpy()[known]
        margin = logit(np.clip(p, 1e-6, 1 - 1e-6))
        found = bundle.hazard.marginal_pd(margin, term[known], age[known], months)  # type: ignore[union-attr]
        then[known] = np.minimum(found.sum(axis=1), 1.0)
    return then


def _prices(
    bundle: Bundle,
    share: FloatArray,
    left: FloatArray,
    life: FloatArray,
    member_margins: FloatArray,
    marginal_of: Callable[[FloatArray], FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """The rate that a loan has to bear, by the deployed PD and by the most cautious member's."""
    held = maturity.loan_of(bundle.usecase)
    costs = held.pricing
    years = np.maximum(left, 1.0) / YEAR
    worst = np.minimum(marginal_of(member_margins.max(axis=0)).sum(axis=1), 1.0)
    out = []
    for lifetime in (life, np.maximum(worst, life)):
        p = staging.annual(np.minimum(lifetime, 1 - SMALLEST), years)
        out.append(
            pricing.required_rate(
                p,
                share,
                np.maximum(left, 1.0),
                funding=costs.funding,
                cost=costs.cost,
                capital=basel.capital_requirement(p, share, held.exposure, years),
                hurdle=costs.hurdle,
                margin=costs.margin,
            )
        )
    return out[0], out[1]


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

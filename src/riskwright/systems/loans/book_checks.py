"""Whether the loans issued so far default as the live model expects, by vintage and by grade.

What is expected of a loan is its PD, spread over its life by the bundle's hazard and cumulated to
the loan's age: so a loan counts from its first months, and none is called good before its time.
Loans that the model was trained on are left out. Loans of another population than it is trained on
(``loan.population``) are judged apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logit

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.data.contract import Contract
from riskwright.data.train_test import of_population
from riskwright.data.units import learnt
from riskwright.learn.hazard import Hazard
from riskwright.life.findings import NOT_ENOUGH, Finding, band, failed
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.history import History, Judged, defaults_by
from riskwright.systems.credit.reference import Reference
from riskwright.systems.loans.defaults import (
    ALL,
    BANDS,
    GRADE,
    RATIO_LIMIT,
    RECENT,
    TENTH,
    USUAL,
    VINTAGE,
    Check,
    Key,
    checks_of,
    corrected,
    table_of,
)
from riskwright.systems.loans.portfolio.backtests import YELLOW
from riskwright.systems.loans.status import RED_LIGHT

BLOCK = 50_000  # loans whose months are in memory together
YEAR = 12


def judge_book(
    bundle: Bundle,
    reference: Reference,
    history: History,
    trained: Callable[[], pd.DataFrame],
) -> Judged:
    """Hold the defaults so far against what the live model expects.

    The tests, of each population's loans that the model was not trained on, each kind corrected
    for the number of its tests (Holm):

    - more defaults than expected, in all, of the last twelve months of issue and by quarter: exact
      binomial against odds 1.1 times the expected ones, since no model's level is exact, and at
      least 1.2 times as many;
    - the same by grade, against the grade's own ratio in the reference: the lender's grade may know
      what the model doesn't, which is no change. Given both samples' defaults, the book's share of
      them is binomial with its share of the expected ones (the exact test of two Poisson rates,
      Przyborowski and Wilenski, Biometrika 31, 1940);
    - Hosmer and Lemeshow's over the tenths of the PD against what is expected, and over the grades
      as above, and these at least 20 % off: this one counts too few defaults as well;
    - the mix of PDs by quarter of issue against the reference's: the population stability index of
      those tenths, which is (1/n + 1/m) chi-square with nine degrees of freedom if nothing changed
      (Yurdakul and Naranjo, J. Risk Model Validation 14(4), 2020), and at least 0.25.

    The level is that of ``monitor.label_z``, two-sided. Where neither the expected nor the realised
    defaults reach ``monitor.min_bads``, there is no verdict. An alarm about more defaults than the
    worst year in twenty explains, if one factor moves all loans (``loan.rho``, or the capital
    formula's correlation), brings the finding ``red_light``.

    Parameters
    ----------
    bundle
        The live version.
    history
        The loans as of the date.
    trained
        Gives the rows that the version was trained on.

    Returns
    -------
    Judged
        Never raises: what breaks is a finding that says so.
    """
    try:
        return _judge(bundle, reference, history, trained)
    except Exception as error:  # noqa: BLE001 - the other families have their say
        return Judged([failed("book", "book", None, error)])


def _judge(
    bundle: Bundle,
    reference: Reference,
    history: History,
    trained: Callable[[], pd.DataFrame],
) -> Judged:
    usecase, held = bundle.usecase, maturity.loan_of(bundle.usecase)
    money = [name for name in usecase.outcome_names if name != held.closed]
    unread: dict[str, Any] = dict.fromkeys(money, np.nan)  # of any date, and not needed here
    raw, contract = history.raw.assign(**unread), Contract(usecase, "train")
    absent = [n for n, c in contract.columns.items() if c.required and n not in raw]
    if absent:
        return _nothing(f"the file has no {', '.join(absent[:5])}")
    if bundle.hazard is None:
        return _nothing("the live version doesn't say when loans fail: retrain it")
    frame = contract.apply(raw).accepted
    fresh = ~learnt(usecase, frame, trained())
    early = (frame[held.closed] < frame[str(usecase.time)]).to_numpy(dtype=bool)
    findings = [_misdated(frame, early)] if early.any() else []
    judged, issued = frame[fresh & ~early], len(history.raw)
    words = (
        f"{issued:,} loans issued by {history.as_of:%Y-%m-%d}; {issued - len(frame):,} break the "
        f"contract, {int((~fresh).sum()):,} were trained on, {len(judged):,} are judged by what is "
        f"known up to {history.seen:%Y-%m-%d}"
    )
    if judged.empty:
        return Judged([*findings, *_nothing(words).findings], words=words)
    loans = _loans(bundle, bundle.hazard, reference, judged, history)
    tests: list[Check] = []
    tables: dict[str, pd.DataFrame] = {}
    known_groups = _groups(usecase, reference, reference.frame, reference.pd)
    usual = pd.DataFrame({**known_groups, "pd": reference.pd, "default": reference.y})
    for name, part in loans.groupby("population"):
        theirs = usual[usual["population"] == name]
        table = table_of(usecase, part, theirs)
        tests += checks_of(usecase, str(name), part, theirs, table)
        tables[str(name)] = table
    level = 2 * float(stats.norm.sf(usecase.monitor.label_z))
    found, lights = _verdicts(tests, level, f"by {history.seen:%Y-%m-%d}")
    for name, table in tables.items():
        groups = zip(table["by"], table["group"], strict=True)
        table["light"] = [lights.get((name, *group), "") for group in groups]
    findings = sorted([*findings, *found], key=lambda f: not f.alarm)
    return Judged(findings or _nothing(words).findings, tables, words)


def _nothing(why: str) -> Judged:
    return Judged([Finding("book", "outcomes", None, NOT_ENOUGH, detail=why)])


def _misdated(frame: pd.DataFrame, early: NDArray[np.bool_]) -> Finding:
    """Return the finding for loans whose end lies before their issue."""
    what = f"{int(early.sum()):,} loans were last paid before they were issued, such as row "
    return Finding(
        "book", "outcome_before_issue", None, "alarm", "loans", float(early.sum()), 0.0,
        detail=f"{what}{frame.index[int(early.argmax())]}: left out", alarm=True,
    )  # fmt: skip


def _loans(
    bundle: Bundle,
    hazard: Hazard,
    reference: Reference,
    frame: pd.DataFrame,
    history: History,
) -> pd.DataFrame:
    """One row a loan: its groups, PD, defaults expected and realised so far."""
    usecase, held = bundle.usecase, maturity.loan_of(bundle.usecase)
    months, default = defaults_by(usecase, frame, history.seen)
    pds = bundle.score(frame, reasons="none")["pd"].to_numpy()
    margin, term = logit(np.clip(pds, 1e-6, 1 - 1e-6)), frame[held.term].to_numpy()
    expected, first_year = np.zeros(len(frame)), np.zeros(len(frame))
    for start in range(0, len(frame), BLOCK):
        some = slice(start, start + BLOCK)
        issue = np.zeros(len(term[some]))
        fails = hazard.marginal_pd(margin[some], term[some], issue, int(term[some].max()))
        lived = np.arange(1, fails.shape[1] + 1) <= months[some, None]
        expected[some] = (fails * lived).sum(axis=1)
        first_year[some] = fails[:, :YEAR].sum(axis=1)
    issued = frame[str(usecase.time)]
    return pd.DataFrame(
        {
            ALL: "all loans",
            RECENT: (issued >= history.since).map({True: "last 12 months", False: None}),
            VINTAGE: issued.dt.to_period("Q").astype("str"),
            **_groups(usecase, reference, frame, pds),
            "expected": expected,
            "first_year": first_year,
            "default": default,
            "may_show": months >= held.grace_months,
        }
    )


def _groups(
    usecase: UseCase, reference: Reference, frame: pd.DataFrame, pds: NDArray[np.float64]
) -> dict[str, pd.Series]:
    """Each loan's population, the lender's grade if there is one, and the reference's PD tenth."""
    held = maturity.loan_of(usecase)
    others = frame[list(held.population or {})].astype("str").fillna("none").agg(" ".join, axis=1)
    edges = np.quantile(reference.pd, np.arange(1, BANDS) / BANDS)
    tenth = pd.Series(1 + np.searchsorted(edges, pds, side="right"), frame.index)
    groups = {
        "population": others.mask(of_population(usecase, frame), USUAL),
        TENTH: tenth.map("PD tenth {:02}".format),
    }
    return groups | ({GRADE: frame[held.grade].fillna("none")} if held.grade in frame else {})


def _verdicts(tests: list[Check], level: float, when: str) -> tuple[list[Finding], dict[Key, str]]:
    """Correct the p-values and judge: a finding for each test, a light for each group of loans."""
    findings: list[Finding] = []
    lights: dict[Key, str] = {}
    any_outcome = any(t.enough and t.of_defaults for t in tests)
    adjusted = corrected(tests, [t.p for t in tests])
    bad_year = corrected(tests, [t.bad_year_p for t in tests])
    for test, p, shared in zip(tests, adjusted, bad_year, strict=True):
        alarm = bool(test.enough and p < level and test.value >= test.limit)
        whose = test.column or "all loans"
        detail = f"{whose} {when}: {test.words} (limit {test.limit:g}; corrected p {p:.2g}, "
        detail += f"limit {level:.2g})"
        if test.of_defaults:
            lights[test.key] = "green" if test.enough else "too few"
            if alarm:
                lights[test.key] = "red" if shared < YELLOW else "amber"
                detail += f"; if all loans share a bad year, corrected p {shared:.2g}"
        findings.append(
            Finding(
                "book",
                test.code,
                test.column,
                "alarm" if alarm else "ok" if test.enough and any_outcome else NOT_ENOUGH,
                test.statistic,
                test.value,
                test.limit,
                test.p,
                test.value,
                detail,
                alarm,
                band=band(test.value - 1, RATIO_LIMIT - 1) if test.of_defaults else None,
            )
        )
    red = [t.column or "all loans" for t in tests if lights.get(t.key) == "red" and t.of_defaults]
    if red:
        what = f"more defaults than the worst year in {1 / YELLOW:.0f} explains: {', '.join(red)}"
        findings.append(
            Finding(
                "book", RED_LIGHT, None, "alarm", "groups", float(len(red)), 0.0, detail=what,
                alarm=True,
            )
        )  # fmt: skip
    return findings, lights

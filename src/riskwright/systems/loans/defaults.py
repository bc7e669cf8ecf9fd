"""Expected and realised defaults of groups of loans, and the tests of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.stats.calibration import hosmer_lemeshow
from riskwright.stats.several import holm
from riskwright.systems.loans.portfolio.backtests import by_grade, stability
from riskwright.systems.loans.portfolio.basel import correlation

USUAL = "standard"  # the population that the model was trained on
# Models fitted on 8,000 loans are 6 % off in level (sd, benchmarks/book_alarms.py): the odds of
# default may be a tenth higher before chance is asked.
TOLERANCE = 1.10
RATIO_LIMIT = 1.20  # defaults over expected ones
GROUPS_LIMIT = 0.20  # how far the groups' defaults are off, as a share of all that are expected
MIX_LIMIT = 0.25  # population stability index: by convention a shift
BANDS = 10  # of the PD, whose mix is compared
LEAST_EXPECTED = 5.0  # defaults in a group, or Hosmer and Lemeshow's test leaves it out
ALL, RECENT, VINTAGE, GRADE, TENTH = "all", "recent", "vintage", "grade", "tenth"

Key = tuple[str, str, str]  # population, by, group


@dataclass(frozen=True)
class Check:
    """One test: a p-value, a size with its limit, and whether there is enough to judge by."""

    code: str
    key: Key
    statistic: str
    value: float
    limit: float
    p: float
    enough: bool
    words: str
    bad_year_p: float = 1.0

    @property
    def of_defaults(self) -> bool:
        """Whether it counts defaults: these have lights."""
        return self.code.endswith("_defaults")

    @property
    def column(self) -> str | None:
        """Which loans it is about, as findings name it; None for all of the usual ones."""
        population, by, group = self.key
        return " ".join([population] * (population != USUAL) + [group] * (by != ALL)) or None


def table_of(usecase: UseCase, part: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Count the defaults so far of loans that are old enough to be in default.

    Parameters
    ----------
    part
        Loans of one population: their groups ``all``, ``recent`` (missing for older ones),
        ``vintage``, ``grade`` (if there are grades) and ``tenth``; ``expected``, ``first_year``,
        ``default``, ``may_show``.
    theirs
        The reference's of the same population: ``grade``, ``tenth``, ``pd``, ``default``.

    Returns
    -------
    DataFrame
        One row for each group (``by``, ``group``), with ``loans``, ``defaults``, ``expected``,
        ``ratio``, the p-values of ``backtests.by_grade``, and what the group is tested against:
        ``usual`` defaults, binomial with ``trials`` and ``share``. Of a grade that is by its
        ``known_defaults`` and ``known_expected`` in the reference, to each of which
        ``monitor.min_bads`` are added: a grade that the reference hardly holds is taken to do as
        expected.
    """
    held, least = maturity.loan_of(usecase), usecase.monitor.min_bads
    rho = held.rho
    if rho is None:
        rho = float(correlation(part["first_year"].mean(), held.exposure))
    old = part[part["may_show"]]
    tables = {}
    divisions = [b for b in (GRADE, TENTH) if b in part and b in theirs]
    for by in (ALL, RECENT, VINTAGE, *divisions):
        loans = old[old[by].notna()]
        table = by_grade(loans[by], loans["expected"], loans["default"], rho=rho).sort_index()
        table["expected"] = table["usual"] = table["loans"] * table["mean_pd"]
        table["trials"], table["share"] = table["loans"], table["mean_pd"]
        if by == GRADE:
            known = theirs.groupby(by)[["default", "pd"]].sum().reindex(table.index).fillna(0.0)
            table["known_defaults"], table["known_expected"] = known["default"], known["pd"]
            known += least
            table["usual"] = table["expected"] * known["default"] / known["pd"]
            table["trials"] = table["defaults"] + known["default"]
            table["share"] = table["expected"] / (table["expected"] + known["pd"])
        tables[by] = table
    table = pd.concat(tables, names=["by", "group"]).reset_index()
    table["ratio"] = table["defaults"] / table["expected"]
    return table.drop(columns=["light", "correlated_light"])


def checks_of(
    usecase: UseCase,
    population: str,
    part: pd.DataFrame,
    theirs: pd.DataFrame,
    table: pd.DataFrame,
) -> Iterator[Check]:
    """Yield the tests of one population; see ``book.judge_book``.

    Parameters
    ----------
    part, theirs, table
        As ``table_of`` takes and returns them.
    """
    least = usecase.monitor.min_bads
    for row in table[table["by"] != TENTH].to_dict("records"):
        d, value, known = row["defaults"], row["defaults"] / row["usual"], ""
        tolerated = TOLERANCE * row["share"]
        if row["by"] == GRADE:
            known = f" ({row['known_defaults']:,.0f} where {row['known_expected']:,.1f} in the "
            known += "reference)"
        yield Check(
            f"{row['by']}_defaults",
            (population, row["by"], row["group"]),
            "defaults over expected" + " against the reference's" * bool(known),
            float(value),
            RATIO_LIMIT,
            float(stats.binom.sf(d - 1, row["trials"], tolerated / (1 - row["share"] + tolerated))),
            bool(max(d, row["expected"]) >= least),
            f"{d:,.0f} of {row['loans']:,.0f} loans are in default where "
            f"{row['expected']:,.1f} are expected{known}: {value:.2f} times as many",
            row["correlated_p"],
        )
    for by, what in ((GRADE, "grades"), (TENTH, "PD tenths")):
        yield from _over(population, by, what, table[table["by"] == by], least)
    yield from _mix(usecase, population, part, theirs)


def _over(population: str, by: str, what: str, groups: pd.DataFrame, least: int) -> Iterator[Check]:
    """Test all groups that expect five defaults at once (Hosmer and Lemeshow)."""
    groups = groups[groups["expected"] >= LEAST_EXPECTED]
    if groups.empty:
        return
    d, usual = groups["defaults"], groups["usual"]
    found = hosmer_lemeshow(d, groups["trials"], groups["share"])
    off = float((d - usual).abs().sum() / usual.sum())
    yield Check(
        "hosmer_lemeshow",
        (population, what, what),
        f"share that the {what} are off",
        off,
        GROUPS_LIMIT,
        found.p_value,
        bool(max(d.sum(), usual.sum()) >= least),
        f"{d.sum():,.0f} loans are in default where {usual.sum():,.1f} are expected"
        f"{' by the reference' * (by == GRADE)}; the {what} are {off:.0%} off, either way "
        f"(Hosmer-Lemeshow {found.statistic:.1f}, {found.degrees} degrees of freedom)",
    )


def _mix(
    usecase: UseCase, population: str, part: pd.DataFrame, theirs: pd.DataFrame
) -> Iterator[Check]:
    base = "reference"
    if theirs.empty:
        return
    vintage = np.concatenate([part["vintage"], np.full(len(theirs), base)])
    mixes = stability(np.concatenate([part[TENTH], theirs[TENTH]]), vintage, base).drop(base)
    sizes = part["vintage"].value_counts()
    for quarter, psi in mixes.items():
        n, m = int(sizes[str(quarter)]), len(theirs)
        yield Check(
            "vintage_mix",
            (population, VINTAGE, str(quarter)),
            "population stability index",
            psi,
            MIX_LIMIT,
            float(stats.chi2.sf(psi * n * m / (n + m), BANDS - 1)),
            min(n, m) >= usecase.monitor.min_rows,
            f"the mix of PDs of {n:,} loans has an index of {psi:.3f} against the reference's",
        )


def corrected(checks: list[Check], p: list[float]) -> list[float]:
    """Return p-values corrected for the number of checks of the same kind (Holm)."""
    out = dict[int, float]()
    for code in {check.code for check in checks}:
        same = [i for i, check in enumerate(checks) if check.code == code]
        out |= zip(same, holm([p[i] for i in same]).tolist(), strict=True)
    return [out[i] for i in range(len(checks))]

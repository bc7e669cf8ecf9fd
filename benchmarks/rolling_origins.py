"""Lending Club as a lender would have lived it: forecasts by quarter, 2009 to 2011, and what came.

    python benchmarks/rolling_origins.py [--data ../shared/data] [--origins 2010Q1 2011Q4]
        [--json FILE] [--plot FILE.png]

On the first day of each quarter the models are fitted on what was known that day, and the loans of
the quarter are forecast: the share that will ever be charged off, and the loss as a share of the
money lent, with 90 % predictive intervals. Then both are held against what became of them.

What was known. A loan failed in the month of its last payment, and that is known ``grace_months``
(4) later. So nothing of the last four months is used, of good loans neither: survival is seen up to
the fifth month before the origin. Recoveries are known ``recovery_months`` (12) after the default.
(Which loans lie outside the credit policy is taken as known; the source says it in their status.)

Each population is forecast from its own past, and not before 30 of its loans are known to have
failed ("not estimable" until then): 36 months, within the credit policy and outside it. Loans of 60
months (issued from 2010-05, nobody had seen an old one) are shown apart: their hazards are fitted
on both terms together in relative age, so *month k of 60 is extrapolated from month 0.6 k of 36*,
at the level of the 60-month loans seen so far.

The model. The use case's logistic regression and boosted trees (``--families``), bagged over five
folds and weighted, rank loans by "failed within the months seen" (loans seen for six months or
more). Two competing monthly hazards (``models.hazard``) turn the out-of-fold ranking into a
lifetime PD, loans that are still there censored. Beyond the age that 100 loans have passed the
hazards are held where they were last seen. The LGD is drawn from the known ones, by money owed; the
EAD is the measured ratio to the schedule (``models.exposure``). With fewer than 30 known recoveries
none is counted on: an LGD of 1.

The interval holds, by simulation: chance (each loan, its month, its recovery), the error of the
parameters (hazards, LGD and EAD refitted on resampled loans; the ranking isn't), and a year effect
shared by all loans of a quarter: a Gaussian factor for the whole of their life. Two of them:

* ``basel``, the one that counts: the capital formula's correlation for other retail loans, at the
  mean 12-month PD. Nothing of it is fitted. The reason: all that a young lender has seen lived
  through the same year or two, so his own loans can't tell how much years differ.
* ``learnt``: what they would tell. Correlation and a common shift of the level from how far the
  earlier quarters' known failures lay from the model's (binomial about the factor, flat priors).

Both were looked at before ``basel`` was put in front, so both are always told.

Coverage is counted over quarters and over months of issue. Its binomial interval takes vintages for
independent; they live through the same years, so the truth is wider. To explain what came:
``exp. if known`` is the expected rate with the early repayment that came, so that what is left is
the hazard of failing itself; ``size of failed`` is the mean loan that failed over the mean loan.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from riskwright.home import Home, quiet_environment

os.environ.setdefault("RISKWRIGHT_HOME", tempfile.mkdtemp(prefix="riskwright-bench-"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small fits: threads would wait for each other
quiet_environment(Home())

import numpy as np  # noqa: E402  (the environment comes first)
import pandas as pd  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402
from rolling_forecast import YEARS, Loans, known, learn, predict  # noqa: E402
from scipy.stats import beta  # noqa: E402

from riskwright.case.usecase import UseCase  # noqa: E402
from riskwright.data import maturity  # noqa: E402
from riskwright.data.ingest import ingest  # noqa: E402
from riskwright.data.train_test import usable  # noqa: E402
from riskwright.store import snapshots  # noqa: E402
from riskwright.systems.credit.case import load_usecase  # noqa: E402

FILE = "lending_club/lending_club_2007_2011.csv.gz"
FIRST, LAST = "2009Q1", "2011Q4"
POPULATIONS = {  # policy, term, and the terms that it learns from
    "36 standard": ("standard", 36, (36,)),
    "36 exception": ("exception", 36, (36,)),
    "60 standard": ("standard", 60, (36, 60)),
    "60 exception": ("exception", 60, (36, 60)),
}
SHOWN = "basel"
MEASURES = {"rate": "charged off", "loss": "loss of money lent"}
COVERAGE = 0.9
console = Console(stderr=True)


def main() -> int:
    """Forecast and compare; print a table for each population, the coverage and the misses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("RISKWRIGHT_SHARED", "../shared/data"))
    quarters = [str(q) for q in pd.period_range(FIRST, LAST, freq="Q")]
    parser.add_argument("--origins", nargs="*", default=quarters, metavar="2009Q1")
    parser.add_argument("--families", nargs="*", default=["logistic", "xgboost"])
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--plot", type=Path, default=None)
    given = parser.parse_args()
    started = time.monotonic()
    usecase = load_usecase("loan_book")
    # Both populations are forecast here, each from its own past.
    everyone = maturity.loan_of(usecase).model_copy(update={"population": None})
    usecase = usecase.model_copy(update={"loan": everyone})
    found = ingest(usecase, str(Path(given.data) / FILE), Home().create())
    frame = usable(usecase, snapshots.read(found.clean, Home())).reset_index(drop=True)
    loans = Loans.of(usecase, frame)
    rows: list[dict[str, Any]] = []
    for origin in track(given.origins, "origins", console=console):
        for population in POPULATIONS:
            rows += forecast(usecase, loans, population, pd.Period(origin, "Q"), given.families)
    table = pd.DataFrame(rows)
    for population, part in table[table["months"] == 3].groupby("population", sort=False):
        show(str(population), part)
    told = table[table["estimable"] == ""]
    coverage = covered(told)
    show_coverage(coverage)
    show_misses(told)
    print(f"{time.monotonic() - started:.0f} s; families {', '.join(given.families)}", flush=True)
    if given.json:
        result = {"vintages": rows, "coverage": coverage}
        given.json.write_text(json.dumps(result, indent=1, default=float))
    if given.plot:
        plot(told[told["months"] == 3], given.plot)
    return 0


def forecast(
    usecase: UseCase, loans: Loans, population: str, origin: pd.Period, families: list[str]
) -> list[dict[str, Any]]:
    """Return a row for the quarter (all that there is if it isn't estimable) and each month."""
    policy, term, terms = POPULATIONS[population]
    alike = (loans.frame["policy"] == policy).to_numpy()
    issued = loans.frame[usecase.time].dt.to_period("M")
    quarter = (issued.dt.asfreq("Q") == origin).to_numpy()
    new = np.flatnonzero(alike & (loans.term == term) & quarter)
    if not len(new):
        return []
    base = {"population": population, "origin": str(origin), "estimable": ""}
    whole = base | {"vintage": str(origin), "months": 3} | realised(loans, new)
    past = known(usecase, loans, alike & np.isin(loans.term, terms), origin.start_time)
    learnt = learn(usecase, loans, past, term, families)
    if isinstance(learnt, str):
        return [whole | {"estimable": learnt}]
    months, part = np.unique(issued.iloc[new].astype(str), return_inverse=True)
    drawn = predict(usecase, loans, new, part, learnt)
    base |= learnt.facts | drawn.pop("facts") | {"early_came": whole["early_realised"]}
    rows = [base | whole | against(loans, new, {k: v.sum(axis=1) for k, v in drawn.items()})]
    for i, month in enumerate(months):
        mine = new[part == i]
        row = base | {"vintage": str(month), "months": 1} | realised(loans, mine)
        rows.append(row | against(loans, mine, {k: v[:, i] for k, v in drawn.items()}))
    return rows


def realised(loans: Loans, rows: np.ndarray) -> dict[str, Any]:
    """What became of a vintage."""
    failed = loans.failed[rows]
    lost = np.where(failed, loans.owed[rows] * np.nan_to_num(loans.lgd[rows]), 0.0)
    owed = float(loans.owed[rows][failed].sum())
    early = ~failed & (loans.paid[rows] < loans.term[rows])
    lent = float(loans.amount[rows].sum())
    return {
        "loans": len(rows),
        "lent": lent,
        "rate_realised": float(failed.mean()),
        "loss_realised": float(lost.sum() / lent),
        "lgd_realised": float(lost.sum() / owed) if owed else np.nan,
        "early_realised": float(early.mean()),
        "size_realised": float(loans.amount[rows][failed].sum() / max(failed.sum(), 1) * len(rows))
        / lent,
    }


def against(loans: Loans, rows: np.ndarray, drawn: dict[str, np.ndarray]) -> dict[str, Any]:
    """Expected figures, their intervals, and whether what came is inside."""
    truth = realised(loans, rows)
    out: dict[str, Any] = {}
    for measure in MEASURES:
        unit = len(rows) if measure == "rate" else truth["lent"]
        for year in YEARS:
            values = drawn[f"{measure}_{year}"] / unit
            low, high = np.quantile(values, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
            out[f"{measure}_expected_{year}"] = float(values.mean())
            out[f"{measure}_low_{year}"], out[f"{measure}_high_{year}"] = float(low), float(high)
            out[f"{measure}_inside_{year}"] = bool(low <= truth[f"{measure}_realised"] <= high)
    return out


def covered(told: pd.DataFrame) -> list[dict[str, Any]]:
    """Coverage by population, kind of vintage, measure and year effect; 60 months stay apart."""
    groups = {name: told["population"] == name for name in POPULATIONS}
    groups = {"36, both": told["population"].str.startswith("36"), **groups}
    rows: list[dict[str, Any]] = []
    for (name, mine), months, measure, year in itertools.product(
        groups.items(), (3, 1), MEASURES, YEARS
    ):
        part = told[mine & (told["months"] == months)]
        n = len(part)
        if not n:
            continue
        k = int(part[f"{measure}_inside_{year}"].sum())
        expected, came = part[f"{measure}_expected_{year}"], part[f"{measure}_realised"]
        width = part[f"{measure}_high_{year}"] - part[f"{measure}_low_{year}"]
        low, high = beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)
        rows.append(
            {
                "population": name,
                "vintages": "quarters" if months == 3 else "months",
                "measure": measure,
                "year effect": year,
                "n": n,
                "inside": k,
                "coverage": k / n,
                "low": float(low) if k else 0.0,
                "high": float(high) if k < n else 1.0,
                "width": float((width / expected).mean()),
                "realised_over_expected": float(
                    (came * part["lent"]).sum() / (expected * part["lent"]).sum()
                ),
            }
        )
    return rows


def show(population: str, part: pd.DataFrame) -> None:
    """Print a population's quarters."""
    table = Table(title=f"{population}: per cent; came, expected, 90 % interval (learnt)")
    heads = ["quarter", "loans", "failures known", "held from month", "AUC"]
    for words in MEASURES.values():
        heads += [words, "exp.", "basel", "learnt", ""]
    heads += ["LGD (exp.)", "size of failed (exp.)", "repaid early (exp.)", "exp. if known"]
    for head in heads:
        table.add_column(head)
    for row in part.to_dict("records"):
        cells = [row["vintage"], f"{row['loans']:,}"]
        came = {m: f"{100 * row[f'{m}_realised']:.1f}" for m in MEASURES}
        if row["estimable"]:
            empty = ["?", "not estimable", "", ""]
            table.add_row(*cells, row["estimable"], "", "", came["rate"], *empty, came["loss"])
            continue
        cells += [f"{row['failures_known']:.0f}", f"{row['held_from_month']:.0f}"]
        cells.append(f"{row['auc_new']:.2f}")
        for m in MEASURES:
            cells += [came[m], f"{100 * row[f'{m}_expected_{SHOWN}']:.1f}"]
            cells += [interval(row, m, year) for year in YEARS]
            cells.append("" if row[f"{m}_inside_{SHOWN}"] else "MISS")
        for name in ("lgd", "size", "early"):
            cells.append(
                f"{100 * row[f'{name}_realised']:.0f} ({100 * row[f'{name}_expected']:.0f})"
            )
        table.add_row(*cells, f"{100 * row['rate_given_repayment']:.1f}")
    Console(width=190).print(table)


def interval(row: dict[str, Any], measure: str, year: str) -> str:
    """A 90 % interval in per cent."""
    low, high = (100 * row[f"{measure}_{side}_{year}"] for side in ("low", "high"))
    return f"{low:.1f}-{high:.1f}"


def show_coverage(coverage: list[dict[str, Any]]) -> None:
    """Print how often what came was inside."""
    table = Table(
        title="coverage of 90 % intervals (95 % interval as if vintages were independent)"
    )
    for head in ("population", "vintages", "measure", "year effect", "inside", "coverage",
                 "width / expected", "came / expected"):  # fmt: skip
        table.add_column(head)
    for row in coverage:
        table.add_row(
            *(str(row[c]) for c in ("population", "vintages", "measure", "year effect")),
            f"{row['inside']} of {row['n']}",
            f"{row['coverage']:.0%} ({row['low']:.0%} to {row['high']:.0%})",
            f"{row['width']:.2f}",
            f"{row['realised_over_expected']:.2f}",
        )
    Console(width=160).print(table)


def show_misses(told: pd.DataFrame) -> None:
    """Name each vintage outside its interval, and what was otherwise than expected."""
    for row, (measure, words) in itertools.product(told.to_dict("records"), MEASURES.items()):
        if row[f"{measure}_inside_{SHOWN}"]:
            continue
        print(
            f"missed: {row['population']} {row['vintage']} ({row['loans']} loans): {words} "
            f"{100 * row[f'{measure}_realised']:.1f} %, interval {interval(row, measure, SHOWN)}; "
            f"charged off {100 * row['rate_realised']:.1f} % "
            f"({100 * row[f'rate_expected_{SHOWN}']:.1f} expected), LGD {row['lgd_realised']:.2f} "
            f"({row['lgd_expected']:.2f}), size of failed {row['size_realised']:.2f} "
            f"({row['size_expected']:.2f}); of the quarter: repaid early {row['early_came']:.0%} "
            f"({row['early_expected']:.0%}), {100 * row['rate_given_repayment']:.1f} % expected "
            "had that been known"
        )


def plot(told: pd.DataFrame, path: Path) -> None:
    """Draw what was expected and what came, by quarter."""
    from riskwright.stats.figures import BLUE, ORANGE, RED, headline, new_figure, save_figure

    names = list(told["population"].unique())
    figure = new_figure((9, 3.2 * len(names)))
    for axes, name in zip(figure.subplots(len(names), 2, squeeze=False), names, strict=True):
        part = told[told["population"] == name]
        when = pd.PeriodIndex(part["vintage"], freq="Q").to_timestamp()
        for axis, (measure, words) in zip(axes, MEASURES.items(), strict=True):
            low, high = (100 * part[f"{measure}_{side}_{SHOWN}"] for side in ("low", "high"))
            expected = 100 * part[f"{measure}_expected_{SHOWN}"]
            axis.errorbar(when, expected, yerr=[expected - low, high - expected], fmt="o",
                          color=BLUE, capsize=3, label="expected, 90 % interval")  # fmt: skip
            inside = part[f"{measure}_inside_{SHOWN}"].to_numpy(dtype=bool)
            came = 100 * part[f"{measure}_realised"].to_numpy()
            axis.plot(when, came, "x-", color=ORANGE, label="came")
            axis.plot(when[~inside], came[~inside], "x", color=RED, ms=9, label="missed")
            axis.set(ylabel=f"{words} (%)", ylim=(0, None))
            axis.tick_params(axis="x", rotation=45)
            headline(axis, f"{name}: {inside.sum()} of {len(inside)} quarters inside", words)
        axes[0].legend(frameon=False)
    save_figure(figure, path)


if __name__ == "__main__":
    sys.exit(main())

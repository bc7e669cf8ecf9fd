"""The expected loss of a lender's real book, and what it lost in the year that followed.

    python benchmarks/book_years.py [--data ../shared/data] [--origins 2010-01 2011-01 …]
        [--window 12] [--families logistic xgboost] [--json FILE]

On each origin the models are fitted as a retrain does it (``book_coverage.fitted_on``) on Lending
Club's loans as they were known that day: what was issued later isn't there, what ended later is
open, a loan that had stopped paying is in default only after its months of grace, and recoveries
count after ``loan.recovery_months``. (Which loans lie outside the credit policy is taken as known.)
Then the live loans within the policy are valued as ``riskwright portfolio`` does it, and its 95 %
interval of the expected loss is held against what the loans in default within the next twelve
months really lost. Twice: by what the models don't know alone, and with the level of the year.

A realised loss also holds the luck of single loans, which the interval leaves out: ``chance`` is
its relative standard deviation by the binomial, for comparison.

``between years`` is what the years themselves say of the level: the mean and the standard deviation
of log(came / expected), chance taken off, and how far Student's t for so few years reaches.
"""

from __future__ import annotations

import argparse
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
from book_coverage import fitted_on  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from scipy.stats import t as student  # noqa: E402

from riskwright.case.usecase import UseCase  # noqa: E402
from riskwright.data import maturity  # noqa: E402
from riskwright.data.ingest import ingest  # noqa: E402
from riskwright.data.train_test import of_population  # noqa: E402
from riskwright.errors import InputRefused  # noqa: E402
from riskwright.store import snapshots  # noqa: E402
from riskwright.systems.credit.case import load_usecase  # noqa: E402
from riskwright.systems.credit.history import as_known  # noqa: E402
from riskwright.systems.loans.book import read_book  # noqa: E402
from riskwright.systems.loans.loss import lgd_of  # noqa: E402
from riskwright.systems.loans.portfolio import basel, stress  # noqa: E402
from riskwright.systems.loans.portfolio.expected import LEVEL, el_interval, level_error  # noqa: E402
from riskwright.systems.loans.valuation import value_loans  # noqa: E402

FILE = "lending_club/lending_club_2007_2011.csv.gz"
YEAR = 12


def main() -> int:
    """Fit, value and compare; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("RISKWRIGHT_SHARED", "../shared/data"))
    parser.add_argument("--origins", nargs="*", default=[f"{y}-01" for y in range(2010, 2016)])
    parser.add_argument("--window", type=int, default=YEAR, help="loan.window_months")
    parser.add_argument("--families", nargs="*", default=["logistic", "xgboost"])
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    started, file = time.monotonic(), str(Path(given.data) / FILE)
    usecase = load_usecase("loan_book")
    held = maturity.loan_of(usecase).model_copy(update={"window_months": given.window})
    chosen = {n: f for n, f in usecase.families.items() if n in given.families}
    usecase = usecase.model_copy(
        update={"families": chosen, "baseline": next(iter(chosen)), "loan": held}
    )
    home = Home().create()
    whole = snapshots.read(ingest(usecase, file, home).clean, home)
    rows = []
    for origin in given.origins:
        day = pd.Timestamp(f"{origin}-01")
        try:
            rows.append({"origin": origin} | year(usecase, home, whole, file, day))
        except InputRefused as error:
            print(f"{origin}: not estimable: {error}", flush=True)
            continue
        print(json.dumps(rows[-1], default=float), file=sys.stderr, flush=True)
    table = pd.DataFrame(rows)
    between = between_years(table)
    show(table)
    print(f"between years: {json.dumps(between)}")
    print(
        f"{time.monotonic() - started:.0f} s; window {given.window} months; "
        f"families {', '.join(given.families)}"
    )
    if given.json:
        plain = {"years": rows, "between": between}
        given.json.write_text(json.dumps(plain, indent=1, default=float))
    return 0


def year(
    usecase: UseCase, home: Home, whole: pd.DataFrame, file: str, day: pd.Timestamp
) -> dict[str, Any]:
    """Fit on what was known on a day, value the book, and hold it against the year after."""
    then = as_known(usecase, whole[whole[str(usecase.time)] < day], day)
    known = snapshots.write(then, home, kind="clean", parents=(), meta={})
    models = fitted_on(usecase, home, known, 1, f"fit {day:%F}")
    book = read_book(usecase, file, day.date()).frame
    book = book[of_population(usecase, book)]
    weighed = stress.outlooks(maturity.loan_of(usecase))
    valued = value_loans(*models, book, status="green", scenarios=weighed)
    loans = valued.loans
    rho = basel.correlation(loans["pd"], maturity.loan_of(usecase).exposure)
    moves = np.where(loans["stage"] < 3, rho, 0.0)
    level = level_error(loans["ead"], loans["pd"], loans["lgd"], moves)
    worth = (loans["el"], valued.members_el, valued.weights)
    el, model_low, model_high = el_interval(*worth, valued.errors)
    _, low, high = el_interval(*worth, {**valued.errors, "level": level})
    # Which of these loans were in default within the year, and what that cost.
    ends = whole.loc[book.index]
    failed = (ends[usecase.target.column] == usecase.target.bad).to_numpy()
    held = maturity.loan_of(usecase)
    month = maturity.default_month(held, ends, str(usecase.time)) - book["months_on_book"]
    failed = failed & (month <= YEAR).to_numpy()
    lost = np.where(failed, maturity.owed_at_default(usecase, ends) * lgd_of(usecase, ends), 0.0)
    money = loans["ead"] * loans["lgd"]
    return {
        "loans": len(book),
        "balance": float(loans["balance"].sum()),
        "defaults": int(failed.sum()),
        "defaults_expected": float(loans["pd"].sum()),
        "lgd": float(lost.sum() / maturity.owed_at_default(usecase, ends)[failed].sum()),
        "lgd_expected": float(loans["el"].sum() / (loans["pd"] * loans["ead"]).sum()),
        "el": el,
        "low": low,
        "high": high,
        "model_low": model_low,
        "model_high": model_high,
        "came": float(lost.sum()),
        "level": level,
        "chance": float(np.sqrt((loans["pd"] * (1 - loans["pd"]) * money**2).sum())) / el,
        **{f"error_{name}": value for name, value in valued.errors.items()},
    }


def between_years(table: pd.DataFrame) -> dict[str, float]:
    """What the years say of the level: log(came / expected), chance taken off its variance."""
    off = np.log(table["came"] / table["el"])
    n = len(off)
    spread = float(np.sqrt(max(off.var(ddof=1) - (table["chance"] ** 2).mean(), 0.0)))
    reach = float(student.ppf((1 + LEVEL) / 2, n - 1)) * spread * np.sqrt(1 + 1 / n)
    inside = ((table["low"] <= table["came"]) & (table["came"] <= table["high"])).sum()
    models = ((table["model_low"] <= table["came"]) & (table["came"] <= table["model_high"])).sum()
    return {
        "years": n,
        "inside": int(inside),
        "inside_models_alone": int(models),
        "mean": float(off.mean()),
        "deviation": spread,
        "stated": float(table["level"].mean()),
        "t_reach": float(reach),
    }


def show(table: pd.DataFrame) -> None:
    """Print the years below each other."""
    out = Table(title=f"expected loss of the live loans, {LEVEL:.0%} interval, and what came")
    for head in ("origin", "loans", "defaults (exp.)", "LGD (exp.)", "expected", "interval",
                 "models alone", "came", "came / exp.", "inside", "chance"):  # fmt: skip
        out.add_column(head)
    for row in table.to_dict("records"):
        out.add_row(
            row["origin"],
            f"{row['loans']:,}",
            f"{row['defaults']:,} ({row['defaults_expected']:,.0f})",
            f"{row['lgd']:.2f} ({row['lgd_expected']:.2f})",
            f"{row['el'] / 1e6:.2f}M",
            f"{row['low'] / 1e6:.2f}-{row['high'] / 1e6:.2f}M",
            f"{row['model_low'] / 1e6:.2f}-{row['model_high'] / 1e6:.2f}M",
            f"{row['came'] / 1e6:.2f}M",
            f"{row['came'] / row['el']:.2f}",
            "yes" if row["low"] <= row["came"] <= row["high"] else "NO",
            f"{row['chance']:.1%}",
        )
    Console(width=150).print(out)


if __name__ == "__main__":
    sys.exit(main())

"""Expected loss, its interval and the loss distribution, on simulated books whose truth is known.

    python benchmarks/book_coverage.py [--books 200] [--fits 1] [--families logistic xgboost …]

Models are fitted as a retrain does it (PD with its timing, LGD, EAD, on the training part of
simulated loans that came through the contract). Then books of live loans are simulated afresh,
valued as ``riskwright portfolio`` does it (``bundle.valuation``), and each is drawn one more year:

* ``no change``: fitted on loans without change, judged on such books;
* ``recession, fitted before it``: the same models on books of loans that fail half as often again
  and are cured less: what a model does that hasn't heard of it;
* ``recession, fitted in it``: fitted on loans of such a time.

For each: the bias of the twelve months' expected loss against the true one (with its standard
error over books) and of its parts, PD, EAD and LGD; how often the 95 % interval of the expected
loss holds the true one; against the drawn year, the mean and how often the middle 90 % of the loss
distribution hold it, with the simulator's own correlation and with the capital formula's.

The interval that ``portfolio`` shows carries the level of the year as well (``level_error``): it is
held against the losses of 25 more years of each book, whose level moves (``loan_book.RHO``).

The interval without it is about the error of the models, and one fit has one error: over its 200
books the interval nearly always holds, or nearly never. Its coverage in the usual sense is that
over many fits (``--fits 20 --books 5``): coverage is then counted by book, its standard error by
fit, and the standard error that the interval states stands beside the spread of the bias over fits.
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

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small fits: threads would wait for each other

from riskwright.home import Home, quiet_environment

quiet_environment(Home())

import numpy as np  # noqa: E402  (the environment comes first)
import pandas as pd  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402
from scipy.special import ndtri  # noqa: E402

from riskwright.case.usecase import UseCase  # noqa: E402
from riskwright.data import loan_book, simulators, train_test  # noqa: E402
from riskwright.data.ingest import ingest  # noqa: E402
from riskwright.store import snapshots  # noqa: E402
from riskwright.systems.credit.bundle import Bundle  # noqa: E402
from riskwright.systems.credit.candidates import fit_family, join, load_candidate, load_hazard  # noqa: E402
from riskwright.systems.credit.case import load_usecase  # noqa: E402
from riskwright.systems.loans.book import read_book  # noqa: E402
from riskwright.systems.loans.exposure import Exposure  # noqa: E402
from riskwright.systems.loans.loss import fit_loss  # noqa: E402
from riskwright.systems.loans.loss_bundle import LossBundle  # noqa: E402
from riskwright.systems.loans.loss_evidence import judge_loss  # noqa: E402
from riskwright.systems.loans.portfolio import basel, losses  # noqa: E402
from riskwright.systems.loans.portfolio.expected import LEVEL, el_interval, level_error  # noqa: E402
from riskwright.systems.loans.portfolio.stress import SCENARIOS  # noqa: E402
from riskwright.systems.loans.severity import Severity  # noqa: E402
from riskwright.systems.loans.valuation import value_loans  # noqa: E402

SETTINGS = {  # scenario fitted in, scenario judged in
    "no change": ("none", "none"),
    "recession, fitted before it": ("none", "recession"),
    "recession, fitted in it": ("recession", "recession"),
}
CORRELATIONS = {"simulator's": loan_book.RHO, "Basel's": None}
BAND = 0.9
SCENARIOS_DRAWN = 2000
YEARS_DRAWN = 25  # of each book, against the interval that carries the level of the year
Models = tuple[Bundle, LossBundle, LossBundle]
console = Console(stderr=True)


def main() -> int:
    """Fit, draw and compare; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=1, help="of each scenario, on other loans")
    parser.add_argument("--books", type=int, default=200, help="for each fit")
    parser.add_argument("--rows", type=int, default=8000, help="loans to fit on")
    parser.add_argument("--loans", type=int, default=4000, help="in a book, before those over go")
    parser.add_argument("--families", nargs="*", default=["logistic", "xgboost"])
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    started, rows = time.monotonic(), []
    for fit in range(given.fits):
        models = {
            s: fitted(s, given.rows, 100 + fit, given.families) for s in ("none", "recession")
        }
        with tempfile.TemporaryDirectory() as folder:
            for number in track(range(given.books), f"fit {fit + 1}", console=console):
                seed = 10_000 * (fit + 1) + number
                for scenario in ("none", "recession"):
                    book = drawn(models["none"][0].usecase, scenario, given.loans, seed, folder)
                    for setting, (known, judged) in SETTINGS.items():
                        if judged == scenario:
                            row = compared(models[known], *book, seed)
                            rows.append({"setting": setting, "fit": fit} | row)
    table = pd.DataFrame(rows)
    result = {s: summary(part) for s, part in table.groupby("setting", sort=False)}
    show(result, given)
    print(f"{time.monotonic() - started:.0f} s; families {', '.join(given.families)}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"summary": result, "books": rows}, indent=1))
    return 0


def fitted(scenario: str, rows: int, seed: int, families: list[str]) -> Models:
    """Fit PD, LGD and EAD on simulated loans, as a retrain does, without a registry."""
    usecase = load_usecase("loan_book")
    chosen = {n: f for n, f in usecase.families.items() if n in families}
    usecase = usecase.model_copy(update={"families": chosen, "baseline": next(iter(chosen))})
    frame = simulators.simulate("loan_book", rows, seed, scenario=scenario, onset=0).frame
    with tempfile.TemporaryDirectory(prefix="riskwright-bench-") as folder:
        home = Home(root=Path(folder)).create()
        file = home.root / "loans.csv"
        frame.to_csv(file, index=False)
        return fitted_on(usecase, home, ingest(usecase, str(file), home).clean, seed)


def fitted_on(
    usecase: UseCase, home: Home, clean: snapshots.Snapshot, seed: int, place: str = "fit"
) -> Models:
    """Fit PD, LGD and EAD on the training part of a clean snapshot, in a folder of the home."""
    train, test = train_test.split(usecase, clean, home)
    root = home.root / place
    root.mkdir()
    steps = [
        fit_family(usecase, home, train=train.hash, name=n, seed=seed, folder=root / n)
        for n in usecase.families
    ]
    joined = join(usecase, home, train=train.hash, families=steps, folder=root / "joined")
    loss = fit_loss(
        usecase, home, train=train.hash, seed=seed, folder=root / "loss", clean=clean.hash
    )
    ensemble, limits = load_candidate(joined, "ensemble")
    hazard = load_hazard(joined, "ensemble")
    rest = snapshots.read(test, home)
    pds = ensemble.predict(rest[usecase.feature_names])["pd"].to_numpy()
    evidence = judge_loss(usecase, rest, pds, hazard, loss, root)
    source = loss.place
    severity = Severity.load(source / "lgd").live(constant=evidence["lgd"]["constant"])
    exposure = Exposure.load(source / "ead.json")
    return (
        Bundle(usecase, ensemble, limits, 1, "", hazard),
        LossBundle(usecase, "lgd", severity, 1, ""),
        LossBundle(usecase, "ead", exposure, 1, ""),
    )


def drawn(
    usecase: UseCase, scenario: str, loans: int, seed: int, folder: str
) -> tuple[pd.DataFrame, pd.DataFrame, loan_book.Truth]:
    """Simulate live loans: as the lender's file is read, as simulated, and the truth."""
    simulated, truth = loan_book.simulate_book(loans, seed, scenario=scenario)
    file = Path(folder) / "book.csv"
    simulated.to_csv(file, index=False)
    read = read_book(usecase, str(file)).frame
    assert len(read) == len(simulated)
    return read, simulated, truth


def compared(
    models: Models,
    book: pd.DataFrame,
    simulated: pd.DataFrame,
    truth: loan_book.Truth,
    seed: int,
) -> dict[str, float]:
    """Value a book, and hold it against the truth and against one drawn year."""
    valued = value_loans(*models, book, status="green", scenarios=SCENARIOS.values())
    loans = valued.loans
    el, low, high = el_interval(loans["el"], valued.members_el, valued.weights, valued.errors)
    moves = np.where(loans["stage"] < 3, basel.correlation(loans["pd"], "retail"), 0.0)
    level = level_error(loans["ead"], loans["pd"], loans["lgd"], moves)
    year = {**valued.errors, "level": level}
    _, year_low, year_high = el_interval(loans["el"], valued.members_el, valued.weights, year)
    age = simulated["months_on_book"].to_numpy()
    pd_true, money = truth.pd_within(age), truth.loss_within(age)
    years = [
        float(loan_book.redraw(simulated, truth, YEARS_DRAWN * seed + k).sum())
        for k in range(YEARS_DRAWN)
    ]
    row = {
        "el": el,
        "low": low,
        "high": high,
        "year_low": year_low,
        "year_high": year_high,
        "true_el": float(money.sum()),
        "realised": years[0],
        "below": float(np.mean([year < year_low for year in years])),
        "above": float(np.mean([year > year_high for year in years])),
        "balance": float(loans["balance"].sum()),
        "loans": len(loans),
        "pd_ratio": float(loans["pd"].sum() / pd_true.sum()),
        # Both weighted by the true chance and money, so that the three ratios make up the bias.
        "lgd_ratio": float((money / truth.lgd) @ loans["lgd"].to_numpy() / money.sum()),
        **{f"error_{name}": value for name, value in valued.errors.items()},
    }
    for name, rho in CORRELATIONS.items():
        given = basel.correlation(loans["pd"], "retail") if rho is None else rho
        found = losses.simulate(
            loans["ead"], loans["pd"], loans["lgd"], given, scenarios=SCENARIOS_DRAWN, seed=seed
        ).losses
        edges = np.quantile(found, [(1 - BAND) / 2, (1 + BAND) / 2])
        row[f"band_low {name}"], row[f"band_high {name}"] = map(float, edges)
    return row


def summary(part: pd.DataFrame) -> dict[str, Any]:
    """Means over books; errors by fit where there are several, else by book."""

    def mean(values: pd.Series) -> list[float]:
        by = values.groupby(part["fit"]).mean()
        by = by if len(by) > 1 else values
        return [float(values.mean()), float(by.std(ddof=1) / np.sqrt(len(by)))]

    held = (part["low"] <= part["true_el"]) & (part["true_el"] <= part["high"])
    out: dict[str, Any] = {
        "fits": int(part["fit"].nunique()),
        "books": len(part),
        "loans": float(part["loans"].mean()),
        "el_rate": float((part["true_el"] / part["balance"]).mean()),
        "bias": mean(part["el"] / part["true_el"] - 1),
        "pd": mean(part["pd_ratio"] - 1),
        "lgd": mean(part["lgd_ratio"] - 1),
        "ead_and_mix": mean(
            part["el"] / part["true_el"] / part["pd_ratio"] / part["lgd_ratio"] - 1
        ),
        "interval_holds": mean(held.astype(float)),
        "interval_width": float(((part["high"] - part["low"]) / part["el"]).mean()),
        "year_holds": mean(1 - part["below"] - part["above"]),
        "year_below": float(part["below"].mean()),
        "year_above": float(part["above"].mean()),
        "year_width": float(((part["year_high"] - part["year_low"]) / part["el"]).mean()),
        # What one standard error is by the interval, and what it is by the fits.
        "stated_error": float(np.log(part["high"] / part["el"]).mean() / ndtri((1 + LEVEL) / 2)),
        "found_error": float(
            (part["el"] / part["true_el"]).groupby(part["fit"]).mean().std(ddof=1)
        ),
        "realised_over_expected": mean(part["realised"] / part["el"]),
        "errors": {c: float(part[c].mean()) for c in part if c.startswith("error_")},
    }
    for name in CORRELATIONS:
        low, high = part[f"band_low {name}"], part[f"band_high {name}"]
        inside = (low <= part["realised"]) & (part["realised"] <= high)
        out[f"band {name}"] = mean(inside.astype(float))
        out[f"below {name}"] = float((part["realised"] < low).mean())
        out[f"above {name}"] = float((part["realised"] > high).mean())
    return out


def show(result: dict[str, dict[str, Any]], given: argparse.Namespace) -> None:
    """Print the settings beside each other."""
    table = Table(title=f"{given.fits} fits of each scenario, {given.books} books of each fit")
    table.add_column("mean (standard error)")
    for name in result:
        table.add_column(name)

    def line(words: str, tell: Any) -> None:
        table.add_row(words, *(tell(found) for found in result.values()))

    def share(key: str) -> Any:
        return lambda f: f"{f[key][0]:.1%} ({f[key][1]:.1%})"

    line("live loans in a book", lambda f: f"{f['loans']:,.0f}")
    line("true expected loss of the balance, a year", lambda f: f"{f['el_rate']:.2%}")
    for words, key in (
        ("bias of the expected loss", "bias"),
        ("of it PD", "pd"),
        ("of it LGD", "lgd"),
        ("of it EAD, and who fails", "ead_and_mix"),
    ):
        line(words, lambda f, k=key: f"{f[k][0]:+.1%} ({f[k][1]:.1%})")
    line(f"{LEVEL:.0%} interval of the models holds the true one", share("interval_holds"))
    line("its width, of the expected loss", lambda f: f"{f['interval_width']:.1%}")
    line(f"{LEVEL:.0%} interval with the level holds the drawn year", share("year_holds"))
    line("  years below, above", lambda f: f"{f['year_below']:.1%}, {f['year_above']:.1%}")
    line("its width, of the expected loss", lambda f: f"{f['year_width']:.1%}")
    line("standard error by the interval", lambda f: f"{f['stated_error']:.1%}")
    if given.fits > 1:
        line("spread of the bias over fits", lambda f: f"{f['found_error']:.1%}")
    line("drawn year over expected loss", share("realised_over_expected"))
    for name in CORRELATIONS:
        line(f"middle {BAND:.0%} hold the drawn year, {name} rho", share(f"band {name}"))
        line(
            "  years below, above",
            lambda f, n=name: f"{f[f'below {n}']:.1%}, {f[f'above {n}']:.1%}",
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    sys.exit(main())

"""How often the monitor's book family alarms by chance, and what it finds, on simulated books.

    python benchmarks/book_alarms.py --models 10 --books 10

Each model is fitted on its own simulated history (logistic regression and scorecard) and judges
books of 48 monthly vintages drawn afresh, as of a date by which the last is a year old. Changes
are those of ``riskwright.data.loan_book``, for all vintages unless said otherwise: in the recession
the odds of failing in a month grow by half.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from riskwright.case.usecase import UseCase, known_usecases, parse_usecase
from riskwright.data import train_test
from riskwright.data.contract import target_of
from riskwright.data.ingest import ingest
from riskwright.data.simulators import simulate
from riskwright.home import Home
from riskwright.stats.estimates import wilson
from riskwright.store import snapshots
from riskwright.systems.credit.bundle import Bundle
from riskwright.systems.credit.candidates import fit_family, join, load_candidate, load_hazard
from riskwright.systems.credit.history import cut
from riskwright.systems.credit.reference import Reference
from riskwright.systems.loans.book_checks import judge_book

KINDS: dict[str, dict[str, Any]] = {
    "none": {},
    "recession x1.25": {"scenario": "recession", "strength": 0.55},  # log 1.25 / log 1.5
    "recession x1.5": {"scenario": "recession"},
    "x1.5, last year": {"scenario": "recession", "onset": 36},
    "new channel": {"scenario": "new_channel"},
    "concept change": {"scenario": "concept_change"},
}


def usecase_of(home: Home, rows: int, seed: int) -> UseCase:
    """The shipped loan book with two quick families."""
    plain = yaml.safe_load(known_usecases(home)["loan_book"].read_text(encoding="utf-8"))
    plain |= {"name": f"book_{seed}", "families": ["logistic", "scorecard"]}
    plain["source"] |= {"rows": rows, "seed": seed}
    return parse_usecase(yaml.safe_dump(plain, sort_keys=False), where="benchmark")


def fitted(rows: int, seed: int) -> tuple[Bundle, Reference]:
    """A model, and the test part with its PDs."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        usecase = usecase_of(home, rows, seed)
        train, test = train_test.split(usecase, ingest(usecase, None, home).clean, home)
        families = [
            fit_family(usecase, home, train=train.hash, name=n, seed=seed, folder=home.root / n)
            for n in usecase.families
        ]
        joined = join(
            usecase, home, train=train.hash, families=families, folder=home.root / "joined"
        )
        ensemble, limits = load_candidate(joined, "ensemble")
        bundle = Bundle(usecase, ensemble, limits, 1, "", load_hazard(joined, "ensemble"))
        frame = snapshots.read(test, home)
        pds = bundle.score(frame, "none")["pd"]
        return bundle, Reference.build(usecase, frame, pds, target_of(usecase, frame))


def main() -> None:
    """Print a line for each kind of book."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--models", type=int, default=10)
    words.add_argument("--books", type=int, default=10, help="without change; a quarter otherwise")
    words.add_argument("--rows", type=int, default=8000, help="loans trained on")
    words.add_argument(
        "--loans", type=int, nargs="+", default=[2000, 8000, 30_000], help="in a book"
    )
    words.add_argument("--as-of", default="2016-12-01")
    words.add_argument("--kinds", nargs="+", default=list(KINDS))
    given = words.parse_args()
    day, start = pd.Timestamp(given.as_of), time.process_time()
    alarms: Counter[tuple[str, int, str]] = Counter()
    draws: Counter[tuple[str, int]] = Counter()
    for model in range(given.models):
        bundle, reference = fitted(given.rows, 1000 + model)
        for kind in given.kinds:
            for loans in given.loans:
                books = given.books if kind == "none" else max(1, given.books // 4)
                for book in range(books):
                    change = {"onset": 0, **KINDS[kind]}
                    seed = 50_000 + 1000 * model + book
                    raw = simulate("loan_book", loans, seed, **change).frame
                    raw.index = pd.RangeIndex(len(raw), name="row")
                    history = cut(bundle.usecase, raw, day, "simulated")
                    found = judge_book(bundle, reference, history, raw[:0].copy).findings
                    draws[kind, loans] += 1
                    codes = {f.code for f in found if f.alarm}
                    for code in codes | ({"any"} if codes else set()):
                        alarms[kind, loans, code] += 1
    for kind, loans in draws:
        n = draws[kind, loans]
        any_ = alarms[kind, loans, "any"]
        low, high = (float(v) for v in wilson(any_, n))
        parts_ = {c: v for (k, m, c), v in sorted(alarms.items()) if (k, m) == (kind, loans)}
        print(f"{kind:18} {loans:6,} loans, {n:3} books: {any_ / n:5.1%} ({low:.1%} to {high:.1%})")
        print(f"{'':18} {parts_}")
    print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()

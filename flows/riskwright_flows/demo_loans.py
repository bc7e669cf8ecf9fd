"""The demo of a loan book: what simulated loans will lose, and what an alert adds to it."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path
from typing import Any

from riskwright.life.alert_advice import advice
from riskwright.progress import console
from riskwright.store.writer import replacing
from riskwright_flows import say, say_credit, say_loans
from riskwright_flows.runtime import prepare, run
from riskwright_flows.typed import command

USECASE = "loan_book"
# Month to loans drawn, of which those that are over by then are left out.
BOOKS = {"2015-12": 5800, "2016-01": 6000}
WATCHED_ROWS = 6000
WATCHED_ON = "2015-12-01"
ONSET = 12  # first month of the recession among the 48 of issue


def run_demo(as_json: bool) -> int:
    """Retrain, report on two months' books, monitor loans in a recession, report once more.

    Returns
    -------
    int
        0, or 1 if it didn't end as it should: no champion, no alert in a recession, or a status
        that moves no money.
    """
    started = time.monotonic()
    home, ledger = prepare()
    from riskwright_flows.retrain import retrain_flow

    trained: dict[str, Any] = run(retrain_flow, USECASE)

    from riskwright.systems.credit.case import load_usecase
    from riskwright.systems.credit.monitoring import monitor_batch
    from riskwright.systems.loans.valued import report_on

    spec = load_usecase(USECASE, home)
    folder = home.folder("demo")
    reports = []
    for name, rows in BOOKS.items():
        with console.status(f"the book of {name}"):
            file = write_book(folder / f"book_{name}.csv", name, rows)
            place = _empty(folder / f"report_{name}")
            reports.append(report_on(spec, home, ledger, input=str(file), output=place))
    with console.status("monitor loans made in a recession"):
        history = write_history(folder / "recession.csv")
        watched = monitor_batch(
            spec, home, ledger, input=str(history), labels=None, as_of=WATCHED_ON
        )
    with console.status("the same book, by a model in doubt"):
        place = _empty(folder / f"report_{name}_in_doubt")
        doubted = report_on(spec, home, ledger, input=str(file), output=place)
    result = {
        "retrain": trained,
        "books": reports,
        "monitor": watched,
        "in_doubt": doubted,
        "seconds": round(time.monotonic() - started, 1),
    }
    say.answer(result, as_json, lambda: _page(result))
    # Decided after an earlier demo in this home, the same alert doesn't doubt the model again.
    moved = doubted["el_with_status"] > doubted["el"] or not watched["alert_open"]
    return 0 if ledger.champion(USECASE) is not None and watched["alert"] and moved else 1


def write_book(path: Path, as_of: str, rows: int) -> Path:
    """Write simulated live loans as a lender's CSV."""
    from riskwright.data.loan_book import simulate_book

    book, _ = simulate_book(rows, seed=2026, as_of=as_of)
    with replacing(path) as part:
        book.to_csv(part, index=False)
    return path


def write_history(path: Path) -> Path:
    """Write simulated loans with what became of them; those of the later months in a recession."""
    from riskwright.data.simulators import simulate

    drawn = simulate("loan_book", WATCHED_ROWS, seed=2026, scenario="recession", onset=ONSET)
    with replacing(path) as part:
        drawn.frame.to_csv(part, index=False)
    return path


def _empty(folder: Path) -> Path:
    """A folder of the demo's own, without what an earlier demo left there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _page(result: dict[str, Any]) -> None:
    say_credit.retrained(result["retrain"])
    for report in result["books"]:
        say_loans.portfolio(report)
    say.out.print("\n[bold]loans made in a recession[/]")
    say_credit.monitored(result["monitor"])
    doubted = result["in_doubt"]
    more = doubted["el_with_status"] - doubted["el"]
    alert = result["monitor"]["alert"]
    say.out.print(
        f"\n[bold]the same book, by a model in doubt ({doubted['status']})[/]: expected loss "
        f"{doubted['el_with_status']:,.0f}, {more:+,.0f} by the status's margin and overlay"
    )
    say.out.print(f"\nDone in {result['seconds']:.0f} s. What to type next:")
    book = result["books"][-1]["report"]
    input = Path(book).parents[1] / f"book_{list(BOOKS)[-1]}.csv"
    what = advice(f for f in result["monitor"]["findings"] if f["alarm"])
    for arguments in (
        f"alerts show {alert}",
        f'alerts decide {alert} {what.decision} --reason "{what.reason}"',
        "history loan_book",
        f"portfolio loan_book --input {shlex.quote(str(input))} --output report --scenario adverse",
    ):
        say.out.print(f"  {command(arguments)}", markup=False)
    say.out.print(f"The report to open: {book}", markup=False)

"""The demo: the whole life of a model on simulated applications, with the network off."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from riskwright.life.alert_advice import advice
from riskwright.progress import console
from riskwright.store.writer import replacing
from riskwright_flows import say, say_credit, say_data
from riskwright_flows.runtime import prepare, run
from riskwright_flows.typed import command

USECASE = "credit_assessment"
BATCH_ROWS = 1500
CHANGE = "broken_feed"


def run_demo(as_json: bool) -> int:
    """Retrain, score a new batch, monitor it, monitor a changed batch, and show one page.

    Returns
    -------
    int
        0, or 1 if the life of the model didn't end as it should: no champion, or the injected
        change not found.
    """
    started = time.monotonic()
    home, ledger = prepare()
    from riskwright_flows.retrain import retrain_flow

    trained: dict[str, Any] = run(retrain_flow, USECASE)

    from riskwright.systems.credit.case import load_usecase
    from riskwright.systems.credit.monitoring import monitor_batch
    from riskwright.systems.credit.promotion import load_version
    from riskwright.systems.credit.scoring import score_file

    spec = load_usecase(USECASE, home)
    folder = home.folder("demo")
    with console.status("score a new batch"):
        quiet = write_batch(folder / "new_applications.csv", "none")
        bundle = load_version(home, ledger, USECASE)
        scored = score_file(bundle, str(quiet), folder / "scores.csv")
    with console.status("monitor it, and a batch with an injected change"):
        calm = monitor_batch(spec, home, ledger, input=str(quiet), labels=None)
        broken = write_batch(folder / f"{CHANGE}.csv", CHANGE)
        alarmed = monitor_batch(spec, home, ledger, input=str(broken), labels=None)
    result = {
        "retrain": trained,
        "scored": {k: str(v) if isinstance(v, Path) else v for k, v in vars(scored).items()},
        "monitor_new_batch": calm,
        "monitor_changed_batch": alarmed,
        "seconds": round(time.monotonic() - started, 1),
    }
    say.answer(result, as_json, lambda: _page(result))
    champion = ledger.champion(USECASE)
    return 0 if champion is not None and alarmed["alert"] else 1


def write_batch(path: Path, scenario: str) -> Path:
    """Write a batch of new simulated applications, without outcomes, as a lender's CSV."""
    from riskwright.data.simulators import simulate

    drawn = simulate(
        "credit_applications", BATCH_ROWS, seed=2026, scenario=scenario, months=1, onset=0
    )
    frame = drawn.frame.drop(columns=["default.payment.next.month"])
    with replacing(path) as part:
        frame.to_csv(part, index=False)
    return path


def _page(result: dict[str, Any]) -> None:
    say_credit.retrained(result["retrain"])
    say.out.print("\n[bold]a new batch[/]")
    say_data.scored(result["scored"])
    say_credit.monitored(result["monitor_new_batch"])
    say.out.print(f"\n[bold]a batch with an injected change ({CHANGE.replace('_', ' ')})[/]")
    say_credit.monitored(result["monitor_changed_batch"])
    changed = result["monitor_changed_batch"]
    alert, what = changed["alert"], advice(f for f in changed["findings"] if f["alarm"])
    say.out.print(f"\nDone in {result['seconds']:.0f} s. What to type next:")
    for arguments in (
        "history credit_assessment",
        f"alerts show {alert}",
        f'alerts decide {alert} {what.decision} --reason "{what.reason}"',
        "data list",
    ):
        say.out.print(f"  {command(arguments)}", markup=False)

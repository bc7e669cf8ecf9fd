"""The data-quality report of a clean snapshot, before or beside the first fits.

``python -m riskwright.systems.credit.quality_report HASH`` reads the use case as JSON from standard
input, makes MLflow's store as well, and prints the page's path, or why there is none. A thread of
the retrain would hold up its fits: Evidently and MLflow's first migration are seconds of Python,
and so are the fits' own steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from riskwright.case.usecase import UseCase
from riskwright.errors import RiskwrightError
from riskwright.home import Home, quiet_environment


def write_quality_report(usecase: UseCase, clean: str, home: Home) -> Path | str:
    """Write Evidently's summary of a clean snapshot once.

    Returns
    -------
    The page's path, or a sentence that says why there is none; never raises for the data.
    """
    from riskwright.store.snapshots import read
    from riskwright.systems.credit.report import data_quality_report

    path = home.folder("reports", usecase.name) / f"quality-{clean[:16]}.html"
    if path.exists():
        return path
    return data_quality_report(usecase, read(clean, home), path)


def quality_report_beside(usecase: UseCase, clean: str) -> str:
    """Write the report in a process of its own, at a lower priority, and wait for it.

    Returns
    -------
    The page's path, or a sentence that says why there is none: it is never a retrain's end.
    """
    command = [sys.executable, "-m", "riskwright.systems.credit.quality_report", clean]
    said = usecase.model_dump_json()
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    said = done.stdout.strip() or done.stderr.strip()[-400:] or f"exit code {done.returncode}"
    return f"no data-quality report: {said}"


def main(clean: str) -> int:
    """Write the report once; print its path, or why there is none."""
    home = Home()
    quiet_environment(home)
    os.nice(10)  # the fits go first
    from riskwright.life.tracking import connect

    try:
        connect(home)
        spec = UseCase.model_validate_json(sys.stdin.read())
        print(write_quality_report(spec, clean, home))  # noqa: T201
    except RiskwrightError as error:
        print(error)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # Arrow's threads may abort a process that is taken apart around them

"""What a loan book's evidence adds to that of its PD: vintages, and backtests by grade."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data import maturity
from riskwright.data.contract import target_of
from riskwright.data.outgoing import write_csv
from riskwright.data.train_test import of_population
from riskwright.stats.calibration import hosmer_lemeshow
from riskwright.systems.loans.portfolio import backtests, basel, plots


def judge_vintages(
    usecase: UseCase,
    train: pd.DataFrame,
    test: pd.DataFrame,
    pds: np.ndarray,
    folder: Path,
    clean: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Write the vintage table and picture, and hold the PDs against each grade's bads.

    Parameters
    ----------
    train, test
        Mature loans of both parts; only vintages and stability look at the first.
    pds
        Deployed lifetime PDs of the test loans, shape (n,).
    folder
        Gets ``vintages.csv``, ``stability_by_vintage.csv``, ``backtest_by_grade.csv`` and, in
        ``plots``, the picture.
    clean
        All loans that both parts were cut from, immature ones and other populations too: then the
        vintage table counts the trained population's loans among them.

    Returns
    -------
    dict
        ``lights`` (grades by colour, allowing for defaults that come together) and
        ``hosmer_lemeshow_p``; empty where the use case names no grade.
    """
    held = maturity.loan_of(usecase)
    both = pd.concat([train, test])
    every = both if clean is None else clean
    until = maturity.observed_until(usecase, every)
    table = maturity.calendar(usecase, every[of_population(usecase, every)], until)
    write_csv(table, folder / "vintages.csv", index=True)
    plots.plot_vintages(table, folder / "plots" / "vintages.png")
    if held.grade is None:
        return {}
    quarter = both[str(usecase.time)].dt.to_period("Q").astype("str")
    mix = backtests.stability(both[held.grade], quarter, quarter.min())
    write_csv(mix, folder / "stability_by_vintage.csv", index=True)
    y = target_of(usecase, test)
    rho = held.rho
    if rho is None:
        rho = float(basel.correlation(np.array([pds.mean()]), held.exposure)[0])
    graded = backtests.by_grade(test[held.grade], pds, y, rho=rho)
    write_csv(graded, folder / "backtest_by_grade.csv", index=True)
    p = hosmer_lemeshow(graded["defaults"], graded["loans"], graded["mean_pd"]).p_value
    return {
        "lights": graded["correlated_light"].value_counts().to_dict(),
        "hosmer_lemeshow_p": p,
        "rho": rho,
    }

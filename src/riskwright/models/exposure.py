"""EAD of instalment loans: what is owed when a loan fails, by its schedule and a measured ratio."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from riskwright.data.maturity import schedule_balance
from riskwright.errors import InputRefused, IntegrityError

FloatArray = npt.NDArray[np.float64]
LARGEST = 1.5  # a ratio beyond it says that balance and schedule aren't of the same loan


@dataclass(frozen=True)
class Exposure:
    """Realised exposure over the schedule's balance at the last payment.

    Payments missed before default are not on the schedule: the last one made sets the balance.

    Attributes
    ----------
    ratio
        Money owed at default over the schedule's, over all failed loans of the training part.
    error
        Standard error of the ratio, by loan.
    """

    ratio: float
    error: float

    @classmethod
    def fit(
        cls,
        amount: npt.ArrayLike,
        rate: npt.ArrayLike,
        term: npt.ArrayLike,
        last_payment: npt.ArrayLike,
        owed: npt.ArrayLike,
    ) -> Self:
        """Measure the ratio on failed loans.

        Parameters
        ----------
        amount, rate, term
            Money lent, rate a year, months, shape (n,).
        last_payment
            Month on book of the last payment, shape (n,).
        owed
            Principal owed at default, money, shape (n,).
        """
        scheduled = schedule_balance(amount, rate, term, last_payment)
        money = np.asarray(owed, dtype=float)
        total = scheduled.sum()
        if total <= 0:
            raise InputRefused(
                "no failed loan has a balance by its schedule",
                expected="failed loans to learn from",
            )
        ratio = float(money.sum() / total)
        spread = np.sqrt(((money - ratio * scheduled) ** 2).sum())
        return cls(float(np.clip(ratio, 0.0, LARGEST)), float(spread / total))

    def predict(
        self, amount: npt.ArrayLike, rate: npt.ArrayLike, term: npt.ArrayLike, month: npt.ArrayLike
    ) -> FloatArray:
        """Return what is owed if the last payment is that of ``month``, in money."""
        return self.ratio * schedule_balance(amount, rate, term, month)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(asdict(self), allow_nan=False), encoding="utf-8")
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If the file isn't there or isn't what ``save`` writes.
        """
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            return cls(float(plain["ratio"]), float(plain["error"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"a saved exposure model can't be read: {error}", where=str(path), do="retrain"
            ) from error

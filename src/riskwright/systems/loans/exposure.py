"""EAD: what is owed when a loan fails.

Of an instalment loan by its schedule and a measured ratio. Of a line of credit by the *credit
conversion factor*: the share of what was undrawn twelve months before the default that was drawn by
then (fixed horizon: Moral, "EAD estimates for facilities with explicit limits", in Engelmann and
Rauhmeier, The Basel II Risk Parameters, 2006).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from riskwright.data.maturity import schedule_balance
from riskwright.errors import InputRefused
from riskwright.learn.saved import reading
from riskwright.store.writer import write_json

FloatArray = npt.NDArray[np.float64]
LARGEST = 1.5  # a ratio beyond it says that balance and schedule aren't of the same loan
OF_LINES = ("ccf", "ccf_error", "used")
FEWEST = 10  # failed lines, under which no conversion factor is measured


@dataclass(frozen=True)
class Exposure:
    """Measured on failed loans. Made by ``Exposure.fit``, read by ``Exposure.load``.

    Payments missed before default are not on the schedule: the last one made sets the balance.

    Attributes
    ----------
    ratio
        Of instalment loans: money owed at default over the schedule's at the last payment.
    error
        Standard error of the ratio, by loan.
    relative_error
        Standard error of what failed loans of both kinds owe by the model, as a share of it;
        ``bundle.loss.fit_loss`` adds how far a forecast for newer loans was off.
    ccf
        Of lines of credit: money drawn in the last twelve months over the money that could have
        been, within [0, 1]; None where fewer than ten failed lines were seen so long before.
    ccf_error
        Its standard error.
    used
        Of lines of credit: money owed at default over the limit, for lines whose balance isn't
        known (applications); None as above.
    lines
        Failed lines that the factor was measured on.
    """

    ratio: float
    error: float
    relative_error: float = 0.0
    ccf: float | None = None
    ccf_error: float | None = None
    used: float | None = None
    lines: int = 0

    @classmethod
    def fit(
        cls,
        amount: npt.ArrayLike,
        rate: npt.ArrayLike,
        term: npt.ArrayLike,
        last_payment: npt.ArrayLike,
        owed: npt.ArrayLike,
        limit: npt.ArrayLike = np.nan,
        drawn_before: npt.ArrayLike = np.nan,
    ) -> Self:
        """Measure ratio and conversion factor on failed loans, each of shape (n,).

        Parameters
        ----------
        amount, rate, term
            Money lent, rate a year, months.
        last_payment
            Month on book of the last payment.
        owed
            Principal owed at default, money.
        limit
            Of lines of credit, money; NaN for instalment loans.
        drawn_before
            Of lines: drawn twelve months before the default, money; NaN where unknown.

        Raises
        ------
        InputRefused
            If no instalment loan is among them.
        """
        money = np.asarray(owed, dtype=float)
        ceiling = np.broadcast_to(np.asarray(limit, dtype=float), money.shape)
        before = np.broadcast_to(np.asarray(drawn_before, dtype=float), money.shape)
        line = np.isfinite(ceiling)
        scheduled = np.where(line, 0.0, schedule_balance(amount, rate, term, last_payment))
        if scheduled.sum() <= 0:
            raise InputRefused(
                "no failed loan has a balance by its schedule",
                expected="failed loans to learn from",
            )
        ratio, error = _ratio(np.where(line, 0.0, money), scheduled)
        ratio = min(ratio, LARGEST)
        seen = line & np.isfinite(before)
        room = np.where(seen, np.maximum(ceiling - before, 0.0), 0.0)
        if seen.sum() < FEWEST or room.sum() <= 0:
            return cls(ratio, error, error / ratio if ratio > 0 else 0.0)
        ccf, ccf_error = _ratio(np.where(seen, money - before, 0.0), room)
        ccf = float(np.clip(ccf, 0.0, 1.0))
        known = before[seen].sum() + ccf * room.sum()
        unsure = np.hypot(error * scheduled.sum(), ccf_error * room.sum())
        return cls(
            ratio,
            error,
            float(unsure / (ratio * scheduled.sum() + known)),
            ccf,
            ccf_error,
            float(money[line].sum() / ceiling[line].sum()),
            int(seen.sum()),
        )

    def predict(
        self, amount: npt.ArrayLike, rate: npt.ArrayLike, term: npt.ArrayLike, month: npt.ArrayLike
    ) -> FloatArray:
        """Return what an instalment loan owes if its last payment is that of ``month``, money."""
        return self.ratio * schedule_balance(amount, rate, term, month)

    def predict_lines(self, limit: npt.ArrayLike, drawn: npt.ArrayLike) -> FloatArray:
        """Return what lines of credit owe if they fail, in money.

        Without a measured factor that is the whole limit, the cautious answer.

        Parameters
        ----------
        limit
            Money, shape (n,).
        drawn
            Today's balance; NaN where it isn't known.
        """
        ceiling, balance = np.asarray(limit, dtype=float), np.asarray(drawn, dtype=float)
        if self.ccf is None or self.used is None:
            return np.asarray(np.fmax(ceiling, balance))
        owed = balance + self.ccf * np.maximum(ceiling - balance, 0.0)
        return np.where(np.isnan(balance), self.used * ceiling, owed)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self), indent=None, allow_nan=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read back what ``save`` wrote.

        Raises
        ------
        IntegrityError
            If the file isn't there or isn't what ``save`` writes.
        """
        with reading("exposure model", path):
            plain = json.loads(path.read_text(encoding="utf-8"))
            known = {k: None if plain[k] is None else float(plain[k]) for k in OF_LINES}
            return cls(
                float(plain["ratio"]),
                float(plain["error"]),
                float(plain["relative_error"]),
                **known,
                lines=int(plain["lines"]),
            )


def _ratio(top: FloatArray, bottom: FloatArray) -> tuple[float, float]:
    """Ratio of two sums, and its standard error by loan (Cochran, Sampling Techniques, ch. 6)."""
    ratio = float(top.sum() / bottom.sum())
    return ratio, float(np.sqrt(((top - ratio * bottom) ** 2).sum()) / bottom.sum())

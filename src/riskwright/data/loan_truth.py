"""What only the simulator of loans knows: when each may end, what it then owes, what comes back."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from riskwright.data.maturity import schedule_balance

Floats = npt.NDArray[np.float64]
LONGEST = 60
GRACE = 4
# Mean and concentration of the beta law of what is recovered, of the balance; months until then.
CURED, LOST = (0.90, 30.0), (0.055, 9.0)
CURED_AFTER, LOST_AFTER = (1, 6), (6, 24)
COST = 0.12  # of what is recovered
CCF = (0.55, 6.0)  # beta law of the share of the undrawn limit that a failing line draws


@dataclass(frozen=True)
class Truth:
    """What only the simulator knows of each loan, before anything happens to it.

    Attributes
    ----------
    default, repaid
        Probability that the loan's last payment is that of month 0, 1, … and it fails then, or is
        repaid early then, shape (n, LONGEST); what is left runs to term.
    cure
        Probability that a failed loan is cured, shape (n,).
    amount, rate, term
        Money lent (of a line its limit), rate a year, months, shape (n,).
    drawn
        What a line has drawn until it fails, in money; NaN for instalment loans, shape (n,).
    """

    default: Floats
    repaid: Floats
    cure: Floats
    amount: Floats
    rate: Floats
    term: Floats
    drawn: Floats

    @property
    def lifetime_pd(self) -> Floats:
        """Probability that the loan ever fails, shape (n,)."""
        return np.asarray(self.default.sum(axis=1))

    @property
    def lgd(self) -> Floats:
        """Expected share of what is owed that a failure costs: recoveries net and discounted."""
        kept = self.cure * CURED[0] * self._discount(CURED_AFTER)
        kept += (1 - self.cure) * LOST[0] * self._discount(LOST_AFTER)
        return np.asarray(1 - kept * (1 - COST))

    def pd_within(self, age: npt.ArrayLike, months: int = 12) -> Floats:
        """Probability that a loan live at an age fails within so many months of it, shape (n,)."""
        return np.asarray(self.ahead(age, months).sum(axis=1))

    def ahead(self, age: npt.ArrayLike, months: int = 12) -> Floats:
        """As ``pd_within``, by month of the last payment: shape (n, LONGEST)."""
        k = np.arange(LONGEST)[None, :]
        a = np.asarray(age)[:, None]
        gone = np.where(k + GRACE <= a, self.default, 0) + np.where(k <= a, self.repaid, 0)
        soon = np.where((k + GRACE > a) & (k + GRACE <= a + months), self.default, 0)
        return np.asarray(soon / (1 - gone.sum(axis=1))[:, None])

    def owed(self, last: npt.ArrayLike, drawn_down: npt.ArrayLike = CCF[0]) -> Floats:
        """Money owed at default after the last payment of a month, shape (n,).

        Expected, unless the share of the undrawn limit is told that a failing line draws.
        """
        scheduled = schedule_balance(self.amount, self.rate, self.term, last)
        line = self.drawn + np.asarray(drawn_down) * (self.amount - self.drawn)
        return np.where(np.isnan(self.drawn), scheduled, line)

    def loss_within(self, age: npt.ArrayLike, months: int = 12) -> Floats:
        """Expected money that a loan live at an age loses within so many months, shape (n,)."""
        soon = self.ahead(age, months)
        money = sum(soon[:, k] * self.owed(k) for k in range(LONGEST))
        return np.asarray(money * self.lgd)

    def take(self, rows: npt.NDArray[np.bool_ | np.intp]) -> Truth:
        """Return the truth about some of the loans."""
        return Truth(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def _discount(self, after: tuple[int, int]) -> Floats:
        months = np.arange(after[0], after[1] + 1)
        return np.asarray(((1 + self.rate[:, None]) ** (-months / 12)).mean(axis=1))


def recovered(
    cure: Floats, chance: Floats, size: Floats, delay: Floats
) -> tuple[Floats, npt.NDArray[np.int_]]:
    """Share of the debt recovered, and months until then, from uniform numbers.

    Much and soon of the few that are cured, little and late of the rest.
    """
    cured = chance < cure
    share = np.where(cured, beta_law(size, CURED), beta_law(size, LOST))
    first = np.where(cured, CURED_AFTER[0], LOST_AFTER[0])
    last = np.where(cured, CURED_AFTER[1], LOST_AFTER[1])
    return share, (first + np.floor((last - first + 1) * delay)).astype(int)


def beta_law(u: Floats, law: tuple[float, float]) -> Floats:
    """Quantiles of the beta law with a mean and a concentration."""
    from scipy.stats import beta

    mean, weight = law
    return np.asarray(beta.ppf(u, mean * weight, (1 - mean) * weight))

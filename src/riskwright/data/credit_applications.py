"""The simulator ``credit_applications``: card customers over six months, with their true PD.

The process, in the order of the functions: who applies (``_people``), how they repay
(``_statuses``, a Markov chain whose steps lean on credit quality), what they spend and pay
(``_accounts``, an account that adds up to the dollar), and the probability of default
(``_log_odds``), a stated function of the row's own columns. Margins are calibrated to the public
Taiwan card data of 2005; ``docs/reference/simulator.md`` lists target and achieved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

TARGET = "default.payment.next.month"
STATUS = ("PAY_6", "PAY_5", "PAY_4", "PAY_3", "PAY_2", "PAY_0")  # oldest first, as in the file
FIRST_COHORT = np.datetime64("2005-10")  # the decision follows the status of September 2005
TOP_LIMIT = 240_000  # upper quartile of LIMIT_BAL, where the concept change happens

# Shares of EDUCATION 0 to 6, and quantiles of LIMIT_BAL, in the Taiwan data.
_EDUCATION = np.array([0.0005, 0.3528, 0.4677, 0.1639, 0.0041, 0.0093, 0.0017])
_LIMIT_P = np.array([0.0, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0])
_LIMIT_Q = np.array([10, 20, 30, 50, 140, 240, 360, 430, 500, 800]) * 1000.0
_LIMIT_BY_EDUCATION = np.array([0.3, 0.45, -0.16, -0.55, 0.4, 0.0, -0.3])


class Draws:
    """Independent random columns, each from its own stream, so that row i never depends on rows."""

    def __init__(self, seed: int, rows: int) -> None:
        self.seed, self.rows, self._stream = seed, rows, 0

    def _next(self) -> np.random.Generator:
        self._stream += 1
        return np.random.default_rng([self.seed, self._stream])

    def uniform(self) -> np.ndarray:
        """Return numbers in [0, 1)."""
        return self._next().random(self.rows)

    def normal(self) -> np.ndarray:
        """Return standard normal numbers."""
        return self._next().standard_normal(self.rows)

    def exponential(self) -> np.ndarray:
        """Return standard exponential numbers."""
        return self._next().standard_exponential(self.rows)

    def gamma(self, shape: float) -> np.ndarray:
        """Return gamma numbers of scale 1."""
        return self._next().standard_gamma(shape, self.rows)


@dataclass(frozen=True)
class _People:
    """Who applies; ``standing`` and ``quality`` are latent, both about standard normal."""

    sex: np.ndarray
    education: np.ndarray
    age: np.ndarray
    marriage: np.ndarray
    limit: np.ndarray
    standing: np.ndarray
    quality: np.ndarray


def simulate(
    rows: int, seed: int, *, scenario: str, months: int, onset: int, strength: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the canonical frame and the true PDs; see ``simulators.simulate``."""
    draws = Draws(seed, rows)
    cohort = np.arange(rows) % months
    force = np.where(cohort >= onset, strength, 0.0)  # of the change, by row

    def changed(name: str) -> np.ndarray:
        return force if scenario == name else np.zeros(rows)

    people = _people(draws, new_channel=changed("new_channel"))
    status = _statuses(draws, people, recession=changed("recession"))
    bills, payments = _accounts(draws, people, status)
    log_odds = _log_odds(people, status, bills, payments)
    log_odds += 0.45 * changed("recession")
    # Reversal: every effect is mirrored at the typical log-odds of that group.
    mirror = 2.0 * changed("concept_change") * (people.limit >= TOP_LIMIT)
    log_odds -= mirror * (log_odds + 2.0)
    true_pd = expit(log_odds)
    default = (draws.uniform() < true_pd).astype(int)

    limit, education, paid = people.limit, people.education, payments[-1]
    broken = changed("broken_feed")
    limit = np.where(draws.uniform() < 0.10 * broken, np.nan, limit)
    education = np.where(draws.uniform() < 0.02 * broken, 7, education)
    paid = np.where(draws.uniform() < 0.05 * broken, paid * 1000.0, paid)

    numbers = pd.Series(np.arange(1, rows + 1)).astype(str)
    data: dict[str, object] = {
        "ID": f"{seed}-" + numbers,
        "LIMIT_BAL": limit,
        "SEX": _codes(people.sex),
        "EDUCATION": _codes(education),
        "MARRIAGE": _codes(people.marriage),
        "AGE": people.age,
    }
    data.update({name: status[t] for t, name in reversed(list(enumerate(STATUS)))})
    data.update({f"BILL_AMT{6 - t}": bills[t] for t in range(5, -1, -1)})
    data["PAY_AMT1"] = paid
    data.update({f"PAY_AMT{6 - t}": payments[t] for t in range(4, -1, -1)})
    data[TARGET] = _codes(default)
    data["cohort"] = (FIRST_COHORT + cohort).astype("datetime64[us]")
    return pd.DataFrame(data, index=pd.RangeIndex(rows, name="row")), true_pd


def _codes(values: np.ndarray) -> pd.Series:
    """Return small whole numbers as text."""
    known = pd.Series([str(v) for v in range(8)], dtype="str")
    return known.take(values.astype(int)).reset_index(drop=True)


def _people(draws: Draws, *, new_channel: np.ndarray) -> _People:
    """Draw the applicants; a new channel brings younger ones with a lower standing."""
    channel = draws.uniform() < 0.5 * new_channel
    sex = 1 + (draws.uniform() < 0.604)
    education = np.searchsorted(np.cumsum(_EDUCATION)[:-1], draws.uniform(), side="right")
    scale = np.where(education == 3, 8.1, 5.65) * np.where(channel, 0.45, 1.0)
    age = np.minimum(np.floor(21.4 + scale * draws.gamma(2.4)), 79.0)

    married = draws.uniform() < expit((age - 36.0) / 5.0)
    other = draws.uniform()
    marriage = np.where(other < 0.0018, 0, np.where(other < 0.0126, 3, np.where(married, 1, 2)))

    quality = draws.normal()
    standing = (
        _LIMIT_BY_EDUCATION[education]
        + 0.25 * (np.minimum(age, 55.0) - 35.0) / 9.0
        + 0.40 * quality
        + 0.80 * draws.normal()
        - 1.0 * channel
    )
    # Through the published quantiles, so that the margin is right whatever feeds the standing.
    limit = np.interp(ndtr(standing), _LIMIT_P, _LIMIT_Q)
    limit = np.maximum(np.round(limit, -4), 10_000.0)
    return _People(sex, education, age, marriage, limit, standing, quality)


def _statuses(draws: Draws, people: _People, *, recession: np.ndarray) -> np.ndarray:
    """Draw the repayment status of six months, shape (6, rows), oldest first.

    -2 card not used, -1 paid in full, 0 minimum paid, 1 to 8 months late. As in the real file, the
    first month of being late shows in the last status alone; earlier ones start at 2.
    """
    soundness = 0.35 * people.standing + 0.35 * people.quality
    order = 0.9 * soundness + 0.87 * draws.normal() - 0.3 * recession
    start = np.array([-1.27, 0.37, 0.98])  # late | minimum | in full | not used
    state = np.array([2.0, 0.0, -1.0, -2.0])[np.searchsorted(start, order)]
    path = [state]
    for _ in range(5):
        fall = np.select([state == -2, state == -1], [-4.6, -3.1], -2.9)
        falls = draws.uniform() < expit(fall - 1.1 * soundness + 0.5 * recession)
        cures = draws.uniform() < expit(-0.95 + 0.5 * soundness - 0.4 * recession)
        move, worse = draws.uniform(), draws.uniform()
        calm = np.select(
            [state == -2, state == -1],
            [
                np.select([move < 0.84, move < 0.92], [-2.0, -1.0], 0.0),
                np.select([move < 0.08, move < 0.89], [-2.0, -1.0], 0.0),
            ],
            np.where(move < 0.05, -1.0, 0.0),
        )
        after_cure = np.where(move < 0.15, -1.0, 0.0)
        deeper = np.select(
            [state < 2.5, worse < 0.4, worse < 0.6], [2.0 + (worse < 0.1), state + 1, state], 2.0
        )
        late = np.where(cures, after_cure, np.minimum(deeper, 8.0))
        state = np.where(state >= 2, late, np.where(falls, 2.0, calm))
        path.append(state)
    # The last status alone knows "one month late"; who is it depends on the status before.
    before = path[-2]
    share = np.select(
        [before == -2, before == -1, before == 2, before > 2], [0.32, 0.1, 0.43, 0.33]
    )
    path[-1] = np.where(draws.uniform() < share, 1.0, path[-1])
    return np.stack(path)


def _accounts(draws: Draws, people: _People, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bills and payments, each (6, rows), oldest first, in whole NT$.

    A month's payment settles the bill of the month before as its status says; bill = bill before -
    payment + purchases, with purchases never negative. An overpaid account without purchases has
    a negative bill. Interest is left out.
    """
    limit = people.limit
    rank = ndtr(-0.35 * people.standing + 0.94 * draws.normal())
    level = rank**0.55  # the share of the limit that a revolving customer drifts to
    card = np.select([status[0] == -2, status[0] == -1], [0.0, 0.03], rank**1.2)
    bill = np.round(limit * card)  # of March, which the file doesn't show
    bills, payments = [], []
    for now in status:
        due = np.maximum(bill, 0.0)
        part = 0.04 * np.exp(0.8 * draws.exponential())
        minimum = np.minimum(np.maximum(part * due, 1000.0), np.maximum(0.9 * due, 0.0))
        skips = draws.uniform() < np.select([now == 1, now == 2], [0.6, 0.2], 0.62)
        over, size, spend = draws.uniform(), draws.exponential(), draws.normal()
        extra = np.where((now < 0) & (over < 0.04), np.ceil(0.01 * limit * size), 0.0)
        paid = np.select(
            [now < 0, now == 0], [due + extra, minimum], np.where(skips, 0.0, 0.045 * due)
        )
        paid = np.floor(paid)
        carried = bill - paid
        revolve = carried + 0.3 * np.maximum(limit * level * np.exp(0.2 * spend) - carried, 0.0)
        in_full = limit * np.minimum(np.exp(-4.1 + 1.4 * spend), 0.9)
        hardly = np.where(over < 0.6, 0.0, limit * np.exp(-6.0 + 1.3 * spend))
        wanted = np.select(
            [extra > 0, now == -2, now == -1],
            [carried, carried + hardly, carried + in_full],
            revolve,
        )
        bill = np.round(np.maximum(wanted, carried))
        bills.append(bill)
        payments.append(paid)
    return np.stack(bills), np.stack(payments)


# Effect of PAY_0, from -2 to 8, on the log-odds of default.
_EFFECT = np.array([-0.25, 0.18, -0.20, 0.45, 1.95, 1.90, 1.40, 0.7, 0.7, 0.7, 0.7])


def _log_odds(
    people: _People, status: np.ndarray, bills: np.ndarray, payments: np.ndarray
) -> np.ndarray:
    """Return the log-odds of default: a function of the row's own columns and nothing else.

    Additive but for two interactions: the use of the limit and its growth count for customers who
    revolve (PAY_0 = 0) alone. Age, sex and marital status have small effects, so a model
    that may not see them can't be quite as good as the true PD.
    """
    last = status[-1]
    late = (status[:-1] >= 2).sum(axis=0)
    revolves = last == 0
    use = np.clip(bills[-1] / people.limit, 0.0, 1.2)
    growth = np.clip((bills[-1] - bills[0]) / people.limit, -1.0, 1.0)
    education = np.array([-1.5, 0.0, 0.0, -0.05, -1.1, -1.2, -0.3])[people.education]
    out: np.ndarray = (
        -2.06
        + _EFFECT[last.astype(int) + 2]
        + 0.28 * late
        - 0.15 * (np.log(people.limit) - 11.66)
        - 0.18 * (np.log1p(payments[-1] / 1000.0) - 1.1)
        - 0.10 * (np.log1p(payments[-2] / 1000.0) - 1.1)
        + revolves * (0.35 * (use - 0.5) + 0.40 * growth)
        + education
        + 0.012 * np.abs(people.age - 33.0)
        + 0.25 * (people.sex == 1)
        + 0.25 * (people.marriage == 1)
    )
    return out

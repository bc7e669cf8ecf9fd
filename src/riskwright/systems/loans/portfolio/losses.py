"""The loss distribution of a book, by Monte Carlo with one common factor.

Loans default independently once the factor is known, so the losses of many alike loans are a
binomial number of defaults. Loans of a segment whose PD, correlation and loss given default lie in
the same narrow band share a *cell*; its PD is weighted by loss, so that the expected loss of every
cell is exact. A loan that alone could lose more than 1/10,000 of the book stays by itself, and so
does every loan of a book of up to 20,000: there the simulation is loan by loan.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from riskwright.errors import InputRefused
from riskwright.home import cores
from riskwright.systems.loans.portfolio.checks import (
    FloatArray,
    amounts,
    confidence_level,
    probabilities,
)
from riskwright.systems.loans.portfolio.vasicek import conditional_pd

LOAN_BY_LOAN = 20_000  # books up to this size aren't grouped
LARGE = 1e-4  # share of the book's possible loss from which a loan stays alone
# Widths of a cell. On a mixed book of a million loans they give 17,000 cells, and in any year from
# one in 300,000 to its opposite no segment's expected loss is off by more than 0.2 %.
PD_BAND = 0.05  # in N^-1(pd)
LOSS_BAND = 0.2  # in the logarithm of the loss given default
RHO_BAND = 0.005
BLOCK = 100  # scenarios drawn from one stream: the result doesn't depend on the threads
FEW = 100  # scenarios beyond the VaR under which it is called uncertain
UNCERTAIN = 0.1  # relative half width of the VaR's interval from which it is called uncertain


@dataclass(frozen=True)
class LossDistribution:
    """Simulated losses of a book over one year, in money.

    Attributes
    ----------
    losses
        Shape (scenarios,).
    expected_loss
        The exact sum of PD x LGD x EAD; ``simulated_mean`` and its standard error should agree.
    var, var_low, var_high
        The quantile at ``confidence`` and its 95 % interval from order statistics (how far it
        could lie by chance of the simulation alone).
    shortfall, shortfall_se
        Mean loss beyond the VaR, and the standard error by simulation.
    segments
        One row a segment: ``ead``, ``expected_loss``, ``var_contribution`` and
        ``shortfall_contribution``; each column sums to the book's figure.
    asymptotic_var
        What the VaR would be if no single loan mattered; the gap also holds the simulation's error
        (``vasicek.granularity_adjustment`` is the price of granularity).
    warning
        Says so where the simulation's own error is large; empty otherwise.
    """

    losses: FloatArray
    confidence: float
    expected_loss: float
    simulated_mean: float
    simulated_mean_se: float
    var: float
    var_low: float
    var_high: float
    shortfall: float
    shortfall_se: float
    asymptotic_var: float
    segments: pd.DataFrame
    cells: int
    warning: str


def simulate(
    ead: npt.ArrayLike,
    pd_: npt.ArrayLike,
    lgd: npt.ArrayLike,
    rho: npt.ArrayLike,
    *,
    segment: npt.ArrayLike | None = None,
    scenarios: int = 10_000,
    confidence: float = 0.999,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> LossDistribution:
    """Simulate the loss of a book.

    Parameters
    ----------
    ead
        Exposure at default of each loan, in money, shape (n,).
    pd_, lgd, rho
        PD within the year, loss given default, asset correlation (below 1); (n,) or one number.
    segment
        Name of each loan's segment, shape (n,); one segment if left out.
    scenarios
        How many years are drawn.
    progress
        Called with the fraction done.

    Raises
    ------
    InputRefused
        If a probability is outside [0, 1], an amount is negative, the lengths differ, the
        confidence isn't inside (0, 1), or there are fewer than 100 scenarios.
    """
    level = confidence_level(confidence)
    money = amounts("ead", ead)
    n = len(money)
    p = probabilities("pd", pd_, n)
    loss = money * probabilities("lgd", lgd, n)
    r = probabilities("rho", rho, n)
    if (r == 1).any():
        raise InputRefused("rho is 1", expected="an asset correlation below 1")
    if scenarios < BLOCK:
        raise InputRefused(f"{scenarios} scenarios", expected=f"at least {BLOCK}")
    names, of = _segments(segment, n)
    cells = _cells(p, loss, r, of)
    by_segment = _draw(cells, len(names), scenarios, seed, progress)
    fixed = pd.DataFrame(
        {
            "loans": np.bincount(of, minlength=len(names)),
            "ead": np.bincount(of, money, minlength=len(names)),
            "expected_loss": np.bincount(of, p * loss, minlength=len(names)),
        },
        index=pd.Index(names, name="segment"),
    )
    asymptotic = float((loss * conditional_pd(p, r, ndtri(1 - level))).sum())
    return _measured(by_segment, fixed, level, asymptotic, len(cells))


def _measured(
    by_segment: FloatArray, fixed: pd.DataFrame, level: float, asymptotic: float, cells: int
) -> LossDistribution:
    """The measures of simulated losses, shape (scenarios, segments), with their errors."""
    losses, scenarios = by_segment.sum(axis=1), len(by_segment)
    tail = np.partition(losses, _rank(scenarios, level))
    var = float(tail[_rank(scenarios, level)])
    low, high = _interval(losses, level)
    tail_weight = _tail_weights(losses, var, level)
    shortfall = float(tail_weight @ losses)
    # Of the mean beyond an estimated quantile: the spread inside the tail, and of the tail itself.
    inside = float(tail_weight @ (losses - shortfall) ** 2)
    variance = inside + level * (shortfall - var) ** 2
    parts = by_segment[_around(losses, level)].mean(axis=0)
    total = parts.sum()
    return LossDistribution(
        losses=losses,
        confidence=level,
        expected_loss=float(fixed["expected_loss"].to_numpy().sum()),
        simulated_mean=float(losses.mean()),
        simulated_mean_se=float(losses.std(ddof=1) / np.sqrt(scenarios)),
        var=var,
        var_low=low,
        var_high=high,
        shortfall=shortfall,
        shortfall_se=float(np.sqrt(variance / max(1.0, (1 - level) * scenarios))),
        asymptotic_var=asymptotic,
        segments=fixed.assign(
            var_contribution=parts * (var / total) if total else parts,
            shortfall_contribution=tail_weight @ by_segment,
        ),
        cells=cells,
        warning=_warning(scenarios, level, var, low, high),
    )


def _segments(segment: npt.ArrayLike | None, n: int) -> tuple[list[str], npt.NDArray[np.intp]]:
    if segment is None:
        return ["book"], np.zeros(n, dtype=np.intp)
    found = np.asarray(segment, dtype=str)
    if found.shape != (n,):
        raise InputRefused(
            f"the segments have the shape {found.shape}", expected=f"({n},): one for each loan"
        )
    names, of = np.unique(found, return_inverse=True)
    return names.tolist(), of


def _cells(
    p: FloatArray, loss: FloatArray, r: FloatArray, of: npt.NDArray[np.intp]
) -> pd.DataFrame:
    """Group alike loans: columns ``n``, ``p``, ``loss`` (of one loan), ``rho``, ``segment``."""
    loans = pd.DataFrame({"p": p, "loss": loss, "rho": r, "segment": of})
    loans = loans[(p > 0) & (loss > 0)]
    alone = loans["loss"] > LARGE * loss.sum()
    if len(loans) <= LOAN_BY_LOAN:
        alone[:] = True
    single = loans[alone].assign(n=1)
    rest = loans[~alone]
    if rest.empty:
        alike: pd.DataFrame = single.reset_index(drop=True)
        return alike
    weighted = rest.assign(el=rest["p"] * rest["loss"], rl=rest["rho"] * rest["loss"], n=1)
    bands = [
        rest["segment"],
        np.floor(ndtri(np.minimum(rest["p"], 1 - 1e-9)) / PD_BAND).rename("pd_band"),
        np.floor(np.log(rest["loss"]) / LOSS_BAND).rename("loss_band"),
        np.floor(rest["rho"] / RHO_BAND).rename("rho_band"),
    ]
    grouped = weighted.groupby(bands, sort=True)[["el", "rl", "loss", "n"]].sum()
    cells = pd.DataFrame(
        {
            "p": grouped["el"] / grouped["loss"],
            "loss": grouped["loss"] / grouped["n"],
            "rho": grouped["rl"] / grouped["loss"],
            "segment": grouped.index.get_level_values("segment"),
            "n": grouped["n"],
        }
    )
    joined: pd.DataFrame = pd.concat([single, cells], ignore_index=True)
    return joined


def _draw(
    cells: pd.DataFrame,
    segments: int,
    scenarios: int,
    seed: int,
    progress: Callable[[float], None] | None,
) -> FloatArray:
    """Losses by scenario and segment, shape (scenarios, segments)."""
    cells = cells.sort_values(["segment", "n"], kind="stable")
    n = cells["n"].to_numpy()
    loss = cells["loss"].to_numpy()
    threshold = ndtri(cells["p"].to_numpy())
    rho = cells["rho"].to_numpy()
    slope, own = np.sqrt(rho / (1 - rho)), threshold / np.sqrt(1 - rho)
    of = cells["segment"].to_numpy(dtype=np.intp)
    starts = np.searchsorted(of, np.arange(segments))
    held = np.flatnonzero(np.bincount(of, minlength=segments))
    single = n == 1
    out = np.zeros((scenarios, segments))
    blocks = [range(a, min(a + BLOCK, scenarios)) for a in range(0, scenarios, BLOCK)]
    done = 0

    def block(number: int) -> None:
        nonlocal done
        rng = np.random.default_rng([seed, number])
        rows = blocks[number]
        for row, z in zip(rows, rng.standard_normal(len(rows)), strict=True):
            p = ndtr(own - slope * z)
            defaults = np.empty(len(p))
            defaults[single] = rng.random(int(single.sum())) < p[single]
            defaults[~single] = rng.binomial(n[~single], p[~single])
            if len(held):
                out[row, held] = np.add.reduceat(defaults * loss, starts[held])
        done += len(rows)
        if progress is not None:
            progress(done / scenarios)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(block, range(len(blocks))))
    return out


def _tail_weights(losses: FloatArray, var: float, level: float) -> FloatArray:
    """Weights, summing to one, of the worst 1 - level of the scenarios.

    Where several lose just the VaR, only so much of them counts as the tail has room for (Acerbi
    and Tasche, "On the coherence of expected shortfall", J. Banking and Finance 26, 2002).
    """
    size = (1 - level) * len(losses)
    weight = np.where(losses > var, 1.0, 0.0)
    at = losses == var
    weight[at] = max(0.0, size - weight.sum()) / at.sum()
    return np.asarray(weight / weight.sum())


def _rank(scenarios: int, level: float) -> int:
    """Position of the quantile among sorted losses: the smallest that level of them reach."""
    return min(scenarios - 1, int(np.ceil(level * scenarios)) - 1)


def _interval(losses: FloatArray, level: float) -> tuple[float, float]:
    """95 % interval of the quantile: the order statistics that a binomial count allows."""
    m = len(losses)
    low, high = binom.ppf([0.025, 0.975], m, level).astype(int)
    found = np.sort(losses)
    return float(found[max(low - 1, 0)]), float(found[min(high, m - 1)])


def _around(losses: FloatArray, level: float) -> npt.NDArray[np.intp]:
    """The scenarios whose loss lies next to the VaR: what the VaR is made of."""
    m = len(losses)
    at = _rank(m, level)
    half = min(max(10, round(m * (1 - level) / 2)), at, m - 1 - at)
    order = np.argsort(losses, kind="stable")
    return np.asarray(order[at - half : at + half + 1])


def _warning(scenarios: int, level: float, var: float, low: float, high: float) -> str:
    beyond = round(scenarios * (1 - level))
    wide = (high - low) / 2 > UNCERTAIN * var if var else True
    if beyond >= 10 and not wide:
        return ""
    needed = int(np.ceil(FEW / (1 - level) / 1000) * 1000)
    return (
        f"simulation error dominates: {beyond} of {scenarios:,} scenarios lie beyond the "
        f"{level:.4g} quantile, whose 95 % interval is {low:,.0f} to {high:,.0f}; a lower "
        f"confidence is steadier (for this one {needed:,} scenarios would be needed)"
    )

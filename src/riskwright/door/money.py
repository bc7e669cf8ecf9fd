"""What a book of loans will lose, and what a market will return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskwright.door import frames, page, pictures
from riskwright.door.cases import name_of
from riskwright.door.results import Result
from riskwright.life.opened import opened
from riskwright.stats.figures import BAD, BLUE, GREY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from riskwright.door.cases import Of


@dataclass(frozen=True, repr=False, eq=False)
class Book(Result):
    """A valued book of loans.

    Attributes
    ----------
    usecase, version, as_of
        Which version valued it, and the book's date.
    figures
        The headline figures, money in ``currency``.
    stress, worst
        Rows of the stress, and of the groups that lose most.
    refused
        Loans that couldn't be read; they are in no figure.
    notes
        What a reader of the figures has to know.
    report, loans_file
        The page; the loans.
    """

    usecase: str
    version: int
    as_of: str
    figures: Mapping[str, Any]
    stress: tuple[Mapping[str, Any], ...]
    worst: tuple[Mapping[str, Any], ...]
    refused: int
    notes: tuple[str, ...]
    report: Path
    loans_file: Path

    @property
    def headline(self) -> str:
        """What is expected to be lost."""
        told = self.figures
        return (
            f"{self.usecase} on {self.as_of}: {told['el']:,.0f} {told['currency']} are expected "
            f"to be lost in twelve months (95 %: {told['el_low']:,.0f} to {told['el_high']:,.0f})"
        )

    @cached_property
    def _loans(self) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self.loans_file)

    @property
    def frame(self) -> pd.DataFrame:
        """The loans, a row each: PD, LGD, EAD, expected loss, stage, price."""
        return self._loans.copy()

    def plot(self) -> Figure:
        """Draw the loss under each scenario of the stress."""
        names = [str(row["scenario"]) for row in self.stress]
        values = [float(row["el"]) for row in self.stress]
        worst = max(zip(values, names, strict=True))[1]
        return pictures.bars(
            names,
            values,
            unit=f"expected loss in twelve months ({self.figures['currency']})",
            of="scenario",
            sentence=f"{self.usecase}: most is lost under {worst!r}",
            note=f"book of {self.as_of}, version {self.version}",
            colours=[BAD if name == worst else BLUE for name in names],
        )

    def _parts(self) -> Iterator[str]:
        yield page.table([{"figure": k, "value": v} for k, v in self.figures.items()])
        yield page.table(list(self.stress), "stress")
        yield page.table(list(self.worst), "where it is lost")
        yield page.lines(self.notes)
        yield page.line(f"report: {self.report}")


def value_book(
    of: Of,
    data: pd.DataFrame | str | Path,
    *,
    as_of: str | None = None,
    scenario: str | Path = "base",
    confidence: float = 0.999,
    output: str | Path | None = None,
) -> Book:
    """Say what the loans that we hold will lose: expected loss, bad years, stress, stages, prices.

    Parameters
    ----------
    of
        A use case of the kind ``loans``.
    data
        The book: live loans with their ``balance``, or a history of loans (then ``as_of``).
    as_of
        Its date, where the data don't say it.
    scenario
        ``base``, ``mild``, ``adverse``, ``severe``, or a YAML file of shocks: the stress in the
        foreground.
    confidence
        Of the bad year, inside (0, 1).
    output
        Folder for the report, a new or empty one; one in the home's ``reports`` if None.

    Raises
    ------
    InputRefused
        If the use case is of another kind, or book, date, scenario or output can't be used; nothing
        is written.
    """
    from riskwright.life.commands import command
    from riskwright.life.named import named, trouble

    home, ledger = opened(create=False)
    found = named(name_of(of), home, ledger)
    report_on, name = command(found, "portfolio"), found.name
    now = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    place = Path(output) if output is not None else home.folder("reports", name) / f"book-{now}"
    case = frames.written_as(found, home, ledger) if frames.is_frame(data) else None
    with frames.as_file(data, case) as book:
        told = report_on(
            name,
            home,
            ledger,
            input=book,
            output=place,
            as_of=as_of,
            scenario=str(scenario),
            confidence=confidence,
            progress=lambda what, done: None,
        )
    return _book(told, trouble(found, home, ledger))


def _book(told: Mapping[str, Any], trouble: list[str]) -> Book:
    mlflow = [told["mlflow"]] if "mlflow" in told else []
    apart = ("usecase", "version", "as_of", "notes", "stress", "worst", "report", "loans_file")
    figures = {
        k: v
        for k, v in told.items()
        if k not in apart and isinstance(v, (int, float, str)) and not isinstance(v, bool)
    }
    return Book(
        usecase=told["usecase"],
        version=told["version"],
        as_of=told["as_of"],
        figures=figures,
        stress=tuple(told["stress"]),
        worst=tuple(told["worst"]),
        refused=told["refused"],
        notes=(*told["notes"], *mlflow, *trouble),
        report=Path(told["report"]),
        loans_file=Path(told["loans_file"]),
    )


@dataclass(frozen=True, repr=False, eq=False)
class Forecast(Result):
    """What a market is expected to return, and why.

    Attributes
    ----------
    usecase, version, horizon, origin
        Which version says it, over which span, at the end of which month.
    expected, intervals
        The return expected over the horizon, and its intervals: ``(80, low, high)``, ``(95, …)``;
        shares (0.05 is 5 %).
    weight
        What to hold of it, a share; None where cash isn't known.
    historical_mean
        The forecast without any predictor.
    reasons
        What each predictor adds to the historical mean.
    skill
        Whether it beats the historical mean by its test; None: not enough outcomes.
    sentence
        All of it, in words.
    notes
        What a reader has to know.
    """

    usecase: str
    version: int
    horizon: int
    origin: str
    expected: float
    intervals: tuple[tuple[int, float, float], ...]
    weight: float | None
    historical_mean: float
    reasons: tuple[Mapping[str, Any], ...]
    skill: bool | None
    sentence: str
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The forecast."""
        months = "month" if self.horizon == 1 else "months"
        return (
            f"{self.usecase}: {self.expected:+.1%} expected over {self.horizon} {months} from "
            f"{self.origin}"
        )

    @property
    def frame(self) -> pd.DataFrame:
        """The forecast in one row: expected return, intervals, weight, historical mean."""
        import pandas as pd

        row: dict[str, Any] = {"origin": self.origin, "horizon": self.horizon}
        row |= {"expected": self.expected}
        for level, low, high in self.intervals:
            row |= {f"low{level}": low, f"high{level}": high}
        row |= {"weight": self.weight, "historical_mean": self.historical_mean}
        return pd.DataFrame([row])

    def plot(self) -> Figure:
        """Draw the forecast with its intervals, against the historical mean."""
        figure, axes = pictures.new(self.headline, "dashed: the historical mean", 2)
        for at, (_, low, high) in enumerate(sorted(self.intervals)):
            axes.barh(at, 100 * (high - low), left=100 * low, color=BLUE, alpha=0.5 - 0.2 * at)
            axes.plot(100 * self.expected, at, "o", color=BLUE)
        axes.set_yticks(
            range(len(self.intervals)), [f"{level} %" for level, _, _ in sorted(self.intervals)]
        )
        axes.axvline(100 * self.historical_mean, color=GREY, ls="--")
        axes.set(xlabel=f"return over {self.horizon} months (%)", ylabel="interval")
        return figure

    def _parts(self) -> Iterator[str]:
        yield page.line(self.sentence)
        rows = [
            {"predictor": r["label"], "adds (percentage points)": f"{100 * r['adds']:+.3f}"}
            for r in self.reasons
        ]
        yield page.table(rows, "what moves it away from the historical mean")
        yield page.lines(self.notes)


def forecast(
    of: Of,
    *,
    horizon: str | None = None,
    as_of: str | None = None,
    data: str | Path | None = None,
) -> Forecast:
    """Say what a market will return, how sure that is, what to hold, and why.

    Parameters
    ----------
    of
        A use case of the kind ``market``.
    horizon
        ``1m`` or ``12m``; the longest if None.
    as_of
        ``2008-09`` or ``2008-09-30``; the newest month if None.
    data
        Folder of the series; where the champion's came from if None.

    Raises
    ------
    InputRefused
        If the use case is of another kind, nothing is live, or there is no such horizon or date.
    """
    from riskwright.life.commands import command
    from riskwright.life.named import named, trouble

    home, ledger = opened(create=False)
    found = named(name_of(of), home, ledger)
    ask, name = command(found, "forecast"), found.name
    told = ask(name, home, ledger, horizon=horizon, as_of=as_of, data=frames.place(data))
    return Forecast(
        usecase=name,
        version=told["version"],
        horizon=told["horizon"],
        origin=told["origin"],
        expected=told["forecast"],
        intervals=tuple((n, told[f"low{n}"], told[f"high{n}"]) for n in (80, 95)),
        weight=told["weight"],
        historical_mean=told["historical_mean"],
        reasons=tuple(told["reasons"]),
        skill=told["evidence"]["passed"],
        sentence=told["sentence"],
        notes=(*told["notes"], *trouble(found, home, ledger)),
    )

"""Scores of cases: a frame in, a frame out; and why a case is scored as it is."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from riskwright.door import frames, page, pictures
from riskwright.door.cases import name_of
from riskwright.door.kinds import only
from riskwright.door.results import Result
from riskwright.errors import InputRefused
from riskwright.life.opened import opened
from riskwright.stats.figures import BAD, GOOD

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from riskwright.data.contract import Checked, Contract
    from riskwright.door.cases import Of
    from riskwright.systems.credit.bundle import Bundle

REFUSED = "refused"
SHOWN = 12  # contributions in a picture
BINS = 30


@dataclass(frozen=True, repr=False, eq=False)
class Scored(Result):
    """Scores, in the order and under the index of what was given.

    Attributes
    ----------
    usecase, version
        Which version scored.
    scores
        A row for each row given. Of cases: ``pd`` (a probability), ``member_min``, ``member_max``
        (a spread of the members, not an interval), ``disagreement`` (log-odds), ``decision``,
        ``reason_1`` to ``reason_4``, ``model_version``, ``note``; of loans also ``price`` and
        ``price_cautious``. A refused row has no score, the decision ``refused``, and the reason.
    refused
        The refused rows: ``reason`` and the cells as they were.
    warnings
        What a reader of the scores has to know.
    """

    usecase: str
    version: int
    scores: pd.DataFrame
    refused: pd.DataFrame
    warnings: tuple[str, ...]

    @property
    def headline(self) -> str:
        """How many rows were scored."""
        told = f"{self.usecase}: {len(self.scores) - len(self.refused):,} rows scored by version "
        told += str(self.version)
        return told + (f", {len(self.refused):,} refused" if len(self.refused) else "")

    @property
    def frame(self) -> pd.DataFrame:
        """The scores (``scores``)."""
        return self.scores.copy()

    def plot(self) -> Figure:
        """Draw how the scores are spread."""
        column = next(
            name for name, cells in self.scores.items() if cells.dtype.kind == "f"
        )  # the first number that is answered with
        cells = self.scores[column].dropna().to_numpy(dtype=float)
        named = "PD (probability of default)" if column == "pd" else str(column)
        middle = (
            f"half of the rows are below {sorted(cells)[len(cells) // 2]:.3g}"
            if len(cells)
            else "nothing to draw"
        )
        figure, axes = pictures.new(
            f"{self.usecase}: {middle}", f"version {self.version}, {len(cells):,} rows"
        )
        axes.hist(cells, bins=BINS, color=GOOD)
        axes.set(xlabel=named, ylabel="rows (count)")
        return figure

    def _parts(self) -> Iterator[str]:
        yield page.lines(self.warnings)
        if "decision" in self.scores:
            counts = self.scores["decision"].value_counts()
            yield page.table([{"decision": d, "rows": int(n)} for d, n in counts.items()])
        shown = self.scores.head(page.MOST)
        rows = [
            {"": str(index), **row} for index, row in zip(shown.index, _rows(shown), strict=True)
        ]
        yield page.table(rows, "the first rows")
        reasons = self.refused["reason"].value_counts()
        yield page.table([{"refused for": r, "rows": int(n)} for r, n in reasons.items()])


def score(
    of: Of,
    data: pd.DataFrame | str | Path,
    *,
    version: str | int = "champion",
    reasons: Literal["adverse", "all", "none"] = "adverse",
) -> Scored:
    """Score cases with what is live; nothing is written.

    Parameters
    ----------
    of
        The use case.
    data
        A frame in the use case's columns, or the path or address of a file.
    version
        ``champion``, ``challenger`` or a number.
    reasons
        For which rows to work out reasons: declined and referred ones, all, or none.

    Returns
    -------
    Scored
        ``frame`` has a row for each row of ``data``, under its index; ``refused`` those that break
        the contract, with their reasons.

    Raises
    ------
    InputRefused
        If a required column is missing, there is no such version, or the use case forecasts a
        market.
    IntegrityError
        If a file of the version isn't what was registered.
    """
    from riskwright.life.named import named

    if reasons not in ("adverse", "all", "none"):
        raise InputRefused(f"unknown reasons {reasons!r}", expected="adverse, all or none")
    home, ledger = opened(create=False)
    found = named(name_of(of), home, ledger)
    by = _of_cases if found.kind in ("credit", "loans") else _by_protocol
    return by(found, home, ledger, data, version, reasons)


def _of_cases(
    found: Any, home: Any, ledger: Any, data: object, version: str | int, reasons: Any
) -> Scored:
    """Score cases; the rows that the contract refuses keep their place."""
    from riskwright.life.named import trouble
    from riskwright.systems.credit.extension import extension_of
    from riskwright.systems.credit.scoring import Counts

    bundle, raw, checked, contract = _cases(found.name, home, ledger, data, version)
    scored = bundle.score(checked.accepted, reasons)
    counts = Counts(bundle)
    counts.add(checked, scored)
    if (price := extension_of(bundle.usecase).pricer(home, ledger, bundle)) is not None:
        scored = scored.join(price(checked.accepted))
    scored = _whole(scored.reindex(raw.index), checked.refused.set_index("row"))
    scored["model_version"] = bundle.version
    index = _index(data, raw)
    return Scored(
        usecase=found.name,
        version=bundle.version,
        scores=scored.set_axis(index, axis=0),
        refused=_refused(checked, raw, index),
        warnings=(*counts.notes({}, contract), *trouble(found, home, ledger)),
    )


def _whole(scored: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    """Say of refused rows that they are, and why, where a score would be."""
    scored.loc[refused.index, "decision"] = REFUSED
    scored.loc[refused.index, "reason_1"] = refused["reason"]
    texts = [str(name) for name in scored if str(name).startswith("reason_") or name == "note"]
    scored[texts] = scored[texts].fillna("")
    return scored


def _refused(checked: Checked, raw: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Return the refused rows under the index of what was given."""
    refused = checked.refused.set_index("row")
    return refused.set_axis(index[raw.index.get_indexer(refused.index)], axis=0)


def _cases(
    name: str, home: Any, ledger: Any, data: object, version: str | int
) -> tuple[Bundle, pd.DataFrame, Checked, Contract]:
    """Open a version, and hold raw rows (index: their positions) against its contract."""
    from riskwright.data.contract import Contract
    from riskwright.systems.credit.promotion import load_version

    bundle = load_version(home, ledger, name, str(version))
    raw = frames.read(bundle.usecase, data)
    contract = Contract(bundle.usecase, "score")
    return bundle, raw, contract.apply(raw), contract


def _by_protocol(
    found: Any, home: Any, ledger: Any, data: object, version: str | int, reasons: Any
) -> Scored:
    """Score with what a system from outside serves; a row that it refuses, it says how."""
    import pandas as pd

    from riskwright.life.commands import command
    from riskwright.life.serving import load_live

    command(found, "score")  # or its refusal
    if version != "champion":
        raise InputRefused(
            f"of the kind {found.kind!r} the live version answers alone", expected="champion"
        )
    if not isinstance(data, pd.DataFrame):
        raise InputRefused(f"of the kind {found.kind!r} rows are scored", expected="a DataFrame")
    served, number = load_live(home, ledger, found.name)
    answered = served.predict(data.reset_index(drop=True), reasons).set_axis(data.index, axis=0)
    nobody = pd.DataFrame({"reason": pd.Series(dtype="str")})
    return Scored(found.name, number, answered, nobody, ())


@dataclass(frozen=True, repr=False, eq=False)
class Explained(Result):
    """Why cases are scored as they are: exact sums of the deployed PD, in log-odds.

    Attributes
    ----------
    usecase, version
        Which version scored.
    contributions
        A row for each accepted row, under the index of what was given: what each feature adds to
        the log-odds of default, and ``base``; a row's sum is the log-odds of its PD.
    values
        The features' values in words, alike.
    probability
        The PDs, alike.
    refused
        Rows that break the contract: ``reason`` and the cells as they were.
    """

    usecase: str
    version: int
    contributions: pd.DataFrame
    values: pd.DataFrame
    probability: pd.Series
    refused: pd.DataFrame

    @property
    def headline(self) -> str:
        """How many cases are explained."""
        return f"{self.usecase}: {len(self.probability):,} cases explained, version {self.version}"

    @property
    def frame(self) -> pd.DataFrame:
        """The contributions (``contributions``), in log-odds."""
        return self.contributions.copy()

    def plot(self, row: Hashable = None) -> Figure:
        """Draw what moves one case from the base, largest first.

        Parameters
        ----------
        row
            Its label in the index; the first case if None.

        Raises
        ------
        InputRefused
            If no such case is explained.
        """
        at, parts = self._case(row)
        order = parts.abs().sort_values(ascending=False, kind="stable").index[:SHOWN]
        adds = [float(parts[name]) for name in order]
        most = order[0] if len(order) else "nothing"
        return pictures.bars(
            [f"{name}: {self.values[name].iloc[at]}" for name in order],
            adds,
            unit="adds to the log-odds of default",
            of="feature: value",
            sentence=f"PD {self.probability.iloc[at]:.1%}: {most} moves it most",
            note=f"case {self.probability.index[at]}; the base's PD is {self._base(at):.1%}",
            colours=[BAD if value > 0 else GOOD for value in adds],
        )

    def _case(self, row: Hashable) -> tuple[int, pd.Series]:
        index = self.contributions.index
        if row is not None and row not in index:
            raise InputRefused(
                f"no case {row!r} is explained", expected="a label of its index", do="see .frame"
            )
        if not len(index):
            raise InputRefused("no case is explained", do="see .refused")
        at = 0 if row is None else list(index).index(row)
        return at, self.contributions.iloc[at].drop("base")

    def _base(self, at: int) -> float:
        from math import exp

        return 1 / (1 + exp(-float(self.contributions["base"].iloc[at])))

    def _parts(self) -> Iterator[str]:
        for at in range(min(len(self.probability), 3)):
            parts = self.contributions.iloc[at].drop("base")
            order = parts.abs().sort_values(ascending=False, kind="stable").index[:5]
            rows = [
                {
                    "feature": name,
                    "value": self.values[name].iloc[at],
                    "adds (log-odds)": f"{parts[name]:+.2f}",
                }
                for name in order
            ]
            yield page.table(
                rows, f"case {self.probability.index[at]}: PD {self.probability.iloc[at]:.1%}"
            )
        reasons = self.refused["reason"].value_counts()
        yield page.table([{"refused for": r, "rows": int(n)} for r, n in reasons.items()])


def explain(
    of: Of, data: pd.DataFrame | str | Path, *, version: str | int = "champion"
) -> Explained:
    """Say why cases are scored as they are: what each feature adds to the deployed PD.

    Parameters
    ----------
    of
        The use case, about credit or loans.
    data
        A frame in the use case's columns, or the path or address of a file.
    version
        ``champion``, ``challenger`` or a number.

    Returns
    -------
    Explained
        ``frame`` in log-odds, under the index of ``data``; ``plot(row)`` draws one case.

    Raises
    ------
    InputRefused
        If the use case is of another kind, a required column is missing, or there is no such
        version.
    IntegrityError
        If a file of the version isn't what was registered.
    """
    import pandas as pd

    from riskwright.explanations.words import words
    from riskwright.life.named import named

    home, ledger = opened(create=False)
    name = only(named(name_of(of), home, ledger), "a case to explain", "credit", "loans")
    bundle, raw, checked, _ = _cases(name, home, ledger, data, version)
    x = checked.accepted[bundle.schema.names]
    index = _index(data, raw)
    mine = index[raw.index.get_indexer(x.index)]
    values = {f.name: words(f, x[f.name]) for f in bundle.schema.features}
    contributions = bundle.ensemble.contributions(x)[[*bundle.schema.names, "base"]]
    return Explained(
        usecase=name,
        version=bundle.version,
        contributions=contributions.set_axis(mine, axis=0),
        values=pd.DataFrame(values, index=mine),
        probability=bundle.ensemble.predict(x)["pd"].set_axis(mine),
        refused=_refused(checked, raw, index),
    )


def _index(data: object, raw: pd.DataFrame) -> pd.Index:
    """Return the index of what was given; of a file the numbers of its rows, from 0."""
    import pandas as pd

    return data.index[raw.index] if isinstance(data, pd.DataFrame) else raw.index


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]

"""A bundle: one or more fitted families behind one deployed PD, with decision and reasons."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase, sealed_usecase
from riskwright.data.contract import Contract
from riskwright.data.novel import row_notes
from riskwright.life.requests import nested
from riskwright.life.system import Reasons
from riskwright.store import manifest
from riskwright.store.provenance import made_by

if TYPE_CHECKING:
    from riskwright.learn.ensemble import Ensemble
    from riskwright.learn.hazard import Hazard

HAZARD = "hazard.json"
REASON_COLUMNS = [f"reason_{i}" for i in range(1, 5)]
COLUMNS = [
    "pd",
    "member_min",
    "member_max",
    "disagreement",
    "decision",
    *REASON_COLUMNS,
    "model_version",
    "note",
]


@dataclass(frozen=True)
class Limits:
    """Where decisions change: PD cut-offs, and the disagreement beyond which a person looks.

    ``refer_above`` None: the members can't be told apart (there is one), nobody is referred for it.
    ``cutoff_low``, ``cutoff_high``: between which cut-offs cost the same to within one standard
    error; None where a person chose, or by a version of before.
    """

    cutoff: float
    approve_below: float
    decline_from: float
    refer_above: float | None
    cutoff_low: float | None = None
    cutoff_high: float | None = None

    def decide(self, predicted: pd.DataFrame) -> np.ndarray:
        """Return approve, refer or decline for rows that ``Ensemble.predict`` scored."""
        from riskwright.stats.cutoffs import decide

        return decide(
            predicted["pd"].to_numpy(),
            predicted["disagreement"].to_numpy(),
            approve_below=self.approve_below,
            decline_from=self.decline_from,
            refer_above=np.inf if self.refer_above is None else self.refer_above,
        )


class Bundle:
    """What goes live. Made by ``Bundle.write``, read by ``Bundle.load``.

    Parameters
    ----------
    usecase
        The specification it was trained under; its contract is the bundle's contract.
    ensemble
        The fitted and calibrated members.
    limits
        Cut-offs chosen out of fold.
    version
        The use case's version number, shown on every scored row.
    digest
        The manifest's digest.
    hazard
        Of a loan book: when loans fail.
    """

    def __init__(
        self,
        usecase: UseCase,
        ensemble: Ensemble,
        limits: Limits,
        version: int,
        digest: str,
        hazard: Hazard | None = None,
    ) -> None:
        self.hazard = hazard
        self.usecase, self.ensemble, self.limits = usecase, ensemble, limits
        self.version, self.digest = version, digest
        self.schema = usecase.schema_

    @staticmethod
    def write(
        folder: Path,
        usecase: UseCase,
        ensemble: Ensemble,
        limits: Limits,
        version: int,
        hazard: Hazard | None = None,
    ) -> str:
        """Write a bundle into an empty folder, seal it, and return its digest."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "usecase.json").write_text(usecase.model_dump_json(indent=1), encoding="utf-8")
        settings = {"version": version, "limits": asdict(limits)}
        (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
        ensemble.save(folder / "ensemble")
        if hazard is not None:
            hazard.save(folder / HAZARD)
        return manifest.seal(folder, made_by())

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> Bundle:
        """Verify every file's hash, then read the bundle.

        Raises
        ------
        IntegrityError
            If any file is not what was sealed, or the digest is not the one given.
        """
        from riskwright.learn.ensemble import Ensemble
        from riskwright.learn.hazard import Hazard

        found = manifest.verify(folder, digest)
        settings = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        return cls(
            sealed_usecase(folder),
            Ensemble.load(folder / "ensemble"),
            Limits(**settings["limits"]),
            settings["version"],
            found,
            Hazard.load(folder / HAZARD) if (folder / HAZARD).exists() else None,
        )

    def score(self, frame: pd.DataFrame, reasons: Reasons = "adverse") -> pd.DataFrame:
        """Score a canonical frame.

        Parameters
        ----------
        frame
            Rows that the contract accepted.
        reasons
            For which rows to work out reasons: declined and referred ones, all, or none.

        Returns
        -------
        DataFrame
            ``COLUMNS`` with the index of ``frame``. ``pd`` is a probability; ``member_min``,
            ``member_max`` are the calibrated members' extremes (a spread, not an interval);
            ``disagreement`` is the members' standard deviation in log-odds; ``note`` says what of
            the row training never saw (``data.novel``), and is empty else.
        """
        x = frame[self.schema.names]
        out = self.ensemble.predict(x)
        out["decision"] = self.limits.decide(out)
        out[REASON_COLUMNS] = ""
        if reasons != "none":
            rows = out.index if reasons == "all" else out.index[out["decision"] != "approve"]
            if len(rows):
                out.loc[rows, REASON_COLUMNS] = self.reasons(x.loc[rows])
        out["model_version"] = self.version
        out["note"] = row_notes(self.ensemble.seen, x)
        return out[COLUMNS]

    def reasons(self, x: pd.DataFrame) -> pd.DataFrame:
        """Reason codes of rows of features: the four largest exact contributions to the PD."""
        from riskwright.explanations.reasons import reason_codes

        codes = reason_codes(self.ensemble.contributions(x), x, self.schema, n=4)
        return codes.set_axis(REASON_COLUMNS, axis=1).set_axis(x.index, axis=0)

    def predict(self, raw: pd.DataFrame, reasons: Reasons = "adverse") -> pd.DataFrame:
        """Score a raw frame row by row: a refused row gets no PD and its reason.

        Returns
        -------
        DataFrame
            ``COLUMNS``, one row for each row of ``raw`` in its order; ``decision`` is
            ``refused`` and ``reason_1`` says why where the contract refused the row.
        """
        raw = raw.set_axis(pd.RangeIndex(len(raw), name="row"), axis=0)
        contract = Contract(self.usecase, "score")
        contract.check_header(list(raw.columns))
        no_cells = nested(raw)
        checked = contract.apply(raw.drop(index=no_cells.index))
        scored = self.score(checked.accepted, reasons).reindex(raw.index)
        refused = pd.concat([checked.refused.set_index("row")["reason"], no_cells])
        scored.loc[refused.index, "decision"] = "refused"
        scored.loc[refused.index, REASON_COLUMNS] = ""
        scored.loc[refused.index, "reason_1"] = refused
        scored.loc[refused.index, "note"] = ""
        scored["model_version"] = self.version
        return scored.reset_index(drop=True)


def choose_limits(
    usecase: UseCase, y: np.ndarray, oof_pd: np.ndarray, refer_above: float | None
) -> Limits:
    """Return the use case's own cut-offs, or those of least cost on out-of-fold PDs.

    Parameters
    ----------
    y, oof_pd
        Outcomes (1 = bad) and out-of-fold PDs of the training rows, shape (n,).
    refer_above
        Disagreement from which a case goes to a person.
    """
    from riskwright.stats.cutoffs import choose

    wanted = usecase.cutoffs
    if wanted.approve_below is not None and wanted.decline_from is not None:
        middle = (wanted.approve_below + wanted.decline_from) / 2
        return Limits(middle, wanted.approve_below, wanted.decline_from, refer_above)
    cutoff, low, high = choose(
        y,
        oof_pd,
        bad_approved=usecase.costs.bad_approved,
        good_declined=usecase.costs.good_declined,
    )
    within = wanted.refer_within
    below, above = cutoff * (1 - within), min(1.0, cutoff * (1 + within))
    return Limits(cutoff, below, above, refer_above, low, high)

"""The bundles of LGD and EAD: what goes live beside the PD, under the same seal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from riskwright.case.usecase import UseCase, sealed_usecase
from riskwright.data.contract import Contract
from riskwright.data.parsing import numbers
from riskwright.life.requests import nested
from riskwright.life.system import Reasons
from riskwright.store import manifest
from riskwright.store.provenance import made_by
from riskwright.systems.loans.loss import owed_later, owed_now

if TYPE_CHECKING:
    from riskwright.systems.loans.exposure import Exposure
    from riskwright.systems.loans.severity import Severity

LossModel = Literal["lgd", "ead"]
OF_A_BOOK = ("months_on_book", "balance")  # not in the use case: how a live loan stands


class LossBundle:
    """LGD or EAD of loans. Made by ``LossBundle.write``, read by ``LossBundle.load``.

    Parameters
    ----------
    usecase
        The specification it was trained under.
    model
        ``lgd`` or ``ead``.
    fitted
        A ``Severity`` or an ``Exposure``.
    version
        The use case's version number.
    digest
        The manifest's digest.
    """

    def __init__(
        self,
        usecase: UseCase,
        model: LossModel,
        fitted: Severity | Exposure,
        version: int,
        digest: str,
    ) -> None:
        self.usecase, self.model, self.fitted = usecase, model, fitted
        self.version, self.digest = version, digest

    @staticmethod
    def write(
        folder: Path, usecase: UseCase, model: LossModel, source: Path, version: int, constant: bool
    ) -> str:
        """Write what ``fit_loss`` left in ``source`` into an empty folder, and seal it.

        Parameters
        ----------
        constant
            Of LGD: its two parts don't beat the mean, which answers instead.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "usecase.json").write_text(usecase.model_dump_json(indent=1), encoding="utf-8")
        settings = {"version": version, "model": model}
        (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
        if model == "lgd":
            from riskwright.systems.loans.severity import Severity

            Severity.load(source / "lgd").live(constant=constant).save(folder / "lgd")
        else:
            shutil.copyfile(source / "ead.json", folder / "ead.json")
        return manifest.seal(folder, made_by())

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> LossBundle:
        """Verify every file's hash, then read the bundle.

        Raises
        ------
        IntegrityError
            If any file is not what was sealed, or the digest is not the one given.
        """
        from riskwright.systems.loans.exposure import Exposure
        from riskwright.systems.loans.severity import Severity

        found = manifest.verify(folder, digest)
        settings = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        usecase = sealed_usecase(folder)
        model: LossModel = settings["model"]
        fitted: Severity | Exposure = (
            Severity.load(folder / "lgd") if model == "lgd" else Exposure.load(folder / "ead.json")
        )
        return cls(usecase, model, fitted, settings["version"], found)

    @property
    def relative_error(self) -> float:
        """Standard error of the level that all loans share, as a share of it."""
        return self.fitted.relative_error

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the LGD of canonical loans, or what they owe if they fail today, shape (n,).

        EAD goes by ``months_on_book`` and ``balance``; loans without these columns (applications)
        owe what they owe when they are made.
        """
        from riskwright.systems.loans.severity import Severity

        if isinstance(self.fitted, Severity):
            return self.fitted.predict(frame)
        return owed_now(self.usecase, self.fitted, frame)

    def profile(self, frame: pd.DataFrame, months: int) -> np.ndarray:
        """Return what loans owe if they are in default in each of the next months, (n, months).

        See ``loss.owed_later``.

        Raises
        ------
        TypeError
            If this is the LGD's bundle.
        """
        from riskwright.systems.loans.exposure import Exposure

        if not isinstance(self.fitted, Exposure):
            raise TypeError(f"the {self.model} of a loan has no profile")
        return owed_later(self.usecase, self.fitted, frame, months)

    def predict(self, raw: pd.DataFrame, reasons: Reasons = "none") -> pd.DataFrame:
        """Score a raw frame row by row; a refused row gets no figure, and no row reasons."""
        raw = raw.set_axis(pd.RangeIndex(len(raw), name="row"), axis=0)
        contract = Contract(self.usecase, "score")
        contract.check_header(list(raw.columns))
        frame = contract.apply(raw.drop(index=nested(raw).index)).accepted
        for name in OF_A_BOOK:
            if name in raw:
                cells, _ = numbers(raw[name], self.usecase.source.missing)
                frame = frame.assign(**{name: cells.reindex(frame.index)})
        scored = pd.Series(self.score(frame), index=frame.index).reindex(raw.index)
        out = pd.DataFrame({self.model: scored, "model_version": self.version})
        return out.reset_index(drop=True)

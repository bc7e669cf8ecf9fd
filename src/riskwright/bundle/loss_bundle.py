"""The bundles of LGD and EAD: what goes live beside the PD, under the same seal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from riskwright.bundle import manifest
from riskwright.bundle.bundle import Bundle
from riskwright.data import maturity
from riskwright.data.contract import Contract
from riskwright.usecase import UseCase

if TYPE_CHECKING:
    from riskwright.models.exposure import Exposure
    from riskwright.models.severity import Severity

LossModel = Literal["lgd", "ead"]


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
        folder.mkdir(parents=True)
        (folder / "usecase.json").write_text(usecase.model_dump_json(indent=1), encoding="utf-8")
        settings = {"version": version, "model": model}
        (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
        if model == "lgd":
            from riskwright.models.severity import Severity

            severity = Severity.load(source / "lgd")
            severity.constant = constant
            severity.save(folder / "lgd")
        else:
            shutil.copyfile(source / "ead.json", folder / "ead.json")
        return manifest.seal(folder)

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> LossBundle:
        """Verify every file's hash, then read the bundle.

        Raises
        ------
        IntegrityError
            If any file is not what was sealed, or the digest is not the one given.
        """
        from riskwright.models.exposure import Exposure
        from riskwright.models.severity import Severity

        found = manifest.verify(folder, digest)
        settings = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        usecase = UseCase.model_validate_json((folder / "usecase.json").read_text(encoding="utf-8"))
        model: LossModel = settings["model"]
        fitted: Severity | Exposure = (
            Severity.load(folder / "lgd") if model == "lgd" else Exposure.load(folder / "ead.json")
        )
        return cls(usecase, model, fitted, settings["version"], found)

    def score(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the LGD of canonical loans, or what they owe after ``months_on_book`` payments.

        EAD of loans without that column (applications) is what they owe when they are made.
        """
        from riskwright.models.severity import Severity

        if isinstance(self.fitted, Severity):
            return self.fitted.predict(frame)
        held = maturity.loan_of(self.usecase)
        month = frame["months_on_book"] if "months_on_book" in frame else np.zeros(len(frame))
        return self.fitted.predict(frame[held.amount], frame[held.rate], frame[held.term], month)

    def predict(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Score a raw frame row by row; a refused row gets no figure."""
        raw = raw.set_axis(pd.RangeIndex(len(raw), name="row"), axis=0)
        contract = Contract(self.usecase, "score")
        contract.check_header(list(raw.columns))
        frame = contract.apply(raw).accepted
        if "months_on_book" in raw:
            months = pd.to_numeric(raw["months_on_book"], errors="coerce")
            frame = frame.assign(months_on_book=months.reindex(frame.index))
        scored = pd.Series(self.score(frame), index=frame.index).reindex(raw.index)
        out = pd.DataFrame({self.model: scored, "model_version": self.version})
        return out.reset_index(drop=True)


def open_bundle(folder: Path) -> Bundle | LossBundle:
    """Read a bundle of either kind."""
    settings = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    return LossBundle.load(folder) if "model" in settings else Bundle.load(folder)

"""Accounts, the share of their balances that stays, and the bundle that goes live."""

from __future__ import annotations

import json
from math import sqrt

import pandas as pd

from bank_deposits.case import DepositCase
from riskwright.case.sections import Source
from riskwright.data.sources import FAULT, read_chunks
from riskwright.errors import InputRefused
from riskwright.store import manifest
from riskwright.store.provenance import made_by

COLUMNS = ("account", "segment", "balance", "stayed")
OUTPUTS = {
    "stays": "number",
    "low": "number",
    "high": "number",
    "note": "text",
    "model_version": "whole",
}


def read(location) -> pd.DataFrame:
    """Read accounts as they are written: any file or database that riskwright reads."""
    return pd.concat(list(read_chunks(Source(), location, columns=COLUMNS)))


def examine(case, raw, *, outcome):
    """Part raw rows into accounts and refused rows, which get a ``reason``."""
    needed = COLUMNS if outcome else ("segment", "balance")
    if missing := [name for name in needed if name not in raw]:
        raise InputRefused(
            f"the column {missing[0]!r} isn't there",
            where=", ".join(map(str, raw.columns)),
            expected=", ".join(needed),
        )
    frame = raw.copy()
    reason = pd.Series("", index=raw.index)
    numbers = [n for n in ("balance", "stayed") if n in raw and (outcome or n == "balance")]
    for name in numbers:
        frame[name] = pd.to_numeric(raw[name], errors="coerce").astype(float)
        reason[frame[name].isna() & (reason == "")] = f"{name} is no number"
        reason[(frame[name] < 0) & (reason == "")] = f"{name} is negative"
    reason[(frame["balance"] == 0) & (reason == "")] = "balance is 0: nothing can stay"
    reason[~raw["segment"].isin(case.segments) & (reason == "")] = "segment isn't declared"
    if outcome:
        reason[raw["account"].duplicated() & (reason == "")] = "account is there twice"
    if FAULT in raw:
        reason = reason.where(raw[FAULT].isna(), raw[FAULT])
    refused = raw.drop(columns=FAULT, errors="ignore").assign(reason=reason)[reason != ""]
    return frame[reason == ""], refused


def fit(frame) -> dict[str, float]:
    """Return rate and standard error of the share of all balances that stays.

    A ratio of sums; its error by linearisation: Cochran (1977), Sampling Techniques, section 6.4.
    """
    x, y = frame["balance"].to_numpy(), frame["stayed"].to_numpy()
    rate, n = float(y.sum() / x.sum()), len(x)
    error = sqrt(n / max(n - 1, 1) * float(((y - rate * x) ** 2).sum())) / float(x.sum())
    return {"rate": rate, "se": error, "accounts": n}


class Retention:
    """A rate for each segment. What MLflow, ``serve`` and ``score`` answer with."""

    def __init__(self, case, rates, version, digest):
        self.case, self.rates, self.version, self.digest = case, rates, version, digest

    @staticmethod
    def write(folder, case, rates, version) -> str:
        """Write a bundle into an empty folder, seal it, and return its digest."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "case.json").write_text(case.model_dump_json(), encoding="utf-8")
        said = json.dumps({"version": version, "rates": rates}, indent=1)
        (folder / "rates.json").write_text(said, encoding="utf-8")
        return manifest.seal(folder, made_by())

    @classmethod
    def load(cls, folder, digest=None):
        """Verify every file's hash, then read the bundle."""
        found = manifest.verify(folder, digest)
        case = DepositCase.model_validate_json((folder / "case.json").read_text(encoding="utf-8"))
        said = json.loads((folder / "rates.json").read_text(encoding="utf-8"))
        return cls(case, said["rates"], said["version"], found)

    def rate(self, frame, what="rate"):
        """Return each account's rate, or its standard error."""
        return frame["segment"].map({name: r[what] for name, r in self.rates.items()})

    def answer(self, frame) -> pd.DataFrame:
        """Return what stays of accounts that were examined, with a 95 % interval of the mean."""
        rate, wide = self.rate(frame), 1.96 * self.rate(frame, "se")
        found = {"stays": rate, "low": (rate - wide).clip(lower=0), "high": rate + wide}
        out = pd.DataFrame({name: share * frame["balance"] for name, share in found.items()})
        return out.assign(note="", model_version=self.version)

    def predict(self, raw, reasons="adverse") -> pd.DataFrame:
        """Answer raw rows; a refused one gets no figure and its reason."""
        raw = raw.reset_index(drop=True)
        accounts, refused = examine(self.case, raw, outcome=False)
        out = self.answer(accounts).reindex(raw.index)
        out.loc[refused.index, "note"] = refused["reason"]
        return out.assign(model_version=self.version)

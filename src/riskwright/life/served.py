"""The bundle as an MLflow pyfunc, as code (MLflow runs this file; nothing is pickled)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class ServedBundle(PythonModel):
    """Answers with the columns that ``riskwright score`` writes."""

    def load_context(self, context: PythonModelContext) -> None:
        """Verify and load the bundle that lies beside this file."""
        from riskwright.life.bundles import open_bundle

        self.bundle = open_bundle(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Score raw rows; of a PD, ``params['reasons']`` is adverse, all or none.

        Where a row was refused its figures are None: MLflow's server writes NaN as it is, and
        that is no JSON. What can't be scored is a refusal in words, never a traceback.
        """
        from mlflow.exceptions import MlflowException

        from riskwright.errors import RiskwrightError

        try:
            reasons = (params or {}).get("reasons", "adverse")
            out = self.bundle.predict(model_input, reasons=reasons)
        except RiskwrightError as error:
            raise MlflowException(str(error), error_code="BAD_REQUEST") from None
        return out.astype(object).where(out.notna(), None) if out.isna().any(axis=None) else out


set_model(ServedBundle())

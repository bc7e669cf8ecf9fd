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
        from riskwright.bundle.bundle import Bundle

        self.bundle = Bundle.load(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Score raw rows; ``params['reasons']`` is adverse, all or none."""
        return self.bundle.predict(model_input, reasons=(params or {}).get("reasons", "adverse"))


set_model(ServedBundle())

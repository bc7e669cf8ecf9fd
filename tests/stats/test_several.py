from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from riskwright.stats.several import holm


@pytest.mark.parametrize("p", [[0.5], [0.01, 0.02, 0.03], [0.2, 0.001, 1.0, 0.04, 0.04], [0.0]])
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_no_test_has_no_p_value() -> None:
    assert len(holm([])) == 0

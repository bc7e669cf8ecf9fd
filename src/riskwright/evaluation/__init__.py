"""How good a model is: metrics with intervals, paired tests, calibration, cut-offs, fairness."""

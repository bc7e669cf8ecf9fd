"""Functions of arrays: metrics with intervals, paired tests, calibration, cut-offs, drift."""

"""Estimators on frames, one file a family, and what joins them: bags, calibration, ensembles."""

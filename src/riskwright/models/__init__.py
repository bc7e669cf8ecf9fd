"""Families of PD models, one file each, and what joins them: bags, calibration, the ensemble."""

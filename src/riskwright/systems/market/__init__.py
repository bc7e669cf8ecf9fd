"""Markets: point-in-time series, walk-forward forecasts, their skill, what acts on them."""

"""Point-in-time data, walk-forward forecasts, their skill, and a strategy that acts on them."""

"""riskwright: train, promote and watch financial models, and keep the evidence."""

__version__ = "0.1.0"

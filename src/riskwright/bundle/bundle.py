"""Old name of ``riskwright.systems.credit.bundle``."""

from riskwright.systems.credit.bundle import Bundle

__all__ = ["Bundle"]

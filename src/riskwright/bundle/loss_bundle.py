"""Old name of what opens a bundle of any kind."""

from riskwright.life.bundles import open_bundle

__all__ = ["open_bundle"]

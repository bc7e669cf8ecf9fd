"""The deployable unit: models, cleaning and reasons in one folder, sealed by hashes."""

"""One life for all systems: specification, rules, promotion, MLflow, verification, serving."""

"""MLflow tracking, the evidence for a challenger, gates and promotion."""

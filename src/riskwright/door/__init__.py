"""The door for Python: what ``import riskwright`` gives, and the results that it answers with."""

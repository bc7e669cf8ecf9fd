"""A kind of use case in a package of its own: how much of a deposit book stays?

Its entry point, in ``pyproject.toml`` of the package that brings it::

    [project.entry-points."riskwright.systems"]
    deposits = "bank_deposits"

The name is the kind that a YAML says; the package holds the module ``system``, whose ``SYSTEM`` is
what riskwright asks, and the YAML files of the use cases that come with it.
"""

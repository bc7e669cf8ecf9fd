"""``python -m riskwright`` is the command ``riskwright``, which lies beside the library."""

from runpy import run_module

run_module("riskwright_flows.cli", run_name="__main__")

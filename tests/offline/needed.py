"""What a test may need that not every machine has; ``make test-all`` asks for all of it.

``RISKWRIGHT_REQUIRE`` names what has to be there, apart by commas: a test that would be skipped for
want of it fails.
"""

from __future__ import annotations

import os
from typing import Literal, NoReturn

import pytest

# Real data sets; PostgreSQL's programs; root, who may make accounts, mounts and namespaces; the
# repository's earlier commits.
Need = Literal["data", "postgres", "users", "history"]
REQUIRED = frozenset(filter(None, os.environ.get("RISKWRIGHT_REQUIRE", "").split(",")))


def lacking(need: Need, reason: str) -> NoReturn:
    """Skip a test, or fail it where what it needs is asked for."""
    if need in REQUIRED:
        pytest.fail(f"RISKWRIGHT_REQUIRE asks for {need}: {reason}", pytrace=False)
    pytest.skip(reason)


def needs(need: Need, there: bool, reason: str) -> pytest.MarkDecorator:
    """Mark a test that is skipped unless what it needs is there, or is asked for."""
    return pytest.mark.skipif(not there and need not in REQUIRED, reason=reason)

"""What the command line tells of a decision, in words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows import cli_models


@pytest.mark.parametrize(
    ("previous", "words"), [(None, "is live (the first), promotion"), (1, "(before: 1), promotion")]
)
def test_the_first_version_has_no_version_before_it(
    capsys: pytest.CaptureFixture[str], previous: int | None, words: str
) -> None:
    about = {"actor": "ben", "by": {}, "at": "2026-01-01"}
    done = SimpleNamespace(version=2, previous=previous, kind="promotion", **about)
    cli_models._changed("credit", done, [], False)
    assert words in capsys.readouterr().out

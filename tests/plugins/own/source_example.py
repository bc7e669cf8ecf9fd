"""A data source in a package of its own: JSON lines, under addresses ``jsonl:///folder/file``.

Its entry point, in ``pyproject.toml`` of the package that brings it; its name is the scheme::

    [project.entry-points."riskwright.sources"]
    jsonl = "source_example:read"
"""

from collections.abc import Iterator

import pandas as pd


def read(location: str, rows: int) -> Iterator[pd.DataFrame]:
    """Read raw cells in chunks of ``rows`` rows; the use case's contract does the rest."""
    path = location.removeprefix("jsonl://")
    plain = {"dtype": False, "convert_dates": False}  # cells as they are written
    with pd.read_json(path, lines=True, chunksize=rows, **plain) as chunks:
        yield from chunks

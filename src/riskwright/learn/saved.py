"""How what was learnt is kept: JSON, XGBoost's own UBJ, NumPy's arrays; nothing is pickled.

JSON keeps a float to the last bit. A network is built by our own code and then given its weights:
no stored layer is interpreted (``.keras`` has some, and HDF5 inside).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from riskwright.errors import IntegrityError
from riskwright.store.writer import replacing, write

if TYPE_CHECKING:
    from xgboost import Booster


@contextmanager
def reading(what: str, where: Path) -> Iterator[None]:
    """Say which saved thing it is that the block can't read.

    Raises
    ------
    IntegrityError
        If a file is missing, or holds something else than was written.
    """
    try:
        yield
    except (
        *(OSError, EOFError, zipfile.BadZipFile),
        *(ValueError, TypeError, LookupError, AttributeError),
    ) as error:
        raise IntegrityError(
            f"a saved {what} can't be read: {error}",
            where=str(where),
            do="restore it, or retrain",
        ) from error


def write_trees(path: Path, booster: Booster) -> None:
    """Write a booster in XGBoost's own UBJ."""
    write(path, bytes(booster.save_raw("ubj")))


def read_trees(path: Path) -> Booster:
    """Read back what ``write_trees`` wrote; ValueError if it is no booster."""
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(path.read_bytes()))
    except xgboost.core.XGBoostError as error:
        raise ValueError(f"no trees: {str(error).splitlines()[0]}") from error
    return booster


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as NumPy's archive."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read back what ``write_arrays`` wrote, in the order of the names."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in sorted(archive.files)}

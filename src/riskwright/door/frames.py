"""Data from a notebook: a frame is read as a file of the same cells would be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from riskwright.errors import InputRefused, RiskwrightError
from riskwright.store import writer
from riskwright.store.manifest import file_digest

if TYPE_CHECKING:
    import pandas as pd

    from riskwright.case.usecase import UseCase as CreditCase
    from riskwright.home import Home
    from riskwright.ledger import Ledger
    from riskwright.life.named import Named

# What Arrow says of cells that it can't write; ArrowNotImplementedError is the third.
UNFIT = (ValueError, TypeError, NotImplementedError, OverflowError, KeyError)


def is_frame(data: object) -> bool:
    """Whether it is a frame rather than where one lies."""
    import pandas as pd

    return isinstance(data, pd.DataFrame)


def place(data: object) -> str | None:
    """Return a file, folder or address as commands name it; a file that is there by its whole path.

    Raises
    ------
    InputRefused
        If it is neither.
    """
    if data is None:
        return None
    if not isinstance(data, (str, Path)):
        raise InputRefused(
            f"a {type(data).__name__} is no data",
            expected="a pandas DataFrame, or the path or address of a file",
        )
    return str(Path(data).resolve()) if Path(data).exists() else str(data)


@contextmanager
def as_file(data: object, case: Any = None) -> Iterator[str | None]:
    """Give the place of data; a frame is written for as long as the block runs.

    Parameters
    ----------
    case
        Whose source says how its files are written, if that is declared.

    Raises
    ------
    InputRefused
        If a frame can't be written as plain cells.
    """
    if not is_frame(data):
        yield place(data)
        return
    frame: Any = data
    with TemporaryDirectory(prefix="riskwright-") as folder:
        path = str(_write(frame, Path(folder), case))
        with called_the_frame(path):
            yield path


def kept(data: object, name: str, home: Home) -> str | None:
    """Return the place of data to train on; a frame is kept in the home, named by its content."""
    if not is_frame(data):
        return place(data)
    from riskwright.data.sources import FRAME

    frame: Any = data
    with TemporaryDirectory(prefix="riskwright-") as folder:
        written = _parquet(frame, Path(folder))
        path = home.folder("frames", name) / f"{file_digest(written)[:16]}{FRAME}"
        with writer.replacing(path) as part:
            part.write_bytes(written.read_bytes())
    return str(path)


def read(case: CreditCase, data: object) -> pd.DataFrame:
    """Return raw rows as ingestion reads them; those of a frame under the frame's own index.

    Raises
    ------
    InputRefused
        If they can't be read.
    """
    import pandas as pd

    from riskwright.data.sources import read_chunks

    with TemporaryDirectory(prefix="riskwright-") as folder:
        given: Any = data
        where = str(_parquet(given, Path(folder))) if is_frame(data) else str(place(data))
        chunks = read_chunks(case.source, where, columns=case.columns, target=case.target.column)
        with called_the_frame(where if is_frame(data) else ""):
            return pd.concat(list(chunks))


@contextmanager
def called_the_frame(path: str) -> Iterator[None]:
    """Call a file that nobody else knows what it was in what an error says; empty: none."""
    try:
        yield
    except RiskwrightError as error:
        if path:
            error.what = error.what.replace(path, "the frame")
            error.where = error.where.replace(path, "the frame")
        raise


def written_as(found: Named, home: Home, ledger: Ledger) -> Any:
    """Return the specification, of what is live, that says how files are written; or None."""
    if found.kind not in ("credit", "loans"):
        return None
    from riskwright.systems.credit.promotion import trained_usecase

    return trained_usecase(home, ledger, found.name)


def _write(frame: pd.DataFrame, folder: Path, case: Any) -> Path:
    if hasattr(getattr(case, "source", None), "format"):
        return _parquet(frame, folder)
    frame.to_csv(folder / "frame.csv", index=False)  # a system from outside: what everybody reads
    return folder / "frame.csv"


def _parquet(frame: pd.DataFrame, folder: Path) -> Path:
    import numpy as np
    import pandas as pd

    from riskwright.data.sources import FRAME

    path = folder / f"given{FRAME}"
    frame = frame.reset_index(drop=True).set_axis([str(name) for name in frame.columns], axis=1)
    frame.attrs = {}  # notes of whoever made it, which Parquet would have to hold as JSON
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise InputRefused(
            f"two columns of the frame are called {doubled[0]!r}",
            expected="each column once",
        )
    sparse = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.SparseDtype)]
    frame = frame.assign(**{str(name): np.asarray(frame[name]) for name in sparse})
    try:
        frame.to_parquet(path, index=False)
    except UNFIT:  # cells of several types: as text, as in a CSV
        texts = {
            name: cells.map(str, na_action="ignore")
            for name, cells in frame.items()
            if cells.dtype == object
        }
        try:
            frame.assign(**texts).to_parquet(path, index=False)  # type: ignore[arg-type]
        except UNFIT as error:
            raise InputRefused(
                f"the frame holds what is no plain cell: {str(error).splitlines()[0]}",
                expected="numbers, text, dates or true/false",
            ) from None
    return path

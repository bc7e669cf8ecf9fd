"""Test part and folds. Nothing here depends on a seed.

``hash``: a row is in the test part if the keyed hash of its name falls below the test share, so it
stays there whatever rows are added later. ``out_of_time`` and ``walk_forward``: the test part is
the latest period, and a fold never trains on what happened after it. ``file``: a list of test ids.
Rows alike in all features, and rows of one group, are one unit (``data.units``) and stay together;
a split in time parts them, and that is told.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import UseCase
from riskwright.data.parsing import as_text
from riskwright.data.units import Index, Kinds, Mask, unit_names, units
from riskwright.errors import InputRefused

MIN_TRAINING_ROWS = 50
MIN_OF_CLASS = 2  # of each class, in the test part and in every fold
LEAST_OF_SHARE = 0.25  # of what a part was meant to hold; with less it is nearly empty
LARGE_UNIT = 0.1  # of a fold's rows: such units are dealt out first


def time_ordered(usecase: UseCase) -> bool:
    """Whether the split follows the time column."""
    return usecase.split.kind in ("out_of_time", "walk_forward")


def test_mask(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    """Return which rows are the test part.

    Parameters
    ----------
    usecase
        Its ``split`` says how.
    frame
        (n,) canonical rows, in any order.

    Returns
    -------
    Mask (n,).

    Raises
    ------
    InputRefused
        If the list of test ids doesn't fit the data, or no date can divide it.
    """
    if time_ordered(usecase):
        return _times(usecase, frame) >= _test_start(usecase, frame)
    if usecase.split.kind == "file":
        return _listed(usecase, frame)
    return _uniform(usecase, frame, "test") < usecase.split.test_share


def train_mask(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    """Return which rows may be trained on: not test, and not within purge and embargo before it.

    Nor, where the test part is a list of ids, what has a twin or a relative on that list.
    """
    if usecase.split.kind == "file":
        unit = units(usecase, frame)
        return ~np.isin(unit, unit[test_mask(usecase, frame)])
    if not time_ordered(usecase):
        return ~test_mask(usecase, frame)
    times = _times(usecase, frame)
    return _before(usecase, times, _test_start(usecase, frame))


def trainable(known: npt.NDArray[Any], start: Any, embargo: Any = 0) -> Mask:
    """Return which rows a model that is used from ``start`` on may be trained on.

    Those whose outcome was known before it, less the embargo: an outcome that is still open at
    ``start`` overlaps with what is to be forecast.

    Parameters
    ----------
    known
        (n,) when each row's outcome was known: dates, or counts of months.
    start
        First time of what is forecast.
    embargo
        Further time left out before ``start``.

    Returns
    -------
    Mask (n,).
    """
    return np.asarray(known < start - embargo)


def folds(
    usecase: UseCase, frame: pd.DataFrame, y: npt.NDArray[np.int8]
) -> list[tuple[Index, Index]]:
    """Return the folds of the training part.

    Without time, each class is cut into equal blocks along the order of its units' hashes: every
    fold gets its share of each class, and rows added later move only rows near a block's border.
    Units that hold both classes are cut likewise, apart. Units of more than a tenth of a fold are
    dealt first, the largest to the fold with the fewest rows (Graham 1969, SIAM J. Appl. Math. 17,
    416-429: within a third of the best), and the blocks fill what they left. With time, the rows
    are cut into ``folds + 1`` blocks of whole dates; each block after the first is validated by a
    model of the blocks before it, less ``purge_days`` and ``embargo_days``, and no older than
    ``window_days``.

    Parameters
    ----------
    usecase
        Its ``split`` says how many, and how.
    frame, y
        (n,) canonical training rows, and their target (1 = bad).

    Returns
    -------
    Positions of training and validation rows for each fold.

    Raises
    ------
    InputRefused
        If a part would hold fewer than two rows of a class, or there are too few dates.
    """
    if time_ordered(usecase):
        parts = _time_folds(usecase, frame)
    else:
        number = _hash_folds(usecase, frame, y)
        parts = [
            (np.flatnonzero(number != k), np.flatnonzero(number == k))
            for k in range(usecase.split.folds)
        ]
    for position, (train, validation) in enumerate(parts, 1):
        for word, rows in (("training", train), ("validation", validation)):
            _both_classes(y[rows], f"the {word} part of fold {position} of {len(parts)}")
    return parts


def check_enough(usecase: UseCase, y: npt.NDArray[np.int8], mask: Mask) -> None:
    """Check that test part and folds can be made.

    Parameters
    ----------
    usecase
        Its ``split`` tells the number of folds.
    y
        (n,) target, 1 = bad.
    mask
        (n,) the test part.

    Raises
    ------
    InputRefused
        With the numbers: fewer than 50 training rows, too few rows of a class, or a part with less
        than a quarter of the share that it was meant to have.
    """
    training = y[~mask]
    if len(training) < MIN_TRAINING_ROWS:
        raise InputRefused(
            f"{len(y):,} rows are too few: {len(training):,} are left for training",
            expected=f"at least {MIN_TRAINING_ROWS} training rows",
            do="bring more data, or lower split.test_share",
        )
    needed = MIN_OF_CLASS * (usecase.split.folds + int(time_ordered(usecase)))
    _both_classes(training, f"the training part ({usecase.split.folds} folds)", needed)
    _both_classes(y[mask], "the test part")
    _enough_of_share(usecase, mask)


def _enough_of_share(usecase: UseCase, mask: Mask) -> None:
    """Refuse parts that hold other rows than were asked for: a few large units decide where."""
    split = usecase.split
    if split.kind == "file" or (time_ordered(usecase) and split.test_from is not None):
        return  # a person said which rows
    share, planned = float(mask.mean()), split.test_share
    # Parts of so few rows that chance alone gives such a share are told (train_test), not refused.
    chance = 3 * (planned * (1 - planned) / len(mask)) ** 0.5
    if share >= LEAST_OF_SHARE * planned - chance and (
        1 - share >= LEAST_OF_SHARE * (1 - planned) - chance
    ):
        return
    few = "the latest dates hold" if time_ordered(usecase) else "rows alike, or of one group, stay"
    raise InputRefused(
        f"the test part is nearly {'empty' if share < planned else 'all'}: {int(mask.sum()):,} of "
        f"{len(mask):,} rows ({share:.1%}), and split.test_share is {planned:.0%}",
        where=f"split.kind: {split.kind}",
        expected=f"at least a quarter of the share for each part; {few} together",
        do="set split.test_from" if time_ordered(usecase) else
        "add features that tell cases apart, take another split.key, or list the test ids",
    )  # fmt: skip


def _both_classes(y: npt.NDArray[np.int8], part: str, needed: int = MIN_OF_CLASS) -> None:
    bads = int(y.sum())
    goods = len(y) - bads
    if min(bads, goods) < needed:
        raise InputRefused(
            f"{part} has too few rows of a class: {goods:,} good and {bads:,} bad",
            expected=f"at least {needed} of each",
            do="bring more data, lower split.folds, or move the split",
        )


def _uniform(usecase: UseCase, frame: pd.DataFrame, use: str) -> npt.NDArray[np.float64]:
    """Return the keyed BLAKE2b hash of each row's unit as a number (n,) in [0, 1)."""
    key = hashlib.blake2b(usecase.split.key.encode(), digest_size=32).digest()
    start = hashlib.blake2b(key=key, person=use.encode(), digest_size=8)
    found = []
    for name in unit_names(usecase, frame):
        state = start.copy()
        state.update(name)
        found.append(state.digest())
    # 53 bits: what a float holds, so that the result stays below 1.
    return (np.frombuffer(b"".join(found), dtype=">u8") >> 11) / 2.0**53


def _hash_folds(usecase: UseCase, frame: pd.DataFrame, y: npt.NDArray[np.int8]) -> Index:
    """Return the fold (n,) of each row: its unit's place by hash among its kind, cut into blocks.

    Large units come first, each to the fold that holds the fewest rows of their kind.
    """
    found = Kinds.of(y, units(usecase, frame))
    place = np.zeros(len(found.size))
    place[found.unit] = _uniform(usecase, frame, "fold")
    folds = np.zeros(len(found.size), dtype=np.intp)
    for kind in range(3):
        members = np.flatnonzero(found.kind == kind)
        members = members[np.argsort(place[members])]
        size = found.size[members]
        level = size.sum() / usecase.split.folds
        held = np.zeros(usecase.split.folds)
        large = size > max(1, LARGE_UNIT * level)
        for unit in members[large][np.argsort(-size[large], kind="stable")]:
            folds[unit] = held.argmin()
            held[folds[unit]] += found.size[unit]
        rest, size = members[~large], size[~large]
        room = np.maximum(level - held, 0.0)
        edges = np.cumsum(room * (size.sum() / max(float(room.sum()), 1.0)))[:-1].round(6)
        folds[rest] = np.searchsorted(edges, np.cumsum(size) - size, side="right")
    return np.asarray(folds[found.unit], dtype=np.intp)


def _listed(usecase: UseCase, frame: pd.DataFrame) -> Mask:
    path = usecase.split.file
    if usecase.id is None or path is None:
        raise InputRefused(
            "a split by a file of test ids needs an id column",
            where="split.kind: file",
            do="name the 'id' column, or choose another kind of split",
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(
            f"the file of test ids can't be read: {error}",
            where=str(path),
            expected="a text file with one id a line",
        ) from None
    # Ids as the data have them: 1000.0 is 1000.
    wanted = set(as_text(pd.Series(lines, dtype="str"))) - {""}
    unknown = sorted(wanted - set(frame[usecase.id]))
    if unknown or not wanted:
        raise InputRefused(
            f"{len(unknown):,} of {len(wanted):,} test ids are not in the data"
            if wanted
            else "the file of test ids is empty",
            where=f"{path}: {', '.join(unknown[:3])}" if unknown else str(path),
            expected=f"values of column {usecase.id!r}, one a line",
            do="bring the list and the data together; ids of refused rows count as missing",
        )
    return frame[usecase.id].isin(wanted).to_numpy(dtype=bool)


def _times(usecase: UseCase, frame: pd.DataFrame) -> npt.NDArray[np.datetime64]:
    """Return the time of each row (n,), to the microsecond."""
    return frame[usecase.time].to_numpy(dtype="datetime64[us]")


def _days(count: int) -> np.timedelta64:
    return np.timedelta64(count, "D")


def _before(usecase: UseCase, times: npt.NDArray[np.datetime64], start: np.datetime64) -> Mask:
    """Return the rows that a model validated from ``start`` on may be trained on."""
    split = usecase.split
    mask = trainable(times + _days(split.purge_days), start, _days(split.embargo_days))
    if split.window_days is not None:
        mask &= times >= start - _days(split.window_days)
    return mask


def _test_start(usecase: UseCase, frame: pd.DataFrame) -> np.datetime64:
    """Return the first time of the test part: as given, else the latest dates up to the share."""
    split = usecase.split
    if split.test_from is not None:
        return np.datetime64(split.test_from, "us")
    dates, counts = np.unique(_times(usecase, frame), return_counts=True)
    later = np.cumsum(counts[::-1])[::-1]  # rows from each date on
    fits = np.flatnonzero(later <= split.test_share * len(frame))
    if len(fits) == 0:
        raise InputRefused(
            "no date divides the data: the latest one alone holds "
            f"{later[-1]:,} of {len(frame):,} rows"
            if len(later)
            else "there are no rows",
            where=f"column {usecase.time!r}",
            expected=f"a latest period of at most {split.test_share:.0%} of the rows",
            do="set split.test_from or a larger split.test_share in the use case",
        )
    return np.datetime64(dates[fits[0]], "us")


def _time_folds(usecase: UseCase, frame: pd.DataFrame) -> list[tuple[Index, Index]]:
    times = _times(usecase, frame)
    dates, counts = np.unique(times, return_counts=True)
    blocks = usecase.split.folds + 1
    if len(dates) < blocks:
        raise InputRefused(
            f"the training part has {len(dates)} different dates",
            where=f"column {usecase.time!r}",
            expected=f"at least {blocks} for {usecase.split.folds} forward-chained folds",
            do="lower split.folds in the use case",
        )
    # A block starts with the first date that has k/blocks of the rows before it, and holds at
    # least one date.
    ahead = np.cumsum(counts) - counts
    starts = np.searchsorted(ahead, len(times) * np.arange(blocks) / blocks)
    for k in range(1, blocks):
        starts[k] = max(starts[k], starts[k - 1] + 1)
    for k in range(blocks - 1, -1, -1):
        starts[k] = min(starts[k], len(dates) - blocks + k)
    edges = [*dates[starts], np.datetime64("9999-12-31", "us")]
    return [
        (
            np.flatnonzero(_before(usecase, times, edges[k])),
            np.flatnonzero((times >= edges[k]) & (times < edges[k + 1])),
        )
        for k in range(1, blocks)
    ]

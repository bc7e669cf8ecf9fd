"""Scoring a file: every row is accounted for, in order, and nothing is left half-written."""

from __future__ import annotations

import gzip
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import Live, applications

from riskwright.data.sources import read_chunks
from riskwright.errors import InputRefused, Unavailable
from riskwright.systems.credit import scoring
from riskwright.systems.credit.bundle import COLUMNS, Bundle, Limits, Reasons
from riskwright.systems.credit.promotion import load_version
from riskwright.systems.credit.scoring import Scored, score_file

TARGET = "default.payment.next.month"
ROWS = 120
FAULTS = {
    "unknown category": ("EDUCATION", "9"),
    "not a number": ("BILL_AMT3", "about a thousand"),
    "below the minimum": ("PAY_AMT1", "-5"),
    "infinite": ("BILL_AMT1", "inf"),
    "id missing": ("ID", ""),
}


@pytest.fixture
def champion(live: Live) -> Bundle:
    return load_version(live.home, live.ledger, "tiny")


@pytest.fixture(scope="module")
def cases() -> pd.DataFrame:
    """Raw applications as text, the way a CSV holds them."""
    frame = applications(ROWS).drop(columns=[TARGET, "cohort"])
    plain = frame.apply(lambda c: c.map("{:.0f}".format) if c.dtype == float else c)
    return plain.astype("str").reset_index(drop=True)


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def read(path: Path) -> pd.DataFrame:
    """Read a result: numbers as numbers, ids and words as text."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    words = ["ID", "decision", *(c for c in COLUMNS if c.startswith("reason"))]
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(words, "str"),
        keep_default_na=False,
        float_precision="round_trip",
    )


def with_faults(cases: pd.DataFrame, faults: dict[int, str]) -> pd.DataFrame:
    frame = cases.copy()
    for row, fault in faults.items():
        column, value = FAULTS[fault]
        frame.loc[row, column] = value
    return frame


def chunked(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Read in chunks of so many rows."""
    monkeypatch.setattr(scoring, "CHUNK", rows)


def test_what_is_written(champion: Bundle, cases: pd.DataFrame, tmp_path: Path) -> None:
    source = write(cases, tmp_path / "cases.csv")
    told: list[int] = []
    done = score_file(champion, str(source), tmp_path / "scores.csv", progress=told.append)
    scores = read(tmp_path / "scores.csv")
    assert list(scores.columns) == ["ID", *COLUMNS]
    assert list(scores["ID"]) == list(cases["ID"])
    referred = int((scores["disagreement"] > champion.limits.refer_above).sum())
    assert done == Scored(
        read=ROWS,
        accepted=ROWS,
        refused=0,
        decisions=scores["decision"].value_counts().to_dict(),
        output=tmp_path / "scores.csv",
        quarantine=None,
        model_version=champion.version,
        warnings=done.warnings,
        disagreement={"referred": referred, "share": referred / ROWS, "planned": 0.05},
    )
    assert told == [ROWS]
    assert {p.name for p in tmp_path.iterdir()} == {"cases.csv", "scores.csv"}
    direct = champion.predict(cases)
    pd.testing.assert_frame_equal(scores[COLUMNS], direct)


@pytest.mark.parametrize("source", ["cases.csv", "cases.parquet"])
def test_csv_and_parquet_outputs_are_equal(
    source: str, champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    file = write(with_faults(cases, {5: "infinite"}), tmp_path / source)
    for name in ("scores.csv", "scores.parquet"):
        score_file(champion, str(file), tmp_path / name, reasons="all")
    pd.testing.assert_frame_equal(
        read(tmp_path / "scores.csv"), read(tmp_path / "scores.parquet"), check_exact=True
    )
    refused = [(tmp_path / f"scores.{e}.quarantine.csv").read_text() for e in ("csv", "parquet")]
    assert refused[0] == refused[1]


@pytest.mark.parametrize("output", ["scores.csv", "scores.parquet"])
@pytest.mark.parametrize("rows", [1, 7, 40, 119])
def test_chunk_borders_change_nothing(
    rows: int,
    output: str,
    champion: Bundle,
    cases: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if rows == 1:
        cases = cases[:15]
    # The first seven rows are refused: a chunk may hold no accepted row at all.
    faults = dict.fromkeys(range(7), "not a number") | {11: "id missing"}
    source = str(write(with_faults(cases, faults), tmp_path / "cases.csv"))
    whole = score_file(champion, source, tmp_path / output, reasons="all")
    (tmp_path / "pieces").mkdir()
    chunked(monkeypatch, rows)
    told: list[int] = []
    pieces = score_file(
        champion, source, tmp_path / "pieces" / output, reasons="all", progress=told.append
    )
    assert len(told) == -(-len(cases) // rows) > 1
    pd.testing.assert_frame_equal(
        read(tmp_path / output), read(tmp_path / "pieces" / output), rtol=0, atol=1e-12
    )
    refused = f"{output}.quarantine.csv"
    assert (tmp_path / refused).read_bytes() == (tmp_path / "pieces" / refused).read_bytes()
    assert (whole.read, whole.accepted, whole.decisions) == (
        pieces.read,
        pieces.accepted,
        pieces.decisions,
    )


class Uneven(Bundle):
    """Takes longest over the first chunk, so that later ones are ready before it."""

    def score(self, frame: pd.DataFrame, reasons: Reasons = "adverse") -> pd.DataFrame:
        if frame.index[0] == 0:
            time.sleep(0.5)
        return super().score(frame, reasons)


def test_rows_keep_their_order_whichever_chunk_is_ready_first(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = Uneven(
        champion.usecase, champion.ensemble, champion.limits, champion.version, champion.digest
    )
    chunked(monkeypatch, 30)
    score_file(uneven, str(write(cases, tmp_path / "cases.csv")), tmp_path / "scores.csv")
    assert list(read(tmp_path / "scores.csv")["ID"]) == list(cases["ID"])


def test_an_id_repeated_in_a_later_chunk_is_refused(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = cases.copy()
    cases.loc[90, "ID"] = cases.loc[3, "ID"]
    chunked(monkeypatch, 40)
    done = score_file(champion, str(write(cases, tmp_path / "cases.csv")), tmp_path / "scores.csv")
    assert (done.read, done.accepted, done.refused) == (ROWS, ROWS - 1, 1)
    refused = pd.read_csv(tmp_path / "scores.csv.quarantine.csv")
    assert list(refused["row"]) == [90]
    assert refused["reason"][0] == "id repeated (first seen in row 3)"


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    faults=st.dictionaries(
        st.integers(0, ROWS - 1), st.sampled_from(sorted(FAULTS)), max_size=ROWS // 2
    ),
    rows=st.integers(10, ROWS),
)
def test_accepted_and_refused_are_what_was_read(
    champion: Bundle,
    cases: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: dict[int, str],
    rows: int,
) -> None:
    chunked(monkeypatch, rows)
    source = write(with_faults(cases, faults), tmp_path / "cases.csv")
    output, quarantine = tmp_path / "scores.csv", tmp_path / "scores.csv.quarantine.csv"
    done = score_file(champion, str(source), output, reasons="none")
    assert (done.read, done.refused) == (ROWS, len(faults))
    assert done.accepted + done.refused == done.read
    assert sum(done.decisions.values()) == done.accepted
    good = [row for row in range(ROWS) if row not in faults]
    assert list(read(output)["ID"]) == list(cases["ID"][good])
    assert done.quarantine == (quarantine if faults else None)
    assert quarantine.exists() == bool(faults), "an earlier run's quarantine was left"
    if faults:
        refused = pd.read_csv(quarantine, dtype="str", keep_default_na=False)
        assert list(refused["row"]) == [str(row) for row in sorted(faults)]
        for reason, row in zip(refused["reason"], sorted(faults), strict=True):
            assert reason.startswith(FAULTS[faults[row]][0]) or reason == "id missing"
        # The raw cells stand beside the reason, as they were.
        kept = with_faults(cases, faults).iloc[sorted(faults)].reset_index(drop=True)
        pd.testing.assert_frame_equal(refused[list(cases.columns)], kept)


def test_a_feature_that_is_missing_in_every_row_is_told(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    whole = score_file(champion, str(write(cases, tmp_path / "a.csv")), tmp_path / "scores.csv")
    assert not any("missing in every row" in told for told in whole.warnings)
    source = write(cases.assign(BILL_AMT1=""), tmp_path / "b.csv")
    done = score_file(champion, str(source), tmp_path / "scores.csv")
    assert done.accepted == len(cases)
    assert any("missing in every row: BILL_AMT1;" in told for told in done.warnings)


def test_a_headerless_file_may_lack_the_outcome_and_nothing_else(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    usecase = champion.usecase
    source = usecase.source.model_copy(update={"header": False})
    headless = Bundle(
        usecase.model_copy(update={"source": source}),
        champion.ensemble,
        champion.limits,
        champion.version,
        champion.digest,
    )
    score_file(champion, str(write(cases, tmp_path / "cases.csv")), tmp_path / "named.csv")
    columns = [name for name in usecase.columns if name != usecase.target.column]
    rows = cases.reindex(columns=columns, fill_value="")
    rows.to_csv(tmp_path / "rows.csv", index=False, header=False)
    score_file(headless, str(tmp_path / "rows.csv"), tmp_path / "scores.csv")
    pd.testing.assert_frame_equal(read(tmp_path / "scores.csv"), read(tmp_path / "named.csv"))
    rows.iloc[:, :-1].to_csv(tmp_path / "short.csv", index=False, header=False)
    with pytest.raises(InputRefused, match=f"the first row has {len(columns) - 1} cells"):
        score_file(headless, str(tmp_path / "short.csv"), tmp_path / "scores.csv")


@pytest.mark.parametrize("output", ["scores.csv", "scores.parquet"])
def test_ids_stay_as_written(
    output: str, champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    ids = ["007", "7", "8.0", "7.50", "0x7", "1e3", "a,b", 'c"d', "ü", "0012345678901234567890"]
    cases = cases[: len(ids)].assign(ID=ids)
    score_file(champion, str(write(cases, tmp_path / "cases.csv")), tmp_path / output)
    ids[2] = "8"  # a whole number is one id however it is written
    assert list(read(tmp_path / output)["ID"]) == ids


def test_long_integer_ids_of_a_parquet_file_keep_every_digit(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    ids = [9_007_199_254_740_993 + i for i in range(10)]
    source = write(cases[:10].assign(ID=ids), tmp_path / "cases.parquet")
    score_file(champion, str(source), tmp_path / "scores.csv")
    assert list(read(tmp_path / "scores.csv")["ID"]) == [str(i) for i in ids]


def test_without_an_id_the_row_number_stands_for_it(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless = Bundle(
        champion.usecase.model_copy(update={"id": None}),
        champion.ensemble,
        champion.limits,
        champion.version,
        champion.digest,
    )
    chunked(monkeypatch, 50)
    source = write(with_faults(cases, {2: "infinite"}), tmp_path / "cases.csv")
    score_file(nameless, str(source), tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores.columns[0] == "row"
    assert list(scores["row"]) == [row for row in range(ROWS) if row != 2]


def test_columns_in_another_order_score_the_same(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    for name, frame in (("a", cases), ("b", cases[cases.columns[::-1]])):
        score_file(champion, str(write(frame, tmp_path / f"{name}.csv")), tmp_path / f"{name}_.csv")
    assert (tmp_path / "a_.csv").read_bytes() == (tmp_path / "b_.csv").read_bytes()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("scores.xlsx", "can't write a .xlsx"),
        ("scores", "can't write a file without extension"),
        ("nowhere/scores.csv", "the output's folder doesn't exist"),
    ],
)
def test_refused_outputs(
    name: str, word: str, champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    source = write(cases, tmp_path / "cases.csv")
    with pytest.raises(InputRefused, match=word):
        score_file(champion, str(source), tmp_path / name)
    assert {p.name for p in tmp_path.iterdir()} == {"cases.csv"}


@pytest.mark.parametrize("output", ["scores.csv", "scores.parquet"])
@pytest.mark.parametrize("fault", ["missing column", "breaks off", "no such file"])
def test_an_earlier_result_is_untouched_by_a_run_that_fails(
    fault: str,
    output: str,
    champion: Bundle,
    cases: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = write(with_faults(cases, {1: "infinite"}), tmp_path / "earlier.csv")
    score_file(champion, str(earlier), tmp_path / output)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(before) == {"earlier.csv", output, f"{output}.quarantine.csv"}

    source = tmp_path / "in" / "cases.csv.gz"
    source.parent.mkdir()
    if fault == "missing column":
        source.write_bytes(gzip.compress(cases.drop(columns="PAY_0").to_csv().encode()))
    elif fault == "breaks off":
        broken = with_faults(cases, {0: "infinite"})
        source.write_bytes(gzip.compress(broken.to_csv(index=False).encode())[:-2000])
        chunked(monkeypatch, 10)
    with pytest.raises(InputRefused):
        score_file(champion, str(source), tmp_path / output)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


class Breaking:
    """A source that fails after its first chunks, as a lost connection does."""

    def __init__(self, good: int) -> None:
        self.good = good

    def __call__(self, *given: object, **named: object) -> Iterator[pd.DataFrame]:
        chunks = read_chunks(*given, **{**named, "rows": 20})  # type: ignore[arg-type]
        for _ in range(self.good):
            yield next(chunks)
        raise Unavailable("the connection was lost")


@pytest.mark.parametrize("output", ["scores.csv", "scores.parquet"])
def test_a_run_that_breaks_off_leaves_nothing(
    output: str,
    champion: Bundle,
    cases: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = write(with_faults(cases, {0: "infinite"}), tmp_path / "cases.csv")
    monkeypatch.setattr(scoring, "read_chunks", Breaking(good=3))
    with pytest.raises(Unavailable, match="connection"):
        score_file(champion, str(source), tmp_path / output)
    assert {p.name for p in tmp_path.iterdir()} == {"cases.csv"}


@pytest.mark.parametrize("output", ["scores.csv", "scores.parquet"])
def test_no_room_for_the_output(
    output: str, champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    """A limit on the size of files stands for a full disk: it needs no rights to set."""
    source = write(cases, tmp_path / "cases.csv")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(Unavailable, match="the file can't be written"):
            score_file(champion, str(source), tmp_path / output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {p.name for p in tmp_path.iterdir()} == {"cases.csv"}


def test_decisions_are_counted_by_the_limits_in_force(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    nobody = Bundle(
        champion.usecase,
        champion.ensemble,
        Limits(0.0, 0.0, 0.0, None),
        champion.version,
        champion.digest,
    )
    done = score_file(nobody, str(write(cases, tmp_path / "cases.csv")), tmp_path / "scores.csv")
    assert done.decisions == {"decline": ROWS}


def test_no_cell_of_the_output_is_a_formula(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    cases = cases.astype({"ID": "str", "LIMIT_BAL": "str"})
    cases.loc[[0, 1], "ID"] = ["=cmd|'/C calc'!A0", "-7"]
    cases.loc[2, ["ID", "LIMIT_BAL"]] = ["@SUM(1)", "=1+1"]
    for name in ("scores.csv", "scores.parquet"):
        done = score_file(champion, str(write(cases, tmp_path / "cases.csv")), tmp_path / name)
        refused = pd.read_csv(tmp_path / f"{name}.quarantine.csv", dtype="str")
        assert refused["ID"].tolist() == ["'@SUM(1)"]
        assert refused["LIMIT_BAL"].tolist() == ["'=1+1"]
        told = [w for w in done.warnings if "begin like a formula" in w]
        ids = read(tmp_path / name)["ID"].astype("str").tolist()
        if name.endswith(".csv"):
            assert ids[:2] == ["'=cmd|'/C calc'!A0", "-7"]
            assert len(told) == 2
        else:  # a typed file runs nothing
            assert ids[:2] == ["=cmd|'/C calc'!A0", "-7"]
            assert len(told) == 1


def test_more_referrals_than_were_planned_are_told(
    champion: Bundle, cases: pd.DataFrame, tmp_path: Path
) -> None:
    """The limit of disagreement was fixed in training: 20.6 % were referred where 5 % was asked."""
    source = str(write(cases, tmp_path / "cases.csv"))
    limits = champion.limits
    spread = champion.predict(cases, "none")["disagreement"].dropna()
    for share, words in ((0.05, 0), (0.4, 1)):
        strict = Bundle(
            champion.usecase,
            champion.ensemble,
            replace(limits, refer_above=float(spread.quantile(1 - share))),
            champion.version,
            champion.digest,
        )
        done = score_file(strict, source, tmp_path / "scores.csv")
        assert done.disagreement is not None
        assert done.disagreement["share"] == pytest.approx(share, abs=0.02)
        assert done.disagreement["planned"] == 0.05
        told = [w for w in done.warnings if "since the members disagree" in w]
        assert len(told) == words
        assert all("where 5% was planned" in w for w in told)
    alone = replace(limits, refer_above=None)
    bundle = Bundle(champion.usecase, champion.ensemble, alone, champion.version, champion.digest)
    assert score_file(bundle, source, tmp_path / "scores.csv").disagreement is None

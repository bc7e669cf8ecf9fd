"""What a retrain reads that names no data, and whether there is anything new to learn from.

Data named by hand (``--data``) are for that one retrain. Later ones, those on schedule and those
that alert review asks for, read the use case's own source as it is by then. Only where a use case
has none (a market's files are seen from a folder that its YAML doesn't name) is it the place that
was named last, and the answer says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from riskwright.case.base import Case
from riskwright.data.databases import without_query
from riskwright.errors import InputRefused, RiskwrightError, Unavailable
from riskwright.home import Home
from riskwright.ledger import Ledger, Request, Version
from riskwright.life.rules import compare, compare_plugged, kept_case
from riskwright.store.provenance import plugged_in


@dataclass(frozen=True)
class Place:
    """Where a retrain reads.

    Attributes
    ----------
    location
        What ingestion is given; None: the use case's own source.
    words
        How a person is told of it.
    """

    location: str | None
    words: str


def place_of(case: Case, ledger: Ledger, data: str | None = None) -> Place:
    """Return where a retrain reads: the data named by hand, else the use case's own source.

    Raises
    ------
    InputRefused
        If the source is a simulator and the champion learnt from data that were named by hand:
        simulated cases stand in only until there are real ones.
    Unavailable
        If the source is a file that isn't there: it may be late.
    """
    if data is not None:
        return Place(data, without_query(data))
    champion = ledger.champion(case.name)
    named = champion.evidence.get("data") if champion else None
    own = _own(case)
    if champion is None or named is None:
        place = Place(None, own or "a source that nobody named")
    elif own is None:
        place = Place(
            named,
            f"{without_query(named)}, named with version {champion.version} (the use case names no "
            "place of its own)",
        )
    elif case.simulated:
        raise InputRefused(
            f"version {champion.version} learnt from data that were named by hand, and the use "
            "case's own source is simulated",
            where=f"use case {case.name}: source; then: {without_query(named)}",
            expected="source.location in the use case: where its cases are found from now on",
            do="set it, or name the data again with --data",
        )
    else:
        place = Place(None, own)
    _there(case, place)
    return place


def learnt_already(ledger: Ledger, name: str, key: str) -> Version | None:
    """Return the version that a retrain of this very key (data, specification, code) ended with."""
    if not any(run.run_key == key for run in ledger.runs(name, status="finished")):
        return None
    made = [v for v in _ended(ledger, name) if v.run_key.startswith(f"{key}:")]
    return made[-1] if made else None


def learnt_from(
    home: Home, ledger: Ledger, case: Case, data: tuple[str | None, ...]
) -> Version | None:
    """Return the newest version that learnt from the same data under the same rules.

    Rules are compared by the specification that the version keeps: an earlier release made another
    digest of them.

    Parameters
    ----------
    data
        Hashes of the training and the test snapshot; of a market that of its series, and None.
    """
    for version in reversed(_ended(ledger, case.name)):
        if _data(version) != data:
            continue
        try:
            theirs = kept_case(home, version)
        except (RiskwrightError, OSError, ValueError):
            continue  # nobody can say what it learnt under
        differ = compare(theirs, case, version.evidence.get("rules_set"))
        differ += compare_plugged(version.evidence.get("plugins", []), plugged_in(case.plugs()))
        if all(d.default for d in differ):
            return version
    return None


def served_since(ledger: Ledger, request: Request) -> Version | None:
    """Return a version that learnt from data which none had when the request was made.

    A retrain by hand or on schedule may have done already what somebody asked for.
    """
    versions = _ended(ledger, request.use_case)
    known = {_data(v) for v in versions if v.at <= request.at}
    newer = [v for v in versions if v.at > request.at and _data(v) not in known]
    return newer[-1] if newer else None


def nothing_new(place: Place, snapshot: str, version: Version) -> str:
    """Return the line that tells why a retrain of the same data isn't done."""
    return (
        f"nothing new to learn from: {place.words} still holds snapshot {snapshot[:12]}…, from "
        f"which version {version.version} ({version.status}) learnt"
    )


def _own(case: Case) -> str | None:
    """What the YAML itself says of where cases or series are found."""
    own = case.own_source
    return None if own is None else f"the use case's own source ({without_query(own)})"


def _there(case: Case, place: Place) -> None:
    """Raise ``Unavailable`` if a file that a source names isn't there."""
    files = case.source_files(place.location)
    late = next((file for file in files if not file.exists()), None)
    if late is not None:
        raise Unavailable(
            "the source isn't there (yet)",
            where=str(late),
            expected=f"what {case.name} learns from",
            do="see why it is late; the next retrain reads it",
        )


def _ended(ledger: Ledger, name: str) -> list[Version]:
    """Versions whose retrain came to its end, in their order; no baseline on standby beside one.

    A challenger of one that was killed may lack its gates: that retrain goes on when it is run
    again.
    """
    ended = {run.run_key for run in ledger.runs(name, status="finished")}
    return [
        v
        for v in ledger.versions(name)
        if v.trained_by is not None
        and not v.evidence.get("standby")
        and (v.status != "challenger" or v.run_key.partition(":")[0] in ended)
    ]


def _data(version: Version) -> tuple[str | None, ...]:
    """The snapshots that a version was trained and tested on; of a market that of its series."""
    return (version.evidence.get("train"), version.evidence.get("test"))

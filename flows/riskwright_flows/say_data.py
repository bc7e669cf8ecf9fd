"""What 'check' and 'score' tell a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from riskwright_flows.say import out


def check(result: Mapping[str, Any]) -> None:
    """The contract's and the quality report's verdict."""
    report = result["report"]
    out.print(
        f"{result['usecase']}: {report['read']:,} rows read, {report['accepted']:,} accepted, "
        f"{report['refused']:,} refused, {report['duplicates']:,} repeated"
    )
    for reason, count in report["reasons"].items():
        out.print(f"  {count:>8,}  {escape(reason)}")
    kin, parts = report["kin"], report["parts"]
    related = f" and {kin['relatives']:,} a relative (same {kin['group']})" if kin["group"] else ""
    out.print(
        f"  test part: {kin['test_rows']:,} rows ({parts['share']:.1%}, planned "
        f"{parts['planned']:.0%}), of which {kin['twins']:,} have a twin (alike in all features)"
        f"{escape(related)} in training"
    )
    for warning in result["warnings"]:
        out.print(f"  note: {escape(warning)}")
    out.print(f"  data-quality report: {result['quality_report']}", markup=False)


def scored(result: Mapping[str, Any]) -> None:
    """Counts of a scoring run."""
    decisions = ", ".join(f"{count:,} {name}" for name, count in result["decisions"].items())
    out.print(
        f"version {result['model_version']}: {result['read']:,} rows read, "
        f"{result['accepted']:,} scored ({decisions or 'none'}), {result['refused']:,} refused"
    )
    if (apart := result["disagreement"]) is not None and result["accepted"]:
        out.print(
            f"  referred since the members disagree: {apart['share']:.1%} "
            f"(planned {apart['planned']:.0%})"
        )
    out.print(f"  scores: {result['output']}", markup=False)
    if result["quarantine"]:
        out.print(f"  refused rows with reasons: {result['quarantine']}", markup=False)
    for warning in result["warnings"]:
        out.print(f"  note: {escape(warning)}")

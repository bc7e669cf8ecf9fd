"""What the gates say of LGD, EAD and the grades of a loan book: a person judges them."""

from __future__ import annotations

from typing import Any

from riskwright.ledger import Gate
from riskwright.systems.credit.choice import p_words

OF_MONTHS = "failed within the months that count"


def loss_gate(found: dict[str, Any]) -> Gate:
    """Tell how LGD, EAD and timing did on the test part; a person judges it.

    Parameters
    ----------
    found
        What ``loss_evidence.judge_loss`` returned.
    """
    lgd, ead = found["lgd"], found["ead"]
    two, mean = (lgd["families"][name]["rmse"] for name in ("two parts", "mean"))
    which = (
        "the mean: two parts don't beat it"
        if lgd["constant"]
        else "two parts, better on loans left out"
    )
    said = [
        f"{found['failed']} test loans that failed, early or late"
        + "".join(f" ({n} more: {why})" for why, n in found["left_out"].items()),
        f"LGD {_three(lgd['predicted'])} expected, {_realised(lgd, 'realised_se')}, deployed is "
        f"{which} (RMSE {two:.3f} against {mean:.3f})",
        f"EAD expected over realised {_three(ead['predicted_over_realised'])} "
        f"(se {_three(ead['se'])})",
    ]
    lines = ead["revolving"]
    if lines is None:
        said.append("no line of credit failed, so no conversion factor was tested")
    elif lines["ccf"] is None:
        said.append("too few lines of credit for a conversion factor: the whole limit is taken")
    else:
        seen = {"realised": lines["ccf_realised"], "se": lines["ccf_realised_se"]}
        said.append(f"conversion factor {_three(lines['ccf'])} expected, {_realised(seen)}")
    for name, words in (("within_a_year", "failed within a year"), ("lifetime", OF_MONTHS)):
        if "timing" in found:
            part = found["timing"][name]
            said.append(f"{words}: {_three(part['expected'])} expected, {_realised(part)}")
    detail = "; ".join(said)
    return Gate("lgd and ead", True, detail, found, blocking=False)


def grade_gate(found: dict[str, Any]) -> Gate:
    """Tell whether the grades' bads contradict the PDs; a person judges it.

    Parameters
    ----------
    found
        What ``vintages.judge_vintages`` returned.
    """
    lights = ", ".join(f"{n} {colour}" for colour, n in sorted(found["lights"].items()))
    detail = (
        f"grades by traffic light, defaults correlated by {found['rho']:.3f}: {lights}; "
        f"Hosmer-Lemeshow {p_words(found['hosmer_lemeshow_p'])} (without correlation)"
    )
    passed = "red" not in found["lights"]
    return Gate("grades", passed, detail, found, blocking=False)


def _three(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _realised(part: dict[str, Any], error: str = "se") -> str:
    return f"{_three(part['realised'])} (se {_three(part[error])}) realised"

"""What is done with a live version: scores, and a monitor's look."""

from __future__ import annotations

import hashlib
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
from scipy.stats import chi2_contingency, norm

from bank_deposits.model import examine, read
from bank_deposits.training import load
from riskwright.data.outgoing import write_csv
from riskwright.errors import InputRefused
from riskwright.life.findings import (
    NO_LABELS,
    Finding,
    family_verdict,
    of_each,
    severity_of,
    title_of,
    way,
)
from riskwright.life.look import finish, folder_of, named
from riskwright.life.plugged import own_checks
from riskwright.life.policy import version_number
from riskwright.stats.several import holm
from riskwright.store import snapshots, writer


def score(name, home, ledger, *, input, output, version, reasons, progress=None):
    """Say what stays of each account of a file, in its order."""
    output = Path(output)
    if output.suffix != ".csv" or not output.parent.is_dir():
        raise InputRefused("can't write there", where=str(output), expected="a .csv in a folder")
    refusals = output.with_name(output.name + ".quarantine.csv")
    if Path(input).resolve() in (output.resolve(), refusals.resolve()):
        raise InputRefused("the output would replace the input", where=str(output))
    bundle = load(home, ledger, name, version)
    rows = read(input)
    accounts, refused = examine(bundle.case, rows, outcome=False)
    out = bundle.answer(accounts)
    out.insert(0, "account", accounts.get("account", accounts.index))
    for path, table in ((output, out), (refusals, refused)):
        if path == output or len(refused):
            with writer.replacing(path) as part:
                write_csv(table, part)
    if not len(refused):
        refusals.unlink(missing_ok=True)  # of an earlier run: it would belie this one
    return {
        "read": len(rows),
        "accepted": len(accounts),
        "refused": len(refused),
        "stays": float(out["stays"].sum()),
        "output": str(output),
        "quarantine": str(refusals) if len(refused) else None,
        "model_version": bundle.version,
        "warnings": [],
    }


def monitor(name, home, ledger, *, input, labels, as_of, version):
    """Hold a batch against the accounts that a version was judged on."""
    if input is None or labels is not None or as_of is not None:
        raise InputRefused("a batch of accounts is looked at", expected="--input FILE alone")
    number = version_number(ledger, name, version or "champion")
    bundle, case = load(home, ledger, name, str(number)), load(home, ledger, name, str(number)).case
    reference = snapshots.read(ledger.version(name, number).evidence["reference"], home)
    rows = read(input)
    accounts, refused = examine(case, rows, outcome="stayed" in rows)
    checks = {
        "quality": partial(_refused, case, len(refused), len(rows)),
        "columns": partial(_mix, case, reference, accounts),
        "labels": partial(_stayed, case, bundle, accounts),
    }
    if case.own_checks:
        checks["own"] = partial(own_checks, case, reference, accounts)
    found = of_each(checks)  # one that breaks is an alarm, and the others go on
    verdicts = {name: family_verdict(told) if told else NO_LABELS for name, told in found.items()}
    findings = [finding for told in found.values() for finding in told]
    plain = [finding.as_dict() for finding in findings]
    content = rows.astype("str").to_csv(index=False).encode()
    severity = partial(severity_of, verdicts=verdicts | {"score": "ok"})
    told = {
        "usecase": name,
        "version": number,
        "batch": hashlib.sha256(content).hexdigest(),
        "input": named(input),
        "rows_read": len(rows),
        "refused": len(refused),
        "findings": plain,
        "verdicts": verdicts,
        "severity": severity(plain),
        "title": title_of(plain),
        "alarm": any(f.alarm for f in findings),
    }
    folder = folder_of(home, told)
    draw = partial(_page, case)
    return finish(case, home, ledger, told, folder=folder, draw=draw, severity=severity)


def _refused(case, refused, rows):
    share, limit = refused / max(rows, 1), case.monitor.refused
    return [
        Finding(
            *("quality", "refused_rows", None, "alarm" if share > limit else "ok"),
            value=share,
            threshold=limit,
            alarm=share > limit,
            detail=f"{refused} of {rows} rows are refused, {limit:.0%} may be",
        )
    ]


def _mix(case, reference, accounts):
    """Whether the segments' shares are those of the reference: Pearson's chi-square."""
    counts = np.array(
        [[(f["segment"] == s).sum() for s in case.segments] for f in (reference, accounts)]
    )
    p = float(chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue)
    alarm = p < case.monitor.p
    return [
        Finding(
            *("columns", "segment_mix", "segment", "alarm" if alarm else "ok", "chi-square"),
            threshold=case.monitor.p,
            p_value=p,
            alarm=alarm,
            detail=f"shares of the segments: p = {p:.2g} against the reference",
        )
    ]


def _stayed(case, bundle, accounts):
    """Whether what stayed is what was forecast, segment by segment; by Holm's correction."""
    if "stayed" not in accounts:
        return []
    moved, names = [], []
    for name in case.segments:
        mine = accounts[accounts["segment"] == name]
        if len(mine) >= case.gates.min_accounts:
            gap = (mine["stayed"] - bundle.rate(mine) * mine["balance"]).to_numpy()
            wide = np.hypot(
                gap.std(ddof=1) * np.sqrt(len(gap)),
                bundle.rates[name]["se"] * mine["balance"].sum(),
            )
            moved.append((gap.sum() / mine["balance"].sum(), gap.sum() / wide))
            names.append(name)
    ps = holm([2 * norm.sf(abs(z)) for _, z in moved])
    return [
        Finding(
            *("labels", "retention", "stayed", "alarm" if p < case.monitor.p else "ok", "z"),
            value=float(z),
            p_value=float(p),
            effect=float(abs(change)),
            alarm=bool(p < case.monitor.p),
            segment=name,
            direction=way(change),
            detail=f"{name}: the share that stayed is {change:+.1%} off its forecast, p = {p:.2g}",
        )
        for name, (change, z), p in zip(names, moved, ps, strict=True)
    ]


def _page(case, folder):
    """Return what makes the page of what is told."""

    def render(told):
        lines = "".join(f"<li>{escape(f['detail'])}</li>" for f in told["findings"])
        title = escape(f"{case.title}: {told['title']}")
        return f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{lines}</ul>"

    return render

"""The rules that versions live by: what they are, and how two versions' differ, side by side.

Rules are every key of a use case but names, texts, sources, schedule, compute and notification.
Some of them make the *question* (what is bad, over which horizon, of whom): forecasts that answer
other questions are never compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from riskwright.case.base import Case
from riskwright.case.families import GROUP as FAMILIES
from riskwright.case.plugins import CHECKS, GATES, SYSTEMS
from riskwright.errors import RiskwrightError
from riskwright.home import Home
from riskwright.ledger import Ledger, Version
from riskwright.life.system import case_in
from riskwright.life.tracking import local_bundle
from riskwright.store import manifest
from riskwright.store.provenance import plugged_in

# Which way a gate lets more through.
LOOSER = {
    "gates.alpha": 1, "gates.min_test_bads": -1, "gates.calibration_quantile": 1,
    "gates.coverage_p": -1, "gates.as_of_dates": -1, "quarantine_limit": 1,
}  # fmt: skip
NONE = "(none)"
Plugged = Sequence[Mapping[str, str]]
# Plug-ins that make rules, by their groups: where a use case names one.
PLACES = {GATES: "own_gates", CHECKS: "own_checks", FAMILIES: "families", SYSTEMS: "kind"}


@dataclass(frozen=True)
class Difference:
    """One rule that isn't the champion's.

    Attributes
    ----------
    key
        Its place in the YAML.
    old, new
        Both values; ``(none)`` where it isn't there.
    question
        Whether it makes the question: nothing is compared across it.
    loosened
        Whether a gate lets more through.
    default
        Whether neither file said it, and this release's default is another one.
    """

    key: str
    old: Any
    new: Any
    question: bool = False
    loosened: bool = False
    default: bool = False

    @property
    def note(self) -> str:
        """What a reader should know of it, in a few words."""
        said = (
            (self.question, "another question"),
            (self.loosened, "loosened"),
            (self.default, "neither file says it: the default changed"),
        )
        return ", ".join(words for true, words in said if true)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON and tables."""
        return {"rule": self.key, "old": self.old, "new": self.new, "note": self.note}


@dataclass(frozen=True)
class Changes:
    """How a version's rules differ from those it would replace.

    Attributes
    ----------
    against
        The version whose rules are the old ones; None: there is none.
    trouble
        Why the old ones can't be read, if they can't.
    """

    against: int | None = None
    differences: list[Difference] = field(default_factory=list)
    trouble: str = ""

    @property
    def wait(self) -> bool:
        """Whether a person decides: no policy acts across a change of rules."""
        return bool(self.trouble) or any(not d.default for d in self.differences)

    @property
    def question(self) -> list[str]:
        """The keys of the question that changed."""
        return [d.key for d in self.differences if d.question]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        rows = [d.as_dict() for d in self.differences]
        return {"against": self.against, "differences": rows, "trouble": self.trouble}

    def __str__(self) -> str:
        if self.trouble:
            return f"the rules of version {self.against} can't be read: {self.trouble}"
        if not self.differences:
            return ""
        told = [
            f"{d.key} {d.old} → {d.new}{f' ({d.note})' if d.note else ''}" for d in self.differences
        ]
        return f"rules that differ from version {self.against}'s: {'; '.join(told)}"


def changes(
    home: Home, ledger: Ledger, case: Case, key: str, plugged: Plugged | None = None
) -> Changes:
    """Compare a challenger's rules with the champion's.

    Where nothing is live, with those of earlier versions, newest first, until one differs: else a
    second retrain under new rules would find them unchanged.

    Parameters
    ----------
    key
        Of the challenger's run, whose own versions are nothing to compare with.
    plugged
        What its evidence says was plugged in; None: what is installed now.
    """
    versions = {
        v.version: v
        for v in ledger.versions(case.name)
        if v.models and not v.run_key.startswith(f"{key}:")
    }
    live = [p.version for p in ledger.history(case.name) if p.version in versions]
    today = plugged_in(case.plugs()) if plugged is None else plugged
    champion = ledger.champion(case.name)
    if champion is not None and live:
        # Once the challenger itself is live, what it replaced.
        number = champion.version if champion.version in versions else live[-1]
        earlier = [versions[number]]
    else:
        earlier = list(reversed(versions.values()))
    found = Changes()
    for old in earlier:
        try:
            theirs = kept_case(home, old)
        except (RiskwrightError, OSError, ValueError) as error:
            return Changes(old.version, [], str(getattr(error, "what", error)))
        differ = compare(theirs, case, old.evidence.get("rules_set"))
        differ += compare_plugged(old.evidence.get("plugins", []), today, differ)
        found = Changes(old.version, differ)
        if found.wait:
            return found
    return found


def version_changes(home: Home, ledger: Ledger, version: Version) -> Changes:
    """Compare a registered version's rules with those that it would replace."""
    try:
        case = kept_case(home, version)
    except (RiskwrightError, OSError, ValueError) as error:
        return Changes(version.version, [], str(getattr(error, "what", error)))
    plugged = version.evidence.get("plugins", [])
    return changes(home, ledger, case, version.run_key.rpartition(":")[0], plugged)


def write_changes(folder: Path, changed: Changes | None) -> dict[str, Any]:
    """Write ``rules_changed.csv``, old and new side by side; return what the evidence says of it.

    Nothing where nothing changed.
    """
    if changed is None or not (changed.differences or changed.trouble):
        return {}
    import pandas as pd

    from riskwright.data.outgoing import write_csv

    rows = [d.as_dict() for d in changed.differences]
    table = pd.DataFrame(rows, columns=["rule", "old", "new", "note"])
    write_csv(table, folder / "rules_changed.csv")
    return {"rules_changed": changed.as_dict()}


def told_changes(changed: Changes | None) -> list[str]:
    """Return the lines that a report begins with: one for each rule, old and new."""
    if changed is None:
        return []
    if changed.trouble:
        return [str(changed)]
    return [
        f"Rule changed against version {changed.against}: {d.key} was {d.old}, is {d.new}"
        + (f" ({d.note})." if d.note else ".")
        for d in changed.differences
    ]


def kept_case(home: Home, version: Version) -> Case:
    """Return the specification that a version was trained under: it lies in its sealed bundle.

    Raises
    ------
    IntegrityError
        If the bundle isn't what was registered.
    ValueError
        If this release can't read it, or nothing is registered yet.
    """
    ref = next(iter(version.models.values()), None)
    if ref is None:
        raise ValueError(f"version {version.version} isn't registered yet")
    folder = local_bundle(ref.uri, home.root / "bundles" / ref.digest)
    manifest.verify(folder, ref.digest)
    return case_in(folder)


def compare(old: Case, new: Case, old_set: Iterable[str] | None = None) -> list[Difference]:
    """Return the rules that differ, those of the question first.

    Parameters
    ----------
    old_set
        The rules that weren't at their default when the old version was made; None: not known.
    """
    before, after = _rules(old), _rules(new)
    was_set = set(old_set) if old_set is not None else {k for k, (_, d) in before.items() if not d}
    found = []
    for key in dict.fromkeys([*before, *after]):
        parent = key.rpartition(".")[0]
        if _absent(parent, before, after):
            continue  # the whole of it came or went: told once, below
        a, b = before.get(key, (NONE, True)), after.get(key, (NONE, True))
        if a[0] == b[0]:
            continue
        found.append(
            Difference(
                key,
                _all_of(key, before) if a[0] == _THERE else a[0],
                _all_of(key, after) if b[0] == _THERE else b[0],
                question=old.is_question(key) or new.is_question(key),
                loosened=_loosened(key, a[0], b[0]),
                default=key not in was_set and b[1] and key in after and key in before,
            )
        )
    return sorted(found, key=lambda d: (not d.question, not d.loosened, d.default))


def compare_plugged(
    old: Plugged, new: Plugged, told: Iterable[Difference] = ()
) -> list[Difference]:
    """Return what of other packages has other code, or came or went, by their evidence.

    What a gate lets through is said by its code, not by the YAML that names it. Where rows come
    from is no rule: sources aren't compared.

    Parameters
    ----------
    old, new
        As ``provenance.plugged_in`` gives it.
    told
        Differences of the YAML: what one names that came or went is told there.
    """
    before, after = _codes(old), _codes(new)
    known = {d.key for d in told if not d.default}
    return [
        Difference(f"{key}, its code", before.get(key, NONE), after.get(key, NONE))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key) and key not in known
    ]


def _codes(plugged: Plugged) -> dict[str, str]:
    """Return place in the YAML to package and code, of each plug-in that makes rules."""
    found: dict[str, str] = {}
    for one in plugged:
        key = PLACES.get(one["group"])
        if key is not None:
            said = f"{one['distribution']} ({one['sha256'][:12]})"
            name = key if key == "kind" else f"{key}.{one['name']}"
            found[name] = f"{found[name]}, {said}" if name in found else said
    return found


def rules_set(case: Case) -> list[str]:
    """Return the rules that aren't at their default, by name."""
    return sorted(key for key, (_, default) in _rules(case).items() if not default)


def rules_digest(case: Case) -> str:
    """SHA-256 of the rules that aren't at their default: a later release's new ones change none."""
    rules = {key: value for key, (value, default) in _rules(case).items() if not default}
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_THERE = "(there)"  # of an entry of a mapping, such as a column: that it is there is a rule too


def _rules(case: Case) -> dict[str, tuple[Any, bool]]:
    """Each rule's value, and whether that is its default."""
    rules = {
        key: (value, default) for key, value, default in _walk(case, "", False) if case.is_rule(key)
    }
    return rules | {name: (value, False) for name, value in case.more_rules().items()}


def _walk(model: BaseModel, prefix: str, at_default: bool) -> Iterator[tuple[str, Any, bool]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        default = at_default or value == _default(type(model), name)
        yield from _leaves(f"{prefix}{name}", value, default)


def _leaves(key: str, value: Any, default: bool) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, BaseModel):
        yield from _walk(value, f"{key}.", default)
    elif key.rpartition(".")[2] in ("values", "sentinels") and isinstance(value, dict):
        yield key, sorted(map(str, value)), default  # the codes; what they mean is a text
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, BaseModel):
                yield f"{key}.{name}", _THERE, default
            yield from _leaves(f"{key}.{name}", item, default)
    else:
        yield key, json.loads(json.dumps(value, default=str)), default


@cache
def _default(model: type[BaseModel], name: str) -> Any:
    """A key's default, as it is after validation."""
    of = model.model_fields[name]
    default = of.get_default(call_default_factory=True)
    if default is PydanticUndefined or not of.validate_default:
        return default
    annotated: Any = Annotated[of.annotation, *of.metadata] if of.metadata else of.annotation
    return TypeAdapter(annotated).validate_python(default)


def _loosened(key: str, old: Any, new: Any) -> bool:
    if key == "approval.policy":
        return bool(new == "automatic")
    way = LOOSER.get(key)
    numbers = isinstance(old, (int, float)) and isinstance(new, (int, float))
    return way is not None and numbers and (new - old) * way > 0


def _absent(parent: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether an entry above a rule is on one side only."""
    while parent:
        there = (before.get(parent, (None,))[0], after.get(parent, (None,))[0])
        if _THERE in there and there[0] != there[1]:
            return True
        parent = parent.rpartition(".")[0]
    return False


def _all_of(key: str, rules: dict[str, tuple[Any, bool]]) -> str:
    """What an entry that came or went says, but its defaults."""
    inside = {
        name.removeprefix(f"{key}."): value
        for name, (value, default) in rules.items()
        if name.startswith(f"{key}.") and not default
    }
    return ", ".join(f"{name}: {value}" for name, value in inside.items()) or "by its defaults"

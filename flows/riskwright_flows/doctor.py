"""What 'riskwright doctor' looks at."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import urlopen

from riskwright.home import TELEMETRY_OFF, Home, quiet_environment
from riskwright.ledger import Ledger

if TYPE_CHECKING:
    from riskwright.case.plugins import Plugin

LIBRARIES = (
    *("riskwright", "prefect", "mlflow", "scikit-learn", "xgboost-cpu", "tensorflow", "keras"),
    *("evidently", "shap", "lime", "optbinning", "pandas", "numpy", "sqlalchemy", "fastapi"),
)


def examine(*, deep: bool = False, mend: bool = False) -> dict[str, Any]:
    """Return versions, the home and what is in it, the servers' answers, the telemetry switches.

    Parameters
    ----------
    deep
        Also hold every file that the ledger names against its hash.
    mend
        First bring MLflow's aliases and the files' modes to what they should be.
    """
    home = Home()
    quiet_environment(home)
    versions = {"python": platform.python_version()}
    versions.update({name: _version(name) for name in LIBRARIES})
    there = home.root.is_dir()
    place: dict[str, Any] = {"home": str(home.root), "exists": there}
    place["MLflow (MLFLOW_TRACKING_URI)"] = home.mlflow_uri if "@" not in home.mlflow_uri else "set"
    place["free disk, GB"] = round(
        shutil.disk_usage(home.root if there else home.root.anchor).free / 1e9, 1
    )
    servers = {
        "prefect": _answer(os.environ.get("PREFECT_API_URL"), "/health", "in-process server"),
        "mlflow": _answer(home.settings.mlflow_uri, "/health", "SQLite file in the home"),
        "ledger": _ledger(home) if there else "none yet",
    }
    telemetry = {
        f"{name}={value}": "telemetry off"
        if os.environ.get(name) == value
        else f"ON: {name}={os.environ.get(name)}"
        for name, value in TELEMETRY_OFF.items()
    }
    plugged = _plugged()
    schedules = _schedules(home) if servers["prefect"].startswith("answers") else {}
    held = _held(home, deep=deep, mend=mend) if servers["ledger"].startswith("audit") else {}
    found = [*schedules.values(), *versions.values(), *servers.values(), *telemetry.values()]
    found += [told for part in (plugged, *held.values()) for told in part.values()]
    healthy = not any(str(f).startswith(("missing", "no answer", "ON", "broken")) for f in found)
    return {
        "versions": versions,
        "home": place,
        "servers": servers,
        "schedules": schedules,
        **({"plug-ins": plugged} if plugged else {}),
        **held,
        "telemetry": telemetry,
        "healthy": healthy,
    }


def _held(home: Home, *, deep: bool, mend: bool) -> dict[str, dict[str, str]]:
    """What the home holds, and what mends it."""
    from riskwright_flows import doctor_home

    with Ledger.open(home.existing()) as ledger:
        found = {"mended": doctor_home.mend(home, ledger)} if mend else {}
        found["champions"] = doctor_home.champions(home, ledger)
        found["files"] = doctor_home.files(home)
        found["clock"] = doctor_home.clock(ledger)
    if deep:
        found["verified"] = doctor_home.verified(home)
    return found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _plugged() -> dict[str, str]:
    """What other packages bring, and whether it can be loaded."""
    from riskwright.case.families import GROUP
    from riskwright.case.plugins import CHECKS, GATES, SOURCES, SYSTEMS, plugin, plugins
    from riskwright.errors import RiskwrightError
    from riskwright.learn.families import family_class
    from riskwright.life.system import system_of

    loaders: dict[str, Callable[[Plugin], object]] = {
        SYSTEMS: lambda one: system_of(one.name),
        GROUP: lambda one: family_class(one.name),
        **dict.fromkeys(
            (GATES, CHECKS, SOURCES), lambda one: plugin(one.group, one.name, one.value).load()
        ),
    }
    found = {}
    for group, load in loaders.items():
        for one in plugins(group).values():
            try:
                load(one)
                told = f"{one.distribution} loads"
            except RiskwrightError as error:
                do = error.do or "install its package again"
                told = f"broken: {error.what} ({error.where}); {do}"
            found[f"{group} {one.name}"] = told
    return found


def _answer(url: str | None, path: str, without: str) -> str:
    if not url or not url.startswith("http"):
        return f"{without} ({'not a server' if url else 'no server is set'})"
    try:
        with urlopen(url.rstrip("/") + path, timeout=5) as response:  # noqa: S310  (http only)
            return f"answers {response.status}"
    except (OSError, ValueError) as error:
        host = urlparse(url).hostname
        return f"no answer from {host}: {error}; start it, or unset its variable"


def _schedules(home: Home) -> dict[str, str]:
    from riskwright_flows.schedules import examine as examine_schedules

    try:
        return examine_schedules(Ledger.open(home) if home.root.is_dir() else None)
    except Exception as error:  # noqa: BLE001  (a doctor reports whatever is wrong)
        return {"deployments": f"broken: {error}"}


def _ledger(home: Home) -> str:
    try:
        ledger = Ledger.open(home)
        verdict, (_, head) = ledger.verify(), ledger.head()
    except Exception as error:  # noqa: BLE001  (a doctor reports whatever is wrong)
        return f"broken: {error}"
    if not verdict.ok:
        return f"broken: {verdict.reason}; restore the ledger from a backup, verify it by an anchor"
    # Kept elsewhere, it shows later whether the chain was cut or written anew.
    return f"audit chain of {verdict.checked} events is whole, its head is {head}"

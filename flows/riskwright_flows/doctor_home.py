"""What 'riskwright doctor' finds in a home: live models, files, clock, and what mends them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from riskwright.home import Home, fit, is_shared
from riskwright.ledger import Ledger

if TYPE_CHECKING:
    from riskwright.errors import RiskwrightError

OWN = ("usecases", "prefect")  # each account's own YAML files; Prefect's notes to itself
CLOCK_SECONDS = 60  # clocks of several machines differ by less


def champions(home: Home, ledger: Ledger) -> dict[str, str]:
    """Load what is live in each use case, digests checked; return what became of it."""
    found = {}
    for name in sorted({event.use_case for event in ledger.events(kind="promotion")}):
        live = ledger.champion(name)
        if live is None:
            continue
        try:
            _load(home, ledger, name)
            found[name] = f"version {live.version} loads, digest checked"
        except Exception as error:  # noqa: BLE001  (a doctor reports whatever is wrong)
            found[name] = f"broken: version {live.version}: {_told(error)}"
    return found


def files(home: Home) -> dict[str, str]:
    """Say whether all of a shared home can be written by its group."""
    if not is_shared(home.root):
        return {"shared with a group": "no"}
    late = [p for p in _within(home) if not _follows(p)]
    if not home.root.stat().st_mode & 0o2000:
        told = f"broken: new files don't get the folder's group: chmod g+s {home.root}"
    elif late:
        told = (
            f"broken: {len(late)} files or folders aren't the group's, such as "
            f"{late[0].relative_to(home.root)}; their owner mends it: riskwright doctor --mend"
        )
    else:
        told = "every file follows the folder's group and mode"
    return {"shared with a group": told}


def clock(ledger: Ledger) -> dict[str, str]:
    """Say whether the events' times agree with their order."""
    wrong = ledger.doubtful_times(CLOCK_SECONDS)
    if not wrong:
        return {"times": "in the chain's order"}
    first, at = wrong[0]
    told = (
        f"{len(wrong)} events have a time that can't be right (a clock ran ahead, or back), such "
        f"as event {first}, {at}; their order is right, and 'history --at' follows it"
    )
    return {"times": told}


def verified(home: Home) -> dict[str, str]:
    """Hold every file that the ledger names against its hash; return what is wrong."""
    from riskwright.life.verify import verify_home

    found = verify_home(home)
    bad = {
        f"{f.of}: {f.where}": f"broken: {f.what} is {f.state} {f.detail}; restore it from a backup"
        for f in found
        if f.bad
    }
    return bad or {"every file and figure": f"{len(found)} looked at, none was touched"}


def mend(home: Home, ledger: Ledger) -> dict[str, str]:
    """Bring MLflow's aliases and addresses, and our own files' modes, to what they should be."""
    from riskwright.life.aliases import reconcile

    done = {}
    for name in sorted({event.use_case for event in ledger.events(kind="promotion")}):
        try:
            changed = reconcile(name, home, ledger)
            done[name] = f"set {', '.join(changed)}" if changed else "aliases agree"
        except Exception as error:  # noqa: BLE001  (the others are mended all the same)
            done[name] = f"broken: {_told(error)}"
    left = [p for p in _within(home) if not _follows(p) and not fit(p)]
    done["files"] = f"{len(left)} belong to others, who mend them" if left else "as they should be"
    return done


def _within(home: Home) -> list[Path]:
    """What a shared home holds, folders before what is in them."""
    if not is_shared(home.root):
        return []
    found = sorted(home.root.rglob("*"))
    return [p for p in found if p.relative_to(home.root).parts[0] not in OWN]


def _follows(path: Path) -> bool:
    try:
        above, mine = path.parent.stat(), path.stat()
    except FileNotFoundError:  # a journal, or a part: gone since it was listed
        return True
    needed = 0o2070 if path.is_dir() else 0o060
    return mine.st_gid == above.st_gid and mine.st_mode & needed == needed


def _load(home: Home, ledger: Ledger, name: str) -> None:
    from riskwright.life.bundles import open_bundle
    from riskwright.life.tracking import local_bundle

    live = ledger.champion(name)
    assert live is not None  # noqa: S101  (the caller looked)
    for ref in ledger.version(name, live.version).models.values():
        open_bundle(local_bundle(ref.uri, home.root / "bundles" / ref.digest), ref.digest)


def _told(error: Exception) -> str:
    known: RiskwrightError | Exception = error
    what, where = getattr(known, "what", str(error)), getattr(known, "where", "")
    do = getattr(known, "do", "") or (
        "restore this folder from a backup of the home; until then roll back to the former "
        "champion, or retrain"
    )
    return f"{what} ({where}); {do}" if where else f"{what}; {do}"

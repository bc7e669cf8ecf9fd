"""The deployments of ``prefect.yaml``: applied, all or by name, and old ones removed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Any, NoReturn

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from riskwright.data.databases import refuse_secrets
from riskwright.errors import InputRefused, Unavailable, closest
from riskwright.home import TELEMETRY_OFF
from riskwright_flows.at_work import BY_FILE, deployments

FILE = Path(str(resources.files("riskwright_flows") / "prefect.yaml"))


def deploy(names: Sequence[str]) -> int:
    """Apply deployments to the Prefect server by Prefect's own command, and remove those of before.

    Parameters
    ----------
    names
        Of deployments; none for all.

    Returns
    -------
    int
        The command's exit code: 2 if a variable is refused (``require``).

    Raises
    ------
    InputRefused
        If no server is set, a name is unknown, or there is no work pool.
    Unavailable
        If the server doesn't answer.
    """
    plain: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    known = [deployment["name"] for deployment in plain["deployments"]]
    if unknown := [name for name in names if name not in known]:
        raise InputRefused(
            f"there is no deployment {unknown[0]!r}",
            where=str(FILE),
            expected=", ".join(known),
            do=closest(unknown[0], known),
        )
    url, pool = get_current_settings().api.url, plain["definitions"]["pool"]["name"]
    if not url:
        raise InputRefused(
            "no Prefect server is set to deploy to",
            expected="the address of one that runs, which keeps the schedules",
            do="prefect server start, then: export PREFECT_API_URL=http://127.0.0.1:4200/api",
        )
    with get_client(sync_client=True) as client:
        if trouble := client.api_healthcheck():
            raise Unavailable(
                f"the Prefect server can't be reached: {str(trouble) or type(trouble).__name__}",
                where=url,
                do="start it (prefect server start), or set PREFECT_API_URL",
            )
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            raise InputRefused(
                f"the server has no work pool {pool!r}",
                where=url,
                do=f"prefect work-pool create {pool} --type process",
            ) from None
        chosen = [word for name in names for word in ("--name", name)] or ["--all"]
        command = ["--no-prompt", "deploy", *chosen, "--prefect-file", str(FILE)]
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *command], env=os.environ | TELEMETRY_OFF, check=False
        )
        if done.returncode == 0:
            for told in remove_gone(client, pool):
                print(told)
    return done.returncode


def remove_gone(client: SyncPrefectClient, pool: str) -> list[str]:
    """Remove the deployments in a pool that no worker can run any more; return what was removed.

    Those of an earlier release whose flow has another name by now: one that kept its name is
    replaced. What somebody had chosen for one (parameters, schedules) is in the line that tells it.
    """
    removed = []
    for deployment in deployments(client, pool):
        if why := no_flow(deployment.entrypoint or ""):
            flow = client.read_flow(deployment.flow_id).name
            client.delete_deployment(deployment.id)
            when = [str(one.schedule) for one in deployment.schedules]
            chosen = f"{deployment.parameters} {'; '.join(when) or 'without a schedule'}"
            removed.append(f"removed {flow}/{deployment.name} {chosen}: {why}")
    return removed


def no_flow(entrypoint: str) -> str:
    """Return why a deployment's flow isn't there to run, or nothing if it is."""
    if entrypoint in BY_FILE:
        return "it names a flow by its file, as an earlier release did, and that file is gone"
    module, _, function = entrypoint.replace(":", ".").rpartition(".")
    try:
        there = hasattr(import_module(module), function)
    except ModuleNotFoundError:
        there = False
    return "" if there else f"it names {entrypoint}, which an earlier release had"


def require(variables: list[str]) -> None:
    """Refuse to deploy while a variable is unset, is a relative path, or an address with a secret.

    A step of ``prefect.yaml``. Prefect would deploy an empty parameter; it keeps, and shows, each
    one in plain; and each run starts in an empty folder of its own.

    Raises
    ------
    SystemExit
        With 2 for each: Prefect would show an error as forty lines of traceback.
    """
    unset = [name for name in variables if not os.environ.get(name, "").strip()]
    if unset:
        refused = InputRefused(
            f"not deployed, since {' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} unset",
            where=str(FILE),
            expected="every variable that it names, set in the shell that applies it",
            do="set it, or choose deployments with '-n NAME'",
        )
        _end(refused)
    for name in variables:
        value = os.environ[name]
        try:
            if "://" in value:
                refuse_secrets(value)
        except InputRefused as secret:
            what, where = f"not deployed: {secret.what}", f"{name}: {secret.where}"
            _end(InputRefused(what, where=where, expected=secret.expected, do=secret.do))
        if "://" not in value and not Path(value).expanduser().is_absolute():
            refused = InputRefused(
                f"not deployed: {value!r} is a path seen from the folder of this shell",
                where=name,
                expected="an absolute path or an address: each run starts in a folder of its own",
                do=f'export {name}="$PWD/{value}", if it lies there',
            )
            _end(refused)


def _end(refused: InputRefused) -> NoReturn:
    print(f"riskwright: {refused}", file=sys.stderr)
    sys.exit(refused.exit_code)

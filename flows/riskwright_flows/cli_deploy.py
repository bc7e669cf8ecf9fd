"""The command about schedules: deploy."""

from __future__ import annotations

from typing import Annotated

import typer

from riskwright.terminal import write


def add_to(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(deploy)


def deploy(
    name: Annotated[
        list[str] | None, typer.Option("--name", "-n", help="only this one; may be repeated")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="print the file of the deployments, for one of your own")
    ] = False,
) -> int:
    """Put the schedules on a Prefect server; deployments of an earlier release are replaced.

    Your own: riskwright deploy --show > prefect.yaml, then prefect --no-prompt deploy --all.

    Example: riskwright deploy -n weekly -n daily
    """
    from riskwright_flows import deployed

    if show:
        write(deployed.FILE.read_text(encoding="utf-8"))
        return 0
    return deployed.deploy(name or [])

"""Wall time and peak memory of a command, summed over its whole process tree.

    python benchmarks/footprint.py -- .venv/bin/riskwright demo

Memory is the sum of resident sets (shared pages counted once for each process: an upper bound).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil


def main() -> int:
    """Run the command after ``--`` and print its figures as one line of JSON."""
    command = sys.argv[sys.argv.index("--") + 1 :]
    started = time.monotonic()
    peak = 0
    with subprocess.Popen(command) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, tree_rss(root))
            time.sleep(0.2)
    told = {
        "command": " ".join(command),
        "exit": process.returncode,
        "wall_s": round(time.monotonic() - started, 1),
        "peak_rss_gib": round(peak / 2**30, 2),
    }
    print(json.dumps(told))
    return process.returncode


def tree_rss(root: psutil.Process) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    sys.exit(main())

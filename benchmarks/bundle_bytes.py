"""Alter one byte in each file of a registered bundle, at many places: all must be refused.

    python benchmarks/bundle_bytes.py --places 100

Needs a home with a champion of credit_assessment. Works on a copy.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from cold_start import prepare


def main() -> int:
    """Print how many alterations were tried and how many were refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", type=int, default=100)
    arguments = parser.parse_args()
    from riskwright.errors import IntegrityError
    from riskwright.store.manifest import verify

    rng = random.Random(0)
    tried = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        source = prepare(Path(folder) / "cases.csv")
        bundle = Path(shutil.copytree(source, Path(folder) / "bundle"))
        verify(bundle)
        files = [p for p in sorted(bundle.rglob("*")) if p.is_file() and p.stat().st_size]
        for path in files:
            before = path.read_bytes()
            for place in {rng.randrange(len(before)) for _ in range(arguments.places)}:
                altered = bytearray(before)
                altered[place] ^= rng.randrange(1, 256)
                path.write_bytes(altered)
                tried += 1
                try:
                    verify(bundle)  # what Bundle.load does before it deserialises anything
                except IntegrityError:
                    refused += 1
            path.write_bytes(before)
        verify(bundle)
    print(json.dumps({"files": len(files), "alterations": tried, "refused": refused}))
    return 0 if refused == tried else 1


if __name__ == "__main__":
    sys.exit(main())

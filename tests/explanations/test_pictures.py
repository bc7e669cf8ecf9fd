from __future__ import annotations

from pathlib import Path

import pytest

from riskwright.errors import Unavailable
from riskwright.explanations.pictures import drawing, plain, save


def test_figures_are_closed_even_after_an_error() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    with pytest.raises(RuntimeError), drawing():
        raise RuntimeError
    assert plt.get_fignums() == before


def test_dollars_are_not_formulae() -> None:
    assert plain("US$ 5 to US$ 6") == r"US\$ 5 to US\$ 6"


def test_a_failed_picture_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    class Full:
        def savefig(self, file: Path, **_: object) -> None:
            file.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(Unavailable, match="the disk is full"):
        save(Full(), path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.png", b"old")]

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from riskwright.errors import InputRefused, Unavailable
from riskwright.stats import plots
from riskwright.stats.calibration import calibration_table
from riskwright.stats.disagreement import error_by_band
from riskwright.stats.metrics import evaluate


def drawn(n: int = 400, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    margin = rng.normal(-1.5, 1.2, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(int)
    return y, 1 / (1 + np.exp(-slope * margin))


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the pictures say."""
    said: list[str] = []
    real = plots.headline

    def spy(axes: object, sentence: str, note: str) -> None:
        said.append(f"{sentence} | {note}")
        real(axes, sentence, note)  # type: ignore[arg-type]

    monkeypatch.setattr(plots, "headline", spy)
    return said


def check(path: Path) -> None:
    picture = imread(path)
    assert picture.shape[0] > 300
    assert picture.std() > 0.02  # not blank
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing half-written is left


@pytest.mark.parametrize(
    ("plot", "said"),
    [
        (plots.plot_calibration, "PDs agree with bad rates in every bin"),
        (plots.plot_roc, "ROC AUC 0."),
        (plots.plot_ks, "KS 0."),
        (plots.plot_lift, "The worst 10% of rows hold"),
        (plots.plot_scores, "Median PD"),
    ],
)
def test_pictures_of_a_score(
    plot: Callable[..., Path], said: str, tmp_path: Path, titles: list[str]
) -> None:
    assert plot(*drawn(), tmp_path / "a.png") == tmp_path / "a.png"
    check(tmp_path / "a.png")
    assert titles[0].startswith(said)
    with pytest.raises(InputRefused):
        plot([0, 1, 0], [0.1, np.nan, 0.2], tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    "plot",
    [plots.plot_calibration, plots.plot_roc, plots.plot_ks, plots.plot_lift, plots.plot_scores],
)
@pytest.mark.parametrize(
    ("y", "p"), [([0, 1], [0.5, 0.5]), ([0, 1], [0.0, 1.0]), ([0, 0, 1], [0.0, 0.0, 0.0])]
)
def test_extreme_scores_are_drawn(
    plot: Callable[..., Path], y: list, p: list, tmp_path: Path
) -> None:
    check(plot(y, p, tmp_path / "a.png"))


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_ks_title_is_the_metric(slope: float, tmp_path: Path, titles: list[str]) -> None:
    y, p = drawn(slope=slope)
    plots.plot_ks(y, p, tmp_path / "a.png")
    assert titles[0].startswith(f"KS {evaluate(y, p, cutoff=0.2, n_boot=2)['ks'].value:.3f} ")


def test_lift_title_is_the_metric(tmp_path: Path, titles: list[str]) -> None:
    y, p = drawn()
    plots.plot_lift(y, p, tmp_path / "a.png")
    lift = evaluate(y, p, cutoff=0.2, n_boot=2)["lift_10"].value
    assert titles[1].startswith(f"Lift {lift:.2f} ")


def test_calibration_sentence_names_the_worst_bin() -> None:
    table = calibration_table([0] * 50 + [1] * 50, [0.3] * 50 + [0.6] * 50, 2)
    assert plots._calibration_sentence(table) == (
        "PD 0.4 too low between 0.60 and 0.60 (2 of 2 bins off)"
    )
    assert "PD 0.3 too high between 0.30 and 0.30 (1 of 2" in plots._calibration_sentence(
        calibration_table([0] * 50 + [0, 1] * 25, [0.3] * 50 + [0.5] * 50, 2)
    )


def test_candidates_and_disagreement(tmp_path: Path, titles: list[str]) -> None:
    y, p = drawn()
    noise = np.random.default_rng(1).uniform(0.1, 0.9, len(p))
    candidates = {
        "scorecard": evaluate(y, p, cutoff=0.2, n_boot=2),
        "mlp": evaluate(y, noise, cutoff=0.2, n_boot=2),
    }
    check(plots.plot_candidates(candidates, tmp_path / "c.png", baseline="scorecard"))
    (tmp_path / "c.png").unlink()
    assert titles[0].startswith("Lowest log loss: scorecard | dashed: scorecard")
    stored = {
        name: {metric: e._asdict() for metric, e in metrics.items()}
        for name, metrics in (("baseline", candidates["scorecard"]), ("mlp", candidates["mlp"]))
    }
    check(plots.plot_candidates(stored, tmp_path / "c.png"))
    (tmp_path / "c.png").unlink()
    assert titles[2] == "Lowest log loss: baseline | dashed: the baseline"
    check(plots.plot_disagreement(error_by_band(y, p, noise), tmp_path / "d.png"))
    (tmp_path / "d.png").unlink()
    assert titles[4].startswith("Where members disagree most, log loss is 0.")
    check(plots.plot_disagreement(error_by_band(y, p, p * 0), tmp_path / "e.png"))


def test_a_failed_picture_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(Unavailable, match="the disk is full"):
        plots.plot_roc(*drawn(), path)
    monkeypatch.undo()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.png", b"old")]


def test_threads_draw_what_one_thread_draws(tmp_path: Path) -> None:
    y, p = drawn()
    alone = plots.plot_roc(y, p, tmp_path / "alone.png").read_bytes()
    with ThreadPoolExecutor(4) as pool:
        paths = pool.map(lambda i: plots.plot_roc(y, p, tmp_path / f"{i}.png"), range(8))
        assert all(path.read_bytes() == alone for path in paths)


def test_import_is_light() -> None:
    import subprocess

    code = "import sys, riskwright.stats.plots; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"

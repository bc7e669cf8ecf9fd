"""What the model rests on as a whole: permutation importance and SHAP summaries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskwright.case.usecase import FeatureSchema
from riskwright.errors import InputRefused
from riskwright.explanations.pictures import drawing, load_shap, plain, save
from riskwright.explanations.reasons import feature_values
from riskwright.stats.estimates import Z

Margin = Callable[[pd.DataFrame], np.ndarray]
SHOWN = 15  # features in a picture


def permutation_importance(
    margin: Margin,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    seed: int,
    repeats: int = 5,
    rows: int = 2000,
) -> pd.DataFrame:
    """Return how much log loss rises when one feature's values are shuffled among the rows.

    Model-agnostic; features that say the same share their importance. Source: Breiman (2001),
    Machine Learning 45, 5-32; Fisher, Rudin and Dominici (2019), JMLR 20.

    Parameters
    ----------
    margin
        The deployed model: log-odds of the PD for rows of ``X``, shape (n,).
    X, y
        Rows that the model was not fitted on, and their outcomes (1 = bad).
    seed
        Of the sample of rows and of the shuffles.
    repeats
        Shuffles of each feature.
    rows
        At most so many rows are used, a random sample.

    Returns
    -------
    DataFrame
        ``feature, increase_in_log_loss, low, high``, most important first. The interval (95 %) is
        over rows, each row's mean rise over the shuffles; a ``low`` at or below 0 says that the
        feature can't be told from one that is not used.

    Raises
    ------
    InputRefused
        If ``X`` and ``y`` don't match or there are fewer than two rows.
    """
    y_ = _matched(X, y)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(X), size=min(rows, len(X)), replace=False))
    X, sign = X.iloc[chosen], np.where(y_[chosen] == 1, -1.0, 1.0)
    n = len(X)
    before = np.logaddexp(0.0, sign * margin(X))
    shuffled = pd.concat([X] * repeats, ignore_index=True)  # one call scores all the shuffles
    table = []
    for name in X.columns:
        order = np.concatenate([rng.permutation(n) for _ in range(repeats)])
        changed = shuffled.assign(**{str(name): X[name].take(order).array})
        after = np.logaddexp(0.0, np.tile(sign, repeats) * margin(changed))
        rise = (after.reshape(repeats, n) - before).mean(axis=0)  # exactly 0 if not used
        half = Z * float(rise.std(ddof=1)) / n**0.5
        value = float(rise.mean())
        table.append((str(name), value, value - half, value + half))
    columns = ["feature", "increase_in_log_loss", "low", "high"]
    found = pd.DataFrame(table, columns=columns)
    return found.sort_values(columns[1], ascending=False, ignore_index=True, kind="stable")


def _matched(X: pd.DataFrame, y: ArrayLike) -> np.ndarray:
    outcomes = np.asarray(y)
    if len(outcomes) != len(X) or len(X) < 2:
        raise InputRefused(
            f"{len(X)} rows with {len(outcomes)} outcomes",
            expected="one outcome for each row, and two rows at least",
        )
    return outcomes


def shap_summary(
    contributions: pd.DataFrame,
    X: pd.DataFrame,
    schema: FeatureSchema,
    path: Path,
    *,
    seed: int = 0,
    rows: int = 2000,
) -> Path:
    """Draw SHAP's beeswarm of the model's exact contributions: one dot for each row and feature.

    Parameters
    ----------
    contributions, X, schema
        As for ``reasons.reason_codes``.
    path
        PNG to write.
    seed, rows
        At most so many rows are drawn, a random sample.

    Raises
    ------
    IntegrityError
        If contributions, values and schema don't describe the same features and rows.
    """
    values = feature_values(contributions, X, schema)
    if len(values) > rows:
        chosen = np.sort(np.random.default_rng(seed).choice(len(values), rows, replace=False))
        values, X = values[chosen], X.iloc[chosen]
    shap = load_shap()
    labels = [plain(f.label) for f in schema.features]
    explanation = shap.Explanation(values, data=_colours(X, schema), feature_names=labels)
    strongest = labels[int(np.abs(values).mean(axis=0).argmax())]
    with drawing() as plt:
        # The jitter and the order of dots come from NumPy's global generator.
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        try:
            shap.plots.beeswarm(
                explanation,
                max_display=min(SHOWN, len(labels)),
                show=False,
                plot_size=(9.0, 1.6 + 0.36 * min(SHOWN, len(labels))),
                group_remaining_features=False,
            )
        finally:
            np.random.set_state(state)  # noqa: NPY002
        axes = plt.gcf().axes[0]
        axes.set_xlabel("contribution to the log-odds of default (right: raises the PD)")
        axes.set_title(
            f"'{strongest}' moves the PD most ({len(values):,} rows)", loc="left", weight="bold"
        )
        return save(plt.gcf(), path)


def mean_contributions(contributions: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """Return ``feature, mean_absolute_contribution`` (log-odds), largest first.

    Raises
    ------
    IntegrityError
        If the contributions are not those of the schema's features.
    """
    values = feature_values(contributions, contributions, schema)
    table = {
        "feature": schema.names,
        "mean_absolute_contribution": np.abs(values).mean(axis=0),
    }
    column = "mean_absolute_contribution"
    return pd.DataFrame(table).sort_values(
        column, ascending=False, ignore_index=True, kind="stable"
    )


def plot_mean_contributions(contributions: pd.DataFrame, schema: FeatureSchema, path: Path) -> Path:
    """Draw the mean absolute contribution of each feature as bars.

    Raises
    ------
    IntegrityError
        If the contributions are not those of the schema's features.
    """
    table = mean_contributions(contributions, schema)
    labels = {f.name: plain(f.label) for f in schema.features}
    shown = table.head(SHOWN).iloc[::-1]
    share = float(
        table["mean_absolute_contribution"].head(3).sum()
        / max(float(table["mean_absolute_contribution"].sum()), 1e-300)
    )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 1.6 + 0.32 * len(shown)), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [labels[name] for name in shown["feature"]],
        shown["mean_absolute_contribution"].to_numpy(),
        color="#0072B2",
    )
    axes.set_xlabel("mean absolute contribution to the log-odds of default")
    axes.spines[["top", "right"]].set_visible(False)
    many = min(3, len(table))
    axes.set_title(
        f"The first {many} of {len(table)} features make up {share:.0%} of all contributions",
        loc="left",
        weight="bold",
        fontsize=11,
    )
    return save(figure, path)


def _colours(X: pd.DataFrame, schema: FeatureSchema) -> np.ndarray:
    """Numbers for the dots' colours: values, or a category's rank; missing is grey (NaN)."""
    columns = []
    for feature in schema.features:
        if feature.kind == "number":
            columns.append(X[feature.name].to_numpy(dtype=np.float64))
        else:
            order = {code: float(i) for i, (code, _) in enumerate(feature.values)}
            columns.append(X[feature.name].map(order).to_numpy(dtype=np.float64))
    return np.column_stack(columns)

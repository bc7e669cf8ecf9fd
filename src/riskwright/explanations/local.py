"""Single cases: the model's own contributions as SHAP draws them, and two independent checks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskwright.case.usecase import Feature, FeatureSchema
from riskwright.explanations.pictures import drawing, load_shap, plain, save
from riskwright.explanations.reasons import BASE, feature_values
from riskwright.explanations.words import words

Predict = Callable[[pd.DataFrame], np.ndarray]
SHOWN = 12
BACKGROUND = 50  # rows that stand for "feature unknown"
PERMUTATIONS = 5


class Agreement(NamedTuple):
    """How alike two attributions are: rank correlation, and how many of the top 4 are shared."""

    spearman: float
    top_4: int


def shap_case(
    contribution_row: pd.Series, X_row: pd.Series, schema: FeatureSchema, path: Path
) -> Path:
    """Draw SHAP's waterfall of one case from the model's exact contributions.

    Parameters
    ----------
    contribution_row
        One row of the model's contributions: the features and ``base``, in log-odds.
    X_row
        The same case's canonical values: one row of the frame.
    schema
        Labels, units and meanings.
    path
        PNG to write.

    Raises
    ------
    IntegrityError
        If contributions, values and schema don't describe the same features.
    """
    case = _frame(X_row, schema)
    values = feature_values(contribution_row.to_frame().T.set_axis(case.index), case, schema)[0]
    base = float(contribution_row[BASE])
    shap = load_shap()
    explanation = shap.Explanation(
        values,
        base_values=base,
        # SHAP writes "value = name" itself; our words hold the unit and a code's meaning.
        feature_names=[plain(f"{f.label}: {words(f, case[f.name])[0]}") for f in schema.features],
    )
    margin = base + float(values.sum())
    pd_, mean_pd = 1 / (1 + np.exp(-margin)), 1 / (1 + np.exp(-base))
    with drawing() as plt:
        shap.plots.waterfall(explanation, max_display=min(SHOWN, len(values) + 1), show=False)
        figure = plt.gcf()
        figure.set_size_inches(10, 1.8 + 0.42 * min(SHOWN, len(values) + 1))
        # Above SHAP's own "f(x)" axis, which carries the log-odds.
        figure.suptitle(
            f"PD {pd_:.3f} from a base of {mean_pd:.3f} (bars in log-odds)",
            weight="bold",
            y=0.99,
        )
        return save(figure, path)


def shap_independent(
    margin: Predict,
    X_background: pd.DataFrame,
    X_rows: pd.DataFrame,
    schema: FeatureSchema,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Return SHAP's own model-agnostic values of a few cases, to check our contributions by.

    ``shap.PermutationExplainer`` sees only the deployed margin as a function; features are
    replaced by those of background rows. It costs about 5,000 evaluations for each case and 20
    features, so ask for a handful.

    Parameters
    ----------
    margin
        The deployed model: log-odds of the PD for canonical rows, shape (n,).
    X_background
        Rows that stand for an unknown feature; at most 50 are used, a random sample.
    X_rows
        Cases to explain.
    schema
        The features.
    seed
        Of the sample and the permutations.

    Returns
    -------
    DataFrame
        One column for each feature in the schema's order, then ``base``; each row sums to its
        margin; index of ``X_rows``.
    """
    shap = load_shap()
    names = schema.names
    if len(X_background) > BACKGROUND:
        X_background = X_background.sample(BACKGROUND, random_state=seed)
    both = pd.concat([X_background[names], X_rows[names]])
    # Any value, text or missing, becomes its place in the list of distinct values: the
    # explainer only moves values between rows and never does arithmetic with them.
    coded = {name: pd.factorize(both[name], use_na_sentinel=False) for name in names}
    matrix = np.column_stack([coded[name][0] for name in names]).astype(np.float64)
    levels = {name: pd.Series(coded[name][1], dtype=both[name].dtype) for name in names}

    def coded_margin(rows: np.ndarray) -> np.ndarray:
        places = rows.astype(np.int64)
        columns = {n: levels[n].array.take(places[:, j]) for j, n in enumerate(names)}
        return np.asarray(margin(pd.DataFrame(columns)), dtype=np.float64)

    background, cases = matrix[: len(X_background)], matrix[len(X_background) :]
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.PermutationExplainer(coded_margin, masker, seed=seed)
    found = explainer(cases, max_evals=PERMUTATIONS * (2 * len(names) + 1), silent=True)
    table = pd.DataFrame(found.values, index=X_rows.index, columns=names)
    return table.assign(**{BASE: found.base_values})


def lime_case(
    predict_pd: Predict,
    X_background: pd.DataFrame,
    X_row: pd.Series,
    schema: FeatureSchema,
    *,
    seed: int,
    path: Path | None = None,
    samples: int = 2000,
) -> pd.DataFrame:
    """Return LIME's local weights of one case: a linear model of the PD around it.

    Missing numbers are shown to LIME as the median with a flag of their own, and given back to
    the model as missing wherever the flag is set; a flag's weight counts for its feature.

    Parameters
    ----------
    predict_pd
        The deployed model: PD for canonical rows, shape (n,).
    X_background
        Canonical rows that show how values vary.
    X_row
        The case's canonical values: one row of the frame.
    schema
        Labels and meanings.
    seed
        Of LIME's perturbations.
    path
        PNG to write, if any.
    samples
        Perturbed rows that the local model is fitted on.

    Returns
    -------
    DataFrame
        ``feature, weight`` (change of the PD), largest absolute weight first.
    """
    case = _frame(X_row, schema)
    coder = _Coder(X_background, case, schema)
    explanation = _explained(coder, predict_pd, X_background, case, seed, samples)
    weights = dict.fromkeys(schema.names, 0.0)
    for place, weight in explanation.as_map()[1]:
        weights[coder.sources[place]] += float(weight)
    table = pd.DataFrame({"feature": list(weights), "weight": list(weights.values())})
    table = table.sort_values("weight", key=np.abs, ascending=False, ignore_index=True)
    if path is not None:
        _plot_lime(explanation.as_list(label=1), float(predict_pd(case)[0]), path)
    return table


def _explained(
    coder: _Coder,
    predict_pd: Predict,
    background: pd.DataFrame,
    case: pd.DataFrame,
    seed: int,
    samples: int,
) -> Any:
    """LIME's own explanation of a case."""
    from lime.lime_tabular import LimeTabularExplainer

    def both(rows: np.ndarray) -> np.ndarray:
        pd_ = np.asarray(predict_pd(coder.decode(rows)), dtype=np.float64)
        return np.column_stack([1 - pd_, pd_])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LIME warns of its own dependencies' future
        explainer = LimeTabularExplainer(
            coder.encode(background),
            categorical_features=coder.categorical,
            categorical_names=coder.categorical_names,
            feature_names=coder.labels,
            class_names=["good", "bad"],
            discretize_continuous=True,
            random_state=seed,
        )
        return explainer.explain_instance(
            coder.encode(case)[0],
            both,
            labels=(1,),
            num_features=len(coder.labels),
            num_samples=samples,
        )


def agreement(a: pd.Series, b: pd.Series) -> Agreement:
    """Compare two attributions of one case (index = feature): rank correlation and top-4 overlap.

    The top 4 are those with the largest positive values, as reason codes are. The correlation is
    0 where one of the two is constant.
    """
    b = b.reindex(a.index)
    ranks = np.array([a.rank(), b.rank()])
    constant = (ranks.std(axis=1) == 0).any()
    spearman = 0.0 if constant else float(np.corrcoef(ranks)[0, 1])
    tops = [set(s[s > 0].nlargest(4).index) for s in (a, b)]
    return Agreement(spearman, len(tops[0] & tops[1]))


def _frame(row: pd.Series, schema: FeatureSchema) -> pd.DataFrame:
    """One row as a canonical frame again: as a Series its numbers and texts were objects."""
    types = {f.name: "float64" if f.kind == "number" else "str" for f in schema.features}
    return row[schema.names].to_frame().T.astype(types)


class _Coder:
    """Canonical rows as the numeric matrix that LIME wants, and back."""

    def __init__(self, background: pd.DataFrame, row: pd.DataFrame, schema: FeatureSchema) -> None:
        self.features = schema.features
        self.labels = [f.label for f in self.features]
        self.sources = schema.names
        self.levels: dict[str, pd.Index] = {}
        self.medians: dict[str, float] = {}
        self.flagged: list[str] = []
        self.categorical: list[int] = []
        self.categorical_names: dict[int, list[str]] = {}
        for place, feature in enumerate(self.features):
            values = pd.concat([background[feature.name], row[feature.name]], ignore_index=True)
            if feature.kind == "category":
                self.levels[feature.name] = pd.Index(values.unique())
                self._category(place, [str(w) for w in self._level_words(feature)])
            else:
                median = values.median()
                self.medians[feature.name] = 0.0 if np.isnan(median) else float(median)
                if values.isna().any():
                    self.flagged.append(feature.name)
        labels = dict(zip(self.sources, self.labels, strict=True))
        for name in self.flagged:
            self._category(len(self.labels), ["known", "missing"])
            self.labels = [*self.labels, f"{labels[name]} known or missing"]
            self.sources = [*self.sources, name]

    def _category(self, place: int, names: list[str]) -> None:
        self.categorical.append(place)
        self.categorical_names[place] = names

    def _level_words(self, feature: Feature) -> np.ndarray:
        return words(feature, pd.Series(self.levels[feature.name]))

    def encode(self, rows: pd.DataFrame) -> np.ndarray:
        columns = [
            self.levels[f.name].get_indexer(pd.Index(rows[f.name])).astype(np.float64)
            if f.name in self.levels
            else rows[f.name].fillna(self.medians[f.name]).to_numpy(dtype=np.float64)
            for f in self.features
        ]
        columns += [rows[name].isna().to_numpy(dtype=np.float64) for name in self.flagged]
        return np.column_stack(columns)

    def decode(self, matrix: np.ndarray) -> pd.DataFrame:
        flags = {
            name: matrix[:, len(self.features) + i] > 0.5 for i, name in enumerate(self.flagged)
        }
        columns: dict[str, object] = {}
        for place, feature in enumerate(self.features):
            values = matrix[:, place]
            if feature.name in self.levels:
                columns[feature.name] = self.levels[feature.name].take(values.astype(np.int64))
            elif feature.name in flags:
                columns[feature.name] = np.where(flags[feature.name], np.nan, values)
            else:
                columns[feature.name] = values
        return pd.DataFrame(columns)


def _plot_lime(rules: list[tuple[str, float]], pd_: float, path: Path) -> Path:
    from matplotlib.figure import Figure

    rules = sorted(((plain(r), w) for r, w in rules), key=lambda rule: abs(rule[1]))[-SHOWN:]
    figure = Figure(figsize=(9.0, 1.6 + 0.34 * len(rules)), dpi=120, layout="constrained")
    axes = figure.subplots()
    weights = [weight for _, weight in rules]
    colours = ["#D55E00" if weight > 0 else "#0072B2" for weight in weights]
    axes.barh([rule for rule, _ in rules], weights, color=colours)
    axes.axvline(0, color="#222222", lw=0.8)
    axes.set_xlabel("local weight: change of the PD (orange raises it, blue lowers it)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"LIME: '{rules[-1][0]}' weighs most around this PD of {pd_:.3f}",
        loc="left",
        weight="bold",
        fontsize=11,
    )
    return save(figure, path)

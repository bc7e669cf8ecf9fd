"""Yardsticks to hold the ensemble against: an early-stopped XGBoost and a binned scorecard.

Both are plain scripts of the kind that a good analyst writes in an hour, on the raw columns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split


def xgb_earlystop(
    x: pd.DataFrame, y: np.ndarray, x_test: pd.DataFrame, categories: list[str], seed: int = 0
) -> np.ndarray:
    """XGBoost, rate 0.03, depth 5, early stopping on a stratified 15 % of the training rows."""
    import xgboost

    x, x_test = _native(x, x, categories), _native(x_test, x, categories)
    fit, stop = train_test_split(np.arange(len(y)), test_size=0.15, stratify=y, random_state=seed)
    model = xgboost.XGBClassifier(
        n_estimators=5000,
        learning_rate=0.03,
        max_depth=5,
        min_child_weight=5,
        subsample=0.8,
        colsample_bytree=0.8,
        early_stopping_rounds=100,
        eval_metric="logloss",
        enable_categorical=True,
        tree_method="hist",
        n_jobs=2,
        random_state=seed,
    )
    model.fit(x.iloc[fit], y[fit], eval_set=[(x.iloc[stop], y[stop])], verbose=False)
    return np.asarray(model.predict_proba(x_test)[:, 1], dtype=float)


def scorecard(
    x: pd.DataFrame, y: np.ndarray, x_test: pd.DataFrame, categories: list[str]
) -> np.ndarray:
    """Every column binned (deciles, 95th, 98th percentile; missing apart), L2 logistic on bins."""
    train, test = [], []
    for name in x:
        if name in categories:
            common = x[name].value_counts()
            keep = set(common.index[common >= 30])
            bins = [
                s.where(s.isin(keep) | s.isna(), "other").fillna("missing")
                for s in (x[name], x_test[name])
            ]
        else:
            values = x[name].astype(float)
            distinct = np.unique(values.dropna())
            if len(distinct) <= 10:
                edges = (distinct[1:] + distinct[:-1]) / 2
            else:
                edges = np.unique(values.quantile([*np.arange(0.1, 1, 0.1), 0.95, 0.98]))
            bins = [
                pd.Series(np.searchsorted(edges, s.astype(float), side="left"), index=s.index)
                .astype(str)
                .where(s.notna(), "missing")
                for s in (x[name], x_test[name])
            ]
        train.append(bins[0].rename(name))
        test.append(bins[1].rename(name))
    joined = pd.get_dummies(pd.concat(train, axis=1).astype(str), dtype=float)
    other = pd.get_dummies(pd.concat(test, axis=1).astype(str), dtype=float)
    other = other.reindex(columns=joined.columns, fill_value=0.0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    tried = {
        c: cross_val_score(
            LogisticRegression(C=c, max_iter=2000), joined, y, cv=folds, scoring="neg_log_loss"
        ).mean()
        for c in (0.01, 0.03, 0.1, 0.3, 1.0)
    }
    best = max(tried, key=tried.__getitem__)
    model = LogisticRegression(C=best, max_iter=2000).fit(joined, y)
    return np.asarray(model.predict_proba(other)[:, 1], dtype=float)


def _native(x: pd.DataFrame, train: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    x = x.copy()
    for name in categories:
        levels = sorted(train[name].dropna().unique()) if name in train else []
        x[name] = pd.Categorical(x[name], categories=levels)
    return x

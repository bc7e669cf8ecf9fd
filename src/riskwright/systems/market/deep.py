"""Networks that forecast a return: the article's, a GRU and a convolution over sequences.

TensorFlow and Keras are imported when one is fitted, by ``learn.keras_net``, which also trains.
"""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskwright.case.usecase import FeatureSchema
from riskwright.learn.keras_net import Recipe, Rows, compiled, libraries, train_network
from riskwright.learn.permutation import orderings, permutation_walk
from riskwright.systems.market.families import Family, Params
from riskwright.systems.market.learnt import Fitted, FloatArray, IntArray, Past, Scaled

STEP = 1_000  # between the seeds of copies
PAIRS = 2  # orderings of the parts, each walked forwards and backwards


def squared(labels: Any, logits: Any) -> Any:
    """Return the squared error by row: the networks' output is linear."""
    return (labels - logits) ** 2


class Network(Family):
    """A network refitted every five years (in December of the years that end in 0 and 5).

    Attributes
    ----------
    recipe
        How it is trained.
    copies
        Networks of different seeds whose forecasts are averaged.
    """

    refit = 60
    deep = True
    recipe: ClassVar[Recipe]
    copies: int = 1

    @abstractmethod
    def _network(self, shape: tuple[int, ...], seed: int) -> Any:
        """Return a new Keras model of flat inputs (n, columns), columns being shape's product."""

    def _learn(self, past: Past) -> Fitted:
        # With patience the past's latest fifth says when to stop.
        keras, _ = libraries()
        before, tail = past.cut() if self.recipe.patience else (past, None)
        read = Read.of(before, sequences=self.sequences)
        mean = float(past.y.mean())
        # The article's network sees the returns as they are; the others start from their mean.
        level, spread = (mean, float(before.y.std()) or 1.0) if self.sequences else (0.0, 1.0)

        def rows(part: Past) -> Rows:
            y = ((part.y - level) / spread).astype(np.float32)
            return np.ascontiguousarray(read(part.X, part.sequences), dtype=np.float32), y

        learnt, held_out = rows(before), None if tail is None else rows(tail)
        networks = []
        for number in range(self.copies):
            keras.utils.set_random_seed(self.seed + STEP * number)
            network = self._network(read.shape, self.seed + STEP * number)
            train_network(
                network,
                learnt,
                held_out,
                recipe=self.recipe,
                seed=self.seed + STEP * number,
                progress=None,
            )
            networks.append(network)
        gc.collect()  # graphs and optimizers are cycles that hold the training matrix
        return self._trained(mean, read, level, spread, networks)

    def restored(
        self,
        mean: float,
        read: Read,
        level: float,
        spread: float,
        weights: list[list[np.ndarray]],
    ) -> Trained:
        """Return what was learnt, from the weights of its networks: our code builds them.

        Raises
        ------
        ValueError
            If the weights don't fit the networks.
        """
        networks = []
        for number, arrays in enumerate(weights):
            network = self._network(read.shape, self.seed + STEP * number)
            network.set_weights(arrays)
            networks.append(network)
        return self._trained(mean, read, level, spread, networks)

    def _trained(
        self, mean: float, read: Read, level: float, spread: float, networks: list[Any]
    ) -> Trained:
        params = {name: getattr(self, name) for name in self.candidates()[0]}
        forward = averaged(networks, read)
        return Trained(mean, read, forward, level, spread, params, self.seed, networks)


class ArticleMLP(Network):
    """The article's network: 32 and 16 ReLU, linear output, Adam, 100 epochs, batches of 32.

    As published, without regularisation: a reference for what unshrunk flexibility does.
    """

    name = "article_mlp"
    recipe = Recipe(
        learning_rate=1e-3, epochs=100, batch_size=32, short_batch=True, xla=True, loss=squared
    )

    def _network(self, shape: tuple[int, ...], seed: int) -> Any:
        keras, _ = libraries()
        starts = [keras.initializers.GlorotUniform(seed=seed + i) for i in range(3)]
        dense = keras.layers.Dense
        return keras.Sequential(
            [
                keras.Input(shape),
                dense(32, activation="relu", kernel_initializer=starts[0]),
                dense(16, activation="relu", kernel_initializer=starts[1]),
                dense(1, kernel_initializer=starts[2]),
            ]
        )


class SequenceNetwork(Network):
    """A small, regularised network over the months before the origin; a child reads them.

    It forecasts the scaled distance from the mean, starts at the mean itself, and stops early. One
    seed alone is a lottery: on 150 years of months, R² moves by more than ten points with it.

    Parameters
    ----------
    schema
        The predictors, and the sequences.
    seed
        Of the first copy.
    units
        Of its one layer.
    copies
        Networks of different seeds whose forecasts are averaged.
    """

    sequences = True
    sizes: ClassVar[tuple[int, ...]] = (4, 8)
    dropout: ClassVar[float] = 0.2
    recipe = Recipe(
        learning_rate=2e-3, epochs=60, batch_size=64, weight_decay=1.0, patience=8, loss=squared
    )

    def __init__(
        self, schema: FeatureSchema, seed: int = 0, units: int = 4, copies: int = 3
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.units = units
        self.copies = copies

    def choose(self, X: pd.DataFrame, y: npt.ArrayLike, *, known: IntArray | None = None) -> Params:
        """Return the configuration of least squared error on the past's latest fifth, by one copy.

        The copies are for the forecast: one each is enough to tell sizes apart, at a third of the
        time.
        """
        return super(SequenceNetwork, self.changed(copies=1)).choose(X, y, known=known)

    def candidates(self) -> list[dict[str, Any]]:
        """Return the sizes of its one layer, the smallest first."""
        return [{"units": units} for units in self.sizes]

    @abstractmethod
    def _read(self, keras: Any, units: int, seed: int) -> list[Any]:
        """Return the layers from sequences (n, steps, channels) to a state (n, units)."""

    def _network(self, shape: tuple[int, ...], seed: int) -> Any:
        keras, _ = libraries()
        return keras.Sequential(
            [
                keras.Input((int(np.prod(shape)),)),
                keras.layers.Reshape(shape),
                *self._read(keras, self.units, seed),
                keras.layers.Dropout(self.dropout, seed=seed + 1),
                keras.layers.Dense(1, kernel_initializer="zeros"),
            ]
        )


class GRU(SequenceNetwork):
    """One gated recurrent layer, whose last state is read."""

    name = "gru"

    def _read(self, keras: Any, units: int, seed: int) -> list[Any]:
        return [
            keras.layers.GRU(
                units,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 2),
                recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 3),
            )
        ]


class CNN(SequenceNetwork):
    """Filters of three months, averaged over time."""

    name = "cnn"

    def _read(self, keras: Any, units: int, seed: int) -> list[Any]:
        start = keras.initializers.GlorotUniform(seed=seed + 2)
        return [
            keras.layers.Conv1D(units, 3, activation="relu", kernel_initializer=start),
            keras.layers.GlobalAveragePooling1D(),
        ]


@dataclass(frozen=True)
class Read:
    """What a network sees: predictors, or sequences, filled and scaled, as one flat row.

    Attributes
    ----------
    scaled
        By predictor, or by channel (over all steps).
    shape
        (k,), or (steps, channels).
    """

    scaled: Scaled
    shape: tuple[int, ...]

    @classmethod
    def of(cls, past: Past, *, sequences: bool) -> Read:
        """Learn medians and scales from the past."""
        if not sequences or past.sequences is None:
            return cls(Scaled.of(past.X), past.X.shape[1:])
        steps = np.asarray(past.sequences, dtype=float)
        return cls(Scaled.of(steps.reshape(-1, steps.shape[2])), steps.shape[1:])

    def __call__(self, X: FloatArray, sequences: npt.NDArray[Any] | None) -> FloatArray:
        """Return flat rows, shape (m, columns)."""
        if len(self.shape) == 1 or sequences is None:
            return self.scaled(X)
        flat = self.scaled(sequences.reshape(-1, self.shape[1]))
        return flat.reshape(len(sequences), -1)


def averaged(networks: list[Any], read: Read) -> Callable[[np.ndarray], FloatArray]:
    """Return a function from flat rows (m, columns) to the mean of the networks' outputs (m,)."""
    forwards = [compiled(network, int(np.prod(read.shape))) for network in networks]

    def forward(matrix: np.ndarray) -> FloatArray:
        return np.asarray(np.mean([one(matrix) for one in forwards], axis=0))

    return forward


@dataclass(frozen=True)
class Trained(Fitted):
    """Trained Keras ``networks``, and ``forward``, the mean of what they compute."""

    read: Read
    forward: Callable[[np.ndarray], FloatArray]
    level: float
    spread: float
    params: Params
    seed: int
    networks: list[Any]

    def forecast(self, X: FloatArray, sequences: npt.NDArray[Any] | None) -> FloatArray:
        """Return the forecast returns, shape (m,)."""
        return self.level + self.spread * self.forward(self.read(X, sequences))

    def parts(self, X: FloatArray, sequences: npt.NDArray[Any] | None) -> FloatArray:
        """Return Shapley values from a few orderings; the rest is the network's own mean.

        The first channels of the sequences are the predictors; further ones go to the rest.
        """
        rows = self.read(X, sequences)
        players = self.read.shape[-1]
        walked = self.spread * permutation_walk(
            self.forward,
            rows,
            np.zeros(rows.shape[1]),
            np.arange(rows.shape[1]) % players,
            orderings(players, PAIRS, self.seed),
        )
        shown = walked[:, : X.shape[1]]
        away = self.forecast(X, sequences) - self.mean
        return np.column_stack([shown, away - shown.sum(axis=1)])

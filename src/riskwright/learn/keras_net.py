"""What the deep families share: training, compiled prediction, weights on disk, contributions.

A network maps the encoded matrix (n, columns) to log-odds (n, 1). TensorFlow and Keras are
imported when one is built, never when this module is.
"""

from __future__ import annotations

import gc
import os
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from riskwright.data.encoding import Mode
from riskwright.data.units import Index
from riskwright.learn.base import FloatArray, Matrix, PDFamily, Progress, inner_split
from riskwright.learn.saved import read_arrays, write_arrays

Rows = tuple[Matrix, npt.NDArray[np.float32]]
# Matrix products take rows in tiles (of 6 to 48, by processor) and round those of a last, partial
# tile otherwise: calls are filled up to whole tiles, so that a row's bits don't hang on its batch.
TILE = 96
BLOCK = 168 * TILE  # rows of one call of the compiled network
WEIGHTS = "weights.npz"


@cache
def libraries() -> tuple[Any, Any]:
    """Import Keras and TensorFlow once, without TensorFlow's greeting.

    Its C++ code writes to stderr before it reads TF_CPP_MIN_LOG_LEVEL, so stderr points nowhere
    during the import; errors of the import are Python exceptions and aren't lost.

    Returns
    -------
    (keras, tensorflow)
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a service without stderr has nothing to silence
        kept = -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        if kept >= 0:
            os.dup2(nowhere, 2)
        # OR-Tools (the scorecard's bins) crashes the process when it is loaded after TensorFlow,
        # not when it is loaded before: google/or-tools#3230.
        import ortools.linear_solver.pywraplp
        import ortools.sat.python.cp_model  # noqa: F401

        # isort: split
        import keras
        import tensorflow as tf

        # Seeds alone leave the order of parallel sums to the load of the machine.
        tf.config.experimental.enable_op_determinism()
    finally:
        os.close(nowhere)
        if kept >= 0:
            os.dup2(kept, 2)
            os.close(kept)
    return keras, tf


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    patience
        Epochs without a better held-out log loss before it stops; None: nothing is held out and
        all epochs are run.
    time_ordered
        Rows come oldest first: the last ones are held out.
    short_batch
        Whether the rows that fill no batch are trained on too (each epoch leaves out others).
        Off where batch statistics are taken: those of two rows say nothing.
    xla
        Compile the epoch with XLA. At batches of 32 rows the calls between operations cost more
        than the operations: 4 times faster. From batches of 256 on it isn't, and its recurrent
        and convolution kernels are many times slower.
    loss
        Of ``labels`` and ``logits``, each of shape (batch, 1), by row; None: the log loss.
    """

    learning_rate: float
    epochs: int
    batch_size: int
    weight_decay: float = 0.0
    patience: int | None = None
    time_ordered: bool = False
    short_batch: bool = False
    xla: bool = False
    loss: Callable[..., Any] | None = None


class KerasFamily(PDFamily):
    """A Keras network on encoded features; a child says which network and how it is trained.

    Deterministic for a seed on one machine. The contributions of a row sum exactly to its margin
    because they telescope along each ordering; how an interaction is split between its features
    is an estimate from ``2 * PAIRS`` orderings.
    """

    numeric: ClassVar[Mode] = "quantile"
    learning_rate: float
    weight_decay: float
    batch_size: int | None
    max_epochs: int
    patience: int
    time_ordered: bool

    @abstractmethod
    def _network(self) -> Any:
        """Return a new Keras model of ``features_``: matrix (n, columns) to log-odds (n, 1)."""

    def _recipe(self, rows: int) -> Recipe:
        """Return how to train on so many rows."""
        return Recipe(
            learning_rate=self.learning_rate,
            epochs=self.max_epochs,
            batch_size=self.batch_size or batch_size_for(rows),
            weight_decay=self.weight_decay,
            patience=self.patience,
            time_ordered=self.time_ordered,
        )

    def _fit(
        self, X: pd.DataFrame, y: npt.NDArray[np.int8], groups: Index | None, progress: Progress
    ) -> None:
        keras, _ = libraries()
        matrix = np.ascontiguousarray(self.prepare(X))
        self.baseline_: Matrix = matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
        recipe = self._recipe(len(X))
        rows, held_out = (matrix, y.astype(np.float32)), None
        if recipe.patience is not None:
            train, valid = inner_split(
                y, seed=self.seed, time_ordered=recipe.time_ordered, groups=groups
            )
            held_out = rows[0][valid], rows[1][valid]
            rows = rows[0][train], rows[1][train]
        keras.utils.set_random_seed(self.seed)
        network = self._network()
        if recipe.patience is not None:  # start at the portfolio's rate, not at one half
            network.layers[-1].bias.assign([logit(rows[1].mean())])
        self.epochs_ = train_network(
            network, rows, held_out, recipe=recipe, seed=self.seed, progress=progress
        )
        self._use(network)
        gc.collect()  # graphs and optimizers are cycles that hold the training matrix

    def _use(self, network: Any) -> None:
        self.network_ = network
        self._forward = compiled(network, len(self.features_.names_))

    def _score(self, matrix: Matrix) -> FloatArray:
        return self._forward(matrix)

    def _baseline(self) -> Matrix:
        return self.baseline_

    def _write(self, folder: Path) -> dict[str, Any]:
        write_weights(folder, self.network_)
        return {"baseline": self.baseline_.tolist(), "epochs": self.epochs_}

    def _read(self, folder: Path, state: dict[str, Any]) -> None:
        self.baseline_ = np.array(state["baseline"], dtype=np.float32)
        self.epochs_ = int(state["epochs"])
        network = self._network()
        network.set_weights(read_weights(folder))
        self._use(network)


def write_weights(folder: Path, network: Any) -> None:
    """Write ``weights.npz``."""
    weights = {f"w{i:03d}": w for i, w in enumerate(network.get_weights())}
    write_arrays(folder / WEIGHTS, weights)


def read_weights(folder: Path) -> list[np.ndarray]:
    """Read back what ``write_weights`` wrote."""
    return list(read_arrays(folder / WEIGHTS).values())


def dense_stack(tensor: Any, hidden: Sequence[int], dropout: float, seed: int) -> Any:
    """Add blocks of dense, batch normalisation, ReLU and dropout, then the log-odds.

    Each layer is given its seed: those that Keras draws itself come from Python's global
    generator, which other threads (an orchestrator's) draw from as well.
    """
    keras, _ = libraries()
    layers, starts = keras.layers, keras.initializers
    for i, units in enumerate(hidden):
        start = starts.HeNormal(seed=seed + 2 * i)
        tensor = layers.Dense(units, use_bias=False, kernel_initializer=start)(tensor)
        tensor = layers.BatchNormalization()(tensor)
        tensor = layers.ReLU()(tensor)
        tensor = layers.Dropout(dropout, seed=seed + 2 * i + 1)(tensor)
    start = starts.GlorotUniform(seed=seed + 2 * len(hidden))
    return layers.Dense(1, kernel_initializer=start)(tensor)


def batch_size_for(rows: int) -> int:
    """Return a power of two from 32 to 1,024 that grows with the square root of the rows."""
    return int(np.clip(2 ** round(np.log2(4 * np.sqrt(rows))), 32, 1024))


class _Compiled:
    """An epoch of training, and the loss of the rows that judge it: one compiled call each.

    Attributes
    ----------
    epoch
        Takes the order of the rows, shape (n,).
    loss
        Mean log loss of the judged rows.
    """

    def __init__(self, network: Any, rows: Rows, judged: Rows, recipe: Recipe) -> None:
        keras, tf = libraries()
        self.network, self.recipe = network, recipe
        self.variables = network.trainable_variables
        self.optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self.optimizer.build(self.variables)
        self.x, self.y = tf.constant(rows[0]), tf.constant(rows[1][:, None])
        self.judged = tf.constant(judged[0]), tf.constant(judged[1][:, None])
        self.by_row = recipe.loss or tf.nn.sigmoid_cross_entropy_with_logits
        # Traced here and now: TensorFlow warns of functions that are made anew again and again.
        self.epoch = tf.function(
            self._epoch, autograph=False, jit_compile=recipe.xla
        ).get_concrete_function(tf.TensorSpec((len(rows[0]),), tf.int32))
        self.loss = tf.function(
            lambda: self._mean_loss(*self.judged, False), autograph=False
        ).get_concrete_function()

    def _mean_loss(self, matrix: Any, outcomes: Any, training: bool) -> Any:
        _, tf = libraries()
        logits = self.network(matrix, training=training)
        return tf.reduce_mean(self.by_row(labels=outcomes, logits=logits))

    def _step(self, batch: Any) -> None:
        _, tf = libraries()
        with tf.GradientTape() as tape:
            loss = self._mean_loss(tf.gather(self.x, batch), tf.gather(self.y, batch), True)
        # Not optimizer.apply: it goes by a distribution strategy that keeps each graph for ever.
        rate, decay = tf.constant(self.recipe.learning_rate, tf.float32), self.recipe.weight_decay
        gradients = tape.gradient(loss, self.variables)
        for gradient, variable in zip(gradients, self.variables, strict=True):
            if decay and len(variable.shape) > 1:
                variable.assign(variable * (1.0 - decay * rate))
            self.optimizer.update_step(gradient, variable, rate)
        self.optimizer.iterations.assign_add(1)

    def _epoch(self, order: Any) -> None:
        _, tf = libraries()
        count = int(order.shape[0])
        size = min(self.recipe.batch_size, count)
        steps = count // size
        batches = tf.reshape(order[: steps * size], (steps, size))

        def body(i: Any) -> Any:
            self._step(batches[i])
            return i + 1

        tf.while_loop(lambda i: i < steps, body, [tf.constant(0)], parallel_iterations=1)
        if self.recipe.short_batch and count > steps * size:
            self._step(order[steps * size :])


def train_network(
    network: Any,
    rows: Rows,
    held_out: Rows | None,
    *,
    recipe: Recipe,
    seed: int,
    progress: Progress | None,
) -> int:
    """Train on the log loss with Adam (AdamW with weight decay); keep the best weights.

    Keras's own optimizer and layers, but each epoch is one compiled call: ``fit`` takes 2 s for
    an epoch of 24,000 rows at batches of 32, this 0.03 s. Rows are shuffled before each epoch.

    Parameters
    ----------
    rows, held_out
        Matrix (n, columns) and outcomes (n,). With ``held_out``, stops once its log loss has not
        improved for ``recipe.patience`` epochs, and restores the weights of its best epoch.
    progress
        Called after each epoch with the share of ``recipe.epochs``.

    Returns
    -------
    int
        The epochs behind the weights that were kept.
    """
    _, tf = libraries()
    compiled = _Compiled(network, rows, held_out or rows, recipe)
    count = len(rows[0])
    rng = np.random.default_rng(seed)
    best, best_epoch, best_weights = np.inf, 0, network.get_weights()
    for done in range(1, recipe.epochs + 1):
        compiled.epoch(tf.constant(rng.permutation(count), tf.int32))
        if progress:
            progress(done / recipe.epochs)
        if held_out is None or recipe.patience is None:
            continue
        loss = float(compiled.loss())
        if loss < best:
            best, best_epoch, best_weights = loss, done, network.get_weights()
        elif done - best_epoch >= recipe.patience:
            break
    if held_out is None:
        best_epoch = recipe.epochs
    else:
        network.set_weights(best_weights)
    return best_epoch


def compiled(network: Any, columns: int) -> Callable[[np.ndarray], FloatArray]:
    """Return a function from matrix (n, columns) to log-odds (n,): one graph, blocks of rows.

    The number of rows is left open in the graph, so that it is traced once; ``model.predict``
    takes 300 times as long for a single row. A row gets the same bits in every batch.
    """
    _, tf = libraries()
    graph = tf.function(lambda matrix: network(matrix, training=False), autograph=False)
    traced = graph.get_concrete_function(tf.TensorSpec((None, columns), tf.float32))

    def forward(matrix: np.ndarray) -> FloatArray:
        out = np.empty(len(matrix))
        for start in range(0, len(matrix), BLOCK):
            block = np.ascontiguousarray(matrix[start : start + BLOCK], dtype=np.float32)
            rows = len(block)
            block = np.pad(block, ((0, -rows % TILE), (0, 0)))
            out[start : start + rows] = traced(tf.constant(block)).numpy()[:rows, 0]
        return out

    return forward

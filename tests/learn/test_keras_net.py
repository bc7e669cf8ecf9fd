"""Training and compiled prediction of the deep families, against Keras itself."""

import gc
import subprocess
import sys

import numpy as np
import pytest

from riskwright.learn.keras_net import (
    Recipe,
    batch_size_for,
    compiled,
    dense_stack,
    libraries,
    train_network,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
Y = (RNG.random(300) < 1 / (1 + np.exp(-X[:, 0] * X[:, 1] - X[:, 2]))).astype(np.float32)


def plain_network(columns=4, units=8, seed=0):
    keras, _ = libraries()
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((columns,))
    hidden = keras.layers.Dense(units, activation="tanh")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("xla", [False, True])
def test_updates_are_those_of_keras(decay, xla):
    # One batch holds all rows, so the order of the rows doesn't matter.
    keras, _ = libraries()
    ours, theirs = plain_network(), plain_network()
    recipe = Recipe(learning_rate=0.01, epochs=12, batch_size=300, weight_decay=decay, xla=xla)
    train_network(ours, (X, Y), None, recipe=recipe, seed=0, progress=None)
    adam = keras.optimizers.AdamW(0.01, weight_decay=decay)
    adam.exclude_from_weight_decay(var_names=["bias"])
    theirs.compile(optimizer=adam, loss=keras.losses.BinaryCrossentropy(from_logits=True))
    theirs.fit(X, Y, batch_size=300, epochs=12, verbose=0)
    before = plain_network().get_weights()
    for mine, other, start in zip(ours.get_weights(), theirs.get_weights(), before, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-5)
        assert np.abs(mine - start).max() > 1e-2


def test_short_batch_counts_its_rows_alone():
    # 300 rows in batches of 299: the last row is a batch of its own, a second update.
    runs = []
    for short in (False, True):
        network = plain_network()
        recipe = Recipe(learning_rate=0.01, epochs=1, batch_size=299, short_batch=short)
        train_network(network, (X, Y), None, recipe=recipe, seed=0, progress=None)
        runs.append(np.abs(network.get_weights()[0] - plain_network().get_weights()[0]).mean())
    # Adam's first step has the learning rate's size in every weight.
    assert runs[0] == pytest.approx(0.01, rel=1e-2)
    assert runs[1] > 0.0101


def test_stops_early_and_restores_the_best_weights():
    keras, _ = libraries()
    noise = RNG.integers(0, 2, 300).astype(np.float32)  # nothing to learn: it must overfit
    network = plain_network(units=64)
    told = []
    recipe = Recipe(learning_rate=0.05, epochs=200, batch_size=32, patience=4)
    kept = train_network(
        network,
        (X[:200], noise[:200]),
        (X[200:], noise[200:]),
        recipe=recipe,
        seed=1,
        progress=told.append,
    )
    assert len(told) == kept + 4 < 200  # once an epoch; that all is done, the family says
    assert told == sorted(told)
    # Trained for just the kept epochs without stopping, the weights are the same.
    again = plain_network(units=64)
    recipe = Recipe(learning_rate=0.05, epochs=kept, batch_size=32)
    train_network(again, (X[:200], noise[:200]), None, recipe=recipe, seed=1, progress=None)
    for a, b in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert keras.backend.backend() == "tensorflow"


def test_training_leaves_no_graph_behind():
    def graphs():
        gc.collect()
        return sum(type(o).__name__ == "FuncGraph" for o in gc.get_objects())

    recipe = Recipe(learning_rate=0.01, epochs=1, batch_size=100, patience=1)
    before = graphs()
    for seed in range(3):
        network = plain_network(seed=seed)
        train_network(network, (X, Y), (X, Y), recipe=recipe, seed=seed, progress=None)
        compiled(network, 4)(X)
    del network
    assert graphs() <= before


@pytest.mark.parametrize(
    ("rows", "size"), [(50, 32), (700, 128), (2300, 256), (20_000, 512), (10**6, 1024)]
)
def test_batch_size_grows_with_the_root_of_the_rows(rows, size):
    assert batch_size_for(rows) == size


def test_a_row_has_the_same_bits_in_every_batch():
    keras, _ = libraries()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((13,))
    forward = compiled(keras.Model(inputs, dense_stack(inputs, (33, 7), 0.5, 0)), 13)
    matrix = np.random.default_rng(0).normal(size=(16_385, 13)).astype(np.float32)
    everything = forward(matrix)
    assert everything.dtype == np.float64
    for start, count in [(0, 1), (5, 2), (16_384, 1), (100, 17), (7, 1000), (3, 95), (0, 127)]:
        np.testing.assert_array_equal(
            forward(matrix[start : start + count]), everything[start : start + count]
        )
    assert forward(matrix[:0]).shape == (0,)


def test_importing_a_family_does_not_import_tensorflow():
    code = (
        "import sys, riskwright.learn.mlp, riskwright.learn.gru, riskwright.learn.cnn, "
        "riskwright.learn.article_mlp; "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

"""The permutation walk against closed forms, and against enumeration on a trained network."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskwright.learn.keras_net import Recipe, compiled, libraries, train_network
from riskwright.learn.permutation import orderings, permutation_walk

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
Y = (RNG.random(300) < 1 / (1 + np.exp(-X[:, 0] * X[:, 1] - X[:, 2]))).astype(np.float32)


def exact_shapley(forward, x, baseline):
    """The definition: weighted marginal contributions over all coalitions."""
    n = len(x)
    values = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for coalition in combinations(others, size):
                without = baseline.copy()
                without[list(coalition)] = x[list(coalition)]
                with_it = without.copy()
                with_it[i] = x[i]
                values[i] += weight * float(forward(np.stack([with_it, without])) @ [1, -1])
    return values


@pytest.fixture(scope="module")
def trained():
    keras, _ = libraries()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    network = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    recipe = Recipe(learning_rate=0.02, epochs=40, batch_size=32, short_batch=True)
    train_network(network, (X, Y), None, recipe=recipe, seed=0, progress=None)
    return compiled(network, 4)


def test_all_orderings_give_the_exact_shapley_values(trained):
    baseline = X.mean(axis=0)
    orders = np.array(list(permutations(range(4))))
    walked = permutation_walk(trained, X[:5], baseline, np.arange(4), orders)
    exact = np.array([exact_shapley(trained, x, baseline) for x in X[:5]])
    np.testing.assert_allclose(walked, exact, atol=1e-5)


def test_few_orderings_come_close_and_sum_exactly(trained):
    baseline = X.mean(axis=0)
    orders = orderings(4, 2, seed=3)
    walked = permutation_walk(trained, X[:20], baseline, np.arange(4), orders)
    exact = np.array([exact_shapley(trained, x, baseline) for x in X[:20]])
    assert np.sqrt(np.mean((walked - exact) ** 2)) < 0.25 * exact.std()
    gap = trained(X[:20]) - trained(baseline[None, :])[0]
    np.testing.assert_allclose(walked.sum(axis=1), gap, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    pairs=st.integers(1, 3),
    columns=st.integers(1, 7),
    rows=st.integers(1, 40),
)
def test_pairwise_interactions_are_split_in_half(seed, pairs, columns, rows):
    rng = np.random.default_rng(seed)
    _, player_of = np.unique(rng.integers(0, 4, columns), return_inverse=True)
    players = player_of.max() + 1
    linear, paired = rng.normal(size=columns), np.triu(rng.normal(size=(columns, columns)))
    matrix = rng.normal(size=(rows, columns))

    def forward(x):
        return x @ linear + np.einsum("ni,ij,nj->n", x, paired, x)

    walked = permutation_walk(
        forward, matrix, np.zeros(columns), player_of, orderings(players, pairs, seed)
    )
    terms = matrix * linear + matrix * (matrix @ (paired + paired.T)) / 2
    expected = np.zeros((rows, players))
    for column, player in enumerate(player_of):
        expected[:, player] += terms[:, column]
    np.testing.assert_allclose(walked, expected, atol=1e-9)

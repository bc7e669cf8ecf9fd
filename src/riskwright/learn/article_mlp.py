"""The article's network, as published: a reference, not a member of the ensemble by default."""

from __future__ import annotations

from typing import Any

from riskwright.case.usecase import FeatureSchema
from riskwright.learn.keras_net import KerasFamily, Recipe, libraries


class ArticleMLP(KerasFamily):
    """Dense 32 ReLU, dense 16 ReLU, dense 1 sigmoid; Adam, 100 epochs, batches of 32.

    Missing values filled, inputs standardised; no early stopping and no regularisation, as the
    article has it. The sigmoid is applied to the margin outside the network, in the loss as in
    the PD, which is the same function with more digits.

    Parameters
    ----------
    schema
        The features.
    seed
        Of the initial weights and the shuffling.
    epochs, batch_size, learning_rate
        As published.
    """

    name = "article_mlp"
    numeric = "standard"
    batch_size: int

    def __init__(
        self,
        schema: FeatureSchema,
        seed: int = 0,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def _network(self) -> Any:
        keras, _ = libraries()
        inputs = keras.Input((len(self.features_.names_),))
        starts = [keras.initializers.GlorotUniform(seed=self.seed + i) for i in range(3)]
        tensor = inputs
        for units, start in zip((32, 16), starts, strict=False):
            tensor = keras.layers.Dense(units, activation="relu", kernel_initializer=start)(tensor)
        return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer=starts[2])(tensor))

    def _recipe(self, rows: int) -> Recipe:
        return Recipe(
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
            short_batch=True,
            xla=True,
        )

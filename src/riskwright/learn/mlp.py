"""A regularised network on quantile-normal scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from riskwright.case.usecase import FeatureSchema
from riskwright.learn.keras_net import KerasFamily, dense_stack, libraries
from riskwright.learn.space import Space, layers, real


class MLP(KerasFamily):
    """Dense layers with batch normalisation and dropout, AdamW, early stopping.

    Parameters
    ----------
    schema
        The features.
    seed
        Of the held-out part, the initial weights, the shuffling and the dropout.
    hidden
        Units of each hidden layer.
    dropout
        Share of the units that is dropped after each hidden layer.
    learning_rate, weight_decay
        Of AdamW; the decay spares biases and normalisation.
    batch_size
        None: by the rows (``batch_size_for``).
    max_epochs, patience
        Stops once the log loss of the held-out 15 % hasn't improved for ``patience`` epochs; the
        best weights are kept.
    time_ordered
        Rows come oldest first: hold the last 15 % out, not a random part.
    """

    name = "mlp"
    space: ClassVar[Space] = {
        "hidden": layers("64", "64-64", "128-128", "256-128", "128-64-32"),
        "dropout": real(0.0, 0.6),
        "learning_rate": real(3e-4, 1e-2, log=True),
        "weight_decay": real(1e-4, 0.1, log=True),
    }

    def __init__(
        self,
        schema: FeatureSchema,
        seed: int = 0,
        hidden: Sequence[int] = (128, 128),
        dropout: float = 0.4,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        batch_size: int | None = None,
        max_epochs: int = 100,
        patience: int = 10,
        time_ordered: bool = False,
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.time_ordered = time_ordered

    def _network(self) -> Any:
        keras, _ = libraries()
        inputs = keras.Input((len(self.features_.names_),))
        return keras.Model(inputs, dense_stack(inputs, self.hidden, self.dropout, self.seed))

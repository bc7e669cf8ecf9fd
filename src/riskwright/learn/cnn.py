"""A convolution over the declared sequences."""

from __future__ import annotations

from typing import Any

from riskwright.learn.keras_net import libraries
from riskwright.learn.sequence_net import SequenceFamily


class CNN(SequenceFamily):
    """Filters of three steps, averaged and maximised over time; see ``SequenceFamily``."""

    name = "cnn"

    def _read_steps(self, sequences: Any) -> Any:
        keras, _ = libraries()
        start = keras.initializers.GlorotUniform(seed=self.seed + 101)
        layer = keras.layers.Conv1D(
            self.units, 3, padding="same", activation="relu", kernel_initializer=start
        )
        tensor = layer(sequences)
        pooled = [
            keras.layers.GlobalAveragePooling1D()(tensor),
            keras.layers.GlobalMaxPooling1D()(tensor),
        ]
        return keras.ops.concatenate(pooled, axis=1)

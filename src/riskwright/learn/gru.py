"""A gated recurrent network over the declared sequences."""

from __future__ import annotations

from typing import Any

from riskwright.learn.keras_net import libraries
from riskwright.learn.sequence_net import SequenceFamily


class GRU(SequenceFamily):
    """One GRU layer, whose last state joins the static columns; see ``SequenceFamily``."""

    name = "gru"

    def _read_steps(self, sequences: Any) -> Any:
        keras, _ = libraries()
        layer = keras.layers.GRU(
            self.units,
            kernel_initializer=keras.initializers.GlorotUniform(seed=self.seed + 101),
            recurrent_initializer=keras.initializers.Orthogonal(seed=self.seed + 102),
        )
        return layer(sequences)

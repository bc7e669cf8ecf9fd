"""What the GRU and the CNN share: sequences and static columns out of one encoded matrix."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from riskwright.case.usecase import FeatureSchema
from riskwright.data.cleaning import Features
from riskwright.errors import InputRefused
from riskwright.learn.keras_net import KerasFamily, dense_stack, libraries
from riskwright.learn.space import Space, real, whole


@dataclass(frozen=True)
class Layout:
    """Which matrix column goes where.

    Attributes
    ----------
    steps
        Shape (steps, channels), oldest first: column of each step's channel. A channel is a
        sequence's value, or its indicator of one code or of missing; a step that lacks one (no
        cell of it was missing in training, say) points one past the last column, at zeros.
    static
        Columns of the features that are in no sequence, and of the sequences' last step: the
        present is best read directly.
    """

    steps: npt.NDArray[np.intp]
    static: npt.NDArray[np.intp]


def layout(features: Features) -> Layout:
    """Return where the columns of the fitted features go.

    Raises
    ------
    InputRefused
        If no sequence is declared, or all their columns were dropped as constant.
    """
    names, sources = features.names_, features.sources_
    sequences = [steps for _, steps in features.schema.sequences]
    channels = []
    for steps in sequences:
        # What follows the feature's name: "" for its value, " missing", "=96".
        columns = [
            {names[j].removeprefix(step): j for j, s in enumerate(sources) if s == step}
            for step in steps
        ]
        kinds = dict.fromkeys(kind for at in columns for kind in at)
        channels += [[at.get(kind, len(names)) for at in columns] for kind in kinds]
    if not channels:
        raise InputRefused(
            "no sequence can be read"
            + (": all their columns are constant" if sequences else ": none is declared"),
            where="sequences",
            expected="sequences of columns, oldest first, that vary",
            do="declare them, or leave the gru and cnn families out",
        )
    earlier = {step for steps in sequences for step in steps[:-1]}
    static = [j for j, source in enumerate(sources) if source not in earlier]
    return Layout(np.array(channels, dtype=np.intp).T, np.array(static, dtype=np.intp))


class SequenceFamily(KerasFamily):
    """A network over the declared sequences, joined with the static columns before dense layers.

    Parameters
    ----------
    schema
        The features; at least one sequence.
    seed
        Of the held-out part, the initial weights, the shuffling and the dropout.
    units
        Width of what reads the sequences.
    hidden, dropout, learning_rate, weight_decay, batch_size, max_epochs, patience, time_ordered
        As in ``MLP``.
    """

    space: ClassVar[Space] = {
        "units": whole(8, 64),
        "learning_rate": real(3e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        schema: FeatureSchema,
        seed: int = 0,
        units: int = 32,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.2,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        batch_size: int | None = None,
        max_epochs: int = 100,
        patience: int = 10,
        time_ordered: bool = False,
    ) -> None:
        self.schema = schema
        self.seed = seed
        self.units = units
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.time_ordered = time_ordered

    @abstractmethod
    def _read_steps(self, sequences: Any) -> Any:
        """Return what is read from sequences (n, steps, channels), shape (n, anything)."""

    @classmethod
    def applicable(cls, schema: FeatureSchema) -> str | None:
        """Return why it can't be used, or None: it reads at least one sequence."""
        return None if schema.sequences else "no sequences declared"

    def _network(self) -> Any:
        keras, _ = libraries()
        place = layout(self.features_)
        inputs = keras.Input((len(self.features_.names_),))
        padded = keras.ops.pad(inputs, ((0, 0), (0, 1)))
        sequences = keras.ops.reshape(
            keras.ops.take(padded, place.steps.ravel(), axis=1), (-1, *place.steps.shape)
        )
        parts = [self._read_steps(sequences)]
        if len(place.static):
            parts.append(keras.ops.take(inputs, place.static, axis=1))
        joined = keras.layers.Dropout(self.dropout, seed=self.seed + 100)(
            keras.ops.concatenate(parts, axis=1)
        )
        return keras.Model(inputs, dense_stack(joined, self.hidden, self.dropout, self.seed))

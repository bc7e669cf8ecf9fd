"""What every result of the door can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from riskwright.door import page

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Result(ABC):
    """An answer: a sentence (``print`` it), ``frame``, ``plot()``, and a page in a notebook."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """How it is, in a sentence."""

    @property
    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """Its rows."""

    @abstractmethod
    def plot(self) -> Figure:
        """Draw it; a notebook shows what is returned."""

    @abstractmethod
    def _parts(self) -> Iterable[str]:
        """Return the HTML under the headline, escaped (``page``)."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline}>"

    def __str__(self) -> str:
        return self.headline

    def _repr_html_(self) -> str:
        return page.page(self.headline, *self._parts())

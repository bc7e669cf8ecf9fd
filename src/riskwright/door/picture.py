"""The figure of the door's results; a module of its own, for it imports matplotlib."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that shows itself where nobody imported pyplot, and that can be pickled."""

    def _repr_png_(self) -> bytes:
        written = BytesIO()
        self.savefig(written, format="png", facecolor="white")
        return written.getvalue()

"""Deviations as people read them: observed / expected, standard deviations, shares; and in a sentence."""

from __future__ import annotations

from perenne.stats.deviation import Sums
from perenne.watch.error_scale import ErrorScale
from perenne.watch.streams import StreamKind


class Wording:
    """How the deviations of a model are shown; `scale` is that of a regression's errors."""

    def __init__(self, target: str, scale: ErrorScale | None) -> None:
        self.target, self.scale = target, scale

    def value(self, kind: StreamKind, directed: float) -> float:
        """A deviation in the stream's own direction, as the statistic that is shown.

        Returns
        -------
        Of a classifier observed / expected, the rise of the loss as a share of the dummy's, or the fall of
        the AUC. Of a regression the bias in standard deviations, the ratio of errors to those on validation,
        or the share of rows in the tails.

        """
        if self.scale is None:
            return 1 + kind.sign * directed if kind.rows == "bias" else directed
        match kind.rows:
            case "bias":
                return kind.sign * directed
            case "tails":
                return self.scale.beyond(1.0) + directed
            case _:
                return self.scale.ratio(0.5 + directed)

    def sentence(self, kind: StreamKind, slice_: str | None, sums: Sums, of_class: str | None = None) -> str:
        """What is wrong and by how much, over the batches that a change has lasted.

        Parameters
        ----------
        kind, slice_
            The stream, and the slice it is about; None: all rows.
        sums
            Of these batches.
        of_class
            The class that it is about, where there are several.

        """
        scale = self.scale
        if scale is None:
            said = self._classifier(kind, sums, " events" if of_class is None else "")
        else:
            said = self._regression(kind, sums, scale)
        return ": ".join(filter(None, (slice_, of_class, said)))

    def _classifier(self, kind: StreamKind, sums: Sums, events: str) -> str:
        found = sums.deviation
        match kind.rows:
            case "bias":
                many = "more" if kind.sign > 0 else "fewer"
                observed = sums.size + sums.total
                return f"{many}{events} than predicted: {observed:,.0f} where {sums.size:,.0f} were expected"
            case "ranking":
                return f"the AUC is {found:.2g} lower than the scores promise"
            case _:
                return f"the loss is {_percent(found)} of a dummy's above what the scores promise"

    def _regression(self, kind: StreamKind, sums: Sums, scale: ErrorScale) -> str:
        found = self.value(kind, kind.sign * sums.deviation)
        match kind.rows:
            case "bias":
                way = "higher" if kind.sign > 0 else "lower"
                size = abs(sums.deviation)
                return f"{self.target} is {size * scale.unit:.3g} {way} than predicted ({size:.2g} sd)"
            case "tails":
                few = f"the largest {_percent(self.value(kind, 0.0))} on validation"
                return f"{_percent(found)} of the errors are as large as {few}"
            case _:
                return f"errors are {found:.3g} times as large as on validation"


def _percent(share: float) -> str:
    """A share in two digits, or all of them: never `1.1e+02 %`.

    >>> _percent(0.0234), _percent(0.5), _percent(1.123)
    ('2.3 %', '50 %', '112 %')
    """
    percent = 100 * share
    return f"{percent:.0f} %" if abs(percent) >= 99.5 else f"{percent:.2g} %"

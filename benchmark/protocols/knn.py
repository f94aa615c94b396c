"""k nearest neighbours by cosine distance on frozen embeddings, k chosen on validation.

Source: the evaluation of Wu et al. 2018, arXiv 1805.01978, sec. 3.4.
Differs: unweighted votes, by scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sklearn.neighbors import KNeighborsClassifier

from benchmark.protocols.base import Chosen, Floats, Labels, Protocol, best_on_validation, largest


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours(Protocol):
    """Majority vote of the k nearest training pixels; its confidence is the winner's share of the votes.

    Attributes:
        neighbours: values of k to choose from, in order of preference on a tie; those above n_train are left out.
    """

    neighbours: tuple[int, ...] = (1, 3, 5, 10)

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the best k. See the base class."""

        def candidates() -> Iterator[Chosen]:
            for value in self.neighbours:
                if value <= len(train_x):
                    model = KNeighborsClassifier(n_neighbors=value, metric="cosine")
                    model.fit(train_x, train_y)
                    yield Chosen(model.predict, {"k": value}, largest(model.predict_proba))

        return best_on_validation(candidates(), val_x, val_y)

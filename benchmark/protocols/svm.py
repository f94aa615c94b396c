"""Support vector machine with an RBF kernel on standardised embeddings, C and gamma chosen on validation.

Source: Melgani and Bruzzone 2004, doi 10.1109/TGRS.2004.831865, the field's classical classifier.
Differs: chosen on validation pixels instead of by cross-validation; one against one, by scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from scipy.special import expit
from sklearn.svm import SVC

from benchmark.protocols.base import Chosen, Floats, Labels, Protocol, Standardized, best_on_validation


@dataclass(frozen=True, kw_only=True)
class SupportVectorMachine(Protocol):
    """RBF-SVM.

    Its confidence is the logistic function of the predicted class's smallest decision value against any other class:
    0.5 on the border between the two, 0.73 on the margin, below 0.5 where no class beats all others. A monotone
    measure of the distance to the border, no probability: calibrating one (Platt) needs more labels than there are.

    Attributes:
        penalties: values of C to choose from.
        widths: values of gamma to choose from, as multiples of 1 / dim. Ties go to the smaller C, then width.
    """

    penalties: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)
    widths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)

    def prepare(self, read: Floats, pixels: Labels) -> Standardized:
        """Return the standardised embedding."""
        return Standardized(read, pixels)

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the best pair. See the base class."""

        def candidates() -> Iterator[Chosen]:
            for penalty in self.penalties:
                for width in self.widths:
                    # The shape of the decision values alone: predictions are by votes of the pairs either way.
                    model = SVC(C=penalty, gamma=width / train_x.shape[1], decision_function_shape="ovo")
                    model.fit(train_x, train_y)
                    yield Chosen(model.predict, {"C": penalty, "width": width}, partial(_confidence, model))

        return best_on_validation(candidates(), val_x, val_y)


def _confidence(model: SVC, x: Floats) -> Floats:
    values = model.decision_function(x)
    if values.ndim == 1:
        # With two classes scikit-learn's value is positive for the second one, with more for the first of a pair.
        values = -values[:, None]
    predicted = np.searchsorted(model.classes_, model.predict(x))
    smallest = np.full(len(x), np.inf)
    for column, (first, second) in enumerate(combinations(range(len(model.classes_)), 2)):
        value = np.where(predicted == first, values[:, column], np.inf)
        value = np.where(predicted == second, -values[:, column], value)
        smallest = np.minimum(smallest, value)
    return expit(smallest).astype(np.float32)

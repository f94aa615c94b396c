"""Random forest on frozen embeddings, the dimensions tried at a split and the size of leaves chosen on validation.

Source: Breiman 2001, doi 10.1023/A:1010933404324; on hyperspectral pixels Ham et al. 2005,
doi 10.1109/TGRS.2004.842481, and Gislason et al. 2006, doi 10.1016/j.patrec.2005.08.011.
Differs: chosen on validation pixels instead of out of bag; trees vote with the class shares of their leaves, by
scikit-learn. Nothing is standardised, a tree does not depend on the scale of a dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sklearn.ensemble import RandomForestClassifier

from benchmark.protocols.base import Chosen, Floats, Labels, Protocol, best_on_validation, largest
from hsicl_core.checks import check_integer, check_number


@dataclass(frozen=True, kw_only=True)
class RandomForest(Protocol):
    """Trees on bootstrap samples of the training pixels; its confidence is the largest mean class share of the leaves.

    The same seed each time: the forest depends on the embedding and the training pixels alone.

    Attributes:
        n_trees: trees of a forest.
        exponents: dimensions tried at a split, as powers of their number, above 0 and at most 1; 0.5 is the usual root.
        leaf_sizes: smallest numbers of training pixels in a leaf. Ties go to the smaller exponent, then leaf.
    """

    n_trees: int = 200
    exponents: tuple[float, ...] = (0.5, 0.75)
    leaf_sizes: tuple[int, ...] = (1, 3)

    def __post_init__(self) -> None:
        check_integer("n_trees", self.n_trees, minimum=1)
        for exponent in self.exponents:
            check_number("exponents", exponent, above=0, maximum=1)
        for size in self.leaf_sizes:
            check_integer("leaf_sizes", size, minimum=1)

    def choose(self, train_x: Floats, train_y: Labels, val_x: Floats, val_y: Labels) -> Chosen:
        """Return the best pair. See the base class."""

        def candidates() -> Iterator[Chosen]:
            for exponent in self.exponents:
                for size in self.leaf_sizes:
                    model = RandomForestClassifier(
                        self.n_trees, max_features=max(1, round(train_x.shape[1] ** exponent)), min_samples_leaf=size,
                        n_jobs=1, random_state=0,
                    )  # fmt: skip
                    model.fit(train_x, train_y)
                    chosen = {"exponent": exponent, "leaf_size": size}
                    yield Chosen(model.predict, chosen, largest(model.predict_proba))

        return best_on_validation(candidates(), val_x, val_y)

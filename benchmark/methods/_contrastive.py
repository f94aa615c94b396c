"""What the contrastive entrants share: miner, loss and pseudolabels, the head and the training loop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.methods._pretrained import PretrainedMethod
from benchmark.methods.base import Fit, FitData, Method
from benchmark.trial import canonical_json
from hsicl_core.encoder import Encoder, ProjectionHead
from hsicl_core.errors import InvalidValueError
from hsicl_core.fused.mined import is_stackable
from hsicl_core.fused.pretraining import Member, pretrain_together
from hsicl_core.losses.base import ContrastiveLoss
from hsicl_core.miners.base import NegativeMiner
from hsicl_core.objective import Labelling, Objective, Supervision
from hsicl_core.patches import PatchSource
from hsicl_core.pretraining import pretrain
from hsicl_core.rows import Rows


@dataclass(kw_only=True)
class Networks:
    """What a fit trains, and what it trains on.

    Attributes:
        encoder: from patches to embeddings.
        head: from embeddings to the space of the loss.
        classifier: from embeddings to class scores, None where no label is learnt from.
        source: patches of the components.
        generator: source of every draw of the fit.
    """

    encoder: Encoder
    head: ProjectionHead
    classifier: nn.Module | None
    source: PatchSource
    generator: torch.Generator


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    labelling: Labelling
    networks: Networks
    objective: Objective


@dataclass(frozen=True, kw_only=True)
class ContrastiveMethod(PretrainedMethod):
    """An encoder pretrained on two views of every pixel's patch, which differ from those of other pixels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Building it checks its parameters.
        self.make_objective()

    @abstractmethod
    def make_miner(self) -> NegativeMiner:
        """Return the miner that chooses the negatives."""

    @abstractmethod
    def make_loss(self) -> ContrastiveLoss:
        """Return the loss over the miner's mask."""

    def make_objective(self) -> Objective:
        """Return views, miner and loss; what compares vectors of the pixels is not given them yet."""
        return Objective(views=self.make_views(), miner=self.make_miner(), loss=self.make_loss())

    def label(self, data: FitData, image: Rows) -> Labelling:
        """Return the pseudolabels of ``data.pixels``; here none is assigned.

        Args:
            data: what the fit may see.
            image: (height, width, bands) float32, standardised.
        """
        return Labelling(labels=torch.full_like(data.pixels, -1))

    def complete(self, objective: Objective, data: FitData, image: Rows) -> Objective:
        """Return ``objective`` with the vectors that it compares, if it does. See ``label`` for the arguments."""
        return objective

    def supervise(self, data: FitData, networks: Networks) -> Supervision | None:
        """Return the labelled pixels to learn from during pretraining; here none."""
        return None

    @property
    def fusion(self) -> Hashable | None:
        """See ``Method``: what shapes the networks and batches. None where anything beside the loss is learnt from."""
        own = type(self)
        is_usual = (
            own.fit is ContrastiveMethod.fit
            and own.supervise is ContrastiveMethod.supervise
            and own.make_encoder is PretrainedMethod.make_encoder
        )
        # Otherwise components are those of each split's own pixels.
        if not is_usual or not self.transductive:
            return None
        return (
            "contrastive", self.patch_size, self.n_components, self.width, self.projection_dim, self.views,
            canonical_json(dict(self.view_options)), self.steps, self.batch_size, self.precision,
            is_stackable(self.make_objective()),
        )  # fmt: skip

    def fit(self, data: FitData) -> Fit:
        """Pretrain and return the dense embedding."""
        prepared = self._prepare(data)
        networks = prepared.networks
        curves = pretrain(
            networks.encoder, networks.head, networks.source, data.pixels, prepared.labelling,
            objective=prepared.objective, training=self.make_training(self.steps), generator=networks.generator,
            observer=data.observer, supervision=self.supervise(data, networks),
        )  # fmt: skip
        return self.fitted(data, networks.encoder, networks.source, curves, networks.classifier)

    @staticmethod
    def fit_together(methods: Sequence[Method], data: Sequence[FitData]) -> list[Fit | Exception]:
        """Pretrain all as one. See ``Method``; how far a fit depends on the others, ``pretrain_together`` says."""
        fits: dict[int, Fit | Exception] = {}
        members: dict[int, Member] = {}
        sources = []
        for place, (method, of_method) in enumerate(zip(methods, data, strict=True)):
            assert isinstance(method, ContrastiveMethod)
            try:
                prepared = method._prepare(of_method)
            except Exception as error:
                # As in the base class: the others are fitted all the same.
                fits[place] = error
                continue
            networks = prepared.networks
            sources.append(networks.source)
            members[place] = Member(
                encoder=networks.encoder, head=networks.head, pixels=of_method.pixels, labelling=prepared.labelling,
                objective=prepared.objective, training=method.make_training(method.steps),
                generator=networks.generator, observer=of_method.observer,
            )  # fmt: skip
        if members:
            pretrain_together(list(members.values()), sources[0])
        for place, member in members.items():
            method = methods[place]
            assert isinstance(method, ContrastiveMethod)
            fits[place] = member.error or method.fitted(data[place], member.encoder, sources[0], member.curve)
        return [fits[place] for place in range(len(methods))]

    def _prepare(self, data: FitData) -> _Prepared:
        image, components = self.inputs(data)
        labelling = self.label(data, image)
        return _Prepared(
            labelling=labelling,
            networks=self._seeded_networks(data, components),
            objective=self.complete(self.make_objective(), data, image),
        )

    def _seeded_networks(self, data: FitData, components: Tensor) -> Networks:
        # Weights are drawn from torch's global stream, which is put back: the caller's draws are not disturbed. They
        # are drawn on the host, so that every device starts from the same ones.
        n_classes = int(data.labels.max()) + 1 if self.classifies else 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            encoder = self.make_encoder()
            head = ProjectionHead(encoder.dim, self.projection_dim)
            classifier = nn.Linear(encoder.dim, n_classes) if n_classes else None
        return Networks(
            encoder=encoder.to(data.device), head=head.to(data.device),
            classifier=None if classifier is None else classifier.to(data.device),
            source=data.memo.get(
                ("patches", self.n_components, self.patch_size), lambda: PatchSource(components, self.patch_size)
            ),
            # All draws of a fit come from one generator of its seed.
            generator=torch.Generator(data.device).manual_seed(data.seed),
        )  # fmt: skip


def labelled_pixels(data: FitData) -> tuple[Tensor, Tensor]:
    """Return those of ``data.pixels`` (m,) whose labels the fit may see, and these (m,).

    Raises:
        InvalidValueError: there are none.
    """
    pixels = data.pixels[data.labels[data.pixels] >= 0]
    if len(pixels) == 0:
        raise InvalidValueError("no label may be seen, supervision needs at least one: use a method that sees labels")
    return pixels, data.labels[pixels]

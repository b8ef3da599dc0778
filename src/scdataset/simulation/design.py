"""The design of an atlas, drawn before any count: the types of its cells, their expression, and their depth.

The model of a cell of type ``t`` from donor ``d``, for gene ``g``::

    mean       = depth * share[g]        share is proportional to exp(baseline + lineage + type + donor effects)
    variance   = DISPERSION * mean       negative binomial, Hilbe's NB1
    depth      = log-normal over cells, with a factor for each donor

Types of one lineage share most of their marker genes, so that neighbours are harder to tell apart than strangers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from scdataset._arguments import whole
from scdataset.errors import ArgumentValueError

DISPERSION = 2.0
"""Variance / mean of every gene at a given depth; 1 would be Poisson."""

BURST_PARAMETER = 1.0 - 1.0 / DISPERSION
"""Log-series parameter of burst sizes that gives this dispersion."""

_TYPES_PER_LINEAGE = 3
_COMMONEST_TO_RAREST = 60.0
_N_DEPTH_QUANTILES = 8


@dataclass(frozen=True, slots=True)
class AtlasShape:
    """How large an atlas is. See `simulate_atlas` for the fields."""

    n_cells: int
    n_genes: int
    genes_per_cell: int
    n_donors: int
    n_types: int
    seed: int

    def __post_init__(self) -> None:
        for field in fields(self):
            whole(field.name, getattr(self, field.name), minimum=0 if field.name == "seed" else 1)
        if 2 * self.genes_per_cell > self.n_genes:
            message = (
                f"genes_per_cell={self.genes_per_cell} is more than half of n_genes={self.n_genes}; "
                f"give at most {self.n_genes // 2}, or more genes."
            )
            raise ArgumentValueError(message)


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive cells of one type from one donor: rows ``start`` (inclusive) to ``stop`` (exclusive)."""

    donor: int
    cell_type: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class AtlasDesign:
    """Everything that decides an atlas except its counts.

    Attributes
    ----------
    sizes
        Cells of each donor and type, shape ``(n_donors, n_types)``.
    bursts
        Expression bursts of each cell, shape ``(n_cells,)``.
    type_effects
        Natural logarithm of a type's expression up to a constant, shape ``(n_types, n_genes)``.
    donor_effects
        The effect of a donor on it, shape ``(n_donors, n_genes)``.
    key
        Key of the random numbers that counts are made of.
    """

    sizes: NDArray[np.int64]
    bursts: NDArray[np.int64]
    type_effects: NDArray[np.float32]
    donor_effects: NDArray[np.float32]
    key: np.uint64

    def runs(self) -> Iterator[Run]:
        """Yield the non-empty runs in the order of the file."""
        stop = 0
        for (donor, cell_type), size in np.ndenumerate(self.sizes):
            start, stop = stop, stop + int(size)
            if size:
                yield Run(donor, cell_type, start, stop)

    def expression(self, run: Run) -> NDArray[np.float64]:
        """Return the relative expression in a run, shape ``(n_genes,)``."""
        logarithm = self.type_effects[run.cell_type] + self.donor_effects[run.donor]
        expression: NDArray[np.float64] = np.exp(logarithm.astype(np.float64))
        return expression


def design_atlas(shape: AtlasShape) -> AtlasDesign:
    """Draw the design of an atlas: a pure function of ``shape``."""
    who, what, depth, counts = np.random.SeedSequence(shape.seed).spawn(4)
    sizes = _draw_sizes(np.random.default_rng(who), shape)
    type_effects, donor_effects = _draw_effects(np.random.default_rng(what), shape)
    return AtlasDesign(
        sizes=sizes,
        bursts=_draw_bursts(np.random.default_rng(depth), shape, sizes, type_effects),
        type_effects=type_effects,
        donor_effects=donor_effects,
        key=counts.generate_state(1, np.uint64)[0],
    )


def _draw_sizes(rng: np.random.Generator, shape: AtlasShape) -> NDArray[np.int64]:
    """Draw unequal donors with unequal types, each donor with a composition of its own."""
    donors = rng.dirichlet(np.full(shape.n_donors, 10.0))
    common = np.geomspace(_COMMONEST_TO_RAREST, 1.0, shape.n_types)
    composition = common * np.exp(rng.normal(0.0, 0.6, (shape.n_donors, shape.n_types)))
    frequencies = donors[:, None] * composition / composition.sum(axis=1, keepdims=True)
    sizes = rng.multinomial(shape.n_cells, frequencies.ravel() / frequencies.sum())
    return sizes.reshape(shape.n_donors, shape.n_types)


def _draw_effects(rng: np.random.Generator, shape: AtlasShape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw type effects (on top of lineage and baseline) and donor effects."""
    baseline = rng.normal(0.0, 2.0, shape.n_genes).astype(np.float32)
    n_lineages = -(-shape.n_types // _TYPES_PER_LINEAGE)
    lineages = _program(rng, (n_lineages, shape.n_genes), share=0.05, size=1.0)
    types = _program(rng, (shape.n_types, shape.n_genes), share=0.02, size=0.7)
    # Consecutive types differ in lineage, so that no lineage has all the common ones.
    types += baseline + lineages[np.arange(shape.n_types) % n_lineages]
    donors = rng.normal(0.0, 0.2, (shape.n_donors, shape.n_genes)).astype(np.float32)
    return types, donors


def _program(rng: np.random.Generator, shape: tuple[int, int], *, share: float, size: float) -> NDArray[np.float32]:
    """Draw normal effects of standard deviation ``size`` on a random ``share`` of the genes."""
    effects = rng.standard_normal(shape, dtype=np.float32) * np.float32(size)
    effects[rng.random(shape, dtype=np.float32) >= share] = 0.0
    return effects


def _draw_bursts(
    rng: np.random.Generator,
    shape: AtlasShape,
    sizes: NDArray[np.int64],
    type_effects: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Draw the number of bursts of each cell, so that cells show ``genes_per_cell`` genes on average."""
    donors = np.exp(rng.normal(0.0, 0.2, shape.n_donors))
    depths = np.repeat(donors, sizes.sum(axis=1)) * np.exp(rng.normal(0.0, 0.45, shape.n_cells))
    shares = np.exp(type_effects, dtype=np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    quantiles = np.quantile(depths, (np.arange(_N_DEPTH_QUANTILES) + 0.5) / _N_DEPTH_QUANTILES)
    frequencies = sizes.sum(axis=0) / shape.n_cells

    def excess(log_bursts: float) -> float:
        missed = sum(np.exp(-np.exp(log_bursts) * depth * shares).sum(axis=1) for depth in quantiles)
        return float(shape.n_genes - shape.genes_per_cell - frequencies @ missed / len(quantiles))

    typical = np.exp(brentq(excess, -20.0, np.log(1e6 * shape.n_genes), xtol=1e-3))
    bursts: NDArray[np.int64] = rng.poisson(typical * depths)
    return bursts

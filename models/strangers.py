"""How the site's own people score against each other, in spaces that know neither of the two compared.

Pure functions. Whoever helps to make a space lies in it otherwise than a stranger does, so the people are
split into blocks, and a pair is compared in the space of everyone outside of the two people's blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from renzheng.models.comparison import Space, plain_space, unit_parts
from renzheng.models.population import space_of
from renzheng.models.templates import ModelId, lengths, parts

Values = NDArray[np.float32]
Scores = NDArray[np.float64]
Probe = tuple[int, tuple[int, ...]]

# Up to so many people each is a block of its own, so that just the two compared are left out.
BLOCKS = 16
# Leaving four blocks out of fewer leaves hardly anyone.
_FEWEST_BLOCKS = 8


@dataclass(frozen=True)
class OwnScores:
    """The cosines among a site's own people.

    Attributes:
        strangers: (templates, people, parts) of each template with each other person's fused references; NaN
            with the template's own person.
        person: (templates,) whose each template is.
        mated: (comparisons, parts) of a template with its own person's other references, fused.
        mated_person: (comparisons,) whose.
        excess: (parts,) by how much the strangers' mean is too high because two blocks were left out.
    """

    strangers: Scores
    person: NDArray[np.int64]
    mated: Scores
    mated_person: NDArray[np.int64]
    excess: Scores


@dataclass(frozen=True)
class _Enrolled:
    """The templates of a site's people, each person in a block."""

    values: Values
    person: NDArray[np.int64]
    means: Values
    blocks: NDArray[np.int64]
    model: ModelId

    def rows(self, pair: tuple[int, int], left_out: Sequence[int]) -> "_Rows":
        """Project two blocks' people in the space of everyone outside of the blocks left out."""
        space = space_of(self.means[~np.isin(self.blocks, left_out)], self.model)
        people = np.flatnonzero(np.isin(self.blocks, pair))
        templates = np.flatnonzero(np.isin(self.person, people))
        projected = unit_rows(self.values[templates], space)
        fused = [projected[self.person[templates] == who].mean(axis=0) for who in people]
        return _Rows(templates, projected, people, unit_parts(np.stack(fused), self.model))


@dataclass(frozen=True)
class _Rows:
    """Projected templates of two blocks' people, and those people's fused references."""

    templates: NDArray[np.int64]
    projected: Values
    people: NDArray[np.int64]
    fused: Values


def own_scores(values: Values, person: NDArray[np.int64], model: ModelId) -> OwnScores:
    """Compare every template of a gallery with every person's references.

    Args:
        values: (templates, length).
        person: (templates,) numbers from 0 upwards, none left out.
        model: of the templates.
    """
    people = int(person.max()) + 1
    means = np.stack([values[person == who].mean(axis=0) for who in range(people)])
    enrolled = _Enrolled(values, person, means, block_of(people), model)
    strangers = np.full((len(person), people, len(lengths(model))), np.nan)
    mated: list[Scores] = []
    mated_person: list[int] = []
    for pair in combinations_with_replacement(range(int(enrolled.blocks.max()) + 1), 2):
        rows = enrolled.rows(pair, pair)
        _place(strangers, rows, enrolled, pair)
        if pair[0] == pair[1]:
            for cosines, who in _own(rows, person, model):
                mated.append(cosines)
                mated_person.append(who)
    found = np.stack(mated) if mated else np.empty((0, strangers.shape[-1]))
    excess = _excess(strangers, enrolled)
    return OwnScores(strangers, person, found, np.array(mated_person, dtype=np.int64), excess)


def block_of(people: int) -> NDArray[np.int64]:
    """Return the block of each person."""
    return np.arange(people, dtype=np.int64) % BLOCKS


def unit_rows(values: Values, space: Space) -> Values:
    """Centre and damp templates, each part at unit length and unweighted."""
    centred = values - space.centre
    return unit_parts(centred if space.damping is None else space.damping.apply(centred), space.model)


def _place(strangers: Scores, rows: _Rows, enrolled: _Enrolled, pair: tuple[int, int]) -> None:
    """Write the scores of one block's templates with the other block's people, and the other way round."""
    columns = [
        mine @ theirs.T
        for mine, theirs in zip(
            parts(rows.projected, enrolled.model), parts(rows.fused, enrolled.model), strict=True
        )
    ]
    cosines = np.stack(columns, axis=-1).astype(np.float64)
    owner = enrolled.person[rows.templates]
    cosines[owner[:, None] == rows.people[None]] = np.nan
    for one, other in (pair, pair[::-1]):
        mine, theirs = enrolled.blocks[owner] == one, enrolled.blocks[rows.people] == other
        strangers[np.ix_(rows.templates[mine], rows.people[theirs])] = cosines[np.ix_(mine, theirs)]


def _own(rows: _Rows, person: NDArray[np.int64], model: ModelId) -> Iterator[tuple[Scores, int]]:
    """Compare each template with the fusion of its person's others."""
    for who in rows.people.tolist():
        own = rows.projected[person[rows.templates] == who]
        if len(own) < 2:  # noqa: PLR2004 - one has no other
            continue
        others = unit_parts((own.sum(axis=0) - own) / (len(own) - 1), model)
        columns = [
            np.einsum("ij,ij->i", mine, theirs)
            for mine, theirs in zip(parts(own, model), parts(others, model), strict=True)
        ]
        for cosines in np.stack(columns, axis=1).astype(np.float64):
            yield cosines, who


def _excess(strangers: Scores, enrolled: _Enrolled) -> Scores:
    """Return how much lower the strangers' mean would be had nobody been left out, as more people lower it.

    Spaces of still fewer people (four blocks left out) show the fall; it is continued, by one over their
    number, to all people.
    """
    blocks, people = enrolled.blocks, len(enrolled.means)
    count = int(blocks.max()) + 1
    if count < _FEWEST_BLOCKS:
        return np.zeros(strangers.shape[-1])
    fewer, more, kept_fewer, kept_more = [], [], [], []
    for one in range(count):
        other, third, fourth = ((one + step) % count for step in (1, 3, 6))
        again = np.full_like(strangers, np.nan)
        _place(again, enrolled.rows((one, other), (one, other, third, fourth)), enrolled, (one, other))
        both = np.isfinite(again[..., 0])
        fewer.append(again[both].mean(axis=0))
        more.append(strangers[both].mean(axis=0))
        kept_fewer.append(int((~np.isin(blocks, (one, other, third, fourth))).sum()))
        kept_more.append(int((~np.isin(blocks, (one, other))).sum()))
    at_fewer, at_more = (1 / float(np.mean(kept)) for kept in (kept_fewer, kept_more))
    slope = (np.mean(fewer, axis=0) - np.mean(more, axis=0)) / (at_fewer - at_more)
    excess: Scores = np.maximum(slope * (at_more - 1 / people), 0.0)
    return excess


def held_out_cosines(
    values: Values, person: NDArray[np.int64], comparisons: Sequence[Probe], model: ModelId
) -> Scores:
    """Compare probes with references, each pair of people in a space that neither helped to make.

    Args:
        values: (images, length); rows of NaN where there is no template.
        person: (images,) who each image is of.
        comparisons: (probe, references) as indices of images; the references are all of one person.
        model: of the templates.

    Returns:
        (comparisons, parts) cosines, one column for each network of the model.
    """
    means = person_means(values, person)
    people = np.array(sorted(means))
    stacked = np.stack([means[who] for who in people])
    blocks = block_of(len(people))
    place = np.searchsorted(people, person)
    one = blocks[place[[probe for probe, _ in comparisons]]]
    other = blocks[place[[references[0] for _, references in comparisons]]]
    pairs = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=1)
    cosines = np.empty((len(comparisons), len(lengths(model))))
    for pair in np.unique(pairs, axis=0):
        inside = np.flatnonzero((pairs == pair).all(axis=1)).tolist()
        kept = stacked[~np.isin(blocks, pair)]
        space = space_of(kept, model) if len(kept) else plain_space(model)
        cosines[inside] = cosines_in(values, [comparisons[index] for index in inside], space)
    return cosines


def person_means(values: Values, person: NDArray[np.int64]) -> dict[int, Values]:
    """Return each person's mean template over the acquired images."""
    means = {}
    for who in np.unique(person):
        own = values[(person == who) & np.isfinite(values[:, 0])]
        if len(own):
            means[int(who)] = own.mean(axis=0)
    return means


def cosines_in(values: Values, comparisons: Sequence[Probe], space: Space) -> Scores:
    """Return the (comparisons, parts) cosines of probes with fused references in one space."""
    images = sorted({image for probe, references in comparisons for image in (probe, *references)})
    rows = unit_rows(values[images], space)
    place = {image: row for row, image in enumerate(images)}
    sets = sorted({references for _, references in comparisons})
    means = np.stack([rows[[place[image] for image in references]].mean(axis=0) for references in sets])
    fused = unit_parts(means, space.model)
    number = {references: row for row, references in enumerate(sets)}
    probes = rows[[place[probe] for probe, _ in comparisons]]
    chosen = fused[[number[references] for _, references in comparisons]]
    columns = [
        np.einsum("ij,ij->i", mine, theirs)
        for mine, theirs in zip(parts(probes, space.model), parts(chosen, space.model), strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float64)

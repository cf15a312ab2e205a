"""What one statement says about where something came from: what was made out of what, and what a dataset is.

A *making* is an edge of the lineage graph: products, by digest, out of ingredients. A *dataset* is a leaf with what its signer says of it. Every format that
speaks of either is brought to these two; whether its signer may say so, and whether it suffices, is for the decision.

What an ingredient was is known from the format where the format has words for it (`trainedOn`, a component of type `data`), from the annotation
`sluice.dev/role`, or from its address: a Git commit is code, a package is part of the environment. An ingredient whose part nobody named has the role None,
which is not the same as unimportant: a dataset that nobody calls a dataset must not pass unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sluice.provenance.slsa import BuildProvenance, Dependency

_ENVIRONMENTS = ("pkg:", "docker://", "docker:")


class Role(StrEnum):
    """The part that an ingredient played. The words are those of `mustReach` in a policy, and `Environment` for what is left: images, packages, tools."""

    DATASET = "Dataset"
    CODE = "Code"
    BASE_MODEL = "BaseModel"
    PARAMETERS = "Parameters"
    ENVIRONMENT = "Environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """Something that went into a product."""

    role: Role | None
    """None: nobody said."""
    name: str
    """A name or an address, to be shown to people; empty when the statement has none."""
    digests: frozenset[str]
    """As `algorithm:hex`; empty when the statement has none, and then it leads nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Products and what went into them."""

    products: frozenset[str]
    ingredients: tuple[Ingredient, ...]
    run: str = ""
    """The run that did it, as the statement names it; empty when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a statement says of a dataset. None is "it does not say", which satisfies nobody who asks."""

    digests: frozenset[str]
    """Of the whole, and of its parts where the format lists them."""
    name: str
    licences: frozenset[str] | None
    """SPDX identifiers or expressions, or addresses of licences; all of them hold."""
    data_classes: frozenset[str] | None
    """Classes of data in it; empty: none that anybody would name."""
    collection_scope: str | None
    """What the data was collected for, or under which consent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDescription:
    """A statement about datasets: our own, or Croissant."""

    datasets: tuple[Dataset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillOfMaterials:
    """A CycloneDX or SPDX document: what models are made of, and what the datasets among it are."""

    makings: tuple[Making, ...]
    datasets: tuple[Dataset, ...]


def makings_of(content: object, subjects: frozenset[str]) -> tuple[Making, ...]:
    """Give the edges that a statement with this content asserts about its `subjects`."""
    match content:
        case BuildProvenance():
            ingredients = tuple(_ingredient(dependency) for dependency in content.dependencies)
            return (Making(products=subjects, ingredients=ingredients, run=content.run),)
        case BillOfMaterials():
            return content.makings
        case _:
            return ()


def datasets_of(content: object) -> tuple[Dataset, ...]:
    """Give what a statement with this content says about datasets."""
    return content.datasets if isinstance(content, DatasetDescription | BillOfMaterials) else ()


def _ingredient(dependency: Dependency) -> Ingredient:
    return Ingredient(role=_role(dependency), name=dependency.uri, digests=dependency.digests)


def _role(dependency: Dependency) -> Role | None:
    # 1. The signer's own word. One that we do not know is no word.
    if dependency.role:
        return Role(dependency.role) if dependency.role in set(Role) else None
    # 2. The address.
    if dependency.uri.startswith("git+") or any(digest.startswith("gitCommit:") for digest in dependency.digests):
        return Role.CODE
    return Role.ENVIRONMENT if dependency.uri.startswith(_ENVIRONMENTS) else None

"""From the weights of a release back to approved roots, along what permitted signers say went into what.

A model is *reached* when a statement says how it was made, every ingredient of it has a part that somebody named, the parts that policy asks for are there,
every dataset ends well (what that means is the requirement's), and every base model is reached in turn. A walk may end at a base model that policy names as
a root, or at a release that may serve and satisfies the same requirement. The first link that is missing is what is reported.

Of several statements about a model the earliest ones that suffice are used, so that one more never takes a release out of service.

A walk is bounded by generations, by statements about one model and by steps in all; what is beyond is a missing link, never an approved one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind as Kind
from sluice.api.release import ArtifactType, ChangeType, Outcome
from sluice.api.requirement import Origin
from sluice.decision.builds import objection
from sluice.decision.model import Allowance, Asked, Case, Verdict
from sluice.decision.reasons import Reason
from sluice.decision.revocations import artifact_revoked
from sluice.decision.signers import describe, kind_of, may_say, permitted_signer
from sluice.decision.statements import ordered, who_may
from sluice.evidence.lineage import Ingredient, Making, Role, datasets_of, makings_of
from sluice.provenance.slsa import PREDICATE_TYPE, ROLE_ANNOTATION, BuildProvenance

if TYPE_CHECKING:
    from sluice.api.release import Artifact
    from sluice.evidence.facts import Fact

MOST_GENERATIONS = 16
MOST_STATEMENTS = 8
"""About one model; the earliest are looked at."""
MOST_STEPS = 2048
_TRANSFORMED = frozenset({ChangeType.QUANTIZE, ChangeType.PRUNE, ChangeType.MERGE})
"""Changes that make weights out of weights, without data of their own."""
_DERIVED = _TRANSFORMED | {ChangeType.FINE_TUNE, ChangeType.DISTILL}
_TRAINED = frozenset({ChangeType.TRAIN, ChangeType.RETRAIN, ChangeType.FINE_TUNE, ChangeType.DISTILL})
_WORDS = {Origin.DATASET: "the dataset", Origin.CODE: "the code", Origin.BASE_MODEL: "the base model", Origin.PARAMETERS: "the parameters"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a piece of the walk came out: the evidence for it, or what is missing."""

    evidence: frozenset[str] = frozenset()
    ends: tuple[str, ...] = ()
    """Where it ended, in words."""
    reason: Reason | None = None
    """Why it is missing; None when nothing is."""
    message: str = ""
    remedy: str | None = None

    def __and__(self, other: Link) -> Link:
        """Join two pieces: the first that is missing wins."""
        if self.reason or other.reason:
            return self if self.reason else other
        return Link(evidence=self.evidence | other.evidence, ends=(*self.ends, *other.ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A model on the way."""

    digests: frozenset[str]
    words: str
    change: ChangeType | None = None
    """How the release says that it came about; None for models that are not the release's own."""


class Walk:
    """One walk for one requirement of one policy."""

    def __init__(
        self, asked: Asked, case: Case, *, needs: frozenset[Origin], dataset: Callable[[Ingredient, str], Link], decide: Callable[[Case], Verdict]
    ) -> None:
        """Prepare a walk. `dataset` says how a dataset that went into a run ends; `decide` gives the verdict on another release at the same moment."""
        self._asked, self._case, self._needs, self._dataset, self._decide = asked, case, needs, dataset, decide
        facts = [(fact, permitted_signer(asked.policy, fact) is not None) for fact in ordered(case.kin.facts)]
        self._makings = [(fact, making, permitted) for fact, permitted in facts for making in makings_of(fact.content, fact.subjects)]
        self._described = frozenset(
            digest for fact, _ in facts if may_say(asked.policy, fact, Kind.DATASET) for dataset in datasets_of(fact.content) for digest in dataset.digests
        )
        self._steps = 0
        self._known: dict[frozenset[str], Link] = {}
        spec = case.release.spec
        self._listed = {kind: frozenset(it.digest for it in spec.artifacts if it.type is kind) for kind in (ArtifactType.CODE, ArtifactType.DATASET)}
        self._parameters = spec.training.parameters_digest if spec.training else None
        signed = [fact.subjects for fact, permitted in facts if permitted and kind_of(fact) is Kind.MODEL_SIGNATURE]
        self._models = frozenset[str]().union(*signed, *(kin.release.model_names for kin in case.kin.releases))
        self._roots = {root.digest: root.name for root in asked.requirement.roots or ()}

    def back_from(self, artifact: Artifact) -> Link:
        """Walk back from the weights or the adapter of the release."""
        own = _Model(digests=frozenset({artifact.digest}), words=f"{artifact.name} {artifact.digest}", change=self._case.release.spec.change.type)
        return self._model(own, ())

    def _model(self, model: _Model, path: tuple[frozenset[str], ...]) -> Link:
        if any(model.digests & before for before in path):
            return Link(reason=Reason.LineageMissing, message=f"{model.words} is said to be made from itself", remedy="sign provenance that says how it began")
        if len(path) == MOST_GENERATIONS:
            return _too_large(f"more than {MOST_GENERATIONS} generations of models lie behind the release")
        if (known := self._known.get(model.digests)) is not None:
            return known
        statements = self._statements(model)
        missing = self._nobody_says(model) if not statements else Link()
        for count in range(1, len(statements) + 1):
            found = self._made(model, statements[:count], (*path, model.digests))
            if found.reason is None:
                self._known[model.digests] = found
                return found
            missing = found
        return missing

    def _statements(self, model: _Model) -> list[tuple[Fact, Making]]:
        """What permitted signers say of how `model` was made, the earliest first."""
        run = self._run if model.change else ""
        return [
            (fact, making)
            for fact, making, permitted in self._makings
            # A statement of another run is about other weights, whatever it says; a bill of materials knows of no run.
            if permitted and making.products & model.digests and (not run or making.run in {run, ""}) and self._objection(fact) is None
        ][:MOST_STATEMENTS]

    @property
    def _run(self) -> str:
        training = self._case.release.spec.training
        return training.run if training else ""

    def _objection(self, fact: Fact) -> str | None:
        objected = objection(self._asked.requirement, fact.content) if isinstance(fact.content, BuildProvenance) else None
        return objected[1] if objected else None

    def _nobody_says(self, model: _Model) -> Link:
        """Say why no statement about `model` counts: the nearest miss, or that there is none."""
        remedy = f"sign provenance ({PREDICATE_TYPE}) of it as {who_may(self._asked.policy, Kind.PROVENANCE)}, with what went into it as resolvedDependencies"
        for fact, making, permitted in self._makings:
            if not making.products & model.digests:
                continue
            if not permitted:
                return Link(reason=Reason.SignerNotPermitted, message=f"how {model.words} was made is said by {describe(fact)}, who may not", remedy=remedy)
            if objected := self._objection(fact):
                return Link(reason=Reason.LineageMissing, message=f"how {model.words} was made is not accepted: {objected}", remedy=remedy)
            if model.change and self._run and making.run not in {self._run, ""}:
                return Link(
                    reason=Reason.LineageDiffers,
                    message=f"{model.words} was made by run {making.run}; the release names {self._run}",
                    remedy="apply a new ModelRelease that names the run, or sign provenance of the run that it names",
                )
        return Link(reason=Reason.LineageMissing, message=f"no statement says how {model.words} was made", remedy=remedy)

    def _made(self, model: _Model, statements: Sequence[tuple[Fact, Making]], path: tuple[frozenset[str], ...]) -> Link:
        """Hold what these statements say together against what is asked."""
        runs = sorted({making.run for _, making in statements if making.run})
        run = f"training run {runs[0]}" if runs else f"{model.words}"
        if model.change and self._run and not runs:
            return self._missing(model, f"no statement says that training run {self._run} made {model.words}")
        parts = [(self._role(ingredient), ingredient) for _, making in statements for ingredient in making.ingredients]
        if lacking := self._unclear(parts, run) or self._revoked(parts, run) or self._lacking(model, parts, run):
            return lacking
        link = Link(evidence=frozenset(fact.bundle_digest for fact, _ in statements), ends=(run,) if runs else ())
        for role, ingredient in parts:
            if role is Role.DATASET:
                link &= self._dataset(ingredient, run)
            elif role is Role.BASE_MODEL:
                link &= self._base(ingredient, run, path)
            if link.reason:
                break
        return link

    def _unclear(self, parts: Sequence[tuple[Role | None, Ingredient]], run: str) -> Link | None:
        """Find what nobody gave a part: it could be anything, a dataset too."""
        self._steps += len(parts)
        if self._steps > MOST_STEPS:
            return _too_large(f"more than {MOST_STEPS} ingredients lie behind the release")
        unclear = next((ingredient for role, ingredient in parts if role is None), None)
        if unclear is None:
            return None
        return Link(
            reason=Reason.LineageUnclear,
            message=f"nobody says what {_shown(unclear)} is, which went into {run}",
            remedy=f"sign provenance that gives it the annotation {ROLE_ANNOTATION}: {', '.join(Role)}",
        )

    def _revoked(self, parts: Sequence[tuple[Role | None, Ingredient]], run: str) -> Link | None:
        for _, ingredient in parts:
            if (why := artifact_revoked(self._case, ingredient.digests)) is not None:
                return Link(
                    reason=Reason.ArtifactRevoked,
                    message=f"{_shown(ingredient)} went into {run}: {why.words}",
                    remedy="apply a new ModelRelease that was made without it",
                )
        return None

    def _lacking(self, model: _Model, parts: Sequence[tuple[Role | None, Ingredient]], run: str) -> Link | None:
        """Find what policy asks for and these statements do not name, or name otherwise than the release does."""
        asked = self._asked_of(model, parts)
        for origin in (origin for origin in Origin if origin in asked):
            named = [ingredient for role, ingredient in parts if role == origin.value]
            if not named:
                return self._missing(model, f"no statement names {_WORDS[origin]} of {run}", part=origin)
            if not any(ingredient.digests for ingredient in named):
                return self._missing(model, f"{_WORDS[origin]} of {run}, {named[0].name}, is named without a digest")
            if differs := self._differs(model, origin, named, run):
                return differs
        return None

    def _asked_of(self, model: _Model, parts: Sequence[tuple[Role | None, Ingredient]]) -> frozenset[Origin]:
        """Of what policy asks for, give what a model of this kind has."""
        asked = self._needs & {Origin.CODE, Origin.PARAMETERS}
        # Who asks for data asks for it behind the base model, too.
        if model.change in _DERIVED:
            asked |= {Origin.BASE_MODEL} if self._needs & {Origin.BASE_MODEL, Origin.DATASET} else set()
        # Of weights that are not this release's own nobody said how they changed; those of a base model may have no data of their own.
        descends = any(role is Role.BASE_MODEL for role, _ in parts)
        if model.change in _TRAINED or (model.change not in _TRANSFORMED and not descends):
            asked |= self._needs & {Origin.DATASET}
        return asked

    def _differs(self, model: _Model, origin: Origin, named: Sequence[Ingredient], run: str) -> Link | None:
        """Hold what the release itself names against what its run names."""
        expected: frozenset[str] = frozenset()
        if model.change and origin is Origin.CODE:
            expected = self._listed[ArtifactType.CODE]
        elif model.change and origin is Origin.PARAMETERS and self._parameters:
            expected = frozenset({self._parameters})
        if not expected or any(ingredient.digests & expected for ingredient in named):
            return None
        return Link(
            reason=Reason.LineageDiffers,
            message=f"{_WORDS[origin]} of {run} is {_shown(named[0])}; the release names {', '.join(sorted(expected))}",
            remedy="apply a new ModelRelease that names what the run used, or sign provenance of the run that used it",
        )

    def _role(self, ingredient: Ingredient) -> Role | None:
        """Give the part of an ingredient. What the namespace knows of it goes before what a statement calls it: a dataset is no part of an environment."""
        if ingredient.digests & self._listed[ArtifactType.DATASET] or ingredient.digests & self._described:
            return Role.DATASET
        if ingredient.digests & (self._models | self._roots.keys()):
            return Role.BASE_MODEL
        if ingredient.role is not None:
            return ingredient.role
        if self._parameters in ingredient.digests:
            return Role.PARAMETERS
        return Role.CODE if ingredient.digests & self._listed[ArtifactType.CODE] else None

    def _base(self, ingredient: Ingredient, run: str, path: tuple[frozenset[str], ...]) -> Link:
        words = f"base model {_shown(ingredient)}"
        if not ingredient.digests:
            return Link(reason=Reason.LineageMissing, message=f"{words} of {run} is named without a digest", remedy="sign provenance that names it by digest")
        # 1. A root of the policy.
        if name := next((self._roots[digest] for digest in sorted(ingredient.digests) if digest in self._roots), None):
            return Link(ends=(f"base model {name} (a root of the policy)",))
        # 2. Evidence on how it was made. It goes first: what was used does not change when another release ceases to be entitled.
        walked = self._model(_Model(digests=ingredient.digests, words=words), path)
        if walked.reason is None:
            return walked
        # 3. A release that satisfies the same requirement.
        for kin in self._case.kin.releases:
            if ingredient.digests & kin.release.model_names:
                link = self._entitled(kin, words)
                if link.reason is None:
                    return link
        return walked

    def _entitled(self, kin: Case, words: str) -> Link:
        others = tuple(other for other in self._case.kin.releases if other is not kin)
        verdict = self._decide(replace(kin, kin=replace(self._case.kin, releases=others)))
        own = (self._asked.policy.name, self._asked.requirement.name)
        satisfied = any((result.policy, result.requirement) == own and result.outcome is Outcome.SATISFIED for result in verdict.results)
        if verdict.allows is Allowance.SERVE and satisfied:
            return Link(ends=(f"{words}, of release {kin.release.name}",))
        return Link(reason=Reason.LineageMissing, message=f"{words} is of release {kin.release.name}, which may not serve")

    def _missing(self, model: _Model, message: str, *, part: Origin | None = None) -> Link:
        subject = ", ".join(sorted(model.digests))
        signers = who_may(self._asked.policy, Kind.PROVENANCE)
        how = f" among its resolvedDependencies, with the annotation {ROLE_ANNOTATION}: {part}" if part else ""
        return Link(reason=Reason.LineageMissing, message=message, remedy=f"sign provenance ({PREDICATE_TYPE}) of {subject} that names it{how}, as {signers}")


def _too_large(message: str) -> Link:
    return Link(reason=Reason.LineageTooLarge, message=message, remedy="have the platform team name a base model among the roots of the requirement")


def _shown(ingredient: Ingredient) -> str:
    digests = ", ".join(sorted(ingredient.digests)) or "without a digest"
    return f"{ingredient.name[:200]} ({digests})" if ingredient.name else digests

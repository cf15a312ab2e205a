"""A release that has everything that a profile asks for, with real signatures, under the profile with its placeholders replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2e.sigstore.statements import slsa_statement, statement, subject
from sluice.api.names import PROFILE_LABEL
from sluice.cli.manifests import documents
from sluice.decision.model import Release, Verdict
from tests.unit.decision import case as c
from tests.unit.decision import test_assurances as assurances
from tests.unit.decision import test_families
from tests.unit.decision import test_origins as origins

Object = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "examples" / "profiles"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SIDECAR, PROMPT = c.digest_of("filter"), c.digest_of("prompt")
TEST_SET = SIDECAR
"""Zeros stand for both in the profiles, and one digest replaces them."""
REPLACED = {
    "trustRoot: replace-me": "trustRoot: ci",
    "key: replace-me": "key: controller",
    "[replace-me]": "[contracts]",
    "https://replace-me.invalid/train": c.TRAINER,
    "https://replace-me.invalid/evaluate": c.EVALUATOR,
    "https://replace-me.invalid/data": origins.STEWARD,
    "https://replace-me.invalid/change": assurances.OFFICE,
    "https://replace-me.invalid/risk": assurances.OFFICE,
    "https://replace-me.invalid": c.ISSUER,
    "sha256:" + "0" * 64: SIDECAR,
}


def profile(name: str, *, replaced: bool = False) -> Object:
    """The policy of a file, as it is or with real names."""
    text = (FOLDER / f"{name}.yaml").read_text()
    for placeholder, real in REPLACED.items() if replaced else ():
        text = text.replace(placeholder, real)
    (found,) = documents(text)
    assert isinstance(found, dict)
    return found


def release_spec(name: str) -> Object:
    """The first release of a model that fits the profile."""
    spec = c.release_spec()
    sidecar = {"name": "filter", "type": "Image", "uri": f"registry.example.com/filter@{SIDECAR}", "digest": SIDECAR}
    common: Object = {
        "artifacts": [*spec["artifacts"], sidecar, {"name": "code", "type": "Code", "digest": origins.CODE}],
        "change": {"type": "Train", "ticket": assurances.TICKET, "impact": {"assessment": {"digest": assurances.DOCUMENT}, "summary": "none"}},
        "training": {"run": origins.RUN, "parametersDigest": origins.PARAMETERS},
        "rollback": {"criteria": "more complaints than before", "drillMaxAge": "90d"},
        "residualRisk": {"owner": "replace-me-risk", "statement": "answers may be wrong"},
        "authority": {"serviceAccount": "churn", "dataClasses": ["CustomerRecords"]},
    }
    match name:
        case "low-impact":
            common["authority"] = {"serviceAccount": "churn", "tools": [{"name": "crm.read", "effect": "Read"}]}
        case "agentic-tools":
            common["authority"] |= {
                "tools": [{"name": "refund", "effect": "Write"}],
                "secrets": [{"name": "crm-token", "maxLifetime": "1h"}],
                "egress": [{"host": "crm.example.com", "port": 443}],
            }
        case "third-party-hosted":
            common["artifacts"] = [spec["artifacts"][1], sidecar, {"name": "prompt", "type": "Prompt", "digest": PROMPT}]
            common["change"]["type"] = "Vendor"
            common["vendor"] = {"name": "Acme AI", "model": "acme-large", "version": "2026-10", "assurance": {"digest": assurances.REPORT}}
            del common["training"]
        case _:
            pass
    return spec | common


PROBES = {"JailbreakResistance": "dan.Dan_11_0", "InjectionResistance": "promptinject.HijackHateHumans", "Confidentiality": "leakreplay.NYTCloze"}
"""A suite of a known tool for each family that a profile asks for."""


def files(policy: Object) -> dict[str, list[bytes]]:
    """The runs that meet what the policy asks, by suite, or by the requirement that asks for families: 2,000 cases, one in a thousand wrong."""
    suites: dict[str, dict[str, float]] = {}
    attacked: dict[str, list[bytes]] = {}
    for requirement in policy["spec"]["requirements"]:
        for measure in requirement.get("measures", ()):
            if "family" in measure:
                attacked.setdefault(requirement["name"], []).append(numbers(PROBES[measure["family"]], {"d/passed": 0.999}, tool="garak"))
            else:
                suites.setdefault(measure["suite"], {})[measure["metric"]] = 0.001 if "atMost" in measure else 0.999
    return {suite: [numbers(suite, metrics)] for suite, metrics in suites.items()} | attacked


def numbers(suite: str, metrics: dict[str, float], *, tool: str = "t") -> bytes:
    """A file of plain metrics."""
    document = {
        "format": "https://sluice.dev/metrics/v1", "suite": suite, "tool": {"name": tool, "version": "1"}, "suiteDigest": TEST_SET,
        "cases": {"planned": 2000, "evaluated": 2000},
        "metrics": [{"name": metric, "value": value, "samples": 2000} for metric, value in metrics.items()],
    }  # fmt: skip
    return json.dumps(document).encode()


class Bench:
    """A release under a profile, its evidence by name, and its people."""

    def __init__(self, name: str, *, replaced: bool = True, **fields: Any) -> None:  # noqa: ANN401 - fields of the release
        self.policy, self.world, self.name = profile(name, replaced=replaced), c.World(), name
        self.world.put("Namespace", c.namespace(**{PROFILE_LABEL: name}))
        self.world.put("TrustRoot", c.trust_root())
        keys = {"keys": [{"name": "controller", "pem": c.controller_key().public_pem}]}
        self.world.put("TrustRoot", c.item("TrustRoot", "sluice-controller-key", keys, namespace=""))
        self.world.put("ReleasePolicy", self.policy)
        self.world.put("ModelRelease", c.item("ModelRelease", c.NAME, release_spec(name) | fields))
        # A cluster that limits egress, and grants nothing else.
        limits = {"podSelector": {}, "policyTypes": ["Egress"]}
        self.world.put("NetworkPolicy", c.item("NetworkPolicy", "limits", limits))
        self.world.listed_all()
        self.evidence = self._evidence()
        for item in self.evidence.values():
            self.world.put("ReleaseEvidence", item)

    def _evidence(self) -> dict[str, Object]:
        release = self.world.releases[c.KEY]
        assert isinstance(release, Release), release
        bundles = {"server": c.bundles()["server"], "sidecar": c.sign(slsa_statement({"filter": SIDECAR}, c.BUILDER))}
        hosted = self.name == "third-party-hosted"
        if not hosted:
            bundles |= {each: c.bundles()[each] for each in ("signature", "packaging")}
            bundles |= {each: origins.signed(each) for each in ("training", "dataset")}
        for kind in assurances.NAMES:
            about = [subject("it", assurances.REPORT if kind == "vendor" else release.digest)]
            bundles[kind] = c.sign(statement(assurances.TYPES[kind], about, assurances.predicate(kind)), identity=assurances.OFFICE)
        evaluated = PROMPT if hosted else c.weights_digest()
        measured = {name: test_families.run(name, *raw, of=evaluated) for name, raw in files(self.policy).items()}
        return {each: c.evidence(each, bundle) for each, bundle in bundles.items()} | measured

    def approved(self) -> Bench:
        """With a sign-off by somebody in each role."""
        for role in self.policy["spec"]["roles"]:
            (group,) = (each["name"] for each in role["subjects"])
            who = f"{role['name']}@example.com"
            self.world.put("ReleaseApproval", c.approval(f"by-{role['name']}", self.world, role=role["name"], username=who, groups=[group]))
        return self

    def verdict(self) -> Verdict:
        """What may be done with the release."""
        verdict = self.world.verdict(c.KEY, now=c.NOW)
        assert verdict is not None
        return verdict

    def lacks(self) -> set[str]:
        """The requirements that are not met, but those for people: these sign off the evidence that was used."""
        return {result.requirement for result in self.verdict().open if result.type != "Approval"}

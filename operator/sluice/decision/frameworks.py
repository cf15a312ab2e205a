"""What the controls of the frameworks are about, in a few words of ours, and the page that lists requirement by control.

Of the two long frameworks there is what the profiles name: subcategories. The two short ones are whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluice.api.frameworks import FRAMEWORKS

if TYPE_CHECKING:
    from sluice.api.policy import PolicySpec

TITLES: Final[Mapping[str, str]] = {
    "NIST-CSF-2.0:GV.RR-02": "roles and responsibilities are set and enforced",
    "NIST-CSF-2.0:GV.SC-06": "due diligence comes before a contract with a supplier",
    "NIST-CSF-2.0:GV.SC-07": "risks of a supplier are known, assessed and watched",
    "NIST-CSF-2.0:ID.AM-07": "what data there is, and of which kind, is known",
    "NIST-CSF-2.0:ID.IM-02": "tests and exercises lead to improvements",
    "NIST-CSF-2.0:ID.RA-04": "possible impacts and how likely they are is recorded",
    "NIST-CSF-2.0:ID.RA-06": "answers to risks are chosen, planned and tracked",
    "NIST-CSF-2.0:ID.RA-07": "changes and exceptions are assessed, recorded and tracked",
    "NIST-CSF-2.0:ID.RA-09": "software is authentic and unchanged before it is used",
    "NIST-CSF-2.0:ID.RA-10": "critical suppliers are assessed before they are used",
    "NIST-CSF-2.0:PR.AA-05": "permissions follow a policy of least privilege and separate duties",
    "NIST-CSF-2.0:PR.DS-01": "data at rest stays confidential, unchanged and available",
    "NIST-CSF-2.0:PR.DS-10": "data in use stays confidential, unchanged and available",
    "NIST-CSF-2.0:PR.IR-03": "the service withstands what goes wrong",
    "NIST-CSF-2.0:PR.PS-04": "logs are written and kept for those who watch",
    "NIST-CSF-2.0:PR.PS-05": "software that nobody authorised does not run",
    "NIST-CSF-2.0:PR.PS-06": "software is developed securely, and that is followed up",
    "NIST-CSF-2.0:RC.RP-01": "the way back is carried out once it is needed",
    "NIST-AI-RMF:GOVERN-2.1": "roles and lines of communication are documented",
    "NIST-AI-RMF:GOVERN-6.1": "policies address the risks of third parties",
    "NIST-AI-RMF:MANAGE-1.1": "it is decided whether the system may be deployed",
    "NIST-AI-RMF:MANAGE-1.4": "risks that remain are documented",
    "NIST-AI-RMF:MANAGE-2.4": "what does not behave as intended can be taken out of service",
    "NIST-AI-RMF:MANAGE-3.1": "risks and benefits of what third parties bring are watched",
    "NIST-AI-RMF:MANAGE-4.1": "the system is watched after deployment, changes are managed",
    "NIST-AI-RMF:MAP-1.1": "purpose, users and context are understood",
    "NIST-AI-RMF:MAP-2.3": "how data is chosen and what is tested is sound and documented",
    "NIST-AI-RMF:MAP-4.1": "legal risks of components, of third parties too, are mapped",
    "NIST-AI-RMF:MAP-4.2": "controls for components, of third parties too, are documented",
    "NIST-AI-RMF:MAP-5.1": "likelihood and magnitude of impacts are documented",
    "NIST-AI-RMF:MEASURE-1.3": "who assesses did not develop it",
    "NIST-AI-RMF:MEASURE-2.1": "test sets, metrics and tools are documented",
    "NIST-AI-RMF:MEASURE-2.3": "performance is measured under conditions like those of use",
    "NIST-AI-RMF:MEASURE-2.4": "behaviour is watched in production",
    "NIST-AI-RMF:MEASURE-2.5": "the system is shown to be valid and reliable",
    "NIST-AI-RMF:MEASURE-2.6": "the system is evaluated for safety",
    "NIST-AI-RMF:MEASURE-2.7": "security and resilience are evaluated",
    "NIST-AI-RMF:MEASURE-2.10": "privacy risk is examined",
    "NIST-AI-RMF:MEASURE-2.11": "fairness and bias are evaluated",
    "OWASP-Agentic:ASI01": "goals are hijacked",
    "OWASP-Agentic:ASI02": "tools are misused",
    "OWASP-Agentic:ASI03": "identity and privilege are abused",
    "OWASP-Agentic:ASI04": "the supply chain of agents is compromised",
    "OWASP-Agentic:ASI05": "code is executed that nobody expected",
    "OWASP-Agentic:ASI06": "memory and context are poisoned",
    "OWASP-Agentic:ASI07": "agents talk to each other insecurely",
    "OWASP-Agentic:ASI08": "failures cascade",
    "OWASP-Agentic:ASI09": "people trust an agent too much",
    "OWASP-Agentic:ASI10": "agents go rogue",
    "CSA-MAESTRO:L1": "foundation models",
    "CSA-MAESTRO:L2": "data operations",
    "CSA-MAESTRO:L3": "agent frameworks",
    "CSA-MAESTRO:L4": "deployment and infrastructure",
    "CSA-MAESTRO:L5": "evaluation and observability",
    "CSA-MAESTRO:L6": "security and compliance",
    "CSA-MAESTRO:L7": "agent ecosystem",
}


_SOURCES: Final[Mapping[str, str]] = {
    "NIST CSF 2.0": "https://doi.org/10.6028/NIST.CSWP.29",
    "NIST AI RMF 1.0": "https://doi.org/10.6028/NIST.AI.100-1",
    "OWASP Top 10 for Agentic Applications 2026": "https://genai.owasp.org/resource/owasp-top-10-for-agentic-applications-for-2026/",
    "CSA MAESTRO, seven layers": "https://cloudsecurityalliance.org/blog/2025/02/06/agentic-ai-threat-modeling-framework-maestro",
}


def markdown(profiles: Mapping[str, PolicySpec]) -> str:
    """Render docs/controls.md from policies by name."""
    return "\n".join([*_head(), *_by_requirement(profiles), *_by_control(profiles)]) + "\n"


def _head() -> Iterator[str]:
    yield "# Controls"
    yield "<!-- Generated from examples/profiles and operator/sluice/decision/frameworks.py by `make reference`. Do not edit. -->"
    yield ""
    yield "Which requirements of the [profiles](profiles.md) help with which controls. *Help with*: whether that suffices is for those who audit."
    yield "A requirement says so in `controlMappings`, and the [record](records.md) of each verdict repeats it beside the evidence."
    yield "Titles are ours, shortened; the texts that count are those of"
    yield f"{', '.join(f'[{name}]({place})' for name, place in _SOURCES.items())}."


def _by_requirement(profiles: Mapping[str, PolicySpec]) -> Iterator[str]:
    yield "\n## Requirement by control"
    yield f"| profile | requirement | type | {' | '.join(FRAMEWORKS)} |"
    yield "|---" * (3 + len(FRAMEWORKS)) + "|"
    for name, spec in profiles.items():
        for requirement in spec.requirements:
            named = [each.split(":") for each in requirement.control_mappings or ()]
            cells = (", ".join(control for framework, control in named if framework == column) for column in FRAMEWORKS)
            yield f"| {name} | `{requirement.name}` | {requirement.type} | {' | '.join(cells)} |"


def _by_control(profiles: Mapping[str, PolicySpec]) -> Iterator[str]:
    helps: dict[str, dict[str, list[str]]] = {}
    for name, spec in profiles.items():
        for requirement in spec.requirements:
            for control in requirement.control_mappings or ():
                helps.setdefault(control, {}).setdefault(requirement.name, []).append(name)
    for framework in FRAMEWORKS:
        yield f"\n## {framework}"
        yield "| control | about | helped by |"
        yield "|---|---|---|"
        for control, title in TITLES.items():
            if control.startswith(f"{framework}:"):
                by = "; ".join(f"`{requirement}` ({', '.join(names)})" for requirement, names in helps.get(control, {}).items())
                yield f"| {control.removeprefix(f'{framework}:')} | {title} | {by or '–'} |"


if __name__ == "__main__":
    import sys

    import yaml

    from sluice.api.policy import PolicySpec

    found = (yaml.safe_load(path.read_text()) for path in sorted(Path(sys.argv[1]).glob("*.yaml")))
    sys.stdout.write(markdown({each["metadata"]["name"]: PolicySpec.model_validate(each["spec"]) for each in found}))

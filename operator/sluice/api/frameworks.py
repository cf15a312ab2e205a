"""Names of controls in the frameworks that auditors ask by.

A requirement names the controls that it helps to meet, and that is all: a name never changes a verdict. It stands in the signed record of the verdict, so that
a control can be followed to the evidence. Whether what is asked suffices for a control is for people to judge.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

FRAMEWORKS: Final = ("NIST-CSF-2.0", "NIST-AI-RMF", "OWASP-Agentic", "CSA-MAESTRO")

ControlId = Annotated[
    str, StringConstraints(pattern=rf"^({'|'.join(name.replace('.', '[.]') for name in FRAMEWORKS)}):[A-Z][A-Z0-9.-]{{1,30}}$", max_length=48)
]
"""A framework, a colon and the control as the framework writes it, without spaces: `NIST-CSF-2.0:PR.DS-01`, `NIST-AI-RMF:MAP-4.1`, `OWASP-Agentic:ASI02`,
`CSA-MAESTRO:L3`."""

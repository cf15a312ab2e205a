"""Evidence of a drill that lies there already is the controller's own, or the drill says that its name is taken; nobody can stop a drill with what is there."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.controller.drill_evidence import _ours
from sluice.decision.drill_reasons import DrillReason
from sluice.provenance.signing import SigningKey
from sluice.rollout.drill import DrillFailed


@pytest.mark.parametrize("bundle", [{"inline": "e30="}, {"inline": "%%%"}, {"inline": "ÿ"}, {"oci": "registry.example.com/x@sha256:" + "a" * 64}])
def test_what_the_controller_has_not_signed_takes_the_name_whatever_it_is(bundle: dict[str, Any]) -> None:
    evidence = {"metadata": {"name": "drill-1"}, "spec": {"bundle": bundle}}
    with pytest.raises(DrillFailed, match="there is a ReleaseEvidence drill-1 already that the controller has not signed: delete it") as failed:
        _ours(evidence, "uid", SigningKey.generate())
    assert failed.value.reason is DrillReason.NameTaken

"""What the webhook answers about `ReleasePolicy`: one that cannot be used is refused while its author looks, and in a dry run, too.

It may fail open, and does: a policy that gets past it and cannot be used is not ignored, the releases that it selects wait (`InvalidPolicy`), and its
`Accepted` condition says why. So this is for the author, and nothing rests on it.

Names that lead nowhere are warnings: what they name – a TrustRoot, say – may be applied in a moment. An UPDATE that leaves the spec as it is passes whatever
the spec says: after an upgrade an old policy may not be usable any more, and its labels and finalizers must still come and go.
"""

from __future__ import annotations

from typing import Final

from sluice.api.kinds import RELEASE_POLICY
from sluice.api.names import API_VERSION
from sluice.decision.gate import Action, Decision
from sluice.decision.model import InvalidPolicy
from sluice.decision.policies import read_policy
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from sluice.webhook.review import Answer, Request
from sluice.webhook.sight import Sight

POLICIES: Final = f"{API_VERSION}/{RELEASE_POLICY.plural}"


def validate(request: Request, sight: Sight) -> Answer:
    """Refuse a policy that cannot be read, or an expression of which does not compile; warn of names in it that lead nowhere."""
    if request.old_object is not None and request.old_object.get("spec") == request.object.get("spec"):
        return Answer(action=Action.ALLOW, reason=Reason.Unchanged)
    policy = read_policy(request.name, request.object)
    if isinstance(policy, InvalidPolicy):
        decision = Decision(
            action=Action.DENY, reason=Reason.PolicyInvalid, message=policy.message, remedy="correct it and apply it again; what is applied stays as it is"
        )
        return Answer(action=Action.DENY, reason=Reason.PolicyInvalid, lines=decision.lines)
    # Without having seen all trust roots it would warn of those that are there.
    problems = () if sight.blind else policy_problems(policy.spec, sight.world.trust_roots)
    return Answer(action=Action.ALLOW, reason=Reason.Accepted, lines=tuple(f"{one.message} ({one.reason}) → {one.remedy}" for one in problems))

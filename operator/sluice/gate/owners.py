"""Owners: a Deployment whose template comes to name a release is paused before anything of it rolls.

The API server cannot know which releases are entitled, so it pauses on every change; the webhook, which runs after this and knows, takes the pause off in
the same request, and the controller does so later. With both dead a Deployment waits with its old Pods at full capacity.

Nothing else is paused here. A StatefulSet has no `paused`: a `partition` above its replicas would stop it as well, but Git usually owns that field (and
the API server fills it in, so nobody could tell), what it was would have to be kept somewhere, and `OnDelete` has none. A held StatefulSet waits with
one Pod less: the first new Pod is held by its scheduling gate, and the others are not touched before that one is ready.
"""

from __future__ import annotations

from typing import Final

from sluice.api.names import HELD_ANNOTATION
from sluice.gate.policy import CREATE, UPDATE, Installation, Manifest, Matches, apply, governed, mutating, patch, release_named_by

_ESCAPED: Final = HELD_ANNOTATION.replace("~", "~0").replace("/", "~1")


def pause_owners(installation: Installation) -> list[Manifest]:
    """Pause, keep and clear.

    *Pause* when the template comes to name another release, or names one on creation. *Keep* it paused while that release is held, whatever a client
    writes: what counts is the annotation as it was stored, which only this policy, the webhook and the controller write. *Clear* when the template names
    no release any more, so that a revert in Git never hangs. The status is matched because annotations can be written through it.
    """
    return mutating(
        "sluice-pause-owners",
        why="Deployments whose template comes to name a release stay paused until Sluice finds the release entitled.",
        matches=Matches(
            group="apps", version="v1", resources=["deployments", "deployments/status"], operations=(*CREATE, *UPDATE),
            namespaces=governed(installation),
        ),
        variables={
            "now": release_named_by("object.spec.template"),
            "was": f"oldObject == null ? '' : {release_named_by('oldObject.spec.template')}",
            "held": f"oldObject == null ? '' : oldObject.?metadata.?annotations['{HELD_ANNOTATION}'].orValue('')",
            "byController": installation.by_controller,
            "hold": "variables.now != '' && (variables.now != variables.was || (variables.held == variables.now && !variables.byController))",
            "clear": "variables.now == '' && variables.held != ''",
            "stale": f"""\
!variables.hold && (variables.now == '' || !variables.byController)
  && '{HELD_ANNOTATION}' in object.?metadata.?annotations.orValue({{}})""",
        },
        mutations=[
            apply(
                f"""\
variables.hold
  ? Object{{metadata: Object.metadata{{annotations: {{'{HELD_ANNOTATION}': variables.now}}}}, spec: Object.spec{{paused: true}}}}
  : variables.clear
  ? Object{{spec: Object.spec{{paused: false}}}}
  : Object{{}}"""
            ),
            patch(f"variables.stale ? [JSONPatch{{op: 'remove', path: '/metadata/annotations/{_ESCAPED}'}}] : []"),
        ],
    )  # fmt: skip

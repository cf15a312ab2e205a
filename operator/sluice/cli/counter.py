"""Where a person signs off: what is read, what is created or signed, and how that is told.

What is shown and what is signed off are the same digests, read once. Who decides is not sent: the API server stamps it. With a key or an identity of one's own
the decision is signed instead, and printed as the manifest that is committed to Git; then no cluster is needed, if the manifests are given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from sluice.cli.access import Access, Refused, Unknown, connected
from sluice.cli.answers import as_text
from sluice.cli.verify import answering, plain

if TYPE_CHECKING:
    from sluice.cli.signed_decisions import Signing
    from sluice.cluster.resource import Resource

COUNTED_SECONDS = 10.0
"""How long the controller is given to say whether a decision counts: it looks at once, and there is nobody to ask while none leads."""
_AGAIN_SECONDS = 0.3
_SHORT = {"ReleaseApproval": "mra", "ReleaseWaiver": "mrw", "ModelRelease": "mr", "ReleaseEvidence": "mre"}
Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Where a person signs off."""

    access: Access
    namespace: str
    yes: bool
    dry_run: bool
    output: str
    signing: Signing | None = None
    """None: the decision is created in the cluster, which stamps who it was."""

    @property
    def console(self) -> Console:
        """Where people read. Messages quote signers and files, such as spec.initContainers[model]: nothing in them is markup, a link or an emoji."""
        return Console(stderr=self.output != "table" or self.signing is not None, markup=False, highlight=False, emoji=False)

    def read(self, kind: str, name: str) -> Object:
        """Read an object, from the files if there are any. Raises Unknown, Refused, CannotTell."""
        if self.signing is not None and self.signing.files:
            return self.signing.read(kind, self.namespace, name)
        return asyncio.run(_get(self.access, kind, self.namespace, name))

    def release(self, name: str) -> Object:
        """Read a release that was looked at: by the controller, or from files here and now. Raises Unknown, Refused, CannotTell."""
        found = self.read("ModelRelease", name)
        status = found.get("status") or {}
        if not status.get("releaseDigest") or not status.get("evidenceDigest"):
            message = f"mr/{name} has no status yet: is the controller running? (kubectl describe mr/{name} -n {self.namespace})"
            raise Unknown(message)
        return found

    def release_of(self, digest: str) -> str:
        """Give the name of the release that has this release digest. Raises Unknown, Refused, CannotTell."""
        if self.signing is not None and self.signing.files:
            names = self.signing.releases(self.namespace)
        else:
            names = [item["metadata"]["name"] for item in asyncio.run(_releases(self.access, self.namespace))]
        for name in names:
            if (self.read("ModelRelease", name).get("status") or {}).get("releaseDigest") == digest:
                return name
        raise Refused(f"no release in namespace {self.namespace} has the release digest {digest}")

    def sign_off(self, wanted: Object, *, question: str) -> None:
        """Ask, create, and wait whether it counts; print only what would be created for a dry run. Raises Refused, Unknown."""
        if self.signing is not None:
            with answering("yaml", what="signed"):
                self._sign(self.signing, wanted, question)
            return
        from sluice.decision.reasons import Reason  # noqa: PLC0415 - see the package

        if self.dry_run:
            _print(wanted, self.output if self.output != "table" else "yaml")
            return
        if not self.yes and not click.confirm(question, err=True):
            raise Refused("nothing was created")
        created = asyncio.run(_create(self.access, self.namespace, wanted))
        counted = asyncio.run(_counted(self.access, created))
        counts = counted is not None and counted["status"] == "True"
        at = f"{_SHORT[created['kind']]}/{created['metadata']['name']}"
        if self.output == "table":
            mark, more = (Text("✓", style="green"), ", and counts") if counts else (Text("•"), "")
            self.console.print(mark, plain(f"{at} created by {created['spec']['approver']['username']}{more}"))
        else:
            _print(created, self.output)
        if counted is None:
            click.echo(f"note: whether it counts is not said yet: kubectl get {at} -n {self.namespace}", err=True)
        elif counted.get("reason") == Reason.WaiverNotApproved:
            # As it should be: nobody waives alone.
            click.echo(f"note: {plain(counted.get('message'))}", err=True)
        elif not counts:
            message = f"{at} is there and does not count: {plain(counted.get('message') or counted.get('reason'))}"
            raise Refused(message)

    def _sign(self, signing: Signing, wanted: Object, question: str) -> None:
        output = self.output if self.output != "table" else "yaml"
        statement = signing.statement(wanted)
        if self.dry_run:
            _print(statement, output)
            return
        signer = signing.who.signer()
        if not self.yes and not click.confirm(f"Sign: {question}", err=True):
            raise Refused("nothing was signed")
        signed = signing.manifest(wanted, statement, signer)
        _print(signed, output)
        # Who takes an approval back changes nothing of their own that could be told to count.
        if wanted["spec"]["decision"] != "Revoke" and (why := signing.why_not(signed, wanted["spec"]["release"]["name"])):
            click.echo(f"note: beside these files it does not count: {plain(why)}", err=True)


def _print(item: Object, output: str) -> None:
    click.echo(as_text(item, output))


async def _get(access: Access, kind: str, namespace: str, name: str) -> Object:
    found: Object = await _ask(access, lambda client: client.get(_resource(kind).path(namespace, name)), f"{_SHORT[kind]}/{name} in namespace {namespace}")
    return found


async def _releases(access: Access, namespace: str) -> list[Object]:
    found: list[Object] = await _ask(access, lambda client: client.list(_resource("ModelRelease"), namespace), f"the releases in namespace {namespace}")
    return found


async def _create(access: Access, namespace: str, item: Object) -> Object:
    resource = _resource(item["kind"])
    created: Object = await _ask(access, lambda client: client.create(resource, item, namespace=namespace), f"the {item['kind']}")
    return created


async def _counted(access: Access, created: Object) -> Object | None:
    """Read what the controller says about a decision; None when it has said nothing yet, or may not be asked."""
    from sluice.cluster.errors import ApiError  # noqa: PLC0415 - see the package

    path = _resource(created["kind"]).path(created["metadata"]["namespace"], created["metadata"]["name"])
    try:
        async with asyncio.timeout(COUNTED_SECONDS), connected(access) as client:
            while True:
                conditions = ((await client.get(path)).get("status") or {}).get("conditions") or ()
                if found := next((condition for condition in conditions if condition["type"] == "Counted"), None):
                    return dict(found)
                await asyncio.sleep(_AGAIN_SECONDS)
    except (ApiError, TimeoutError):
        return None


def _resource(kind: str) -> Resource:
    from sluice.cluster.resource import APPROVALS, EVIDENCE, RELEASES, WAIVERS  # noqa: PLC0415 - see the package

    return {resource.kind: resource for resource in (APPROVALS, EVIDENCE, RELEASES, WAIVERS)}[kind]


async def _ask(access: Access, request: Callable[[Any], Any], what: str) -> Any:  # noqa: ANN401 - an object, or a list of them
    from sluice.cluster.errors import ApiError, Unavailable  # noqa: PLC0415 - see the package

    try:
        async with connected(access) as client:
            return await request(client)
    except Unavailable as error:
        message = f"the API server cannot be reached: {error}"
        raise Unknown(message) from error
    except ApiError as error:
        message = f"{what}: {error}"
        raise Refused(message) from error

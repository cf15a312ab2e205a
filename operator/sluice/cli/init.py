"""`sluice init`: the manifests of a first release, out of a folder with a model.

What is written is complete and strict, and small: a namespace, one key, one role, a signature and an approval. Nothing in it is made up: the digest is
computed, and who is trusted, who approves and who owns the model are options, for nobody can guess them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click

from sluice.cli.access import Refused, object_name
from sluice.cli.hashing_bar import hashing_bar
from sluice.cli.sign_model import write_bundle
from sluice.cli.trusted import FILE, text_of
from sluice.cli.verify import OUTPUT, answering, tell
from sluice.cli.verify_model import DEFAULT_BUNDLE, beside

_TRUST_ROOT: Final = "ci"
_PEOPLE: Final = "approvers"
_CHANGES: Final = ["Train", "Retrain", "FineTune", "Distill", "Prune", "Quantize", "Merge"]
_COMMENTS: Final = {
    "namespace.yaml": "Policies select namespaces by their labels. govern: Pods start when their release is entitled; stage: which releases may serve.",
    "trustroot.yaml": "Whose signatures can be verified at all. Who may sign what is said in policy.yaml.",
    "approvers.yaml": "The keys of people who sign approvals. Whose key it is, and what they may approve, is said in policy.yaml.",
    "policy.yaml": "Who may sign what, who may decide as what, and what a release needs. The platform team owns it.",
    "modelrelease.yaml": "One immutable version of one model. New weights, data, behaviour or authority is a new ModelRelease.",
}


def _image(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Accept an image that is named by digest: tags move."""
    if value is not None and not re.fullmatch(r"[^\s@]+@sha256:[0-9a-f]{64}", value):
        message = f"{value!r}: name the image by digest, as registry.example.com/churn@sha256:…"
        raise click.BadParameter(message)
    return value


def _keys_of_people(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[Path, str]:
    """Read whose key is in which file."""
    found: dict[Path, str] = {}
    for value in values:
        user, between, file = value.rpartition("=")
        if not between or not user:
            message = f"{value!r}: say whose key it is, as olga@example.com=olga.pub"
            raise click.BadParameter(message)
        path = Path(FILE.convert(file, _parameter, _context))
        if path in found:
            message = f"{path} is the key of {found[path]} already: what several people may sign with approves nothing"
            raise click.BadParameter(message)
        found[path] = user
    return found


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path), metavar="DIR")
@click.option("--model", required=True, help="Name of the model, the same in all its releases.")
@click.option("--version", required=True, help="Version of the model.")
@click.option("-n", "--namespace", required=True, callback=object_name, help="Namespace that it is to serve in.")
@click.option("--key", type=FILE, required=True, help="Public key (PEM) of whoever signs the model; it is named like its file.")
@click.option("--approver", "approvers", multiple=True, help="Who may approve, as the API server knows them (kubectl auth whoami).")
@click.option(
    "--approver-key", "signers", multiple=True, callback=_keys_of_people, metavar="USER=FILE",
    help="Who may sign approvals for Git, and the public key (PEM) that is theirs alone: olga@example.com=olga.pub.",
)  # fmt: skip
@click.option("--owner", required=True, help="Group that answers for the model.")
@click.option("--contact", required=True, help="Where to reach the group.")
@click.option("--change", type=click.Choice(_CHANGES), default="Train", show_default=True, help="How the model came to differ from its baseline.")
@click.option("--baseline", callback=object_name, help="The release that it replaces; none for the first one.")
@click.option("--image", callback=_image, help="The image that serves it, by digest; may be added later.")
@click.option("--stage", default="production", show_default=True, help="What the namespace is for: its label sluice.dev/stage.")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), default=Path(), show_default="here", help="Folder that the files are written to.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--threads", type=click.IntRange(1, 64), help="Threads that hash.  [default: one for each core]")
@OUTPUT
def init(*, folder: Path, namespace: str, key: Path, to: Path, force: bool, threads: int | None, output: str, **said: Any) -> None:  # noqa: ANN401 - options
    """Write the manifests of a release of the model in DIR: modelrelease.yaml, policy.yaml, trustroot.yaml and namespace.yaml; approvers.yaml where they sign.

    \b
      openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out trainer.pem && openssl pkey -in trainer.pem -pubout -out trainer.pub
      sluice init ./churn --model churn --version 1.0.0 -n payments --key trainer.pub --approver olga@example.com \\
        --owner payments-ml --contact payments-ml@example.com --to deploy/

    The digest of the model is computed, as `sluice sign model DIR` without further options does. What the cluster would say to all of it: sluice check.

    \b
    Ends with  0  written, and what to do next is printed
               1  not written: a file is there already (--force), or DIR is no model that could be signed
               2  usage: an option that no cluster would take
               3  something cannot be read or written
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.provenance.model_directory import manifest_of  # noqa: PLC0415 - see the package
    from sluice.provenance.model_statement import GIT_PATHS  # noqa: PLC0415

    with answering(output, what="written"):
        if not said["approvers"] and not said["signers"]:
            raise click.UsageError("nobody could approve: give --approver USER, or --approver-key USER=FILE for who signs approvals")
        # Everything but the digest is tried first: hashing may take minutes.
        items = manifests(namespace=namespace, key=key, digest="sha256:" + "0" * 64, uncovered=(), **said)
        paths = {name: to / name for name in items}
        if not force and (there := [str(path) for path in paths.values() if path.exists()]):
            raise Refused(f"{', '.join(there)} {'are' if len(there) > 1 else 'is'} there already; nothing was written (--force writes over)")
        for name, item in items.items():
            _check(name, item)
        with hashing_bar(folder, quiet=output != "table") as progress:
            found = manifest_of(folder, leave_out={*GIT_PATHS, DEFAULT_BUNDLE}, threads=threads, progress=progress)
        items = manifests(namespace=namespace, key=key, digest=found.digest, uncovered=found.uncovered, **said)
        to.mkdir(parents=True, exist_ok=True)
        for name, item in items.items():
            write_bundle(paths[name], _text(name, item).encode())
        release = items["modelrelease.yaml"]["metadata"]["name"]
        tell(
            {
                "written": True, "release": f"{namespace}/{release}", "digest": found.digest, "files": [str(path) for path in paths.values()],
                "next": [
                    f"sluice sign model {folder} --key {key.with_suffix('.pem') if key.suffix == '.pub' else 'PRIVATE.pem'}",
                    f"sluice evidence create --bundle {beside(folder)} --name {release}-weights -n {namespace} > {to / 'evidence.yaml'}",
                    f"sluice check -f {to} --until approval",
                    *_approvals(said["signers"], f"mr/{release} -n {namespace}", to),
                    f"kubectl apply -f {to}",
                ],
            },
            output,
        )  # fmt: skip


def _approvals(signers: dict[Path, str], release: str, to: Path) -> list[str]:
    """What the first of those who sign may type; how long their approval lasts is theirs to say."""
    private = [key.with_suffix(".pem") if key.suffix == ".pub" else "PRIVATE.pem" for key in signers]
    return [f"sluice approve {release} --role owner -f {to} --key {key} --expires DATE > {to / 'approval.yaml'}" for key in private[:1]]


def manifests(
    *, namespace: str, key: Path, digest: str, uncovered: tuple[str, ...], model: str, version: str, approvers: tuple[str, ...], signers: dict[Path, str],
    owner: str, contact: str, change: str, baseline: str | None, image: str | None, stage: str,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """The objects, by the names of their files. `uncovered` is what `digest` leaves out of the folder."""
    from sluice.api.names import API_VERSION, GOVERN_LABEL, STAGE_LABEL  # noqa: PLC0415 - see the package
    from sluice.cli.trust import labelled  # noqa: PLC0415

    labels = {path: label for label, path in labelled([key, *signers]).items()}
    name, stages = re.sub(r"[^a-z0-9]+", "-", f"{model}-{version}".lower()).strip("-"), {STAGE_LABEL: stage}
    artifacts = [{"name": "weights", "type": "Weights", "digest": digest}]
    if image:
        artifacts.append({"name": "server", "type": "Image", "uri": image, "digest": image.rpartition("@")[2]})
    signed = {"name": "weights-signed", "type": "ModelSignature", "artifactTypes": ["Weights"]} | ({"acceptUncovered": list(uncovered)} if uncovered else {})
    people = [{"kind": "User", "name": person} for person in approvers] + [{"kind": "Signer", "name": labels[path]} for path in signers]
    signing = [
        {"name": labels[path], "trustRoot": _PEOPLE, "key": labels[path], "may": ["Approval"], "operatedBy": {"users": [user]}}
        for path, user in signers.items()
    ]  # fmt: skip
    keys = {"keys": [{"name": labels[path], "pem": text_of(path)} for path in signers]}
    trusted = {"approvers.yaml": {"apiVersion": API_VERSION, "kind": "TrustRoot", "metadata": {"name": _PEOPLE}, "spec": keys}} if signers else {}
    return {
        "namespace.yaml": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {GOVERN_LABEL: "true", **stages}}},
        "trustroot.yaml": {
            "apiVersion": API_VERSION, "kind": "TrustRoot", "metadata": {"name": _TRUST_ROOT}, "spec": {"keys": [{"name": labels[key], "pem": text_of(key)}]},
        },
        **trusted,
        "policy.yaml": {
            "apiVersion": API_VERSION, "kind": "ReleasePolicy", "metadata": {"name": stage},
            "spec": {
                "selector": {"namespaces": {"matchLabels": stages}},
                "tiers": [{"name": "standard", "when": "true"}],
                "signers": [{"name": labels[key], "trustRoot": _TRUST_ROOT, "key": labels[key], "may": ["ModelSignature"]}, *signing],
                "roles": [{"name": "owner", "subjects": people}],
                "requirements": [signed, {"name": "approvals", "type": "Approval", "counts": {"owner": 1}}],
            },
        },
        "modelrelease.yaml": {
            "apiVersion": API_VERSION, "kind": "ModelRelease", "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "model": model, "version": version, "owner": {"group": owner, "contact": contact},
                "change": {"type": change} | ({"baseline": {"name": baseline}} if baseline else {}), "artifacts": artifacts, "stages": [stage],
            },
        },
    }  # fmt: skip


def _check(name: str, item: dict[str, Any]) -> None:
    """Refuse what no cluster would take. Raises UsageError, BadTrust."""
    from sluice.api.kinds import KINDS  # noqa: PLC0415 - see the package
    from sluice.cli.manifests import ManifestRefused, check_rules  # noqa: PLC0415
    from sluice.cli.trust import checked  # noqa: PLC0415
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415

    for kind in (kind for kind in KINDS if kind.name == item["kind"]):
        if isinstance(problem := read(kind.spec, item), Unreadable):
            raise click.UsageError(f"{name}: {problem}")
        try:
            check_rules(item)
        except ManifestRefused as error:
            raise click.UsageError(f"{name}: {error}") from None
    if item["kind"] == "TrustRoot":
        checked(item, where="--key" if name == "trustroot.yaml" else "--approver-key")


def _text(name: str, item: dict[str, Any]) -> str:
    from sluice.cli.trust import as_yaml  # noqa: PLC0415 - see the package

    return f"# {_COMMENTS[name]}\n{as_yaml(item)}\n"

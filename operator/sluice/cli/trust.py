"""`sluice trust …`: make a TrustRoot from what people have, show what is in one, and say what a change of it would stop verifying. Offline."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.access import object_name
from sluice.cli.answers import as_text
from sluice.cli.trusted import FILE, material_in, text_of, trusted_root_in
from sluice.cli.verify import OUTPUT, BadTrust

if TYPE_CHECKING:
    from sluice.cli.trust_material import Material


@click.group()
def trust() -> None:
    """Make, show and compare TrustRoots: whose signatures can be verified at all."""


@trust.command("import")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--name", required=True, callback=object_name, help="Name of the TrustRoot.")
@click.option("--timestamp-authority", "timestamps", type=FILE, help="Certificates of timestamp authorities, PEM; with certificates of a private PKI.")
@click.option("--accept-undated", is_flag=True, help="With certificates of a private PKI: signatures that no timestamp dates count as well.")
def import_(*, files: tuple[Path, ...], name: str, timestamps: Path | None, accept_undated: bool) -> None:
    """Write a TrustRoot (YAML) from a Sigstore trusted_root.json or trust config, from public keys, or from CA certificates (PEM).

    \b
      sluice trust import trusted_root.json --name sigstore > trust.yaml
      sluice trust import trainer.pub eval.pub --name ci | kubectl apply -f -
      sluice trust import ca.pem --name pki --timestamp-authority tsa.pem

    A key has the name of its file, without the ending. What cannot be used is refused here, not on the cluster.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.names import API_VERSION  # noqa: PLC0415

    texts = {path: text_of(path) for path in files}
    spec: dict[str, Any]
    certificates = ["BEGIN CERTIFICATE" in text for text in texts.values()]
    if any(certificates):
        if not all(certificates):
            raise click.UsageError("some of the files are certificates and some are not; what is trusted in two ways takes two TrustRoots")
        if timestamps is None and not accept_undated:
            raise click.UsageError("certificates end, and no signature could be dated: give --timestamp-authority FILE, or say --accept-undated")
        spec = {"certificateAuthorities": {"pem": "\n".join(text.strip() for text in texts.values()) + "\n"}}
        if timestamps is not None:
            spec["certificateAuthorities"]["timestampPem"] = text_of(timestamps)
        if accept_undated:
            spec["certificateAuthorities"]["undated"] = "Accept"
    elif any("BEGIN" in text for text in texts.values()):
        spec = {"keys": [{"name": name, "pem": texts[path]} for name, path in labelled(texts).items()]}
    elif len(files) == 1:
        spec = {"sigstore": {"trustedRoot": trusted_root_in(files[0], texts[files[0]])}}
    else:
        raise click.UsageError("several files are neither keys nor certificates; a trusted_root.json is imported alone")
    if "certificateAuthorities" not in spec and (timestamps is not None or accept_undated):
        raise click.UsageError("--timestamp-authority and --accept-undated go with CA certificates")
    document = {"apiVersion": API_VERSION, "kind": "TrustRoot", "metadata": {"name": name}, "spec": spec}
    checked(document, where=", ".join(map(str, files)))
    click.echo(as_yaml(document))


@trust.command()
@click.argument("file", type=FILE)
@OUTPUT
def show(*, file: Path, output: str) -> None:
    """Show who is trusted in FILE (a TrustRoot, or a trusted_root.json), for which times, and what it revokes.

    \b
      sluice trust show trust.yaml
      kubectl get mtr/ci -o yaml > ci.yaml && sluice trust show ci.yaml
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    found = _read(file)
    answer = {"name": found.name, "digest": found.digest, "trusted": list(found.authorities), "revoked": list(found.revoked)}
    if output == "table":
        click.echo(f"TrustRoot {found.name}  {found.digest}")
        for line in (*found.authorities, *found.revoked):
            click.echo(f"  {line}")
    else:
        _print(answer, output)


def as_yaml(document: dict[str, Any]) -> str:
    """YAML in which text of several lines, such as a PEM, stands as it is read."""
    import yaml  # noqa: PLC0415 - see the package

    dumper: Any = type("Readable", (yaml.SafeDumper,), {})
    dumper.add_representer(str, lambda to, text: to.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))
    return str(yaml.dump(document, Dumper=dumper, sort_keys=False)).rstrip()


@trust.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@OUTPUT
def diff(*, old: Path, new: Path, output: str) -> None:
    """Say what a change from OLD to NEW stops verifying, and what it lets in.

    \b
      kubectl get mtr/ci -o yaml > old.yaml && sluice trust diff old.yaml new.yaml && kubectl apply -f new.yaml

    Ends with 0 when nothing that verified before stops verifying, with 1 when something does: a key or an authority that is gone, a window that got
    shorter, something that was revoked.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    before, after = _read(old), _read(new)
    stops = sorted({*before.authorities} - {*after.authorities}) + sorted({*after.revoked} - {*before.revoked})
    begins = sorted({*after.authorities} - {*before.authorities}) + sorted({*before.revoked} - {*after.revoked})
    if output == "table":
        for line in stops:
            click.echo(f"- {line}")
        for line in begins:
            click.echo(f"+ {line}")
        click.echo("nothing changes" if not stops + begins else "what verified before may stop verifying" if stops else "what verified before verifies still")
    else:
        _print({"stopsVerifying": stops, "beginsVerifying": begins}, output)
    sys.exit(1 if stops else 0)


def _read(path: Path) -> Material:
    text = text_of(path)
    document = material_in(path, text)
    if document is None:
        document = {"kind": "TrustRoot", "metadata": {"name": path.stem}, "spec": {"sigstore": {"trustedRoot": trusted_root_in(path, text)}}}
    return checked(document, where=str(path))


def checked(document: dict[str, Any], *, where: str) -> Material:
    """What is trusted in a TrustRoot, which a cluster would take. Raises BadTrust."""
    from sluice.cli.trust_material import Material  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415

    try:
        return Material.of(document)
    except (ValueError, ProvenanceError) as error:
        raise BadTrust(f"{where}: {error}") from error


def labelled(paths: Iterable[Path]) -> dict[str, Path]:
    """The files by the names of their keys. Raises UsageError where two would have the same."""
    found: dict[str, Path] = {}
    for path in paths:
        label = label_of(path)
        if label in found:
            raise click.UsageError(f"{found[label]} and {path} would both be key {label!r}: rename one of them")
        found[label] = path
    return found


def label_of(path: Path) -> str:
    """The name of a key: that of its file, as far as a name may be spelled so."""
    kept = "".join(character if character.isalnum() and character.isascii() else "-" for character in path.stem.lower())
    return kept.strip("-")[:63].strip("-") or "key"


def _print(answer: dict[str, Any], output: str) -> None:
    click.echo(as_text(answer, output))

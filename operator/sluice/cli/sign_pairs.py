"""`sluice sign pairs`: vouch for a recording of what two releases answered to the same requests, so that a canary may count it.

The recording is read first, as scorers will read it on the cluster: what they would refuse is not signed.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.sign_model import WRITABLE, in_a_folder, write_bundle
from sluice.cli.signer import SignerChoice, signer_options
from sluice.cli.trusted import FILE
from sluice.cli.verify import OUTPUT, answering, tell

if TYPE_CHECKING:
    from sluice.api.recording import ConfigMapFile, ImageFile
    from sluice.api.strict_json import JsonObject
    from sluice.evidence.shadow_pairs import Named

_CONFIG_MAP_BYTES: Final = 1 << 20
_RELEASE: Final = re.compile(r"(?P<name>[^=]+)=(?P<digest>sha256:[0-9a-f]{64})")


def _release(_context: click.Context, _parameter: click.Parameter, value: str) -> Named:
    from sluice.evidence.shadow_pairs import Named  # noqa: PLC0415 - see the package

    found = _RELEASE.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r}: write NAME=sha256:…, with the releaseDigest of its status")
    return Named(name=found["name"], digest=found["digest"])


@click.command("pairs")
@click.option("--pairs", "pairs_file", type=FILE, required=True, help="The recording, JSON Lines.")
@click.option("--suite", "suite_file", type=FILE, required=True, help="The ScoringSuite that policy names; it says how answers are read.")
@click.option("--candidate", callback=_release, required=True, metavar="NAME=sha256:…", help="The release whose answers are recorded: status.releaseDigest.")
@click.option("--baseline", callback=_release, required=True, metavar="NAME=sha256:…", help="The release beside it.")
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), required=True, help="When recording began, UTC: 2026-01-31T12:00:00Z.")
@click.option("--until", "end", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), required=True, help="When it ended.")
@click.option("--reference", metavar="REPOSITORY@sha256:…", help="The image that holds the file, as `sluice suite pack` names it.")
@click.option("--config-map", metavar="NAME/KEY", help="Instead: the ConfigMap in the namespace of the release that holds it, 1 MiB at most.")
@signer_options
@click.option("--bundle", "bundle_file", type=WRITABLE, callback=in_a_folder, required=True, help="Where to write the bundle.")
@OUTPUT
def sign_pairs(
    *,
    pairs_file: Path,
    suite_file: Path,
    candidate: Named,
    baseline: Named,
    start: datetime,
    end: datetime,
    reference: str | None,
    config_map: str | None,
    who: SignerChoice,
    bundle_file: Path,
    output: str,
) -> None:
    """Sign that a recording holds what CANDIDATE and BASELINE answered to the same requests, all of them.

    \b
      sluice sign pairs --pairs pairs.jsonl --suite suite.yaml --candidate churn-2-1-0=sha256:4f2a… --baseline churn-2-0-0=sha256:91bc… \\
        --from 2026-01-30T00:00:00Z --until 2026-01-31T00:00:00Z --reference registry.example.com/churn/pairs@sha256:07aa… \\
        --key mirror.pem --bundle pairs.sigstore.json
      sluice evidence create --bundle pairs.sigstore.json -n payments > evidence/pairs.yaml
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.digests import suite_digest  # noqa: PLC0415 - see the package
    from sluice.cli.pairs import plan_of  # noqa: PLC0415
    from sluice.cli.suite_file import read_named_suite  # noqa: PLC0415
    from sluice.evidence.shadow_pairs import PREDICATE_TYPE, Named, ShadowPairs, parse_pairs  # noqa: PLC0415
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415
    from sluice.provenance.statement import STATEMENT_TYPE, parse_statement  # noqa: PLC0415
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415
    from sluice.scoring.plan import ALL_UNITS  # noqa: PLC0415
    from sluice.scoring.replay.pairs import PINNED  # noqa: PLC0415

    with answering(output, what="signed"):
        name, suite = read_named_suite(suite_file)
        if suite.cases.recorded is None:
            raise click.UsageError(f"{suite_file}: the suite asks both models its cases; one that counts recordings has `cases: {{recorded: Pairs}}`")
        if end < start:
            raise click.UsageError(
                f"--until {end:%Y-%m-%dT%H:%M:%SZ} is before --from {start:%Y-%m-%dT%H:%M:%SZ}: write when recording began, and when it ended"
            )
        kept = _place(reference, config_map, size=pairs_file.stat().st_size)
        try:
            _, pairs, _ = plan_of(suite_file, pairs_file, seed=0, planned=ALL_UNITS, scorers={}, bounds=PINNED)
        except SuiteRefused as error:
            raise click.UsageError(f"{pairs_file}: {error}") from error
        said = ShadowPairs(
            digest=pairs.cases.digest, candidate=candidate, baseline=baseline, suite=Named(name=name, digest=suite_digest(suite)),
            recorded_from=start.replace(tzinfo=UTC), recorded_until=end.replace(tzinfo=UTC), questions=pairs.cases.count, kept=kept,
        )  # fmt: skip
        statement: JsonObject = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": pairs_file.name, "digest": {"sha256": said.digest.removeprefix("sha256:")}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": said.predicate(),
        }
        payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            # What nobody would read is not signed.
            parse_pairs(parse_statement(payload))
        except ProvenanceError as error:
            raise click.UsageError(str(error)) from error
        signed = who.signer().sign(payload)
        write_bundle(bundle_file, signed.bundle)
        answer: JsonObject = {
            "signed": True, "recording": said.digest, "questions": said.questions, "candidate": f"{candidate.name} {candidate.digest}",
            "baseline": f"{baseline.name} {baseline.digest}", "suite": f"{name} {said.suite.digest}", "bundle": str(bundle_file),
        }  # fmt: skip
        tell({**answer, **signed.signer}, output)


def _place(reference: str | None, config_map: str | None, *, size: int) -> ConfigMapFile | ImageFile:
    from pydantic import ValidationError  # noqa: PLC0415 - see the package

    from sluice.api.recording import ConfigMapFile, ImageFile  # noqa: PLC0415

    if (reference is None) == (config_map is None):
        raise click.UsageError("say where the cluster finds the recording: one of --reference and --config-map")
    try:
        if reference is not None:
            return ImageFile(reference=reference)
        name, _, key = str(config_map).partition("/")
        if size > _CONFIG_MAP_BYTES:
            raise click.UsageError(f"the recording is {size:,} bytes, and a ConfigMap holds 1 MiB: keep it in a registry (sluice suite pack), with --reference")
        return ConfigMapFile(name=name, key=key)
    except ValidationError as error:
        if reference is not None:
            told = f"--reference {reference!r}: write REPOSITORY@sha256:DIGEST, as `sluice suite pack` prints it; a tag can be moved"
        else:
            told = f"--config-map {config_map!r}: write NAME/KEY, such as churn-pairs/pairs.jsonl"
        raise click.UsageError(told) from error

"""Everything of a suite that comes from elsewhere, on a real node: cases or recorded pairs out of a registry, a scorer in a container of one's own, a judge."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from e2e.cluster import Cluster
from sluice.cli import main
from sluice.scoring.cases import read_cases
from sluice.scoring.cases_image import layout_of
from tests.cluster.canary_story import BASELINE, PORT, Canary, Object, sluice_image
from tests.cluster.controller import NAMESPACE, Controller, Process
from tests.cluster.namespace import Namespace
from tests.signing import plain_keys, public_pem
from tests.unit.cli.models import desk

CASES = "".join(json.dumps({"id": f"c-{n}", "input": {"text": str(n)}, "expect": {"text": "yes" if n % 2 else "no"}}) + "\n" for n in range(150)).encode()
_PYTHON = "/opt/sluice/bin/python3"
_SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def answer(self, said):
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(reply(asked))
    def log_message(self, *_):
        pass
"""
SCORER = f"""{_SERVER}
def reply(asked):
    return {{"value": 1.0 if asked["answer"]["text"] == asked["case"]["expect"]["text"] else 0.0}}
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
MODEL = f"""{_SERVER}
def reply(asked):
    if "messages" in asked:
        parts = dict(part.split(":\\n", 1) for part in asked["messages"][1]["content"].split("\\n\\n"))
        verdict = "tie" if parts["first"] == parts["second"] else "first"
        return {{"choices": [{{"message": {{"role": "assistant", "content": json.dumps({{"verdict": verdict}})}}, "finish_reason": "stop"}}]}}
    return {{"label": "yes" if int(asked["text"]) % 2 else "no"}}
ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    return sluice_image(cluster)


@pytest.fixture(scope="module")
def controller(cluster: Cluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Controller(cluster, tmp_path_factory.mktemp("controller")) as installed:
        yield installed.lead("controller-0", scorer_image=image, canary_start=30.0, samples_repository=f"http://{cluster.registry}/samples")


def image_of(file: bytes, cluster: Cluster, folder: Path, *, repository: str = "cases") -> str:
    """A file of cases, or of pairs, in the cluster's registry, by digest."""
    layout = layout_of(file)
    for name, content in layout.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    reference = cluster.load_image(folder, repository=repository)
    assert reference.endswith(layout.digest), "the registry has another image than the suite would name"
    return reference


def scorer_image(cluster: Cluster, base: str, folder: Path) -> str:
    """An image of somebody else's: one file on top of a Python, and what starts it."""
    layer = folder / "scorer.tar"
    with tarfile.open(layer, "w") as archive:
        entry = tarfile.TarInfo("scorer.py")
        entry.size, entry.mode = len(SCORER.encode()), 0o444
        archive.addfile(entry, io.BytesIO(SCORER.encode()))
    target = f"{cluster.registry}/own-scorer:1"
    starts = [f"--entrypoint={_PYTHON}", "--cmd=/scorer.py"]
    mutate = [str(cluster.binaries["crane"]), "mutate", "--insecure", base, f"--append={layer}", *starts, f"--tag={target}"]
    return subprocess.run(mutate, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class Elsewhere(Canary):
    """The suite has cases in a registry, a scorer in a container, and the baseline, which serves here anyway, as judge."""

    cases: Object
    own: str
    judge_digest = ""

    def suite(self) -> Object:
        suite = super().suite()
        judge = {"release": BASELINE, "releaseDigest": self.judge_digest, "port": PORT, "model": "judge", "rubric": "The right one is better."}
        suite["spec"]["cases"] = {"oci": self.cases}
        suite["spec"]["scorers"] += [
            {"name": "own", "type": "Container", "container": {"image": self.own, "memory": "128Mi"}},
            {"name": "judged", "type": "LLMJudge", "judge": judge},
        ]
        return suite

    def deployment_of(self, wrong: int, *, replicas: int = 2) -> Object:
        deployment = super().deployment_of(wrong, replicas=replicas)
        deployment["spec"]["template"]["spec"]["containers"][0]["command"] = [_PYTHON, "-c", MODEL]
        return deployment


def test_cases_scorers_and_judges_from_elsewhere_promote_a_good_candidate(
    controller: Process, cluster: Cluster, ns: Namespace, image: str, tmp_path: Path
) -> None:
    assert controller.process.poll() is None, controller.said()
    story = Elsewhere(ns, image, terms={"margin": "0.15"})
    story.cases = {"reference": image_of(CASES, cluster, tmp_path / "cases"), "digest": read_cases(CASES).digest, "count": 150}
    story.own = scorer_image(cluster, image, tmp_path)
    first = Elsewhere(ns, image, release=BASELINE, baseline=None, terms={"margin": "0.15"})
    story.__dict__["first"] = first
    first.platform()
    first.propose()
    story.judge_digest = str(ns.wait("modelrelease", BASELINE, lambda item: bool(item.get("status", {}).get("releaseDigest")))["status"]["releaseDigest"])
    story.serve_baseline()
    story.push(wrong=0)
    status = story.wait_decision("Promote")["status"]
    assert {metric["name"]: float(metric["estimate"]) for metric in status["metrics"]} == {"accuracy": 0, "own": 0, "judged": 0}
    assert status["planned"] == 150
    story.wait_phase("Serving")
    # What every answer was is kept in the registry, as one object that the run names.
    told = ns.wait("canaryrun", f"{story.release}-1", lambda item: item["status"].get("samples"), seconds=60)["status"]["samples"]
    repository = told["uri"].removeprefix("oci://").partition("@")[0]
    blob = [str(cluster.binaries["crane"]), "blob", "--insecure", f"{repository}@{told['digest']}"]
    kept = subprocess.run(blob, check=True, capture_output=True, timeout=60).stdout
    assert "sha256:" + hashlib.sha256(kept).hexdigest() == told["digest"]
    ranks = [json.loads(line)["rank"] for line in kept.splitlines()]
    assert ranks == list(range(len(ranks)))
    assert len(ranks) >= status["units"]
    # From that, the suite and the cases, anybody comes to the same decision, without a cluster.
    objects = {"run.yaml": ns.get("canaryrun", f"{story.release}-1"), "suite.yaml": story.suite()}
    for name, content in objects.items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    (tmp_path / "cases.jsonl").write_bytes(CASES)
    (tmp_path / "samples.jsonl").write_bytes(kept)
    published = json.loads(cluster.kubectl("get", "configmap", "sluice-controller-key", f"--namespace={NAMESPACE}", "--output=json").stdout)
    (tmp_path / "keys.json").write_text(published["data"]["trust-root.json"])
    files = {"suite": "suite.yaml", "cases": "cases.jsonl", "samples": "samples.jsonl", "trust-root": "keys.json"}
    flags = [f"--{name}={tmp_path / file}" for name, file in files.items()]
    repeated = CliRunner().invoke(main, ["canary", "verify", str(tmp_path / "run.yaml"), *flags])
    assert repeated.exit_code == 0, repeated.output
    assert "same     record    Promote, signed by the controller" in repeated.output
    assert "same     decision  Promote (WithinMargin)" in repeated.output
    people_see_the_run(cluster, story, tmp_path)


def people_see_the_run(cluster: Cluster, story: Canary, folder: Path) -> None:
    """What the command line makes of a run on a real API server: the numbers as they stand, and a page of how it came about."""
    access = [f"mr/{story.release}", f"--namespace={story.ns.name}", f"--kubeconfig={cluster.kubeconfig}"]
    watched = CliRunner().invoke(main, ["canary", "watch", *access])
    assert watched.exit_code == 0, watched.output
    assert " of 150 cases  " in watched.output
    assert "has met what policy asks" in watched.output
    pages = [f"--output={folder / 'report.html'}", f"--json={folder / 'report.json'}"]
    reported = CliRunner().invoke(main, ["canary", "report", *access, *pages])
    assert (reported.exit_code, reported.output) == (0, ""), reported.output
    told = json.loads((folder / "report.json").read_text())
    assert (told["decision"], {scorer["name"] for scorer in told["detail"]["scorers"]}) == ("Promote", {"own", "judged"})
    assert {path["name"] for path in told["detail"]["paths"]} == {"accuracy", "own", "judged"}, "the scorers are gone, and what they counted is not"
    assert "<svg" in (folder / "report.html").read_text()


class Recorded(Canary):
    """The suite asks nobody; what a mirror recorded is signed with a key of its own. The Deployment has no Pods: nothing here needs one."""

    def suite(self) -> Object:
        return super().suite() | {"spec": super().suite()["spec"] | {"cases": {"recorded": "Pairs"}}}

    def policy_spec(self) -> Object:
        policy = super().policy_spec()
        policy["signers"].append({"name": "mirror", "trustRoot": f"{self.ns.name}-mirror", "key": "mirror", "may": ["ShadowPairs"]})
        return policy

    def recording(self) -> str:
        answers = [{"seconds": 0.1, "body": json.dumps({"label": label})} for label in ("no", "yes")]
        return "".join(
            json.dumps(
                {"input": {"fields": {"text": str(n)}}, "expect": {"text": ("no", "yes")[n % 2]}, "baseline": answers[n % 2], "candidate": answers[n % 2]}
            )
            + "\n"
            for n in range(150)
        )

    def approved(self, before: str, after: str) -> str:
        """People approve the release, which goes from one phase to another; gives its digest."""
        self.propose()
        self.wait_phase(before)
        self.approve()
        return str(self.wait_phase(after)["status"]["releaseDigest"])


def test_a_recording_that_somebody_signed_promotes_a_good_candidate_and_nobody_is_asked(
    controller: Process, cluster: Cluster, ns: Namespace, image: str, tmp_path: Path
) -> None:
    assert controller.process.poll() is None, controller.said()
    story = Recorded(ns, image, terms={"margin": "0.15"})
    first = Recorded(ns, image, release=BASELINE, baseline=None, terms={"margin": "0.15"})
    keys = {"keys": [{"name": "mirror", "pem": public_pem(plain_keys()["p256"])}]}
    ns.apply({"apiVersion": "sluice.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": f"{ns.name}-mirror"}, "spec": keys})
    first.platform()
    ns.apply(first.suite())
    first.prove()
    baseline = first.approved("AwaitingApproval", "Serving")
    ns.apply(first.deployment_of(wrong=0, replicas=0))
    candidate = story.approved("AwaitingEvidence", "AwaitingEvidence")
    ns.apply(story.deployment_of(wrong=0, replicas=0))
    # Whoever runs the mirror signs what it recorded, and what is signed is found by the candidate.
    (tmp_path / "pairs.jsonl").write_text(story.recording())
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(story.suite()))
    flags = {
        "pairs": tmp_path / "pairs.jsonl", "suite": tmp_path / "suite.yaml", "candidate": f"{story.release}={candidate}", "baseline": f"{BASELINE}={baseline}",
        "from": "2026-11-19T00:00:00Z", "until": "2026-11-20T00:00:00Z", "key": desk(tmp_path).key(), "bundle": tmp_path / "pairs.sigstore.json",
        "reference": image_of(story.recording().encode(), cluster, tmp_path / "image", repository="pairs"),
    }  # fmt: skip
    signed = CliRunner().invoke(main, ["sign", "pairs", *(f"--{name}={value}" for name, value in flags.items())])
    assert signed.exit_code == 0, signed.output
    evidence = CliRunner().invoke(main, ["evidence", "create", "--bundle", str(flags["bundle"]), "--name", "pairs"])
    ns.apply(yaml.safe_load(evidence.stdout))
    run = story.wait_decision("Promote")
    digest = "sha256:" + hashlib.sha256(story.recording().encode()).hexdigest()
    assert (run["spec"]["recording"]["digest"], run["spec"]["shards"], run["status"]["planned"]) == (digest, 1, 150)
    assert [(metric["name"], metric["pairs"], float(metric["estimate"])) for metric in run["status"]["metrics"]] == [("accuracy", run["status"]["units"], 0)]
    story.wait_phase("Serving")
    # The recording is all that an auditor needs; and nobody vouches for it when the evidence is gone.
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    given = [f"--{name}={tmp_path / file}" for name, file in {"suite": "suite.yaml", "cases": "pairs.jsonl"}.items()]
    repeated = CliRunner().invoke(main, ["canary", "verify", str(tmp_path / "run.yaml"), *given])
    assert repeated.exit_code == 0, repeated.output
    ns.delete("releaseevidence", "pairs")
    story.wait_phase("AwaitingEvidence")

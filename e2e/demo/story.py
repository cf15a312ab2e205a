"""The story, in the order people live it. Every line it prints as somebody's answer is what the cluster really said."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import yaml
from rich.console import Console

from e2e.cluster.api_server import Person
from e2e.demo import manifests, suite
from e2e.demo.ingredients import Ingredients, Version
from e2e.demo.manifests import BUILDER, EVALUATOR, ISSUER, NAMESPACE, TRAINER, Model
from e2e.demo.target import Target
from e2e.demo.users import Answers, ask, asking
from e2e.sigstore import PrivateSigstore, evaluation_statement, model_signature_statement, slsa_statement

OLGA = Person(user="olga@example.com", groups=("digits-leads",))
SAM = Person(user="sam@example.com", groups=("appsec",))
TINA = Person(user="tina@example.com", groups=("digits-trainers", "appsec"))
A_POINT = 0.01
_SWAP = """
import urllib.request
from safetensors.numpy import load_file, save_file
weights = load_file("/mnt/models/model.safetensors")
weights["layer.0.weight"] = weights["layer.0.weight"][::-1].copy()
save_file(weights, "/mnt/models/model.safetensors")
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080/v2/repository/models/digits/load", method="POST"), timeout=20).close()
"""
"""Turns the image upside down, as it were: the pixels are taken in the opposite order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step and how long it took."""

    step: str
    seconds: float


class Story:
    """Tells the story on one target; `told` keeps the time of each step."""

    def __init__(self, target: Target, sigstore: PrivateSigstore, console: Console) -> None:
        """Begin."""
        self.target, self.sigstore, self.console = target, sigstore, console
        self.told: list[Told] = []

    def tell(self, told: Ingredients) -> None:
        """Refused, held, approved, served; compared, promoted and rolled back; and what is tampered with is stopped."""
        self._set_up(told.old)
        first, second = self._model(told.old), self._model(told.new)
        self._nobody_gets_around_the_gate(first)
        self._approved_and_served(told.old, first)
        self._held_without_approval(told.new, second)
        self._compared_and_promoted(told.new, second)
        self._compared_and_rolled_back(told.coarse, self._model(told.coarse), told.new, second)
        self._what_serves_is_probed(told.new, second)
        self._tampering_is_stopped(self._model(told.forged), told.forged, second, good=told.new)
        self._drift_is_found_and_rolled_back(told.new, second, first)

    def _set_up(self, version: Version) -> None:
        with self._step("The platform team opts a namespace in: policy, trust root, roles, and what candidates are asked"):
            self.target.apply(*manifests.platform(self.sigstore.trusted_root_json, questions=len(version.held_out)))
            asked = {suite.NAME: version.held_out, suite.PROBE: version.held_out[: suite.PROBED]}
            made = [item for name, questions in asked.items() for item in suite.suite(suite.cases(questions), namespace=NAMESPACE, name=name)]
            self.target.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(made))
            self.target.wait("the policy is accepted", lambda: self._condition("mrp/production", "Accepted") == "True")

    def _nobody_gets_around_the_gate(self, model: Model) -> None:
        with self._step("Serving the model without naming a release is refused"):
            self.target.apply(manifests.release(model))
            self.target.wait("the release is looked at", lambda: self._status(model.release).get("phase"))
            self._refused(self.target.apply(manifests.pod(model, release_name=None), check=False))
        with self._step("Naming a release that is not there is held"):
            answer = self.target.apply(*manifests.serving(model, release_name="digits-9-9-9"))
            self._said(answer.stderr)
            self.target.wait("the Deployment is paused", lambda: self._deployment()["spec"].get("paused"))
            self._no_pods("digits-9-9-9")
            self._show("get", "deployment", "digits")

    def _approved_and_served(self, version: Version, model: Model) -> None:
        with self._step("CI signs weights, images and evaluation; the owner and security approve; it serves"):
            self.target.apply(*manifests.serving(model, release_name=model.release))
            self.target.apply(*self._evidence(version, model))
            self.target.wait("the evidence is complete", lambda: self._status(model.release).get("phase") == "AwaitingApproval")
            self._approve(model.release, "owner", OLGA)
            self._approve(model.release, "security", SAM)
            self._rolled_out()
            self._predict(version)

    def _held_without_approval(self, version: Version, model: Model) -> None:
        with self._step(f"A quantised version {model.version} with evidence and no approval: the Deployment stays held, the old version untouched"):
            before = self._running_pods()
            self.target.apply(manifests.release(model), *self._evidence(version, model))
            answer = self.target.apply(*manifests.serving(model, release_name=model.release))
            self._said(answer.stderr)
            self.target.wait("the evidence is complete", lambda: self._status(model.release).get("phase") == "AwaitingApproval")
            self._said(self._requirement(model.release, "quality")["message"])
            held = self._deployment()
            _expect(held["spec"].get("paused") is True, "the Deployment is paused")
            _expect(self._running_pods() == before, "the old Pods are the same, all of them")
            self._show("get", "mr")
            self._show("get", "deployment,pods")

    def _compared_and_promoted(self, version: Version, model: Model) -> None:
        with self._step(f"Approved by two people: {model.version} answers all that the old version is asked, is no worse, and rolls out"):
            with self._users(version) as users:
                run = self._compared(model, "Promote")
                self._rolled_out()
                self.target.wait("both Pods run the new version, and the old ones and the canary end", lambda: self._only_serves(model))
            self._numbers(run, users)
            self._show("get", "mr,pods")

    def _only_serves(self, model: Model) -> bool:
        pods = self.target.every("pods", selector="app=digits")
        staying = [pod for pod in pods if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]
        return len(staying) == 2 and all(pod["metadata"]["labels"]["sluice.dev/release"] == model.release for pod in staying)  # noqa: PLR2004 - replicas

    def _compared_and_rolled_back(self, version: Version, model: Model, good: Version, serving: Model) -> None:
        with self._step(f"{model.version} has three bits, two in one layer: as good on average, approved – and rolled back, as it loses what is rare"):
            before = self._running_pods()
            self.target.apply(manifests.release(model), *self._evidence(version, model))
            self.target.apply(*manifests.serving(model, release_name=model.release))
            self.target.wait("the evidence is complete", lambda: self._status(model.release).get("phase") == "AwaitingApproval")
            self._said(self._requirement(model.release, "quality")["message"])
            lost = good.accuracy - version.accuracy
            self._said(f"on average it loses {100 * lost:.1f} points to {serving.version}")
            _expect(abs(lost) <= A_POINT, "the average stays within a point")
            with self._users(version) as users:
                run = self._compared(model, "RollBack")
                self.target.wait("the canary is gone", lambda: self._condition(f"mcr/{run}", "Complete") == "True")
            self._numbers(run, users)
            _expect(users.by_version[model.version] == 0, f"{model.version} answered no user")
            _expect(self._running_pods() == before, "the old Pods are the same, all of them")
            self._show("get", "mr,pods")
            self._refused(self.target.apply(manifests.pod(model, release_name=model.release), check=False))
            self.target.apply(*manifests.serving(serving, release_name=serving.release))
            self._rolled_out()
            _expect(self._running_pods() == before, "Git is reverted and the old Pods are still the same")

    def _tampering_is_stopped(self, model: Model, version: Version, approved: Model, *, good: Version) -> None:
        with self._step("One byte of the signed weights manifest is changed: refused"):
            genuine, changed = (json.loads(self._sign(model_signature_statement(folder))) for folder in (good.folder, version.folder))
            genuine["dsseEnvelope"]["payload"] = changed["dsseEnvelope"]["payload"]
            self.target.apply(manifests.release(model), manifests.evidence("tampered", json.dumps(genuine).encode()))
            self.target.wait("the bundle is refused", lambda: self._condition("mre/tampered", "Verified") == "False")
            self._said(self._message("mre/tampered", "Verified"))
            self._refused(self.target.apply(manifests.pod(model, release_name=model.release), check=False))
        with self._step("The same weights, signed by somebody else: refused"):
            other = self._sign(model_signature_statement(version.folder), identity="mallory@example.com")
            self.target.kubectl("delete", "mre/tampered", "-n", NAMESPACE)
            self.target.apply(manifests.evidence("mallory", other))
            self.target.wait("the signer is named", lambda: "mallory" in self._requirement(model.release, "weights-signed")["message"])
            self._said(self._requirement(model.release, "weights-signed")["message"])
            self._refused(self.target.apply(manifests.pod(model, release_name=model.release), check=False))
        with self._step("A trainer approves what the trainers signed: not counted"):
            next_version = replace(approved, version="1.3.0", baseline=approved.release)
            self.target.apply(manifests.release(next_version))
            self.target.wait("the release waits for approval", lambda: self._status(next_version.release).get("phase") == "AwaitingApproval")
            name = self._approve(next_version.release, "security", TINA)
            self.target.wait("the approval is looked at", lambda: self._condition(f"mra/{name}", "Counted") == "False")
            self._said(self._message(f"mra/{name}", "Counted"))
            _expect(self._status(next_version.release)["phase"] == "AwaitingApproval", "the release still waits")
            self._show("get", "mr")

    def _what_serves_is_probed(self, version: Version, model: Model) -> None:
        with self._step("The platform team wants what serves to be watched: some of the images are asked every five seconds"):
            self.target.apply(manifests.watched(len(version.held_out)))
            self.target.wait(f"{model.version} has a monitor", lambda: self._monitor(model)["spec"])

    def _drift_is_found_and_rolled_back(self, version: Version, model: Model, baseline: Model) -> None:
        with self._step(f"Somebody changes the weights of {model.version} while it serves: a probe finds it, and {baseline.version} serves again"):
            self.target.wait("the first probe has said what is normal", lambda: self._monitor(model)["spec"].get("reference"))
            normal = json.loads(self._monitor(model)["spec"]["reference"]["mean"])
            self._said(f"normal: {100 * normal['mean']:.1f} % of {normal['n']} images are read right")
            with self._users(version) as users:
                began = time.monotonic()
                pods = [pod["metadata"]["name"] for pod in self.target.every("pods", selector=f"sluice.dev/release={model.release}")]
                with ThreadPoolExecutor() as hands:
                    list(hands.map(lambda pod: self.target.kubectl("exec", pod, "-n", NAMESPACE, "-c", "server", "--", "python3", "-c", _SWAP), pods))
                self.target.wait("a probe finds it", lambda: self._monitor(model).get("status", {}).get("findings"))
                found = time.monotonic() - began
                self.target.wait("the release is rolled back", lambda: self._status(model.release).get("phase") == "RolledBack")
                self.target.wait(f"only {baseline.version} serves", lambda: self._only_serves(baseline))
                gone = time.monotonic() - began
            (finding,) = self._monitor(model)["status"]["findings"]
            self._said(f"found after {found:.0f} s, {baseline.version} alone serves after {gone:.0f} s: {finding['message']}\n{users}")
            _expect(not users.failed, f"users got an answer each time (failed: {users.failed[:3]})")
            self._show("get", "mr,mrm,pods")

    def _monitor(self, model: Model) -> dict[str, Any]:
        """The monitor of a release; empty while there is none."""
        return next((item for item in self.target.every("mrm") if item["spec"]["release"]["name"] == model.release), {"spec": {}})

    # What people do

    def _model(self, version: Version) -> Model:
        return Model(
            version=version.number, change=version.change, weights=version.digest, image=version.image, server=version.server, baseline=version.baseline
        )

    def _evidence(self, version: Version, model: Model) -> list[dict[str, Any]]:
        image, server = (reference.rpartition("@")[2] for reference in (model.image, model.server))
        statements = {
            "weights": self._sign(model_signature_statement(version.folder)),
            "packaging": self._sign(slsa_statement({"digits": image}, BUILDER, [("file:weights", model.weights)])),
            "server": self._sign(slsa_statement({"model-server": server}, BUILDER)),
        }
        raw = evaluation_statement(model.weights, version.results.name, version.results.read_bytes())
        return [
            *(manifests.evidence(f"{model.release}-{name}", bundle) for name, bundle in statements.items()),
            manifests.evidence(f"{model.release}-evaluation", self._sign(raw, identity=EVALUATOR), (version.results.name, version.results.read_bytes())),
        ]

    def _sign(self, statement: Any, *, identity: str = TRAINER) -> bytes:  # noqa: ANN401 - a statement is JSON
        return self.sigstore.sign_statement(statement, identity=identity, issuer=ISSUER)

    def _users(self, version: Version) -> AbstractContextManager[Answers]:
        return asking(self.target, NAMESPACE, version.held_out[0].image)

    def _compared(self, model: Model, decision: str) -> str:
        """Approve, and give the run that compares the release with its baseline, once it has decided."""
        self._approve(model.release, "owner", OLGA)
        self._approve(model.release, "security", SAM)
        self.target.wait("the comparison has decided", lambda: self._decision(model.release) not in {"", "Pending"}, seconds=300)
        canary = self._status(model.release)["canary"]
        name = str(canary["run"]["name"])
        _expect(canary["decision"] == decision, f"run {name} decides {decision} (it was {canary['decision']}: {self._run(name)['message']})")
        return name

    def _decision(self, release: str) -> str:
        return str((self._status(release).get("canary") or {}).get("decision", ""))

    def _run(self, name: str) -> dict[str, Any]:
        return self.target.get("mcr", name).get("status") or {}

    def _approve(self, release: str, role: str, person: Person) -> str:
        manifest = self.target.sluice("approve", f"mr/{release}", "-n", NAMESPACE, "--role", role, "--dry-run", "-o", "yaml").stdout
        done = self.target.kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.name}", person=person, stdin=manifest)
        self.console.print(f"    [dim]$[/] kubectl sluice approve mr/{release} --role {role}   [dim]# {person.user}[/]", highlight=False, soft_wrap=True)
        return done.stdout

    # What is looked at

    def _status(self, release: str) -> dict[str, Any]:
        return self.target.get("mr", release).get("status") or {}

    def _requirement(self, release: str, name: str) -> dict[str, Any]:
        return next((item for item in self._status(release).get("requirements", ()) if item["name"] == name), {"message": ""})

    def _condition_of(self, what: str, type_: str) -> dict[str, Any]:
        status = self.target.get(*what.split("/")).get("status") or {}
        return next((item for item in status.get("conditions", ()) if item["type"] == type_), {})

    def _condition(self, what: str, type_: str) -> str:
        return str(self._condition_of(what, type_).get("status", ""))

    def _message(self, what: str, type_: str) -> str:
        return str(self._condition_of(what, type_).get("message", ""))

    def _deployment(self) -> dict[str, Any]:
        return self.target.get("deployment", "digits")

    def _running_pods(self) -> set[str]:
        """Name the Pods that run and are to stay."""
        items = self.target.every("pods", selector="app=digits")
        return {item["metadata"]["uid"] for item in items if item["status"].get("phase") == "Running" and "deletionTimestamp" not in item["metadata"]}

    def _no_pods(self, release: str) -> None:
        _expect(not self.target.every("pods", selector=f"sluice.dev/release={release}"), "no Pod exists")

    def _rolled_out(self) -> None:
        def done() -> bool:
            item = self._deployment()
            status = item.get("status") or {}
            current = status.get("observedGeneration") == item["metadata"]["generation"] and not item["spec"].get("paused")
            replicas = item["spec"]["replicas"]
            return current and all(status.get(field) == replicas for field in ("updatedReplicas", "availableReplicas", "replicas"))

        self.target.wait("the Deployment is rolled out", done, seconds=240)

    def _predict(self, version: Version) -> None:
        predicted = ask(self.target.proxy(), NAMESPACE, version.held_out[0].image)["outputs"][0]["data"][0]
        label = version.held_out[0].label
        _expect(predicted == label, f"the model reads a {label} (it said {predicted})")
        self.console.print(f"    a held-out image of a {label} → the model answers {predicted}", highlight=False)

    # What is shown

    @contextmanager
    def _step(self, text: str) -> Iterator[None]:
        self.console.print(f"\n[bold]{len(self.told) + 1}. {text}[/]", highlight=False, soft_wrap=True)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.console.print(f"    [red]FAILED[/] after {time.monotonic() - began:.1f} s: step {len(self.told) + 1}, {text}", highlight=False, soft_wrap=True)
            raise
        self.told.append(Told(step=text, seconds=time.monotonic() - began))
        self.console.print(f"    [dim]{self.told[-1].seconds:.1f} s[/]", highlight=False)

    def _numbers(self, name: str, users: Answers) -> None:
        """Print what a run has found, and what users noticed of it."""
        status = self._run(name)
        seconds = (datetime.fromisoformat(status["decidedAt"]) - datetime.fromisoformat(status["startedAt"])).total_seconds()
        lines = [f"{status['decision']} after {status['units']} of {status['planned']} images, {seconds:.0f} s after the first was asked: {status['message']}"]
        for metric in sorted(status["metrics"], key=lambda metric: (metric["slice"] != "all", float(metric["estimate"])))[:3]:
            low, high = (f"{float(bound):+.3f}" for bound in metric["interval"])
            lines.append(f"  {metric['name']} {metric['slice']}: {float(metric['estimate']):+.4f}, between {low} and {high}, {metric['pairs']} pairs")
        self._said("\n".join([*lines, str(users)]))
        _expect(bool(users.by_version) and not users.failed, f"users got an answer each time (failed: {users.failed[:3]})")

    def _refused(self, answer: Any) -> None:  # noqa: ANN401 - a finished process
        _expect(answer.returncode != 0 and "denied by sluice" in answer.stderr, f"it is denied by sluice, with the reason ({answer.stderr or answer.stdout})")
        self._said(answer.stderr)

    def _said(self, text: str) -> None:
        for line in text.strip().splitlines():
            self.console.print(f"    {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def _show(self, *arguments: str) -> None:
        self.console.print(f"    [dim]$[/] kubectl {' '.join(arguments)} -n {NAMESPACE}", highlight=False)
        for line in self.target.kubectl(*arguments, "-n", NAMESPACE).stdout.splitlines():
            self.console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)


def _expect(true: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not true:
        message = f"expected that {what}"
        raise AssertionError(message)

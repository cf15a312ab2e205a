"""The flags of `sluice controller`, and what they come to. What can be wrong about one is told when it is read, before anything runs."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice.cluster.aws_account import Account, NoAccount
from sluice.cluster.bucket import Bucket
from sluice.cluster.fetching import Registries
from sluice.cluster.lease import Timing
from sluice.cluster.outbound import ListedRegistry, Outbound
from sluice.cluster.prometheus import PrometheusServer
from sluice.cluster.registry import Repository, read_credentials
from sluice.cluster.registry_login import tls_trusting
from sluice.controller.samples_places import InBucket, InRegistry, Place
from sluice.rollout.scoring_job import ScorerImage

_PINNED: Final = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The flags of `sluice controller`. Times are in seconds."""

    namespace: str = "sluice-system"
    """Where the Lease is."""
    identity: str = ""
    """Name of the Pod; empty: the host's. Each start adds something random to it."""
    kubeconfig: Path | None = None
    context: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - a Pod is reached at its own address, which it does not know
    probe_port: int = 8080
    """For /healthz, /readyz and /metrics (HTTP); 0: any free port."""
    lease_duration: int = Timing().duration_seconds
    lease_renew_deadline: float = Timing().renew_deadline_seconds
    lease_retry: float = Timing().retry_seconds
    resync: float = 300.0
    """How often everything is looked at without any reason."""
    world_max_age: float = 90.0
    """Nothing is let in on knowledge older than this. The API server proves it anew about every 30 s."""
    concurrency: int = 8
    """Objects looked at at once."""
    scorer_image: str = ""
    """What the scorers of canary runs run: the image of Sluice itself, by digest. Without it runs wait."""
    verifier_image: str = ""
    """What checks weights where they are loaded: the image of Sluice itself, by digest. Without it, Pods that load such weights wait."""
    scorer_queue: str = ""
    """The Kueue LocalQueue that scoring Jobs wait in, in each namespace that has releases."""
    samples_repository: str = ""
    """Where the samples of canary runs are kept: `registry.example.com/team/samples`, with `http://` before it for one without TLS, or `s3://bucket/prefix`;
    empty: there are none."""
    samples_auth_file: Path | None = None
    """Docker configuration with user and password for a registry. For a bucket, credentials are where AWS tools look for them."""
    samples_endpoint: str = ""
    """Where the bucket's S3 is, `https://s3.example.com:9000`; empty: at Amazon."""
    samples_region: str = ""
    """The region that the bucket is in."""
    samples_keep: str = "digests"
    """What samples have of answers: their digests, or their texts, too."""
    canary_start: float = 600.0
    """How long the Pods of a canary run may take until they can be asked."""
    evidence_registry: tuple[str, ...] = ()
    """Registries that evidence may be fetched from, `registry.example.com` or a part of one, `registry.example.com/team`; `http://` before it: without TLS."""
    evidence_pull_secret: tuple[str, ...] = ()
    """Names of the Secrets, in the namespace of a release, that may hold an account at one of them."""
    registry_ca_file: Path | None = None
    """Authorities that certificates of registries may come from, beside those of the system. Read when the process starts."""
    prometheus_url: str = ""
    """The Prometheus that monitors ask. Without it, those that have a query are silent."""
    prometheus_token_file: Path | None = None
    """A bearer token for it."""
    prometheus_ca_file: Path | None = None
    """The CA of its certificate, where that is not one of the system's."""

    @property
    def timing(self) -> Timing:
        """Durations of the Lease. Raises ValueError when they do not fit together."""
        return Timing(duration_seconds=self.lease_duration, renew_deadline_seconds=self.lease_renew_deadline, retry_seconds=self.lease_retry)

    @property
    def scorers(self) -> ScorerImage | None:
        """What scorers run, and who may read them. Raises ValueError for an image that is not pinned: it could become another one."""
        if not self.scorer_image:
            return None
        if not _PINNED.fullmatch(self.scorer_image):
            raise ValueError(f"--scorer-image is {self.scorer_image[:200]!r}; name the image by digest, REPOSITORY@sha256:…")
        keep = self.samples_keep if self.samples_repository else None
        return ScorerImage(reference=self.scorer_image, controller_namespace=self.namespace, queue=self.scorer_queue, keep=keep)

    @property
    def samples(self) -> Place | None:
        """Where samples are kept. Raises ValueError for what is no such place, no configuration or has no credentials, and OSError."""
        if not self.samples_repository:
            return None
        if self.samples_repository.startswith("s3://"):
            return self._samples_bucket
        credentials = {} if self.samples_auth_file is None else read_credentials(self.samples_auth_file)
        return InRegistry(repository=Repository.parse(self.samples_repository, credentials=credentials, tls=self._registry_tls))

    @property
    def _samples_bucket(self) -> InBucket:
        if self.samples_auth_file is not None:
            raise ValueError("--samples-auth-file is for registries; give credentials for a bucket as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        try:
            account = Account.found()
        except NoAccount as error:
            raise ValueError(f"--samples-repository is a bucket, and {error}") from None
        place, endpoint, region = self.samples_repository, self.samples_endpoint, self.samples_region
        return InBucket(bucket=Bucket.parse(place, endpoint=endpoint, region=region, account=account, tls=self._registry_tls))

    @property
    def registries(self) -> Registries:
        """Where evidence may come from. Raises ValueError for what is no registry and no CA, and OSError."""
        return Registries(Outbound([ListedRegistry.parse(text) for text in self.evidence_registry]), tls=self._registry_tls)

    @property
    def _registry_tls(self) -> ssl.SSLContext | None:
        return None if self.registry_ca_file is None else tls_trusting(self.registry_ca_file)

    @property
    def prometheus(self) -> PrometheusServer | None:
        """Whom monitors ask. Raises ValueError for an address that is none, or that would send the token in the clear."""
        if not self.prometheus_url:
            return None
        return PrometheusServer(url=self.prometheus_url, token_file=self.prometheus_token_file, ca_file=self.prometheus_ca_file)

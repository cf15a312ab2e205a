"""Codes on the conditions `Fetched` of evidence and `Discovered` of releases, each with the sentence that docs/evidence-discovery.md prints."""

from __future__ import annotations

from enum import StrEnum


class DiscoveryReason(StrEnum):
    """What came of looking for evidence."""

    Fetched = "Fetched"
    EvidenceFound = "EvidenceFound"
    NothingFound = "NothingFound"
    TooMany = "TooMany"
    RegistryNotListed = "RegistryNotListed"
    RegistryUnreachable = "RegistryUnreachable"
    RegistryRefused = "RegistryRefused"
    NotAuthorized = "NotAuthorized"
    AddressRefused = "AddressRefused"
    NotFound = "NotFound"
    DigestMismatch = "DigestMismatch"
    TooLarge = "TooLarge"
    NotABundle = "NotABundle"
    NameTaken = "NameTaken"


DISCOVERY_MEANING: dict[DiscoveryReason, str] = {
    DiscoveryReason.Fetched: "What `bundle.oci` names is here, in the ReleaseEvidence that `status.storedAs` names. Whether it verifies is said there.",
    DiscoveryReason.EvidenceFound: "Bundles refer to artifacts of the release in their registry; each became a ReleaseEvidence.",
    DiscoveryReason.NothingFound: "No bundle refers to an artifact of the release. That proves nothing: who runs a registry can hide what is in it.",
    DiscoveryReason.TooMany: "More bundles refer to an artifact than are looked at. Delete some, or attach the right one as a ReleaseEvidence.",
    DiscoveryReason.RegistryNotListed: "Evidence comes only from registries that the installation lists (`evidence.registries` of the chart).",
    DiscoveryReason.RegistryUnreachable: "The registry did not answer. It is asked again, with growing pauses.",
    DiscoveryReason.RegistryRefused: "The registry answered something that is no answer to this question.",
    DiscoveryReason.NotAuthorized: "The registry wants another account. Name a pull secret in `evidence.pullSecrets` of the chart, and make it.",
    DiscoveryReason.AddressRefused: "The registry, or where it sends us on to, is at an address that is not public, or not https, and nobody listed it.",
    DiscoveryReason.NotFound: "The registry has no such manifest or blob.",
    DiscoveryReason.DigestMismatch: "The registry gave other bytes than the digest names. They were thrown away.",
    DiscoveryReason.TooLarge: "It is larger than what is read. Attach a smaller bundle.",
    DiscoveryReason.NotABundle: "The manifest does not hold exactly one Sigstore bundle.",
    DiscoveryReason.NameTaken: "There is a ReleaseEvidence of the name that is needed, with another content. Delete it.",
}

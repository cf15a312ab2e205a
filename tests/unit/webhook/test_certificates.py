"""When certificates are due, through years of rotation."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509 import verification

from sluice.webhook.certificates import Lifetimes, Material, MaterialMalformedError, renew

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("sluice-webhook.sluice-system.svc", "10.0.0.7")
LIFETIMES = Lifetimes(ca=timedelta(days=100), leaf=timedelta(days=30), overlap=timedelta(days=1))


def trusted(leaf: x509.Certificate, authorities: tuple[x509.Certificate, ...], now: datetime) -> bool:
    builder = verification.PolicyBuilder().store(verification.Store(list(authorities))).time(now)
    try:
        builder.build_server_verifier(x509.DNSName(NAMES[0])).verify(leaf, [])
    except verification.VerificationError:
        return False
    return True


def test_nothing_is_due_right_after_it_was_made() -> None:
    made = renew(None, NAMES, LIFETIMES, now=BEGIN)
    assert trusted(made.leaf, made.authorities, BEGIN)
    for later in (timedelta(0), timedelta(days=19)):
        assert renew(made, reversed(NAMES), LIFETIMES, now=BEGIN + later) is made


def test_what_is_stored_is_read_back() -> None:
    made = renew(None, NAMES, LIFETIMES, now=BEGIN)
    again = Material.read(made.stored())
    assert again.stored() == made.stored()
    assert renew(again, NAMES, LIFETIMES, now=BEGIN) is again


def test_the_leaf_is_renewed_by_the_same_authority_in_the_last_third_of_its_life() -> None:
    made = renew(None, NAMES, LIFETIMES, now=BEGIN)
    later = renew(made, NAMES, LIFETIMES, now=BEGIN + timedelta(days=20, hours=1))
    assert later.authorities == made.authorities
    assert later.leaf.not_valid_after_utc > made.leaf.not_valid_after_utc


def test_another_name_is_served_at_once() -> None:
    made = renew(None, NAMES, LIFETIMES, now=BEGIN)
    later = renew(made, ("other.svc",), LIFETIMES, now=BEGIN)
    assert later.leaf != made.leaf
    assert later.authorities == made.authorities


def test_through_three_generations_every_served_leaf_was_published_an_overlap_before() -> None:
    material = renew(None, NAMES, LIFETIMES, now=BEGIN)
    published: dict[x509.Certificate, datetime] = {}
    seen_authorities: set[x509.Certificate] = set()
    seen_leaves: set[x509.Certificate] = set()
    for hours in range(0, 24 * 250, 6):
        now = BEGIN + timedelta(hours=hours)
        before, material = material, renew(material, NAMES, LIFETIMES, now=now)
        for authority in material.authorities:
            published.setdefault(authority, now)
        seen_authorities.update(material.authorities)
        seen_leaves.add(material.leaf)
        # A replica that has not looked yet serves the old leaf, an API server that has looked trusts the new bundle; and the other way round.
        assert trusted(before.leaf, material.authorities, now)
        assert trusted(material.leaf, material.authorities, now)
        issuer = next(authority for authority in material.authorities if trusted(material.leaf, (authority,), now))
        assert now - published[issuer] >= LIFETIMES.overlap or len(seen_authorities) == 1
        assert len(material.authorities) <= 2
    assert len(seen_authorities) >= 3
    assert len(seen_leaves) >= 10


def test_after_a_long_standstill_it_comes_back() -> None:
    made = renew(None, NAMES, LIFETIMES, now=BEGIN)
    now = BEGIN + timedelta(days=1000)
    later = renew(made, NAMES, LIFETIMES, now=now)
    assert trusted(later.leaf, later.authorities, now)


@pytest.mark.parametrize("part", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
def test_stored_parts_that_do_not_belong_together_are_refused(part: str) -> None:
    one, other = (renew(None, NAMES, LIFETIMES, now=BEGIN).stored() for _ in range(2))
    for broken in (one | {part: other[part]}, one | {part: b"nonsense"}, {k: v for k, v in one.items() if k != part}, one | {part: b"x" * 100_000}):
        with pytest.raises(MaterialMalformedError):
            Material.read(broken)


def test_lifetimes_that_would_leave_a_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Lifetimes(ca=timedelta(days=100), leaf=timedelta(days=30), overlap=timedelta(days=10))
    with pytest.raises(ValueError, match="leaf"):
        Lifetimes(ca=timedelta(days=50), leaf=timedelta(days=30), overlap=timedelta(days=1))

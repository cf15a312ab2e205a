"""Where a bucket is, who asks it, and what is no bucket."""

from __future__ import annotations

from pathlib import Path

import pytest
from awscrt.auth import AwsCredentialsProvider

from sluice.cluster.aws_account import Account, NoAccount
from sluice.cluster.bucket import Bucket

pytestmark = pytest.mark.usefixtures("no_aws")
PROFILES = """\
[default]
aws_access_key_id = of-default
aws_secret_access_key = s3cr3t
[audit]
aws_access_key_id = of-audit
aws_secret_access_key = s3cr3t
"""


def account(*, region: str = "", endpoint: str = "") -> Account:
    return Account(provider=AwsCredentialsProvider.new_static("key", "s3cr3t"), region=region, endpoint=endpoint)


@pytest.mark.parametrize(
    ("place", "endpoint", "region", "url"),
    [
        ("s3://ml-audit/samples", "", "eu-central-1", "https://ml-audit.s3.eu-central-1.amazonaws.com/k"),
        ("s3://ml-audit", "", "eu-central-1", "https://ml-audit.s3.eu-central-1.amazonaws.com/k"),
        ("s3://ml.audit/samples", "", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/ml.audit/k"),
        ("s3://ml-audit/a/b_c/d~e-f.g", "https://minio:9000", "", "https://minio:9000/ml-audit/k"),
        ("s3://ml-audit", "http://minio.storage.svc/", "", "http://minio.storage.svc/ml-audit/k"),
    ],
)
def test_a_bucket_is_below_its_own_name_at_amazon_and_below_the_endpoint_elsewhere(place: str, endpoint: str, region: str, url: str) -> None:
    bucket = Bucket.parse(place, endpoint=endpoint, region=region, account=account())
    assert str(bucket.url("k")) == url
    assert "/".join(filter(None, ("s3:/", bucket.name, bucket.prefix))) == place


def test_what_is_said_counts_more_than_the_environment() -> None:
    outside = account(region="eu-west-1", endpoint="https://outside:1")
    said = Bucket.parse("s3://ml-audit", endpoint="https://said:2", region="eu-central-1", account=outside)
    assert (said.endpoint, said.region) == ("https://said:2", "eu-central-1")
    left = Bucket.parse("s3://ml-audit", endpoint="", region="", account=outside)
    assert (left.endpoint, left.region) == ("https://outside:1", "eu-west-1")
    anywhere = Bucket.parse("s3://ml-audit", endpoint="https://said:2", region="", account=account())
    assert anywhere.region == "us-east-1"


@pytest.mark.parametrize(
    ("place", "endpoint", "region", "complaint"),
    [
        ("s3://", "", "r", "is no place in a bucket"),
        ("s3://Audit/x", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/", "", "r", "is no place in a bucket"),
        ("s3://ml-audit//x", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/../other/x", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/a/./x", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/a=b", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/a?versionId=1", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/a\n", "", "r", "is no place in a bucket"),
        ("s3://user:secret@ml-audit/x", "", "r", "is no place in a bucket"),
        ("https://ml-audit.s3.amazonaws.com/x", "", "r", "is no place in a bucket"),
        ("s3://ml-audit/" + "x" * 1024, "", "r", "is no place in a bucket"),
        ("s3://ml-audit", "minio:9000", "", "is no endpoint"),
        ("s3://ml-audit", "https://u:p@minio:9000", "", "is no endpoint"),
        ("s3://ml-audit", "https://minio:9000/below", "", "is no endpoint"),
        ("s3://ml-audit", "", "", "is no region"),
        ("s3://ml-audit", "", "evil.example/", "is no region"),
    ],
)
def test_what_is_no_place_in_a_bucket_is_refused_before_anybody_is_asked(place: str, endpoint: str, region: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Bucket.parse(place, endpoint=endpoint, region=region, account=account())


def who(found: Account) -> str:
    return str(found.provider.get_credentials().result(5).access_key_id)


def test_an_account_comes_from_variables_and_from_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(NoAccount, match="there are no AWS credentials: set AWS_ACCESS_KEY_ID"):
        Account.found()
    (tmp_path / "credentials").write_text(PROFILES)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    found = Account.found()
    assert (who(found), found.region, found.endpoint) == ("of-default", "", "")
    monkeypatch.setenv("AWS_PROFILE", "audit")
    assert who(Account.found()) == "of-audit"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(NoAccount, match="there are no AWS credentials"):
        Account.found()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL": "https://any",
    }.items():
        monkeypatch.setenv(name, value)
    found = Account.found()
    assert (who(found), found.region, found.endpoint) == ("mine", "eu-north-1", "https://any")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.com")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    found = Account.found()
    assert (found.region, found.endpoint) == ("eu-west-1", "https://s3.example.com")


def test_nobody_reads_a_secret_out_of_an_account_by_accident() -> None:
    bucket = Bucket.parse("s3://ml-audit", endpoint="https://minio", region="", account=account())
    assert "s3cr3t" not in repr(bucket)

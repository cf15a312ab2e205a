"""Names, addresses, images, processes and certificates of the embedded cluster."""

import ipaddress
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from e2e.cluster import cli, host, images, pki, place, sandbox
from e2e.cluster.narrate import Narrator, StepFailed
from e2e.cluster.place import Place

QUIET = Narrator(quiet=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a/b", "-a", "a-", "a" * 33, "a b"])
def test_a_name_that_could_not_be_a_folder_is_refused(home: Path, name: str) -> None:
    with pytest.raises(StepFailed, match="cluster name"):
        place.folder_of(name)
    assert list(home.iterdir()) == []


def test_a_state_folder_that_the_cluster_could_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib/somewhere")
    with pytest.raises(StepFailed, match="XDG_STATE_HOME"):
        place.folder_of("a")


def test_clusters_have_ranges_of_their_own_and_find_them_again(home: Path) -> None:
    places = [place.find_or_choose(name) for name in ("a", "b", "c")]
    assert len({location.network for location in places}) == 3
    assert [place.find_or_choose(location.name) for location in places] == places
    assert all(location.folder.is_relative_to(home) for location in places)


def test_pods_services_and_cable_do_not_overlap(tmp_path: Path) -> None:
    location = Place(name="a", folder=tmp_path, octet=64)
    pods, services = ipaddress.IPv4Network(location.pod_network), ipaddress.IPv4Network(location.service_network)
    cable = ipaddress.IPv4Network(f"{location.node_address}/30", strict=False)
    whole = ipaddress.IPv4Network(location.network)
    assert not pods.overlaps(services)
    assert not pods.overlaps(cable)
    assert not services.overlaps(cable)
    assert all(part.subnet_of(whole) for part in (pods, services, cable))
    assert next(services.hosts()) == ipaddress.ip_address(location.api_service_address)
    assert ipaddress.ip_address(location.dns_service_address) in services


def test_an_image_archive_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_text("#!/bin/sh\necho busybox; echo sleep; echo sh\n")
    busybox.chmod(0o755)
    monkeypatch.setattr(images, "BUSYBOX", busybox)
    for name in ("one", "two"):
        monkeypatch.setattr("time.time", lambda name=name: float(len(name)))
        images.write_busybox_archive(tmp_path / name, tag="busybox:latest", command=["/bin/sleep", "infinity"])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as archive, tarfile.open(fileobj=archive.extractfile("layer.tar")) as layer:
        assert {"bin/busybox", "bin/sleep", "bin/sh"} <= set(layer.getnames())


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    text = tmp_path / "notes.tar"
    text.write_text("no archive")
    with pytest.raises(StepFailed, match=r"notes\.tar is no tar archive"):
        images.push(text, place=Place(name="a", folder=tmp_path, octet=64), crane=Path("/bin/false"))


def test_only_processes_of_that_cluster_are_ended(tmp_path: Path) -> None:
    ours, theirs = (subprocess.Popen(["/bin/sleep", "60"], env={sandbox.CLUSTER_VARIABLE: str(tmp_path / name)}) for name in ("ours", "theirs"))
    with ours, theirs:
        sandbox.kill(tmp_path / "ours", lambda _: True)
        assert ours.wait(timeout=10) == -9
        assert theirs.poll() is None
        theirs.kill()


def test_a_changed_configuration_file_restarts_a_component(tmp_path: Path) -> None:
    def component(content: str) -> sandbox.Component:
        return sandbox.Component(name="a", command=["a"], files={tmp_path / "a": content})

    assert component("1").spec == component("1").spec
    assert component("1").spec != component("2").spec


def test_a_users_certificate_names_user_and_groups_and_is_signed_by_the_cluster(tmp_path: Path) -> None:
    location = Place(name="a", folder=tmp_path, octet=64)
    pki.ensure(location)
    certificate, _ = pki._issue(location.pki, "alice", groups=["appsec", "owners"])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((location.pki / "ca.crt").read_bytes()))
    assert [attribute.value for attribute in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["appsec", "owners"]


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    location = Place(name="a", folder=tmp_path, octet=64)
    pki.ensure(location)
    assert location.pki.stat().st_mode & 0o077 == 0


def test_without_root_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StepFailed, match="needs root"):
        host.prepare(log=tmp_path / "log", narrator=QUIET)


@pytest.mark.usefixtures("home")
def test_a_command_for_a_cluster_that_is_not_there_says_how_to_start_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--name", "absent"]) == 1
    assert "python -m e2e.cluster up --name absent" in capsys.readouterr().err


def test_the_registry_gets_links_to_the_blobs_of_a_layout_and_keeps_what_it_has(tmp_path: Path) -> None:
    layout, registry = tmp_path / "layout", tmp_path / "registry"
    for folder, names in ((layout, ("aa", "bb")), (registry, ("bb",))):
        (folder / "blobs/sha256").mkdir(parents=True)
        for name in names:
            (folder / "blobs/sha256" / name).write_text(f"{folder.name} {name}")
    images._lend(layout, registry)
    assert (registry / "blobs/sha256/aa").samefile(layout / "blobs/sha256/aa")
    assert (registry / "blobs/sha256/bb").read_text() == "registry bb"


def test_a_folder_that_is_no_layout_lends_nothing(tmp_path: Path) -> None:
    images._lend(tmp_path, tmp_path / "registry")
    assert list((tmp_path / "registry/blobs/sha256").iterdir()) == []

"""What makes the sandbox a node: containerd, the kubelet, kube-proxy, the DNS server and the registry.

DNS server and registry are processes of the node and not Pods: they need no image, and are there before the first Pod.
"""

import json
from pathlib import Path

from e2e.cluster.host import NETWORK_PLUGINS
from e2e.cluster.pki import NODE_NAME
from e2e.cluster.place import Place
from e2e.cluster.sandbox import Component

PAUSE_IMAGE = "sluice.local/pause:1"
# Inside the sandbox; the host's own containerd, if there is one, has another /run.
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
DNS_READY_PORT = 8181


def containerd(place: Place, binary: Path, shim: Path) -> Component:
    """The container runtime, with the registry as a plain HTTP server that it may trust."""
    folder = place.folder / "config"
    hosts = folder / "registries"
    network = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                # A cable and a route per Pod. A bridge would short-cut replies between Pods past the address translation of Services
                # on kernels without bridge filtering.
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": place.pod_network}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/var/lib/cni/addresses",
                },
            }
        ],
    }
    configuration = f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
# Not needed; and the first would make a folder in the host's /opt.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{hosts}"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE a process cannot shield itself from the OOM killer, and every sandbox would fail to start.
restrict_oom_score_adj = true
# The profile would be loaded into the host's kernel and stay there.
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "{shim}"

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{NETWORK_PLUGINS}"]
conf_dir = "{folder / "cni"}"
"""
    return Component(
        name="containerd",
        command=[binary, "--config", folder / "containerd.toml", "--log-level", "info"],
        files={
            folder / "containerd.toml": configuration,
            folder / "cni" / "10-pods.conflist": json.dumps(network),
            hosts / place.registry / "hosts.toml": f'[host."http://{place.registry}"]\ncapabilities = ["pull", "resolve"]\n',
        },
    )


def kubelet(place: Place, binary: Path) -> Component:
    """The kubelet. It never evicts or collects images for want of disk: a full disk is the host's business."""
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(place.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(place.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(place.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupRoot": f"/{place.cgroup}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [place.dns_service_address],
        "clusterDomain": "cluster.local",
        # The host's resolver is unreachable from Pods.
        "resolvConf": "",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "maxPods": 250,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }
    path = place.folder / "config" / "kubelet.json"
    return Component(
        name="kubelet",
        command=[
            binary,
            f"--config={path}",
            f"--kubeconfig={place.pki / 'kubelet.kubeconfig'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={place.node_address}",
        ],
        files={path: json.dumps(configuration, indent=1)},
    )


def proxy(place: Place, binary: Path) -> Component:
    """kube-proxy: Services as iptables rules of the sandbox's network namespace."""
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": place.pod_network,
        "clientConnection": {"kubeconfig": str(place.pki / "kube-proxy.kubeconfig")},
        "hostnameOverride": NODE_NAME,
        # The size of the connection table is the host's to set.
        "conntrack": {"maxPerCore": 0},
        "oomScoreAdj": 0,
        # After rules that could not be written it waits for a period, which is half a minute by default.
        "iptables": {"minSyncPeriod": "100ms", "syncPeriod": "5s"},
    }
    path = place.folder / "config" / "kube-proxy.json"
    return Component(name="kube-proxy", command=[binary, f"--config={path}"], files={path: json.dumps(configuration, indent=1)})


def dns(place: Place, binary: Path) -> Component:
    """CoreDNS for `cluster.local`; it knows no other names, and asks nobody."""
    configuration = f"""\
. {{
    bind {place.node_address}
    errors
    ready {place.node_address}:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {place.pki / "coredns.kubeconfig"}
        pods insecure
    }}
    cache 5
}}
"""
    path = place.folder / "config" / "Corefile"
    return Component(name="coredns", command=[binary, "-conf", path], files={path: configuration})


def registry(place: Place, binary: Path) -> Component:
    """The OCI registry. Its content is in the state folder and outlives the processes."""
    return Component(name="registry", command=[binary, "--address", place.registry, "--disk", place.registry_folder])

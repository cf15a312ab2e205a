"""The local cluster on the command line.

Results go to standard output, what happens meanwhile to standard error.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from e2e.cluster import build
from e2e.cluster.local import DEFAULT_NAME, Cluster, down
from e2e.cluster.narrate import Narrator, StepFailed, tail

EXAMPLES = """\
examples:
  python -m e2e.cluster up                               bring the cluster "sluice" up (the first time builds Kubernetes: 8 to 12 minutes)
  python -m e2e.cluster kubectl -- get pods -A           kubectl as administrator
  python -m e2e.cluster kubectl --user alice --group appsec -- auth whoami
  export KUBECONFIG=$(python -m e2e.cluster kubeconfig)  for any other client
  python -m e2e.cluster kubeconfig --user alice --group appsec > alice.kubeconfig
  python -m e2e.cluster load-image image.tar             push into the registry; prints the reference by digest to use in Pods
  python -m e2e.cluster up --name other --audit          a second cluster beside it, with audit log
  python -m e2e.cluster down --name other                nothing of it is left: processes, mounts, network, cgroups, files

Everything of a cluster is in ~/.local/state/sluice/NAME, the binaries in ~/.cache/sluice/bin. Pods, Services and the registry are reachable
from this host by address. NetworkPolicy objects are accepted and not enforced. `up` may be repeated, also after it was killed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 when done, 1 when not, with the reason on standard error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "group", None) and not options.user:
        # Silently being the administrator would prove nothing about the group.
        parser.error("--group goes with --user: say who is in that group")
    try:
        code: int = options.run(options)
    except StepFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: `up` goes on from here, `down` cleans up", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.cluster",
        description="A Kubernetes cluster on this machine, built from Go modules, in namespaces of its own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=DEFAULT_NAME, help="which cluster (default: %(default)s)")
    user = argparse.ArgumentParser(add_help=False)
    user.add_argument("--user", help="who to be; without it the administrator")
    user.add_argument("--group", action="append", default=[], help="a group of that user; may be repeated")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("up", parents=[named], help="bring it up, or make sure that it is up and as configured")
    command.add_argument("--audit", action=argparse.BooleanOptionalAction, help="audit logging in the API server (default: as it was, at first off)")
    command.set_defaults(run=_up)
    command = commands.add_parser("down", parents=[named], help="take it down, whatever state it is in, and remove everything it made")
    command.set_defaults(run=_down)
    command = commands.add_parser("status", parents=[named], help="what runs, where, and what is wrong; exit code 1 when something is")
    command.set_defaults(run=_status)
    command = commands.add_parser("build", help="build every binary now, Helm too, instead of when it is first needed")
    command.set_defaults(run=_build)
    command = commands.add_parser("load-image", parents=[named], help="push an image into the registry, print its reference by digest")
    command.add_argument("source", help="docker-archive or oci-archive file, OCI layout folder, or the name of an image in buildah's store")
    command.add_argument("--as", dest="repository", metavar="REPOSITORY[:TAG]", help="its name in the registry (default: its own)")
    command.set_defaults(run=_load_image)
    command = commands.add_parser("logs", parents=[named], help="a component's log; without COMPONENT, list them")
    command.add_argument("component", nargs="?")
    command.add_argument("--lines", type=int, default=100, help="how many of the last lines (default: %(default)s)")
    command.set_defaults(run=_logs)
    command = commands.add_parser("kubeconfig", parents=[named, user], help="path of the administrator's kubeconfig, or with --user a new one for that user")
    command.set_defaults(run=_kubeconfig)
    command = commands.add_parser("kubectl", parents=[named, user], help="run kubectl; put its arguments after --")
    command.add_argument("arguments", nargs="*", metavar="ARGUMENT")
    command.set_defaults(run=_kubectl)
    return parser


def _up(options: argparse.Namespace) -> int:
    Cluster.up(options.name, audit=options.audit)
    return 0


def _down(options: argparse.Namespace) -> int:
    down(options.name, narrator=Narrator())
    return 0


def _build(_: argparse.Namespace) -> int:
    build.build(build.ALL_UNITS, narrator=Narrator())
    return 0


def _status(options: argparse.Namespace) -> int:
    cluster = Cluster.find(options.name)
    rows = {
        "state": cluster.place.folder,
        "API server": cluster.place.api,
        "registry": cluster.registry,
        "kubeconfig": cluster.kubeconfig,
        "host, seen from Pods": cluster.place.host_address,
        **{f"image {name}": reference for name, reference in cluster.images.items()},
    }
    memory = cluster.memory_bytes()
    rows["memory"] = f"{sum(memory.values()) >> 20} MiB: " + ", ".join(f"{name} {size >> 20}" for name, size in sorted(memory.items()))
    for title, value in rows.items():
        print(f"{title:22}{value}")
    problems = cluster.problems()
    for problem in problems or ["works"]:
        print(f"{cluster.name:22}{problem}")
    return 1 if problems else 0


def _load_image(options: argparse.Namespace) -> int:
    print(Cluster.find(options.name).load_image(options.source, repository=options.repository))
    return 0


def _logs(options: argparse.Namespace) -> int:
    cluster = Cluster.find(options.name)
    if options.component is None:
        print("\n".join(str(log) for log in sorted(cluster.place.logs.glob("*.log"))))
    else:
        print(tail(cluster.log(options.component), lines=options.lines))
    return 0


def _kubeconfig(options: argparse.Namespace) -> int:
    cluster = Cluster.find(options.name)
    print(cluster.user_kubeconfig(options.user, groups=options.group) if options.user else cluster.kubeconfig)
    return 0


def _kubectl(options: argparse.Namespace) -> int:
    """Become kubectl, so that `exec -it` and `logs -f` have the terminal."""
    cluster = Cluster.find(options.name, narrator=Narrator())
    identity = ([f"--as={options.user}"] if options.user else []) + [f"--as-group={group}" for group in options.group]
    kubectl = str(cluster.binaries["kubectl"])
    os.execv(kubectl, [kubectl, f"--kubeconfig={cluster.kubeconfig}", *identity, *options.arguments])  # noqa: S606  no shell is wanted

"""Manifests as files, read as kubectl reads them and refused where the API server would refuse them: what is tried at a desk is what will be applied.

YAML has two readings of much. As for kubectl a time is text, whether it is quoted or not, and a member that is there twice is an error.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs leave it out
from yaml.resolver import Resolver

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_SHOWN = 3


class ManifestRefused(ValueError):
    """This is no manifest, or none that a cluster would take; the message says where, and what would be right."""


class _Loader(Composer, CParser, SafeConstructor, Resolver):
    """YAML as kubectl has it: libyaml's parser, from which kubectl's was translated.

    It composes in Python, where depth is limited: `yaml.CSafeLoader` ends the process over a hundred thousand brackets.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the parent has it
        first: [(tag, expression) for tag, expression in resolvers if tag != _TIMESTAMP] for first, resolvers in Resolver.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        """Begin with the first document."""
        CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the parent's signature
        """Refuse a member that is there twice: the parent takes the last."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    raise ManifestRefused(f"line {key.start_mark.line + 1}: member {key.value[:80]!r} is there twice")
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def only(path: Path, kind: str, *, most_bytes: int, remedy: str) -> dict[str, Any]:
    """Read the one object of a file; `remedy` says where one of this kind comes from. Raises ManifestRefused, which names the file, and OSError."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ManifestRefused(f"{path}: longer than {most_bytes:,} bytes")
    try:
        found = [document for document in documents(content.decode()) if document is not None]
    except UnicodeDecodeError:
        raise ManifestRefused(f"{path}: not UTF-8") from None
    except ManifestRefused as refused:
        raise ManifestRefused(f"{path}: {refused}") from None
    if len(found) > 1:
        raise ManifestRefused(f"{path}: there are {len(found)} objects in it; give a file with one {kind} alone")
    if not found or not isinstance(found[0], dict) or found[0].get("kind") != kind:
        raise ManifestRefused(f"{path}: this is no {kind}: {remedy}")
    return found[0]


def documents(text: str) -> list[Any]:
    """Read the documents of a file. Raises ManifestRefused."""
    return [document for _, document in located(text)]


def located(text: str) -> list[tuple[int, Any]]:
    """Read the documents of a file, each with the line on which it begins, from 1. Raises ManifestRefused."""
    try:
        loader, found = _Loader(text), []
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                found.append((node.start_mark.line + 1, loader.construct_document(node)))
        return found
    except ManifestRefused:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestRefused(f"neither YAML nor JSON: {_words(error)}") from None


def _words(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"[:300]
    return " ".join(str(error).split())[:300]


def check_rules(item: Mapping[str, Any]) -> None:
    """Refuse an object of ours that a cluster would not take. Raises ManifestRefused.

    Of a release and of a policy that cannot be read, whoever decides says why. Of others nobody would, and what a file rejects or revokes would be passed over.
    """
    from sluice.api.kinds import KINDS, MODEL_RELEASE, RELEASE_POLICY  # noqa: PLC0415 - see the package
    from sluice.api.rules import broken_rules  # noqa: PLC0415
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415

    for kind in KINDS:
        if kind.name == item.get("kind") and kind not in {MODEL_RELEASE, RELEASE_POLICY} and isinstance(problem := read(kind.spec, item), Unreadable):
            raise ManifestRefused(f"no cluster would take this {kind.name}: {problem}")
    if broken := list(broken_rules(item)):
        more = f", and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise ManifestRefused(f"no cluster would take this {item['kind']}: {'; '.join(broken[:_SHOWN])}{more}")

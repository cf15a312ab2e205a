"""CustomResourceDefinitions, generated from the models. `python -m sluice.api.crd crds/` writes the checked-in files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from sluice.api.kinds import KINDS, Kind
from sluice.api.names import GROUP, VERSION
from sluice.api.schema import structural

HEADER = "# Generated from operator/sluice/api by `make crds`. Do not edit.\n"


def crd(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of `kind`."""
    schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(kind.spec),
            "status": structural(kind.status),
        },
    }
    columns = [{"name": c.name, "type": c.type, "jsonPath": c.path} | ({"priority": c.priority} if c.priority else {}) for c in kind.columns]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["sluice"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                }
            ],
        },
    }


def render() -> dict[str, str]:
    """Return file name → content for all kinds."""
    return {f"{GROUP}_{kind.plural}.yaml": HEADER + yaml.safe_dump(crd(kind), sort_keys=False, width=160, allow_unicode=True) for kind in KINDS}


def main() -> None:
    """Write the files into the folder given as the only argument."""
    folder = Path(sys.argv[1])
    for name, content in render().items():
        (folder / name).write_text(content)


if __name__ == "__main__":
    main()

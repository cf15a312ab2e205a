"""Sluice decides which machine-learning model releases may run on a Kubernetes cluster, and keeps deciding after they run.

Read the packages in the order data flows: `api`, `provenance`, `evidence`, `decision`, then `gate`, `webhook` and `controller`,
then `scoring`, `rollout`, `audit` and `cli`. Each package says in its first lines what comes in, what goes out and what it may import;
import-linter (pyproject.toml) holds it to that.
"""

__version__ = "0.1.0"

"""Everything Sluice says to, and hears from, a Kubernetes API server.

In: connection settings, and objects to write. Out: raw JSON objects, held in synced stores of a known age, and one error tree.
Imports `api` for names, `decision` for the World, aiohttp for HTTP, the `kubernetes` package for finding the cluster only; never kopf.
"""

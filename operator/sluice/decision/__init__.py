"""What may run, and why.

In: a release, the policies that match it, established facts, what people decided, and the time. Out: a verdict with one result for each requirement, and what
the gate does with a Pod. Pure: no clock, no network, no asyncio; the command line, the webhook and the controller call the same functions.
May import `api`, `provenance` and `evidence`.
"""

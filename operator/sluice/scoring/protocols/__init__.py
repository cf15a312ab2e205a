"""Clients of model servers.

In: a case, an endpoint, settings, limits. Out: one bounded answer, or why there is none; nothing that a server does raises.
`client.client_of` makes one; each protocol is a module of its own, what all of them share are `channel`, `grpc_channel` and `bounded`.
May import: `scoring.case`, `scoring.answer`. The only part of scoring that opens connections of its own, besides the worker.
"""

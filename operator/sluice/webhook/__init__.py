"""L1 of the gate: the admission webhook, fast answers with reasons.

In: AdmissionReviews from the API server, and a `World` kept current by watches. Out: AdmissionReviews that let in, hold or deny; a patch takes the gates off
what is entitled. Start with `admission.py`; `pods.py` and `owners.py` decide, `server.py` and `serving_certificate.py` are the edges.
Trusts no status and does no network I/O while it answers. May import `api`, `decision` and `cluster`.
"""

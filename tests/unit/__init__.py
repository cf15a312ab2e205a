"""One module at a time, without sockets.

`conftest.py` here closes the network for every test in this folder; what needs a cluster is in `tests/cluster`.
"""

"""L0: the gate inside the API server.

In: the names that everybody shares (`sluice.api`) and who the controller is. Out: admission policies, which the chart installs.
Imports `sluice.api` only, and does nothing at run time: with every process of ours dead, these rules still hold.
Not guarded: the policies themselves. Whoever may delete admission policies may switch Sluice off, and so may whoever may write to etcd.
"""

"""The controller: acts on what is decided. The only place that imports kopf.

In: keys, from two sources. Reflectors (`cluster.feed`) hold what a decision depends on and must know it completely: a missed deletion would be an approval
that still counts. kopf delivers what we act on (releases, Pods, Deployments) and runs only while this process holds the Lease.
Out: status by server-side apply, Kubernetes events, and what `rollout` does to workloads.
"""

"""The demo: a model is refused, held, approved and served on a real cluster; its quantised versions are compared with it; tampered ones are stopped.

`python -m e2e.demo up|down`. Everything in it is real: the model is trained, quantised and evaluated here, its files are signed by a private Sigstore,
served by MLServer in Pods, and decided about by the Sluice that this checkout builds and its chart installs.
"""

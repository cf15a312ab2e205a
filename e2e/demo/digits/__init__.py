"""The demo's model: handwritten digits, trained and evaluated for real.

The programs here run in a virtual environment of their own (`requirements/demo.txt`), because the operator needs none of what they import;
`e2e.demo.model` starts them and keeps what they write.
"""

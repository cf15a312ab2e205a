"""Simulated releases with a known truth, the rules that others decide by, and what is made of thousands of runs.

`populations` are what cases score, `cells` say what is simulated, `releases` draws it; `peers` are the rules of others; `rates` bounds a share, `figures` holds
what was counted and writes it down.
"""

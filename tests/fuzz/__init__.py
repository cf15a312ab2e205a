"""Fuzzing of everything that reads what strangers wrote: `python -m tests.fuzz NAME --seconds N`. The corpora are kept in `corpus/`."""

"""Tests of the generated admission policies and of the chart, as far as they need no API server."""

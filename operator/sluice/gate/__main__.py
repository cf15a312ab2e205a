"""`python -m sluice.gate charts/sluice/templates` writes the generated templates of the chart."""

from sluice.gate.chart import main

main()

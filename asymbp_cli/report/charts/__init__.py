"""Charts: what a figure shows, in the units of its axes, and how it is drawn, as SVG, PNG and PDF."""

"""What users write, and the grids of runs that follow from it. No torch."""

"""Measures of this machine, as ratios: of schemes, against other loops, against the machine's own ceiling."""

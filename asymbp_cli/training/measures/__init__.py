"""Measures of a training after each of its epochs: of weights, and of signals on a fixed mini-batch."""

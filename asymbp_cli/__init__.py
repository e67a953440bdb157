"""Networks whose feedback weights differ from their forward weights (Liao, Leibo, Poggio 2016)."""

__version__ = "0.5.0"

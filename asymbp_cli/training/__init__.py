"""The engine: trains stacks of runs with torch."""

"""How many runs train at once, in which order, and how long they take. No torch."""

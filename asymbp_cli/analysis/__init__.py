"""What the numbers say: tables, agreement with the paper, conclusions. No torch."""

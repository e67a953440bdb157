"""What is kept of every training. No torch."""

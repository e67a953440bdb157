"""What Python users call, and what the commands that train share."""

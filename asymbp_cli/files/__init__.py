"""Files of users and of the tool: their paths, writing them whole, locks."""

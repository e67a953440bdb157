"""Files of users and of ours: their paths, writing them whole, locks."""

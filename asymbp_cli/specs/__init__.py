"""What a training is, as data: methods, networks, protocols, runs. No torch."""

"""Training in a Ray cluster: each worker is an actor, which streams what happens to the driver.

The driver must run on a node of the cluster. Without an address it starts a Ray of its own on this machine.
"""

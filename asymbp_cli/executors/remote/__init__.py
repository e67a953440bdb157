"""Training on other machines: what executors share whose workers cannot write into the results directory.

Only the driver, the process of the study, writes there. A worker trains in a folder of its own and sends messages:
events, and files as bytes. No worker waits for an answer, and no checkpoint is ever ahead of the database.
"""

"""Training in the jobs of a SLURM cluster, by way of submitit.

The results directory is one that the nodes see. In its `jobs/` each job has a folder: what is to be trained, and
what the worker has sent. A driver that starts again takes in what is there, and listens to jobs that still run.
"""

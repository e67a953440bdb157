"""Triton kernels over whole stacks, for CUDA. Plain operations in the files above define what each computes."""

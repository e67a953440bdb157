"""What the backward pass uses in place of the forward weights W: forms of V, schemes, and the bank of a stack."""

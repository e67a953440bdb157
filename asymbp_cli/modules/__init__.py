"""Asymmetric feedback for any `torch.nn.Module`, under any optimizer and training loop."""

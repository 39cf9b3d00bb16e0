"""The architectures: each module has `build(**arguments) -> torch.nn.Module`; its name is its key."""

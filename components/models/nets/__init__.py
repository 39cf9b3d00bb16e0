"""The architectures: each module of this folder has `build(**arguments) -> torch.nn.Module`; its name is its key."""

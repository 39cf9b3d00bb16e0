"""The experiments of this family, one a module."""

"""How each bundled model was trained: run one with `python -m components.models.recipes.<name>`; imported by nothing."""

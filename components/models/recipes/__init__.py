"""How each bundled model was trained: `python -m components.models.recipes.<name>`."""

"""Models by name: `ModelStore.get`; torch lives here and is imported only when a model is needed."""

from components.models.store import ModelStore

__all__ = ["ModelStore"]

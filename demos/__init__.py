"""The page: one module a tab, and what the tabs share. Only here and in `app.py` is gradio imported."""

TABS = {"speech": "Speech", "vision": "Vision", "tokenization": "Tokenizers", "retrieval": "Retrieval"}

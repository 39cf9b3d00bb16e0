"""The shared backend of Tokenscope: what the four tabs call, and what a notebook can import.

Five nouns: an Input (validated, frozen) goes through a chosen Method (a frozen dataclass: its fields are the
knobs, its call is the method) into a Result (frozen, one type per family), which a pure function of arrays
turns into a Figure. Models hands out checkpoints by name.

Who may import whom: app → demos → {speech | vision | tokenization | retrieval | plots} → models → numerics →
{method, errors, settings}. Families never import one another. gradio only in demos and app; plotly only in
plots; torch only in models and in the files of a family that must; the environment only in settings (and app,
which passes it in); recipes are imported by nothing. import-linter and ruff hold these rules.

Numerics decide, networks apply: a reduction method turns keys or attention into a token-transform matrix, a
segmenter turns frame features into bounds; so every method can be tested on arrays against brute force.
"""

"""All families together, and the 24 systems this project is about: which run, and where.

`python -m components.catalogue` writes the README's table anew.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import retrieval, speech, tokenization, vision
from components.method import Family, Method

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- systems: begin -->", "<!-- systems: end -->"

METHODS: dict[str, Family[Any]] = {
    "speech": speech.segmenters, "vision": vision.reducers,
    "tokenization": tokenization.tokenizers, "retrieval": retrieval.retrievers,
}
LABS: dict[str, Family[Any]] = {
    "speech": speech.labs, "vision": vision.labs,
    "tokenization": tokenization.labs, "retrieval": retrieval.labs,
}


@dataclass(frozen=True)
class System:
    """One of the 24 papers: its number here, short title, arXiv number and tab."""

    number: int
    title: str
    arxiv: str
    tab: str


SYSTEMS = (
    System(1, "Sylber", "2410.07168", "speech"),
    System(2, "ToDRE", "2505.18757", "vision"),
    System(3, "Token Transforming", "2506.05709", "vision"),
    System(4, "Expediting ViT for dense prediction", "2210.01035", "vision"),
    System(5, "Learn Your Tokens", "2310.11628", "tokenization"),
    System(6, "Dynamic tokenization", "2411.18553", "tokenization"),
    System(7, "Emergent semantics of frozen glyph embeddings", "2507.04886", "tokenization"),
    System(8, "Equal-Info Windows", "2404.03626", "tokenization"),
    System(9, "Exact byte-level probabilities", "2410.09303", "tokenization"),
    System(10, "Zero-shot tokenizer transfer (ZeTT)", "2405.07883", "tokenization"),
    System(11, "Tokenizer transplantation by OMP", "2506.06607", "tokenization"),
    System(12, "Lexinvariant language models", "2305.16349", "tokenization"),
    System(13, "TurkColBERT", "2511.16528", "retrieval"),
    System(14, "LexSemBridge", "2508.17858", "retrieval"),
    System(15, "PromptReps", "2404.18424", "retrieval"),
    System(16, "ColBERT-PRF", "2106.11251", "retrieval"),
    System(17, "Text2Token", "2510.10224", "retrieval"),
    System(18, "DupMAE", "2211.08769", "retrieval"),
    System(19, "Revela", "2506.16552", "retrieval"),
    System(20, "Adapted dense retrieval", "2310.05380", "retrieval"),
    System(21, "Vector representations of text", "1901.01695", "retrieval"),
    System(22, "ActQKV", "2502.13542", "retrieval"),
    System(23, "Needle threading", "2411.05000", "retrieval"),
    System(24, "Dense text retrieval, a survey", "2211.14876", "retrieval"),
)


def running(system: System) -> tuple[tuple[str, type[Method]], ...]:
    """Return the methods and labs, as (what it is, class), whose card carries the system's number."""
    found: list[tuple[str, type[Method]]] = []
    for kind, families in (("method", METHODS), ("lab", LABS)):
        for family in families.values():
            found += [(kind, family[n]) for n in family.names() if family[n].card.system == system.number]
    return tuple(found)


def table() -> str:
    """Return the systems as a Markdown table; what is not built yet says so."""
    rows = ["| # | system | tab | in the app |", "|---|---|---|---|"]
    for system in SYSTEMS:
        parts = [f"{kind} `{cls.name}`" for kind, cls in running(system)]
        link = f"[{system.title}](https://arxiv.org/abs/{system.arxiv})"
        rows.append(f"| {system.number} | {link} | {system.tab} | {', '.join(parts) or 'not built yet'} |")
    return "\n".join(rows)


def rewritten(readme: str) -> str:
    """Return the README's text with the table between its marks made anew."""
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table()}\n{END}", readme, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {README.name}\n")

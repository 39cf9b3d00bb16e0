"""What the cards' checks share: measures over the example texts and the parallel sentences."""

from collections.abc import Mapping

from components.models import ModelStore
from components.numerics.token_measures import Measures, measure
from components.tokenization import Text, Tokenizer
from components.tokenization._samples import parallel, samples


def measures(method: Tokenizer, content: str, models: ModelStore) -> Measures:
    """Return the measures of one method on one text."""
    found = method(Text(content), models)
    return measure(
        content, found.pieces, found.ids, found.vocabulary, decoded=found.decoded, unknown=found.unknown
    )


def on_samples(method: Tokenizer, models: ModelStore) -> dict[str, Measures]:
    """Return the measures of one method on every example text, by kind."""
    return {kind: measures(method, content, models) for kind, content in samples().items()}


def premiums(method: Tokenizer, models: ModelStore, base: str = "English") -> dict[str, float]:
    """Return tokens over the base language's tokens for the parallel sentences of each language."""
    counts = token_counts(method, models, parallel())
    return {language: count / counts[base] for language, count in counts.items()}


def token_counts(
    method: Tokenizer, models: ModelStore, sentences: Mapping[str, tuple[str, ...]]
) -> dict[str, int]:
    """Return how many tokens the sentences of each language take together."""
    return {
        language: sum(len(method(Text(sentence), models).pieces) for sentence in lines)
        for language, lines in sentences.items()
    }

"""Words as lexical methods see them: lower-cased by the rules of the language, then stemmed."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
TURKISH_LETTERS = frozenset("ğĞışŞİ")


def lower(text: str, language: str) -> str:
    """Return lower-case text in NFC; in Turkish İ becomes i and I becomes ı."""
    text = unicodedata.normalize("NFC", text)
    if language == "turkish":
        text = text.replace("İ", "i").replace("I", "ı")
    return text.lower()


def words(text: str, language: str) -> list[str]:
    """Return the lower-case words of a text; an apostrophe ends a word, as before a Turkish suffix."""
    return _WORD.findall(lower(text, language))


def stems(text: str, language: str) -> list[str]:
    """Return the Snowball stem of each of `words`."""
    import Stemmer  # PyStemmer; a stemmer is cheap to make and must not be shared by threads

    return [str(stem) for stem in Stemmer.Stemmer(language).stemWords(words(text, language))]


def common(texts: Iterable[str], language: str, share: float = 0.1) -> frozenset[str]:
    """Return the stems that stand in more than `share` of the texts: they tell little."""
    sets = [set(stems(text, language)) for text in texts]
    holders = Counter(stem for own in sets for stem in own)
    return frozenset(stem for stem, n in holders.items() if n > max(1.0, share * len(sets)))


def guess_language(text: str) -> str:
    """Return "turkish" where at least 1 letter in 200 is one that only Turkish has among our languages."""
    letters = sum(map(str.isalpha, text))
    return "turkish" if sum(c in TURKISH_LETTERS for c in text) * 200 >= max(letters, 1) else "english"

import pytest

from components.retrieval import Corpus, Document

TEXTS = {
    "cat": "The cat sleeps on the warm sofa all day long.",
    "dog": "A dog barks at the postman every morning.",
    "ship": "The ship crossed the ocean in nine days.",
    "oxygen": "Oxygen was discovered in 1774 by Joseph Priestley.",
    "bread": "Bread is baked from flour, water, salt and yeast.",
    "twin": "The cat sleeps on the warm sofa all day long.",
}
QUERIES = {"q1": "sleeping cat", "q2": "Who discovered oxygen?", "q3": "vessel that sailed over the sea"}
JUDGED = {"q1": {"cat": 2, "twin": 1}, "q2": {"oxygen": 1}, "q3": {"ship": 1, "dog": 0}}
HOSTILE = "<img src=x onerror=alert(1)> '; DROP TABLE documents; -- \u202e\u0000 %s {0} \\u0041"


@pytest.fixture(scope="session")
def toy():
    return Corpus("Toy", tuple(Document(k, v) for k, v in TEXTS.items()), QUERIES, JUDGED)


@pytest.fixture(scope="session")
def turkish_toy():
    texts = {
        "izmir": "İZMİR Ege kıyısında bir liman kentidir.",
        "isi": "ISI enerjisi sıcaktan soğuğa akar.",
        "kitap": "Kitaplar kütüphanede raflarda durur.",
    }
    return Corpus("Oyuncak", tuple(Document(k, v) for k, v in texts.items()), language="turkish")


@pytest.fixture(scope="session")
def single():
    return Corpus("One", (Document("only", "A single document about bees."),))


@pytest.fixture(scope="session")
def hostile():
    documents = (Document("h", HOSTILE), Document("🙂", "🙂🙂🙂"), Document("z", "zero\u200bwidth"))
    return Corpus("Hostile", documents)

"""A small folder of English as the recipes of the text models expect it, made from word lists."""

import json
import random
from pathlib import Path

SUBJECTS = {
    "ships": "harbour sailor anchor rudder captain cargo vessel deck tide sail",
    "plants": "flower petal root stem pollen garden seed leaf blossom soil",
    "stars": "planet orbit comet telescope galaxy moon light gravity nebula sun",
    "bread": "flour yeast oven dough crust baker loaf butter wheat grain",
    "trains": "railway engine station track signal driver carriage tunnel bridge ticket",
}


def sentence(subject: str, chance: random.Random) -> str:
    first, second, third = chance.sample(SUBJECTS[subject].split(), 3)
    return f"The {first} of the {subject} was near the {second} when it met the old {third} again."


def passage(subject: str, chance: random.Random, sentences: int = 5) -> str:
    return " ".join(sentence(subject, chance) for _ in range(sentences))


def write(folder: Path, seed: int = 0) -> Path:
    """Write text/ and retrieval/ under `folder` and return it."""
    chance = random.Random(seed)
    text = folder / "text"
    text.mkdir(parents=True)
    for name in ("wikitext2_valid.txt", "wikitext2_test.txt"):
        parts = [f" = {s} = \n \n {passage(s, chance, 8)} \n" for s in SUBJECTS for _ in range(3)]
        (text / name).write_text("".join(parts), encoding="utf-8")
    novel = "\n\n".join(passage(s, chance, 6) for s in SUBJECTS for _ in range(6))
    (text / "novels_train.txt").write_text(novel, encoding="utf-8")
    sts = folder / "retrieval" / "sts"
    sts.mkdir(parents=True)
    pairs = [f"{sentence(s, chance)},{sentence(s, chance)},3.0" for s in SUBJECTS for _ in range(4)]
    (sts / "stsb-en-train.csv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    for name in ("scifact_mini", "cranfield"):
        _collection(folder / "retrieval" / name, chance)
    return folder


def _collection(folder: Path, chance: random.Random) -> None:
    folder.mkdir()
    subjects = [s for s in SUBJECTS for _ in range(4)]
    documents = [{"_id": str(i), "text": passage(s, chance)} for i, s in enumerate(subjects)]
    queries = [{"_id": f"q{s}", "text": sentence(s, chance)} for s in SUBJECTS]
    rows = [f"q{s}\t{i}\t1" for i, s in enumerate(subjects)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)) + "\n", encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)) + "\n", encoding="utf-8")
    (folder / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n", encoding="utf-8"
    )

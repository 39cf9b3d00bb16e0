import zipfile

import pytest

from components.errors import InputError
from components.retrieval import Corpus, Document, _corpora
from components.retrieval._corpora import beir, builtin, from_file, from_text

CORPUS = b'{"_id": "a", "title": "T", "text": "first"}\n\n{"_id": "b", "text": "second"}\n'
QUERIES = b'{"_id": "q", "text": "which?"}\n'
QRELS = b"query-id\tcorpus-id\tscore\nq\ta\t2\nghost\tb\t1\n"


def zipped(tmp_path, files, **options):
    path = tmp_path / "c.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["english", "turkish"])
def test_built_in_corpora_are_whole(name):
    corpus = builtin(name)
    assert corpus.language == name
    assert len(corpus.documents) >= 200 and len(corpus.queries) >= 60
    for query, judged in corpus.judgements.items():
        assert query in corpus.queries
        assert set(judged) <= set(corpus.position)
        assert max(judged.values()) > 0
    with pytest.raises(InputError, match="no built-in"):
        builtin("../../etc")


def test_pasted_lines_and_paragraphs():
    assert [d.text for d in from_text("one\n two  words \n").documents] == ["one", "two words"]
    assert [d.text for d in from_text("one\nmore\n\ntwo\n \n\nthree").documents] == [
        "one more",
        "two",
        "three",
    ]
    assert from_text("Işık hızı çok büyüktür").language == "turkish"
    assert from_text("Işık", "english").language == "english"
    for empty in ("", " \n\n "):
        with pytest.raises(InputError, match="empty"):
            from_text(empty)


def test_hostile_text_stays_text():
    text = "<script>alert(1)</script> ${7*7} ../../etc/passwd \u202e"
    assert from_text(text).documents[0].text == text


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("c.txt", "one\ntwo", ["one", "two"]),
        ("c.csv", 'id,title,text\n7,T,"a, b"\n8,,c\n', ["a, b", "c"]),
        ("c.csv", "\ufeffText\nx\ny\n", ["x", "y"]),
        ("c.csv", "just\nlines\n", ["just", "lines"]),
        ("c.tsv", "document\tid\nx y\t3\n", ["x y"]),
        ("c.jsonl", '{"text": "x"}\n"y"\n', ["x", "y"]),
    ],
)
def test_files(tmp_path, name, content, texts):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert [d.text for d in from_file(path).documents] == texts


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("c.pdf", b"%PDF", "can be read"),
        ("c.txt", "ğ".encode("cp1254"), "UTF-8"),
        ("c.csv", b"a,b\n1,2\n", "no column named text"),
        ("c.csv", b"text\n" + b"x" * 200_000, "cannot be read"),
        ("c.csv", b"", "0 documents"),
        ("c.jsonl", b"{oops\n", "line 1 is not JSON"),
        ("c.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("c.jsonl", b"[1]\n", "no object"),
        ("c.jsonl", b'{"title": "x"}\n', "no text"),
        ("c.jsonl", b'{"_id": 1, "text": "x"}\n{"_id": "1", "text": "y"}\n', "occurs twice"),
        ("c.zip", b"PK\x03\x04 broken", "damaged"),
    ],
)
def test_unusable_files_are_refused(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        from_file(path)


def test_beir_zip(tmp_path):
    files = {
        "set/corpus.jsonl": CORPUS,
        "set/queries.jsonl": QUERIES,
        "set/qrels/train.tsv": b"q\tb\t1\n",
        "set/qrels/test.tsv": QRELS,
        "../../evil.sh": b"rm",
        "set/readme.md": b"?",
    }
    corpus = from_file(zipped(tmp_path, files))
    assert [d.full for d in corpus.documents] == ["T. first", "second"]
    assert corpus.queries == {"q": "which?"} and corpus.judgements == {"q": {"a": 2}}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.zip"]


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_that_cannot_be_read_are_refused(tmp_path, packed):
    path = tmp_path / "c.zip"
    with zipfile.ZipFile(path, "w", packed) as out:
        out.writestr("corpus.jsonl", "\n".join(f'{{"_id": "{i}", "text": "{i * i}"}}' for i in range(400)))
    good = path.read_bytes()
    listed = good.rindex(b"PK\x01\x02")
    assert len(from_file(path).documents) == 400

    def changed(values):
        data = bytearray(good)
        for place, value in values.items():
            data[place] ^= value
        path.write_bytes(data)
        with pytest.raises(InputError, match="damaged, encrypted or packed in an unusual way"):
            from_file(path)

    for place in range(60, 300, 30):
        changed({place: 0xFF, place + 7: 0x55, place + 11: 0x0F})  # the stream itself
    changed({6: 1, listed + 8: 1})  # a password is asked for
    changed({8: 99 ^ packed, listed + 10: 99 ^ packed})  # AES, which zipfile does not know


def test_beir_without_queries_and_trec_qrels():
    assert beir({"corpus.jsonl": CORPUS}, "x").queries == {}
    files = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels.tsv": b"q 0 b 1\n"}
    assert beir(files, "x").judgements == {"q": {"b": 1}}
    with pytest.raises(InputError, match="line 2"):
        beir(files | {"qrels.tsv": b"h\th\th\nq\tb\thigh\n"}, "x")
    with pytest.raises(InputError, match="no corpus"):
        beir({"queries.jsonl": QUERIES}, "x")


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_corpora, "MOST_BYTES", 100_000)
    bomb = zipped(tmp_path, {"corpus.jsonl": b" " * 5_000_000})
    assert bomb.stat().st_size < 100_000
    with pytest.raises(InputError, match="larger than"):
        from_file(bomb)
    many = zipped(tmp_path, {f"f{i}": b"" for i in range(1001)})
    monkeypatch.setattr(_corpora, "MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="1,001 files"):
        from_file(many)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path, {"corpus.jsonl": b"x" * 5_000_000})
    data = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    monkeypatch.setattr(_corpora, "MOST_BYTES", 100_000)
    with pytest.raises(InputError, match=r"damaged|larger|not JSON"):
        from_file(path)


def test_limits_of_a_corpus(monkeypatch):
    with pytest.raises(InputError, match="20,001"):
        Corpus("x", tuple(Document(str(i), "t") for i in range(20_001)))
    with pytest.raises(InputError, match="20,001 characters"):
        Corpus("x", (Document("a", "t" * 20_001),))
    with pytest.raises(InputError, match="more than 20,000"):
        from_text("\n".join(["x"] * 20_001))
    with pytest.raises(InputError, match="no document"):
        Corpus("x", (Document("a", "t"),)).place("b")


def test_digest_tells_texts_and_languages_apart():
    one, two = from_text("a\nb"), from_text("a\nc")
    assert one.digest == from_text("a\nb").digest != two.digest
    assert from_text("a\nb", "turkish").digest != one.digest

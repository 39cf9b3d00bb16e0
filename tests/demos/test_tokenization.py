"""The tab without a browser: chips, numbers, files, and its endpoint as a program uses it."""

import csv
import importlib
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from components.errors import InputError
from components.numerics.token_alignment import legible
from components.tokenization import LONGEST, Text, tokenizers
from components.tokenization._samples import sample, samples
from demos import _chips, _controls, _tokens
from demos._controls import titles

# The server's own thread leaves its loop and sockets to the garbage collector when it stops
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SIX = ("byte_values", "bpe", "unigram", "bert", "sentencepiece_mistral", "tekken")
HARD = "<img src=x onerror=alert(1)> & \"quotes\" 'x'\n👨‍👩‍👧 naïve\t日本"


def bench_of(models, content, names=SIX, file=""):
    return _tokens.tokenize_all(content, [tokenizers.create(name) for name in names], file, models)


class Reader(HTMLParser):
    """Collects the chips: (segment, row, first column, last column, what it shows)."""

    def __init__(self):
        super().__init__()
        self.chips, self.segment, self.tags, self.ids = [], -1, set(), []
        self.inside = False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        given = dict(attrs)
        if given.get("class") == "ts-seg":
            self.segment += 1
        if tag == "b":
            row, first, _, last = re.match(r"grid-area:(\d+)/(\d+)/(auto)/(\d+)", given["style"]).groups()
            self.chips.append([self.segment, int(row), int(first), int(last), "", given["title"]])
            self.ids.append(given["data-piece"])
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "b"

    def handle_data(self, data):
        if self.inside:
            self.chips[-1][4] += data


def read(markup):
    reader = Reader()
    reader.feed(markup)
    return reader


def drawn(bench, view="text"):
    names = titles(bench.chosen)
    return _chips.chips([(slot, names[slot], tokens) for slot, _, tokens in bench.done], [], view)


def test_every_row_spells_the_text_and_nothing_is_markup(models):
    bench = bench_of(models, HARD)
    reader = read(drawn(bench))
    assert reader.tags <= {"div", "span", "b", "u", "i", "hr", "p"}
    for line, (_, _, tokens) in enumerate(bench.done, 1):
        shown = [chip[4] for chip in sorted(reader.chips, key=lambda c: c[0]) if chip[1] == line]
        plain = [re.sub("[⟨⟩]|U\\+", "", legible(piece)).replace("␣", "·") or "∅" for piece in tokens.pieces]
        assert shown == plain


def test_chips_that_stand_above_one_another_cover_the_same_bytes(models):
    bench = bench_of(models, HARD + sample("Mixed scripts"))
    reader = read(drawn(bench))
    places = {}
    for line, (_, _, tokens) in enumerate(bench.done, 1):
        at = 0
        mine = [chip for chip in reader.chips if chip[1] == line]
        for chip, piece in zip(sorted(mine, key=lambda c: c[0]), tokens.pieces, strict=True):
            if piece:
                for edge, byte in ((chip[2], at), (chip[3], at + len(piece))):
                    assert places.setdefault((chip[0], edge), byte) == byte
            at += len(piece)


def test_every_segment_begins_in_its_first_column(models):
    reader = read(drawn(bench_of(models, HARD)))
    firsts = {}
    for segment, _, first, *_ in reader.chips:
        firsts[segment] = min(first, firsts.get(segment, first))
    assert len(firsts) > 3 and set(firsts.values()) == {1}


def test_chips_and_map_share_their_ids(models):
    bench = bench_of(models, HARD)
    points = _tokens.map_of(bench)
    assert set(points.ids) == set(read(drawn(bench)).ids)
    assert "not a model" in points.note
    assert _tokens.map_of(bench_of(models, "")) is None


def test_ids_and_bytes_can_be_shown(models):
    bench = bench_of(models, "é", ["byte_values"])
    assert [chip[4] for chip in read(drawn(bench, "ids")).chips] == ["195", "169"]
    assert [chip[4] for chip in read(drawn(bench, "bytes")).chips] == ["C3", "A9"]
    assert read(drawn(bench)).chips[0][5] == "<0xC3> · id 195 · bytes C3 · characters 0–1"


def test_a_long_text_is_drawn_in_part_and_says_so(models):
    content = sample("English prose") * 20
    bench = bench_of(models, content)
    markup = drawn(bench)
    reader = read(markup)
    assert 500 < len(reader.chips) <= _chips.MOST
    assert f"of {len(content.encode()):,} bytes are drawn" in markup
    assert "are drawn" not in drawn(bench_of(models, content[:900]))


def test_a_tokenizer_that_refuses_leaves_the_others_alone(models):
    bench = bench_of(models, "   ", ["bert", "byte_values"])
    assert [slot for slot, _, _ in bench.done] == [1]
    first, second = _tokens.rows(bench)
    assert "keeps nothing" in first[0] and first[1] is None
    assert second[1] == 3
    markup = importlib.import_module("demos.tokenization")._typed(bench, "text")
    assert "keeps nothing" in markup[0] and "keeps nothing" in markup[1]


def test_the_empty_text_is_a_text(models):
    bench = bench_of(models, "")
    assert [row[1] for row in _tokens.rows(bench)] == [0] * len(SIX)
    assert read(drawn(bench)).chips == []
    assert len(_tokens.figures_of(bench)) == 3


def test_six_tokenizers_keep_up_with_typing(models):
    content = sample("English prose")[:1000]
    bench_of(models, content)
    times = []
    for _ in range(9):
        started = time.thread_time()
        bench_of(models, content)
        times.append(time.thread_time() - started)
    assert sorted(times)[4] < 0.05


def test_the_endpoint_gives_what_the_tokenizers_give(client, models):
    methods = [{"method": "tekken", "knobs": {}}, {"method": "live", "knobs": {"size": 300}}]
    tekken, live = client.predict(HARD, methods, "", api_name="/tokenize")
    own = tokenizers.create("tekken")(Text(HARD), models)
    assert [t["id"] for t in tekken["tokens"]] == list(own.ids)
    assert b"".join(bytes.fromhex(t["bytes"]) for t in tekken["tokens"]) == HARD.encode()
    assert tekken["measures"]["round_trip"] is True and tekken["vocabulary"] == 131072
    assert live["knobs"] == {"algorithm": "bpe", "size": 300} and live["vocabulary"] <= 300
    family = [t for t in tekken["tokens"] if t["cut"]]
    assert family and all(t["end"] - t["start"] >= 1 for t in family)


def test_the_endpoint_reads_a_tokenizer_and_refuses_nonsense(client, models):
    source = models.get("text-tokenizers")["words"].tokenizer.to_str()
    (uploaded,) = client.predict(
        "the cat", [{"method": "uploaded", "knobs": {}}], source, api_name="/tokenize"
    )
    own = tokenizers.create("words")(Text("the cat"), models)
    assert [t["id"] for t in uploaded["tokens"]] == list(own.ids)
    (refused,) = client.predict("the cat", [{"method": "uploaded", "knobs": {}}], "{", api_name="/tokenize")
    assert "not JSON" in refused["refused"]
    with pytest.raises(Exception, match="tokenize"):
        client.predict("a", [{"method": "tokenizer_of_nobody"}], "", api_name="/no_such_tokenize")
    with pytest.raises(Exception, match="no method of this tab"):
        client.predict("a", [{"method": "nobody"}], "", api_name="/tokenize")


def test_files_hold_every_token_and_no_formula(models):
    bench = bench_of(models, "=1+2 é", ["bpe", "byte_values"])
    paths = {Path(path).name: Path(path) for path in _tokens.files_of(bench)}
    assert set(paths) == {"numbers.csv", "tokens.csv", "tokens.json"}
    with paths["tokens.csv"].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == sum(len(tokens.pieces) for _, _, tokens in bench.done)
    assert all(row["piece"].startswith("'") for row in rows)
    spelled = b"".join(bytes.fromhex(row["bytes"]) for row in rows if row["method"] == "Bytes")
    assert spelled.decode() == "=1+2 é"
    assert json.loads(paths["tokens.json"].read_text(encoding="utf-8")) == _tokens.records(bench)


def test_text_files_are_read_with_care(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfhello")
    assert _tokens.read_text(str(path)) == "hello"
    path.write_bytes(b"abc\xff")
    with pytest.raises(InputError, match="Byte 3"):
        _tokens.read_text(str(path))
    path.write_bytes("€".encode() * (2 * LONGEST))
    with pytest.raises(InputError, match="up to 200,000"):
        Text(_tokens.read_text(str(path)))


def test_a_tokenizer_file_brings_its_method(tmp_path):
    strip = [_controls.spec(tokenizers[name]) for name in SIX]
    assert _tokens.reader(strip, None) == strip
    changed = _tokens.reader(strip, "x.json")
    assert [entry["method"] for entry in changed] == [*SIX[:5], "uploaded"]
    assert _tokens.reader(changed, "y.json") == changed
    path = tmp_path / "t.json"
    path.write_bytes(b"x" * (_tokens.LARGEST_FILE + 1))
    with pytest.raises(InputError, match="fit"):
        _tokens.read_tokenizer(str(path))


def test_the_opening_text_and_examples_work_in_all_tokenizers(models):
    tab = importlib.import_module("demos.tokenization")
    for content in (tab.FIRST, *samples().values()):
        names = [name for name in tokenizers.names() if name != "uploaded"]
        bench = bench_of(models, content, names)
        assert len(bench.done) == len(names)
        for _, _, tokens in bench.done:
            assert b"".join(tokens.pieces) == content.encode()

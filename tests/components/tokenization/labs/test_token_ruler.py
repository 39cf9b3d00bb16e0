import pytest

from components.tokenization import Text
from components.tokenization.bert import Bert
from components.tokenization.labs.token_ruler import OWN, PEERS, TokenRuler
from components.tokenization.tekken import Tekken


def test_a_window_is_worth_what_the_rates_say(models):
    text = Text("The harbour clock was slow.")
    matrix, bars, table = TokenRuler(window=10_000, tokenizer="tekken")(text, models)
    rates = dict(zip(PEERS, matrix.values[0], strict=True))
    assert matrix.rows[0] == OWN
    assert rates["tekken"] == pytest.approx(27 / len(Tekken()(text, models).pieces))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["characters"] == round(10_000 * rates["tekken"])
    assert row["tokens of Tekken (Mistral)"] == 10_000
    ratio = len(Bert()(text, models).pieces) / len(Tekken()(text, models).pieces)
    assert row["tokens of BERT WordPiece"] == pytest.approx(10_000 * ratio, abs=1)
    assert bars.values[OWN] == pytest.approx(max(rates.values()) / min(rates.values()))


def test_without_a_text_the_examples_stand_alone(models):
    matrix, *_ = TokenRuler()(Text(" "), models)
    assert OWN not in matrix.rows


def test_the_claim_holds(models):
    finding = TokenRuler.check(models)
    assert finding.holds, finding

"""How the three forms of `glyph-lm` are trained and measured: the same seed, text and steps for all."""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from components.models.nets.glyph_lm import GlyphLM, alphabet, build
from components.models.recipes import _glyph_corpus as text
from components.models.recipes import _glyph_probes
from components.models.recipes._lm_training import Training, read_out_loss
from components.models.recipes._run import arguments, publish
from components.models.recipes._text_lm import books, folder_of, token_losses
from components.models.weights import matrices, round_as_stored
from components.numerics import glyphs

FORMS = {"glyph-lm-frozen": "glyph", "glyph-lm-trainable": "trained", "glyph-lm-random": "random"}
NGRAMS = 1280
BATCH = 8  # crops a step
NET: dict[str, Any] = {"width": 192, "depth": 4, "heads": 3, "hidden": 512, "context": 256}
GAP = 0.10  # bits per byte that frozen glyphs may cost
# Code points there are: what naming an unknown character costs beyond the unknown token.
ESCAPE = math.log(0x110000)


def loss_over(corpus: text.Corpus, seed: int, device: str) -> Callable[[GlyphLM, int], Tensor]:
    """Return the loss of a step: next-token cross-entropy on crops of all sources."""

    def loss(net: GlyphLM, step: int) -> Tensor:
        tokens = text.batch(corpus, net.context, BATCH, seed, step).to(device)
        with torch.autocast(device, torch.bfloat16):
            states, _ = net.body.states(net.vectors(tokens[:, :-1]))
            return read_out_loss(states, net.body.table, tokens)

    return loss


def bits(net: GlyphLM, data: Path) -> list[dict[str, Any]]:
    """Return bits per byte on the held-out books and what their own token counts alone would need."""
    rows, nats, plain, size = [], 0.0, 0.0, 0
    for name, book in books(data).items():
        ids = net.encode(book)
        length = len(book.encode())
        escaped = ESCAPE * ids.count(0)
        own = float(token_losses(net, ids).sum()) + escaped  # type: ignore[arg-type]
        share = np.bincount(ids)[ids] / len(ids)
        rows.append(_row("bits per byte", own / math.log(2) / length, "bits", length, name))
        rows.append(_row("bytes per token", length / len(ids), "bytes", len(ids), name))
        nats, plain, size = nats + own, plain - float(np.log(share).sum()) + escaped, size + length
    rows.append(_row("bits per byte", nats / math.log(2) / size, "bits", size, "both books"))
    rows.append(_row("baseline bits per byte (the books' own token counts)", plain / math.log(2) / size,
                     "bits", size, "both books"))  # fmt: skip
    return rows


def _row(name: str, value: float, unit: str, n: int, on: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": unit, "n": n, "on": on}


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure bits per byte on the held-out books and the probes; nothing is made in `work`."""
    return bits(model, folder_of(data)) + _glyph_probes.measure(model)


def new_net(form: str, corpus: text.Corpus, tokens_read: float) -> GlyphLM:
    """Return the net of a form at its start; `tokens_read` is how many tokens its training will read."""
    net = build(vocabulary=len(corpus.tokens), rows=FORMS[form], **NET)
    net.name_tokens(corpus.tokens)
    net.seen.copy_(torch.from_numpy(np.rint(corpus.seen * tokens_read).astype(np.int32)))
    return net


def train(name: str, argv: list[str] | None = None) -> Path:
    """Train, measure and publish one form; return its folder."""
    options: argparse.Namespace = arguments(f"Train {name} on novels and three scripts.", 3, argv=argv)
    data = folder_of(options.data)
    corpus = text.build(data, NGRAMS)
    torch.manual_seed(options.seed)
    net = new_net(name, corpus, 0)
    training = Training(options, name, net, loss_over(corpus, options.seed, options.device))
    training.run(every=20)
    net = training.result.cpu()
    read = training.step * BATCH * NET["context"]
    net.seen.copy_(torch.from_numpy(np.rint(corpus.seen * read).astype(np.int32)))
    round_as_stored(net, matrices(net))
    metrics = evaluate(net, options.data, options.work)
    folder = Path(options.out) / name
    shape = {"vocabulary": len(corpus.tokens), "rows": FORMS[name], **NET}
    publish(folder, "glyph_lm", shape, net.state_dict(), card(name, options, training, net, data, metrics),
            in_8_bits=matrices(net))
    tell_twins(Path(options.out))
    return folder


def twins(name: str, out: Path) -> dict[str, float]:
    """Return bits per byte of the other forms that are published beside this one."""
    found = {}
    for other in FORMS:
        path = out / other / "card.json"
        if other != name and path.exists():
            found[other] = both_books(json.loads(path.read_text(encoding="utf-8"))["metrics"])
    return found


def tell_twins(out: Path) -> None:
    """Bring on every published form's card what the others reach."""
    for name in FORMS:
        path = out / name / "card.json"
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            known["bits_per_byte_of_the_twins"] = twins(name, out)
            path.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def both_books(metrics: list[dict[str, Any]]) -> float:
    """Return the bits per byte on both books together."""
    return float(next(m["value"] for m in metrics if (m["name"], m["on"]) == ("bits per byte", "both books")))


def font_licence() -> str:
    """Return the licence of the font in use."""
    return "Bitstream Vera and DejaVu licence" if "DejaVu" in glyphs.font_name() else "SIL OFL 1.1"


def card(name: str, options: argparse.Namespace, training: Training, net: GlyphLM, data: Path,
         metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the card says beside the net's own facts."""
    module = name.replace("-", "_")
    others = twins(name, Path(options.out))
    alike = len(net.bitmaps()) - len(np.unique(net.bitmaps(), axis=0))
    limits = [
        "Three quarters of its text are English novels of 1839 to 1927, the rest translations of one "
        "declaration: it knows little of modern English and next to nothing of other languages.",
        f"Of {net.vocabulary} tokens {alike} have the same 16 x 16 picture as another (Latin A, Greek Alpha, "
        "Cyrillic A): with glyph rows the model cannot tell them apart where they enter.",
        "Pictures of n-grams are their characters squeezed into one cell, hard to read for people.",
    ]
    if name == "glyph-lm-frozen" and "glyph-lm-trainable" in others:
        gap = both_books(metrics) - others["glyph-lm-trainable"]
        verdict = "reached" if gap <= GAP else "not reached"
        limits.append(f"Target: at most {GAP:g} bits per byte above the trainable twin. Measured: "
                      f"{gap:+.4f}, {verdict}.")  # fmt: skip
    return {
        "licence": "Apache-2.0",
        "recipe": f"components/models/recipes/{module}.py",
        "command": f"python -m components.models.recipes.{module} --data DATA --minutes {options.minutes:g}"
        + (f" --steps {options.steps}" if options.steps else ""),
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(training.spent),
        "tokens_seen": training.step * BATCH * NET["context"], "curve": training.curve,
        "font": {"family": glyphs.font_name(), "licence": font_licence(),
                 "note": "only 16 x 16 bitmaps drawn with it are here"},
        "tokens": f"{net.vocabulary}: unknown, {len(alphabet())} characters and the n-grams of 2 to 4 "
        "characters that save most tokens; a text is cut from the left into the longest. A character outside "
        "costs log2 of 1,114,112 bits more.",
        "bits_per_byte_of_the_twins": others,
        "probes": "Logistic regression on the standardised vectors of single characters that stood alone at "
        f"least {_glyph_probes.SEEN} times in training, {_glyph_probes.FOLDS} folds over characters.",
        "data": text.data_rows(data),
        "metrics": metrics,
        "limits": limits,
    }  # fmt: skip

"""`scene-vlm`: the decoder against attention written out, its packing, its recipe, the shipped weights."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from components.models import ModelStore
from components.models.nets._packed_questions import packed
from components.models.nets.scene_vlm import build, look
from components.models.recipes import _scene_answers, _scene_lessons, scene_vlm
from components.numerics.scene_questions import KINDS, Question, drill, meant
from components.numerics.scenes import CLASSES, HELD_OUT_SEEDS, scene
from components.settings import Settings

SMALL = {**scene_vlm.NET, "features": 24, "grid": 16, "width": 32, "depth": 3, "heads": 2, "hidden": 48}
ASKED = "is there a red ball"


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def small():
    """A net with random weights everywhere, the zero-initialised ones included."""
    torch.manual_seed(0)
    net = build(**SMALL).eval().requires_grad_(False)
    for block in net.blocks:
        block.out.weight.normal_(0, 0.2)
        block.down.weight.normal_(0, 0.2)
        block.sharpness.normal_(0, 0.3)
    return net


@pytest.fixture(scope="module")
def visual(small):
    return small.project(torch.randn(2, 16, 24, generator=seeded(1)))


def by_hand(net, visual, kept, question, before="", drop_before=None):
    """The answer's probabilities and each layer's attention (heads averaged), by loops over heads and rows.

    Dropped tokens are masked, not removed: every row may see what stands at or before its own place.
    """
    width, heads = net.shape.width, net.heads
    wide, half = width // heads, width // heads // 2
    head = [*net.prompt.tolist(), *net.encode(before)]
    tail = net.encode(question)
    rows = [F.layer_norm(net.table[i], (width,)) for i in head]
    rows += [*visual[0], *(F.layer_norm(net.table[i], (width,)) for i in tail)]
    places = [*range(len(head)), *(len(head) + int(k) for k in kept)]
    places += [len(head) + net.shape.grid + i for i in range(len(tail))]
    x = torch.stack(rows)
    seen = torch.ones(len(x), dtype=torch.bool)
    maps = []
    for layer, block in enumerate(net.blocks, start=1):
        if layer == drop_before:
            seen[len(head) : len(head) + len(kept)] = False
        q, k, v = F.linear(block.norm_attend(x), block.qkv.weight).split(width, -1)
        heard, weights = torch.zeros_like(x), torch.zeros(len(x), len(x))
        for h in range(heads):
            of = slice(h * wide, (h + 1) * wide)
            turned = []
            for raw in (q[:, of], k[:, of]):
                part = F.layer_norm(raw, (wide,))
                out = torch.empty_like(part)
                for i, place in enumerate(places):
                    for c in range(half):
                        angle = place * 10_000 ** (-c / half)
                        a, b = part[i, c], part[i, c + half]
                        out[i, c] = a * math.cos(angle) - b * math.sin(angle)
                        out[i, c + half] = b * math.cos(angle) + a * math.sin(angle)
                turned.append(out)
            logits = turned[0] @ turned[1].T * block.sharpness[h].exp() / math.sqrt(wide)
            allowed = torch.ones(len(x), len(x)).tril().bool() & seen[None]
            share = logits.masked_fill(~allowed, -math.inf).softmax(-1).nan_to_num()
            heard[:, of] = share @ v[:, of]
            weights += share / heads
        maps.append(weights)
        x = x + F.linear(heard, block.out.weight)
        gate, value = F.linear(block.norm_feed(x), block.up.weight).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * value, block.down.weight)
    return (F.layer_norm(x[-1], (width,), net.norm.weight) @ net.table.T).softmax(-1), maps


@pytest.mark.parametrize("before", ["", "what colour is the star"])
def test_reading_equals_attention_written_out(small, visual, before):
    kept = torch.tensor([1, 4, 5, 11, 15])
    reading = small.read(visual[:1, kept], ASKED, before, kept, watch=True)
    expected, maps = by_hand(small, visual[:1, kept], kept, ASKED, before)
    assert torch.allclose(reading.probabilities, expected, atol=1e-5)
    assert reading.answer == small.words[int(expected.argmax())]
    first = len(small.prompt) + len(before.split())
    sees = range(first, first + 5)
    text = [*range(len(small.prompt), first), *range(first + 5, first + 10)]
    for layer, weights in enumerate(maps):
        to_visual = np.mean([float(weights[i, sees].sum()) for i in text])
        to_text = np.mean([float(weights[i, text].sum()) for i in sees])
        assert reading.to_visual[layer] == pytest.approx(to_visual, abs=1e-5)
        assert reading.to_text[layer] == pytest.approx(to_text, abs=1e-5)
        assert reading.last[layer] == pytest.approx(float(weights[-1, sees].sum()), abs=1e-5)
    assert (max(reading.to_text) > 0) == bool(before)  # causal: nothing comes after the picture but questions


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_dropping_is_masking_with_shorter_tensors(small, visual, layer):
    before = "how many stars are there"
    reading = small.read(visual[:1], ASKED, before, drop_before=layer, watch=True)
    expected, _ = by_hand(small, visual[:1], range(16), ASKED, before, drop_before=layer)
    assert torch.allclose(reading.probabilities, expected, atol=1e-5)
    spoken = len(small.prompt) + 5 + 5
    assert reading.lengths == tuple(spoken + 16 * (at < layer) for at in (1, 2, 3))
    assert all((share > 0) == (at < layer) for at, share in zip((1, 2, 3), reading.to_visual, strict=True))


def test_attention_is_the_fused_kernel_and_what_is_dropped_never_reaches_it(small, visual, monkeypatch):
    seen = []
    fused = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda q, *a, **o: seen.append(q.shape[2]) or fused(q, *a, **o)
    )
    reading = small.read(visual[:1, :4], ASKED, kept=torch.arange(4), drop_before=3)
    assert tuple(seen) == reading.lengths == (21, 21, 17)
    assert reading.to_visual == reading.to_text == reading.last == ()


def test_places_matter_and_no_visual_token_is_needed(small, visual):
    kept = torch.tensor([2, 9, 14])
    right = small.read(visual[:1, kept], ASKED, kept=kept).probabilities
    renumbered = small.read(visual[:1, kept], ASKED, kept=torch.arange(3)).probabilities
    assert (right - renumbered).abs().max() > 1e-4
    blind = small.read(visual[:1, :0], ASKED, kept=torch.arange(0), watch=True)
    assert blind.to_visual == (0, 0, 0)
    at_once = small.read(visual[:1], ASKED, drop_before=1)
    assert torch.allclose(blind.probabilities, at_once.probabilities, atol=1e-6)


def test_packed_questions_are_answered_as_if_alone(small, visual):
    texts = [ASKED, "is the ball left of the star", "how many red objects are there"]
    questions = [tuple(Question("exists", t, "yes", -1) for t in texts)] * 2
    lesson = _scene_lessons.asked(small, questions)
    assert lesson.words.shape == (2, 3, 7)
    kept = torch.tensor([0, 3, 7, 8, 12])
    for before in ("", "what texture is the box"):
        ids = torch.tensor([small.encode(before)] * 2, dtype=torch.long)
        for layer in (None, 2, 3):
            logits = packed(small, visual[:, kept], ids, lesson.words, lesson.ends, kept, layer).logits
            for picture in range(2):
                for i, text in enumerate(texts):
                    alone = small.read(visual[picture : picture + 1, kept], text, before, kept, layer)
                    together = logits[picture, i].softmax(-1)
                    assert torch.allclose(together, alone.probabilities, atol=1e-5)


def test_the_stream_of_hints_knows_no_question(small, visual):
    first = _scene_lessons.asked(small, [(Question("exists", ASKED, "yes", -1),)] * 2)
    other = _scene_lessons.asked(small, [(Question("exists", "what colour is the star", "red", -1),)] * 2)
    nothing = torch.zeros(2, 0, dtype=torch.long)
    streams = [packed(small, visual, nothing, q.words, q.ends, hints_after=2).stream for q in (first, other)]
    assert streams[0].shape == (2, 16, 32)
    assert torch.equal(*streams)
    assert torch.equal(packed(small, visual, nothing, first.words, first.ends).stream, visual)


def test_pointing_is_the_attention_of_one_head(small, visual):
    """Summed over the visual tokens and averaged over both heads it is what `read` reports of that layer."""
    text = "is the ball left of the star"
    lesson = _scene_lessons.asked(small, [(Question("left", text, "yes", -1),)])
    nothing = torch.zeros(1, 0, dtype=torch.long)
    pointing = packed(small, visual[:1], nothing, lesson.words, lesson.ends, hints_after=1).pointing
    assert pointing.shape == (1, 1, 7, 16)
    masses = []
    for swap in (False, True):
        net = build(**SMALL).eval().requires_grad_(False)
        net.load_state_dict(small.state_dict())
        if swap:  # the second head of layer 2 takes the first one's place
            block = net.blocks[1]
            order = torch.cat([torch.arange(16, 32), torch.arange(16)])
            block.qkv.weight.copy_(block.qkv.weight.view(3, 32, 32)[:, order].reshape(96, 32))
            block.out.weight.copy_(block.out.weight[:, order])
            block.sharpness.copy_(block.sharpness.flip(0))
        passed = packed(net, visual[:1], nothing, lesson.words, lesson.ends, hints_after=1)
        masses.append(passed.pointing[0, 0, -1].sum())
    assert abs(masses[0] - masses[1]) > 1e-4
    assert float(sum(masses)) / 2 == pytest.approx(small.read(visual[:1], text, watch=True).last[1], abs=1e-5)


def test_pointing_is_learned_where_something_is_meant():
    pointing = torch.tensor([[[[0.1, 0.2, 0.3], [0.5, 0.25, 0.1]], [[0.7, 0.1, 0.1], [0.2, 0.2, 0.2]]]])
    ends = torch.tensor([[1, 0]])
    wanted = torch.tensor([[[True, True, False], [False, False, False]]])
    found = scene_vlm.pointing_loss(pointing, ends, wanted)
    assert float(found) == pytest.approx(-math.log(0.75 + 1e-4), abs=1e-6)
    made = scene(11, objects=5)
    one = _scene_lessons.Seen(torch.zeros(0), torch.zeros(0), _scene_lessons.labels(made), made.objects, 11)
    asked = drill(made.objects, 1, 30)
    shown = _scene_lessons.looked_at([one], [asked])
    assert shown.shape == (1, 30, 256)
    for question, row in zip(asked, shown[0].numpy(), strict=True):
        ids = meant(question, made.objects)
        assert row.tolist() == [int(owner) in ids for owner in one.labels.owner]


def test_what_does_not_fit_is_refused(small, visual):
    for arguments, match in (
        ({"question": "where is the ball"}, "does not know 'where'"),
        ({"question": " "}, "question is empty"),
        ({"question": ASKED, "kept": torch.arange(3)}, "with 3 places"),
        ({"question": ASKED, "kept": torch.arange(16).flip(0)}, "must rise"),
        ({"question": ASKED, "drop_before": 4}, "layer from 1 to 3"),
    ):
        with pytest.raises(InputError, match=match):
            small.read(visual[:1], **arguments)
    assert small.encode("Is there a RED ball?") == small.encode(ASKED)


@pytest.mark.parametrize("made", [scene(11, objects=5), scene(20, objects=6)])
def test_patches_are_labelled_by_what_most_of_them_shows(made):
    """In scene 20 one object fills no patch enough: its fullest patch is its own all the same."""
    found = _scene_lessons.labels(made)
    for at in range(0, 256, 7):
        row, column = divmod(at, 16)
        patch = made.instances[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        counts = [(patch == o.id).sum() for o in made.objects]
        owner = int(found.owner[at])
        if owner >= 0:
            thing = made.objects[owner]
            fullest = [
                (made.instances[8 * r : 8 * r + 8, 8 * c : 8 * c + 8] == owner).sum()
                for r in range(16) for c in range(16)
            ]  # fmt: skip
            assert counts[owner] == max(counts) >= _scene_lessons.LEAST or counts[owner] == max(fullest)
            said = [group[i] for group, i in zip(_scene_lessons.GROUPS, found.words[:, at], strict=True)]
            assert said == [thing.shape, thing.colour, thing.texture]
            assert found.middle[at] == pytest.approx(thing.centre)
        else:
            assert max(counts) < _scene_lessons.LEAST
            assert tuple(found.words[1:, at]) == (-100, -100)
            behind = made.segmentation[8 * row + 4, 8 * column + 4]
            assert found.words[0, at] == (behind if behind < 2 else -100)
    assert set(found.owner) == {-1, *range(len(made.objects))}
    assert len(CLASSES) == len(_scene_lessons.GROUPS[0])
    owner = np.array([-1, 2, 2, 0, -1, 0, 1, 2])
    assert np.flatnonzero(_scene_lessons.first_of_each(owner)).tolist() == [1, 3, 6]


def test_the_encoder_gives_its_final_and_its_early_tokens(models):
    encoder = models.get("scene-vit")
    images = torch.rand(2, 3, 128, 128, generator=seeded(3))
    features, attention = look(encoder, images)
    assert features.shape == (2, 256, 320)
    tokens = encoder.embed(images)
    early = F.layer_norm(tokens[:, 1:], (160,))
    for block in encoder.blocks:
        before, (tokens, _, row) = tokens, block.attend(tokens)
        tokens = block.feed(tokens)
        assert before.shape == tokens.shape
    assert torch.allclose(features[..., :160], encoder.features(tokens)[:, 1:], atol=1e-4)
    assert torch.allclose(features[..., 160:], early, atol=1e-5)
    assert torch.allclose(attention, row[:, 1:], atol=1e-5)


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    tiny = {**scene_vlm.NET, "width": 32, "depth": 3, "heads": 2, "hidden": 48}
    for name, value in (("NET", tiny), ("BATCH", 2), ("QUESTIONS", 8), ("POOL", 3), ("WARM_UP", 1),
                        ("EYES_FIRST", 1), ("HINTS_AFTER", 1)):  # fmt: skip
        monkeypatch.setattr(scene_vlm, name, value)
    for name, value in (("QUESTIONS", 14), ("BOTH_SIDES", 14), ("GUESS_SCENES", 3), ("LATE", 3)):
        monkeypatch.setattr(_scene_answers, name, value)
    seeds, befores = [], []
    noted = lambda seed, **more: seeds.append((seed, more)) or scene(seed, **more)  # noqa: E731
    monkeypatch.setattr(scene_vlm, "scene", noted)
    asked_before = scene_vlm.texts_before
    monkeypatch.setattr(
        scene_vlm, "texts_before", lambda *a: befores.append(1) or asked_before(*a)
    )
    options = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--minutes", "5"]
    scene_vlm.main([*options, "--steps", "2"])
    torch.manual_seed(0)
    start = scene_vlm.build(**scene_vlm.NET).state_dict()
    two = torch.load(tmp_path / "work" / "scene-vlm.pt", weights_only=True)
    assert two["step"] == 2
    assert all(not torch.equal(start[k], two["net"][k]) for k in start if k.endswith(("weight", "table")))
    folder = scene_vlm.main([*options, "--steps", "4", "--resume"])
    four = torch.load(tmp_path / "work" / "scene-vlm.pt", weights_only=True)
    assert four["step"] == 4
    assert four["spent"] > two["spent"]
    assert len(befores) == 2  # a question before the picture on every second step
    assert all(seed >= HELD_OUT_SEEDS and set(more) == {"objects"} for seed, more in seeds)  # no style chosen
    assert len({seed for seed, _ in seeds}) == len(seeds)
    card = json.loads((folder / "card.json").read_text())
    names = {m["name"] for m in card["metrics"]}
    assert {"answers right", "answers right: count", "fog: answers right",
            "10 % of visual tokens, by k-center", "alpha text to visual, layer 3"} <= names  # fmt: skip
    net = ModelStore(Settings(threads=1), folder=tmp_path / "out").get("scene-vlm")
    assert card["encoder"]["sha256"] == ModelStore().card("scene-vit")["sha256"]
    assert net.read(torch.randn(1, 256, 32), "is there a ball left of the box").answer in net.words


def test_losses_fall_for_tokens_that_name_their_patch(small):
    """A visual token equal to the sum of its words' rows names them; random ones do not."""
    net = build(**{**SMALL, "grid": 256}).requires_grad_(False)
    torch.nn.init.orthogonal_(net.table)
    ones = _scene_lessons.Seen(torch.zeros(0), torch.zeros(0), _scene_lessons.labels(scene(3)), (), 3)
    ids = [[net.codes[w] for w in group] for group in _scene_lessons.GROUPS]
    rows = torch.zeros(1, 256, 32)
    for group, said in zip(ids, ones.labels.words, strict=True):
        for at in np.flatnonzero(said >= 0):
            rows[0, at] += 20 * net.table[group[said[at]]]
    told = float(scene_vlm.words_loss(net, rows, [ones]))
    assert told < float(scene_vlm.words_loss(net, 0 * rows, [ones])) / 2
    net.hints.weight.zero_()
    net.hints.bias.zero_()
    constant = float(scene_vlm.hints_loss(net, rows, [ones]))
    middle = ones.labels.middle[ones.labels.owner >= 0] - 0.5
    distance = np.abs(middle)
    smooth = np.where(distance < 0.1, distance**2 / 0.2, distance - 0.05).mean()
    assert constant == pytest.approx(math.log(2) + 5 * smooth, rel=1e-4)


def test_the_blind_guess_is_the_commonest_answer_to_a_text():
    best = _scene_answers.guesses(40)
    text = "what shape is the closest object"
    scenes = [scene(seed, size=64) for seed in range(HELD_OUT_SEEDS, HELD_OUT_SEEDS + 40)]
    answers = [q.answer for made in scenes for q in made.questions if q.text == text]
    assert answers.count(best[text]) == max(map(answers.count, CLASSES[2:])) > 0


@pytest.fixture(scope="module")
def fresh(models):
    """A few dozen scenes that neither training nor the card's test saw, with many questions each."""
    scenes = _scene_lessons.seen(models.get("scene-vit"), [scene(s) for s in range(60_000, 60_016)])
    return _scene_answers.Exam(tuple(scenes), tuple(drill(s.objects, s.seed, 28) for s in scenes))


def test_shipped_weights_answer_questions_about_fresh_scenes(models, fresh):
    net, card = models.get("scene-vlm"), models.card("scene-vlm")
    assert card["bytes"] <= 12_000_000
    assert card["encoder"]["sha256"] == models.card("scene-vit")["sha256"]
    stated = {m["name"]: m["value"] for m in card["metrics"]}
    with torch.inference_mode():
        marked = _scene_answers.answers(net, fresh)
    assert np.mean([right for _, right in marked]) > stated["answers right"] - 0.06
    for kind in KINDS:
        mine = [right for q, right in marked if q.kind == kind]
        assert np.mean(mine) > stated[f"answers right: {kind}"] - 0.15, kind
    assert np.mean([right for _, right in marked]) > 0.2 + stated[
        "blind baseline (commonest answer to the same question)"
    ]


def test_shipped_weights_need_a_tenth_of_the_tokens_and_none_in_the_last_layers(models, fresh):
    net = models.get("scene-vlm")
    fresh = _scene_answers.Exam(fresh.scenes[:8], fresh.questions[:8])
    with torch.inference_mode():
        full = np.mean([right for _, right in _scene_answers.answers(net, fresh)])
        few = np.mean([r for _, r in _scene_answers.answers(net, fresh, _scene_answers.diversely, 26)])
        late = np.mean([r for _, r in _scene_answers.answers(net, fresh, drop_before=8)])
        none = np.mean([r for _, r in _scene_answers.answers(net, fresh, keep=0)])
    assert none < few
    assert none < late
    assert late > full - 0.05

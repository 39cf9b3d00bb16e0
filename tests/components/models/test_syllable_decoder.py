"""Token to speech: the net against loops, its recipe, and its shipped weights on sentences made here."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.models import ModelStore, decode_speech
from components.models.decode_speech import SpeechTokens, portions, timeline
from components.models.nets.syllable_decoder import KEYS, LATENT, PLACED, build
from components.models.recipes import (
    _decoder_training,
    _phone_ear,
    _recogniser,
    _resynthesis_scores,
    syllable_decoder,
)
from components.models.recipes._decoder_start import key_frames, start
from components.models.recipes._decoder_training import phones_right
from components.models.recipes._phone_ear import PhoneEar, heard_apart
from components.models.recipes._resynthesis_corpus import (
    PHONES,
    Clip,
    Listener,
    by_frame,
    clips,
    made_once,
    moved,
    speakable,
)
from components.models.recipes._resynthesis_scores import decoded, flat, level_apart, told_apart
from components.models.recipes._syllables import Phone
from components.numerics.mel_vocoder import waveform
from components.settings import Settings

SENTENCES = (
    "The old sailor carried a lantern across the muddy field.",
    "Nobody in the village had ever seen such a yellow bird.",
)


@pytest.fixture(scope="module")
def store():
    return ModelStore(Settings(threads=1))


@pytest.fixture(scope="module")
def spoken(store):
    return clips(list(SENTENCES), "slt", Listener(store), keep=True)


def small(seed=0):
    torch.manual_seed(seed)
    net = build(dim=6, squeezed=4, units=5, hidden=16, patch=7, bands=3, width=8, depth=2).eval()
    for weight in (net.leave.weight, net.polish.leave.weight):  # as after training, so that both are heard
        torch.nn.init.normal_(weight)
    torch.nn.init.normal_(net.embedding)
    return net


def made_up(segments=3, seconds=1.0, seed=0):
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.choice(np.arange(4, 60), 2 * segments, replace=False)) / 80
    pitch = rng.uniform(100, 200, segments).astype(np.float32)
    level = rng.uniform(-40, -10, segments).astype(np.float32)
    vectors = rng.standard_normal((segments, 6)).astype(np.float32)
    return SpeechTokens(vectors, cuts.reshape(-1, 2), pitch, level, seconds)


def tensors(said):
    return [torch.from_numpy(part)[None] for part in timeline(said)]


def deep_by_loop(net, seen):
    """Return the deep read-out of a clip's items, block by block and item by item."""
    x = [net.enter(s) for s in seen]
    for block in net.blocks:
        side = [torch.zeros(8), *(block.before(row) for row in x), torch.zeros(8)]
        x = [row + torch.nn.functional.gelu(block.mix(torch.cat(side[i : i + 3]))) for i, row in enumerate(x)]
        x = [row + block.narrow(torch.nn.functional.gelu(block.wide(block.between(row)))) for row in x]
    return [net.leave(net.last(row)).view(KEYS, 3 + LATENT) for row in x]


def polished_by_loop(net, frames):
    """Return what the polish adds to frames (frames, 3 + LATENT), one by one."""
    def around(rows, i):
        nothing = torch.zeros_like(rows[0])
        return torch.cat([rows[j] if 0 <= j < len(rows) else nothing for j in range(i - 2, i + 3)])

    part = net.polish
    x = [torch.nn.functional.gelu(part.enter(around(frames, i))) for i in range(len(frames))]
    normed = [part.norm(row) for row in x]
    x = [row + torch.nn.functional.gelu(part.mix(around(normed, i))) for i, row in enumerate(x)]
    return [part.leave(row) for row in x]


def test_frames_interpolate_between_key_frames_read_from_five_items():
    """The net against loops: surroundings, perceptron, blocks, key frames, frames, polish."""
    net = small()
    tokens, prosody, index, position = tensors(made_up())
    with torch.no_grad():
        found = net(tokens, prosody, index, position)[0]
        items = [
            torch.cat([net.squeezed(t) * float(p[4] == 0), p])
            for t, p in zip(tokens[0], prosody[0], strict=True)
        ]
        around = [torch.zeros(9)] * 2 + items + [torch.zeros(9)] * 2
        seen = [torch.cat([*around[i : i + 5], torch.zeros(1)]) for i in range(len(items))]
        deep = deep_by_loop(net, seen)
        frames = []
        for frame in range(80):
            item, place = int(index[0, frame]), float(position[0, frame]) * (KEYS - 1)
            patch = net.read(torch.cat([seen[item], torch.relu(net.up(seen[item]))]))
            keys = deep[item] + torch.nn.functional.pad(net.spread(patch).view(KEYS, 3), (0, LATENT))
            low = min(int(place), KEYS - 2)
            frames.append(keys[low] * (1 - (place - low)) + keys[low + 1] * (place - low))
        wanted = torch.stack([f[:3] + p for f, p in zip(frames, polished_by_loop(net, frames), strict=True)])
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_key_frames_lie_evenly_over_an_item():
    mel = np.arange(60, dtype=np.float32)[:, None]  # what stands in a frame is its number
    index = np.repeat([0, 1, 2], [20, 1, 39])
    found = key_frames(mel, index)
    assert found[0] == pytest.approx(np.clip(np.linspace(-0.5, 19.5, KEYS), 0, 19))
    assert found[1] == pytest.approx(np.full(KEYS, 20))
    assert found[2, [0, -1]] == pytest.approx([21, 59])


def test_the_start_alone_plays_training_clips_better_than_flat_tokens(spoken):
    net = small_recipe_net()
    start(net, spoken, seed=0)
    for clip in spoken:
        ours = [level_apart(decoded(net.eval(), clip.said, q), clip.mel) for q in (False, True)]
        assert max(ours) < 0.7 * level_apart(flat(clip), clip.mel)


def test_a_padded_batch_says_what_its_clips_say_alone():
    net = small()
    pair = [Clip(made_up(n, s, n), np.zeros((int(80 * s), 3), np.float16), np.zeros(int(80 * s), np.uint8))
            for n, s in ((2, 0.8), (5, 1.4))]  # fmt: skip
    batch = _decoder_training.collated(pair)
    with torch.no_grad():
        together = net(*(batch[k] for k in ("tokens", "prosody", "index", "position")))
        for row, clip in zip(together, pair, strict=True):
            alone = net(*tensors(clip.said))[0]
            torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=1e-4)


def test_units_are_the_nearest_centroids_and_gaps_hold_no_token():
    net = small()
    torch.nn.init.normal_(net.centroids)
    vectors = torch.randn(7, 6)
    placed = net.placed(vectors)
    assert placed.shape == (7, PLACED)
    assert torch.equal(net.units(placed), torch.cdist(placed, net.centroids).argmin(1))
    tokens, prosody, index, position = tensors(made_up())
    other = torch.where(prosody[..., -1:] == 1, tokens + 9, tokens)
    with torch.no_grad():
        rest = (prosody, index, position)
        torch.testing.assert_close(net(tokens, *rest), net(other, *rest))
        plain, units = (net(tokens, *rest, quantise=q) for q in (False, True))
        read = net.embedding[net.units(net.placed(tokens))] * (prosody[..., -1:] == 0)
        torch.testing.assert_close(units, net.decode(read, *rest, torch.ones(1)))
    assert not torch.allclose(plain, units)


def test_units_follow_what_is_said_and_not_how_loud():
    """Tokens hold a small number of the phone and a large one of the level: units tell the phones apart."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(40):
        phone, level = rng.integers(1, 3, 8), rng.normal(0, 1, 8)
        vectors = np.stack([0.2 * (phone - 1.5), level], 1) + rng.normal(0, 0.01, (8, 2))
        bounds = np.stack([np.arange(8), np.arange(1, 9)], 1) / 8
        nothing = np.zeros(8, np.float32)
        said = SpeechTokens(vectors.astype(np.float32), bounds, nothing, nothing, 1.0)
        mel = np.repeat(np.stack([4 * level, 0.2 * phone, 0 * level], 1), 10, axis=0).astype(np.float16)
        made.append(Clip(said, mel, np.repeat(phone, 10).astype(np.uint8)))
    net = build(dim=2, squeezed=2, units=2, hidden=8, patch=4, bands=3, width=8, depth=1)
    start(net, made, seed=0)
    tokens = torch.from_numpy(np.concatenate([c.said.vectors for c in made]))
    unit = net.units(net.placed(tokens))
    own = (tokens[:, 0] > 0).long()
    assert max(float((unit == own).float().mean()), float((unit != own).float().mean())) > 0.95
    mean = torch.stack([net.squeezed(tokens[unit == u]).mean(0) for u in (0, 1)])
    torch.testing.assert_close(net.embedding.detach(), mean.detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_the_first_run_sees_the_clips_that_every_later_one_reads(tmp_path, kind):
    said = made_up(3, 1.0, 0)
    clip = Clip(said, np.full((80, 3), 0.3, np.float16), np.arange(80, dtype=np.uint8), "a line", None)
    asked = []

    def make():
        asked.append(True)
        return {"training": [clip]}

    runs = [made_once(tmp_path / "clips.pt", make, kind)["training"][0] for _ in range(2)]
    assert asked == [True]
    for run in runs:
        assert (run.said.vectors == said.vectors.astype(kind)).all() and run.said.vectors.dtype == np.float32
        assert (run.mel == clip.mel).all() and (run.phones == clip.phones).all() and run.text == "a line"


def test_each_frame_has_the_phone_at_its_middle():
    phones = (Phone("", 0, 0.02, 0), Phone("s", 0.02, 0.05, 0), Phone("iy", 0.05, 0.1, 0))
    names = [PHONES[i] for i in by_frame(phones, 9)]  # middles at 6.25, 18.75, 31.25 ms and so on
    assert names == ["", "", "s", "s", "iy", "iy", "iy", "iy", "iy"]


def test_what_is_misheard_counts_no_padding_and_needs_the_right_sounds():
    torch.manual_seed(0)
    ear = PhoneEar(4, width=6).eval()
    found, wanted = torch.randn(2, 30, 4), torch.randn(2, 30, 4)
    phones = torch.randint(0, len(PHONES), (2, 30))
    kept = torch.ones(2, 30, dtype=torch.bool)
    kept[1, 12:] = False
    with torch.no_grad():
        entropy, apart = heard_apart(ear, found, wanted, phones, kept)
        (logits, ours), (_, theirs) = ear(found), ear(wanted)
        real = kept.nonzero().tolist()
        by_hand = [-logits[b, t].log_softmax(0)[phones[b, t]] for b, t in real]
        assert float(entropy) == pytest.approx(float(torch.stack(by_hand).mean()), rel=1e-5)
        pairs = [(a.mT[kept], b.mT[kept]) for a, b in zip(ours, theirs, strict=True)]
        shares = [(a - b).abs().mean() / b.mean() for a, b in pairs]
        assert float(apart) == pytest.approx(float(sum(shares)) / 3, rel=1e-5)
        assert float(heard_apart(ear, found, found, phones, kept)[1]) == 0
        # A frame of the ear sees eight to either side: in its first layer two, then two, then four.
        other = found.clone()
        other[0, 20] += 1
        moved_frames = (ear(other)[0] != logits).any(-1)[0].nonzero()[:, 0]
    assert moved_frames.min() == 12 and moved_frames.max() == 28


def test_the_ear_learns_phones_from_their_times(spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(_phone_ear, "STEPS", 30)
    monkeypatch.setattr(_phone_ear, "FRAMES", 4)
    options = SimpleNamespace(work=tmp_path, seed=0, device="cpu", minutes=1, steps=None)
    ear, seconds = _phone_ear.taught(options, spoken)
    mels = [c.mel for c in spoken]
    assert phones_right(ear, mels, spoken) > 0.6
    assert phones_right(ear, [m[::-1] for m in mels], spoken) < 0.4
    again, before = _phone_ear.taught(options, spoken)
    assert before == seconds  # it was read, not made again
    assert all(torch.equal(a, b) for a, b in zip(ear.parameters(), again.parameters(), strict=True))


def test_the_gradient_comes_from_mishearing_too(spoken, tmp_path):
    net = small_recipe_net()
    options = SimpleNamespace(work=tmp_path, seed=0, device="cpu", minutes=1, steps=None)
    options.clips, options.resume = 2, True  # nothing to go on from, and no closed form at the start
    torch.manual_seed(0)
    ear = PhoneEar(80).eval().requires_grad_(False)
    training = _decoder_training.Training(options, spoken * 3, net, "x", ear)
    losses = [training.advance() for _ in range(3)]
    whole, bands, phones, stirred = np.array(losses).T
    np.testing.assert_allclose(
        whole, bands + _decoder_training.PHONES * phones + _decoder_training.STIRRED * stirred, rtol=1e-5)
    assert phones.min() > 1 and stirred.min() > 0.01


def small_recipe_net():
    return build(hidden=64, squeezed=16, units=8, patch=32, width=32)


def test_portions_weigh_frames_by_what_lies_inside():
    states = np.arange(10, dtype=np.float32)[:, None]  # frame i covers i/50 to (i + 1)/50 s
    found = portions(states, np.array([[0.01, 0.09], [0.1, 0.2]]), 2)
    assert found[0] == pytest.approx([(0.5 * 0 + 1 + 0.5 * 2) / 2, (0.5 * 2 + 3 + 0.5 * 4) / 2])
    assert found[1] == pytest.approx([(5 + 6 + 0.5 * 7) / 2.5, (0.5 * 7 + 8 + 9) / 2.5])


def test_the_timeline_has_no_holes():
    said = SpeechTokens(np.ones((2, 6), np.float32), np.array([[0.1, 0.3], [0.3, 0.5]]),
                        np.float32([200, 0]), np.float32([-20, -30]), 1.0)  # fmt: skip
    vectors, prosody, index, position = timeline(said)
    assert index.tolist() == [0] * 8 + [1] * 16 + [2] * 16 + [3] * 40
    assert prosody[:, 4].tolist() == [1, 0, 0, 1]
    assert prosody[1:3, 1:4].tolist() == [[1, 0, 0], [0, 0, -1]]
    assert vectors.sum(1).tolist() == [0, 6, 6, 0]
    assert position[8:24] == pytest.approx((np.arange(16) + 0.5) / 16)


def test_segments_that_overlap_are_refused(store):
    with pytest.raises(InputError, match="overlap"):
        decode_speech.tokens(store, np.zeros(16_000, np.float32), np.array([[0.1, 0.5], [0.4, 0.6]]))


def test_another_speakers_words_get_our_sounds_at_the_other_times():
    own = (Phone("a", 0, 0.5, 0), Phone("b", 0.5, 1.0, 0))
    other = (Phone("a", 0, 0.25, 0), Phone("b", 0.25, 1.0, 0))
    mel = np.repeat([[0.0], [1.0]], 40, axis=0).astype(np.float32)
    out = moved(mel, own, other, 80)
    assert (out[:19] == 0).all() and (out[21:] == 1).all()
    assert moved(mel, own, other[:1], 80) is None


def test_word_errors_are_the_fewest_edits():
    assert _recogniser.word_errors(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]) == 2
    assert _recogniser.word_errors([], ["a"]) == 1
    assert told_apart([["a", "b"], ["x"]], [["a", "b"], ["c", "d"]]) == 0.5
    assert speakable("He said he'd come at once.", {"he", "said", "he'd", "come", "at", "once"})
    assert not speakable("He said he'd come at once.", {"he", "said"})


class Parrot:
    """A recogniser that knows every word and always hears the same two."""

    def lookup_word(self, word):
        return word

    def start_utt(self):
        self.heard = 0

    def process_raw(self, samples, no_search, full_utt):
        self.heard = len(samples)

    def end_utt(self):
        assert self.heard

    def hyp(self):
        return SimpleNamespace(hypstr="the bird")


def test_three_steps_of_the_recipe_train_resume_and_publish(tmp_path, monkeypatch):
    monkeypatch.setattr(_recogniser, "recogniser", Parrot)
    monkeypatch.setattr(_resynthesis_scores, "waveform", partial(waveform, iterations=2))  # no one listens
    for name, size in {"hidden": 64, "units": 20, "squeezed": 24, "patch": 40, "width": 32}.items():
        monkeypatch.setitem(syllable_decoder.ARGUMENTS, name, size)
    monkeypatch.setattr(_phone_ear, "STEPS", 3)
    text = tmp_path / "text"
    text.mkdir()
    (text / "novels_train.txt").write_text(" ".join(SENTENCES) + " The bird sang in the early morning light.")
    for book in ("heldout_Burnett_Garden_1911.txt", "heldout_Stevenson_Treasure_1883.txt"):
        (text / book).write_text("Seven heavy barrels rolled down. The captain laughed and went away.")
    work, out = tmp_path / "work", tmp_path / "out"
    command = f"--data {tmp_path} --work {work} --out {out} --clips 2 --sentences 3 --device cpu --minutes 5"
    syllable_decoder.main([*command.split(), "--steps", "2", "--train-only"])
    state = torch.load(work / "syllable-decoder.pt", weights_only=True)
    assert state["step"] == 2
    before = {k: v.clone() for k, v in state["net"].items()}
    heard = torch.load(work / "phone-ear.pt", weights_only=True)
    assert heard["step"] == 3
    syllable_decoder.main([*command.split(), "--steps", "3", "--resume"])
    after = torch.load(work / "syllable-decoder.pt", weights_only=True)["net"]
    moved_most = {k: float((after[k] - before[k]).abs().max()) for k in before}
    fixed = {"mean", "centroids", "place.weight"}  # the space of the units
    assert {k for k, v in moved_most.items() if v > 0} == set(before) - fixed
    card = json.loads((out / "syllable-decoder" / "card.json").read_text())
    assert card["steps"] == 3 and card["bytes"] <= 6e6
    assert all(m["n"] > 0 and np.isfinite(m["value"]) for m in card["metrics"])
    net = ModelStore(folder=out).get("syllable-decoder")
    assert net.centroids.abs().max() > 0


def test_the_shipped_decoder_beats_the_flat_control_with_and_without_units(store, spoken):
    net = store.get("syllable-decoder")
    for clip in spoken:
        ours, unit = (level_apart(decoded(net, clip.said, q), clip.mel) for q in (False, True))
        control = level_apart(flat(clip), clip.mel)
        assert ours < 0.6 * control
        assert unit < 0.75 * control
        assert ours < unit


def test_what_is_heard_by_the_app_sounds_again(store, spoken):
    clip = spoken[0]
    said = decode_speech.tokens(store, clip.wave, clip.said.bounds)
    early = clip.said.bounds[:, 1] < said.seconds - 1.6  # later frames see what the batch was padded with
    assert early.sum() > 3
    np.testing.assert_allclose(said.vectors[early], clip.said.vectors[early], atol=0.02)
    assert len(np.unique(decode_speech.units(store, said.vectors))) > len(said.bounds) // 2
    wave = decode_speech.speak(store, said, iterations=8)
    assert abs(len(wave) - len(clip.wave)) <= 200
    loud = np.abs(wave).max()
    assert 0.05 < loud < 10
    swapped = SpeechTokens(said.vectors[::-1].copy(), said.bounds, said.pitch, said.level, said.seconds)
    right, wrong = (level_apart(decode_speech.mel(store, s), clip.mel) for s in (said, swapped))
    assert right < 0.8 * wrong

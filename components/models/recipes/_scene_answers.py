"""How often `scene-vlm` answers right: by kind, with fewer visual tokens, with none, and guessing blindly."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models import ModelStore
from components.models.nets._packed_questions import packed
from components.models.nets.scene_vlm import SceneVLM
from components.models.recipes._scene_lessons import Seen, asked, seen
from components.numerics.scene_questions import KINDS, Question
from components.numerics.scenes import HELD_OUT_SEEDS, HELD_OUT_STYLE, scene
from components.numerics.token_selection import at_random, k_center
from components.settings import Settings

ENCODER = "scene-vit"
QUESTIONS = 2000
BOTH_SIDES = 280
GUESS_SCENES = 2000
WATCHED = 60
LATE = 7  # ToDRE's layer, 7/8 of the depth

Marked = tuple[Question, bool]
Choose = Callable[[Seen, NDArray[np.floating[Any]], int], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Exam:
    """Scenes after the encoder, each with the questions asked about it."""

    scenes: tuple[Seen, ...]
    questions: tuple[tuple[Question, ...], ...]

    @property
    def total(self) -> int:
        """Return the number of questions."""
        return sum(map(len, self.questions))


def exam(encoder: Any, total: int, style: str = "any") -> Exam:
    """Return `total` questions about held-out scenes from seed 0 on, one of every kind a scene allows."""
    scenes: list[Seen] = []
    questions: list[tuple[Question, ...]] = []
    left, seed = total, 0
    while left:
        made = scene(seed, style=style)
        scenes += seen(encoder, [made])
        questions.append(made.questions[:left])
        left, seed = left - len(questions[-1]), seed + 1
    return Exam(tuple(scenes), tuple(questions))


def answers(net: SceneVLM, taken: Exam, choose: Choose | None = None, keep: int = 256,
            drop_before: int | None = None, both_sides: bool = False) -> list[Marked]:
    """Return every question and whether its answer is right, given `keep` visual tokens chosen so."""
    marked = []
    for one, questions in zip(taken.scenes, taken.questions, strict=True):
        visual, kept = _kept(net, one, choose, keep)
        lesson = asked(net, [questions])
        nothing = torch.zeros(1, 0, dtype=torch.long)
        if both_sides:
            single = ((lesson.words[:, i : i + 1], lesson.ends[:, i : i + 1]) for i in range(len(questions)))
            said = torch.stack([_twice(net, visual, kept, *one_question) for one_question in single])
        else:
            passed = packed(net, visual, nothing, lesson.words, lesson.ends, kept, drop_before)
            said = passed.logits[0].argmax(-1)
        marked += [(q, net.words[int(code)] == q.answer) for q, code in zip(questions, said, strict=True)]
    return marked


def _twice(net: SceneVLM, visual: Tensor, kept: Tensor, ids: Tensor, ends: Tensor) -> Tensor:
    """Return the answer's id where the question stands before the picture and after it."""
    before = ids[:, 0, : int(ends[0, 0]) + 1]
    return packed(net, visual, before, ids, ends, kept).logits[0, 0].argmax()


def _kept(net: SceneVLM, one: Seen, choose: Choose | None, keep: int) -> tuple[Tensor, Tensor]:
    """Return the projected visual tokens (1, keep, width) that are kept, and their places, rising."""
    visual = net.project(one.features[None])
    if keep == 0:
        return visual[:, :0], torch.arange(0)
    if choose is None:
        return visual, torch.arange(visual.shape[1])
    places = torch.from_numpy(np.sort(choose(one, visual[0].numpy(), keep)))
    return visual[:, places], places


def randomly(one: Seen, visual: NDArray[np.floating[Any]], keep: int) -> NDArray[np.int64]:
    """Choose tokens at random, by the scene's seed."""
    return at_random(len(visual), keep, one.seed)


def diversely(one: Seen, visual: NDArray[np.floating[Any]], keep: int) -> NDArray[np.int64]:
    """Choose tokens by k-center on projected vectors, from the patch that CLS attends to most (ToDRE)."""
    return k_center(visual, keep, int(one.attention.argmax()))


def guesses(scenes: int) -> dict[str, str]:
    """Return the commonest answer to every question text over other scenes: the best guess without eyes."""
    seen_answers: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(HELD_OUT_SEEDS, HELD_OUT_SEEDS + scenes):
        for question in scene(seed, size=64).questions:
            seen_answers[question.text][question.answer] += 1
    return {text: counts.most_common(1)[0][0] for text, counts in seen_answers.items()}


def _share(marked: list[Marked]) -> float:
    return float(np.mean([right for _, right in marked]))


def _rows(name: str, marked: list[Marked], on: str,
          by_kind: bool = True) -> list[dict[str, Any]]:
    """Return the metric of all answers and, where asked, of every kind."""
    piles = {"": marked}
    if by_kind:
        piles |= {f": {kind}": [m for m in marked if m[0].kind == kind] for kind in KINDS}
    return [
        {"name": name + kind, "value": round(_share(pile), 4), "unit": "share", "n": len(pile), "on": on}
        for kind, pile in piles.items() if pile
    ]  # fmt: skip


def evaluate(model: Any, data: Path | None = None, work: Path | None = None) -> list[dict[str, Any]]:
    """Measure on 2,000 questions about held-out scenes; `data` and `work` are not used."""
    with torch.inference_mode():
        return _measure(model)


def _measure(model: SceneVLM) -> list[dict[str, Any]]:
    encoder = ModelStore(Settings(threads=torch.get_num_threads())).get(ENCODER)
    taken = exam(encoder, QUESTIONS)
    on = f"{QUESTIONS} questions about generated scenes, seeds 0 to {len(taken.scenes) - 1}"
    rows = _rows("answers right", answers(model, taken), on)
    best = guesses(GUESS_SCENES)
    blind = [(q, best.get(q.text) == q.answer) for row in taken.questions for q in row]
    rows += _rows("blind baseline (commonest answer to the same question)", blind, on)
    rows += _rows("this model without visual tokens", answers(model, taken, keep=0), on, by_kind=False)
    for keep, share in ((64, "25 %"), (26, "10 %")):
        for rule, choose in (("at random", randomly), ("by k-center", diversely)):
            marked = answers(model, taken, choose, keep)
            rows += _rows(f"{share} of visual tokens, {rule}", marked, on, by_kind=rule == "by k-center")
    late = answers(model, taken, drop_before=LATE)
    rows += _rows(f"no visual tokens from layer {LATE} of {len(model.blocks)} on", late, on)
    few = Exam(taken.scenes[: BOTH_SIDES // 7], taken.questions[: BOTH_SIDES // 7])
    marked = answers(model, few, both_sides=True)
    some = f"{len(marked)} questions about generated scenes, seeds 0 to {len(few.scenes) - 1}"
    rows += _rows("question before and after the picture", marked, some, by_kind=False)
    strange = exam(encoder, QUESTIONS // 2, HELD_OUT_STYLE)
    fog = f"{strange.total} questions, style {HELD_OUT_STYLE}, never trained on"
    rows += _rows(f"{HELD_OUT_STYLE}: answers right", answers(model, strange), fog)
    return rows + _attention(model, few)


def _attention(model: SceneVLM, few: Exam) -> list[dict[str, Any]]:
    """Return the mean share of the text's attention on visual tokens in every layer (alpha t->v)."""
    found: list[tuple[float, ...]] = []
    for one, questions in list(zip(few.scenes, few.questions, strict=True))[:WATCHED]:
        visual, _ = _kept(model, one, None, 256)
        found.append(model.read(visual, questions[len(found) % len(questions)].text, watch=True).to_visual)
    on = f"one question each about generated scenes, seeds 0 to {len(found) - 1}"
    return [
        {"name": f"alpha text to visual, layer {layer}", "value": round(float(value), 4), "unit": "share",
         "n": len(found), "on": on}
        for layer, value in enumerate(np.mean(found, 0), start=1)
    ]  # fmt: skip

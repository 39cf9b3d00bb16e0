"""The scene generator: one seed is one scene, what is nearest is what is seen, and every answer is true."""

import re

import numpy as np
import pytest

from components.errors import InputError
from components.numerics.scene_questions import KINDS, NUMBERS, ask, drill, meant, plural_of, words
from components.numerics.scene_shapes import COLOURS, SHAPES, TEXTURES, frame, lettering, outline, pattern
from components.numerics.scenes import (
    CLASSES,
    HELD_OUT_STYLE,
    LEAST_SHARE,
    LEAST_VISIBLE,
    STYLES,
    TRAINED_STYLES,
    scene,
)

SEEDS = range(40)
SCENES = [scene(s) for s in SEEDS]


def test_one_seed_is_one_scene():
    for made in SCENES[:8]:
        again = scene(made.seed)
        assert again.image.tobytes() == made.image.tobytes()
        assert again.objects == made.objects
        assert again.questions == made.questions
    assert len({made.image.tobytes() for made in SCENES}) == len(SCENES)


@pytest.mark.parametrize("style", STYLES)
def test_maps_have_their_axes_types_and_ranges(style):
    made = scene(3, size=96, objects=4, style=style)
    assert made.style == style
    assert made.image.shape == (96, 96, 3)
    assert made.image.dtype == np.uint8
    assert made.segmentation.shape == made.disparity.shape == made.instances.shape == (96, 96)
    assert made.disparity.min() == 0
    assert 0.9 < made.disparity.max() <= 1
    assert len(made.objects) == 4


def test_styles_differ_and_the_held_out_one_is_never_drawn():
    assert {made.style for made in SCENES} == set(TRAINED_STYLES)
    assert HELD_OUT_STYLE not in TRAINED_STYLES
    pictures = {style: scene(5, objects=3, style=style).image.astype(float) for style in STYLES}
    brightness = [pictures[s].mean((0, 1)) for s in STYLES]
    assert min(np.abs(a - b).max() for i, a in enumerate(brightness) for b in brightness[:i]) > 5


@pytest.mark.parametrize("made", SCENES[:20], ids=lambda made: f"seed{made.seed}")
def test_the_nearest_object_wins_every_pixel(made):
    """Brute force: at each pixel, of all the outlines that cover it, the one of the least depth."""
    size = len(made.image)
    depth = np.full((size, size), np.inf)
    expected = np.full((size, size), -1)
    for item in made.objects[::-1]:  # any order does, because depths are compared
        left, top, right, bottom = item.box
        covered = outline(item.shape, *frame(bottom - top, right - left))
        for y, x in zip(*np.nonzero(covered), strict=True):
            row, column = y + top, x + left
            if 0 <= row < size and 0 <= column < size and item.depth < depth[row, column]:
                depth[row, column], expected[row, column] = item.depth, item.id
    assert np.array_equal(made.instances, expected)
    seen = expected >= 0
    assert np.allclose(made.disparity[seen], 1 / depth[seen])


def test_maps_agree_with_the_list_of_objects():
    for made in SCENES:
        assert [o.id for o in made.objects] == list(range(len(made.objects)))
        assert all(a.depth >= b.depth for a, b in zip(made.objects, made.objects[1:], strict=False))
        for item in made.objects:
            mine = made.instances == item.id
            assert mine.sum() == item.visible >= LEAST_VISIBLE * mine.size
            assert set(made.segmentation[mine]) == {CLASSES.index(item.shape)}
            covered = outline(item.shape, *frame(item.box[3] - item.box[1], item.box[2] - item.box[0]))
            assert item.visible <= covered.sum()
        empty = made.instances < 0
        assert set(made.segmentation[empty]) <= {0, 1}
        assert np.array_equal(made.segmentation[empty] == 0, made.disparity[empty] == 0)
        assert list(made.presence) == [any(o.shape == s for o in made.objects) for s in SHAPES]
    assert LEAST_SHARE > 0


def test_objects_stand_on_the_ground_plane():
    """An object's foot is the ground's row of the same disparity, and nearer means larger."""
    for made in SCENES:
        ground = np.where(made.segmentation == 1, made.disparity, np.nan)
        rows = np.nanmax(ground, axis=1, initial=-1, where=~np.isnan(ground))
        for item in made.objects:
            foot = item.box[3]
            if 0 < foot < len(rows) and rows[foot] > 0 and rows[foot - 1] > 0:
                assert rows[foot - 1] - 0.02 < item.disparity < rows[foot] + 0.02
    tall = [(o.disparity, o.box[3] - o.box[1]) for s in SCENES for o in s.objects if o.shape == "box"]
    assert np.corrcoef(np.array(tall).T)[0, 1] > 0.9


def test_every_shape_colour_and_texture_occurs_and_objects_are_two_to_six():
    everything = [o for s in SCENES for o in s.objects]
    assert {o.shape for o in everything} == set(SHAPES)
    assert {o.colour for o in everything} == set(COLOURS)
    assert {o.texture for o in everything} == set(TEXTURES)
    assert {len(s.objects) for s in SCENES} == {2, 3, 4, 5, 6}
    assert any(o.text for o in everything)


def test_colours_are_to_be_seen():
    """The mean colour of a plainly lit object is nearer to its own name than to most others."""
    names = list(COLOURS)
    right = total = 0
    for made in (scene(s, style="day") for s in SEEDS):
        for item in made.objects:
            mean = made.image[made.instances == item.id].mean(0) / 255
            hues = np.array([COLOURS[n] for n in names])
            cosine = hues @ mean / np.linalg.norm(hues, axis=1) / np.linalg.norm(mean)
            right, total = right + (names[int(cosine.argmax())] == item.colour), total + 1
    assert right / total > 0.9


def test_textures_and_letters_are_drawn():
    shares = {t: pattern(t, 40, 40).mean() for t in TEXTURES}
    assert shares["plain"] == 0
    assert all(0.15 < shares[t] < 0.6 for t in TEXTURES if t != "plain")
    assert not np.array_equal(pattern("striped", 40, 40), pattern("checked", 40, 40))
    assert lettering("7T").shape == (5, 7)
    assert lettering("7T")[:, 3].sum() == 0
    assert list(lettering("T")[1]) == [False, True, False]


# Every answer once more, from the maps and the objects' facts, by another way than the generator's.


def facts(made, item):
    """Return an object's facts as the maps show them: its class by its pixels, its disparity by theirs."""
    mine = made.instances == item.id
    shape = CLASSES[int(np.median(made.segmentation[mine]))]
    return {"shape": shape, "colour": item.colour, "texture": item.texture,
            "disparity": float(made.disparity[mine].mean()), "id": item.id,
            "middle": (item.box[0] + item.box[2]) / 2}  # fmt: skip


def named(things, words_):
    """Return the things that the words of a question describe: any colour and any shape among them."""
    singular = {plural_of(s): s for s in SHAPES} | {s: s for s in SHAPES}
    colours, shapes = [w for w in words_ if w in COLOURS], [singular[w] for w in words_ if w in singular]
    return [
        t for t in things
        if (not colours or t["colour"] in colours) and (not shapes or t["shape"] in shapes)
    ]  # fmt: skip


def answer(things, question):
    """Return the answer to a question from its words and the facts alone."""
    text = question.text.split()
    if question.kind == "left":
        first, second = re.fullmatch(r"is the (\w+) left of the (\w+)", question.text).groups()
        (a,), (b,) = named(things, [first]), named(things, [second])
        return "yes" if a["middle"] < b["middle"] else "no"
    if question.kind == "count":
        return NUMBERS[len(named(things, text))]
    if question.kind == "exists":
        return "yes" if named(things, text) else "no"
    if question.kind == "closest":
        return max(things, key=lambda t: t["disparity"])[text[1]]
    (only,) = named(things, text[3:])
    return only[text[1]]


@pytest.mark.parametrize("made", SCENES, ids=lambda made: f"seed{made.seed}")
def test_every_answer_is_true(made):
    things = [facts(made, o) for o in made.objects]
    for question in ask(made.objects, made.seed, each=50):
        assert question.answer == answer(things, question), question
        if question.target >= 0 and question.kind not in ("closest", "left"):
            assert question.target in {t["id"] for t in named(things, question.text.split()[2:])}
        if question.kind == "closest":
            assert question.target == max(things, key=lambda t: t["disparity"])["id"]
        if question.kind in ("colour", "shape", "texture"):
            assert len(named(things, question.text.split()[3:])) == 1


def test_questions_cover_seven_kinds_without_a_safe_guess():
    asked = [q for s in SCENES for q in ask(s.objects, s.seed, each=4)]
    assert {q.kind for q in asked} == set(KINDS)
    assert len(KINDS) == 7
    vocabulary = set(words())
    for question in asked:
        assert {*question.text.split(), question.answer} <= vocabulary
    for kind in ("exists", "left"):
        yes = np.mean([q.answer == "yes" for q in asked if q.kind == kind])
        assert 0.35 < yes < 0.65
    # Hard noes: the colour is in the scene and so is the shape, on different objects.
    hard = 0
    for made in SCENES:
        for q in ask(made.objects, made.seed, each=4):
            colour, shape = q.text.split()[-2:]
            if q.kind == "exists" and q.answer == "no":
                there = {o.colour for o in made.objects}, {o.shape for o in made.objects}
                hard += colour in there[0] and shape in there[1]
    assert hard > 20


def test_a_drill_asks_all_kinds_by_turns_and_is_true():
    for made in SCENES[:12]:
        things = [facts(made, o) for o in made.objects]
        asked = drill(made.objects, made.seed, 40)
        assert len(asked) == 40
        assert asked == drill(made.objects, made.seed, 40)
        assert all(q.answer == answer(things, q) for q in asked)
        first = [q.kind for q in asked[: len({q.kind for q in asked})]]
        assert first == [k for k in KINDS if k in first]
        everything = ask(made.objects, made.seed, each=100)
        assert set(drill(made.objects, made.seed, len(everything))) == set(everything)
        assert set(ask(made.objects, made.seed)) == set(asked[: len(first)])
        longer = drill(made.objects, made.seed, len(everything) + 3)
        assert longer[-3:] == longer[:3]


def test_what_a_question_means_are_the_objects_its_words_fit():
    for made in SCENES:
        things = [facts(made, o) for o in made.objects]
        for question in drill(made.objects, made.seed, 60):
            ids = meant(question, made.objects)
            said = question.text.split()
            if question.kind == "closest":
                assert ids == {max(things, key=lambda t: t["disparity"])["id"]}
            elif question.kind == "left":
                assert ids == {t["id"] for t in named(things, said[6:])}
                assert len(ids) == 1 and question.target not in ids
            else:
                assert ids == {t["id"] for t in named(things, said[2:])}
            if question.kind == "count":
                assert NUMBERS.index(question.answer) == len(ids)
            if question.kind == "exists":
                assert (question.answer == "yes") == bool(ids)


def test_what_does_not_fit_is_refused():
    for arguments, match in (
        ({"size": 100}, "multiple of 8"),
        ({"size": 1024}, "multiple of 8"),
        ({"objects": 0}, "1 to 8"),
        ({"objects": 9}, "1 to 8"),
        ({"style": "night"}, "no style 'night'"),
    ):
        with pytest.raises(InputError, match=match):
            scene(0, **arguments)
    with pytest.raises(InputError, match="seed is -1"):
        scene(-1)

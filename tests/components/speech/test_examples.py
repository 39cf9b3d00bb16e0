"""The built-in clips are whole, small, and their marks lie on the sound."""

import numpy as np
import pytest

from components.errors import InputError
from components.speech import RATE
from components.speech._acoustics import frames_of, seconds_of
from components.speech._examples import FOLDER, example, names, titles


def test_there_are_clips_of_several_languages_in_little_space():
    assert names()[0] == "english" and len(names()) >= 6
    assert {"turkish", "spanish"} <= set(names())
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


@pytest.mark.parametrize("name", names())
def test_marked_syllables_are_louder_than_the_rest(name):
    known = example(name)
    assert (np.diff(known.bounds, axis=1) > 0).all() and (known.bounds[1:, 0] >= known.bounds[:-1, 1]).all()
    assert known.bounds[-1, 1] <= known.clip.seconds and len(known.labels) == len(known.bounds)
    times = np.arange(len(known.clip.samples)) / RATE
    spoken = ((times[:, None] >= known.bounds[:, 0]) & (times[:, None] < known.bounds[:, 1])).any(1)
    power = known.clip.samples.astype(np.float64) ** 2
    assert power[spoken].mean() > 30 * power[~spoken].mean()


def test_titles_are_those_of_the_clips():
    assert titles() == {name: example(name).title for name in names()}
    assert len(set(titles().values())) == len(names())


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="no built-in clip"):
        example("../../pyproject")


def test_frames_and_seconds_are_inverse():
    cuts = np.array([[0, 3], [3, 10], [12, 20]])
    bounds = seconds_of(cuts, 50.0, 0.01, 1.0)
    assert bounds.tolist() == pytest.approx(np.array([[0.0, 0.06], [0.06, 0.2], [0.24, 0.4]]))
    assert frames_of(bounds, 50.0, 0.01, 50).tolist() == cuts.tolist()


def test_the_shortest_segment_still_has_a_frame():
    assert frames_of(np.array([[0.021, 0.022], [0.999, 1.0]]), 50.0, 0.01, 50).tolist() == [[1, 2], [49, 50]]

import numpy as np

from components.vision import labs, reducers
from components.vision._trial import trial


def test_one_line_a_method_and_less_kept_is_more_saved(untrained, picture):
    panels = labs.create("trade_off", scenes=8)(picture, untrained)
    assert [p.title.split(",")[0] for p in panels] == ["mIoU kept", "Error of disparity", "Shapes recognised"]
    expected = {
        cls.card.title for cls in map(reducers.__getitem__, reducers.names()) if "keep" in cls.knobs()
    }
    for panel in panels:
        assert set(panel.lines) == expected
        for saved, value in panel.lines.values():
            assert (np.diff(saved) < 0).all()  # the shares rise
            assert np.isfinite(value).all()
            assert saved.max() < 100


def test_a_trial_is_its_scenes_one_by_one(untrained):
    """The batched trial equals single runs, scored by hand."""
    from components.numerics.dense_scores import confusion, mean_iou
    from components.vision import Picture
    from components.vision._trial import FIRST_SEED

    method = reducers.create("todre", keep=0.25, layer=3)
    got = trial(method, untrained, 8)
    results = [(p.scene, method(p, untrained)) for p in (Picture.of_scene(FIRST_SEED + i) for i in range(8))]
    counts = sum(confusion(r.prediction.segmentation, s.segmentation, 8) for s, r in results)
    assert abs(got.miou - mean_iou(counts)) < 1e-3
    errors = [np.mean((r.prediction.disparity - s.disparity) ** 2) for s, r in results]
    assert abs(got.rmse - np.sqrt(np.mean(errors))) < 1e-4
    assert got.macs == results[0][1].macs
    assert 0 < got.recall <= 1


def test_the_claim_holds(bundled):
    finding = labs["trade_off"].check(bundled)
    assert finding.holds, finding.measured

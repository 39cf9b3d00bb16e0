import numpy as np

from components.vision import reducers


def test_nothing_is_reduced(untrained, picture):
    result = reducers.create("none")(picture, untrained)
    assert result.tokens == (257,) * 9
    assert result.stages == ()
    assert result.kept.tolist() == list(range(256))
    assert result.regions.tolist() == list(range(1, 257))
    assert np.array_equal(result.image, picture.pixels)


def test_it_is_the_networks_own_answer(untrained, picture):
    import torch

    result = reducers.create("none")(picture, untrained)
    with torch.inference_mode():
        image = torch.tensor(picture.pixels.transpose(2, 0, 1)[None] / 255, dtype=torch.float32)
        expected = untrained.get("scene-vit")(image)
    assert np.abs(result.prediction.disparity - expected["disparity"][0].numpy()).max() < 1e-5
    assert np.array_equal(result.prediction.segmentation, expected["segmentation"][0].argmax(0).numpy())
    assert np.abs(result.prediction.presence - torch.sigmoid(expected["presence"][0]).numpy()).max() < 1e-5


def test_the_claim_holds(bundled):
    finding = reducers["none"].check(bundled)
    assert finding.holds, finding.measured

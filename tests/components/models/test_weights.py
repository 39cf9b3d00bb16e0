import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from components.models.recipes import _run
from components.models.weights import LARGEST, STEP, matrices, packed, round_as_stored, unpacked


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = torch.nn.Sequential(torch.nn.Embedding(200, 64), torch.nn.Linear(64, 100), torch.nn.Linear(100, 3))
    with torch.no_grad():
        made[0].weight[3] = 0.0  # a row without a step
        made[0].weight[4] *= 1e4
    return made


def test_every_element_is_within_half_a_step_of_its_own_row(net):
    before = net[0].weight.detach().clone()
    after = unpacked(packed(net.state_dict(), matrices(net)))["0.weight"]
    half_a_step = before.abs().amax(1) / LARGEST / 2
    # The step itself is rounded to 8 bits of mantissa, which the largest elements feel most.
    rounded = before.abs().amax(1) * 2.0**-8
    assert ((after - before).abs().amax(1) <= half_a_step + rounded).all()
    assert (after[3] == 0).all() and after[4].abs().max() > 1e4
    # A common step for all rows would erase the small ones beside the large one.
    assert np.corrcoef(after[5].numpy(), before[5].numpy())[0, 1] > 0.999


def test_small_matrices_vectors_and_buffers_stay_floats(net):
    net.register_buffer("table", torch.randn(100, 100))
    stored = packed(net.state_dict(), matrices(net))
    assert matrices(net) == ("0.weight", "1.weight")
    assert {k for k, v in stored.items() if v.dtype == torch.int8} == {"0.weight", "1.weight"}
    assert stored["table"].dtype == stored["2.weight"].dtype == stored["1.bias"].dtype == torch.float16
    assert set(unpacked(stored)) == set(net.state_dict())


def test_rounding_twice_is_rounding_once(net):
    round_as_stored(net, matrices(net))
    once = {k: v.clone() for k, v in net.state_dict().items()}
    round_as_stored(net, matrices(net))
    assert all(torch.equal(v, once[k]) for k, v in net.state_dict().items())


def test_a_name_that_is_no_matrix_is_an_error(net):
    for name in ("absent", "1.bias"):
        with pytest.raises(ValueError, match=name):
            packed(net.state_dict(), [name])


def test_what_is_published_in_8_bits_loads_as_it_was_measured(net, tmp_path):
    round_as_stored(net, matrices(net))
    _run.publish(tmp_path / "made", "none", {}, net.state_dict(), {}, in_8_bits=matrices(net))
    stored = load_file(tmp_path / "made" / "model.safetensors")
    assert "0.weight" + STEP in stored
    for name, values in unpacked(stored).items():
        assert torch.equal(values, net.state_dict()[name]), name
    assert (tmp_path / "made" / "model.safetensors").stat().st_size < 0.6 * 2 * (200 * 64 + 64 * 100 + 403)

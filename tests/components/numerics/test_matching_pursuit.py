"""Orthogonal matching pursuit against a greedy search that refits with least squares each time."""

import numpy as np
import pytest

from components.errors import InputError
from components.numerics.matching_pursuit import pursue


def greedy(target, atoms, k):
    """One target, one atom at a time: the largest |cosine| with the residual, then numpy's lstsq."""
    unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    chosen, residual, weights, lengths = [], target, np.empty(0), []
    for _ in range(k):
        fit = np.abs(unit @ residual)
        fit[chosen] = -1
        chosen.append(int(fit.argmax()))
        weights = np.linalg.lstsq(atoms[chosen].T, target, rcond=None)[0]
        residual = target - weights @ atoms[chosen]
        lengths.append(np.linalg.norm(residual))
    return chosen, weights, lengths


@pytest.mark.parametrize("batch", [3, 512])
def test_equals_greedy_search_with_least_squares(batch):
    random = np.random.default_rng(1)
    atoms = random.normal(size=(60, 24)) * random.uniform(0.2, 5, (60, 1))  # raw products would choose others
    targets = random.normal(size=(20, 24))
    found = pursue(targets, atoms, 8, batch)
    for i, target in enumerate(targets):
        chosen, weights, lengths = greedy(target, atoms, 8)
        assert found.atoms[i].tolist() == chosen
        assert np.allclose(found.coefficients[i], weights, atol=1e-9)
        assert np.allclose(found.residuals[i], lengths, atol=1e-9)
    assert np.allclose(np.linalg.norm(found.rebuild(atoms) - targets, axis=1), found.residuals[:, -1])


def test_sparse_sums_are_found_and_coefficients_carry_over_to_another_space():
    random = np.random.default_rng(2)
    donor = np.linalg.qr(random.normal(size=(40, 40)))[0][:30] * random.uniform(1, 3, (30, 1))
    base = random.normal(size=(30, 16))
    truth = np.zeros((5, 30))
    for row in truth:
        row[random.choice(30, 3, replace=False)] = random.uniform(1, 2, 3)
    found = pursue(truth @ donor, donor, 6)
    assert np.allclose(found.rebuild(base), truth @ base, atol=1e-8)
    assert (found.atoms[:, 3:] == -1).all()  # nothing was left to explain
    assert (found.coefficients[:, 3:] == 0).all()


def test_a_shared_token_is_its_own_single_atom_and_copies_do_no_harm():
    random = np.random.default_rng(3)
    atoms = random.normal(size=(10, 6))
    doubled = np.concatenate([atoms, 2 * atoms])
    found = pursue(3 * atoms[4:5], doubled, 4)
    assert found.atoms[0, 0] in (4, 14)
    assert np.isfinite(found.coefficients).all()
    assert np.allclose(found.rebuild(doubled), 3 * atoms[4:5])
    mixed = pursue(random.normal(size=(8, 6)), doubled, 6)
    assert np.isfinite(mixed.coefficients).all()
    assert mixed.residuals[:, -1].max() < 1e-9  # six independent ones span the space


def test_zero_targets_and_atoms_and_no_targets():
    atoms = np.vstack([np.zeros(4), np.eye(4)])
    found = pursue(np.zeros((2, 4)), atoms, 2)
    assert (found.atoms == -1).all()
    assert (found.coefficients == 0).all()
    assert pursue(np.eye(4)[:1], atoms, 1).atoms.tolist() == [[1]]
    assert pursue(np.empty((0, 4)), atoms, 2).rebuild(atoms).shape == (0, 4)


@pytest.mark.parametrize("k", [0, 5])
def test_too_many_atoms_are_refused(k):
    with pytest.raises(InputError, match="choose from 1 to 4"):
        pursue(np.eye(4), np.eye(4), k)

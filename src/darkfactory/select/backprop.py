"""Forward and backward passes of a small tanh network with a sigmoid output, and Adam."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkfactory.select.objects import Array

__all__ = ["Adam", "Parameters", "backward", "forward", "initialise"]

Parameters = list[Array]
"""Weights (outputs, inputs) and biases (outputs, 1), alternating."""


def initialise(sizes: Sequence[int], rng: np.random.Generator) -> Parameters:
    """Glorot-uniform weights and zero biases.

    Example:
        >>> [p.shape for p in initialise((4, 8, 1), np.random.default_rng(1))]
        [(8, 4), (8, 1), (1, 8), (1, 1)]
    """
    parameters = []
    for n_in, n_out in itertools.pairwise(sizes):
        bound = np.sqrt(6.0 / (n_in + n_out))
        parameters += [rng.uniform(-bound, bound, (n_out, n_in)), np.zeros((n_out, 1))]
    return parameters


def forward(parameters: Parameters, x: Array) -> list[Array]:
    """Activations of all layers, the inputs (inputs, n) first and the response (1, n) last.

    einsum instead of a BLAS product: the sums do not depend on the number of BLAS threads.
    """
    activations = [x]
    for i in range(0, len(parameters), 2):
        z = np.einsum("ij,jn->in", parameters[i], activations[-1], optimize=False)
        z += parameters[i + 1]
        if i + 2 < len(parameters):
            np.tanh(z, out=z)
        else:
            z *= 0.5
            np.tanh(z, out=z)
            z += 1.0
            z *= 0.5
        activations.append(z)
    return activations


def backward(parameters: Parameters, activations: list[Array], d_response: Array) -> Parameters:
    """Gradient with respect to the parameters, given that with respect to the response (n,)."""
    gradient: Parameters = [np.empty(0)] * len(parameters)
    out = activations[-1]
    delta = d_response[None, :] * out * (1.0 - out)
    for i in range(len(parameters) - 2, -1, -2):
        below = activations[i // 2]
        gradient[i] = np.einsum("in,jn->ij", delta, below, optimize=False)
        gradient[i + 1] = np.sum(delta, axis=1, keepdims=True)
        if i > 0:
            delta = np.einsum("ij,in->jn", parameters[i], delta, optimize=False)
            delta *= 1.0 - below * below
    return gradient


@dataclass
class Adam:
    """Adam steps (Kingma and Ba, arXiv:1412.6980) with their usual constants."""

    rate: float
    first: Parameters
    second: Parameters
    steps: int = 0

    @staticmethod
    def start(parameters: Parameters, rate: float) -> Adam:
        """No momentum yet."""
        return Adam(rate, [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters])

    def update(self, parameters: Parameters, gradient: Parameters, scale: float = 1.0) -> None:
        """One step, in place; ``scale`` multiplies the rate."""
        self.steps += 1
        for p, g, m, v in zip(parameters, gradient, self.first, self.second, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            unbiased = m / (1 - 0.9**self.steps)
            p -= self.rate * scale * unbiased / (np.sqrt(v / (1 - 0.999**self.steps)) + 1e-8)

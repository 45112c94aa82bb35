"""The assumptions of the theory on Gamma, each with its own verdict.

Gamma is made of minimizers: L is constant on it, its gradient vanishes, and its Hessian is positive semidefinite.
Minimal kernel: its rank is D - 1 - dim Gamma. Both follow from e_k > 0, k = 1..r, the elementary symmetric functions
of the r = D - 1 - m eigenvalues normal to Gamma (real numbers with all e_k > 0 are positive), without any eigenvalue
in closed form. Simple sharpness: lambda_1 - lambda_j > 0. Every strict inequality is proved by interval arithmetic
over the whole domain of the chart.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.chart.geometry import Geometry, geometry_of
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.theory.proving.zero import normal_form, prove_equal

__all__ = [
    "prove_chart",
    "prove_log_sharpness_gradient",
    "prove_minimal_kernel",
    "prove_minimizers",
    "prove_simple_sharpness",
]


def prove_minimizers(loss: Loss, /) -> Proof:
    """grad L = 0 and L = const on Gamma."""
    geometry = geometry_of(loss)
    value = loss.at(geometry.minima.point)
    slopes = sp.Matrix([normal_form(sp.diff(value, s)) for s in geometry.chart])
    return Proof(
        f"Gamma of {loss.name} is critical",
        (
            prove_equal(
                "the gradient vanishes on Gamma",
                geometry.gradient,
                sp.zeros(loss.dimension, 1),
                domain=geometry.domain,
                show=(sp.Symbol("grad L(zeta)"), sp.Integer(0)),
                note=f"All {loss.dimension} entries, at the chart's point.",
            ),
            prove_equal(
                "the loss is constant along Gamma",
                slopes,
                sp.zeros(len(geometry.chart), 1),
                domain=geometry.domain,
                show=(sp.Symbol("dL(zeta(p))/dp"), sp.Integer(0)),
                note="L is put on the chart first and differentiated there, another path than the line above.",
            ),
        ),
    )


def prove_chart(loss: Loss, /) -> Proof:
    """The chart is regular on its domain: its point does not vanish, and det of the induced metric is positive."""
    geometry = geometry_of(loss)
    zeta = geometry.point
    other = sp.Matrix(
        len(geometry.chart),
        len(geometry.chart),
        lambda i, j: zeta.diff(geometry.chart[i]).dot(zeta.diff(geometry.chart[j])),
    )
    determinant = normal_form(geometry.metric.det(method="berkowitz"))
    return Proof(
        f"the chart of Gamma of {loss.name}",
        (
            prove_equal(
                "induced metric, from d zeta of the normalised point and from the chart's point by projection",
                other,
                geometry.metric,
                domain=geometry.domain,
            ),
            prove_positive(
                "the chart's point does not vanish",
                geometry.ray_squared,
                domain=geometry.domain,
                show=sp.Symbol("|P|^2"),
                note="Where it did, its direction would jump, unseen by the metric.",
            ),
            prove_positive(
                "the metric is regular on the domain of the chart",
                determinant,
                domain=geometry.domain,
                note="det G > 0.",
            ),
        ),
    )


def prove_minimal_kernel(loss: Loss, /) -> Proof:
    """The Hessian on Gamma has rank D - 1 - m and is positive normal to it: e_1, ..., e_r > 0."""
    geometry = geometry_of(loss)
    kernel = sp.Matrix.hstack(geometry.ray, geometry.tangents)
    r = geometry.codimension
    steps = [
        prove_equal(
            "theta and the tangent space of Gamma lie in the kernel of the Hessian",
            (geometry.hessian * kernel).applyfunc(normal_form),
            sp.zeros(loss.dimension, kernel.shape[1]),
            domain=geometry.domain,
            show=(sp.Symbol("H [zeta, d zeta]"), sp.Integer(0)),
            note=f"So at most r = D - 1 - m = {r} eigenvalues differ from 0.",
        )
    ]
    steps += [
        prove_positive(
            f"e_{k} of the {r} normal eigenvalue{'s' if r > 1 else ''} is positive",
            coefficient,
            domain=geometry.domain,
            note="From traces of powers of the Hessian, by Newton's identities." if k == 1 else "",
        )
        for k, coefficient in enumerate(geometry.coefficients, start=1)
    ]
    return Proof(f"minimal kernel of {loss.name}", tuple(steps))


def prove_simple_sharpness(loss: Loss, /) -> Proof:
    """lambda_1 > lambda_j for j = 2..r on the whole domain of the chart; for r = 1, lambda_1 > 0."""
    geometry = geometry_of(loss)
    steps: list[Step] = [
        prove_equal(
            "the eigenvalues add up to the trace of the Hessian",
            sum(geometry.eigenvalues, sp.Integer(0)),
            geometry.hessian.trace(),
            domain=geometry.domain,
        )
    ]
    if all(value != 0 for value in (geometry.sharpness, *geometry.gaps)):  # else there is no direction of its own
        steps.append(_eigenvector(geometry))
    steps.append(prove_positive("lambda_1 > 0", geometry.sharpness, domain=geometry.domain))
    steps += [
        prove_positive(f"gap to lambda_{j}", gap, domain=geometry.domain)
        for j, gap in enumerate(geometry.gaps, start=2)
    ]
    return Proof(f"simple top eigenvalue of {loss.name}", tuple(steps))


def _eigenvector(geometry: Geometry) -> Step:
    v = geometry.edge_direction
    return prove_equal(
        "H v_1 = lambda_1 v_1",
        (geometry.hessian * v).applyfunc(normal_form),
        (geometry.sharpness * v).applyfunc(normal_form),
        domain=geometry.domain,
        show=(sp.Symbol("H v_1"), sp.Symbol("lambda_1 v_1")),
        note="v_1 from the projector prod_j (H - lambda_j) H; not normalised.",
    )


def prove_log_sharpness_gradient(loss: Loss, /) -> Proof:
    """g is the gradient in the induced metric: <g, d_j zeta> = d_j log lambda_1, and K^2 = |g|^2 >= 0."""
    geometry = geometry_of(loss)
    g = geometry.log_sharpness_gradient
    # The vector in R^D: g = sum_i g^i d_i zeta, with d_i zeta = tangents/|P|.
    vector = geometry.tangents * g
    by_embedding = (geometry.tangents.T * vector / geometry.ray_squared).applyfunc(normal_form)
    squared = normal_form(vector.dot(vector) / geometry.ray_squared)
    logarithm = sp.log(geometry.sharpness)
    slopes = sp.Matrix([sp.diff(logarithm, s) for s in geometry.chart])
    return Proof(
        f"logarithmic gradient of the sharpness of {loss.name}",
        (
            prove_equal(
                "the gradient as a vector of R^D, projected on the tangents of Gamma",
                by_embedding,
                slopes,
                domain=geometry.domain,
                note="Left: g^i d_i zeta in R^D, without the metric. Right: log lambda_1 differentiated in the chart.",
            ),
            prove_equal(
                "K^2 is the squared length of that vector, a sum of squares",
                squared,
                geometry.log_sharpness_gradient_squared,
                domain=geometry.domain,
                show=(sp.Symbol("|g|^2"), geometry.log_sharpness_gradient_squared),
            ),
        ),
    )

"""Numbers that test what the theory says of every scale-invariant loss.

None of these functions uses a formula that `theory` derived: derivatives come from JAX, iterates from the rule's own
update.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.descent.descent import parameters_of, prepare
from sharpflow.numerics.descent.forms import form_of
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.identity import Identity
from sharpflow.theory.rule import Rule

__all__ = [
    "Forms",
    "descent_bound",
    "euler_residuals",
    "euler_table",
    "forms",
    "multipliers",
    "random_directions",
    "scaling_residual",
    "steps_to_edge",
]

configure()

Array = jax.Array

POINTS = 32
# Records of the runs below: one program for each loss and rule.
RECORDS = 200
# Steps over which two runs that should be one are compared: a step of 1/4 of the edge stretches by 1.5 at most, also
# where L curves downwards or has a kink, so that the rounding of so many steps grows to 1e-16*20*1.5^20 = 7e-12.
COMPARED = 20
# Points at which the Hessian is taken on a segment of the descent lemma.
SEGMENT = 33


def random_directions(objective: Objective, count: int, seed: int, /) -> np.ndarray:
    """(count, D) unit vectors near nothing in particular, on the start's side of the sphere.

    A loss such as a regression has a pole (|X w| = 0) somewhere; a direction within a right angle of the start avoids
    it in
    all likelihood, and values that are not finite show in every residual.
    """
    random = generator(seed)
    vectors = random.standard_normal((count, objective.dimension))
    vectors *= 0.7 / np.sqrt(objective.dimension)
    start = objective.start / np.linalg.norm(objective.start)
    vectors = vectors + start
    result: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


@lru_cache(maxsize=64)
def _jet(objective: Objective) -> Compiled:
    function = objective.function

    def jet(w: Array, c: Array) -> tuple[Array, ...]:
        # Each derivative stands in the program once: compiling it is most of the time.
        values, gradients = jax.vmap(jax.value_and_grad(function))(jnp.stack([w, c * w]))
        hessian, third = jax.jvp(jax.hessian(function), (w,), (w,))
        return *values, *gradients, hessian, third

    return Compiled(lambda w, c: jax.vmap(jet)(w, c))


def _sample(objective: Objective, seed: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    random = generator(seed, stream=1)
    w = random_directions(objective, POINTS, seed) * random.uniform(0.5, 2, (POINTS, 1))
    c = np.exp(random.uniform(-2, 2, POINTS))
    return w, c, tuple(np.asarray(leaf) for leaf in _jet(objective)(w, c))


def scaling_residual(objective: Objective, /, *, seed: int = 0) -> float:
    """max |L(c w) - L(w)| over random w and c in (e^-2, e^2), relative to the largest |L|."""
    _, _, (value, scaled, *_) = _sample(objective, seed)
    return float(np.max(np.abs(scaled - value)) / max(np.max(np.abs(value)), 1e-300))


def euler_residuals(objective: Objective, /, *, seed: int = 0) -> tuple[float, float, float, float]:
    """Residuals of <grad L, w> = 0, Hess L w = -grad L, D^3 L[w] = -2 Hess L and grad L(c w) = grad L(w)/c.

    Each is the largest over random points, relative to the size of its terms.
    """
    first, second, third, scaling = euler_table(objective, seed=seed)[1].max(axis=0)
    return float(first), float(second), float(third), float(scaling)


def euler_table(objective: Objective, /, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random points (N, D), and at each the residuals (N, 4) of `euler_residuals`."""
    w, c, (_, _, gradient, gradient_scaled, hessian, third) = _sample(objective, seed)
    g_size = np.linalg.norm(gradient, axis=1)
    h_size = np.linalg.norm(hessian, axis=(1, 2))
    length = np.linalg.norm(w, axis=1)
    floor = 1e-300
    first = np.abs(np.einsum("ki,ki->k", gradient, w)) / np.maximum(g_size * length, floor)
    second = np.linalg.norm(np.einsum("kij,kj->ki", hessian, w) + gradient, axis=1)
    second /= np.maximum(h_size * length + g_size, floor)
    third_residual = np.linalg.norm(third + 2 * hessian, axis=(1, 2)) / np.maximum(h_size, floor)
    scaling = np.linalg.norm(gradient_scaled * c[:, None] - gradient, axis=1) / np.maximum(g_size, floor)
    return w, np.stack([first, second, third_residual, scaling], axis=1)


@dataclass(frozen=True)
class Forms:
    """Runs of one rule that should be the same run.

    Attributes:
        sphere: max |theta_t(weights) - theta_t(sphere)| over the first `COMPARED` steps.
        rescaled: max |theta_t - theta_t'| between (eta, lambda, w) and (c^2 eta, lambda/c^2, c w), over as many; nan
            for a rule that has no learning rate and weight decay on w.
        schedule: max relative residual of v+ = beta v + 2 beta eta_in^2 |G|^2 + beta eta_in^2 effective_lr^2 |G|^4;
            nan likewise.
        steps: iterations run.
        finite: whether all stayed finite.
    """

    sphere: float
    rescaled: float
    schedule: float
    steps: int
    finite: bool


def forms(objective: Objective, rule: Rule, /, *, rate: float, factor: float = 3.7, seed: int = 0) -> Forms:
    """Run a rule on weights, its sphere form, and a rescaled copy, from one random direction; remembered."""
    return _forms(objective, Identity(rule), rate, factor, seed)


@lru_cache(maxsize=64)
def _forms(objective: Objective, key: Identity[Rule], rate: float, factor: float, seed: int) -> Forms:
    rule = key.value
    start = random_directions(objective, 1, seed)[0]
    # A quarter of the edge of the most curved point seen, upwards or downwards: a stable descent.
    w, _, (*_, hessians, _) = _sample(objective, seed)
    top = float(np.max(np.abs(np.linalg.eigvalsh(hessians)) * np.sum(w**2, axis=1)[:, None]))
    effective_lr = 0.5 / max(top, 1e-12)
    numbers = parameters_of(rule, rate, None)
    weights = prepare(objective, rule, records=RECORDS, form="weights")
    sphere = prepare(objective, rule, records=RECORDS, form="sphere")
    position, state = weights.begin(start, effective_lr, numbers)
    first = weights.run(position, state, numbers, 1)
    other = sphere.run(*sphere.begin(start, effective_lr, numbers), numbers, 1)
    apart = float(np.max(np.abs(first.points - other.points)[: COMPARED + 1]))
    finite = first.result.ok and other.result.ok
    if rule.space == "sphere" or not {"learning_rate", "weight_decay"} <= set(numbers):
        return Forms(apart, np.nan, np.nan, RECORDS, finite)
    changed = {
        **numbers,
        "learning_rate": numbers["learning_rate"] * factor**2,
        "weight_decay": numbers["weight_decay"] / factor**2,
    }
    second = weights.run(position * factor, state, changed, 1)
    small = 2 * numbers["learning_rate"] * numbers["weight_decay"]
    beta = (1 - numbers["learning_rate"] * numbers["weight_decay"]) ** 4
    e = first.effective_lr
    squared = np.array([float(np.sum(np.asarray(objective.gradient(p)) ** 2)) for p in first.points[:-1]])
    v = small / e**2
    expected = beta * (v[:-1] + 2 * small * squared + small * e[:-1] ** 2 * squared**2)
    return Forms(
        sphere=apart,
        rescaled=float(np.max(np.abs(first.points - second.points)[: COMPARED + 1])),
        schedule=float(np.max(np.abs(v[1:] / expected - 1))),
        steps=RECORDS,
        finite=finite and second.result.ok,
    )


@lru_cache(maxsize=64)
def _lemma(objective: Objective) -> Compiled:
    function = objective.function

    def one(theta: Array, share: Array) -> tuple[Array, Array]:
        gradient = jax.grad(function)(theta)

        def top(s: Array) -> Array:
            u = theta - s * gradient
            return jnp.linalg.eigvalsh(jax.hessian(function)(u / jnp.linalg.norm(u)))[-1]

        # effective_lr = share * 2/lambda_max here; the segment's own S may be larger.
        step = share * 2 / jnp.maximum(top(jnp.zeros(())), 1e-12)
        largest = jnp.max(jax.lax.map(top, step * jnp.linspace(0, 1, SEGMENT)))
        squared = gradient @ gradient
        after = function(theta - step * gradient)
        bound = function(theta) - step * (1 - step * largest / 2) * squared
        return after - bound, step**2 * jnp.abs(largest) * squared

    return Compiled(lambda theta, share: jax.vmap(one)(theta, share))


def descent_bound(objective: Objective, /, *, seed: int = 0) -> float:
    """max of (L(theta+) - bound)/(effective_lr^2 S |G|^2) over random points, below and beyond the edge; <= 0."""
    random = generator(seed, stream=2)
    theta = random_directions(objective, POINTS, seed)
    excess, size = _lemma(objective)(theta, random.uniform(0.05, 1.5, POINTS))
    return float(np.max(np.asarray(excess) / np.maximum(np.asarray(size), 1e-300)))


def steps_to_edge(objective: Objective, rule: Rule, zeta: np.ndarray, sharpness: float, /, *, rate: float) -> float:
    """Iterations at rest at zeta (D,) until effective_lr lambda_1 passes 2 from 1/2, interpolated."""
    numbers = parameters_of(rule, rate, None)
    weights = prepare(objective, rule, records=RECORDS, form="weights")
    position, state = weights.begin(zeta, 0.5 / sharpness, numbers)
    every = max(1, int(np.ceil(1.0 / rate / RECORDS)))
    run = weights.run(position, state, numbers, every)
    edge = run.effective_lr * sharpness
    passed = np.flatnonzero(edge >= 2)
    if not len(passed) or passed[0] == 0:
        return float("nan")
    k = int(passed[0])
    low, high = np.log(edge[k - 1]), np.log(edge[k])
    return float(run.steps[k - 1] + (np.log(2) - low) / (high - low) * every)


def multipliers(
    objective: Objective, rule: Rule, zeta: np.ndarray, effective_lr: float, /, *, rate: float
) -> np.ndarray:
    """The D eigenvalues, rising, of the derivative of one step theta -> theta+ at zeta (D,), effective_lr fixed."""
    numbers = parameters_of(rule, rate, None)
    matrix = np.asarray(_linear(objective, Identity(rule))(zeta, np.float64(effective_lr), numbers))
    # On Gamma the derivative is I - effective_lr H on the tangent space of the sphere and 0 along theta: symmetric.
    return np.asarray(np.linalg.eigvalsh((matrix + matrix.T) / 2))


@lru_cache(maxsize=64)
def _linear(objective: Objective, key: Identity[Rule]) -> Compiled:
    step = form_of(key.value, "sphere").step
    value_and_gradient = jax.value_and_grad(objective.function)

    def derivative(theta: Array, effective_lr: Array, parameters: dict[str, Array]) -> Array:
        def advance(z: Array) -> Array:
            moved: Array = step(z, {"effective_lr": effective_lr}, value_and_gradient, parameters)[0]
            return moved

        return jax.jacfwd(advance)(theta)

    return Compiled(derivative)

"""The statements of the two routes on the conic, whose chart is not normalised: proved, and shown as they are."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart import corollaries, routes
from sharpflow.theory.chart.expansion import expand, expand_nonsmooth, taylor_of
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.chart.routes import K2, drift_coefficient, schedule_rates
from sharpflow.theory.edge.averaging import X
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import reduce_rule

CONIC = families.get("conic").default()
GD, RMSPROP = rules.get("gd-wd"), rules.get("rmsprop")
AT = {K2: sp.Rational(3, 7), X: sp.Rational(2, 5), sp.Symbol("C_b", positive=True): sp.Rational(5, 3)}
AT |= {sp.Symbol("rate", positive=True): sp.Rational(1, 50), sp.Symbol("g"): sp.Rational(4, 3)}
AT |= {sp.Symbol("x", real=True): sp.Rational(1, 9), sp.Symbol("lambda_1", positive=True): sp.Integer(6)}
AT |= {sp.Symbol("U", real=True): sp.Rational(7, 4)}


def both(expression):
    """At `AT`, by the names of the symbols: the expansion's X and U are symbols of another class."""
    values = {symbol.name: value for symbol, value in AT.items()}
    expression = sp.sympify(expression)
    return sp.nsimplify(expression.subs({s: values[s.name] for s in expression.free_symbols if s.name in values}))


def on_sphere(update):
    """A rule with effective_lr for its state and a parameter ``speed`` that is the rate."""
    names = {"space": "sphere", "state": ("effective_lr",), "at_rate": lambda rate: {"speed": rate}}
    return Rule(name="user", update=update, **names)


# At K^2 = 3/7: 4 + K^2 = 31/7, so that gradient descent has <X^2> = 14/31 and RMSprop, at C_b = 5/3 with
# U' = C_b - 2 (2 C_b + K^2) X^2, has C_b/(4 C_b + 2 K^2) = 35/158. Then X = 2/5, rate = 1/50, lambda_1 = 6, x = 1/9.
SHOWN = [
    (lambda: routes.prove_oscillator(CONIC, GD), {
        "at the edge one step reverses the displacement": -1,
        "growth of the oscillation over two steps": sp.Rational(2, 5) * sp.Rational(7, 4),
        "response of the edge over two steps": 4 - sp.Rational(62, 7) * sp.Rational(4, 25),
    }),
    (lambda: routes.prove_oscillator(CONIC, RMSPROP), {
        "response of the edge over two steps": sp.Rational(5, 3) - 2 * sp.Rational(79, 21) * sp.Rational(4, 25),
    }),
    (lambda: routes.prove_drift(CONIC, GD), {
        "mean square of the oscillation over an orbit": sp.Rational(14, 31),
        "displacement along Gamma over two steps": -sp.Rational(4, 25) * sp.Rational(4, 3),
        "oscillation brings it back down": 0,
    }),
    (lambda: corollaries.prove_corollaries(CONIC), {
        "rate of log sharpness along the flow": -2 * sp.Rational(3, 31),
        # (4 - K^2)/(4 + K^2) = 25/31
        "1/4 minus the squared speed is a square": sp.Rational(25, 62) ** 2,
    }),
    (lambda: routes.prove_mean_square(CONIC, GD), {
        "mean square of the oscillation": sp.Rational(14, 31) / 50,
    }),
    (lambda: routes.prove_excess_loss(CONIC, GD), {
        "the loss grows as lambda_1 x^2/2 along v_1": sp.Rational(3, 81),
        "mean excess loss": 3 * sp.Rational(14, 31) / 50,
    }),
    (lambda: routes.prove_schedule_drift(CONIC, RMSPROP), {
        "its coefficient": sp.Rational(35, 158),
        "C_b = 2 is gradient descent with weight decay: eta_in^2 = 2 rate of its clock": sp.Rational(14, 31) / 50,
        "C_b to infinity is normalized gradient descent": sp.Rational(1, 4),
    }),
    (lambda: routes.prove_nonsmooth_drift(CONIC, rules.get("normalized-gd")), {
        "every X in (0, 1) lies on an orbit of period two": sp.Rational(2, 5),
    }),
    (lambda: corollaries.prove_stands_still(families.get("rayleigh").default()), {
        "lambda_1 is constant on Gamma": 0,
        "no displacement along Gamma over two steps of the expanded map": 0,
    }),
]  # fmt: skip


@pytest.mark.parametrize(("prove", "expected"), SHOWN, ids=range(len(SHOWN)))
def test_what_is_proved_is_shown_at_numbers(prove, expected):
    proof = prove()
    assert proof.status is Status.PROVED
    shown = {step.title.split(",")[0] if step.title not in expected else step.title: step.rhs for step in proof.steps}
    assert {title: both(shown[title]) for title in expected} == expected


def test_the_left_sides_that_are_shown():
    sides = [
        str(step.lhs) for step in (*routes.prove_oscillator(CONIC, GD).steps, *routes.prove_drift(CONIC, GD).steps)
    ]
    assert sides[1:4] == ["X+/X", "Derivative(X(T), T)", "Derivative(U(T), T)"]
    assert sides[4:8] == ["2", "K2 + 4", "<X^2>", "p'"]
    assert str(corollaries.prove_speed_bound(CONIC).steps[-1].lhs) == "1/4 - speed**2"


def test_the_speed_shown_is_that_of_the_flow():
    """1/4 - |d zeta/d tau|^2 at the start of the conic, by central differences of zeta along the drift."""
    geometry = geometry_of(CONIC)
    (p,), at = geometry.chart, geometry.start
    velocity = float((-2 * geometry.log_sharpness_gradient / (4 + geometry.log_sharpness_gradient_squared))[0].subs(at))
    h = 1e-6
    ahead, behind = (
        sp.Matrix([float(e.subs(p, float(at[p]) + s * h * velocity)) for e in geometry.point]) for s in (1, -1)
    )
    speed = float((ahead - behind).norm()) / (2 * h)
    shown = (
        corollaries.prove_speed_bound(CONIC).steps[-1].rhs.subs(K2, geometry.log_sharpness_gradient_squared.subs(at))
    )
    # central differences: h^2, and rounding 1e-16/h
    assert float(shown) == pytest.approx(0.25 - speed**2, abs=1e-9)


def test_balance_needs_both_signs():
    """Growth 2 and brake 4 of gradient descent: shown as a > 0 and b > 0."""
    up, down = routes.balance(reduce_rule(GD))
    assert (up.lhs, down.lhs) == (2, 4 + K2)
    assert {up.relation, down.relation} == {">"}
    assert (up.rhs, down.rhs) == (0, 0)


def test_a_brake_that_only_holds_where_the_sharpness_changes_is_no_brake():
    """brake = -1/2: brake + K^2 is positive for K^2 > 1/2, but not on every loss."""

    def update(w, gradient, state, p, ops):
        g, e = gradient(w), state.effective_lr
        return w - e * g, {"effective_lr": e * (1 + p.speed) * (1 + e**2 * ops.dot(g, g) / 8)}

    up, down = routes.balance(reduce_rule(on_sphere(update)))
    assert (up.status, down.status) == (Status.PROVED, Status.REFUTED)


def test_the_other_normal_directions_drop_out():
    step = routes.prove_oscillator(families.get("rayleigh").default(), GD).steps[-1]
    assert (step.status, step.statement) == (Status.PROVED, "d(X', U', p')/dY_j = 0")


def test_the_square_in_the_one_step_map_in_numbers():
    """xi+ = -xi + delta c xi^2 at effective_lr lambda_1 = 2, by one step from P + delta xi w in 60 digits."""
    geometry = geometry_of(CONIC)
    scaled = expand(geometry, reduce_rule(GD))
    with mpmath.workdps(60):
        number = lambda e: mpmath.mpf(sp.sstr(sp.sympify(e).subs(geometry.start).evalf(60)))  # noqa: E731
        gradient = sp.lambdify(CONIC.variables, list(CONIC.gradient), "mpmath")
        ray, w = (mpmath.matrix([number(e) for e in v]) for v in (geometry.ray, geometry.edge_direction))
        delta, xi = mpmath.mpf(10) ** -10, mpmath.mpf(3) / 2
        u = ray + delta * xi * w
        u -= 2 / number(geometry.sharpness) * (u.T * u)[0] * mpmath.matrix(gradient(*u))
        moved = (w.T * (u - ray))[0] / (w.T * w)[0] / delta
        found = float((moved + xi) / (delta * xi**2))
    # the next order is delta = 1e-10, times curvatures of order 10
    assert float(number(scaled.one_step_square)) == pytest.approx(found, abs=1e-8)
    assert abs(found) > 0.1


def test_the_other_normal_directions_are_carried_along():
    """|u|^2 grad L(u) at order delta^2 has the Hessian times sum_j Y_j n_j in it, before that is seen to drop out."""
    for name in ("rayleigh", "two-layer"):
        geometry = geometry_of(families.get(name).default())
        taylor = taylor_of(geometry)
        assert len(taylor.normal_symbols) == geometry.codimension - 1
        for j, symbol in enumerate(taylor.normal_symbols):
            found = taylor.second.diff(symbol) - geometry.hessian * taylor.normal[:, j]
            assert max(abs(e.subs(geometry.start).evalf(20)) for e in found) < 1e-15


@pytest.mark.parametrize(("feed", "power"), [(3, 1), (sp.Rational(1, 2), 2)])
def test_rates_of_a_schedule_written_here(feed, power):
    """e+ = e (1 + feed rate)^power/(1 + 5 e^2 |G|^2): growth feed*power, brake 4*5 as e^2 |G|^2 = 4 x^2 at the edge."""

    def update(w, gradient, state, p, ops):
        g, e = gradient(w), state.effective_lr
        grown = e * (1 + feed * p.speed) ** power / (1 + 5 * e**2 * ops.dot(g, g))
        return w - e * g, {"effective_lr": grown}

    reduction = reduce_rule(on_sphere(update))
    assert schedule_rates(reduction) == (feed * power, 20)
    assert sp.simplify(drift_coefficient(reduction) - feed * power / (20 + K2)) == 0
    # U' = 0 at X^2 = <X^2>, in the map expanded from the loss.
    geometry = geometry_of(CONIC)
    scaled = expand(geometry, reduction)
    mean = drift_coefficient(reduction).subs(K2, geometry.log_sharpness_gradient_squared)
    assert abs(scaled.u_rate.subs(X**2, mean).subs(geometry.start).evalf(30)) < 1e-25


def test_a_long_formula_is_cut_to_what_was_asked_for():
    p = sp.Symbol("p")
    assert routes.short(p + 1) == "p + 1"
    long = sum((p**k for k in range(40)), sp.Integer(0))
    assert len(routes.short(long)) == 160
    assert routes.short(long).endswith("...")
    assert routes.short(p + 1, 5) == "p + 1"


@pytest.mark.parametrize(
    ("name", "length", "start"),
    [("conic", 1, 0.3), ("conic", 1, 0.8), ("conic", 3, 0.7), ("surface", 1, 0.4), ("two-layer", 2, 0.6)],
)
def test_two_hops_of_normalized_descent_in_numbers(name, length, start):
    """theta+ = theta - length eta G/|G|, 60 digits: X after one and two steps, and the shift along Gamma."""

    def update(w, gradient, state, p, ops):
        g = gradient(w)
        return w - length * p.speed * g / ops.norm(g), {}

    loss = families.get(name).default()
    geometry = geometry_of(loss)
    rule = Rule(name="user", update=update, space="sphere", at_rate=lambda rate: {"speed": rate**0.5})
    orbit = expand_nonsmooth(geometry, reduce_rule(rule))
    at = geometry.start
    with mpmath.workdps(60):
        number = lambda e: mpmath.mpf(sp.sstr(sp.sympify(e).subs(at).evalf(60)))  # noqa: E731
        gradient = sp.lambdify(loss.variables, list(loss.gradient), "mpmath", cse=True)
        zeta = mpmath.matrix([number(e) for e in geometry.point])
        v = mpmath.matrix([number(e) for e in geometry.edge_direction])
        v /= mpmath.norm(v)
        tangents = [mpmath.matrix([number(e) for e in geometry.point.diff(s)]) for s in geometry.chart]
        gram = mpmath.matrix([[(a.T * b)[0] for b in tangents] for a in tangents])
        delta = mpmath.mpf(10) ** -8
        theta, positions = zeta + delta * mpmath.mpf(start) * v, []
        theta /= mpmath.norm(theta)
        for _ in range(2):
            g = mpmath.matrix(gradient(*theta))
            theta -= length * delta * g / mpmath.norm(g)
            theta /= mpmath.norm(theta)
            positions.append((v.T * (theta - zeta))[0] / delta)
        shift = mpmath.lu_solve(gram, mpmath.matrix([(t.T * (theta - zeta))[0] for t in tangents]))
        found = [number(e) for e in orbit.drift]
    symbol = sp.Symbol("X", positive=True)
    # Corrections are of relative order delta = 1e-8, times curvatures of order 10.
    assert [float(e.subs(symbol, start)) for e in (orbit.first, orbit.second)] == pytest.approx(positions, abs=1e-6)
    assert [float(s / (2 * delta**2)) for s in shift] == pytest.approx([float(e) for e in found], abs=1e-6)


def test_a_step_that_is_not_of_fixed_length_has_no_such_orbit():
    with pytest.raises(NoClosedForm, match="not a fixed one"):
        expand_nonsmooth(geometry_of(CONIC), reduce_rule(rules.get("gd-wd")))

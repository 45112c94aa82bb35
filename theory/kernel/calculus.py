"""A loss as Coq knows it: its derivatives are derivatives there, and what the flow is made of is proved from them.

The loss is defined in the file. Its gradient and its Hessian are theorems of the kind `is_derive`: SymPy's derivatives
are compared with those that Coquelicot finds. On Gamma the gradient vanishes and the Hessian has its kernel and its
eigenvector; log lambda_1 and the chart's point are differentiated there as well. The last theorem is the flow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sympy as sp

from sharpflow.theory.chart.flow import SharpnessFlow
from sharpflow.theory.chart.geometry import Geometry, geometry_of
from sharpflow.theory.kernel.export import Section
from sharpflow.theory.kernel.field import Atoms
from sharpflow.theory.kernel.lemma import both, theorem
from sharpflow.theory.kernel.terms import NotExported, Terms, plain
from sharpflow.theory.loss import Loss

__all__ = ["flow_section", "loss_section"]

# Hessian entries of losses with more variables take the kernel minutes.
DIMENSION = 5


class _Writer:
    """Definitions and theorems about one loss."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.terms = Terms()
        self.names = [self.terms.name(v) for v in loss.variables]
        self.lines: list[str] = []
        self.stated: list[str] = []
        atoms = Atoms()
        expression = plain(loss.expression)
        atoms.prepare(expression)
        below = atoms.fraction(atoms.convert(expression))[1]
        if atoms.rewritings or any(not isinstance(n, sp.Symbol | sp.Pow) for n in atoms.node.values()):
            raise NotExported("a loss that is not made of sums, products, powers and square roots")
        # What must not vanish, and what must be positive under a root.
        roots = {s: n for s, n in atoms.node.items() if s != n}
        self.divisors = [d.xreplace(roots) for d in below if d not in roots]
        self.radicands = [n.base for n in roots.values()]

    @property
    def inside(self) -> str:
        """Hypotheses: where the loss is differentiated."""
        found = [f"(d{i} : {self.terms(d)} <> 0)" for i, d in enumerate(self.divisors, start=1)]
        found += [f"(q{i} : 0 < {self.terms(a)})" for i, a in enumerate(self.radicands, start=1)]
        return " ".join(found)

    def define(self, name: str, arguments: list[str], body: sp.Expr) -> None:
        binder = f" ({' '.join(arguments)} : R)" if arguments else ""
        self.lines.append(f"Definition {name}{binder} : R := {self.terms(plain(body))}.\n")

    def derivative(self, whole: str, part: str, i: int) -> None:
        """d/dx_i of the definition ``whole`` is the definition ``part``."""
        moved = " ".join("t" if j == i else name for j, name in enumerate(self.names))
        arguments = " ".join(self.names)
        roots = "; ".join(f"assert (s{i} := sqrt_lt_R0 _ q{i})" for i in range(1, len(self.radicands) + 1))
        first = f"{roots}. " if roots else ""
        self.state(
            f"{part}_is_a_derivative",
            f"Theorem {part}_is_a_derivative ({arguments} : R) {self.inside} :\n"
            f"  is_derive (fun t => {whole} {moved}) {self.names[i]} ({part} {arguments}).\nProof.\n"
            f"  {first}unfold {whole}, {part}. auto_derive; [nonzero_or_positive | field; nonzero].\nQed.\n",
        )

    def state(self, name: str, text: str) -> None:
        self.stated.append(name)
        self.lines.append(text)

    def equations(self, name: str, pairs: list[tuple[sp.Expr, sp.Expr]], said: list[str], unfold: list[str],
                  divided: list[sp.Expr] | None = None) -> None:  # fmt: skip
        self.state(name, theorem(name, pairs, said, unfold=unfold, divided=divided or []))

    def section(self, title: str, covers: list[tuple[str, str]]) -> Section:
        return Section(title, "\n".join(self.lines), tuple(self.stated), tuple(covers))


def loss_section(loss: Loss, /) -> Section:
    """The loss, scale invariance, gradient, Hessian, Euler's identities.

    Raises:
        NotExported: it has too many variables, or functions beside powers and square roots.
    """
    if loss.dimension > DIMENSION:
        raise NotExported(f"more than {DIMENSION} variables")
    w = _Writer(loss)
    if w.radicands:
        raise NotExported("a loss with roots in it")
    w.define("L", w.names, loss.expression)
    c = sp.Symbol("c", positive=True)
    scaled = {v: c * v for v in loss.variables}
    arguments = " ".join(w.names)
    # Where the loss has roots, sqrt((c w)^2) = c sqrt(w^2) is beyond the certificates.
    with contextlib.suppress(NotExported):
        w.equations(
            "loss_is_scale_invariant",
            [(loss.expression.subs(scaled, simultaneous=True), loss.expression)],
            [f"L {' '.join(f'(c * {n})' for n in w.names)} = L {arguments}"], ["L"],
            [*w.divisors, *(d.subs(scaled, simultaneous=True) for d in w.divisors)],
        )  # fmt: skip
    gradient = [sp.factor(sp.diff(loss.expression, v)) for v in loss.variables]
    for i, slope in enumerate(gradient):
        w.define(f"L_{w.names[i]}", w.names, slope)
        w.derivative("L", f"L_{w.names[i]}", i)
    for i, j in _pairs(loss):
        name = f"L_{w.names[i]}_{w.names[j]}"
        w.define(name, w.names, sp.factor(sp.diff(gradient[i], loss.variables[j])))
        w.derivative(f"L_{w.names[i]}", name, j)
    slopes = [f"L_{n}" for n in w.names]
    w.equations(
        "euler_first_order",
        [(sp.Add(*(v * g for v, g in zip(loss.variables, gradient, strict=True))), sp.Integer(0))],
        [" + ".join(f"{n} * {s} {arguments}" for n, s in zip(w.names, slopes, strict=True)) + " = 0"],
        slopes, w.divisors,
    )  # fmt: skip
    rows = range(loss.dimension)
    w.equations(
        "euler_second_order",
        [(sp.Add(*(sp.diff(gradient[i], v) * v for v in loss.variables)), -gradient[i]) for i in rows],
        [" + ".join(f"{_entry(w, i, j)} {arguments} * {w.names[j]}" for j in rows) + f" = - {slopes[i]} {arguments}"
         for i in rows],
        [*slopes, *_entries(w)], w.divisors,
    )  # fmt: skip
    return w.section(
        f"the loss {loss.name}, and its derivatives",
        [
            (step, name)
            for step, name in (
                ("degree-0 homogeneity", "loss_is_scale_invariant"),
                ("Euler identity, first order", "euler_first_order"),
                ("Euler identity, second order", "euler_second_order"),
            )
            if name in w.stated
        ],
    )


def _pairs(loss: Loss) -> Iterator[tuple[int, int]]:
    for i in range(loss.dimension):
        for j in range(i, loss.dimension):
            yield i, j


def _entry(w: _Writer, i: int, j: int) -> str:
    return f"L_{w.names[min(i, j)]}_{w.names[max(i, j)]}"


def _entries(w: _Writer) -> list[str]:
    return [_entry(w, i, j) for i, j in _pairs(w.loss)]


def flow_section(loss: Loss, flow: SharpnessFlow | None, /) -> Section:
    """Gamma, sharpness, its logarithmic gradient, and with ``flow`` (of gradient descent with weight decay) the flow.

    Raises:
        NotExported, NoClosedForm: something of it is not restated.
    """
    geometry = geometry_of(loss)
    if any(node.func is sp.exp or (node.is_Pow and not node.exp.is_Integer) for node in _nodes(geometry.ray)):
        raise NotExported("a chart that is not made of polynomials, sines and cosines")
    if not geometry.ray_squared.is_number:
        raise NotExported("a chart whose point is of varying length")
    if geometry.sharpness.is_number:
        raise NotExported("lambda_1 is constant: nothing flows")
    w = _Writer(loss)
    chart = [w.terms.name(s) for s in geometry.chart]
    point = {v: e for v, e in zip(loss.variables, geometry.ray, strict=True)}
    divided = [d.subs(point, simultaneous=True) for d in (*w.divisors, *w.radicands)]
    arguments, at = " ".join(chart), " ".join(f"(P_{n} {' '.join(chart)})" for n in w.names)
    for n, e in zip(w.names, geometry.ray, strict=True):
        w.define(f"P_{n}", chart, e)
    points = [f"P_{n}" for n in w.names]
    gradient = [sp.diff(loss.expression, v) for v in loss.variables]
    rows = range(loss.dimension)

    def on_gamma(e: sp.Expr) -> sp.Expr:
        return e.subs(point, simultaneous=True)

    w.equations(
        "gradient_vanishes_on_gamma", [(on_gamma(g), sp.Integer(0)) for g in gradient],
        [f"L_{n} {at} = 0" for n in w.names], [*(f"L_{n}" for n in w.names), *points], divided,
    )  # fmt: skip
    hessian = [[on_gamma(sp.diff(g, v)) for v in loss.variables] for g in gradient]
    for k, s in enumerate(geometry.chart):
        for i, n in enumerate(w.names):
            w.define(f"T_{n}_{chart[k]}", chart, sp.diff(geometry.ray[i], s))
            moved = " ".join("t" if c == chart[k] else c for c in chart)
            w.state(
                f"T_{n}_{chart[k]}_is_a_derivative",
                f"Theorem T_{n}_{chart[k]}_is_a_derivative ({arguments} : R) :\n"
                f"  is_derive (fun t => P_{n} {moved}) {chart[k]} (T_{n}_{chart[k]} {arguments}).\n"
                f"Proof. unfold P_{n}, T_{n}_{chart[k]}. auto_derive; [nonzero | field; nonzero].\nQed.\n",
            )
    kernels = [("point", points, list(geometry.ray))]
    kernels += [
        (f"tangent_{chart[k]}", [f"T_{n}_{chart[k]}" for n in w.names], [sp.diff(e, s) for e in geometry.ray])
        for k, s in enumerate(geometry.chart)
    ]
    for title, names, vector in kernels:
        w.equations(
            f"{title}_is_in_the_kernel",
            [(sp.Add(*(hessian[i][j] * vector[j] for j in rows)), sp.Integer(0)) for i in rows],
            [" + ".join(f"{_entry(w, i, j)} {at} * {names[j]} {arguments}" for j in rows) + " = 0" for i in rows],
            [*_entries(w), *points, *names], divided,
        )  # fmt: skip
    w.define("lambda_1", chart, geometry.sharpness)
    direction = list(geometry.edge_direction)
    for n, e in zip(w.names, direction, strict=True):
        w.define(f"V_{n}", chart, e)
    squared = sp.Add(*(e**2 for e in geometry.ray))
    norm = " + ".join(f"P_{n} {arguments} ^ 2" for n in w.names)
    w.equations(
        "eigenvector_of_the_edge",
        [(squared * sp.Add(*(hessian[i][j] * direction[j] for j in rows)), geometry.sharpness * direction[i])
         for i in rows],
        [f"({norm}) * (" + " + ".join(f"{_entry(w, i, j)} {at} * V_{w.names[j]} {arguments}" for j in rows)
         + f") = lambda_1 {arguments} * V_{w.names[i]} {arguments}" for i in rows],
        ["lambda_1", *_entries(w), *points, *(f"V_{n}" for n in w.names)], divided,
    )  # fmt: skip
    _sharpness(w, geometry, chart)
    covers = [
        ("the gradient vanishes on Gamma", "gradient_vanishes_on_gamma"),
        ("theta and the tangent space of Gamma lie in the kernel of the Hessian", "point_is_in_the_kernel"),
        ("H v_1 = lambda_1 v_1", "eigenvector_of_the_edge"),
    ]
    if flow is not None:
        _flow(w, geometry, flow, chart)
        covers.append(("the drift by the two routes", "the_flow"))
    return w.section("Gamma, sharpness, and the flow", covers)


def _nodes(matrix: sp.Matrix) -> Iterator[sp.Expr]:
    for entry in matrix:
        yield from sp.preorder_traversal(plain(entry))


def _sharpness(w: _Writer, geometry: Geometry, chart: list[str]) -> None:
    """d log lambda_1 in the chart, the metric, and g with G g = d log lambda_1."""
    arguments = " ".join(chart)
    for c, s in zip(chart, geometry.chart, strict=True):
        w.define(f"slope_{c}", chart, sp.diff(geometry.sharpness, s) / geometry.sharpness)
        moved = " ".join("t" if other == c else other for other in chart)
        w.state(
            f"slope_{c}_is_a_derivative",
            f"Theorem slope_{c}_is_a_derivative ({arguments} : R) (h : 0 < lambda_1 {arguments}) :\n"
            f"  is_derive (fun t => ln (lambda_1 {moved})) {c} (slope_{c} {arguments}).\n"
            f"Proof. unfold slope_{c}, lambda_1 in *. auto_derive; [nonzero_or_positive | field; nonzero].\nQed.\n",
        )
    w.define("norm_squared", chart, sp.Add(*(e**2 for e in geometry.ray)))
    for c, g in zip(chart, geometry.log_sharpness_gradient, strict=True):
        w.define(f"g_{c}", chart, g)
    squared = sp.Add(*(e**2 for e in geometry.ray))

    def dot(a: list[sp.Expr], b: list[sp.Expr]) -> sp.Expr:
        return sp.Add(*(x * y for x, y in zip(a, b, strict=True)))

    ray = list(geometry.ray)
    tangents = [[sp.diff(e, s) for e in ray] for s in geometry.chart]
    pairs, said = [], []
    for c, d, s in zip(chart, tangents, geometry.chart, strict=True):
        metric = [dot(d, e) / squared - dot(ray, d) * dot(ray, e) / squared**2 for e in tangents]
        pairs.append((
            dot(metric, list(geometry.log_sharpness_gradient)), sp.diff(geometry.sharpness, s) / geometry.sharpness,
        ))  # fmt: skip
        parts = []
        for other in chart:
            both = " + ".join(f"T_{n}_{c} {arguments} * T_{n}_{other} {arguments}" for n in w.names)
            one, two = (" + ".join(f"P_{n} {arguments} * T_{n}_{k} {arguments}" for n in w.names) for k in (c, other))
            norm = f"norm_squared {arguments}"
            parts.append(f"(({both}) / {norm} - ({one}) * ({two}) / {norm} ^ 2) * g_{other} {arguments}")
        said.append(" + ".join(parts) + f" = slope_{c} {arguments}")
    unfold = ["norm_squared", *(f"P_{n}" for n in w.names), *(f"g_{c}" for c in chart), *(f"slope_{c}" for c in chart)]
    unfold += [f"T_{n}_{c}" for n in w.names for c in chart]
    w.equations(
        "gradient_in_the_metric", pairs, said, unfold, [squared, geometry.sharpness],
    )  # fmt: skip


def _flow(w: _Writer, geometry: Geometry, flow: SharpnessFlow, chart: list[str]) -> None:
    """K^2, the field -2 g/(4 + K^2), and that it is the mean of -X^2 g over every closed orbit."""
    arguments = " ".join(chart)
    k2 = geometry.log_sharpness_gradient_squared
    slopes = [sp.diff(geometry.sharpness, s) / geometry.sharpness for s in geometry.chart]
    g = list(geometry.log_sharpness_gradient)
    w.define("K2", chart, k2)
    w.equations(
        "K2_is_the_square_of_the_gradient", [(sp.Add(*(a * b for a, b in zip(slopes, g, strict=True))), k2)],
        [" + ".join(f"slope_{c} {arguments} * g_{c} {arguments}" for c in chart) + f" = K2 {arguments}"],
        ["K2", *(f"slope_{c}" for c in chart), *(f"g_{c}" for c in chart)], [geometry.sharpness],
    )  # fmt: skip
    for c, f in zip(chart, flow.field, strict=True):
        w.define(f"field_{c}", chart, f)
    w.equations(
        "field_of_the_flow",
        [(f, -2 * e / (4 + k2)) for f, e in zip(flow.field, g, strict=True)],
        [f"field_{c} {arguments} = - 2 * g_{c} {arguments} / (4 + K2 {arguments})" for c in chart],
        ["K2", *(f"field_{c}" for c in chart), *(f"g_{c}" for c in chart)], [4 + k2],
    )  # fmt: skip
    means = [f"- 2 * g_{c} {arguments} / (4 + K2 {arguments})" for c in chart]
    conclusion = " /\\\n  ".join(
        f"is_RInt (fun t => - X t ^ 2 * g_{c} {arguments}) 0 period (period * ({mean}))"
        for c, mean in zip(chart, means, strict=True)
    )
    proofs = [_mean_of(f"g_{c} {arguments}", f"K2 {arguments}", mean) for c, mean in zip(chart, means, strict=True)]
    split = "" if len(chart) == 1 else f"  {both(len(chart))}.\n"
    w.state(
        "the_flow",
        "(* The oscillator at the edge, X' = X U and U' = 4 - 2 (4 + K^2) X^2, moves the point of Gamma by -X^2 g.\n"
        "   Over every orbit that closes the mean of that is the field of the flow: d p/d tau = -2 g/(4 + K^2). *)\n"
        f"Theorem the_flow ({arguments} : R) (X U : R -> R) (period : R) (h : 4 + K2 {arguments} <> 0)\n"
        "  (dX : forall t, is_derive X t (X t * U t))\n"
        f"  (dU : forall t, is_derive U t (4 - 2 * (4 + K2 {arguments}) * X t ^ 2)) (back : U period = U 0) :\n"
        f"  {conclusion}.\nProof.\n"
        f"  assert (hb : 2 * (4 + K2 {arguments}) <> 0) by (intro Z; apply h; lra).\n"
        f"  pose proof (mean_square_over_an_orbit X U 4 (2 * (4 + K2 {arguments})) period hb dX dU back) as I.\n"
        f"{split}" + "".join(f"  {'- ' if len(chart) > 1 else ''}{proof}\n" for proof in proofs) + "Qed.\n",
    )  # fmt: skip


def _mean_of(g: str, k2: str, mean: str) -> str:
    return (
        f"apply (is_RInt_scal _ _ _ (- {g})) in I.\n"
        f"    replace (period * ({mean})) with (scal (- {g}) (period * (4 / (2 * (4 + {k2}))))).\n"
        f"    + apply (is_RInt_ext (fun t => scal (- {g}) (X t ^ 2))); [ | exact I].\n"
        "      intros t _. unfold scal; simpl; unfold mult; simpl. ring.\n"
        "    + unfold scal; simpl; unfold mult; simpl. field. exact h."
    )

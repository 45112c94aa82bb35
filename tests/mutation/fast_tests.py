"""The modules that carry formulas, and the fast tests of each, as pytest takes them."""

from __future__ import annotations

from pathlib import Path

THEORY, NUMERICS = "tests/theory", "tests/numerics"
# The fast tests of a module, as pytest takes them: 20 s at most on an idle core.
FORMULAS = (f"{THEORY}/test_formulas.py",)
NUMBERS = (f"{NUMERICS}/test_formulas.py",)
RUNS = (f"{NUMERICS}/test_run_formulas.py",)
RECORDS = (f"{NUMERICS}/test_record_formulas.py",)
CHARTS = (f"{NUMERICS}/test_flow_formulas.py", f"{NUMERICS}/test_flow.py", "-k", "formulas or ridge-gd-wd or touches")
LAWS = "law_formulas or rational_formulas or horizon or literature and not rmsprop or refuted or refuses"
LAWS += " or shown_and and gd-wd"
ENGINE = (f"{THEORY}/test_law_formulas.py", *FORMULAS, f"{THEORY}/test_engine.py", "-k", LAWS)
# What is proved, at numbers; the routes on the conic.
STATEMENTS = (f"{THEORY}/test_statement_formulas.py",)
ROUTES = (f"{THEORY}/test_route_formulas.py",)
REDUCTION = (f"{THEORY}/test_vectors_and_reduction.py",)
PLANTED = (f"{THEORY}/test_planted.py",)
EXPANSION = (f"{THEORY}/test_expansion.py", f"{THEORY}/test_planted.py", "-k", "not two-layer and not surface")
ORBITS = "record_formulas or extrapolation or quadrature or small_orbit or records_of or start_of_a_run or read_off"
ORBITS += " or horizon_of or law_on_iterates and gd-wd or planted_coefficient"
ENERGY = (*NUMBERS, f"{NUMERICS}/test_energy_law.py", "-k", ORBITS)
FLOW = (f"{NUMERICS}/test_manifold_flow_formulas.py", f"{NUMERICS}/test_flow.py", "-k", "formulas or ridge-gd-wd")
POINTS = "record_formulas or relaxation or eigenvalues_from or residuals or no_minima or blocks"
POINTS += " or (hessian or differences or lands) and (ridge or surface)"
MANIFOLD = (*NUMBERS, f"{NUMERICS}/test_manifold.py", "-k", POINTS)
JETS = (f"{THEORY}/test_jet_formulas.py", f"{THEORY}/test_edge_jets.py", "-k", "formulas or conic")
EDGES = (f"{NUMERICS}/test_edge_flow.py", "-k", "formulas or chart and surface or second_order or waits")
PAIRS = "reference and values0 or neighbour or has_not or bad or precision"
RULES = sorted(place.stem for place in (Path(__file__).parents[2] / "theory" / "rules").glob("[!_]*.py"))
TESTS: dict[str, tuple[str, ...]] = {
    "theory/averaging.py": EXPANSION,
    "theory/center.py": ENGINE,
    "theory/edge_jets.py": JETS,
    "theory/edge_law.py": ENGINE,
    "theory/energy_law.py": ENGINE,
    "theory/entering.py": (*FORMULAS, *PLANTED),
    "theory/expansion.py": (*ROUTES, f"{THEORY}/test_expansion.py"),
    "theory/flow.py": (
        *STATEMENTS,
        f"{THEORY}/test_law_formulas.py",
        f"{THEORY}/test_flow.py",
        "-k",
        "statement_formulas or decays or test_flow",
    ),
    "theory/frame.py": ENGINE,
    "theory/geometry.py": (
        *FORMULAS,
        f"{THEORY}/test_law_formulas.py",
        *STATEMENTS,
        f"{THEORY}/test_geometry.py",
        "-k",
        "elementary or quadratic or eigenvector or root or statement_formulas or test_geometry",
    ),
    "theory/homogeneous.py": (
        *STATEMENTS,
        f"{THEORY}/test_invariance.py",
    ),
    "theory/invariance.py": (
        *STATEMENTS,
        f"{THEORY}/test_invariance.py",
    ),
    "theory/jets.py": ENGINE,
    "theory/nonsmooth.py": ENGINE,
    "theory/rational_map.py": (f"{THEORY}/test_rational_formulas.py", *ENGINE),
    "theory/reduction.py": REDUCTION,
    "theory/regression.py": (*STATEMENTS, *PLANTED),
    "theory/routes.py": ROUTES,
    "theory/series.py": (f"{THEORY}/test_series.py",),
    "theory/several_edges.py": (f"{THEORY}/test_several_edges.py",),
    "theory/generic.py": ENGINE,
    "theory/generic_steps.py": ENGINE,
    "theory/sphere.py": (*STATEMENTS, *REDUCTION),
    "theory/vectors.py": REDUCTION,
    **{
        f"theory/rules/{name}.py": (f"{THEORY}/test_engine.py", "-k", f"literature and {name.replace('_', '-')}")
        for name in RULES
    },
    "numerics/curvature.py": EDGES,
    "numerics/delay.py": (f"{NUMERICS}/test_whole_run.py", "-k", "hidden or symmetry or comes_back"),
    "numerics/edge.py": (f"{NUMERICS}/test_edge.py", "-k", "not conic_solver"),
    "numerics/edge_flow.py": (f"{NUMERICS}/test_edge_flow_formulas.py", *EDGES),
    "numerics/edge_step.py": EDGES,
    "numerics/eigenpairs.py": (
        f"{NUMERICS}/test_eigenpairs.py",
        "-k",
        "reference and values0 or neighbour or has_not or bad or precision",
    ),
    "numerics/krylov_normals.py": (f"{NUMERICS}/test_eigenpairs.py", "-k", "projection or large"),
    "numerics/normals.py": EDGES,
    "numerics/whole_run.py": (f"{NUMERICS}/test_whole_run.py", "-k", "onset and 0.005 or lowers or beyond"),
    "numerics/descent.py": (
        *RUNS,
        f"{NUMERICS}/test_descent.py",
    ),
    "numerics/edge_jets.py": JETS,
    "numerics/edge_run.py": (*RUNS, f"{NUMERICS}/test_compare.py", "-k", "formulas or ridge_tracks"),
    "numerics/energy_law.py": (*RECORDS, *ENERGY),
    "numerics/equilibrium.py": ENERGY,
    "numerics/flow.py": CHARTS,
    "numerics/manifold.py": MANIFOLD,
    "numerics/manifold_flow.py": FLOW,
    "numerics/orbit.py": ENERGY,
    "numerics/order.py": (f"{NUMERICS}/test_order.py", *NUMBERS, "-k", "test_order or fitted_order"),
    "numerics/oscillation.py": RECORDS,
    "numerics/relax.py": (*RECORDS, *MANIFOLD),
    "numerics/rule_forms.py": (
        *RUNS,
        f"{NUMERICS}/test_descent.py",
    ),
    "numerics/spectrum.py": (*RECORDS, *MANIFOLD),
}

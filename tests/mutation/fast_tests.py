"""The modules that carry formulas, with the fast tests of each, as pytest takes them; the rest, and why."""

from __future__ import annotations

from pathlib import Path

THEORY, NUMERICS = "tests/theory", "tests/numerics"
# The fast tests of a module, as pytest takes them: 12 s or so of the processor, once all is compiled.
FORMULAS = (f"{THEORY}/test_formulas.py",)
NUMBERS = (f"{NUMERICS}/test_formulas.py",)
RUNS = (f"{NUMERICS}/test_run_formulas.py",)
RECORDS = (f"{NUMERICS}/test_record_formulas.py",)
CHARTS = (
    f"{NUMERICS}/test_flow_formulas.py",
    f"{NUMERICS}/test_flow.py",
    "-k",
    "formulas or touches or leaves_its_chart",
)
LAWS = "law_formulas and not forgets or horizon or literature and not rmsprop and not coupled and not l2"
LAWS += " or refuted and not another_rule or refuses or shown_and and gd-wd"
ENGINE = (f"{THEORY}/test_law_formulas.py", *FORMULAS, f"{THEORY}/test_engine.py", "-k", LAWS)
# The expansion itself, also of a rule with a multiplier 0.
CENTER = (*ENGINE[:-1], LAWS.replace(" and not forgets", ""))
# What is proved, at numbers; the routes on the conic.
STATEMENTS = (f"{THEORY}/test_statement_formulas.py",)
ROUTES = (f"{THEORY}/test_route_formulas.py",)
REDUCTION = (f"{THEORY}/test_vectors_and_reduction.py", f"{THEORY}/test_norm_powers.py")
PLANTED = (f"{THEORY}/test_planted.py",)
AVERAGES = "test_expansion and not two-layer or lost_half or doubled_drift or clock_of or planted_energy"
AVERAGES += " or planted_mean_square or planted_period or forgotten_factor_in_the_schedule"
EXPANSION = (f"{THEORY}/test_expansion.py", f"{THEORY}/test_planted.py", "-k", AVERAGES)
ORBITS = "record_formulas or extrapolation or quadrature or small_orbit or records_of or start_of_a_run or read_off"
ORBITS += " or horizon_of or law_on_iterates and gd-wd or planted_coefficient"
ENERGY = (*NUMBERS, f"{NUMERICS}/test_energy_law.py", "-k", ORBITS)
FLOW = (f"{NUMERICS}/test_manifold_flow_formulas.py", f"{NUMERICS}/test_flow.py", "-k", "formulas or ridge-gd-wd")
POINTS = "record_formulas or eigenvalues_from or residuals or blocks or chords or few_times"
POINTS += " or (hessian or differences or lands) and ridge"
MANIFOLD = (*NUMBERS, f"{NUMERICS}/test_manifold.py", "-k", POINTS)
RELAX = (*MANIFOLD[:-1], "record_formulas or relaxation or no_minima or residuals")
GEOMETRY = (
    *FORMULAS,
    f"{THEORY}/test_law_formulas.py",
    *STATEMENTS,
    f"{THEORY}/test_geometry.py",
    "-k",
    "elementary or quadratic or eigenvector or root or test_geometry and not crossing or closed_forms or double_angles"
    " or of_entries or angle_of_a_regression or has_no_angle",
)
ASSUMED = "test_geometry and not chart_does_not or planted_metric or lost_half or sign_of_the_gradient_in_the_program"
STEPS = (f"{THEORY}/test_generic_steps.py", f"{THEORY}/test_law_formulas.py", "-k")
PROBES = (f"{NUMERICS}/test_probe_formulas.py",)
CENTRAL = (f"{NUMERICS}/test_central_formulas.py", f"{NUMERICS}/test_central_flow.py", "-k")
CENTRAL += ("central_formulas or before_the_edge or bad_input or too_many_weights",)
SMALL = (f"{NUMERICS}/test_small_formulas.py",)
RESOLVED = (f"{NUMERICS}/test_resolved.py", "-k", "between_its_records or every_single or bad_input")
NETWORKS = (f"{NUMERICS}/test_networks.py", "-k")
TRAINING = (*SMALL, f"{NUMERICS}/test_training.py", "-k", "recipe or plain_loop or after_some_steps")
JETS = (f"{THEORY}/test_jet_formulas.py", f"{THEORY}/test_edge_jets.py", "-k", "formulas or conic")
EDGES = (f"{NUMERICS}/test_edge_flow.py", "-k", "formulas or chart and surface or second_order or waits")
ROOT = Path(__file__).parents[2]
RULES = sorted(place.stem for place in (ROOT / "theory" / "rules").glob("[!_]*.py"))
FAMILIES, NETS, EXPERIMENTS = (
    sorted(place.name for place in (ROOT / folder).glob("*.py"))
    for folder in ("theory/families", "numerics/networks", "numerics/experiments")
)
TESTS: dict[str, tuple[str, ...]] = {
    "theory/assumptions.py": (f"{THEORY}/test_geometry.py", *PLANTED, "-k", ASSUMED),
    "theory/averaging.py": EXPANSION,
    "theory/center.py": CENTER,
    "theory/checker.py": (f"{THEORY}/test_checker.py", "-k", "not ridge"),
    "theory/edge_jets.py": JETS,
    "theory/edge_law.py": CENTER,
    "theory/energy_law.py": (*ENGINE[:-1], f"{LAWS} or monomial"),
    "theory/entering.py": (
        *FORMULAS,
        *PLANTED,
        "-k",
        "test_formulas or forgotten or weight_decay or clock_of_the_flow",
    ),
    "theory/expansion.py": (f"{THEORY}/test_expansion.py", *ROUTES, "-k", "not two-layer"),
    "theory/first_crossing.py": (*STEPS, "leaves_before and not rmsprop"),
    "theory/flow.py": (
        *STATEMENTS,
        f"{THEORY}/test_law_formulas.py",
        f"{THEORY}/test_flow.py",
        "-k",
        "closed_forms or double_angles or angle_of_a_regression_by_numbers or decays or test_flow and not two-layer"
        " and not (finite_differences and conic)",
    ),
    "theory/frame.py": ENGINE,
    "theory/geometry.py": GEOMETRY,
    "theory/horizon.py": (*STEPS[1:], "horizon"),
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
    "theory/oscillator_steps.py": (*STEPS, "planted_in or constant_ or momentum or shown_of_gradient or shown_of_open"),
    "theory/positivity.py": (f"{THEORY}/test_positivity.py",),
    "theory/rational_map.py": (
        f"{THEORY}/test_rational_formulas.py",
        f"{THEORY}/test_engine.py",
        "-k",
        "rational_formulas or refuted and not another_rule",
    ),
    "theory/rational_series.py": (f"{THEORY}/test_rational_formulas.py",),
    "theory/reduction.py": REDUCTION,
    "theory/regression.py": (*STATEMENTS, *PLANTED, "-k", "statement_formulas or planted_angle"),
    "theory/routes.py": ROUTES,
    "theory/series.py": (f"{THEORY}/test_series.py",),
    "theory/several_edges.py": (f"{THEORY}/test_several_edges.py",),
    "theory/smoothness.py": (f"{THEORY}/test_smoothness.py",),
    "theory/generic.py": ENGINE,
    "theory/generic_steps.py": ENGINE,
    "theory/sphere.py": (*STATEMENTS, *REDUCTION),
    "theory/vectors.py": REDUCTION,
    "theory/zero.py": (f"{THEORY}/test_zero.py",),
    **{
        f"theory/rules/{name}.py": (f"{THEORY}/test_engine.py", "-k", f"literature and {name.replace('_', '-')}")
        for name in RULES
    },
    "numerics/ablation.py": (f"{NUMERICS}/test_ablation.py", "-k", "judgements or curve or quarter or change or begin"),
    "numerics/bn_regression.py": SMALL,
    "numerics/central_flow.py": CENTRAL,
    "numerics/central_run.py": CENTRAL,
    "numerics/central_step.py": CENTRAL,
    "numerics/chart_rank.py": (f"{THEORY[:-6]}testing/test_charts.py", "-k", "singular_point or open_end or regular"),
    "numerics/closed_forms.py": SMALL,
    "numerics/compare.py": (
        f"{NUMERICS}/test_compare_formulas.py",
        f"{NUMERICS}/test_compare.py",
        "-k",
        "formulas or ridge_tracks or small_oscillation and ridge or null_at_rest or csv",
    ),
    "numerics/convolution.py": (f"{NUMERICS}/test_convolution.py",),
    "numerics/curvature.py": EDGES,
    "numerics/curve.py": (f"{THEORY}/test_jet_formulas.py", *RESOLVED[:-1], "along_a_curve or between_its_records"),
    "numerics/delay.py": (*RECORDS, f"{NUMERICS}/test_whole_run.py", "-k", "by_hand or symmetry or comes_back"),
    "numerics/differences.py": ("tests/testing/test_derivatives.py",),
    "numerics/edge.py": (f"{NUMERICS}/test_edge.py", "-k", "not conic_solver"),
    "numerics/edge_flow.py": (f"{NUMERICS}/test_edge_flow_formulas.py", *EDGES),
    "numerics/edge_path.py": (f"{NUMERICS}/test_edge_flow_formulas.py",),
    "numerics/edge_step.py": (f"{NUMERICS}/test_edge_flow_formulas.py", *EDGES),
    "numerics/eigenpairs.py": (
        f"{NUMERICS}/test_eigenpairs.py",
        "-k",
        "reference and values0 and True or neighbour or has_not or bad or precision_is or products_are or blocks_of",
    ),
    "numerics/krylov_normals.py": (f"{NUMERICS}/test_eigenpairs.py", "-k", "projection or large or room"),
    "numerics/krylov_records.py": (f"{NUMERICS}/test_krylov_records.py", "-k", "not agree and not command"),
    "numerics/normals.py": EDGES,
    "numerics/whole_run.py": (f"{NUMERICS}/test_whole_run.py", "-k", "onset and 0.005 or lowers or beyond"),
    "numerics/descent.py": (
        *RUNS,
        f"{NUMERICS}/test_descent.py",
    ),
    "numerics/edge_jets.py": JETS,
    "numerics/edge_run.py": (*RUNS, f"{NUMERICS}/test_compare.py", "-k", "formulas or ridge_tracks"),
    "numerics/energy.py": SMALL,
    "numerics/energy_law.py": (*RECORDS, *ENERGY),
    "numerics/equilibrium.py": (
        f"{NUMERICS}/test_schedule.py",
        *ENERGY[:-1],
        f"{ORBITS} or clock_of_a_schedule and 0.7",
    ),
    "numerics/flow.py": CHARTS,
    "numerics/full_batch.py": (f"{NUMERICS}/test_training.py", "-k", "pieces and not paper"),
    "numerics/generalization.py": (f"{NUMERICS}/test_ablation.py", "-k", "rank or resampled"),
    "numerics/kinks.py": (
        "tests/testing/test_kinks.py",
        "-k",
        "beside or crosses or vanishes or two_pieces",
    ),
    "numerics/lanczos.py": (f"{NUMERICS}/test_lanczos.py",),
    "numerics/layers.py": (
        *NETWORKS,
        "two_layer_objectives or wrong_sizes or of_the_key or layer-squared or other_test",
    ),
    "numerics/line_derivatives.py": JETS,
    "numerics/manifold.py": MANIFOLD,
    "numerics/manifold_flow.py": FLOW,
    "numerics/many_digits.py": ("tests/testing/test_derivatives.py", "-k", "many_digits or of_a_formula"),
    "numerics/network_task.py": (
        *NETWORKS,
        "standardized or layer-squared or two_classes or does_not_fit or two_layer_objectives",
    ),
    "numerics/normalization.py": (*NETWORKS, "two_layer_objectives or wrong_sizes or standardized or other_test"),
    "numerics/number_range.py": ("tests/testing/test_scaling.py", "-k", "range or length or 44"),
    "numerics/objective.py": (
        f"{NUMERICS}/test_objective.py",
        "-k",
        "ridge or special or bad_objectives or squares or beside",
    ),
    "numerics/orbit.py": (f"{NUMERICS}/test_rule_check_formulas.py", *ENERGY[:-1], f"{ORBITS} or check_formulas"),
    "numerics/onset.py": (
        f"{NUMERICS}/test_whole_run.py",
        f"{NUMERICS}/test_compare.py",
        "-k",
        "onset and not 0.005 and not 0.001-0.001",
    ),
    "numerics/order.py": (f"{NUMERICS}/test_order.py", *NUMBERS, "-k", "test_order or fitted_order"),
    "numerics/oscillation.py": RECORDS,
    "numerics/passage.py": (f"{NUMERICS}/test_energy_law.py", "-k", "passes_the_edge"),
    "numerics/probes.py": PROBES,
    "numerics/regression_checks.py": SMALL,
    "numerics/relax.py": (*RECORDS, *RELAX),
    "numerics/resolved.py": RESOLVED,
    "numerics/rule_check.py": (
        f"{NUMERICS}/test_rule_check_formulas.py",
        *ENERGY[1:-1],
        "check_formulas or iterates and gd-wd",
    ),
    "numerics/rule_forms.py": (
        *RUNS,
        f"{NUMERICS}/test_descent.py",
    ),
    "numerics/spectrum.py": (*RECORDS, *MANIFOLD),
    "numerics/stretches.py": CENTRAL[:1],
    "numerics/training.py": TRAINING,
    "numerics/training_prediction.py": (f"{NUMERICS}/test_prediction_formulas.py", *SMALL),
}
# The modules that are left out, by the reason.
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "losses, data and networks: what is on trial, of which a changed one is another": (
        *(f"theory/families/{name}" for name in FAMILIES),
        *(f"numerics/networks/{name}" for name in NETS),
        *(f"numerics/experiments/{name}" for name in EXPERIMENTS),
        *(f"numerics/{name}.py" for name in ("cifar10", "crossing", "data", "examples", "generic", "mnist1d")),
    ),
    "puts together what others derive, and words and shows it": (
        *(f"theory/{name}.py" for name in ("derivation", "derivation_json", "derivation_remarks", "fingerprint")),
        *(f"theory/{name}.py" for name in ("notation", "proof", "rendering")),
        *(f"numerics/{name}.py" for name in ("brief", "comparison", "experiment", "flow_run", "results", "trajectory")),
    ),
    "what users write down, and is checked on the way in": tuple(
        f"theory/{name}.py" for name in ("errors", "family", "loss", "rule")
    ),
    "packages, caches, clocks, files and processes": (
        *(f"{name}/__init__.py" for name in ("numerics", "theory", "theory/rules")),
        *(f"theory/{name}.py" for name in ("identity", "lazy", "limits")),
        *(f"numerics/{name}.py" for name in ("compiled", "config", "durable", "network", "plain_pickle")),
        *(f"numerics/{name}.py" for name in ("sweep", "sweep_hosts", "sweep_plan", "sweep_store")),
        "numerics/training_store.py",
    ),
    "the referee's own measurements, held by its table of wrong losses and rules, which takes minutes": tuple(
        f"numerics/{name}.py"
        for name in (
            "chart_checks",
            "inspection",
            "lowest",
            "minima_sample",
            "effects",
            "memory",
            "purity",
            "rule_inspection",
            "spectrum_search",
            "user_frames",
        )
    ),
    "runs of the modules above side by side or at length, held to those in minutes": tuple(
        f"numerics/{name}.py" for name in ("crossing_checks", "sweep_block", "training_run")
    ),
}

"""The modules that carry formulas, with the fast tests of each, as pytest takes them; the rest, and why."""

from __future__ import annotations

from pathlib import Path

THEORY, NUMERICS = "tests/theory", "tests/numerics"
NOISE = ("batches", "central_path", "equilibria", "identities", "moments", "second_route")
# The fast tests of a module, as pytest takes them: 12 s or so of the processor, once all is compiled.
FORMULAS = (f"{THEORY}/test_formulas.py",)
NUMBERS = (f"{NUMERICS}/test_formulas.py",)
RUNS = (f"{NUMERICS}/descent/test_run_formulas.py",)
RECORDS = (f"{NUMERICS}/descent/test_record_formulas.py",)
CHARTS = (
    f"{NUMERICS}/flows/test_flow_formulas.py",
    f"{NUMERICS}/flows/test_flow.py",
    "-k",
    "formulas or touches or leaves_its_chart",
)
LAWS = "law_formulas and not forgets or horizon or literature and not rmsprop and not coupled and not l2"
LAWS += " or refuted and not another_rule or refuses or shown_and and gd-wd"
ENGINE = (f"{THEORY}/edge/test_law_formulas.py", *FORMULAS, f"{THEORY}/edge/test_engine.py", "-k", LAWS)
# The expansion itself, also of a rule with a multiplier 0.
CENTER = (*ENGINE[:-1], LAWS.replace(" and not forgets", ""))
# What is proved, at numbers; the routes on the conic.
STATEMENTS = (f"{THEORY}/sphere/test_statement_formulas.py",)
ROUTES = (f"{THEORY}/chart/test_route_formulas.py",)
REDUCTION = (f"{THEORY}/sphere/test_vectors_and_reduction.py", f"{THEORY}/sphere/test_norm_powers.py")
PLANTED = (f"{THEORY}/chart/test_planted.py",)
AVERAGES = "test_expansion and not two-layer or lost_half or doubled_drift or clock_of or planted_energy"
AVERAGES += " or planted_mean_square or planted_period or forgotten_factor_in_the_schedule"
EXPANSION = (f"{THEORY}/chart/test_expansion.py", f"{THEORY}/chart/test_planted.py", "-k", AVERAGES)
ORBITS = "record_formulas or extrapolation or quadrature or small_orbit or records_of or start_of_a_run or read_off"
ORBITS += " or horizon_of or law_on_iterates and gd-wd or planted_coefficient"
ENERGY = (*NUMBERS, f"{NUMERICS}/measurements/test_energy_law.py", "-k", ORBITS)
FLOW = (
    f"{NUMERICS}/flows/test_manifold_flow_formulas.py",
    f"{NUMERICS}/flows/test_flow.py",
    "-k",
    "formulas or ridge-gd-wd",
)
POINTS = "record_formulas or eigenvalues_from or residuals or blocks or chords or few_times"
POINTS += " or (hessian or differences or lands) and ridge"
MANIFOLD = (*NUMBERS, f"{NUMERICS}/minima/test_manifold.py", "-k", POINTS)
RELAX = (*MANIFOLD[:-1], "record_formulas or relaxation or no_minima or residuals")
GEOMETRY = (
    *FORMULAS,
    f"{THEORY}/edge/test_law_formulas.py",
    *STATEMENTS,
    f"{THEORY}/chart/test_geometry.py",
    "-k",
    "elementary or quadratic or eigenvector or root or test_geometry and not crossing or closed_forms or double_angles"
    " or of_entries or angle_of_a_regression or has_no_angle",
)
ASSUMED = "test_geometry and not chart_does_not or planted_metric or lost_half or sign_of_the_gradient_in_the_program"
STEPS = (f"{THEORY}/derivation/test_generic_steps.py", f"{THEORY}/edge/test_law_formulas.py", "-k")
PROBES = (f"{NUMERICS}/measurements/test_probe_formulas.py",)
CENTRAL = (f"{NUMERICS}/flows/test_central_formulas.py", f"{NUMERICS}/flows/test_central_flow.py", "-k")
CENTRAL += ("central_formulas or before_the_edge or bad_input or too_many_weights",)
SMALL = (f"{NUMERICS}/measurements/test_small_formulas.py",)
RESOLVED = (f"{NUMERICS}/predictions/test_resolved.py", "-k", "between_its_records or every_single or bad_input")
NETWORKS = (f"{NUMERICS}/networks/test_networks.py", "-k")
TRAINING = (*SMALL, f"{NUMERICS}/training/test_training.py", "-k", "recipe or plain_loop or after_some_steps")
JETS = (f"{THEORY}/chart/test_jet_formulas.py", f"{THEORY}/chart/test_edge_jets.py", "-k", "formulas or conic")
EDGES = (f"{NUMERICS}/flows/test_edge_flow.py", "-k", "formulas or chart and surface or second_order or waits")
OBJECTIVE = (
    f"{NUMERICS}/test_objective.py",
    "-k",
    "ridge or special or bad_objectives or squares or beside",
)
COMPARED = (
    f"{NUMERICS}/comparison/test_compare_formulas.py",
    f"{NUMERICS}/comparison/test_compare.py",
    "-k",
    "formulas or ridge_tracks or small_oscillation and ridge or null_at_rest or csv",
)
CHART_POINTS = (
    "tests/testing/test_charts.py",
    "-k",
    "singular_point or open_end or regular",
)
ROOT = Path(__file__).parents[2]
RULES = sorted(place.stem for place in (ROOT / "theory" / "rules").glob("[!_]*.py"))
PACKAGES = sorted(
    str(place.relative_to(ROOT)) for wing in ("theory", "numerics") for place in (ROOT / wing).rglob("__init__.py")
)
FAMILIES, NETS, EXPERIMENTS = (
    sorted(place.name for place in (ROOT / folder).glob("[!_]*.py"))
    for folder in ("theory/families", "numerics/networks", "numerics/experiments")
)
TESTS: dict[str, tuple[str, ...]] = {
    "theory/chart/assumptions.py": (f"{THEORY}/chart/test_geometry.py", *PLANTED, "-k", ASSUMED),
    "theory/edge/averaging.py": EXPANSION,
    "theory/edge/one_step.py": CENTER,
    "theory/proving/checker.py": (f"{THEORY}/proving/test_checker.py", "-k", "not ridge"),
    "theory/chart/edge_jets.py": JETS,
    "theory/edge/edge_law.py": CENTER,
    "theory/edge/energy_law.py": (*ENGINE[:-1], f"{LAWS} or monomial"),
    "theory/sphere/entering.py": (
        *FORMULAS,
        *PLANTED,
        "-k",
        "test_formulas or forgotten or weight_decay or clock_of_the_flow",
    ),
    "theory/chart/expansion.py": (f"{THEORY}/chart/test_expansion.py", *ROUTES, "-k", "not two-layer"),
    "theory/edge/first_crossing.py": (*STEPS, "leaves_before and not rmsprop"),
    "theory/chart/flow.py": (
        *STATEMENTS,
        f"{THEORY}/edge/test_law_formulas.py",
        f"{THEORY}/chart/test_flow.py",
        "-k",
        "closed_forms or double_angles or angle_of_a_regression_by_numbers or decays or test_flow and not two-layer"
        " and not (finite_differences and conic)",
    ),
    "theory/edge/frame.py": ENGINE,
    "theory/chart/geometry.py": GEOMETRY,
    "theory/derivation/horizon.py": (*STEPS[1:], "horizon"),
    "theory/sphere/homogeneous.py": (
        *STATEMENTS,
        f"{THEORY}/sphere/test_invariance.py",
    ),
    "theory/sphere/invariance.py": (
        *STATEMENTS,
        f"{THEORY}/sphere/test_invariance.py",
    ),
    "theory/edge/jets.py": ENGINE,
    "theory/edge/nonsmooth.py": ENGINE,
    "theory/derivation/oscillator_steps.py": (
        *STEPS,
        "planted_in or constant_ or momentum or shown_of_gradient or shown_of_open",
    ),
    "theory/proving/positivity.py": (f"{THEORY}/proving/test_positivity.py",),
    "theory/derivation/rational_map.py": (
        f"{THEORY}/derivation/test_rational_formulas.py",
        f"{THEORY}/edge/test_engine.py",
        "-k",
        "rational_formulas or refuted and not another_rule",
    ),
    "theory/derivation/rational_series.py": (f"{THEORY}/derivation/test_rational_formulas.py",),
    "theory/sphere/reduction.py": REDUCTION,
    "theory/chart/regression.py": (*STATEMENTS, *PLANTED, "-k", "statement_formulas or planted_angle"),
    "theory/chart/routes.py": ROUTES,
    "theory/edge/series.py": (f"{THEORY}/edge/test_series.py",),
    "theory/edge/several_edges.py": (f"{THEORY}/edge/test_several_edges.py",),
    "theory/chart/smoothness.py": (f"{THEORY}/chart/test_smoothness.py",),
    "theory/derivation/generic.py": ENGINE,
    "theory/derivation/generic_steps.py": ENGINE,
    "theory/sphere/statements.py": (*STATEMENTS, *REDUCTION),
    "theory/sphere/vectors.py": REDUCTION,
    "theory/proving/zero.py": (f"{THEORY}/proving/test_zero.py",),
    **{
        f"theory/rules/{name}.py": (f"{THEORY}/edge/test_engine.py", "-k", f"literature and {name.replace('_', '-')}")
        for name in RULES
    },
    "benchmarks/variants.py": (
        "tests/benchmarks/test_ablation.py",
        "-k",
        "judgements or curve or quarter or change or begin",
    ),
    "numerics/measurements/bn_regression.py": SMALL,
    "numerics/flows/central_flow.py": CENTRAL,
    "numerics/comparison/central.py": CENTRAL,
    "numerics/comparison/diagnosis.py": ("tests/test_field_minima.py",),
    "numerics/comparison/setting.py": (f"{NUMERICS}/comparison/test_compare_formulas.py",),
    "numerics/flows/central_step.py": CENTRAL,
    "numerics/inspection/chart_rank.py": CHART_POINTS,
    "numerics/measurements/closed_forms.py": SMALL,
    "numerics/comparison/compare.py": COMPARED,
    "numerics/models/convolution.py": (f"{NUMERICS}/models/test_convolution.py",),
    "numerics/spectrum/curvature.py": EDGES,
    "numerics/predictions/curve.py": (
        f"{THEORY}/chart/test_jet_formulas.py",
        *RESOLVED[:-1],
        "along_a_curve or between_its_records",
    ),
    "numerics/predictions/delay.py": (
        *RECORDS,
        f"{NUMERICS}/predictions/test_whole_run.py",
        "-k",
        "by_hand or symmetry or comes_back",
    ),
    "numerics/inspection/differences.py": ("tests/testing/test_derivatives.py",),
    "numerics/flows/complementarity.py": (f"{NUMERICS}/flows/test_complementarity.py", "-k", "not conic_solver"),
    "numerics/flows/edge_flow.py": (f"{NUMERICS}/flows/test_edge_flow_formulas.py", *EDGES),
    "numerics/flows/path.py": (f"{NUMERICS}/flows/test_edge_flow_formulas.py",),
    "numerics/flows/edge_step.py": (f"{NUMERICS}/flows/test_edge_flow_formulas.py", *EDGES),
    "numerics/spectrum/eigenpairs.py": (
        f"{NUMERICS}/spectrum/test_eigenpairs.py",
        "-k",
        "reference and values0 and True or neighbour or has_not or bad or precision_is or products_are or blocks_of",
    ),
    "numerics/minima/krylov_normals.py": (
        f"{NUMERICS}/spectrum/test_eigenpairs.py",
        "-k",
        "projection or large or room",
    ),
    "numerics/minima/records.py": (f"{NUMERICS}/minima/test_krylov_records.py", "-k", "not agree and not command"),
    "numerics/minima/normals.py": EDGES,
    "numerics/predictions/whole_run.py": (
        f"{NUMERICS}/predictions/test_whole_run.py",
        "-k",
        "onset and 0.005 or lowers or beyond",
    ),
    "numerics/descent/descent.py": (
        *RUNS,
        f"{NUMERICS}/descent/test_descent.py",
    ),
    "numerics/minima/jets.py": JETS,
    "numerics/descent/edge_run.py": (*RUNS, f"{NUMERICS}/comparison/test_compare.py", "-k", "formulas or ridge_tracks"),
    "numerics/measurements/energy.py": (*SMALL, *RECORDS, *ENERGY),
    "numerics/descent/law.py": (
        f"{NUMERICS}/comparison/test_schedule.py",
        *ENERGY[:-1],
        f"{ORBITS} or clock_of_a_schedule and 0.7",
    ),
    "numerics/flows/chart_flow.py": CHARTS,
    "numerics/training/full_batch.py": (f"{NUMERICS}/training/test_training.py", "-k", "pieces and not paper"),
    "benchmarks/rank_correlation.py": ("tests/benchmarks/test_ablation.py", "-k", "rank or resampled"),
    "numerics/inspection/kinks.py": (
        "tests/testing/test_kinks.py",
        "-k",
        "beside or crosses or vanishes or two_pieces",
    ),
    "numerics/spectrum/lanczos.py": (f"{NUMERICS}/spectrum/test_lanczos.py",),
    "numerics/models/layers.py": (
        *NETWORKS,
        "two_layer_objectives or wrong_sizes or of_the_key or layer-squared or other_test",
    ),
    "numerics/spectrum/line_derivatives.py": JETS,
    "numerics/minima/retraction.py": MANIFOLD,
    "numerics/flows/manifold_flow.py": FLOW,
    **dict.fromkeys((f"theory/kernel/{name}.py" for name in ("field", "signs")), (f"{THEORY}/kernel",)),
    **dict.fromkeys((f"theory/noise/{name}.py" for name in NOISE), (f"{THEORY}/noise",)),
    **dict.fromkeys(
        (
            *("numerics/flows/noise_flow.py", "numerics/flows/noise_step.py", "numerics/descent/noise.py"),
            "numerics/comparison/noisy.py",
        ),
        (f"{NUMERICS}/flows/test_noise_flow.py",),
    ),
    "numerics/noise/batch_edges.py": (f"{NUMERICS}/noise/test_batch_edges.py",),
    "numerics/noise/equilibria.py": (f"{NUMERICS}/noise/test_equilibria.py",),
    "numerics/noise/phase.py": (f"{NUMERICS}/noise/test_phase.py",),
    "numerics/noise/central.py": (f"{NUMERICS}/noise/test_central.py", "-k", "gd-wd or variance"),
    "numerics/inspection/many_digits.py": ("tests/testing/test_derivatives.py", "-k", "many_digits or of_a_formula"),
    "numerics/models/task.py": (
        *NETWORKS,
        "standardized or layer-squared or two_classes or does_not_fit or two_layer_objectives",
    ),
    "numerics/models/normalization.py": (
        *NETWORKS,
        "two_layer_objectives or wrong_sizes or standardized or other_test",
    ),
    "numerics/ledger.py": (f"{NUMERICS}/test_ledger.py", "-k", "not killed_while"),
    "numerics/numbers.py": (f"{NUMERICS}/test_numbers.py", "-k", "not negative_seed"),
    "numerics/inspection/number_range.py": ("tests/testing/test_scaling.py", "-k", "range or length or 44"),
    "numerics/weights/scalings.py": (f"{NUMERICS}/weights/test_groups.py",),
    "numerics/weights/grouping.py": (f"{NUMERICS}/weights/test_groups.py",),
    "theory/edge/all_weights.py": (f"{THEORY}/edge/test_all_weights.py",),
    **{
        f"numerics/adapters/{name}.py": (f"{NUMERICS}/adapters/test_adapters.py",)
        for name in ("building", "flax", "equinox", "torch")
    },
    "numerics/training/monitor.py": (f"{NUMERICS}/training/test_monitor.py",),
    "numerics/weights/part.py": ("tests/testing/test_networks.py",),
    "numerics/weights/coordinates.py": (f"{NUMERICS}/flows/test_weights_flow.py",),
    "numerics/flows/weights_flow.py": (f"{NUMERICS}/flows/test_weights_flow.py",),
    "numerics/descent/weights_descent.py": (f"{NUMERICS}/flows/test_weights_flow.py",),
    "numerics/comparison/weights.py": (f"{NUMERICS}/flows/test_weights_flow.py",),
    "numerics/measurements/weights_checks.py": (f"{NUMERICS}/flows/test_weights_flow.py",),
    "numerics/leaves.py": (f"{NUMERICS}/test_leaves.py",),
    "numerics/objective.py": OBJECTIVE,
    "numerics/descent/orbit.py": (
        f"{NUMERICS}/measurements/test_rule_check_formulas.py",
        *ENERGY[:-1],
        f"{ORBITS} or check_formulas",
    ),
    "numerics/predictions/onset.py": (
        f"{NUMERICS}/predictions/test_whole_run.py",
        f"{NUMERICS}/comparison/test_compare.py",
        "-k",
        "onset and not 0.005 and not 0.001-0.001",
    ),
    "numerics/comparison/order.py": (
        f"{NUMERICS}/comparison/test_order.py",
        *NUMBERS,
        "-k",
        "test_order or fitted_order",
    ),
    "numerics/descent/oscillation.py": RECORDS,
    "numerics/measurements/passage.py": (f"{NUMERICS}/measurements/test_energy_law.py", "-k", "passes_the_edge"),
    "numerics/measurements/probes.py": PROBES,
    "numerics/measurements/regression_checks.py": SMALL,
    "numerics/minima/relax.py": (*RECORDS, *RELAX),
    "numerics/minima/rest.py": ("tests/test_field_flows.py", "-k", "valley"),
    "numerics/inspection/jumps.py": ("tests/test_field.py", "-k", "jumps"),
    "numerics/predictions/resolved.py": RESOLVED,
    "numerics/measurements/rule_check.py": (
        f"{NUMERICS}/measurements/test_rule_check_formulas.py",
        *ENERGY[1:-1],
        "check_formulas or iterates and gd-wd",
    ),
    "numerics/descent/forms.py": (
        *RUNS,
        f"{NUMERICS}/descent/test_descent.py",
    ),
    "numerics/spectrum/dense.py": (*RECORDS, *MANIFOLD),
    "numerics/flows/stretches.py": CENTRAL[:1],
    "numerics/training/trainer.py": TRAINING,
    "numerics/training/prediction.py": (f"{NUMERICS}/training/test_prediction_formulas.py", *SMALL),
    # Held by the tests of what they were parts of.
    "theory/chart/corollaries.py": ROUTES,
    "theory/chart/law.py": (f"{THEORY}/edge/test_law_formulas.py",),
    "theory/chart/oscillator.py": EXPANSION,
    "theory/proving/tower.py": (f"{THEORY}/proving/test_zero.py",),
    "numerics/formulas.py": OBJECTIVE,
    "numerics/residuals.py": OBJECTIVE,
    "numerics/comparison/measured.py": COMPARED,
    "numerics/minima/chart.py": CHART_POINTS,
    "numerics/minima/landing.py": (f"{NUMERICS}/flows/test_edge_flow_formulas.py", *EDGES),
    "numerics/predictions/horizon.py": ENERGY,
    "numerics/spectrum/symmetric.py": (f"{NUMERICS}/flows/test_complementarity.py", "-k", "not conic_solver"),
    "numerics/training/recipe.py": TRAINING,
    "numerics/training/variations.py": (f"{NUMERICS}/training/test_variations.py",),
    "numerics/training/statistics.py": (f"{NUMERICS}/training/test_training_run.py", "-k", "a_mean_says"),
    **dict.fromkeys(
        (
            "theory/proving/sign.py",
            *(f"theory/statements/{name}.py" for name in ("asymptotics", "check", "consequence", "slips", "witness")),
        ),
        ("tests/statements/test_prove.py", "-k", "pure or wrong"),
    ),
    **dict.fromkeys(
        ("theory/proving/calculus.py", "theory/statements/inequalities.py"), ("tests/statements/test_inequalities.py",)
    ),
    **dict.fromkeys(
        (f"theory/statements/{name}.py" for name in ("names", "quantities")),
        ("tests/statements/test_prove.py", "-k", "right or wrong"),
    ),
}
# The modules that are left out, by the reason.
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "losses, data and networks: what is on trial, of which a changed one is another": (
        *(f"theory/families/{name}" for name in FAMILIES),
        *(f"numerics/networks/{name}" for name in NETS),
        "numerics/models/affine.py",
        *(f"numerics/experiments/{name}" for name in EXPERIMENTS),
        *(f"numerics/data/{name}.py" for name in ("cifar10", "examples", "mnist1d", "regression")),
        *(f"numerics/measurements/{name}.py" for name in ("crossing", "generic")),
    ),
    "puts together what others derive, and words and shows it": (
        *(f"theory/derivation/{name}.py" for name in ("derivation", "plan", "remarks")),
        *(f"theory/{name}.py" for name in ("fingerprint", "proving/proof")),
        *(
            f"theory/writing/{name}.py"
            for name in ("document", "latex", "markdown", "nodes", "notation", "sentences", "text")
        ),
        *(
            f"theory/kernel/{name}.py"
            for name in (
                *("calculus", "coqc", "derivations", "export", "file", "lemma", "oscillator", "script", "terms"),
                "two_steps",
            )
        ),
        *(f"numerics/{name}.py" for name in ("brief", "comparison/result", "results", "trajectory")),
        "numerics/training/experiment.py",
    ),
    "what users write down, and is checked on the way in": tuple(
        f"theory/{name}.py" for name in ("errors", "family", "loss", "rule", "statements/nodes", "statements/statement")
    ),
    "packages, caches, clocks, files and processes": (
        *PACKAGES,
        *(
            f"theory/{name}.py"
            for name in ("cache", "identity", "keeping", "lazy", "limits", "registry", "statements/kept", "user_frames")
        ),
        *(f"numerics/{name}.py" for name in ("compiled", "config", "durable", "models/network")),
        *(f"numerics/sweeps/{name}.py" for name in ("hosts", "plan", "store", "sweep")),
        "numerics/training/store.py",
    ),
    "the referee's own measurements, held by its table of wrong losses and rules, which takes minutes": (
        *(f"numerics/inspection/{name}.py" for name in ("loss", "lowest", "purity", "rule")),
        "numerics/inspection/spectrum_search.py",
        "numerics/measurements/chart_checks.py",
        "numerics/minima/sample.py",
    ),
    "runs of the modules above side by side or at length, held to those in minutes": tuple(
        f"numerics/{name}.py" for name in ("measurements/crossing_checks", "sweeps/block", "training/run")
    ),
}

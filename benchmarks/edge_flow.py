"""The flow with several eigenvalues at the edge against gradient descent, each number a ratio measured in one run.

    python -m benchmarks.edge_flow                      # all of it, some ten minutes on two cores
    python -m benchmarks.edge_flow --part accuracy      # or speed, edge, scale, spectrum, central, resolved
    uv run --with matfree python -m benchmarks.edge_flow --part spectrum  # with matfree's Lanczos in the table
    python -m benchmarks.edge_flow --write docs/edges.md  # put the tables between the marks of the page
    python -m benchmarks.edge_flow --picture docs/edges.png  # its picture alone

Accuracy: the largest distance over flow time 3, in units of intrinsic_lr, with its fitted order. Speed: seconds of
gradient descent over seconds of the flow, both compiled. Scale: a step of the flow in gradients. Spectrum: the top four
eigenpairs to a residual of 1e-6, against ARPACK and LOBPCG on the same Hessian products. Edge: the complementarity
problem alone, from the solution of the one before.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from benchmarks.averages import central, resolved

TIME = 3.0
RATES = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6)


def seconds(call, repeat=3):
    """The least of some runs; the first, which may compile, is not counted."""
    call()
    taken = []
    for _ in range(repeat):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def subjects():
    from sharpflow.numerics.measurements.crossing import broken
    from sharpflow.numerics.networks import two_layer

    return {"crossing, broken": broken, "two-layer, batch norm": two_layer.batch,
            "two-layer, layer norm": two_layer.layer, "two-layer, weight norm": two_layer.weight,
            "two-layer, batch norm, seed 4": two_layer.two_layer("batch", seed=4)}  # fmt: skip


def accuracy():
    """Distance to gradient descent by rate, its order, sharpness on the way and number of eigenvalues at the edge."""
    from sharpflow.numerics.comparison.compare import compare
    from sharpflow.numerics.comparison.order import fit_power

    yield "| loss | D | " + " | ".join(f"distance at {rate:g}" for rate in RATES) + " | order | sharpness | edges |"
    yield "| --- " * (len(RATES) + 5) + "|"
    for name, objective in subjects().items():
        runs = [compare(objective, rate=rate, time=TIME) for rate in RATES]
        fit = fit_power([run.intrinsic_lr for run in runs], [run.max_distance for run in runs])
        middle = runs[RATES.index(1e-5)]
        # Periods are averaged over at the end of a run: so six runs, each longer than the one before.
        parts = [compare(objective, rate=1e-5, time=TIME * part / 6) for part in range(1, 6)]
        off = max(abs(run.gd.sharpness / run.flow.sharpness - 1) for run in (*parts, middle))
        late = middle.times > 0.9 * TIME
        near = np.mean((middle.effective_lr[:, None] * middle.edges.spectrum)[late], axis=0) > 1.9
        cells = [f"{run.max_distance / run.intrinsic_lr:.2f}" for run in runs]
        low, high = fit.low, fit.high
        yield (
            f"| {name} | {objective.dimension} | {' | '.join(cells)} | {fit.slope:.2f} [{low:.2f}, {high:.2f}] | "
            f"{off:.2%} | {int(near.sum())}, flow {middle.flow.edge_count} |"
        )


def speed():
    """Seconds of gradient descent over the same flow time, for two rates, over those of the flow."""
    from sharpflow.numerics.descent.descent import parameters_of, prepare
    from sharpflow.numerics.flows.edge_flow import compiled_edge_flow, edge_flow
    from sharpflow.numerics.minima.relax import relax
    from sharpflow.numerics.networks import two_layer
    from sharpflow.theory import rules

    # What is compiled here comes from no cache on disk. JAX asks once in a process, at the first program.
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    objective = two_layer.batch
    zeta, rank = relax(objective).point, relax(objective).rank
    compiled_edge_flow.cache_clear()
    begun = time.perf_counter()
    first = edge_flow(objective, zeta, time=TIME, rank=rank)
    whole = time.perf_counter() - begun
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()
    descent = prepare(objective, rules.get("gd-wd"), records=100)
    start = zeta + 1e-3 * np.cos(np.arange(len(zeta))) / len(zeta) ** 0.5

    def gradient_descent(rate):
        position, state = descent.begin(start, float(first.effective_lr[0]), parameters_of(descent.rule, rate, None))
        every = math.ceil(TIME / rate / 100)
        run = descent.run(position, state, parameters_of(descent.rule, rate, None), every)
        jax.block_until_ready(run.position)
        return run.points[-1]

    yield f"Compiling the flow took {first.compile_seconds:.1f} s with an empty cache, the first call {whole:.1f} s.\n"
    columns = (
        "rate", "tolerance", "steps, rejected", "gradient descent, us a step", "flow, gradient descent steps a step",
        "distance at the end", "ratio", "wanted", "with compilation",
    )  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield "| --- " * 9 + "|"
    for rate, wanted in ((1e-5, "20, better 50"), (1e-6, "200, better 500")):
        end = gradient_descent(rate)
        taken = seconds(lambda rate=rate: gradient_descent(rate), 1)
        one = taken * rate / TIME
        for tolerance in (1e-4, 1e-3):
            call = lambda t=tolerance: edge_flow(objective, zeta, time=TIME, rank=rank, tolerance=t)  # noqa: E731
            path, flow = call(), seconds(call, 10)
            steps = len(path.times) - 1
            away = np.linalg.norm(path.points[-1] - end) / (2 * rate) ** 0.5
            yield (
                f"| {rate:g} | {tolerance:g} | {steps}, {path.rejected} | {one * 1e6:.2f} | "
                f"{flow / (steps + path.rejected) / one:.0f} | {away:.2f} intrinsic_lr | {taken / flow:.0f} | "
                f"{wanted} | {taken / whole:.2f} |"
            )


def edge():
    """Microseconds for one complementarity problem in a chain of problems that change by a hundredth each."""
    from sharpflow.numerics.flows.complementarity import solve_edge

    yield "| eigenvalues | from the one before, us | Newton steps | from nothing, us | Newton steps | largest error |"
    yield "| --- " * 6 + "|"
    count = 500
    for k in (1, 2, 4, 8, 16):
        m, random = k * (k + 1) // 2, np.random.default_rng(k)
        rows = jnp.asarray(random.standard_normal((m, 100)) / 10)
        turns = jnp.asarray(random.standard_normal((count, m, 100)) / 1000)
        trace = jnp.asarray(np.where(np.equal(*np.triu_indices(k)), 1.0, 0.0))

        def chain(rows, turns, warm, k=k, trace=trace):
            def one(carry, turn):
                rows, seed = carry
                rows = rows + turn
                found = solve_edge(rows @ rows.T + 4 * jnp.outer(trace, trace), 2 * jnp.eye(k), seed)
                return (rows, warm * found.seed), (found.residual, found.steps)

            return jax.lax.scan(one, (rows, jnp.zeros((k, k))), turns)[1]

        run, cells = jax.jit(chain), []
        for warm in (1.0, 0.0):
            residual, steps = run(rows, turns, warm)
            taken = seconds(lambda run=run, rows=rows, turns=turns, w=warm: jax.block_until_ready(run(rows, turns, w)))
            cells += [f"{taken / count * 1e6:.1f}", f"{float(jnp.mean(steps)):.1f}"]
        yield f"| {k} | {' | '.join(cells)} | {float(jnp.max(residual)):.0e} |"


def large(dimension, residuals=True):
    """A two-layer network of about this many weights on 64 examples; its start is taken some way down."""
    from sharpflow.numerics.networks.two_layer import two_layer
    from sharpflow.numerics.objective import Objective

    width = max(2, round(dimension**0.5) - 1)
    examples = min(64, dimension // 4)
    objective = two_layer("batch", examples=examples, inputs=max(1, round(dimension / width) - 1), hidden=width)
    return objective if residuals else Objective(objective.function, objective.start, None, objective.name)


def scale():
    """A step of the flow, k = 4, in gradients, its memory in vectors of length D, and the compiling of its programs."""
    from sharpflow.numerics.flows.edge_step import Stepper
    from sharpflow.numerics.flows.stretches import trace
    from sharpflow.numerics.minima.krylov_normals import KrylovNormals
    from sharpflow.numerics.minima.normals import FrameNormals
    from sharpflow.numerics.minima.relax import relax

    yield (
        "| D | normal directions by | a step, gradients | memory, vectors of length D | compiling the begin, s "
        "| a stretch, s |"
    )
    yield "| --- " * 6 + "|"
    # What is compiled here comes from no cache on disk.
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    for dimension in (100, 1000, 10_000, 100_000):
        theta = jnp.asarray(relax(large(dimension)).point)
        for kind in ("Gram matrix", "Hessian products"):
            objective = large(dimension, kind.startswith("Gram"))
            d = objective.dimension
            rank = relax(objective, theta).rank if kind.startswith("Gram") else None
            normals = FrameNormals(objective, rank, 4) if kind.startswith("Gram") else KrylovNormals(objective, 4)
            stepper = Stepper(normals)
            start = (theta, jnp.zeros(()), jnp.zeros(()), jnp.asarray(1e-3))
            begun = time.perf_counter()
            begin = jax.jit(stepper.begin).lower(*start).compile()
            compiling = [time.perf_counter() - begun]
            s = begin(*start)
            s = s._replace(log_lr=jnp.log(2 / s.here.values[0]))
            # Two steps of 1e-3, whatever their error.
            wanted = (s, jnp.asarray(2e-3), jnp.asarray(1e9))
            begun = time.perf_counter()
            run = jax.jit(trace(stepper, 2)).lower(*wanted).compile()
            compiling.append(time.perf_counter() - begun)
            assert int(run(*wanted)[1]) == 2, "not two steps"
            taken = seconds(lambda run=run, wanted=wanted: jax.block_until_ready(run(*wanted)))
            gradient = jax.jit(jax.grad(objective.function))
            one = seconds(lambda g=gradient, t=theta: [g(t).block_until_ready() for _ in range(20)]) / 20
            memory = run.memory_analysis().temp_size_in_bytes / 8 / d
            seen = " | ".join(f"{t:.1f}" for t in compiling)
            yield f"| {d} | {kind} | {taken / 2 / one:.0f} | {memory:.0f} | {seen} |"
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


def downhill(objective, steps=3000):
    """A point near a minimum, by gradient descent with steps that only ever go down."""
    value_and_gradient = jax.value_and_grad(objective.function)

    def advance(_, carry):
        theta, lr = carry
        value, gradient = value_and_gradient(theta)
        new = theta - lr * gradient
        new = new / jnp.linalg.norm(new)
        better = objective.function(new) < value
        return jnp.where(better, new, theta), jnp.where(better, 1.1 * lr, lr / 2)

    start = jnp.asarray(objective.start / np.linalg.norm(objective.start))
    return jax.jit(lambda s: jax.lax.fori_loop(0, steps, advance, (s, jnp.asarray(0.1)))[0])(start)


def spectrum():
    """The top four eigenpairs at D = 1e5 to a residual of 1e-6 of lambda_1, against ARPACK and LOBPCG."""
    from jax.experimental.sparse.linalg import lobpcg_standard
    from scipy.sparse.linalg import LinearOperator, eigsh

    from sharpflow.numerics.spectrum.dense import frame
    from sharpflow.numerics.spectrum.eigenpairs import hessian_product, top_eigenpairs

    yield "| Hessian products | ours, s | eigsh / ours | lobpcg / ours | products: ours, eigsh | largest residual |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind in ("of the function", "of the residuals"):
        objective = large(100_000, kind.endswith("residuals"))
        theta = np.asarray(downhill(objective, 300))
        d = len(theta)
        product = jax.jit(lambda z, v, o=objective: hessian_product(o, z)(v))
        many = jax.jit(lambda z, x, o=objective: jax.vmap(hessian_product(o, z), 1, 1)(x))
        count = [0]

        def multiply(v, product=product, theta=theta, count=count):
            count[0] += 1
            return np.asarray(product(theta, v.ravel()))

        random = np.random.default_rng(1).standard_normal((d, 4))
        operator = LinearOperator((d, d), matvec=multiply, dtype=float)
        arpack = seconds(lambda o=operator, r=random: eigsh(o, k=4, which="LA", tol=1e-6, v0=r[:, 0]))
        ours = seconds(lambda o=objective, t=theta: top_eigenpairs(o, t, tolerance=1e-6))
        found = top_eigenpairs(objective, theta, tolerance=1e-6)
        assert found.converged
        lobpcg, rounds = math.nan, 0
        for rounds in (5, 10, 20, 40, 80):
            run = jax.jit(
                lambda z, x, o=objective, m=rounds: lobpcg_standard(
                    lambda y: jax.vmap(hessian_product(o, z), 1, 1)(y), x, m=m, tol=1e-30
                )
            )
            values, vectors, _ = run(theta, random)
            off = np.linalg.norm(np.asarray(many(theta, vectors)) - np.asarray(vectors * values), axis=0)
            if off.max() <= 1e-6 * float(values[0]):
                lobpcg = seconds(lambda r=run, t=theta, x=random: jax.block_until_ready(r(t, x)))
                break
        shown = f"{lobpcg / ours:.1f}" if lobpcg == lobpcg else f"not in {rounds} rounds"
        yield (
            f"| {kind} | {ours:.3f} | {arpack / ours:.1f} | {shown} | {int(found.products)}, {count[0] // 4} | "
            f"{found.residuals.max() / found.values[0]:.1e} |"
        )
        for block in (1, 2):
            taken = seconds(lambda o=objective, t=theta, b=block: top_eigenpairs(o, t, tolerance=1e-6, block=b))
            found = top_eigenpairs(objective, theta, tolerance=1e-6, block=block)
            yield (
                f"| the same, block={block} | {taken:.3f} | {arpack / taken:.1f} | {lobpcg / taken:.1f} | "
                f"{int(found.products)} | {found.residuals.max() / found.values[0]:.1e} |"
            )
        if (fixed := _matfree(product, theta, random[:, 0])) is not None:
            taken, steps, off = fixed
            yield (
                f"| the same, matfree, {steps} products asked for | {taken:.3f} | {arpack / taken:.1f} | "
                f"{lobpcg / taken:.1f} | {steps} | {off:.1e} |"
            )
        if kind.endswith("residuals"):
            gram = jax.jit(lambda z, o=objective: frame(o, z, 4))
            taken = seconds(lambda g=gram, t=theta: jax.block_until_ready(g(t)))
            yield f"| Gram matrix of 64 residuals | {taken:.3f} | {arpack / taken:.1f} | {lobpcg / taken:.1f} | | |"


def _matfree(product, theta, vector):
    """Seconds, products and residual of matfree's Lanczos, where it is installed; the number of products is tried out.

    It takes as many as it is told, from one vector, keeps them all, and returns no residuals.
    """
    try:
        from matfree import decomp, eig
    except ImportError:
        return None
    for steps in range(20, 121, 5):
        found = jax.jit(lambda z, v, m=steps: eig.eigh_partial(decomp.tridiag_sym(m))(lambda u: product(z, u), v))
        values, vectors = found(theta, vector)
        top = np.argsort(np.asarray(values))[-4:]
        rows = np.asarray(vectors)[top]
        multiplied = np.array([np.asarray(product(theta, row)) for row in rows])
        off = np.linalg.norm(multiplied - np.asarray(values)[top, None] * rows, axis=1).max() / float(values.max())
        if off <= 1e-6:
            return seconds(lambda f=found: jax.block_until_ready(f(theta, vector))), steps, off
    return None


PARTS = {
    "accuracy": accuracy, "speed": speed, "edge": edge, "scale": scale, "spectrum": spectrum, "central": central,
    "resolved": resolved,
}  # fmt: skip


def picture(file):
    """Three eigenvalues at the edge, one after the other: `compare --plot` at rate 1e-5."""
    from sharpflow.figures.edges import edges
    from sharpflow.numerics.comparison.compare import compare

    edges(compare(subjects()["two-layer, batch norm, seed 4"], rate=1e-5, time=TIME)).savefig(file, dpi=150)


def main():
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--write", metavar="FILE", help="replace the tables of this page")
    parser.add_argument("--picture", metavar="FILE", help="draw the run with three eigenvalues at the edge, and end")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if arguments.picture:
        picture(arguments.picture)
        return
    for name in arguments.part or PARTS:
        lines = []
        for line in PARTS[name]():
            print(line, flush=True)
            lines.append(line)
        if arguments.write:
            page = Path(arguments.write)
            text, begin, end = page.read_text(encoding="utf-8"), f"<!-- {name} -->\n", f"<!-- end of {name} -->"
            before, rest = text.split(begin)
            page.write_text(before + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1], encoding="utf-8")


if __name__ == "__main__":
    main()

"""Mutation testing of the modules that carry formulas: ``python tests/mutation/run.py --output docs/mutation.md``.

A mutant is the source with one formula changed: + for -, * for /, a number made one larger, a minus sign dropped, < for
>. Constants in capitals (tolerances, sizes), texts, indices and annotations are left alone. A sample is drawn with a
seed; for each mutant the fast tests of its module run in a copy of the tree. A test that fails kills the mutant, and so
does a run that takes over `LIMIT` seconds of the processor, or `WALL` by the clock: those are listed. The tests of a
module run unchanged before its first mutant: they have to pass, and what XLA compiles is kept for the rest, and for
later runs where ``--programs`` names a folder. Takes half an hour or so on two cores; not part of CI.

Outcomes are appended to a log as they come. ``--resume LOG`` runs what the log does not have yet, ``--again LOG`` also
what survived in it: after a test was written, only the survivors need to run again. A later outcome in a log is the one
that counts, and a mutant is known by the text of its changed module: where a module has changed, its mutants run again.
Losses (theory/families and the like) are what is on trial, and no formulas: a changed one is another loss.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fast_tests import TESTS

ROOT = Path(__file__).parents[2]
# Seconds of the processor, of all threads: other work on the machine does not count. What a change leaves unnoticed has
# to be noticed in this time, and the unchanged tests of a module need well under it.
LIMIT = 20.0
# The first run of the tests of a module compiles all of it, Python's code too (of a mutant none is kept). Where that
# takes no more than `ENOUGH`, there is no need for a second.
FIRST_LIMIT, ENOUGH = 120.0, 12.0
# By the clock: for what sleeps, and where the machine has much else to do.
WALL = 600.0
# Kilobytes of address space: a change may make a loop that collects for ever.
MEMORY = 12_000_000
# Below this a page is not written by the run.
EARLIER = "\n## Earlier draws\n"
SWAPS: dict[type, tuple[str, type]] = {
    ast.Add: ("+ to -", ast.Sub),
    ast.Sub: ("- to +", ast.Add),
    ast.Mult: ("* to /", ast.Div),
    ast.Div: ("/ to *", ast.Mult),
    ast.Lt: ("< to >", ast.Gt),
    ast.Gt: ("> to <", ast.Lt),
    ast.LtE: ("<= to >", ast.Gt),
    ast.GtE: (">= to <", ast.Lt),
}


@dataclass
class Mutant:
    """One change: of a module, in a line, with a digest of the whole; and how it ended (killed, timeout, survived).

    ``function`` is the innermost one, with its class, and empty at the top level and in logs of before it was kept.
    """

    module: str
    line: int
    change: str
    before: str
    after: str
    digest: str = ""
    function: str = ""
    outcome: str = ""
    seconds: float = 0.0


class _Sites(ast.NodeVisitor):
    """The nodes of a module that may be changed."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.AST, str]] = []

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [t.id for t in node.targets if isinstance(t, ast.Name)]
        names += [e.id for t in node.targets if isinstance(t, ast.Tuple) for e in t.elts if isinstance(e, ast.Name)]
        if not (names and all(name.isupper() or name.startswith("__") for name in names)):
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_Raise(self, node: ast.Raise) -> None:
        """A message is no formula."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """An assertion for the type checker is none either."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Nor is a text."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            # Names of axes and options are no formulas.
            if not isinstance(keyword.value, ast.Constant):
                self.visit(keyword.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (node.left, node.right))
        types = isinstance(node.op, ast.BitOr)
        if type(node.op) in SWAPS and not text:
            self.found.append((node, SWAPS[type(node.op)][0]))
        if not types:
            self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            self.found.append((node, "-a to a"))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
            self.found.append((node, SWAPS[type(node.ops[0])][0]))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            self.found.append((node, "n to n + 1"))


def _changed(node: ast.AST) -> ast.AST:
    """The node with its change."""
    if isinstance(node, ast.BinOp):
        return ast.BinOp(node.left, SWAPS[type(node.op)][1](), node.right)
    if isinstance(node, ast.UnaryOp):
        return node.operand
    if isinstance(node, ast.Compare):
        return ast.Compare(node.left, [SWAPS[type(node.ops[0])][1]()], node.comparators)
    assert isinstance(node, ast.Constant)
    return ast.Constant(node.value + 1)


def mutants_of(module: str) -> list[tuple[Mutant, str]]:
    """Every mutant of a module, with its source."""
    source = (ROOT / module).read_text(encoding="utf-8")
    sites = _Sites()
    tree = ast.parse(source)
    sites.visit(tree)
    within = functions_of(tree)
    starts = [0]
    encoded = source.encode()
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, change in sites.found:
        first = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        last = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        before, after = encoded[first:last].decode(), f"({ast.unparse(_changed(node))})"
        text = (encoded[:first] + after.encode() + encoded[last:]).decode()
        short = " ".join(before.split())[:70], " ".join(after.split())[:70]
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        line: int = node.lineno  # type: ignore[attr-defined]
        found.append((Mutant(module, line, change, *short, digest, within.get(id(node), "")), text))
    return found


def functions_of(tree: ast.AST) -> dict[int, str]:
    """The innermost function of each node, by the node's id, as Class.method or function.inner; none at the top."""
    found: dict[int, str] = {}

    def walk(node: ast.AST, name: str) -> None:
        found[id(node)] = name
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            walk(child, f"{name}.{child.name}".lstrip(".") if named else name)  # type: ignore[attr-defined]

    walk(tree, "")
    return found


def place_of(mutant: Mutant) -> str:
    """What a reason in survivors.json is kept under: lines move, and one text may stand in several functions."""
    return f"{mutant.module}, {mutant.function or 'top level'}: {mutant.before} -> {mutant.after}"


def sample(every: list[tuple[Mutant, str]], count: int, seed: int) -> list[tuple[Mutant, str]]:
    """``count`` mutants in an order that a hash of each and the seed give: a change of one module leaves the rest."""
    seen: dict[str, int] = {}
    keyed = []
    for mutant, text in every:
        name = f"{mutant.module}: {mutant.before} -> {mutant.after}"
        seen[name] = seen.get(name, 0) + 1
        digest = hashlib.sha256(f"{seed} {seen[name]} {name}".encode()).hexdigest()
        keyed.append((digest, mutant, text))
    keyed.sort(key=lambda entry: entry[0])
    return [(mutant, text) for _, mutant, text in keyed[:count]]


def run_tests(tree: Path, module: str, programs: str | None = None, limit: float = LIMIT) -> tuple[str, float]:
    """Outcome of the fast tests of a module in a tree, and seconds of the processor; programs are kept in a folder."""
    begin = time.perf_counter()
    call = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-n", "0", "-p", "no:cacheprovider", "-m",
            "not longest", *TESTS[module]]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": os.path.abspath(programs or tree),
                   "PYTHONDONTWRITEBYTECODE": "" if limit == FIRST_LIMIT else "1"}  # fmt: skip
    # A process group of its own, so that a run over its time takes its children along.
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -t {limit:.0f}; ulimit -v {MEMORY}; exec "$@"', "sh", *call],
        cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    alarm = threading.Timer(WALL, os.killpg, (process.pid, signal.SIGKILL))
    alarm.start()
    _, ended, used = os.wait4(process.pid, 0)
    alarm.cancel()
    process.returncode = status = os.waitstatus_to_exitcode(ended)
    seconds = used.ru_utime + used.ru_stime
    if status in (-signal.SIGKILL, -signal.SIGXCPU) and (seconds > 0.9 * limit or time.perf_counter() - begin >= WALL):
        return "timeout", seconds
    # A signal of its own (a crash of compiled code, no memory left) is a death like any other.
    if status > 2:
        raise RuntimeError(f"pytest ended with status {status} for {module}: {' '.join(call)}")
    return ("survived" if status == 0 else "killed"), seconds


def copy_tree(place: Path) -> Path:
    """What the tests need, without history and caches."""
    names = ("theory", "numerics", "sharpflow", "tests", "benchmarks", "notebooks", "docs", "conftest.py")
    names += ("pyproject.toml", "README.md")
    place.mkdir(parents=True)
    for name in names:
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            # theory/ and numerics/ stay links in sharpflow/: what is mutated is what is imported.
            shutil.copytree(source, place / name, ignore=ignore, symlinks=True)
        else:
            shutil.copy(source, place / name)
    return place


def unchanged(tree: Path, module: str, programs: str | None = None) -> str:
    """Run the fast tests of a module, again where they took long since all was compiled; what is wrong, or nothing."""
    for limit in (FIRST_LIMIT, LIMIT):
        outcome, seconds = run_tests(tree, module, programs, limit)
        print(f"{seconds:5.1f} s", *TESTS[module], flush=True)
        if outcome != "survived":
            return f"the fast tests of {module} do not pass unchanged in {limit:g} s: {outcome}"
        if seconds <= ENOUGH:
            break
    return ""


def shared_out(chosen: list[tuple[Mutant, str]], processes: int) -> list[list[tuple[Mutant, str]]]:
    """The mutants of a module to one process, as its tests are compiled there; about as many to each."""
    shares: list[list[tuple[Mutant, str]]] = [[] for _ in range(processes)]
    groups: dict[tuple[str, ...], list[tuple[Mutant, str]]] = {}
    for pair in chosen:
        groups.setdefault(TESTS[pair[0].module], []).append(pair)
    for group in sorted(groups.values(), key=len, reverse=True):
        # The tests run twice before the first of them.
        min(shares, key=lambda share: len(share) + 2 * len({TESTS[m.module] for m, _ in share})).extend(group)
    return shares


def work(tree: str, jobs: list[tuple[Mutant, str]], log: str, programs: str | None) -> list[Mutant]:
    """Run mutants in one tree and log each outcome; where tests do not pass unchanged, go on, and raise in the end."""
    done = []
    wrong: dict[tuple[str, ...], str] = {}
    for mutant, text in jobs:
        tests = TESTS[mutant.module]
        if tests not in wrong:
            wrong[tests] = unchanged(Path(tree), mutant.module, programs)
        if wrong[tests]:
            continue
        place = Path(tree) / mutant.module
        original = place.read_text(encoding="utf-8")
        place.write_text(text, encoding="utf-8")
        try:
            mutant.outcome, mutant.seconds = run_tests(Path(tree), mutant.module, programs)
        finally:
            place.write_text(original, encoding="utf-8")
        done.append(mutant)
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(mutant)) + "\n")
    if any(wrong.values()):
        raise RuntimeError("; ".join(filter(None, wrong.values())))
    return done


def read_log(place: str) -> list[Mutant]:
    """The outcomes in a log of an earlier run, in its order."""
    return [Mutant(**json.loads(line)) for line in Path(place).read_text(encoding="utf-8").splitlines()]


def report(mutants: list[Mutant], seed: int, reasons: dict[str, str], first: dict[str, str]) -> str:
    """The page: counts by module, and the survivors with reasons; ``first``: the first outcome of each, by digest."""
    killed = [m for m in mutants if m.outcome in ("killed", "timeout")]
    slow = [m for m in mutants if m.outcome == "timeout"]
    at_once = sum(first[m.digest] != "survived" for m in mutants)
    seconds = sorted(m.seconds for m in mutants if m.outcome != "timeout")
    lines = [
        "# Mutation testing",
        "",
        f"`python tests/mutation/run.py --count {len(mutants)} --seed {seed}`: at first {at_once} of",
        f"{len(mutants)} mutants ({at_once / len(mutants):.1%}) were killed. Tests were then written against what",
        f"survived for no good reason, and {len(killed)} ({len(killed) / len(mutants):.1%}) are killed now. Of mutants",
        "outside this draw the first share is to be expected, or a little more. A mutant has",
        f"{LIMIT:g} s of the processor; ended by that, and listed below: {len(slow)}. The others took",
        f"{seconds[len(seconds) // 2]:.0f} s in the median, {seconds[-1]:.0f} s at the most.",
        "",
        "The modules that carry formulas are in `tests/mutation/fast_tests.py`, with the tests of each; there, too, is",
        "why the others are left out. `--resume` goes on with a stopped run, `--again` also runs what survived: so a",
        "mutant that a new test was written against runs again, by the same draw. A module that has changed since has",
        "its mutants run again in any case.",
        "",
        "| module | mutants | killed |",
        "| --- | --- | --- |",
    ]
    for module in TESTS:
        own = [m for m in mutants if m.module == module]
        if own:
            lines.append(f"| {module} | {len(own)} | {sum(m in killed for m in own)} |")
    left = [m for m in mutants if m not in killed]
    for title, listed in (("Survivors", left), (f"Ended after {LIMIT:g} s", slow)):
        lines += ["", f"## {title}", "", "| where | before | after | why |", "| --- | --- | --- | --- |"]
        for m in listed:
            why = reasons.get(place_of(m), "no test notices it" if m.outcome == "survived" else "not looked into")
            cells = (f"{m.module}:{m.line}", f"`{m.before}`", f"`{m.after}`", why)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Draw a sample, run it, write the page; 1 where fewer than nine in ten are killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--module", action="append", help="this module only (repeat for more)")
    parser.add_argument("--line", action="append", metavar="MODULE:LINE", help="every mutant of this line, no sample")
    parser.add_argument("--resume", metavar="LOG", help="run only what this log of an earlier run does not have")
    parser.add_argument("--again", metavar="LOG", help="run only what it does not have, and what survived in it")
    parser.add_argument("--baseline", action="store_true", help="time the fast tests of every module, unchanged")
    parser.add_argument("--programs", metavar="FOLDER", help="keep what XLA compiles there; default: for this run only")
    parser.add_argument("--output", help="write the page to this file")
    parser.add_argument("--log", default="mutants.jsonl", help="outcomes as they come; default: %(default)s")
    arguments = parser.parse_args()
    modules = arguments.module or sorted({line.rsplit(":", 1)[0] for line in arguments.line or ()}) or list(TESTS)
    with tempfile.TemporaryDirectory() as scratch:
        trees = [str(copy_tree(Path(scratch) / f"tree{k}")) for k in range(arguments.processes)]
        if arguments.baseline:
            for tests in sorted({TESTS[module] for module in modules}):
                module = next(module for module in modules if TESTS[module] == tests)
                print(unchanged(Path(trees[0]), module, arguments.programs) or "as they should", flush=True)
            return 0
        every = [pair for module in modules for pair in mutants_of(module)]
        if arguments.line:
            every = [pair for pair in every if f"{pair[0].module}:{pair[0].line}" in arguments.line]
        chosen = sample(every, arguments.count, arguments.seed)
        earlier = arguments.again or arguments.resume
        outcomes = read_log(earlier) if earlier else []
        known = {m.digest: m for m in outcomes}
        first = {m.digest: m.outcome for m in reversed(outcomes)}
        if arguments.again:
            known = {digest: m for digest, m in known.items() if m.outcome != "survived"}
        settled = [replace(known[m.digest], function=m.function) for m, _ in chosen if m.digest in known]
        chosen = [pair for pair in chosen if pair[0].digest not in known]
        shares = shared_out(chosen, arguments.processes)
        run = functools.partial(work, log=arguments.log, programs=arguments.programs)
        with concurrent.futures.ThreadPoolExecutor(arguments.processes) as pool:
            parts = list(pool.map(run, trees, shares))
    mutants = sorted([*settled, *(m for part in parts for m in part)], key=lambda m: (m.module, m.line))
    first = {m.digest: m.outcome for m in mutants} | first
    place = Path(__file__).parent / "survivors.json"
    reasons = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
    text = report(mutants, arguments.seed, reasons, first)
    if arguments.output:
        page = Path(arguments.output)
        # What was said of draws before this one stays.
        _, heading, before = page.read_text(encoding="utf-8").partition(EARLIER) if page.exists() else ("", "", "")
        page.write_text(text + heading + before, encoding="utf-8")
    print(text)
    return 0 if sum(m.outcome != "survived" for m in mutants) >= 0.9 * len(mutants) else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Coq's compiler as the judge of a file: accepted, or which lemma was rejected and how; and what all of it rests on."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["INSTALL", "REALS", "Verdict", "check", "coqc"]

INSTALL = (
    "coqc is not on the path; to have the file checked: apt-get install coq libcoq-coquelicot (Debian, Ubuntu), "
    "or opam install coq-coquelicot"
)
# What Coq's real numbers are built on, and what Coquelicot adds (excluded middle).
REALS = frozenset({
    "ClassicalDedekindReals.sig_forall_dec", "ClassicalDedekindReals.sig_not_dec",
    "FunctionalExtensionality.functional_extensionality_dep", "Classical_Prop.classic",
})  # fmt: skip
# Words with which a file would suppose what it should prove.
FORBIDDEN = re.compile(
    r"\b(Axioms?|Parameters?|Admitted|admit|give_up|Conjectures?|Hypothes[ie]s|Variables?|Contexts?|bypass_check)\b"
)
# A derivation takes some seconds. On a busy machine a rejected lemma may search for as long.
SECONDS = 600.0
# So many rejections are told apart; a file with more is rejected as a whole.
REJECTIONS = 12
# What it says where the time that the head of a file gives to each line is over.
TIMEOUT = "Timeout!"
_START = re.compile(r"^(?:Lemma|Theorem|Definition) (\w+)")


@dataclass(frozen=True)
class Verdict:
    """The kernel's word on a file.

    Attributes:
        rejected: lemmas that it did not accept, with its message (under "" what concerns the whole file).
        late: lemmas whose proof it was still checking when their time was over: not rejected, and not accepted.
        assumptions: what all that was accepted rests on.
        strange: those of them that are not `REALS`.
        seconds: it took.
    """

    rejected: Mapping[str, str] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def strange(self) -> tuple[str, ...]:
        """Assumptions beside the real numbers."""
        return tuple(name for name in self.assumptions if name not in REALS)

    @property
    def accepted(self) -> bool:
        """True where nothing was rejected, and nothing assumed beside the real numbers."""
        return not self.rejected and not self.strange

    def sentences(self) -> list[str]:
        """For the terminal."""
        found = coqc()
        lines = [f"REJECTED {name or 'the file'}: {message}" for name, message in self.rejected.items()]
        if self.strange:
            lines.append(f"REJECTED: it assumes {', '.join(self.strange)}")
        if self.late:
            lines.append(f"not checked to the end, too long: {', '.join(self.late)}")
        if self.accepted:
            lines.append(f"accepted by the kernel of Coq {found[1] if found else ''} in {self.seconds:.0f} s.")
        return [*lines, f"It rests on: {', '.join(self.assumptions) or 'nothing'}."]

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "accepted": self.accepted, "rejected": dict(self.rejected), "late": list(self.late),
            "assumptions": list(self.assumptions), "seconds": self.seconds,
        }  # fmt: skip


@cache
def coqc() -> tuple[str, str] | None:
    """The compiler and its version; ``None`` where there is none, or it lacks Coquelicot."""
    path = shutil.which("coqc")
    if path is None:
        return None
    version = subprocess.run([path, "--print-version"], capture_output=True, text=True).stdout.split()
    return path, version[0] if version else ""


def check(text: str, /) -> Verdict:
    """The kernel's verdict on a file; a lemma that it rejects is taken out, so that the others are judged as well.

    Raises:
        FileNotFoundError: there is no coqc.
    """
    found = coqc()
    if found is None:
        raise FileNotFoundError(INSTALL)
    begin = time.perf_counter()
    bare = re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL)
    if word := FORBIDDEN.search(bare):
        return Verdict({"": f"the file holds the word {word.group()}"})
    rejected: dict[str, str] = {}
    late: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "derivation.v"
        while True:
            file.write_text(text, encoding="utf-8")
            try:
                done = subprocess.run(
                    [found[0], "-q", "-w", "-all", str(file)],
                    capture_output=True, text=True, timeout=SECONDS, cwd=folder,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                rejected[""] = f"given up after {SECONDS:g} s"
                break
            if done.returncode == 0:
                return Verdict(rejected, tuple(late), _assumptions(done.stdout), time.perf_counter() - begin)
            name, message = _culprit(text, done.stderr)
            if message == TIMEOUT and name:
                late.append(name)
            else:
                rejected[name] = message
            if not name or len(rejected) + len(late) > REJECTIONS:
                break
            text = _without(text, name)
    return Verdict(rejected, tuple(late), (), time.perf_counter() - begin)


def _assumptions(output: str) -> tuple[str, ...]:
    """Names under "Axioms:", each of which begins a line."""
    return tuple(dict.fromkeys(re.findall(r"^([A-Z][\w.]*)\s*(?::|$)", output.partition("Axioms:")[2], re.MULTILINE)))


def _culprit(text: str, errors: str) -> tuple[str, str]:
    """Which lemma an error is in, and what it says."""
    place = re.findall(r"line (\d+), characters [\d-]+:\s*Error", errors)
    message = " ".join(errors.rpartition("Error")[2].lstrip(":").split())[:400]
    if not place:
        return "", " ".join(errors.split())[:400]
    for line in reversed(text.splitlines()[: int(place[-1])]):
        if start := _START.match(line):
            return start.group(1) if start.group(1) != "all_of_them" else "", message
    return "", message


def _without(text: str, name: str) -> str:
    """The file without one lemma."""
    text = re.sub(rf"^(?:Lemma|Theorem|Definition) {name}\b.*?^(?:Qed|Defined)\.$", "", text, flags=re.M | re.S)
    return re.sub(r"^Definition all_of_them.*$", lambda m: re.sub(rf"\b{name}, |, {name}\b", "", m.group()), text,
                  flags=re.M)  # fmt: skip

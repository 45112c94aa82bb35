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
    "no coqc that knows Coquelicot is on the path; to have the file checked: apt-get install coq libcoq-coquelicot "
    "(Debian, Ubuntu), or opam install coq-coquelicot"
)
# What Coq's real numbers are built on, and what Coquelicot adds (excluded middle).
REALS = frozenset({
    "ClassicalDedekindReals.sig_forall_dec", "ClassicalDedekindReals.sig_not_dec",
    "FunctionalExtensionality.functional_extensionality_dep", "Classical_Prop.classic",
})  # fmt: skip
# Words with which a file would suppose what it should prove.
FORBIDDEN = re.compile(
    r"\b(Axioms?|Parameters?|Admitted|admit|give_up|Conjectures?|Hypothes[ie]s|Variables?|Contexts?|bypass_check|"
    r"Admit\s+Obligations|Declare\s+Module|Unset\s+(Guard|Universe|Positivity)\s+Checking|Primitive)\b"
)
# A derivation takes some seconds. On a busy machine a rejected lemma may search for as long.
SECONDS = 600.0
# So many rejections are told apart; a file with more is rejected as a whole.
REJECTIONS = 12
# What it says where the time that the head of a file gives to each line is over, or the machine is too small: no
# judgement of the lemma.
EXHAUSTED = ("Timeout!", "Out of memory", "Stack overflow")
_START = re.compile(r"^(?:Lemma|Theorem|Definition) (\w+)")


@dataclass(frozen=True)
class Verdict:
    """The kernel's word on a file.

    Attributes:
        rejected: lemmas that it did not accept, with its message (under "" what concerns the whole file).
        late: lemmas whose proof it was still checking when their time was over, and what rests on them: not rejected,
            and not accepted.
        complete: it came to the end of what was left of the file. Where it did not, nothing is accepted.
        assumptions: what all that was accepted rests on.
        strange: those of them that are not `REALS`.
        seconds: it took.
    """

    rejected: Mapping[str, str] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    complete: bool = False
    assumptions: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def strange(self) -> tuple[str, ...]:
        """Assumptions beside the real numbers."""
        return tuple(name for name in self.assumptions if name not in REALS)

    @property
    def refused(self) -> bool:
        """True where something was rejected, or assumed beside the real numbers."""
        return bool(self.rejected or self.strange)

    @property
    def accepted(self) -> bool:
        """True where it checked all of the file to the end, and refused nothing."""
        return self.complete and not self.late and not self.refused

    def sentences(self) -> list[str]:
        """For the terminal."""
        found = coqc()
        lines = [f"REJECTED {name or 'the file'}: {message}" for name, message in self.rejected.items()]
        if self.strange:
            lines.append(f"REJECTED: it assumes {', '.join(self.strange)}")
        if self.late:
            lines.append(f"not checked to the end, too long: {', '.join(self.late)}")
        if not self.complete:
            return [
                *lines,
                f"The kernel gave up after {self.seconds:.0f} s: whatever else is in the file is unchecked.",
            ]
        if self.accepted:
            lines.append(f"accepted by the kernel of Coq {found[1] if found else ''} in {self.seconds:.0f} s.")
        return [*lines, f"It rests on: {', '.join(self.assumptions) or 'nothing'}."]

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "accepted": self.accepted, "complete": self.complete, "rejected": dict(self.rejected),
            "late": list(self.late), "assumptions": list(self.assumptions), "seconds": self.seconds,
        }  # fmt: skip


@cache
def coqc() -> tuple[str, str] | None:
    """The compiler and its version; ``None`` where there is none, or it lacks Coquelicot."""
    path = shutil.which("coqc")
    if path is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        done = _compiled(path, "From Coquelicot Require Import Coquelicot.\n", folder)
    if done.returncode != 0:
        return None
    version = subprocess.run([path, "--print-version"], capture_output=True, text=True).stdout.split()
    return path, version[0] if version else ""


def _compiled(path: str, text: str, folder: str) -> subprocess.CompletedProcess[str]:
    file = Path(folder) / "derivation.v"
    file.write_text(text, encoding="utf-8")
    command = [path, "-q", "-w", "-all", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder)


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
        return Verdict({"": f"the file holds the word {word.group()}"}, complete=True)
    rejected: dict[str, str] = {}
    late: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        while len(rejected) + len(late) <= REJECTIONS:
            try:
                done = _compiled(found[0], text, folder)
            except subprocess.TimeoutExpired:
                break
            if done.returncode == 0:
                seconds = time.perf_counter() - begin
                return Verdict(rejected, tuple(late), True, _assumptions(done.stdout), seconds)
            name, message = _culprit(text, done.stderr)
            lacking = re.match(r"The (?:reference|variable) (\w+) was not found", message)
            shorter = _without(text, name) if name else text
            if message.startswith(EXHAUSTED) or done.returncode < 0 or (lacking and lacking.group(1) in late):
                if name:
                    late.append(name)
            else:
                rejected[name] = message
            if shorter == text:
                break
            text = shorter
    return Verdict(rejected, tuple(late), seconds=time.perf_counter() - begin)


def _assumptions(output: str) -> tuple[str, ...]:
    """Names that ``Print Assumptions`` lists: each begins a line, its type goes on in others that are indented."""
    if output.strip() == "Closed under the global context":
        return ()
    lines = [line for line in output.splitlines() if line and not line[0].isspace() and line != "Axioms:"]
    names = [line if " is assumed" in line else line.split(" ")[0] for line in lines]
    return tuple(dict.fromkeys(names)) or ("Print Assumptions said nothing",)


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

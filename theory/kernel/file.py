"""Files of Coq made of lemmas: a head with the tactics that close them, and what each theorem rests on, printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["HEAD", "comment", "whole"]

HEAD = r"""
From Coq Require Import Reals Lra Psatz.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.
Set Warnings "-all".
Set Default Timeout 100.

(* Tactics: none of them decides anything, the kernel checks what they find. *)

Lemma circle p : sin p ^ 2 + cos p ^ 2 = 1.
Proof. pose proof (sin2_cos2 p) as H. unfold Rsqr in H. lra. Qed.

Lemma sine_squared p : sin p ^ 2 = 1 - cos p ^ 2.
Proof. pose proof (circle p) as H. lra. Qed.

Lemma ln_square x : 0 < x -> ln (x ^ 2) = 2 * ln x.
Proof. intro H. replace (x ^ 2) with (x * x) by ring. rewrite ln_mult by exact H. ring. Qed.

Lemma root a : 0 <= a -> sqrt a ^ 2 = a.
Proof. intro H. rewrite <- Rsqr_pow2. apply Rsqr_sqrt, H. Qed.

Lemma even_power a k : 0 <= a ^ (2 * k).
Proof. rewrite pow_Rsqr. apply pow_le, Rle_0_sqr. Qed.

Lemma even_power_positive a k : a <> 0 -> 0 < a ^ (2 * k).
Proof. intro H. rewrite pow_Rsqr. apply pow_lt, Rsqr_pos_lt, H. Qed.

(* A sum of terms with positive coefficients, of which none is negative. *)
Ltac nonneg := lazymatch goal with
  | |- 0 <= _ + _ => apply Rplus_le_le_0_compat; nonneg
  | |- 0 <= _ * _ => apply Rmult_le_pos; nonneg
  | |- 0 <= ?a ^ ?n => first
      [ let k := eval compute in (Nat.div2 n) in apply (even_power a k)
      | apply pow_le; nonneg ]
  | |- 0 <= exp _ => left; apply exp_pos
  | |- 0 <= sqrt _ => apply sqrt_pos
  | |- 0 <= Rabs _ => apply Rabs_pos
  | |- 0 <= PI => left; apply PI_RGT_0
  | |- _ => lra end.

Ltac positive := lazymatch goal with
  | |- 0 < _ + _ => first
      [ apply Rplus_lt_le_0_compat; [ | solve [nonneg] ]; solve [positive]
      | apply Rplus_le_lt_0_compat; [ solve [nonneg] | solve [positive] ] ]
  | |- 0 < _ * _ => apply Rmult_lt_0_compat; positive
  | |- 0 < ?a ^ ?n => apply pow_lt; positive
  | |- 0 < exp _ => apply exp_pos
  | |- 0 < sqrt _ => apply sqrt_lt_R0; positive
  | |- 0 < PI => apply PI_RGT_0
  | |- _ => lra end.

(* E <> 0 from a fact about D that E is a multiple of by a number. *)
Ltac one_nonzero := let Z := fresh "Z" in first
  [ assumption
  | intro Z; match goal with
    | H : _ <> 0 |- _ => apply H; clear - Z; lra
    | H : 0 < _ |- _ => apply (Rgt_not_eq _ _ H); clear - Z; lra
    end
  | apply Rgt_not_eq; solve [positive]
  | intro Z; lra
  | intro Z; match goal with H : _ <> 0 |- _ => apply H; lra end ].
Ltac product_nonzero := lazymatch goal with
  | |- _ * _ <> 0 => apply Rmult_integral_contrapositive_currified; product_nonzero
  | |- _ ^ _ <> 0 => first [ one_nonzero | apply pow_nonzero; product_nonzero ]
  | |- _ => one_nonzero end.
Ltac nonzero := repeat split; product_nonzero.
Ltac nonzero_or_positive := repeat split; first [ exact I | assumption | lra | product_nonzero | positive ].
Ltac product_positive := lazymatch goal with
  | |- 0 < _ * _ => apply Rmult_lt_0_compat; product_positive
  | |- 0 < ?a ^ ?n => first
      [ apply pow_lt; solve [positive | lra]
      | let k := eval compute in (Nat.div2 n) in apply (even_power_positive a k); nonzero ]
  | |- _ => first [ positive | lra ] end.

(* cos, sin and exp of a sum. *)
Ltac expand_angle :=
  repeat first [ rewrite cos_plus | rewrite sin_plus | rewrite cos_neg | rewrite sin_neg ].
Ltac expand_exp :=
  repeat first [ rewrite exp_plus | rewrite exp_Ropp ]; field; repeat split; apply Rgt_not_eq, exp_pos.
""".lstrip()


def comment(text: str, /) -> str:
    """A comment; what would end it is taken apart."""
    return f"(* {text.replace('(*', '( *').replace('*)', '* )')} *)"


def whole(title: str, bodies: Iterable[str], names: Sequence[str], /) -> str:
    """The file: head, lemmas, and what each rests on."""
    end = f"Definition all_of_them := ({', '.join(['I', *names])}).\nPrint Assumptions all_of_them."
    return "\n".join([comment(title), "", HEAD, *bodies, "", comment("What all of it rests on."), end, ""])

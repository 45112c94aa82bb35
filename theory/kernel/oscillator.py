"""Theorems about every oscillator X' = X U, U' = a - b X^2, with derivatives and integrals of Coquelicot."""

from __future__ import annotations

from sharpflow.theory.kernel.export import Section

__all__ = ["OSCILLATOR"]

_TEXT = r"""
(* E = U^2/2 + b X^2/2 - a log|X| is conserved: its derivative along X' = X U, U' = a - b X^2 is 0. *)
Theorem energy_is_conserved (X U : R -> R) (a b t : R)
  (dX : is_derive X t (X t * U t)) (dU : is_derive U t (a - b * X t ^ 2)) (h : X t <> 0) :
  is_derive (fun t => U t ^ 2 / 2 + b * X t ^ 2 / 2 - a * (ln (X t ^ 2) / 2)) t 0.
Proof.
  auto_derive.
  - repeat split; first
      [ eexists; exact dU | eexists; exact dX | pose proof (Rsqr_pos_lt _ h) as Z; unfold Rsqr in Z; lra ].
  - rewrite (is_derive_unique (fun t : R => X t) _ _ dX), (is_derive_unique (fun t : R => U t) _ _ dU).
    field. exact h.
Qed.

(* <U> = 0 over an orbit that closes, as U is the derivative of log|X|. *)
Theorem mean_of_the_edge (X U : R -> R) (period : R)
  (dX : forall t, is_derive X t (X t * U t)) (cU : forall t, ex_derive U t) (h : forall t, X t <> 0)
  (back : X period = X 0) : is_RInt U 0 period 0.
Proof.
  replace 0 with (minus (ln (X period ^ 2) / 2) (ln (X 0 ^ 2) / 2)) at 2.
  - apply (is_RInt_derive (fun t => ln (X t ^ 2) / 2)); intros t _.
    + auto_derive.
      * repeat split; first [ eexists; apply dX | pose proof (Rsqr_pos_lt _ (h t)) as Z; unfold Rsqr in Z; lra ].
      * rewrite (is_derive_unique (fun t : R => X t) _ _ (dX t)). field. apply h.
    + apply (ex_derive_continuous U), cU.
  - rewrite back. unfold minus, plus, opp; simpl. lra.
Qed.

(* <X^2> = a/b over an orbit that closes, whatever its size: a - b X^2 is the derivative of U. *)
Theorem mean_square_over_an_orbit (X U : R -> R) (a b period : R) (hb : b <> 0)
  (dX : forall t, is_derive X t (X t * U t)) (dU : forall t, is_derive U t (a - b * X t ^ 2))
  (back : U period = U 0) : is_RInt (fun t => X t ^ 2) 0 period (period * (a / b)).
Proof.
  assert (I : is_RInt (fun t => a - b * X t ^ 2) 0 period (minus (U period) (U 0))).
  { apply (is_RInt_derive U); intros t _; [apply dU | ].
    apply (ex_derive_continuous (fun t => a - b * X t ^ 2)).
    auto_derive. repeat split; eexists; apply dX. }
  pose proof (is_RInt_minus _ _ _ _ _ _ (is_RInt_const 0 period a) I) as D.
  apply (is_RInt_scal _ _ _ (/ b)) in D.
  replace (period * (a / b)) with (scal (/ b) (minus (scal (period - 0) a) (minus (U period) (U 0)))).
  - apply (is_RInt_ext (fun t => scal (/ b) (minus a (a - b * X t ^ 2)))); [ | exact D].
    intros t _. unfold scal, minus, plus, opp; simpl; unfold mult; simpl. field. exact hb.
  - rewrite back. unfold scal, minus, plus, opp; simpl; unfold mult; simpl. field. exact hb.
Qed.
""".lstrip()

OSCILLATOR = Section(
    "every oscillator X' = X U, U' = a - b X^2",
    _TEXT,
    ("energy_is_conserved", "mean_of_the_edge", "mean_square_over_an_orbit"),
)

"""What the badge `proven` is needed for: nothing by default, a promotion or being served if the operator wants it.

Pure functions; the ledger of tries (`registry.ledger`) says who has the badge, `config.GateConfig` what needs it.
"""

from __future__ import annotations

from allocator_pipeline.config import ANCHOR, GateConfig


def gated_outcome(outcome: str, reason: str, *, first: bool, proven: bool, gate: GateConfig) -> tuple[str, str]:
    """Keep the champion where the rule would promote and the badge is demanded but absent.

    Parameters
    ----------
    outcome, reason : str
        As the rule decided, see `registry.rules.judge_report`.
    first : bool
        Whether there is no champion yet. The first policy is promoted without the badge, since an allocator needs a
        champion; `served` decides whether it is more than a name.
    proven : bool
        Whether the candidate has the badge.
    gate : GateConfig

    Returns
    -------
    tuple of (str, str)
        Outcome and reason.
    """
    if outcome != "promoted" or first or proven or not gate.proof_to_promote:
        return outcome, reason
    sentence = reason if reason.rstrip().endswith((".", "!", "?")) else f"{reason.rstrip()}."  # an order's may lack it
    return "kept", f"{sentence} But it is not proven over all tries so far, which the gate demands."


def served(champion: str, *, proven: bool, gate: GateConfig) -> str:
    """Return what is served: the champion's version, or the name of the anchor baseline in its place."""
    return ANCHOR if gate.proof_to_serve and not proven else champion

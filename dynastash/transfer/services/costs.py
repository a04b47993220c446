"""What copies in AWS's own services cost, by the list prices of us-east-1 as AWS published them in 2026.

docs/how-to/sync.md has the same figures; whoever changes one changes both, and the test that compares them says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from dynastash.frozen import Frozen
from dynastash.places import Kind, Outgoing
from dynastash.transfer.outgoing import Action, Plan
from dynastash.transfer.services.parameters import STANDARD

SECRET_A_MONTH: Final = Decimal("0.40")
ADVANCED_A_MONTH: Final = Decimal("0.05")
SECRET_READS: Final = Decimal("0.05")
ADVANCED_READS: Final = Decimal("0.05")
KMS_READS: Final = Decimal("0.03")
"""The three for 10,000 calls."""

_KEPT: Final = (Action.CREATE, Action.UPDATE, Action.TAKE_OVER, Action.SAME)


class Cost(Frozen):
    """In US dollars: ``a_month`` for as long as ``copies`` are kept, ``reads`` for 10,000 reads of any of them."""

    copies: int
    a_month: Decimal
    reads: Decimal
    advanced: int = 0

    @property
    def told(self) -> str:
        """In a sentence."""
        kept = f"keeping {self.copies} costs ${self.a_month:.2f} a month" if self.a_month else "keeping them is free"
        return f"{kept}, 10,000 reads ${self.reads:.2f} (list prices in us-east-1, 2026)"

    @property
    def data(self) -> dict[str, Any]:
        """As ``-o json`` has it."""
        return {
            "copies": self.copies,
            "usd_a_month": f"{self.a_month:.2f}",
            "usd_for_10000_reads": f"{self.reads:.2f}",
            "prices": "us-east-1, 2026",
        }


def cost(kind: Kind, planned: Plan) -> Cost:
    """What is there once ``planned`` is carried out, as far as it is this environment's or equal to that."""
    kept = [step.outgoing for step in planned.of(*_KEPT) if step.outgoing is not None]
    if kind == Kind.SECRETS_MANAGER:
        return Cost(len(kept), SECRET_A_MONTH * len(kept), SECRET_READS)
    advanced = sum(map(_is_advanced, kept))
    reads = KMS_READS + (ADVANCED_READS if advanced else 0)
    return Cost(len(kept), ADVANCED_A_MONTH * advanced, reads, advanced)


def _is_advanced(outgoing: Outgoing) -> bool:
    return len(outgoing.value.expose()) > STANDARD

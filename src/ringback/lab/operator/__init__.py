"""The emulated operator: packets in, packets and actions out. It knows messengers by its own signatures alone."""

from ringback.lab.operator.operator import Operator

__all__ = ["Operator"]

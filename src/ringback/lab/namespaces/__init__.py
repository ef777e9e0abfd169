"""The lab between real kernels: network namespaces that an ordinary user can make, with a router of ours in between.

with namespaces.open(net) as topology:
    topology.run_outside(peer)
    outcome = topology.run_participant(session)
"""

from ringback.lab.namespaces.processes import Child, Report
from ringback.lab.namespaces.topology import NamespaceNet, Topology, open, supported
from ringback.lab.namespaces.wireguard import WireGuard

__all__ = ["Child", "NamespaceNet", "Report", "Topology", "WireGuard", "open", "supported"]

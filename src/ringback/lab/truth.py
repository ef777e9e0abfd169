"""What a scenario makes true of each cell and network (docs: contracts, "Truth"). Nothing that measures may see it."""

from collections.abc import Iterable

from ringback import catalogue as catalogue_room
from ringback.catalogue import Catalogue
from ringback.flow import forms_of
from ringback.lab import strength
from ringback.lab.rules import Action, Network, Rule, Scenario
from ringback.lab.standing import standing
from ringback.lab.strength import Call, call_of
from ringback.lab.wires import cells, recognises
from ringback.record import Cell, Mechanism, NetworkRecord, NetworkState, Status, Truth, Udp

ORDER: tuple[Mechanism, ...] = (
    "drop", "reset", "icmp", "dns", "corrupt", "drop-after", "police", "shape", "loss", "delay"
)  # fmt: skip
SELECTIVE = ("payload", "port", "destination", "sni", "dns")
REFUSING = ("drop", "icmp", "corrupt")
"""What makes a rule on all UDP leave nothing of it."""


def truth(
    scenario: Scenario,
    network: Network,
    participant: int,
    cell: Cell,
    seed: int | None = None,
    catalogue: Catalogue | None = None,
) -> Truth:
    """The truth of one cell at the scenario's own time. seed: the run's; default the scenario's."""
    return _Ground(scenario, network, participant, seed, catalogue).truth(cell)


def network_truth(
    scenario: Scenario,
    network: Network,
    participant: int,
    seed: int | None = None,
    catalogue: Catalogue | None = None,
) -> NetworkRecord:
    """The state of a network as this participant meets it. UDP is `blocked` where a rule leaves nothing of it (or a
    white list does not hold the peer), `limited` where a rule on all UDP does less."""
    ground = _Ground(scenario, network, participant, seed, catalogue)
    return NetworkRecord(network=network.name, participant=participant, state=ground.state, udp=ground.udp)


class _Ground:
    """What one participant of one network stands on."""

    def __init__(
        self, scenario: Scenario, network: Network, participant: int, seed: int | None, catalogue: Catalogue | None
    ) -> None:
        self.scenario = scenario
        self.network = network
        self.catalogue = catalogue or catalogue_room.load()
        seed = scenario.seed if seed is None else seed
        self.rules = tuple(r for r in standing(scenario, network, participant, seed) if r.holds(scenario.at))

    @property
    def whitelists(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.trigger == "not-listed")

    @property
    def state(self) -> NetworkState:
        lists = self.whitelists
        if any(not rule.listed for rule in lists):
            return "offline"
        return "whitelist" if lists else "normal"

    @property
    def udp(self) -> Udp:
        if any("peer" not in rule.listed for rule in self.whitelists):
            return "blocked"
        kinds = [rule.action.kind for rule in self.rules if rule.trigger == "transport"]
        if any(kind in REFUSING for kind in kinds):
            return "blocked"
        return "limited" if kinds else "open"

    def truth(self, cell: Cell) -> Truth:
        status, rules, scored = self._status(cell)
        if self._unusable(cell) or self._reached(cell):
            scored = False
        if not rules:
            return Truth(status=status, scored=scored)
        rule = min(rules, key=lambda rule: self._rank(rule, cell))
        action = self._met(rule, cell)
        return Truth(
            status=status,
            mechanism=action.mechanism,
            trigger=rule.trigger,
            hop=rule.hop,
            hop_asn=self.network.hop_asn[rule.hop - 1],
            after_packets=action.packets,
            after_bytes=action.bytes,
            rate_kbps=action.kbps,
            loss=action.share,
            delay_ms=action.ms,
            scored=scored,
        )

    def _rank(self, rule: Rule, cell: Cell) -> tuple[int, int, int]:
        """The strongest first, then the nearest, then file order (country-wide rules before the network's)."""
        return ORDER.index(self._met(rule, cell).mechanism), rule.hop, self.rules.index(rule)

    def _met(self, rule: Rule, cell: Cell) -> Action:
        """The rule's action, or `drop` where what the cell meets is the block that its matches leave."""
        return Action("drop") if self._blocks(rule, cell) else rule.action

    def _status(self, cell: Cell) -> tuple[Status, list[Rule], bool]:
        """The first status that applies, the rules that set it, and whether it is scored as far as rules go."""
        if cell.app in self.scenario.down:
            return "service-down", [], True
        acting = [rule for rule in self.rules if recognises(rule, cell, self.scenario, self.catalogue)]
        unlisted = [rule for rule in acting if rule.trigger == "not-listed"]
        if self.state == "offline":
            return "impaired", [rule for rule in self.whitelists if not rule.listed], True
        if unlisted:
            return "impaired", unlisted, True
        everywhere = [rule for rule in acting if rule.trigger == "transport"]
        if refusing := [rule for rule in everywhere if rule.action.kind in REFUSING]:
            return "impaired", refusing, True
        if selective := self._strong((rule for rule in acting if rule.trigger in SELECTIVE), cell):
            return "restricted", selective, True
        if blocking := [rule for rule in acting if rule.trigger in SELECTIVE and self._blocks(rule, cell)]:
            return "restricted", blocking, False
        if blocking := [rule for rule in everywhere if self._blocks(rule, cell)]:
            return "impaired", blocking, False
        if throttling := [rule for rule in self._strong(everywhere, cell) if self._unusable(cell, rule)]:
            return "impaired", throttling, True
        return ("impaired" if self._unusable(cell) else "working"), [], not acting

    def _strong(self, rules: Iterable[Rule], cell: Cell) -> list[Rule]:
        return [rule for rule in rules if self._scored(rule, cell)]

    def _scored(self, rule: Rule, cell: Cell) -> bool:
        """Strong enough for the function; on a VPN path also what restricts its outer protocol, carrying a call."""
        action, way = rule.action, rule.direction
        if cell.path != "direct" and strength.voice(action, way, self._call(cell)):
            return True
        if cell.function == "voice":
            return strength.voice(action, way, self._call(cell))
        if cell.function == "media":
            return strength.media(action, way, self.network.link)
        return strength.text(action)

    def _blocks(self, rule: Rule, cell: Cell) -> bool:
        calls = cell.function == "voice" or cell.path != "direct"
        return strength.blocks(rule, cell.function, self._call(cell) if calls else None)

    def _call(self, cell: Cell) -> Call:
        if cell.path != "direct":
            vpn = self.catalogue.vpns[self.scenario.vpn]
            return call_of(vpn.name, "outer", "outer", vpn.app_port, cell.direction or "outgoing")
        form = forms_of(self.catalogue, cell.app, cell.function, cell.route)[0]
        return call_of(cell.app, cell.function, form.form, form.app_port, cell.direction or "outgoing")

    def _unusable(self, cell: Cell, rule: Rule | None = None) -> bool:
        """Whether the link leaves the function unusable: alone, or with what one rule on all UDP adds to it."""
        link = self.network.link
        if rule is not None:
            link = strength.link_under(rule.action, rule.direction, link, self._call(cell))
        if cell.function == "voice":
            return strength.voice_unusable(link, self.catalogue.apps[cell.app], self._call(cell))
        return strength.media_unusable(link) if cell.function == "media" else strength.text_unusable(link)

    def _reached(self, cell: Cell) -> bool:
        """Whether a residual block that another cell sets off can hit this one."""
        return any(
            self._spreads(rule, cell) and not recognises(rule, cell, self.scenario, self.catalogue)
            for rule in self.rules
            if rule.residual_s > 0 and rule.residual != "flow"
        )

    def _spreads(self, rule: Rule, cell: Cell) -> bool:
        """A host's block hits all that the participant does. A pair's hits what else goes to the same address: the peer
        has every direct cell's exchanges, an app's own prefix and a VPN's exit only their own."""
        sources = [c for c in cells(self.scenario) if recognises(rule, c, self.scenario, self.catalogue)]
        if rule.residual == "host":
            return bool(sources)
        return cell.path == "direct" and rule.trigger != "destination" and any(c.path == "direct" for c in sources)

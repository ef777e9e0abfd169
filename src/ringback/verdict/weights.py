"""Many tests in one session: weighted e-Bonferroni.

Accuse test i when its running e-value reaches 1 / (alpha w_i). By Ville's inequality and the union bound the chance of
any false accusation in a session is at most alpha sum(w) <= alpha, under any dependence between tests, adaptive
allocation of rounds among them and any stopping (cf. Wang and Ramdas, "False discovery rate control with e-values",
JRSS B 2022).
"""

from collections.abc import Mapping, Sequence

from ringback.errors import BadInput

ALPHA = 0.001  # per session


def thresholds(
    tests: Sequence[str], alpha: float = ALPHA, weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Threshold of each test that a session may run, fixed before it starts.

    weights: positive, one for each test, summing to at most 1; None: equal. Raises BadInput for anything else.
    """
    if not 0 < alpha < 1:
        raise BadInput("alpha must lie between 0 and 1", str(alpha))
    if len(set(tests)) != len(tests):
        raise BadInput("a test is named twice", "tests")
    if weights is None:
        weights = dict.fromkeys(tests, 1 / len(tests)) if tests else {}
    for test in tests:
        if not weights.get(test, 0.0) > 0:
            raise BadInput("needs a weight above 0", test)
    if sum(weights[test] for test in tests) > 1 + 1e-9:
        raise BadInput("the weights sum to more than 1", "weights")
    return {test: 1 / (alpha * weights[test]) for test in tests}

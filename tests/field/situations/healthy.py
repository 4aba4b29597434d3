"""Nothing is wrong: nobody may be accused, whatever goes on beside it."""

from __future__ import annotations

from tests.field import programs
from tests.field.proof import accepted, calm, queue_empty
from tests.field.situation import Figure, Situation, healthy

_ALL = healthy()

SITUATIONS = (
    Situation(
        name="accepts_in_bursts",
        story="All that wait are accepted every 300 ms; the queue of 4,096 has room.",
        server=programs.small("blocking", "--backlog 4096 --burst-every 0.3 --do keep"),
        command="churn {target} -n 500 -c 100",
        truth=_ALL,
        proofs=(accepted(500), *calm()),
    ),
    Situation(
        name="older_connections_beside",
        story="A hundred connections were there before the run, and stay.",
        server=programs.small("loop"),
        before=(programs.clients("--open 100"),),
        command="hold {target} -n 50 -d 2",
        truth=healthy(figures=(Figure(path="funnel.accepted", at_most=50),)),
        proofs=(accepted(150), *calm()),
    ),
    Situation(
        name="trickle_beside_burners",
        story="Two processes burn the cores; all 50 a second are answered.",
        server=programs.small("loop"),
        before=programs.burners(2),
        command="hold {target} -n 50 --trickle 50 -d 3",
        truth=_ALL,
        proofs=(accepted(50), queue_empty(), *calm()),
    ),
    Situation(
        name="rate_beside_burners",
        story="Two processes burn the cores; 200 requests a second are asked and answered.",
        server=programs.small("loop"),
        before=programs.burners(2),
        command="bench {target} --mode rate --rate 200 -c 20 -d 3",
        truth=_ALL,
        proofs=(accepted(20), *calm()),
    ),
)

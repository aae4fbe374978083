"""Accuracy under black-box attacks: Tables 4 to 6 of the preprint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, final

from tasks.report.tables import Table
from tasks.reproduce.comparison import accuracy_table
from tasks.reproduce.defences import NOTHING, trainings
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.parts import trained
from tasks.reproduce.published import BLACKBOX, SURROGATES
from tasks.run import Run
from tasks.vision.assess import journal_of
from tasks.vision.attacks import Transfer, fgsm, pgm
from tasks.vision.config import DROConfig
from tasks.vision.subject import identity
from tasks.vision.sweep import Assessment, Watch, sweep
from tasks.vision.transfer_matrix import transfer_matrix

OTHER: Final = 1000
"""Is added to a target's seed for its surrogates'."""
SLIM: Final = ("cifar10", "cifar100")
"""Where the learned attackers are the slim ones, as Tables 4 and 5 say of themselves."""
TARGETS: Final = tuple(BLACKBOX["cifar10"].rows)


@final
@dataclass(frozen=True)
class BlackBox(Experiment):
    """Every defence against images that were made against plainly, FGSM- and PGM-trained networks of another seed.

    Args:
        what: what it shows.
    """

    what: str
    data: tuple[str, ...] = tuple(BLACKBOX)

    def configs(self, request: Request) -> list[DROConfig]:
        """Return a training a defence and seed, and those of the surrogates."""
        sets = (self._targets(request), self._surrogates(request))
        # With seeds 1 and 1001 a target is a surrogate too.
        return list(dict.fromkeys(config for rows in sets for configs in rows.values() for config in configs))

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train all, then show each target the images that were made against each surrogate."""
        sweep(run, self.configs(request), Assessment(("PGM-10",)), workers=request.workers, watch=watch)
        targets, surrogates = self._targets(request), self._surrogates(request)
        done = {record["seed"] for record in run.results() if record.get("looks") == Transfer.looks}
        for number, seed in enumerate(request.seeds):
            if seed in done:
                continue
            of = {row: trained(run, configs[number]) for row, configs in targets.items()}
            against = {row: trained(run, configs[number]).model for row, configs in surrogates.items()}
            one = next(iter(of.values()))
            eps = one.config.eps
            models = {row: training.model for row, training in of.items()}
            journal = journal_of(run)
            found = transfer_matrix(models, against, one.split.test, [fgsm(eps), pgm(eps, 10)], journal=journal)
            run.append_results(
                identity(of[result.target], "test") | dataclasses.asdict(result) | {"seed": seed} for result in found
            )
            journal.finish()

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return the table beside the printed one."""
        rows = {row: configs[0].label for row, configs in self._targets(request).items()}
        columns = {
            f"{surrogate}: {attack}": f"{attack} from {surrogate}"
            for surrogate in SURROGATES
            for attack in ("FGSM", "PGM-10")
        }
        records = [record for record in run.results() if record["seed"] in request.seeds]
        published = BLACKBOX[request.data]
        return [accuracy_table(f"{self.what}, {request.data}", records, published, rows, {"clean": "clean"} | columns)]

    def _targets(self, request: Request) -> dict[str, list[DROConfig]]:
        attacker = request.scale.slim if request.data in SLIM else NOTHING
        return trainings(request.base, TARGETS, request.seeds, attacker=attacker)

    def _surrogates(self, request: Request) -> dict[str, list[DROConfig]]:
        return trainings(request.base, SURROGATES, tuple(seed + OTHER for seed in request.seeds))

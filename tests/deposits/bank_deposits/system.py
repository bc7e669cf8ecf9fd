"""Deposits as a system. What is heavy is imported inside, so that commands stay quick."""

from __future__ import annotations

from bank_deposits.case import DepositCase, parse_case
from riskwright.life.system import Columns


class Deposits:
    """What riskwright asks of the kind ``deposits``."""

    kind = "deposits"
    about = "is about deposits"

    # What a use case is, and what its models are.

    def case(self):
        return DepositCase

    def parse(self, text, *, where, folder=None):
        return parse_case(text, where=where, folder=folder)

    def open(self, folder, digest):
        from bank_deposits.model import Retention

        return Retention.load(folder, digest)

    def columns(self, case, model):
        from bank_deposits.model import OUTPUTS

        return Columns({"segment": True, "balance": True}, OUTPUTS)

    # A retrain.

    def ingest(self, case, location, home):
        from bank_deposits.training import ingest

        return ingest(case, location, home)

    def steps(self, case):
        from bank_deposits.training import STEPS

        return STEPS

    def log(self, work, tracker, parent, made):
        from bank_deposits.training import log

        log(tracker, parent, made)

    def logged_metrics(self, evidence, roles):
        from bank_deposits.training import logged_metrics

        return logged_metrics(evidence)

    def submission(self, work, run_id, made):
        from bank_deposits.training import submission

        return submission(work, run_id, made)

    def told(self, made):
        from bank_deposits.training import DepositEvidence

        return {"metrics": made.one(DepositEvidence).metrics}

    # Commands.

    def check(self, case, location, home):
        from bank_deposits.training import ingest

        return {"usecase": case.name, **ingest(case, location, home).plain()}

    def score(self, name, home, ledger, **asked):
        from bank_deposits.use import score

        return score(name, home, ledger, **asked)

    def monitor(self, name, home, ledger, **asked):
        from bank_deposits.use import monitor

        return monitor(name, home, ledger, **asked)


SYSTEM = Deposits()

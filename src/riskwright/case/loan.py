"""The parts of a use case's YAML that only a loan book has: its money and what may come."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from riskwright.case.sections import OneCode, Strict


class Pricing(Strict):
    """What a loan costs and has to earn, of its outstanding balance, a year."""

    funding: float = Field(0.02, ge=0, le=1)
    cost: float = Field(0.01, ge=0, le=1, description="of running the loan")
    hurdle: float = Field(0.10, ge=0, le=1, description="of capital, above what funding costs")
    margin: float = Field(0.01, ge=0, le=1, description="target, after all of it")


class Revolving(Strict):
    """Which loans are lines of credit, and what says how far they were drawn."""

    product: str = Field(description="column that tells lines from instalment loans")
    value: OneCode = Field(
        "revolving", description="of a line; any other value, or none, is an instalment loan"
    )
    limit: str = Field(description="credit limit; the money lent where it is missing")
    drawn_before: str = Field(description="drawn twelve months before the default")


Driver = Literal["unemployment", "gdp_growth", "house_prices", "policy_rate"]


class Outlook(Strict):
    """One scenario of the booked loss: what moves, in each driver's unit, and how likely it is."""

    weight: float = Field(ge=0, le=1)
    shocks: dict[Driver, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        {}, description="driver: points (or percent, of house prices) above today"
    )


# Weighted, they leave the log-odds of the PD about where they are: neither side is favoured
# (IFRS 9, 5.5.17(a)). Stress, such as 'severe', is no expectation and has no weight here.
OUTLOOKS: dict[str, Outlook] = {
    "upside": Outlook(
        weight=0.25, shocks={"unemployment": -2.0, "gdp_growth": 2.0, "house_prices": 10.0}
    ),
    "base": Outlook(weight=0.50),
    "mild": Outlook(weight=0.20, shocks={"unemployment": 1.5, "gdp_growth": -1.5}),
    "adverse": Outlook(
        weight=0.05,
        shocks={"unemployment": 3.5, "gdp_growth": -4.0, "house_prices": -10.0, "policy_rate": 1.0},
    ),
}


class Loan(Strict):
    """Which columns say what a loan is and, afterwards, what became of its money."""

    amount: str = Field(description="money lent")
    rate: str = Field(description="nominal rate a year, a fraction")
    term: str = Field(description="months")
    closed: str = Field(description="date of the last payment")
    repaid: str = Field(description="principal repaid by the borrower")
    recovered: str = Field(description="recovered after default")
    recovery_costs: str
    owed: str | None = Field(
        None, description="owed at default; where missing, what was lent less what was repaid"
    )
    recovered_on: str | None = Field(
        None, description="date of the recovery; where missing, 'recovery_months' hold"
    )
    revolving: Revolving | None = Field(None, description="where some loans are lines of credit")
    grade: str | None = Field(None, description="the lender's own verdict: for backtests by grade")
    population: dict[str, OneCode] | None = Field(
        None,
        min_length=1,
        description="column: value; training and test parts hold these loans only, while "
        "score, portfolio and monitor take all",
    )
    segments: tuple[str, ...] = Field((), description="columns that the reports divide the book by")
    grace_months: int = Field(
        4, ge=0, description="after the last payment: then the loan is in default"
    )
    window_months: int | None = Field(
        None,
        ge=12,
        description="months on book in which a default makes a loan bad; if left out the whole "
        "term, and 24 for loans of more than 84 months",
    )
    arrears: dict[OneCode, Annotated[int, Field(ge=0)]] = Field(
        {}, description="status: days past due that it means at least, where a file says fewer"
    )
    currency: str = "USD"
    exposure: Literal["corporate", "mortgage", "revolving", "retail"] = Field(
        "retail", description="class of the capital formula"
    )
    recovery_months: int = Field(
        12, ge=0, description="from default to recovery, where the source has no dates"
    )
    rho: float | None = Field(
        None, ge=0, lt=1, description="asset correlation; the capital formula's if left out"
    )
    rates: dict[str, float] = Field(
        {}, description="of a book in several currencies: what one unit of each is worth"
    )
    pricing: Pricing = Pricing()
    scenarios: dict[str, Outlook] = Field(
        OUTLOOKS, min_length=2, description="of the booked loss (IFRS 9); weights sum to 1"
    )
    loss_limit: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="of the balance: the yearly loss that reverse stress looks for; if left out "
        "what the book earns after funding and cost",
    )

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if abs((total := sum(s.weight for s in self.scenarios.values())) - 1) > 1e-9:
            raise ValueError(f"the weights of 'scenarios' sum to {total:g}, not to 1")
        return self

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Columns that are known only after the loan was made."""
        return (self.closed, self.repaid, self.recovered, self.recovery_costs)

    @property
    def optional_outcomes(self) -> tuple[str, ...]:
        """Outcomes that a file may lack."""
        before = self.revolving.drawn_before if self.revolving else None
        return tuple(name for name in (self.owed, self.recovered_on, before) if name)

"""Credit: how likely an applicant or a company is to default, and what to decide."""

"""Loans: what the loans that we hold will lose."""

"""Prefect flows and the command line: what runs, in which order, with which retries."""

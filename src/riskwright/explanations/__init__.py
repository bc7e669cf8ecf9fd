"""Why the model says what it says: reason codes, global importance, single cases."""

"""A folder for each kind of use case: all that is about one kind alone lies in its folder."""

"""Data room: from a file, database or simulator to hashed snapshots, splits and features."""

"""Files that are written whole or not at all, snapshots by content, manifests and seals."""

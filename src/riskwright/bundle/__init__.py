"""Old names, which ``served.py`` of versions registered before 0.5 imports: gone in 0.6."""

"""Proves `temporal_kit/`, and that the owner's files, as they were delivered, go with it."""

"""Workflows and activities. Keep this file free of imports.

For every workflow run the SDK's sandbox imports it again: with fifty workflows imported here, each
run took ten times as long.
"""

# Written by tools/sdk_async.py from _resources/__init__.py: edit that, then run 'make sdk-async'.
"""The resources of the awaiting client."""

"""The main job from end to end: ``python -m demo`` tells it as a story, ``python -m demo.serve`` leaves it running.

Everything goes the way an operator, a person and a partner would go: the command line, the pages, the SDK.
"""

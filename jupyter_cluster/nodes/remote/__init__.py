"""Scripts that run on hosts as they are: Python 3.9 or newer, the standard library and no package.

They are sent as text and started with the host's own python3.
"""

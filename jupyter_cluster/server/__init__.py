"""The page of a cluster, over HTTP: in a Jupyter server, behind its login, or alone, with a token.

The page shows what the panel shows, from the same stream of the head, and changes nothing.
"""

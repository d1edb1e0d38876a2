"""Clusters over HTTP, in a Jupyter server behind its login: the labextension's API, and pages.

`api` has the routes of the labextension, `handlers` those of the pages, which show what the panel
shows and change nothing; `alone` serves a page without a Jupyter server, with a token.
"""

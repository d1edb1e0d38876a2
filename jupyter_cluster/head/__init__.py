"""On the head node: what outlives a notebook.

``service`` starts the rest; ``dispatcher`` sends bundles to nodes and takes their results;
``job`` keeps the account of one job; ``journal`` is the database on disk; ``sessions`` are the
connected clients; ``scaling`` carries out the autoscaler's decisions; ``endpoint`` serves status
and control as JSON.
"""

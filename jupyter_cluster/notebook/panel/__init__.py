"""The live panel of a cluster in the notebook.

``live`` keeps the sections of ``jupyter_cluster.panel`` up to date and does what buttons say;
``widget`` is the part in the browser.
"""

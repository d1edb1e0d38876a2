"""The live panel of a cluster.

``sections`` draws what is said in words and tables, ``chart`` the rate and the nodes; ``live``
keeps both up to date and does what its buttons say; ``widget`` is the part in the browser.
"""

"""From a bare host to a running head or agent: SSH, files, container, environment, the steps.

Used by the client for the head and by the head's provisioning process for the workers, alike.
"""

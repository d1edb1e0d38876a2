"""On a worker node: the agent, its slots and what runs in them.

``service`` keeps the connection to the head; ``pool`` decides which bundle runs in which slot;
``slot`` is the agent's end of a child process, ``runner`` the child's own; ``zygote`` forks the
children; ``spool`` keeps results until the head has them in its journal.
"""

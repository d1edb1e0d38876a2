"""What a notebook, a script or a terminal uses: clusters, remote functions, refs and jobs."""

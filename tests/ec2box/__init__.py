"""An EC2 in a box: moto for the API and, behind every instance, a real host with its own sshd.

Run inside `enter.sh`, as ``python -m ec2box``; tests speak to it through `ec2box.rig.Rig`.
"""

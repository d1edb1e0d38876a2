"""Nodes as EC2 instances: what is asked of AWS, and what is left there when a cluster has ended."""

from __future__ import annotations

from jupyter_cluster.providers.aws.provider import AwsProvider

__all__ = ["AwsProvider"]

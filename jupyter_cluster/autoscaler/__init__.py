"""When to launch a node and when to end one.

Pure logic: a `jupyter_cluster.model.Snapshot` goes in, a decision comes out. It knows no clock, no
I/O, no engine and no cloud.

- `decide`: the policy; what the scaling loop calls.
- `plan`: the packing beneath it; which nodes hold the work and which are to be bought for the rest.
"""

from jupyter_cluster.autoscaler.boots import BootTimes
from jupyter_cluster.autoscaler.packing import Cause, Plan, Purchase, plan
from jupyter_cluster.autoscaler.policy import decide

__all__ = ["BootTimes", "Cause", "Plan", "Purchase", "decide", "plan"]

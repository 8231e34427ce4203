"""
Every AWS call that our code makes, and the rights at AWS that it needs: the one table behind all IAM policies.

A call is written as service:Operation; most need the right of the same name. A test fails when our code makes a call
that isn't here, another when nothing makes one that is.

Source:
    "Actions, resources, and condition keys" of EC2, S3, IAM, CloudFormation and Systems Manager in AWS's Service
    Authorization Reference; "Spot Fleet permissions" in EC2's user guide.
"""

from annex_core.account.daily_rights import DAILY, NO_ADMIN, NO_ADMIN_FLEET
from annex_core.account.lent_rights import INSTANCE, REAPER
from annex_core.account.setup_rights import SETUP

RIGHTS = (*SETUP, *DAILY, *INSTANCE, *REAPER, *NO_ADMIN, *NO_ADMIN_FLEET)

NEED_NO_RIGHT = frozenset({"sts:GetCallerIdentity"})

CALLS = NEED_NO_RIGHT.union(*(right.calls.split() for right in RIGHTS))
"""All that our code may call."""

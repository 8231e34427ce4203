"""
Every error this package raises, by the recovery it asks for.

    AnnexError
    ├── Refused            give up: what was asked can't be done as it stands; the sentence is for the asker
    │   ├── BadRoute       an admin's route macro; names route, macro and reason
    │   └── BadRequest     a user's wish, or a malformed message on the socket
    ├── Unavailable        retry at the next cycle: the other side didn't answer, or asked us to slow down
    │   └── Throttled
    ├── NoCapacity         re-plan: AWS has none of what was asked for, in that type and zone
    ├── OverQuota          re-plan: the account's quota stands in the way; an admin must raise it
    │   └── OverVcpuQuota  likewise, for one class of instance types; others may do
    ├── OutcomeUnknown     reconcile by client token before trying again: the call may have acted
    ├── NotPermitted       give up until the credentials or the policy change
    └── JournalBroken      stop: without the journal nothing may be launched

The daemon's loop acts on these classes alone and never on the text. AWS's error codes become classes in one
table, adapters/aws_errors.py.
"""


class AnnexError(Exception):
    """Any failure of ours; str() is one sentence a person can act on."""


class Refused(AnnexError):  # noqa: N818 - named after the recovery, as the tree above says
    """What was asked can't be done as it stands."""


class BadRoute(Refused):
    """A route's macros don't make a recipe; the last good version of that route stays in force."""

    def __init__(self, route: str, reason: str) -> None:
        super().__init__(f"route {route}: {reason}")
        self.route = route
        self.reason = reason


class BadRequest(Refused):
    """A user's wish or a message on the socket that can't be taken as it is."""


class Unavailable(AnnexError):  # noqa: N818
    """The other side did not answer, or not with an answer; nothing was changed."""


class Throttled(Unavailable):
    """The other side asked us to slow down."""


class NoCapacity(AnnexError):  # noqa: N818
    """AWS has no capacity for this request now."""


class OverQuota(AnnexError):  # noqa: N818
    """A quota of the account stands in the way."""


class OverVcpuQuota(OverQuota):
    """A quota of vCPUs, or of the Spot instances that they count as, is used up in one class of instance types."""


class OutcomeUnknown(AnnexError):  # noqa: N818
    """The call may or may not have acted."""


class NotPermitted(AnnexError):  # noqa: N818
    """The credentials don't allow the call, or are no longer good."""


class JournalBroken(AnnexError):  # noqa: N818
    """The journal can't be read or written."""

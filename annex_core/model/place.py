"""Where something stands at AWS, and in whose account: nobody else's credentials show it, or end it."""

from __future__ import annotations

SITE = "site"
"""The daemon's own credentials."""
OWNER = "owner"
"""Those of each annex's owner: their key files. Of one owner they are `owner alice`."""

_AT, _BY = " at ", " by "


class Place(str):
    """
    A region as one set of credentials reaches it at one endpoint; all that the daemon knows of AWS goes by places.

    It reads well in a sentence: `us-east-2`, which is AWS's own endpoint by the site's credentials, else such as
    `us-east-2 at http://127.0.0.1:4566` or `us-east-2 by profile physics`.
    """

    __slots__ = ()

    @classmethod
    def of(cls, region: str, endpoint: str | None = None, credentials: str = SITE) -> Place:
        at = _AT + endpoint if endpoint else ""
        by = "" if credentials == SITE else _BY + credentials
        return cls(region + at + by)

    @property
    def region(self) -> str:
        """AWS's name of it."""
        return self._reached[0].partition(_AT)[0]

    @property
    def endpoint(self) -> str | None:
        """Where it answers, if not at AWS's own."""
        return self._reached[0].partition(_AT)[2] or None

    @property
    def credentials(self) -> str:
        """As AnnexCredentials names them."""
        return self._reached[1] or SITE

    @property
    def owner(self) -> str | None:
        """Whose own keys reach it; None where it is reached by the site's."""
        kind, _, owner = self.credentials.partition(" ")
        return owner if kind == OWNER else None

    @property
    def _reached(self) -> tuple[str, str]:
        """Neither a region nor a URL has a blank; the name of a profile may have some, and comes last."""
        where, _, credentials = self.partition(_BY)
        return where, credentials

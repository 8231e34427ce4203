"""IDTOKENs of execution points, signed with the key that the annex collector alone trusts."""

import os
import subprocess
from pathlib import Path

import htcondor2

from annex_core.errors import Unavailable

_KEY = "ANNEX_SIGNING_KEY"
"""The knob that names the key's file: made by the annex collector at its first start, as the user we run as."""

_RIGHTS = ("ADVERTISE_STARTD", "ADVERTISE_MASTER", "READ")
"""To join the annex collector and register with its CCB; nothing else."""

_DEADLINE_S = 10


class CollectorTokens:
    """ports.Tokens over condor_token_create."""

    def issue(self, identity: str, lifetime_s: int) -> str:
        """
        Sign a token that is good for joining as *identity* and for nothing else.

        Args:
            identity: USER@DOMAIN, as the collector will stamp it on slot ads.
            lifetime_s: Seconds from now, 1 or more.

        Raises:
            Unavailable: There is no key yet, or it can't be used.
        """
        if lifetime_s < 1:  # which condor_token_create takes for "never expires"
            raise ValueError(f"no token for {identity} can be good for {lifetime_s} s")
        key = htcondor2.param.get(_KEY) or ""
        if not Path(key).is_file():  # else condor_token_create would try, and blame, the site's own key
            raise Unavailable(f"no signing key at {_KEY} ({key or 'not set'}): has the annex collector started?")
        rights = [word for right in _RIGHTS for word in ("-authz", right)]
        # A knob in the environment wins over the configuration's: our key takes the place of the site's.
        knobs = {"_CONDOR_SEC_TOKEN_POOL_SIGNING_KEY_FILE": key, "_CONDOR_SEC_TOKEN_ISSUER_KEY": "POOL"}
        try:
            done = subprocess.run(
                ["condor_token_create", "-identity", identity, *rights, "-lifetime", str(lifetime_s)],
                env=os.environ | knobs,
                capture_output=True,
                text=True,
                check=False,
                timeout=_DEADLINE_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"no token for {identity}: {error}") from error
        if done.returncode or not done.stdout.strip():
            why = " ".join(done.stderr.split()) or "condor_token_create said nothing"
            raise Unavailable(f"no token for {identity}: {why}")
        return done.stdout.strip()

"""condor_annex VERB: what operators and users type."""

import os
import sys
from collections.abc import Callable, Sequence

HELP = """\
condor_annex shows and checks annexes: machines from AWS that come for jobs, run them and go.

    condor_annex status [NAME] [-owner USER] [-json]
        The annexes as the daemon knows them: your own; for administrators everybody's. With NAME, the fleets and
        machines of that annex as well. -json prints all there is, by schemas/status.json.
    condor_annex costs [-by annex|owner|project|route|month] [-month YYYY-MM] [-owner USER] [-json]
        What annexes have cost so far, finished ones included, by month: an estimate from above.
    condor_annex plan [-route ROUTE] [-json] [condor_submit's options] SUBMIT-FILE
        Submit nothing, and say what would be launched for the jobs, at what price, when the last of them would end and
        which caps bind. The exit status is 1 when some of them would never run.
    condor_annex why NAME | JOB [-owner USER] [-json]
        What was decided for the idle jobs of an annex, or for one job such as 12.3, and why they get no more.
    condor_annex create NAME [-instances N | -slots N] [-duration TIME | -until MOMENT] [-yes] [...]
        Rent machines by hand, for a new annex or one that lives. It shows what they are and cost at most, and asks;
        with -dry-run it shows no more than that. create -help lists all its options.
    condor_annex extend NAME -duration TIME | -until MOMENT
        Move the end of its lease, later or sooner.
    condor_annex end NAME [-now]; condor_annex end -all [-now]
        End it when its running jobs have ended, or now. off is another word for it. Jobs that wait begin no new one
        until thaw.
    condor_annex destroy NAME -verify
        End it now, and wait until nothing of it is left; the exit status is 1 when something is.
    condor_annex freeze NAME | -project NAME | -all; condor_annex thaw ...
        Launch nothing for it, until thaw; what runs stays.
    condor_annex lint
        Check the routes in HTCondor's configuration, and the job router's hooks. Every error and warning is a line of
        its own; the exit status is 1 when there is an error.
    condor_annex config [NAME] [-route ROUTE] [-json]
        Every setting that is in force, and who said it: a command, a job, the route, the pool, or nobody. With NAME,
        as it is for that annex.
    condor_annex check-connectivity [COLLECTOR] [-regions REGION ...]
        Ask who is at the addresses where machines report, from here and from inside the account, and say what to open.
        The exit status is 1 unless all of them lead to this pool's annex collector.
    condor_annex setup [-regions REGION ...] [-vpc ID] [-dry-run] [-yes]
        Make what annexes need in an AWS account: bucket, roles, reaper, security group. Again, it changes nothing. It
        ends with the lines for a route. FROM INSTANCE or two key files behind it say who signs.
    condor_annex check-setup [-regions REGION ...]
        Look at each of them for what it is. Below what is wrong stands what to run; the exit status is 1 then.
    condor_annex teardown [-regions REGION ...] [-dry-run] [-yes]
        Remove all of it, unless annexes live, and list what is left, other regions named; the exit status is 1 when
        something is.
        Like the withdrawn tool's, these three verbs may have a dash before them.
    condor_annex policies [setup|daily|instance|reaper|no-admin|no-admin-fleet] [-project NAME]
        IAM policies for who sets the account up, for the daemon, for what set-up makes, and for an account without it,
        by RunInstances or by EC2 Fleet: no more rights than our calls need.
    condor_annex replay [-since 30d] [-route R ...] [-policy P ...] [-plot NAME] [-json] [FILE]
        What a history would have cost and waited: condor_history's output, job_queue.log or SWF; without FILE the
        schedd's own. Policies to compare with: fixed:N, feedback:N, idle:N, oracle, all.
    condor_annex -annex-name NAME -count N ...; condor_annex --project-id ID ...
        The command lines of the withdrawn condor_annex, and of the script before it, option by option as
        docs/old-options.md says.

Jobs ask for an annex in their submit file: annex_name = NAME.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Returns:
        0; 1 when the verb found something wrong or got no answer; 2 when the command line makes no sense.
    """
    verb, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["-help"]
    try:
        try:
            return _do(verb, rest)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\ncondor_annex {verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever reads has enough, as head does; what is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _do(verb: str, rest: Sequence[str]) -> int:
    # Each verb's imports are its own: status has no need of what lint loads, and neither needs boto3.
    match verb:
        case "status":
            from annex_core.cli import status

            if status.is_condor_status(rest):
                from annex_core.cli import old_options

                return old_options.run([verb, *rest])

            return status.run(rest)
        case "costs":
            from annex_core.cli import costs

            return costs.run(rest)
        case "why":
            from annex_core.cli import why

            return why.run(rest)
        case "plan":
            from annex_core.cli import plan

            return plan.run(rest)
        case "create":
            from annex_core.cli import create

            return create.run(rest)
        case "extend" | "end" | "destroy" | "freeze" | "thaw":
            from annex_core.cli import steering

            steer: Callable[[Sequence[str]], int] = getattr(steering, verb)
            return steer(rest)
        case "off":
            from annex_core.cli import steering

            return steering.end(rest, "off")
        case "config":
            from annex_core.cli import config

            return config.run(rest)
        case "lint":
            from annex_core.cli import lint

            return lint.run(rest)
        case "check-connectivity":
            from annex_core.cli import check_connectivity

            return check_connectivity.run(rest)
        case "-setup" | "-check-setup":
            from annex_core.cli import old_options

            return old_options.account(verb, rest)
        case "setup":
            from annex_core.cli import setup

            return setup.run(rest)
        case "check-setup":
            from annex_core.cli import check_setup

            return check_setup.run(rest)
        case "teardown" | "-teardown":
            from annex_core.cli import teardown

            return teardown.run(rest)
        case "replay":
            from annex_core.cli import replay

            return replay.run(rest)
        case "policies":
            from annex_core.cli import policies

            return policies.run(rest)
        case "help" | "-h" | "-help" | "--help":
            print(HELP, end="")
            return 0
        case _:
            from annex_core.legacy.reading import is_old

            if is_old([verb]):
                from annex_core.cli import old_options

                return old_options.run([verb, *rest])
            print(f"condor_annex: there is no verb {verb}; condor_annex -help lists them", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())

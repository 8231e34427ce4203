"""What becomes of the annex_* commands at submit, whichever way a job is submitted, and what is refused."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal.pool import DOMAIN, Pool

SLEEP = "executable = /bin/sleep\narguments = 1\nrequest_memory = 64\nrequest_disk = 1024\n"
UNBOUND = '+AnnexRoute = "nowhere"\n'
"""With a route that isn't there nothing is launched for a job, and no router touches it."""


MATCH = f"""
import classad2, json, sys
import htcondor2  # without it the first ad that is parsed knows no function of HTCondor's own, such as versionGE
fits = dict(Arch="X86_64", OpSys="LINUX", Memory=4096, Disk=10**7, Cpus=4, HasFileTransfer=True, Requirements=True,
            CondorVersion="$CondorVersion: 25.14.1 2026-08-21 $")
def slot(identity=None, **more):
    return classad2.ClassAd({{**fits, **({{"AuthenticatedIdentity": identity}} if identity else {{}}), **more}})
slots = {{
    "alice.blue": slot("annex-alice.blue@{DOMAIN}", AnnexName="blue"),
    "alice.red": slot("annex-alice.red@{DOMAIN}", AnnexName="red"),
    "bob.blue": slot("annex-bob.blue@{DOMAIN}", AnnexName="blue"),
    "alice.red claiming to be blue": slot("annex-alice.red@{DOMAIN}", AnnexName="blue"),
    "home claiming to be blue": slot("condor@{DOMAIN}", AnnexName="blue"),
    "nobody claiming to be blue": slot(AnnexName="blue"),
    "home": slot("condor@{DOMAIN}"),
}}
jobs = [classad2.parseOne(text) for text in sys.stdin.read().split("\\n\\n") if text.strip()]
jobs.sort(key=lambda job: job["ProcId"])
print(json.dumps([[name for name, ad in slots.items() if job.symmetricMatch(ad)] for job in jobs]))
"""
"""Which of all the slots that might be taken for a job's own match it, for each job on standard input."""


def ads(pool: Pool, constraint: str, count: int) -> list[dict[str, Any]]:
    """The jobs' ads as the schedd has them, once there are so many."""

    def look() -> list[dict[str, Any]]:
        found = pool.jobs(constraint)
        return found if len(found) >= count else []

    return sorted(pool.wait_for(look, f"{count} jobs with {constraint}"), key=lambda ad: int(ad["ProcId"]))


def takers(pool: Pool, constraint: str) -> list[set[str]]:
    """For each job: the slots it matches, both ways."""
    long = pool.ap.run(["condor_q", "-allusers", "-long", "-constraint", constraint]).stdout
    python = f"{pool.knob('ANNEX_PREFIX')}/bin/python"
    return [set(names) for names in json.loads(pool.ap.run([python, "-c", MATCH], input=long).stdout)]


def check_steered(pool: Pool, constraint: str, count: int, project: str = "alice") -> None:
    jobs = ads(pool, constraint, count)
    assert [job["ProcId"] for job in jobs] == list(range(count))
    assert takers(pool, constraint) == [{"alice.blue"}] * count
    assert {job["TargetAnnexName"] for job in jobs} == {"blue"}
    assert {job["AnnexProject"] for job in jobs} == {project}
    assert [job.get("HookKeyword") for job in jobs] == ["ANNEX"] + [None] * (count - 1)


def refusal(pool: Pool, text: str, user: str = "alice") -> str:
    """What condor_submit prints for a job that must be refused."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        pool.submit(user, SLEEP + text + "\nqueue\n")
    said: str = refused.value.stderr
    return said


class TestEveryWayOfSubmittingIsSteered:
    def test_each_job_of_a_cluster(self, pool: Pool) -> None:
        cluster = pool.submit("alice", SLEEP + UNBOUND + "annex_name = blue\nqueue 3\n")
        check_steered(pool, f"ClusterId == {cluster}", 3)

    def test_queue_from(self, pool: Pool) -> None:
        cluster = pool.submit(
            "alice",
            SLEEP + UNBOUND + "annex_name = blue\nrequirements = Cpus >= $(n)\nqueue n from numbers\n",
            {"numbers": "1\n2\n"},
        )
        check_steered(pool, f"ClusterId == {cluster}", 2)
        jobs = ads(pool, f"ClusterId == {cluster}", 2)
        assert [f"Cpus >= {n}" in str(jobs[n - 1]["AnnexJobRequirements"]) for n in (1, 2)] == [True, True]

    def test_late_materialisation(self, pool: Pool) -> None:
        text = SLEEP + UNBOUND + "annex_name = blue\nannex_lifetime = 2h\nmax_materialize = 2\nqueue 5\n"
        cluster = pool.submit("alice", text)
        check_steered(pool, f"ClusterId == {cluster}", 2)
        jobs = ads(pool, f"ClusterId == {cluster}", 2)
        assert {job["AnnexLifetime"] for job in jobs} == {7200}

    def test_spooled(self, pool: Pool) -> None:
        cluster = pool.submit(
            "alice", SLEEP + UNBOUND + "annex_name = blue\nqueue 2\n", command=["condor_submit", "-spool"]
        )
        check_steered(pool, f"ClusterId == {cluster}", 2)

    def test_remote(self, pool: Pool) -> None:
        command = ["condor_submit", "-remote", pool.ap.name]
        cluster = pool.submit("alice", SLEEP + UNBOUND + "annex_name = blue\nqueue 2\n", command=command)
        check_steered(pool, f"ClusterId == {cluster}", 2)

    def test_the_jobs_of_a_dag(self, pool: Pool) -> None:
        home = pool.ap.home("alice")
        pool.ap.write(f"{home}/dag/node.sub", SLEEP + UNBOUND + "annex_name = blue\nqueue\n", user="alice")
        pool.ap.write(f"{home}/dag/a.dag", "JOB A node.sub\n", user="alice")
        pool.ap.run(["condor_submit_dag", "a.dag"], user="alice", cwd=f"{home}/dag")
        try:
            check_steered(pool, 'DAGNodeName == "A"', 1)
        finally:
            pool.ap.run(["condor_rm", "-all"], user="alice")

    def test_the_python_bindings(self, pool: Pool) -> None:
        commands = {"executable": "/bin/sleep", "arguments": "1", "annex_name": "blue", "My.AnnexRoute": '"nowhere"'}
        code = f"import htcondor2 as h; print(h.Schedd().submit(h.Submit({commands!r}), count=2).cluster())"
        python = [f"{pool.knob('ANNEX_PREFIX')}/bin/python", "-c", code]
        # HTCondor 23.9's FS does not bind the channel, which newer bindings ask for.
        settings = {"_CONDOR_SEC_FS_ENFORCE_CHANNEL_BINDING": "false"}
        cluster = int(pool.ap.run(python, user="alice", env=settings).stdout)
        check_steered(pool, f"ClusterId == {cluster}", 2)

    def test_the_annex_option_wins_over_the_file_s_own_line(self, pool: Pool) -> None:
        submit = f"{pool.knob('ANNEX_PREFIX')}/bin/condor_submit_annex"
        cluster = pool.submit(
            "alice",
            SLEEP + UNBOUND + "annex_name = green\nqueue 2\n",
            command=[submit, "-annex", "blue", "-annex-project", "Higgs"],
        )
        check_steered(pool, f"ClusterId == {cluster}", 2, project="Higgs")

    def test_condor_submit_takes_the_option_in_a_login_shell(self, pool: Pool) -> None:
        home = pool.ap.home("alice")
        pool.ap.write(f"{home}/login.sub", SLEEP + UNBOUND + "queue\n", user="alice")
        command = "condor_submit -terse -annex blue login.sub"
        said = pool.ap.run(["bash", "--login", "-c", command], user="alice", cwd=home).stdout
        check_steered(pool, f"ClusterId == {said.partition('.')[0]}", 1)


class TestAttributes:
    def of(self, pool: Pool, commands: str) -> dict[str, Any]:
        cluster = pool.submit("alice", SLEEP + f"annex_name = blue\nhold = True\n{commands}\nqueue\n")
        [job] = ads(pool, f"ClusterId == {cluster}", 1)
        return job

    def test_every_command_becomes_its_attribute(self, pool: Pool) -> None:
        job = self.of(
            pool,
            "annex_lifetime = 90m\nannex_idle = 120\nannex_max_instances = 7\nannex_max_hourly_cost = 2.5\n"
            "annex_budget = 100\nannex_instance_types = c5.large, m5.large\nannex_on_demand = False\n",
        )
        wishes = {
            "AnnexLifetime": 5400, "AnnexIdleTimeout": 120, "AnnexMaxInstances": 7, "AnnexMaxHourlyCost": 2.5,
            "AnnexBudget": 100.0, "AnnexInstanceTypes": "c5.large,m5.large", "AnnexOnDemand": False,
        }  # fmt: skip
        assert {name: job[name] for name in wishes} == wishes

    @pytest.mark.parametrize(
        ("commands", "project"),
        [
            ("annex_project = Higgs\n+ProjectName = \"P\"\naccounting_group = group_g", "Higgs"),
            ("+ProjectName = \"P\"\naccounting_group = group_g", "P"),
            ("accounting_group = group_g", "group_g"),
            ("", "alice"),
        ],
        ids=["the command", "else ProjectName", "else the accounting group", "else the owner"],
    )  # fmt: skip
    def test_the_project_is_taken_from(self, pool: Pool, commands: str, project: str) -> None:
        assert self.of(pool, commands)["AnnexProject"] == project

    def test_a_hook_keyword_of_the_user_s_own_is_left_alone(self, pool: Pool) -> None:
        assert self.of(pool, '+HookKeyword = "MINE"')["HookKeyword"] == "MINE"

    def test_machine_attributes_of_the_user_s_own_are_kept(self, pool: Pool) -> None:
        found = str(self.of(pool, "job_machine_attrs = KFlops")["JobMachineAttrs"]).replace(" ", "").split(",")
        ours = ["EC2InstanceID", "EC2InstanceType", "AnnexName", "AnnexHourlyPrice", "TotalCpus", "TotalMemory"]
        assert found == ["KFlops", *ours]

    def test_macros_in_requirements_are_not_expanded_by_the_schedd(self, pool: Pool) -> None:
        job = self.of(pool, 'requirements = "$(DOLLAR)(SPOOL)$(DOLLAR)ENV(HOME)" =!= Cpus')
        assert "$(SPOOL)$ENV(HOME)" in str(job["AnnexJobRequirements"])

    def test_a_cost_that_the_user_claims_is_dropped(self, pool: Pool) -> None:
        assert "MachineAttrAnnexHourlyPrice0" in str(self.of(pool, "+AnnexCost = 0.0")["AnnexCost"])

    def test_the_user_cannot_edit_the_cost(self, pool: Pool) -> None:
        cluster = pool.submit("alice", SLEEP + "annex_name = blue\nhold = True\nqueue\n")
        edited = pool.ap.run(["condor_qedit", str(cluster), "AnnexCost", "0.0"], user="alice", check=False)
        assert edited.returncode != 0

    def test_an_attribute_of_a_megabyte_is_no_trouble(self, pool: Pool) -> None:
        job = self.of(pool, f'+Big = "{"x" * 1_000_000}"')
        assert len(job["Big"]) == 1_000_000
        assert takers(pool, f"ClusterId == {job['ClusterId']}") == [{"alice.blue"}]

    def test_a_job_that_may_also_run_at_home_is_told_by_annex_after(self, pool: Pool) -> None:
        job = self.of(pool, "annex_after = 1h")
        assert job["AnnexAfter"] == 3600
        assert takers(pool, f"ClusterId == {job['ClusterId']}") == [{"alice.blue", "home"}]


class TestUsersWhoWriteTheAttributesThemselves:
    """+ATTRIBUTE in the submit file, in place of the commands."""

    @pytest.mark.parametrize(
        "attributes",
        [
            '+AnnexProject = "p"\n+TargetAnnexName = "blue"',
            '+AnnexProject = "p"\n+TargetAnnexName = "blue"\n+AnnexSteered = True',
            'annex_name = blue\n+AnnexSteered = True\n+AnnexJobRequirements = True',
            'annex_name = blue\n+TargetAnnexName = "red"',
            "annex_name = blue\n+RoutedFromJobId = \"1.0\"\n+AnnexJobRequirements = True",
        ],
    )  # fmt: skip
    def test_are_steered_all_the_same(self, pool: Pool, attributes: str) -> None:
        cluster = pool.submit("bob", SLEEP + f"hold = True\n{attributes}\nqueue\n")
        assert takers(pool, f"ClusterId == {cluster}") == [{"bob.blue"}]

    def test_a_job_for_htcondor_s_own_hpc_annexes_is_not_ours(self, pool: Pool) -> None:
        cluster = pool.submit("alice", SLEEP + 'hold = True\n+TargetAnnexName = "blue"\nqueue\n')
        [job] = ads(pool, f"ClusterId == {cluster}", 1)
        assert "AnnexSteered" not in job


class TestJobsThatAskForNoAnnex:
    def test_are_untouched(self, pool: Pool) -> None:
        home = pool.ap.home("alice")
        pool.ap.write(f"{home}/plain.sub", SLEEP + "hold = True\nqueue\n", user="alice")
        pool.ap.run(["condor_submit", "-dump", "plain.ad", "plain.sub"], user="alice", cwd=home)
        said = pool.ap.run(["condor_submit", "-terse", "plain.sub"], user="alice", cwd=home).stdout
        kept = pool.ap.run(["condor_q", "-long", said.split()[0]], user="alice").stdout
        sent = attributes(pool.ap.read(f"{home}/plain.ad"))
        has = attributes(kept)
        differ = {name for name in sent if sent[name] != has.get(name)}
        assert differ <= {"ClusterId", "QDate", "EnteredCurrentStatus", "Owner", *SIZES}
        assert len(sent) > 40
        # The schedd lists there, for every job, what its negotiators look at.
        assert "annex" not in "".join(f"{name}{has[name]}" for name in has.keys() - {"AutoClusterAttrs"}).lower()

    def test_may_say_that_they_never_want_one(self, pool: Pool) -> None:
        cluster = pool.submit("alice", SLEEP + "hold = True\nannex_never = True\nqueue\n")
        [job] = ads(pool, f"ClusterId == {cluster}", 1)
        assert job["AnnexNever"] is True
        assert "home" in takers(pool, f"ClusterId == {cluster}")[0]


SIZES = {"ExecutableSize", "ImageSize", "DiskUsage"}
"""What condor_submit does not look at when it only dumps."""


def attributes(long: str) -> dict[str, str]:
    """The ad's lines, name to expression, however the equals sign is set."""
    lines = [line.partition("=") for line in long.splitlines() if "=" in line]
    return {name.strip(): value.strip() for name, _, value in lines}


NAME = "annex_name must be 1 to 37 letters, digits and dashes"

REFUSED: Mapping[str, tuple[str, str]] = {
    "an empty name": ('+annex_name = ""', "an empty annex_name counts as none"),
    "a name of 300 characters": (f"annex_name = {'x' * 300}", NAME),
    "a name with quotes": ("annex_name = bl'u\"e", NAME),
    "a name with a line break": ('+annex_name = "blue\\n"', NAME),
    "a name with a path": ("annex_name = ../blue", NAME),
    "a name with an underscore": ("annex_name = blue_1", NAME),
    "a name with a dot": ("annex_name = alice.blue", NAME),
    "a name that is not ASCII": ("annex_name = bläu", NAME),
    "a name that is a number": ("+annex_name = 5", NAME),
    "a name of a megabyte": (f'+annex_name = "{"x" * 1_000_000}"', NAME),
    "a name that refers to itself": ("+annex_name = annex_name", "no annex_name"),
    "commands without a name": ("annex_lifetime = 3h", "no annex_name"),
    "an empty name among other commands": ("annex_name =\nannex_budget = 3", "no annex_name"),
    "a project without a name": ('+AnnexProject = "p"', "no annex_name"),
    "a project that can't be a tag": ("annex_name = blue\nannex_project = a{b}", "annex_project must be"),
    "a lifetime in words": ("annex_name = blue\nannex_lifetime = long", "from 5m to 30d"),
    "a negative lifetime": ("annex_name = blue\nannex_lifetime = -3600", "not '-3600'"),
    "a short lifetime": ("annex_name = blue\nannex_lifetime = 10", "from 5m to 30d"),
    "a lifetime of many days": ("annex_name = blue\nannex_lifetime = 40d", "not '40d'"),
    "an idle time of some seconds": ("annex_name = blue\nannex_idle = 30s", "not '30s'"),
    "a long time at home": ("annex_name = blue\nannex_after = 31d", "not '31d'"),
    "a huge lifetime": ("annex_name = blue\nannex_lifetime = 99999999999999999999d", "annex_lifetime must be"),
    "an expression for a lifetime": ("annex_name = blue\n+AnnexLifetime = time()", "annex_lifetime must be"),
    "an idle time of nothing": ("annex_name = blue\nannex_idle = 0", "from 1m to 1d"),
    "a negative time at home": ("annex_name = blue\nannex_after = -1", "from 0 to 30d"),
    "no instances": ("annex_name = blue\nannex_max_instances = 0", "from 1 to 10000"),
    "half an instance": ("annex_name = blue\nannex_max_instances = 1.5", "from 1 to 10000"),
    "too many instances": ("annex_name = blue\nannex_max_instances = 99999999999", "not '99999999999'"),
    "a free hour": ("annex_name = blue\nannex_max_hourly_cost = 0", "more than 0 and at most 100000"),
    "a budget that is no number": ("annex_name = blue\nannex_budget = nan", "more than 0 and at most 1000000"),
    "a budget without end": ("annex_name = blue\n+AnnexBudget = real(\"INF\")", "annex_budget must be"),
    "types that are none": ("annex_name = blue\nannex_instance_types = big", "annex_instance_types must be"),
    "neither a market nor the other": ("annex_name = blue\nannex_on_demand = perhaps", "must eval to a boolean"),
    "both never and now": ("annex_name = blue\nannex_never = True", "exclude each other"),
    "another universe": ("annex_name = blue\nuniverse = local", "vanilla, container and docker"),
    "a factory whose name is bad": ("annex_name = a_b\nmax_materialize = 1", NAME),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_with_a_reason(pool: Pool, text: str, reason: str) -> None:
    said = refusal(pool, text)
    assert reason in said
    assert len(said) < 1000


def test_a_pool_without_annex_routes_says_so(pool: Pool) -> None:
    knob = "/etc/condor/config.d/99-no-routes.config"
    pool.ap.write(knob, "ANNEX_ROUTE_NAMES =\n")
    pool.ap.run(["condor_reconfig"])
    try:
        pool.wait_for(
            lambda: "No route of this access point makes annexes" in attempt(pool), "the schedd's reconfiguration"
        )
    finally:
        pool.ap.run(["rm", knob])
        pool.ap.run(["condor_reconfig"])
        pool.wait_for(lambda: not attempt(pool), "the routes' return")


def attempt(pool: Pool) -> str:
    """Submit a held job for an annex; what was wrong with it, or nothing."""
    try:
        pool.submit("alice", SLEEP + "annex_name = blue\nhold = True\nqueue\n")
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    return ""


def test_a_schedd_that_lost_the_steering_takes_no_annex_job(pool: Pool) -> None:
    knob = "/etc/condor/config.d/99-no-steering.config"
    pool.ap.write(knob, "JOB_TRANSFORM_AnnexSteer = REQUIREMENTS nonsense(\n")
    pool.ap.run(["condor_reconfig"])
    try:
        pool.wait_for(lambda: "was not steered" in attempt(pool), "the schedd's reconfiguration")
    finally:
        pool.ap.run(["rm", knob])
        pool.ap.run(["condor_reconfig"])
        pool.wait_for(lambda: not attempt(pool), "the steering's return")


def test_one_job_in_a_thousand_runs_the_hooks(pool: Pool) -> None:
    cluster = pool.submit("alice", SLEEP + UNBOUND + "annex_name = thousands\nqueue 2001\n")
    try:
        of_it = f'ClusterId == {cluster} && HookKeyword =?= "ANNEX"'
        assert {job["ProcId"] for job in pool.jobs(of_it)} == {0, 1000, 2000}
    finally:
        pool.ap.run(["condor_rm", str(cluster)], user="alice")


def test_condor_annex_is_ours_and_not_the_withdrawn_tool_of_that_name(pool: Pool) -> None:
    said = pool.ap.run(["condor_annex", "lint"], user="alice")
    assert said.stdout.endswith("Good annex routes: rehearsal.\n")


def test_lint_warns_where_the_path_has_the_withdrawn_tool_first(pool: Pool) -> None:
    ours = f"{pool.knob('ANNEX_PREFIX')}/bin/condor_annex"
    said = pool.ap.run([ours, "lint"], user="alice", env={"PATH": "/usr/bin:/bin"})
    assert f"/usr/bin/condor_annex: warning: condor_annex means this program here; ours is {ours}" in said.stdout


def test_the_commands_are_listed_with_their_help(pool: Pool) -> None:
    said = pool.ap.run(["condor_submit", "-capabilities"], user="alice").stdout
    commands = pool.knob("EXTENDED_SUBMIT_COMMANDS")
    names = [line.partition("=")[0].strip() for line in commands.splitlines() if line.strip()]
    assert len(names) == 11
    for name in names:
        assert f"{name} = " in said


def test_jobs_of_one_annex_are_one_autocluster(pool: Pool) -> None:
    pool.submit("alice", SLEEP + UNBOUND + "annex_name = crowd\nqueue 20\n")

    def counts() -> list[str]:
        groups = pool.ap.run(["condor_q", "-allusers", "-autocluster", "-long"]).stdout.split("\n\n")
        return [attributes(group)["JobCount"] for group in groups if 'TargetAnnexName = "crowd"' in group]

    assert pool.wait_for(counts, "the cluster's autoclusters") == ["20"]

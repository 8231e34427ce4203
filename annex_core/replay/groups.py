"""A shape as the group of jobs that the planner knows."""

import classad2

from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey
from annex_core.replay.workload import Shape


def group_of(shape: Shape, annex: str, route: str) -> JobGroup:
    """
    The group, with no job in it yet.

    Requirements that are no expression match nothing, as in the schedd.
    """
    key = AnnexKey(shape.owner, annex)
    ad = classad2.ClassAd(
        {
            "MyType": "Job",
            "TargetType": "Machine",
            "Owner": shape.owner,
            "TargetAnnexName": annex,
            "JobUniverse": 5,
            "RequestCpus": shape.cpus,
            "RequestMemory": shape.memory_mib,
            "RequestDisk": shape.disk_kib,
            "RequestGPUs": shape.gpus,
        }
    )
    try:
        ad["Requirements"] = classad2.ExprTree(shape.requirements)
    except (classad2.ClassAdException, ValueError, SyntaxError):
        ad["Requirements"] = False
    return JobGroup(
        key=key,
        project=shape.owner,
        route=route,
        idle=0,
        cpus=shape.cpus,
        memory_mib=shape.memory_mib,
        disk_kib=shape.disk_kib,
        gpus=shape.gpus,
        ad=ad,
    )

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from classad2 import ClassAd

class HTCondorException(Exception): ...

class QueryOpt(IntEnum):
    Default = 0
    AutoCluster = 1
    GroupBy = 2
    SummaryOnly = 8
    IncludeClusterAd = 16

class AdType(IntEnum):
    Startd = 1
    Schedd = 2
    Any = 9

class DaemonType(IntEnum):
    Schedd = 3
    Collector = 5

class Schedd:
    def __init__(self, location: ClassAd | None = None) -> None: ...
    def query(
        self,
        constraint: str = "True",
        projection: list[str] = ...,
        callback: Any = None,
        limit: int = -1,
        opts: QueryOpt = ...,
    ) -> list[ClassAd]: ...
    def edit(self, job_spec: str, attr: str, value: str) -> Any: ...

class Collector:
    def __init__(self, pool: str | None = None) -> None: ...
    def query(
        self, ad_type: AdType = ..., constraint: str = "True", projection: list[str] = ..., statistics: str | None = None
    ) -> list[ClassAd]: ...
    def locate(self, daemon_type: DaemonType, name: str | None = None) -> ClassAd: ...
    def advertise(self, ad_list: Sequence[ClassAd], command: str = ..., use_tcp: bool = True) -> None: ...

class _Param(Mapping[str, str]):
    def __getitem__(self, key: str) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

param: _Param

def reload_config() -> None: ...
def version() -> str: ...

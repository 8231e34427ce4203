"""
Make annex_core/catalogue/catalogue.json.gz: what instance types are, and what they cost on demand.

    pip download --no-deps moto apache-libcloud
    python tools/make_catalogue.py moto-*.whl apache_libcloud-*.whl

The first holds EC2's DescribeInstanceTypes, the second Linux prices in USD an hour, with 0.0 where it does not know;
for those we write nothing. Facts are taken, no code. The same wheels make the same bytes.
"""

import gzip
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

TARGET = Path(__file__).parent.parent / "annex_core" / "catalogue" / "catalogue.json.gz"
ARCHITECTURES = ("x86_64", "arm64")


def types(described: dict[str, Any]) -> dict[str, list[Any]]:
    """
    [vCPUs, MiB, architecture, GPUs] by type, and with GPUs also what they are and the MiB of each.

    Apple's machines, which can't join a pool of ours, are left out.
    """
    found = {}
    for name, facts in sorted(described.items()):
        supported = facts["ProcessorInfo"]["SupportedArchitectures"]
        architecture = next((a for a in ARCHITECTURES if a in supported), None)
        if architecture is None:
            continue
        gpus = (facts.get("GpuInfo") or {}).get("Gpus", ())
        found[name] = [facts["VCpuInfo"]["DefaultVCpus"], facts["MemoryInfo"]["SizeInMiB"], architecture]
        found[name].append(sum(gpu["Count"] for gpu in gpus))
        for gpu in gpus[:1]:
            found[name] += [gpu["Name"], gpu["MemoryInfo"]["SizeInMiB"]]
    return found


def prices(linux: dict[str, dict[str, float]]) -> dict[str, dict[str, str]]:
    """USD an hour as text, by region and type."""
    found: dict[str, dict[str, str]] = {}
    for name, by_region in sorted(linux.items()):
        for region, price in by_region.items():
            if price > 0:
                found.setdefault(region, {})[name] = str(price)
    return dict(sorted(found.items()))


def main(moto: str, libcloud: str) -> None:
    with ZipFile(moto) as wheel:
        entry = wheel.getinfo("moto/ec2/resources/instance_types.json.gz")
        described = json.loads(gzip.decompress(wheel.read(entry)))
    with ZipFile(libcloud) as wheel:
        listed = json.loads(wheel.read("libcloud/data/pricing.json"))
    content = {
        "types_as_of": date(*entry.date_time[:3]).isoformat(),
        "prices_as_of": datetime.fromtimestamp(listed["updated"], UTC).date().isoformat(),
        "types": types(described),
        "prices": prices(listed["compute"]["ec2_linux"]),
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Service Quotas, of which moto knows a VPC's alone: here EC2's too, each as large as the setting says."""

from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

from rehearsal.cloud.world import World


class LocalQuotas(ServiceQuotasBackend):
    def __init__(self, region: str, account: str, world: World) -> None:
        super().__init__(region, account)
        self._world = world

    def get_service_quota(self, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != "ec2":
            return super().get_service_quota(service_code, quota_code)
        return {"ServiceCode": "ec2", "QuotaCode": quota_code, "Value": self._world.settings.vcpu_quota}

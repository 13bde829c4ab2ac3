"""The service, as the doctor examines it."""

from dataclasses import dataclass
from typing import Any

from tests.support.world import World

from prebooking.operator.doctor import examine
from prebooking.operator.findings import Finding, State
from prebooking.settings import Settings
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN


@dataclass(frozen=True)
class ExaminedService:
    """A good stack, and its examination with other settings."""

    world: World

    async def forget_schedule(self) -> None:
        """QStash is shared by the tests."""
        client = self.world.services.scheduler._messages._client  # type: ignore[attr-defined]  # the adapter's
        if any(one.schedule_id == "prebooking-sweep" for one in await client.schedule.list()):
            await client.schedule.delete("prebooking-sweep")

    def settings(self, **changed: Any) -> Settings:
        good: dict[str, Any] = {
            "supabase_url": self.world.gateway.url,
            "SUPABASE_SECRET_KEY": self.world.gateway.secret_key,
            "qstash_url": self.world.qstash.url,
            "qstash_token": DEV_TOKEN,
            "qstash_current_signing_key": DEV_CURRENT_KEY,
            "qstash_next_signing_key": DEV_NEXT_KEY,
            "public_url": self.world.url,
            "aimharder_box_url": self.world.gym.url + "/{box}",
            "aimharder_account_url": self.world.gym.url,
            "aimharder_login_url": self.world.gym.url,
        }
        return Settings(_env_file=None, **(good | changed))

    async def findings(self, *, within_s: float = 5.0, **changed: Any) -> list[Finding]:
        return await examine(self.settings(**changed), within_s=within_s)

    async def wrong(self, **changed: Any) -> dict[str, Finding]:
        """What is to be mended, by check; each has its fix."""
        wrong = {one.check: one for one in await self.findings(**changed) if one.state is State.BAD}
        assert all(finding.fix for finding in wrong.values())
        return wrong

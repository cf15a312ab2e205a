"""A real S3 server on loopback, with a bucket: the Versity gateway of the pinned module over a folder of the test's own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import aiohttp
from awscrt.auth import AwsCredentialsProvider

from e2e.cluster.build import Binaries
from e2e.cluster.narrate import Narrator
from sluice.cluster.aws_account import Account
from sluice.cluster.bucket import Bucket

REGION, NAME = "eu-central-1", "ml-audit"
OWNER, STRANGER = ("owner", "secret-of-the-owner"), ("stranger", "secret-of-the-stranger")


class S3Server:
    """Gone at the end of the `with` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.endpoint = ""

    def __enter__(self) -> Self:
        """Start it, wait until it listens, and make the bucket."""
        accounts = [f"--owner={OWNER[0]}", f"--stranger={STRANGER[0]}"]
        command = ["setpriv", "--pdeathsig", "KILL", str(Binaries(Narrator())["s3-server"]), f"--folder={self._folder}", f"--region={REGION}", *accounts]
        secrets = {"OWNER_SECRET": OWNER[1], "STRANGER_SECRET": STRANGER[1]}
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=os.environ | secrets, text=True)
        self.endpoint = _address(self._process.stdout)
        try:
            assert self.endpoint, self._log.read_text()
            asyncio.run(self._make_bucket())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def bucket(self, place: str = f"s3://{NAME}/samples", *, who: tuple[str, str] = OWNER, region: str = REGION) -> Bucket:
        """A place in it, as an account sees it."""
        return Bucket.parse(place, endpoint=self.endpoint, region=region, account=account(who))

    def stored(self, key: str) -> Path:
        """The file that is an object of the bucket."""
        return self._folder / "objects" / NAME / key

    @property
    def _log(self) -> Path:
        return self._folder / "s3.log"

    async def _make_bucket(self) -> None:
        host = self.endpoint.removeprefix("http://")
        empty = hashlib.sha256(b"").hexdigest()
        signed = await account(OWNER).signed("PUT", f"/{NAME}", {"Host": host, "Content-Length": "0"}, body_sha256=empty, region=REGION)
        async with aiohttp.ClientSession() as session, session.put(f"{self.endpoint}/{NAME}", headers=signed) as response:
            assert response.status == 200, await response.text()


def account(who: tuple[str, str]) -> Account:
    """An account with these keys."""
    return Account(provider=AwsCredentialsProvider.new_static(*who), region="", endpoint="")


def _address(said: IO[str] | None) -> str:
    line = said.readline().strip() if said is not None else ""
    return f"http://{line}" if line else ""

"""The command that serves an emulator."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import trustme

from stopcast.sandbox.answers import REFUSALS
from stopcast.sandbox.faults import FAULTS
from support.signed_client import Connect

SANDBOX = "from stopcast.cli.commands.sandbox import sandbox; sandbox()"


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", SANDBOX, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_command_serves_until_a_signal(connect: Connect, number: signal.Signals) -> None:
    with command("--fault", "throttled=100%", "--latency", "1", "--jitter", "1", "--seed", "7") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        client = await connect(SimpleNamespace(url=url))
        assert (await client.stop()).status == 429
        process.send_signal(number)
        _, err = process.communicate(timeout=5)
    assert process.returncode == 0
    assert err.splitlines() == [
        "export VOLCENGINE_ACCESS_KEY=sandbox",
        "export VOLCENGINE_SECRET_KEY=sandbox-secret",
        f"stopcast run tasks.csv --endpoint {url}",
        "1 calls, 0 tasks stopped, 0 calls over the quota, 1 calls in the worst second, 0.0 calls a second on average",
    ]


async def test_the_command_serves_https(connect: Connect, authority: trustme.CA, tmp_path: Path) -> None:
    issued, trusting = authority.issue_cert("127.0.0.1"), ssl.create_default_context()
    authority.configure_trust(trusting)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    with command("--tls-cert", str(certificate), "--tls-key", str(key), "--quota", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        client = await connect(SimpleNamespace(url=url), connector=aiohttp.TCPConnector(ssl=trusting))
        assert url.startswith("https://127.0.0.1:")
        assert (await client.stop()).code == "ok"
        process.terminate()
        _, err = process.communicate(timeout=5)
    assert (process.returncode, f"export SSL_CERT_FILE={certificate}\n" in err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "nonsense=1%"], "nonsense"),
        (["--quota", "-1"], "--quota"),
        (["--tls-cert", __file__], "need each other"),
        (["--tls-cert", __file__, "--tls-key", __file__], "--tls-cert, --tls-key"),
        (["--port", "{taken}"], "--port: Address already in use"),
    ],
)
def test_the_command_refuses_wrong_arguments_with_a_usage_error(arguments: list[str], words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = str(server.getsockname()[1])
        with command(*(argument.format(taken=taken) for argument in arguments)) as process:
            out, err = process.communicate(timeout=5)
    assert (process.returncode, out, words in err) == (2, "", True)


def test_the_commands_help_names_every_fault_and_imports_no_aiohttp() -> None:
    ending = "import sys; sandbox(standalone_mode=False); sys.exit('aiohttp' in sys.modules)"
    program = SANDBOX.replace("sandbox()", ending)
    helped = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True, timeout=5
    )
    named = set(helped.stdout.replace(",", " ").split())
    assert set(FAULTS) - set(REFUSALS) <= named

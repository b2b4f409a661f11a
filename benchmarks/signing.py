"""Measure what a signature costs, beside the vendor's two signers, after checking that all three agree."""

from __future__ import annotations

import argparse
import calendar
import time
from collections.abc import Callable
from typing import Final

from measuring import in_own_process, middle, print_table, print_versions, ratio, rounds, spread
from stopcast.api.actions import request_body
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import CONTENT_TYPE, Signer
from stopcast.credentials.value import Credentials
from stopcast.ports import Request
from stopcast.tasks.task import Task

CREDENTIALS: Final = Credentials("AKLTbench0123456789abcdef01234567", "c2VjcmV0LWZvci1hLWJlbmNobWFyaw==")
ENDPOINT: Final = Endpoint.parse()
QUERY: Final = {"Action": "StopWebcast", "Version": "2020-12-01"}
BODY: Final = request_body(Task("64a1b2c3d4e5f60123456789", "room-0001", "webcast-0000000001"))
REQUEST: Final = Request(BODY, ENDPOINT.query)

Sign = Callable[[], dict[str, str]]


def stopcast() -> Sign:
    signer = Signer(CREDENTIALS, host=ENDPOINT.host, region=ENDPOINT.region, query=ENDPOINT.query)
    return lambda: signer.sign(REQUEST, time.time())


def vendor_old() -> Sign:
    from volcengine.auth.SignerV4 import SignerV4
    from volcengine.base.Request import Request
    from volcengine.Credentials import Credentials as VendorCredentials

    credentials = VendorCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "rtc", ENDPOINT.region)
    request = Request()
    request.set_method("POST")
    request.set_path("/")
    request.set_query(QUERY)
    request.set_body(BODY)

    def sign() -> dict[str, str]:
        request.headers = {"Host": ENDPOINT.host, "Content-Type": CONTENT_TYPE}
        SignerV4.sign(request, credentials)
        headers: dict[str, str] = request.headers
        return headers

    return sign


def vendor_new() -> Sign:
    from volcenginesdkcore.signv4 import SignerV4

    key, secret, region = CREDENTIALS.access_key, CREDENTIALS.secret_key, ENDPOINT.region
    body = BODY.decode()

    def sign() -> dict[str, str]:
        headers = {"Host": ENDPOINT.host, "Content-Type": CONTENT_TYPE}
        SignerV4.sign("/", "POST", headers, body, None, QUERY, key, secret, region, "rtc")
        return headers

    return sign


SIGNERS: Final = {"stopcast": stopcast, "volcengine": vendor_old, "volcenginesdk-core": vendor_new}


def measure(name: str, number: int) -> dict[str, float]:
    """Make ``number`` signatures, and return the microseconds for one."""
    sign = SIGNERS[name]()
    headers = sign()
    at = calendar.timegm(time.strptime(headers["X-Date"], "%Y%m%dT%H%M%SZ"))
    signer = Signer(CREDENTIALS, host=ENDPOINT.host, region=ENDPOINT.region, query=ENDPOINT.query)
    if signer.sign(REQUEST, at)["Authorization"] != headers["Authorization"]:
        raise RuntimeError(f"the signature of {name} differs")
    began = time.process_time()
    for _ in range(number):
        sign()
    return {"us": (time.process_time() - began) / number * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signatures", type=int, default=20_000, help="signatures in each measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of all signers, interleaved (%(default)s)")
    arguments = parser.parse_args()
    print_versions("stopcast", "volcengine", "volcenginesdk-core")
    results = rounds(arguments.rounds, lambda name: in_own_process(measure, name, arguments.signatures), list(SIGNERS))
    print_table(
        f"CPU time a signature: median of {arguments.rounds} rounds of {arguments.signatures:,}",
        ("signer", "us", "least to most", "this / stopcast"),
        [
            (
                name,
                f"{middle(figures, 'us'):.2f}",
                spread(figures, "us", "{:.2f}"),
                f"{ratio(figures, results['stopcast'], 'us'):.1f}",
            )
            for name, figures in results.items()
        ],
    )


if __name__ == "__main__":
    main()

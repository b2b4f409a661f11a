"""What a code means and what to do about it, in English and Chinese: words beside ``verdict``'s table.

Meanings: the vendor's pages 6348/70426 (RTC) and 6369/68677 (gateway). A code without words of its own here has those
of its family or of its class, so that whatever ``verdict`` can judge can be explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict, judge
from stopcast.i18n import Both, Language

#: Reasons that stand where an answer has no code; so does "HTTP 502".
NO_ANSWER: Final = "no answer"
NOT_SENT: Final = "not sent"
NO_TASK: Final = "no task"
NOT_ENDED: Final = "not ended"
HTTP: Final = "HTTP "


class Explanation(NamedTuple):
    """What a code means, and what to do about it. No advice here is that of the code's class."""

    meaning: Both
    advice: Both | None = None


_RUN_AGAIN: Final = Both(
    "Run these again: stopcast run REPORT -o again.jsonl. If it lasts, give the vendor's support the RequestId.",
    "重新执行这些任务：stopcast run REPORT -o again.jsonl。如果持续出现，请将 RequestId 提供给火山引擎技术支持。",
)
_CHECK_KEY: Final = Both(
    "See which key is used and whether it is accepted: stopcast doctor. Mend it, then go on with --resume.",
    "用 stopcast doctor 查看所用的密钥及其是否有效；更正后加 --resume 继续。",
)
_CHECK_IDS: Final = Both(
    "Compare the three ids with those the task was started with, mend the list, and run it again.",
    "核对任务启动时使用的三个 ID，更正列表后重新执行。",
)
_CHECK_APP: Final = Both(
    "Check the AppId in the console, and that the key belongs to its account; then run these again.",
    "在控制台核对该 AppId，并确认密钥属于同一账号；然后重新执行这些任务。",
)

#: For codes that have no words of their own.
CLASSES: Final[Mapping[Verdict, Explanation]] = {
    Verdict.OK: Explanation(Both("The task was stopped.", "任务已停止。"), Both("Nothing.", "无需处理。")),
    Verdict.NO_SUCH_TASK: Explanation(
        Both(
            "No such task is running: it has ended, or never ran under these ids.",
            "没有这样的任务在运行：任务已结束，或从未以这些 ID 运行过。",
        ),
        Both(
            "Nothing, if it was to be stopped. If it still records, compare the ids with those it was started with.",
            "若本来就要停止它，则无需处理。若仍在录制，请核对启动任务时使用的 ID。",
        ),
    ),
    Verdict.THROTTLED: Explanation(
        Both(
            "The account calls more often than its quota allows: 150 a second, shared by all its AppIds and programs.",
            "账号的调用频率超过配额：每秒 150 次，由该账号的所有 AppId 和程序共享。",
        ),
        Both(
            "Find what else calls with this account, or lower --max-per-second; then run these again.",
            "查找还有哪些程序在使用该账号，或调低 --max-per-second；然后重新执行这些任务。",
        ),
    ),
    Verdict.TRANSIENT: Explanation(
        Both("A fault that should pass: the API or the way to it.", "暂时性故障：出在接口或到接口的网络上。"),
        _RUN_AGAIN,
    ),
    Verdict.CLOCK: Explanation(
        Both(
            "The request's time is more than 15 minutes from the API's clock.",
            "请求时间与服务端时钟相差超过 15 分钟。",
        ),
        Both(
            "Set this machine's clock (timedatectl set-ntp true), then go on with --resume.",
            "校准本机时钟（timedatectl set-ntp true），然后加 --resume 继续。",
        ),
    ),
    Verdict.ACCOUNT: Explanation(
        Both("The account's key, signature or rights are refused.", "账号的密钥、签名或权限被拒绝。"), _CHECK_KEY
    ),
    Verdict.APPLICATION: Explanation(
        Both("The API refuses every task of this AppId.", "接口拒绝该 AppId 的所有任务。"), _CHECK_APP
    ),
    Verdict.TASK: Explanation(Both("The API refuses this task for good.", "接口明确拒绝该任务。"), _CHECK_IDS),
}

MEANINGS: Final[Mapping[str, Explanation]] = {
    "InternalError": Explanation(Both("The API failed inside.", "接口内部错误。")),
    "InternalServiceError": Explanation(Both("The service behind the gateway failed.", "网关后端服务出错。")),
    "InternalServiceTimeout": Explanation(
        Both("The service behind the gateway did not answer in time.", "网关后端服务响应超时。")
    ),
    "ServiceUnavailable": Explanation(Both("The service is unavailable for the moment.", "服务暂时不可用。")),
    "UndefinedError": Explanation(Both("The gateway failed, and does not say how.", "网关发生未定义的错误。")),
    "InvalidAccessKey": Explanation(
        Both("The access key does not exist, or is disabled.", "Access Key 不存在或已被禁用。")
    ),
    "SignatureDoesNotMatch": Explanation(
        Both(
            "The signature is wrong: mostly a secret key that does not belong to the access key, or a wrong region.",
            "签名不匹配：多为 Secret Key 与 Access Key 不成对，或区域有误。",
        )
    ),
    "InvalidAuthorization": Explanation(
        Both("The Authorization header cannot be read.", "Authorization 请求头格式无法识别。")
    ),
    "InvalidCredential": Explanation(
        Both(
            "The signature names a date, region or service that is not this API's.",
            "签名中的日期、区域或服务与该接口不符。",
        ),
        Both(
            "Check --region and --endpoint against the account's site: stopcast doctor. Then go on with --resume.",
            "用 stopcast doctor 核对 --region 与 --endpoint 是否和账号所在站点一致；然后加 --resume 继续。",
        ),
    ),
    "InvalidSecretToken": Explanation(
        Both(
            "The session token of temporary credentials is missing, wrong or expired.",
            "临时凭证的会话令牌缺失、错误或已过期。",
        ),
        Both(
            "Fetch new temporary credentials (VOLCENGINE_SESSION_TOKEN), then go on with --resume.",
            "重新获取临时凭证（VOLCENGINE_SESSION_TOKEN），然后加 --resume 继续。",
        ),
    ),
    "MissingAuthenticationToken": Explanation(
        Both(
            "The request arrived without its signature; a proxy on the way may have removed it.",
            "请求到达时没有签名；可能被中间代理去除。",
        )
    ),
    "MissingSignature": Explanation(
        Both(
            "The request arrived without its signature; a proxy on the way may have removed it.",
            "请求到达时没有签名；可能被中间代理去除。",
        )
    ),
    "LackPolicy": Explanation(
        Both("The key's user has no policy that allows StopWebcast.", "该密钥的用户没有允许 StopWebcast 的策略。"),
        Both(
            "Have the account's administrator grant this user RTC rights (IAM), then go on with --resume.",
            "请账号管理员在 IAM 中为该用户授予 RTC 权限，然后加 --resume 继续。",
        ),
    ),
    "AccessDenied": Explanation(
        Both("The account is not allowed to do this.", "账号无权执行该操作。"),
        Both(
            "Have the account's administrator check the user's rights (IAM), then go on with --resume.",
            "请账号管理员在 IAM 中检查该用户的权限，然后加 --resume 继续。",
        ),
    ),
    "ServiceNotFound": Explanation(
        Both("The endpoint does not know the service rtc.", "该接入点没有 rtc 服务。"),
        Both("Check --endpoint, then go on with --resume.", "核对 --endpoint，然后加 --resume 继续。"),
    ),
    "InvalidActionOrVersion": Explanation(
        Both("The endpoint does not know this action and version.", "该接入点没有这个 Action 或 Version。"),
        Both(
            "Check --api-version and --endpoint, then go on with --resume.",
            "核对 --api-version 和 --endpoint，然后加 --resume 继续。",
        ),
    ),
    "InvalidParameter.NotExistAppId": Explanation(Both("The AppId does not exist.", "AppId 不存在。")),
    "InvalidParameter.IllegalAppId": Explanation(Both("The AppId is not legal.", "AppId 不合法。")),
    "InvalidParameter.AccountIdMismatch": Explanation(
        Both("The AppId belongs to another account than the key.", "AppId 与密钥不属于同一账号。"),
        Both("Run these again with the key of the AppId's account.", "使用该 AppId 所属账号的密钥重新执行这些任务。"),
    ),
    "AccessDenied.NoPermissionForApp": Explanation(
        Both("The key's user has no right to this AppId.", "该密钥的用户没有此 AppId 的权限。"),
        Both(
            "Have the account's administrator grant rights to this AppId, then run these again.",
            "请账号管理员授予该 AppId 的权限，然后重新执行这些任务。",
        ),
    ),
    "AccessDenied.ServiceNotEnabled": Explanation(
        Both("RTC is not enabled for this AppId or account.", "该 AppId 或账号未开通 RTC 服务。"),
        Both("Enable it in the console, then run these again.", "在控制台开通后重新执行这些任务。"),
    ),
    "AccessDenied.RecordNotEnabled": Explanation(
        Both("Recording is not enabled for this AppId.", "该 AppId 未开通录制功能。"),
        Both(
            "Nothing can be recording there: check the AppId. If it is right, enable recording in the console.",
            "该 AppId 不应有录制任务：请核对 AppId。若无误，请在控制台开通录制功能。",
        ),
    ),
    "InvalidParameter": Explanation(Both("A parameter is not valid for the API.", "请求参数不合法。")),
    "MissingParameter": Explanation(Both("A parameter is missing.", "缺少请求参数。")),
    NO_ANSWER: Explanation(
        Both(
            "No whole answer came: a timeout, a lost connection, or a name that cannot be resolved.",
            "未收到完整响应：超时、连接中断或域名无法解析。",
        ),
        Both(
            "See whether the endpoint answers: stopcast doctor. Then run these again; some may be stopped already.",
            "用 stopcast doctor 检查能否连通接入点；然后重新执行这些任务，其中一部分可能已停止。",
        ),
    ),
    NOT_SENT: Explanation(
        Both(
            "Not sent: the API had refused another task of the same AppId for good.",
            "未发送：接口此前已明确拒绝同一 AppId 的其他任务。",
        ),
        Both(
            "Mend what the other codes of the AppId tell, then go on with --resume.",
            "先解决该 AppId 的问题（见其他错误码），然后加 --resume 继续。",
        ),
    ),
    NOT_ENDED: Explanation(
        Both("Asked, the API did not say that the task has ended.", "查询结果未表明任务已结束。"),
        Both(
            "Stop these: stopcast run REPORT -o again.jsonl; then ask again with stopcast verify.",
            "停止这些任务：stopcast run REPORT -o again.jsonl；然后用 stopcast verify 再次查询。",
        ),
    ),
    NO_TASK: Explanation(
        Both("The row of the list names no task; nothing was sent.", "列表中的该行不是有效任务；未发送。"),
        Both("Mend the rows in the list, and run it again.", "更正列表中的这些行后重新执行。"),
    ),
}


def explain(
    reason: str, language: Language, *, http_status: int | None = None, report: str = "REPORT"
) -> tuple[str, str]:
    """Return what a code, or a reason that stands in its place, means, and what to do about it.

    Args:
        reason: an error code of the API, one of the reasons above, or "HTTP " and a status.
        language: of the two texts.
        http_status: of an answer with that code; it decides about a code that nobody knows.
        report: what stands for the report in a command.
    """
    if reason.startswith(HTTP):
        status = reason.removeprefix(HTTP)
        found = CLASSES[judge(Reply(int(status), readable=False))]
        meaning = Both(
            f"HTTP status {status} and no code of the API: a gateway or proxy on the way may have answered.",
            f"HTTP 状态码 {status}，没有接口错误码：可能由途中的网关或代理返回。",
        )
        return language(*meaning), language(*(found.advice or _RUN_AGAIN)).replace("REPORT", report)
    verdict = judge(Reply(http_status, code=reason))
    own = _own(reason, verdict)
    advice = own.advice or CLASSES[verdict].advice or _RUN_AGAIN
    return language(*own.meaning), language(*advice).replace("REPORT", report)


def _own(code: str, verdict: Verdict) -> Explanation:
    """Return the words of a code, of its family where that is judged alike, or of its class."""
    family = code
    while family:
        if family in MEANINGS and judge(Reply(None, code=family)) in {verdict, judge(Reply(None, code=code))}:
            return MEANINGS[family]
        family = family.rpartition(".")[0]
    return CLASSES[verdict]

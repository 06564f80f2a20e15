"""Filing of face recognition, impact assessment, record of processing and audit folder, as in force.

Everything that the product knows is filled in from the live store and configuration; what only people know
(the credit code, who signs) is left open and named. Each release of the papers is signed and says what has
changed since the last one.

Sources: Measures on face recognition (order 19 of CAC and MPS, in force 2025-06-01), art. 15; CAC's notice
on filing of 2025-05-28 (materials at grxxbh.cacdtsc.cn); PIPL art. 55, 56; GB/T 39335-2020; Measures on
compliance audits (CAC, in force 2025-05-01, cac.gov.cn/2025-02/14/c_1741233507681519.htm) with their annex,
whose subjects are named here as published summaries have them, without the annex's numbers.
"""

import difflib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.access.roles import MATRIX
from renzheng.central.privacy import consents, requests, retention, withdrawals
from renzheng.central.privacy.shares import PersonShares
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.times import from_us
from renzheng.central.texts import texts
from renzheng.common.files import write_whole
from renzheng.contracts import keys

logger = logging.getLogger(__name__)
KIND = "application/vnd.renzheng.privacy-papers.v1"
ALARM_AT, FILE_AT = 80_000, 100_000
"""People with a stored face: from the second number on filing is due within 30 working days."""
OPEN = "（由单位填写）"
ASKED = ("办理中", "逾期", "按时", "逾期答复", "未能全部满足")
MATERIALS = (
    "个人信息处理者基本情况表",
    "统一社会信用代码证件",
    "人脸识别技术应用情况备案表（本页）",
    "个人信息保护影响评估报告",
    "法定代表人身份证件",
    "经办人身份证件",
    "经办人授权委托书",
    "承诺书",
)
PAPERS = ("filing.md", "impact-assessment.md", "record-of-processing.md")
MANIFEST = "papers.jws"


@dataclass(frozen=True, slots=True)
class Stored:
    """How many people have a face stored, each counted once over all devices.

    Args:
        people: central counts keyed hashes of persons, from the halves of keys that devices hand over.
        by_device: the same, by device; together they are more, as one person may be enrolled at several.
        silent: devices in use that have handed nothing over.
    """

    people: int
    by_device: Mapping[str, int]
    silent: Sequence[str]

    @property
    def level(self) -> str:
        """`none`, `alarm` from 80,000 on, `file` from 100,000 on."""
        return "file" if self.people >= FILE_AT else "alarm" if self.people >= ALARM_AT else "none"


def stored(connection: sa.Connection, shares: PersonShares) -> Stored:
    """Count the people with a stored face."""
    devices = schema.devices
    in_use = (
        sa.select(devices.c.device_id).where(devices.c.revoked_at.is_(None)).order_by(devices.c.device_id)
    )
    by_device = shares.by_device()
    silent = [one for one in connection.execute(in_use).scalars() if one not in by_device]
    return Stored(shares.people(), by_device, silent)


def facts(connection: sa.Connection, settings: Settings, found: Stored, now: datetime) -> dict[str, Any]:
    """Gather what the papers say; sorted, without anybody's data."""
    t = texts("zh")
    devices, institutions = schema.devices, schema.institutions
    by_purpose = connection.execute(
        sa.select(devices.c.purpose, sa.func.count().label("devices"))
        .where(devices.c.revoked_at.is_(None))
        .group_by(devices.c.purpose)
        .order_by(devices.c.purpose)
    ).all()
    asked = requests.counted(connection, now)
    return {
        "institutions": connection.execute(sa.select(sa.func.count()).select_from(institutions)).scalar_one(),
        "devices": {row.purpose: row.devices for row in by_purpose},
        "people": found.people,
        "silent": len(found.silent),
        "consents": [
            (one["notice_version"], one["institution_id"], one["given"], one["refused"], one["withdrawn"])
            for one in consents.counted(connection)
        ],
        "withdrawals": withdrawals.listed(connection, 1)[0],
        "requests": dict(asked),
        "retention": [
            (
                t(f"retention.item.{item.key}"),
                t(f"retention.basis.{item.key}"),
                "—" if item.days is None else f"{item.days:g}",
                t(f"retention.by.{item.by}"),
                t(f"retention.decides.{item.changed_by}"),
            )
            for item in retention.items(settings)
        ],
        "roles": [
            (t(f"role.{role.value}"), "、".join(t(f"permission.{one.value}") for one in sorted(may)))
            for role, may in MATRIX.items()
        ],
        "second_person": settings.crops.second_person,
        "show_within_hours": settings.crops.show_within_hours,
        "tls": settings.broker.ca_file is not None,
        "accounts_only": settings.accounts_only,
        "software": version("renzheng"),
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def write_filing(known: Mapping[str, Any]) -> str:
    """Fill the table on the use of face recognition and list the materials of the filing."""
    due = "已达到，应在 30 个工作日内备案" if known["people"] >= FILE_AT else "未达到"
    rows = (
        ("处理者名称、统一社会信用代码、法定代表人、经办人", OPEN),
        ("处理目的", "透析签到、住院在床、床旁抽查时核验参保人身份，用于医疗保障基金监管"),
        ("处理方式", "1:1 核验；病区设备只在当日住院且已登记的名单内查找；在设备端完成，不经互联网外传"),
        (
            "人脸信息存储人数（跨机构去重）",
            f"{known['people']}（{due}；尚未上报的设备 {known['silent']} 台）",
        ),
        ("存储位置", "采集它的设备；中心不存人脸图像和模板"),
        ("设备", "、".join(f"{purpose} {count} 台" for purpose, count in known["devices"].items()) or "无"),
        ("机构数", known["institutions"]),
        ("安全保护措施", "每人一把密钥，一半在设备、一半在中心；设备签名、逐条相连的日志；传输加密："
         + ("是" if known["tls"] else "否，仅限本机")),
        ("其他方式", "医保卡、医保码、证件加见证人，与人脸同等；拒绝人脸不影响诊疗"),
        ("处理规则和操作规程", "告知书与撤回：docs/privacy.md；操作规程：docs/zh/"),
        ("个人信息保护影响评估报告", PAPERS[1]),
    )  # fmt: skip
    listed = "".join(f"- {one}\n" for one in MATERIALS)
    return f"# 人脸识别技术应用情况备案表\n\n{_table(('栏目', '内容'), rows)}\n## 备案材料\n{listed}"


def write_assessment(known: Mapping[str, Any]) -> str:
    """Write the impact assessment (PIPL art. 56): lawful and necessary, effect and risk, measures."""
    risks = (
        ("人脸泄露", "低", "模板只在设备上，逐人加密；备份缺一半密钥；中心无人脸"),
        ("错误匹配使人被误认", "中", "按目标错误匹配率校准；“证据不足”不等于违规；可要求说明和人工复核"),
        ("认不出使人得不到治疗", "低", "其他方式同等；签到失败不影响诊疗；按年龄段公布失败率"),
        ("撤回后仍被使用", "低", f"全部设备几分钟内销毁并出具证明；已办理 {known['withdrawals']} 次"),
        ("内部人员越权查看", "中", "一人一号、职责分离、访问日志逐条相连；截图两人批准、只看一次"
         if known["second_person"] else "一人一号、访问日志；截图只看一次，未要求第二人批准"),
        ("儿童", "低", "不满十四岁须监护人同意"),
        ("断网、设备丢失", "中", "离线设备逐台列为尚未答复；吊销后不再收发"),
    )  # fmt: skip
    return (
        "# 个人信息保护影响评估报告\n\n"
        "依据《个人信息保护法》第五十五、五十六条和 GB/T 39335-2020，由系统按现行配置填写，"
        f"结论由单位作出：{OPEN}。本报告至少保存三年。\n\n"
        "## 目的与必要性\n目的合法：医疗保障基金监管（国务院令第 735 号）与本人单独同意。"
        "最小必要：只核验到场，不做其他用途；"
        "不采集未登记者的人脸。\n\n"
        f"## 对个人权益的影响与风险\n{_table(('风险', '残余', '措施'), risks)}\n"
        f"## 告知与同意\n{_table(('版本', '机构', '同意', '不同意', '撤回'), known['consents'])}\n"
        f"## 个人请求\n{_table(ASKED, [list(known['requests'].values())])}\n"
        "## 结论\n" + OPEN + "\n"
    )


def write_record(known: Mapping[str, Any]) -> str:
    """Write the record of processing: what is kept, on which ground, how long; who may what."""
    head = ("内容", "目的与依据", "天数", "由谁删除", "由谁决定")
    return (
        "# 个人信息处理情况记录\n\n"
        f"软件版本 {known['software']}；机构 {known['institutions']} 家；"
        f"存有人脸的人数 {known['people']}。\n\n"
        f"## 保存的内容与期限\n{_table(head, known['retention'])}\n"
        f"## 谁可以做什么\n{_table(('角色', '权限'), known['roles'])}\n"
        f"截图：{'须第二人批准' if known['second_person'] else '无须第二人批准'}，"
        f"{known['show_within_hours']} 小时内未看即删除。"
        f"控制台：{'' if known['accounts_only'] else '首个账号建立后，'}必须有个人账号。\n"
    )


AUDIT: Sequence[tuple[str, str, str]] = (
    ("合法性基础与同意", "consents", "告知与同意按版本统计；撤回与证明"),
    ("处理规则与告知", "record", "告知书版本及文字哈希；处理情况记录"),
    ("共同处理、委托处理、向他人提供", "", "系统不向外传送；委托合同由单位提供"),
    ("合并、分立、转移", "", "由单位提供"),
    ("自动化决策", "requests", "逐条说明（privacy explain）、人工复核；推翻率"),
    ("公开个人信息", "record", "系统不公开个人信息；抽查公布只含编号"),
    ("公共场所图像采集与识别", "filing", "病区摄像机只设在出入口，告示（edge ward notice）"),
    ("处理已公开的个人信息", "", "不处理"),
    ("敏感个人信息", "impact", "人脸：影响评估、备案表"),
    ("不满十四周岁未成年人", "consents", "监护人同意"),
    ("向境外提供", "", "不提供"),
    ("删除", "retention", "保存期限表、每夜删除证明、撤回证明"),
    ("个人行使权利与解释说明", "requests", "请求登记、期限与计数"),
    ("内部管理制度、操作规程、分类", "record", "角色表、保存期限表；制度文本由单位提供"),
    ("安全技术措施", "impact", "docs/security.md"),
    ("教育培训", "", "由单位提供"),
    ("个人信息保护负责人", "", "由单位提供"),
    ("影响评估", "impact", "影响评估报告"),
    ("应急预案与响应", "", "docs/zh/data-protection.md“发生泄露时”；演练记录由单位提供"),
    ("大型平台的特别义务", "", "不适用"),
)
"""Subjects of the annex in its order: what the product shows for each, and what people must add."""


def write_papers(
    connection: sa.Connection, settings: Settings, key: OKPKey, out: Path, now: datetime
) -> Sequence[str]:
    """Write all papers into a folder, signed; return what has changed since those that lay there.

    Raises:
        OSError: the folder cannot be written.
        SignatureError: what lies there was changed by hand since it was signed.
    """
    known = facts(connection, settings, stored(connection, PersonShares(settings.shares_dir)), now)
    fresh = dict(
        zip(PAPERS, (write_filing(known), write_assessment(known), write_record(known)), strict=True)
    )
    changed = _changes(out, key, fresh)
    audit = out / "compliance-audit"
    audit.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in fresh.items():
        write_whole(out / name, text.encode())
    shown = _evidence(connection, known)
    rows = []
    for number, (subject, source, note) in enumerate(AUDIT, start=1):
        page = f"# {subject}\n\n{note}\n\n{shown.get(source, '')}"
        name = f"{number:02}.md"
        write_whole(audit / name, page.encode())
        rows.append((number, subject, name, "系统填写" if source else OPEN))
    write_whole(
        audit / "index.md", f"# 合规审计资料\n\n{_table(('序', '事项', '文件', '来源'), rows)}".encode()
    )
    said = {
        "version": 1,
        "at": now.astimezone(UTC).isoformat(),
        "software": known["software"],
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in fresh.items()},
        "changed": len(changed),
    }
    write_whole(out / MANIFEST, keys.sign(orjson.dumps(said), key, KIND))
    return changed


def _changes(out: Path, key: OKPKey, fresh: Mapping[str, str]) -> Sequence[str]:
    """Compare with what lies there, once its signature holds."""
    if not (out / MANIFEST).exists():
        return ()
    said = orjson.loads(keys.open_signed((out / MANIFEST).read_bytes(), key, KIND))
    changed: list[str] = []
    for name, text in fresh.items():
        before = (out / name).read_text(encoding="utf-8")
        if hashlib.sha256(before.encode()).hexdigest() != said["files"][name]:
            raise keys.SignatureError(
                f"{out / name} is not as it was signed.",
                why="Somebody has written into it; the next papers would hide that.",
                do="Keep it elsewhere, and write the papers into an empty folder.",
            )
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), name, name, lineterm="", n=0)
        changed += [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return changed


def _evidence(connection: sa.Connection, known: Mapping[str, Any]) -> Mapping[str, str]:
    last = retention.last_deletion(connection)
    shown = "无" if last is None else last.date()
    deletions = [
        (f"{from_us(one['at']):%Y-%m-%d %H:%M}Z", sum(item["deleted"] for item in one["said"]["items"]))
        for one in retention.certificates(connection)
    ]
    return {
        "consents": _table(("版本", "机构", "同意", "不同意", "撤回"), known["consents"]),
        "record": f"见 ../{PAPERS[2]}\n",
        "impact": f"见 ../{PAPERS[1]}\n",
        "filing": f"见 ../{PAPERS[0]}\n",
        "requests": _table(ASKED, [list(known["requests"].values())]),
        "retention": f"最近一次删除：{shown}\n\n{_table(('时间', '删除条数'), deletions)}",
    }

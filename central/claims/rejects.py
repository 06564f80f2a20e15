"""What an importer says of a row it did not take, or took with a remark: file, line, field, reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why a row was not taken, or, where `is_warning`, what to know of a row that was."""

    UNDECODABLE = "undecodable"
    MIXED_ENCODING = "mixed_encoding"
    REPLACEMENT_CHARACTER = "replacement_character"
    NUL_BYTE = "nul_byte"
    CONTROL_CHARACTER = "control_character"
    TOO_LONG = "too_long"
    UNCLOSED_QUOTE = "unclosed_quote"
    FIELD_COUNT = "field_count"
    NOT_PARSABLE = "not_parsable"
    UNKNOWN_MESSAGE = "unknown_message"
    MISSING = "missing"
    SPREADSHEET_NUMBER = "spreadsheet_number"
    BAD_TIME = "bad_time"
    TIME_WITHOUT_OFFSET = "time_without_offset"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    BAD_DATE = "bad_date"
    BAD_DECIMAL = "bad_decimal"
    BAD_NUMBER = "bad_number"
    BAD_BOOLEAN = "bad_boolean"
    TOO_MANY_DECIMALS = "too_many_decimals"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_VALUE = "unknown_value"
    ZERO_QUANTITY = "zero_quantity"
    NEGATIVE_WITHOUT_REVERSAL = "negative_without_reversal"
    REVERSAL_NOT_NEGATIVE = "reversal_not_negative"
    REVERSAL_OF_ITSELF = "reversal_of_itself"
    AMOUNT_SIGN = "amount_sign"
    AMBIGUOUS_COMMA = "ambiguous_comma"
    UNQUOTED_THOUSANDS = "unquoted_thousands"
    SPREADSHEET_DATE = "spreadsheet_date"
    SPREADSHEET_ERROR = "spreadsheet_error"
    ROUNDED = "rounded"
    BLANK_DESCRIPTION = "blank_description"
    DESCRIPTION_NOT_READ = "description_not_read"
    REPLACES_EARLIER = "replaces_earlier"
    NO_VISIT = "no_visit"
    NO_SETTLEMENT = "no_settlement"
    SETTLEMENT_DIFFERS = "settlement_differs"
    ZEROS_RESTORED = "zeros_restored"
    UNKNOWN_MED_TYPE = "unknown_med_type"
    NO_NODE = "no_node"
    OTHER_NODE = "other_node"
    NO_PERSON = "no_person"
    DUPLICATE = "duplicate"
    DUPLICATE_DIFFERS = "duplicate_differs"
    END_BEFORE_START = "end_before_start"
    NO_ADMISSION = "no_admission"
    OUT_OF_SEQUENCE = "out_of_sequence"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    REVERSAL_OF_NOTHING = "reversal_of_nothing"
    AMOUNT_SIGN_TURNED = "amount_sign_turned"
    NOT_USED = "not_used"
    CANCELS_NOTHING = "cancels_nothing"
    CANCELLED = "cancelled"
    REFUSED_BY_BUREAU = "refused_by_bureau"
    UNKNOWN_CHARSET = "unknown_charset"
    BATCH_COUNT = "batch_count"
    PARTIAL_DATE = "partial_date"
    DEATH_NOT_DATED = "death_not_dated"
    OTHER_CURRENCY = "other_currency"
    UNIT_NOT_HELD = "unit_not_held"
    KEY_TWICE = "key_twice"

    @property
    def is_warning(self) -> bool:
        """Whether the row was taken all the same."""
        return self in _WARNINGS

    @property
    def explanation(self) -> tuple[str, str]:
        """What happened and what to do, in Chinese and in English."""
        return _EXPLANATIONS[self]


_WARNINGS = frozenset(
    {
        Reason.REVERSAL_OF_NOTHING,
        Reason.AMOUNT_SIGN_TURNED,
        Reason.NOTHING_TO_CANCEL,
        Reason.OUT_OF_SEQUENCE,
        Reason.ZERO_QUANTITY,
        Reason.NEGATIVE_WITHOUT_REVERSAL,
        Reason.REVERSAL_NOT_NEGATIVE,
        Reason.REVERSAL_OF_ITSELF,
        Reason.ROUNDED,
        Reason.BLANK_DESCRIPTION,
        Reason.DESCRIPTION_NOT_READ,
        Reason.REPLACES_EARLIER,
        Reason.NO_VISIT,
        Reason.NO_SETTLEMENT,
        Reason.SETTLEMENT_DIFFERS,
        Reason.ZEROS_RESTORED,
        Reason.UNKNOWN_MED_TYPE,
        Reason.OTHER_NODE,
        Reason.NO_PERSON,
    }
)

NO_EVIDENCE = frozenset({Reason.DUPLICATE, Reason.CANCELLED, Reason.REFUSED_BY_BUREAU})
"""Rows that are not taken because what they bill is in the table already, was taken back, or was refused by
the bureau: no rejects."""
NO_BILL = frozenset(
    {
        Reason.CANCELS_NOTHING,
        Reason.REFUSED_BY_BUREAU,
        Reason.UNKNOWN_MESSAGE,
        Reason.NOT_USED,
        Reason.NO_ADMISSION,
    }
)
"""Refusals that are not about a billed row."""
_WARNINGS |= {Reason.BATCH_COUNT, Reason.PARTIAL_DATE, Reason.DEATH_NOT_DATED}

_EXPLANATIONS: dict[Reason, tuple[str, str]] = {
    Reason.UNKNOWN_CHARSET: (
        "消息声明的字符集无法读取，请改用 UNICODE UTF-8 或 GB 18030-2000 发送",
        "The message declares a character set that is not read; send it in UNICODE UTF-8 or GB 18030-2000.",
    ),
    Reason.BATCH_COUNT: (
        "批次尾部所记消息数与实收不符，可能有消息丢失，请核对后重新导出",
        "The batch counts another number of messages than it holds; some may be lost. Export it again.",
    ),
    Reason.PARTIAL_DATE: (
        "日期只有年或年月，未作推测，该字段留空",
        "The date has no day; nothing was guessed, the field was left empty.",
    ),
    Reason.DEATH_NOT_DATED: (
        "记有死亡而无具体日期，死亡日期留空，请补充",
        "A death is told without its day; the date of death was left empty. Add it.",
    ),
    Reason.OTHER_CURRENCY: (
        "金额不是人民币，未作换算，请以人民币重新导出",
        "The amount is not in the currency that is paid; nothing was converted. Export it in yuan.",
    ),
    Reason.UNIT_NOT_HELD: (
        "数量单位与项目计价单位不符，未作换算，请按项目计价单位重新导出或在映射文件中说明",
        "The quantity is in another unit than the item is billed in; export it in the item's unit.",
    ),
    Reason.UNDECODABLE: (
        "该行字节不符合文件编码，请重新导出",
        "The line's bytes are not valid in the file's encoding; export it again.",
    ),
    Reason.MIXED_ENCODING: (
        "该行编码与文件其余部分不同，请统一编码后导出",
        "The line is in another encoding than the rest of the file; export the file in one encoding.",
    ),
    Reason.REPLACEMENT_CHARACTER: (
        "字段中有无法识别的字符（编码损坏、引号未闭合或含分隔符），请重新导出",
        "A character is lost in it (it does not decode, is an open quote or a separator); export it again.",
    ),
    Reason.NUL_BYTE: (
        "该行含空字节，文件可能已损坏；若为 UTF-16，请用 --encoding 指明",
        "The line holds a NUL byte; the file may be damaged. If it is UTF-16, say so by --encoding.",
    ),
    Reason.CONTROL_CHARACTER: (
        "编号或代码中有换行或控制字符",
        "An id or a code holds a line break or another control character.",
    ),
    Reason.TOO_LONG: ("超出允许长度", "It is longer than allowed."),
    Reason.UNCLOSED_QUOTE: (
        "引号未闭合，该行已跳过，其后各行照常读取",
        "A quotation mark is not closed; this line is skipped, those after it are read.",
    ),
    Reason.FIELD_COUNT: (
        "字段个数与表头不符（名称中的分隔符、数字的千分位须加引号）",
        "The number of fields is not that of the header; a separator in a name or number needs quotes.",
    ),
    Reason.NOT_PARSABLE: ("无法按该格式解析", "It cannot be read in this format."),
    Reason.KEY_TWICE: (
        "同一对象中某字段出现两次，无法判断以哪个为准，请核对后重新导出",
        "An object in it names a field twice, and nobody can tell which counts; correct it and export again.",
    ),
    Reason.UNKNOWN_MESSAGE: ("未知的交易或消息类型", "An unknown kind of transaction, message or resource."),
    Reason.MISSING: ("必填字段为空", "A required field is empty."),
    Reason.SPREADSHEET_NUMBER: (
        "编号被电子表格改写为科学计数，请以文本格式导出",
        "A spreadsheet turned the id into a rounded number; export it as text.",
    ),
    Reason.BAD_TIME: ("时间无法识别", "The time cannot be read."),
    Reason.TIME_WITHOUT_OFFSET: (
        "时间缺少时区，规范表须为 RFC 3339",
        "The time has no offset; canonical tables hold RFC 3339.",
    ),
    Reason.TIME_OUT_OF_RANGE: ("时间超出 1900 至 2199 年", "The time is not between 1900 and 2199."),
    Reason.BAD_DATE: ("日期无法识别", "The date cannot be read."),
    Reason.BAD_DECIMAL: ("不是十进制数", "It is not a decimal number."),
    Reason.BAD_NUMBER: ("不是数字", "It is not a number."),
    Reason.BAD_BOOLEAN: ("不是 true 或 false", "It is neither true nor false."),
    Reason.TOO_MANY_DECIMALS: ("小数位数过多", "It has more decimal places than the field holds."),
    Reason.OUT_OF_RANGE: ("数值超出范围", "The value is out of range."),
    Reason.UNKNOWN_VALUE: ("不在允许的取值之内", "It is none of the values allowed here."),
    Reason.ZERO_QUANTITY: ("数量为零，该行已收", "The quantity is zero; the row was taken."),
    Reason.NEGATIVE_WITHOUT_REVERSAL: (
        "数量为负而未指明被冲销的明细，该行已收",
        "The quantity is negative but names no line that it reverses; the row was taken.",
    ),
    Reason.REVERSAL_NOT_NEGATIVE: (
        "指明了被冲销的明细而数量不为负，该行已收",
        "It names a line that it reverses, but its quantity is not negative; the row was taken.",
    ),
    Reason.REVERSAL_OF_ITSELF: (
        "所指被冲销的明细为零或其自身，已按未冲销收入",
        "The line names zero or itself as the one that it reverses; it was taken as reversing nothing.",
    ),
    Reason.AMOUNT_SIGN: ("数量为正而金额为负", "The quantity is positive but the amount is negative."),
    Reason.DUPLICATE: (
        "编号重复，内容相同，保留首行",
        "A repeated id with the same content; the first is kept.",
    ),
    Reason.DUPLICATE_DIFFERS: (
        "同一文件中编号重复而内容不同，保留首行",
        "A repeated id with other content in one file; the first is kept.",
    ),
    Reason.REPLACES_EARLIER: (
        "替换了先前文件中编号相同的记录，旧内容存于 history",
        "It replaces the row of an earlier file with the same id, which is kept in the folder history.",
    ),
    Reason.AMBIGUOUS_COMMA: (
        "以分号分隔的文件中，逗号是小数点还是千分位无法判断，请以小数点导出",
        "Where semicolons separate, this comma may be a decimal or a thousands mark; export with a point.",
    ),
    Reason.UNQUOTED_THOUSANDS: (
        "以逗号分隔的文件中，数字的千分位逗号未加引号，金额无法确定，请去掉千分位或加引号后重新导出",
        "A number's thousands mark stands as a separator; export numbers without such marks, or in quotes.",
    ),
    Reason.SPREADSHEET_DATE: (
        "时间被电子表格存为序列数，请将该列设为日期格式后重新导出",
        "A spreadsheet stored the time as a serial number; format the column as dates and export it again.",
    ),
    Reason.SPREADSHEET_ERROR: (
        "单元格是公式错误值，请修正后重新导出",
        "The cell holds a formula's error value; correct it and export again.",
    ),
    Reason.ROUNDED: (
        "小数位数过多，已四舍五入",
        "It has more decimal places than the field holds; it was rounded.",
    ),
    Reason.BLANK_DESCRIPTION: ("名称为空，该行已收", "The name is blank; the row was taken."),
    Reason.DESCRIPTION_NOT_READ: (
        "说明性字段过长或无法读取，已截断或留空，该行已收",
        "A descriptive field is too long or cannot be read; it was cut or left empty, and the row was taken.",
    ),
    Reason.NO_VISIT: (
        "未见该明细的就诊信息，该行已收",
        "The visit of this line was not seen; the row was taken.",
    ),
    Reason.NO_SETTLEMENT: (
        "未见该明细的结算信息，该行已收，无基金支付额",
        "The settlement of this line was not seen; the row was taken, without the fund's share.",
    ),
    Reason.SETTLEMENT_DIFFERS: (
        "结算总费用与其明细合计不符，请核对是否漏传、多传明细",
        "The settlement's total is not the sum of its lines: find out which lines are missing, or too many.",
    ),
    Reason.ZEROS_RESTORED: (
        "项目编码前导零被电子表格去掉，已补足 15 位",
        "A spreadsheet took the leading zeros off the item code; they were put back, to 15 digits.",
    ),
    Reason.UNKNOWN_MED_TYPE: (
        "医疗类别未配置，已按门诊或住院的其他迹象归类，请在映射文件中补充",
        "The kind of visit is not configured; it was classed by other signs. Add it to the mapping file.",
    ),
    Reason.END_BEFORE_START: ("结束早于开始", "The end is before the start."),
    Reason.NO_ADMISSION: ("未见该次住院的入院信息", "Nothing tells of this stay's admission."),
    Reason.OUT_OF_SEQUENCE: (
        "与该次住院的其他消息不符，已忽略",
        "It does not fit the stay's other messages and was passed over.",
    ),
    Reason.NOTHING_TO_CANCEL: ("未见被取消的消息", "The message that it cancels was not seen."),
    Reason.REVERSAL_OF_NOTHING: (
        "未见被冲销的明细，该行已收",
        "The line that it reverses was not seen; the row was taken.",
    ),
    Reason.AMOUNT_SIGN_TURNED: (
        "冲销金额为正，已按负数收入",
        "The amount of a reversal was positive and was taken as negative.",
    ),
    Reason.CANCELS_NOTHING: (
        "未见被撤销的明细，请先导入明细，再导入撤销",
        "No line that it cancels was seen; import the lines first, then this again.",
    ),
    Reason.CANCELLED: (
        "该明细已被撤销，内容相同的再次上传不收",
        "The line was cancelled; the same line, word for word, is not taken again.",
    ),
    Reason.REFUSED_BY_BUREAU: (
        "医保返回失败，该消息未生效",
        "The bureau answered that it failed, so the message had no effect.",
    ),
    Reason.NO_NODE: (
        "报文中没有该交易应有的节点，未读取",
        "The message has none of the nodes that its transaction has; nothing of it was read.",
    ),
    Reason.OTHER_NODE: (
        "明细在其他名称的节点下，已读取",
        "The lines are under a node of another name; they were read.",
    ),
    Reason.NO_PERSON: (
        "没有人员编号（hi_no 不是 psn_no），住院、诊断与手术未收，结算已收",
        "There is no psn_no (hi_no is another number): only the settlement was taken.",
    ),
    Reason.NOT_USED: (
        "审核各表无处存放，未使用",
        "No table of the audit has a place for it; it was not used.",
    ),
}

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row stood: file name, and its first line (1-based; row number in Parquet)."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong, or worth knowing, about one field; `value` is what stood there."""

    field: str
    reason: Reason
    value: str = ""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A problem with its place and the table the row was meant for.

    Args:
        known: what could be read of a row that is not taken, by canonical column (`institution_id`,
            `person_id`, `visit_id`, `service_time` or another time, `amount`), as text or typed.
    """

    table: str
    place: RowPlace
    problem: Problem
    known: Mapping[str, object] = field(default_factory=dict)


def shown(value: object) -> str:
    """Make a value safe to show: 120 printable characters at most, no formula for a spreadsheet to run."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)[:_SHOWN])
    return (
        f"'{text}" if text[:1] in {"=", "+", "@"} or (text[:1] == "-" and not text[1:2].isdigit()) else text
    )

"""Workbooks in the shapes of the public libraries, with rows of our own."""

import xlsxwriter

MONITOR, HP, HD = "003110000120000", "003110000100000", "003110000060000"


def book(path, sheets, *, merged=(), numbers=()):
    """Write sheets of rows; merged: sheet, range and text; numbers: cells such as (sheet, row, column, 5)."""
    with xlsxwriter.Workbook(path) as made:
        for name, rows in sheets.items():
            sheet = made.add_worksheet(name)
            for at, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    if cell not in {None, ""}:
                        (sheet.write_number if isinstance(cell, int | float) else sheet.write_string)(
                            at, column, cell
                        )
            for where, cells, text in merged:
                if where == name:
                    sheet.merge_range(cells, text)
    return path


def drugs(path, limit, value, *, code="国标代码", heading="限定对象"):
    """Two sheets, joined by the generic name."""
    names = [
        ["药品通用名", "药品说明", "限定类型", heading],
        ["示例药甲", "说明书", limit, value],
        ["示例药 乙", "", limit, value],
    ]
    codes = [
        ["药品通用名", "序号", code, "限定类型"],
        ["示例药甲", 1, "XA01AAA001A001010100001", limit],
        ["示例药甲", 2, "XA01AAA001A001010100002", limit],
        ["示例药乙", 3, "ZA01AAA0010010100001", limit],
    ]
    return book(path, {"Sheet1": names, "Sheet2": codes})


def all_fourteen(folder):
    """Write one workbook for each of the fourteen public files; return path, kind and number of points."""
    item = ["项目名称", "国标代码", "限定类型", "限定对象"]
    return [
        (
            drugs(folder / "【第一批】药品规则库(限定性别对象).xlsx", "限性别", "男", code="药品代码"),
            "sex",
            3,
        ),
        (drugs(folder / "【第一批】药品规则库(限定年龄对象).xlsx", "限儿童", "儿童"), "age", 3),
        (
            book(
                folder / "【第一批】项目规则库(限定性别对象).xlsx",
                {
                    "Sheet1": [
                        ["项目名称", "项目说明", "国标代码", "限定类型", "限定性别"],
                        ["产前检查", "每次", 3112010010000, "限性别", "女"],
                        ["前列腺按摩", "", "003112020010000", "限性别", "男"],
                    ]
                },
            ),
            "sex",
            2,
        ),
        (
            book(
                folder / "【第一批】项目规则库(限定年龄对象).xlsx",
                {"Sheet1": [item, ["新生儿示例", "003115030010000", "限儿童", "新生儿"]]},
            ),
            "age",
            1,
        ),
        (
            book(
                folder / "【第二批】项目规则库（限定主次操作）.xlsx",
                {
                    "Sheet1": [
                        ["项目名称", "项目说明", "国标代码", "限定类型", "限定值域"],
                        ["阑尾切除", "", "003310000010000", "主次操作", "经同一切口的腹部手术"],
                    ]
                },
            ),
            "pair",
            1,
        ),
        (drugs(folder / "【第三批】药品规则库（限定保险类型）.xlsx", "保险类型", "工伤"), "insurance", 3),
        (
            drugs(
                folder / "【第四批】药品规则库（限定就医方式）.xlsx", "就医方式", "住院", heading="限定值域"
            ),
            "visit",
            3,
        ),
        (
            drugs(
                folder / "【第五批】药品规则库（限定机构等级）.xlsx", "机构等级", "二级", heading="限定值域"
            ),
            "level",
            3,
        ),
        (
            drugs(
                folder / "【第六批】药品规则库（限定支付疗程）.xlsx", "支付疗程", "14天", heading="限定值域"
            ),
            "period",
            3,
        ),
        (pairs(folder / "【第七批 】项目规则库（重复收费）.xlsx"), "pair", 5),
        (
            book(
                folder / "【第八批-1】项目规则库（限定频次）.xlsx",
                {
                    "Sheet1": [
                        ["序号", "项目名称", "限制数量", "数量单位", "项目编码"],
                        [1, "自动腹膜透析", 24, "小时", 3110000020000],
                        [2, "病房床位", 1, "日", "001109000010000"],
                        [3, "说不清的", 2, "天", "001109000020000"],
                        ["合计", "", "", "", 3],
                    ]
                },
                merged=[("Sheet1", "A6:E6", "备注：编码为2025年前的国家项目编码")],
            ),
            "frequency",
            3,
        ),
        (
            book(
                folder / "【第八批-2】项目规则库（限定年龄）.xlsx",
                {
                    "Sheet1": [
                        ["序号", "项目名称", "备注", "项目代码"],
                        [1, "视力筛查", "限6周岁及以下儿童", "003103000010000"],
                    ]
                },
            ),
            "age",
            1,
        ),
        (
            book(
                folder / "【第八批-3】项目规则库（限定疗程）.xlsx",
                {
                    "Sheet1": [
                        ["序号", "项目名称", "备注", "项目代码"],
                        [1, "评定", "总时间不超过90天，评定间隔时间不短于14天。", "003402000010000"],
                        [2, "训练", "支付不超过90天", "003402000020000"],
                    ]
                },
            ),
            "period",
            2,
        ),
        (
            book(
                folder / "【第八批-4】项目规则库（限定周期）.xlsx",
                {
                    "Sheet1": [
                        ["序号", "项目名称", "频次上限", "疗程周期", "备注", "项目代码"],
                        [1, "示例检验", 2, 30, "", "002501000010000"],
                    ]
                },
            ),
            "period",
            1,
        ),
    ]


def pairs(path):
    """Main items with what they include; the main item's cells are merged, and a note stands at the end."""
    rows = [
        ["附件：项目库"],
        ["序号", "频 度", "主项\n名称", "主项编码", "从项名称", "从项编码", "备注"],
        [1, "单日", "", "", "血液透析", 3110000060000, ""],
        [2, "单日", "", "", "血液透析（甲）", "003110000060100", ""],
        [3, "单次就诊", "甲", "003110000010000", "乙", "003110000010100", "急诊除外"],
        ["以下为按小时"],
        [4, "6小时", "丙", "003110000020000", "丁", "003110000020100", ""],
        [5, "同一小时", "戊", "003110000030000", "己", "3.11000003E+12", ""],
    ]
    merged = [
        ("Sheet1", "C3:C4", "血液灌流"),
        ("Sheet1", "D3:D4", HP),
        ("Sheet1", "A9:G9", "备注：按国家项目编码"),
    ]
    return book(path, {"Sheet1": rows}, merged=merged)

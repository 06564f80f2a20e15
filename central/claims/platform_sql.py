"""How the platform's tables join: versions of a row, refunds, the fund's share of a line, persons over visits.

Every staged table has the platform's columns as text, and `_row` (the order of arrival), `_file` and `_line`.
"""

# ruff: noqa: E501 - SQL reads in columns

LATEST = """
CREATE OR REPLACE TABLE {name} AS
WITH repeated AS (
    SELECT {key} AS _id{place} FROM raw_{name} WHERE {key} <> '' GROUP BY ALL HAVING count(*) > 1
),
ranked AS (
    SELECT r._row, coalesce(updt_time, '') AS updt_time, coalesce(pt, '') AS pt,
        max((coalesce(updt_time, ''), coalesce(pt, ''))) OVER (PARTITION BY r.{key}{place_of}) AS newest
    FROM raw_{name} r SEMI JOIN repeated ON repeated._id = r.{key}{place_is}
)
SELECT * FROM raw_{name}
ANTI JOIN (SELECT _row FROM ranked WHERE (updt_time, pt) <> newest) USING (_row)
"""
"""The newest version of each row, by the time of its last change, then by the day of its partition."""

SETTLEMENTS = """
CREATE OR REPLACE TABLE settled AS
SELECT *,
    try_cast(replace(medfee_sumamt, ',', '') AS DECIMAL(16,2)) AS fee,
    try_cast(replace(fund_pay_sumamt, ',', '') AS DECIMAL(16,2)) AS fund,
    coalesce(refd_setl_flag, '') = '1' AS refunded,
    nullif(nullif(init_setl_id, ''), '0') AS refunds
FROM setl_d WHERE coalesce(vali_flag, '') <> '0' AND setl_id <> ''
QUALIFY row_number() OVER (PARTITION BY fixmedins_code, setl_id ORDER BY _row DESC) = 1;

CREATE OR REPLACE TABLE not_billed AS
SELECT fixmedins_code, setl_id FROM settled WHERE refunded AND refunds IS NULL
UNION
SELECT r.fixmedins_code, unnest([r.setl_id, o.setl_id])
FROM settled r JOIN settled o ON o.setl_id = r.refunds AND o.fixmedins_code = r.fixmedins_code AND o.psn_no = r.psn_no
WHERE o.refunded OR r.fee + o.fee = 0
UNION
SELECT r.fixmedins_code, r.setl_id FROM settled r
ANTI JOIN settled o ON o.setl_id = r.refunds AND o.fixmedins_code = r.fixmedins_code AND o.psn_no = r.psn_no
WHERE r.refunded AND r.refunds IS NOT NULL;

CREATE OR REPLACE TABLE not_billed_persons AS
SELECT DISTINCT setl_id, psn_no FROM settled SEMI JOIN not_billed USING (fixmedins_code, setl_id)
"""
"""A settlement that is marked refunded, or that another of its person and institution refunds in full, is not billed,
nor is the refund. A refund of a part is: its negative lines take back what they name."""

FEES = """
CREATE OR REPLACE TABLE states AS
SELECT _row, fixmedins_code, bkkp_sn, setl_id, nullif(nullif(init_feedetl_sn, ''), '0') AS reverses,
    coalesce(try_cast(replace(det_item_fee_sumamt, ',', '') AS DECIMAL(16,2)), 0)
        * if(starts_with(cnt, '-') AND NOT starts_with(det_item_fee_sumamt, '-'), -1, 1) AS amount,
    CASE
        WHEN vali_flag = '0' THEN 'withdrawn'
        WHEN (fixmedins_code, setl_id) IN (FROM not_billed) THEN 'refunded'
        ELSE 'billed'
    END AS state
FROM fee_list_d;

UPDATE states SET state = 'reversal of a line not billed'
FROM (
    SELECT r._row FROM states r JOIN states o ON o.bkkp_sn = r.reverses AND o.fixmedins_code = r.fixmedins_code
    WHERE o.state IN ('withdrawn', 'refunded') AND r.state = 'billed'
        AND r._row IN (SELECT _row FROM fee_list_d WHERE starts_with(cnt, '-'))
) gone
WHERE states._row = gone._row;

CREATE OR REPLACE TABLE shares AS
WITH billed AS (
    SELECT _row, fixmedins_code, bkkp_sn, setl_id, amount
    FROM states WHERE state = 'billed' AND setl_id <> ''
),
sums AS (
    SELECT fixmedins_code, setl_id, any_value(s.fund) AS fund, sum(amount) AS lines,
        if(abs(sum(amount) - any_value(s.fee)) <= 0.01 * count(*) OR any_value(s.fee) IS NULL, sum(amount),
           greatest(sum(amount), any_value(s.fee))) AS whole
    FROM billed JOIN settled s USING (fixmedins_code, setl_id) WHERE s.fund IS NOT NULL GROUP BY ALL
),
running AS (
    SELECT b._row, b.amount, s.fund, s.whole,
        sum(b.amount) OVER (PARTITION BY b.fixmedins_code, b.setl_id ORDER BY b.bkkp_sn, b._row) AS up_to
    FROM billed b JOIN sums s USING (fixmedins_code, setl_id) WHERE s.whole > 0
)
SELECT _row,
    (round(fund::DOUBLE * up_to::DOUBLE / whole::DOUBLE, 2)
     - round(fund::DOUBLE * (up_to - amount)::DOUBLE / whole::DOUBLE, 2))::DECIMAL(16,2) AS fund_amount
FROM running
"""
"""A line's share of the fund is the growth of the rounded share of the running sum: together they are the
settlement's, to the cent, whatever the rounding of each. Where the extract lacks lines of a settlement, those
that are there share in proportion to its whole fee."""

WITHDRAWN = """
SELECT fixmedins_code, bkkp_sn AS line_id, NULL AS settlement_id, _file, _line
FROM states JOIN fee_list_d f USING (_row, fixmedins_code, bkkp_sn)
WHERE state IN ('withdrawn', 'reversal of a line not billed')
UNION ALL
SELECT fixmedins_code, NULL, setl_id, _file, _line FROM settled SEMI JOIN not_billed USING (fixmedins_code, setl_id)
"""
"""Lines, and all lines of settlements, that an earlier extract may have told as billed."""

DIFFERING = """
WITH sums AS (
    SELECT fixmedins_code, setl_id, count(*) AS lines, sum(amount) AS amount
    FROM states WHERE state = 'billed' GROUP BY ALL
),
compared AS (
    SELECT s._row, s._file, s._line, s.setl_id AS settlement, s.fee AS total,
        coalesce(l.amount, 0)::DECIMAL(16,2) AS amount, coalesce(l.lines, 0) AS lines
    FROM settled s LEFT JOIN sums l USING (fixmedins_code, setl_id)
    WHERE (s.fixmedins_code, s.setl_id) NOT IN (FROM not_billed)
)
SELECT _file, _line, {told} AS told FROM compared WHERE abs(total - amount) > 0.01 * lines ORDER BY _row
"""
"""Settlements whose total is not the sum of their lines; a cent a line is rounding."""

LINES = """
SELECT f.* EXCLUDE (hilist_name, medins_list_name), nullif(trim(hilist_name), '') AS hilist_name,
    nullif(trim(medins_list_name), '') AS medins_list_name,
    coalesce(nullif(trim(f.med_type), ''), nullif(trim(v.med_type), ''), nullif(trim(s.med_type), '')) AS kind,
    coalesce(v.adm_bed, '') <> '' OR coalesce(v.wardarea_bed, '') <> '' AS has_bed,
    v.mdtrt_id IS NOT NULL AS has_visit, f.setl_id = '' OR s.setl_id IS NOT NULL AS has_settlement,
    reverses, fund_amount
FROM fee_list_d f
JOIN (FROM states WHERE state = 'billed') USING (_row)
LEFT JOIN shares USING (_row)
LEFT JOIN visits v ON v.mdtrt_id = f.mdtrt_id AND v.fixmedins_code = f.fixmedins_code
LEFT JOIN settled s ON s.setl_id = f.setl_id AND s.fixmedins_code = f.fixmedins_code
ORDER BY f._row
"""

VISITS = """
CREATE OR REPLACE TABLE visits AS
FROM mdtrt_d WHERE coalesce(vali_flag, '') <> '0'
QUALIFY mdtrt_id = '' OR row_number() OVER (PARTITION BY fixmedins_code, mdtrt_id ORDER BY _row DESC) = 1
"""

STAYS = "SELECT * FROM visits ORDER BY _row"

PERSONS = """
WITH told AS (
    SELECT psn_no, gend, brdy, die_date, dscg_way, endtime, coalesce(updt_time, '') AS stamp, _row, _file, _line
    FROM visits
    UNION ALL
    SELECT psn_no, gend, brdy, NULL, NULL, NULL, coalesce(updt_time, ''), _row, _file, _line FROM settled
),
read AS (
    SELECT *, (stamp, _row) AS turn,
        CASE WHEN length(die_date) >= 8 AND left(die_date, 4) NOT IN ('0000', '0001', '1900', '9999')
            THEN die_date END AS died,
        CASE WHEN dscg_way = '5' AND endtime <> '' THEN split_part(replace(endtime, 'T', ' '), ' ', 1) END AS left_dead,
        CASE WHEN left(brdy, 4) NOT IN ('0000', '0001', '9999') THEN nullif(trim(brdy), '') END AS born
    FROM told WHERE psn_no <> ''
)
SELECT psn_no, arg_max(gend, turn) FILTER (trim(gend) NOT IN ('', '9', '0')) AS gend,
    arg_max(born, turn) FILTER (born IS NOT NULL) AS brdy,
    coalesce(arg_max(died, turn) FILTER (died IS NOT NULL),
             arg_max(left_dead, turn) FILTER (left_dead IS NOT NULL)) AS die_date,
    arg_max(_file, turn) AS _file, arg_max(_line, turn) AS _line
FROM read GROUP BY psn_no ORDER BY max(_row)
"""

INSTITUTIONS = """
WITH told AS (
    SELECT fixmedins_code, fixmedins_name, hosp_lv, fix_blng_admdvs, poolarea_no, _row, _file, _line FROM visits
    UNION ALL
    SELECT fixmedins_code, fixmedins_name, hosp_lv, fix_blng_admdvs, poolarea_no, _row, _file, _line FROM settled
    UNION ALL
    SELECT fixmedins_code, fixmedins_name, NULL, NULL, poolarea_no, _row, _file, _line FROM fee_list_d
)
SELECT fixmedins_code,
    coalesce(arg_max(trim(fixmedins_name), _row) FILTER (trim(fixmedins_name) <> ''), fixmedins_code) AS name,
    arg_max(trim(hosp_lv), _row) FILTER (trim(hosp_lv) <> '') AS level,
    coalesce(arg_max(trim(fix_blng_admdvs), _row) FILTER (trim(fix_blng_admdvs) <> ''),
        nullif(regexp_extract(fixmedins_code, '^[A-Z]([0-9]{6})[0-9]', 1), ''),
        arg_max(trim(poolarea_no), _row) FILTER (trim(poolarea_no) <> '')) AS region,
    arg_min(_file, _row) AS _file, arg_min(_line, _row) AS _line
FROM told WHERE fixmedins_code <> '' GROUP BY fixmedins_code ORDER BY min(_row)
"""

OF_SETTLEMENTS = """
SELECT d.*, coalesce(s.fixmedins_code, v.fixmedins_code) AS fixmedins_code,
    coalesce(nullif(d.mdtrt_id, ''), s.mdtrt_id) AS visit
FROM {name} d
LEFT JOIN (FROM settled QUALIFY row_number() OVER (PARTITION BY setl_id, psn_no ORDER BY _row DESC) = 1) s
    ON s.setl_id = d.setl_id AND s.psn_no = d.psn_no
LEFT JOIN (SELECT mdtrt_id, any_value(fixmedins_code) AS fixmedins_code FROM visits GROUP BY 1) v
    ON v.mdtrt_id = d.mdtrt_id
WHERE coalesce(d.vali_flag, '') <> '0'
    AND (d.setl_id, d.psn_no) NOT IN (FROM not_billed_persons)
ORDER BY d._row
"""

COUNTS = """
SELECT 'fee_list_d lines ' || state AS kind, count(*) AS rows FROM states WHERE state <> 'billed' GROUP BY state
UNION ALL SELECT 'fee_list_d older versions of a row', (SELECT count(*) FROM raw_fee_list_d) - count(*) FROM fee_list_d
UNION ALL SELECT 'mdtrt_d older versions of a row', (SELECT count(*) FROM raw_mdtrt_d) - count(*) FROM mdtrt_d
UNION ALL SELECT 'mdtrt_d withdrawn', count(*) FROM mdtrt_d WHERE vali_flag = '0'
UNION ALL SELECT 'setl_d older versions of a row', (SELECT count(*) FROM raw_setl_d) - count(*) FROM setl_d
UNION ALL SELECT 'setl_d withdrawn', count(*) FROM setl_d WHERE vali_flag = '0'
UNION ALL SELECT 'setl_d not billed: refunded, or a refund', count(*) FROM not_billed
UNION ALL SELECT name || ' withdrawn, refunded or older', rows FROM (
    SELECT 'setl_list_diag_d' AS name, (SELECT count(*) FROM raw_setl_list_diag_d) - (
        SELECT count(*) FROM setl_list_diag_d WHERE coalesce(vali_flag, '') <> '0'
            AND (setl_id, psn_no) NOT IN (FROM not_billed_persons)) AS rows
    UNION ALL
    SELECT 'setl_list_oprn_d', (SELECT count(*) FROM raw_setl_list_oprn_d) - (
        SELECT count(*) FROM setl_list_oprn_d WHERE coalesce(vali_flag, '') <> '0'
            AND (setl_id, psn_no) NOT IN (FROM not_billed_persons))
)
"""

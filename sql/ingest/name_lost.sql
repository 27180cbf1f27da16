-- Replaces the placeholders of lost lines with the text of the lines and the reason.
--
-- params:  $file_no (integer), $lost (a list of structs: line, text, rule)
-- writes:  malformed
update malformed
set
    rule = 'the line is malformed: ' || lost.rule,
    reason = explain('the line is malformed: ' || lost.rule, null),
    offending = null,
    row_json = json_object('line', case when not coalesce(getvariable('hides_rows'), false) then lost.text end)
from (select unnest($lost, recursive := true)) as lost
where malformed.file_no = $file_no
    and malformed.line = lost.line
